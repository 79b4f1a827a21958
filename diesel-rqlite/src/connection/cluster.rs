//! The cluster behind a connection, for whoever runs it.

use std::fmt;
use std::io::{self, Read};

use crate::administration::{Administration, ClusterError};
use crate::protocol::backup::{BackupOptions, Whole};
use crate::protocol::condition::{NodeStatus, Readiness, ReadyOptions};
use crate::protocol::member::{ClusterNode, ClusterNodes};
use crate::runtime::now;
use crate::transport::blocking::Http;
use crate::transport::node::Upload;

#[cfg(feature = "async")]
pub use self::asynchronous::{AsyncRqliteBackup, AsyncRqliteCluster};

/// The cluster that a connection belongs to: its nodes, backups, what is loaded into it. Made by
/// [`RqliteConnection::cluster`](crate::RqliteConnection::cluster).
///
/// ```no_run
/// use diesel::prelude::*;
/// use diesel_rqlite::{BackupOptions, RqliteConnection};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut conn = RqliteConnection::establish("rqlite://localhost:4001")?;
/// let mut cluster = conn.cluster();
/// for node in cluster.nodes()? {
///     println!("{} {:?} {:?}", node.id, node.role, node.api_address);
/// }
/// let mut backup = cluster.backup(BackupOptions::new())?;
/// std::io::copy(&mut backup, &mut std::fs::File::create("backup.db")?)?;
/// # Ok(())
/// # }
/// ```
///
/// All of it is outside of transactions, and none of it is part of the connection's own.
///
/// # Who answers
///
/// [`status`](Self::status), [`ready`](Self::ready) and [`backup`](Self::backup) of a value that was turned
/// [to a node](Self::at) are those of this node, and [`nodes`](Self::nodes) and [`leader`](Self::leader) are as it sees them.
/// Without, they are those of the node the connection talks to; of another one where that does not answer `nodes` or
/// `leader`; and backups are the leader's. [`remove_node`](Self::remove_node), [`transfer_leadership`](Self::transfer_leadership)
/// and [`load`](Self::load) always go to the leader, which is looked for during `leader_timeout`, as for a write.
///
/// # Permissions
///
/// | | of the user |
/// |---|---|
/// | `status`, `nodes`, `leader` | `status` |
/// | `ready` | `ready` |
/// | `remove_node` | `remove` |
/// | `transfer_leadership` | `leader-ops`, `status` |
/// | `backup` | `backup` |
/// | `load` | `load`; with `status`, a single node is loaded by the way that needs no memory |
///
/// A connection itself needs `query`.
#[derive(Debug)]
pub struct RqliteCluster<'c>(Administration<'c, Http>);

impl<'c> RqliteCluster<'c> {
    pub(super) fn new(administration: Administration<'c, Http>) -> Self {
        RqliteCluster(administration)
    }

    /// Turns to this node: `host:port`, or as in [`ClusterNode::api_address`]. With credentials, it must be one that the
    /// configuration names, or a node of the cluster.
    ///
    /// ```no_run
    /// # use diesel_rqlite::{ClusterError, RqliteConnection};
    /// # fn run(conn: &mut RqliteConnection) -> Result<(), ClusterError> {
    /// let status = conn.cluster().at("rqlite-2:4001")?.status()?;
    /// println!("{} is {:?} at index {}", status.node_id, status.state, status.applied_index);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ClusterError::Invalid`] for what is no address.
    pub fn at(mut self, node: &str) -> Result<Self, ClusterError> {
        self.0.turn_to(node)?;
        Ok(self)
    }

    /// The node that is asked, as `http://host:4001`.
    pub fn node(&self) -> &str {
        self.0.node()
    }

    /// What a node says of itself.
    ///
    /// # Errors
    ///
    /// [`ClusterError`]; `Unreadable` from a node that is starting, which says nothing of its database.
    pub fn status(&mut self) -> Result<NodeStatus, ClusterError> {
        now(self.0.status())
    }

    /// Whether a node is ready, asked once.
    ///
    /// # Errors
    ///
    /// [`ClusterError`], where it does not answer that. That it is not ready is no error.
    pub fn ready(&mut self, options: ReadyOptions) -> Result<Readiness, ClusterError> {
        now(self.0.ready(options))
    }

    /// All nodes of the cluster, those that only read included. One that does not answer within two seconds is not
    /// reachable. A node that was removed may go on to list itself.
    ///
    /// # Errors
    ///
    /// [`ClusterError`]
    pub fn nodes(&mut self) -> Result<ClusterNodes, ClusterError> {
        now(self.0.nodes())
    }

    /// The node that leads. `None`: none does, as far as is known to the nodes that answer.
    ///
    /// # Errors
    ///
    /// [`ClusterError`]
    pub fn leader(&mut self) -> Result<Option<ClusterNode>, ClusterError> {
        now(self.0.leader())
    }

    /// Removes a node from the cluster by its id. It does not stop: stop it first, or it may want to come back. Removing
    /// an id that no node has is no error.
    ///
    /// # Errors
    ///
    /// [`ClusterError`]
    pub fn remove_node(&mut self, id: &str) -> Result<(), ClusterError> {
        now(self.0.remove_node(id))
    }

    /// Lets another node lead, this one or any, and waits until it does, for no longer than `leader_timeout`. The other nodes
    /// hear of it a moment later.
    ///
    /// rqlite can do so from 8.40 on, and to a node of choice from 8.41.
    ///
    /// # Errors
    ///
    /// [`ClusterError`]; `Unsupported` of an older server, `NotTransferred` where another node leads in the end, `Refused`
    /// where the node leads already, is none of the cluster, or is the only one.
    pub fn transfer_leadership(&mut self, to: Option<&str>) -> Result<ClusterNode, ClusterError> {
        now(self.0.transfer_leadership(to))
    }

    /// A backup, read while it comes, so that it may be of any size. The node must begin with it within
    /// `request_timeout`; then it may take any time.
    ///
    /// # Errors
    ///
    /// [`ClusterError`]; `Invalid` for options that can't be had together.
    pub fn backup(&mut self, options: BackupOptions) -> Result<RqliteBackup, ClusterError> {
        Ok(RqliteBackup {
            download: now(self.0.backup(options))?,
            whole: options.is_database().then(Whole::default),
        })
    }

    /// Replaces the database by a SQLite file, which is sent while it is read, to its end. All that was in the database is
    /// gone. A file that is cut off is refused, as far as it says itself how long it is.
    ///
    /// A single node takes a file of any size; all nodes of a cluster hold it in memory at once. For SQL text there is
    /// [`batch_execute`](diesel::connection::SimpleConnection::batch_execute), and `diesel-rqlite load` for one that does not
    /// fit into memory.
    ///
    /// ```no_run
    /// # use std::fs::File;
    /// # use diesel_rqlite::RqliteConnection;
    /// # fn run(conn: &mut RqliteConnection) -> Result<(), Box<dyn std::error::Error>> {
    /// conn.cluster().load(File::open("backup.db")?)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ClusterError`]; `File` for what can't be read or is no whole SQLite file, `Unknown` where no answer tells what became
    /// of it.
    pub fn load(&mut self, mut file: impl Read) -> Result<(), ClusterError> {
        let whole = Whole::default();
        let upload = Upload::new(&mut file, whole.clone());
        now(self.0.load(upload, &whole))
    }
}

/// A backup that is read while it comes. Where it ends too early, that is an error.
pub struct RqliteBackup {
    download: Box<dyn Read + Send>,
    /// Of a SQLite file, which says itself how long it is.
    whole: Option<Whole>,
}

impl fmt::Debug for RqliteBackup {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("RqliteBackup")
    }
}

impl Read for RqliteBackup {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let count = self.download.read(buffer)?;
        if let Some(whole) = &self.whole {
            whole.saw(&buffer[..count])?;
        }
        Ok(count)
    }
}

#[cfg(feature = "async")]
mod asynchronous {
    use std::pin::Pin;
    use std::task::{Context, Poll, ready};

    use tokio::io::{AsyncRead, ReadBuf};

    use super::*;
    use crate::transport::asynchronous::AsyncHttp;
    use crate::transport::carrying::{Download, Upload};

    /// The same as [`RqliteCluster`], for tasks. Made by
    /// [`AsyncRqliteConnection::cluster`](crate::AsyncRqliteConnection::cluster).
    ///
    /// What is streamed is tokio's [`AsyncRead`], the twin of [`Read`]: files, sockets and `tokio::io::copy` of tokio take it
    /// as it is.
    ///
    /// ```no_run
    /// use diesel_async::AsyncConnection;
    /// use diesel_rqlite::{AsyncRqliteConnection, BackupOptions};
    ///
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut from = AsyncRqliteConnection::establish("rqlite://one:4001").await?;
    /// let mut to = AsyncRqliteConnection::establish("rqlite://other:4001").await?;
    /// let backup = from.cluster().backup(BackupOptions::new()).await?;
    /// to.cluster().load(backup).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A future that is dropped was done or not, as with any write.
    #[derive(Debug)]
    pub struct AsyncRqliteCluster<'c>(Administration<'c, AsyncHttp>);

    impl<'c> AsyncRqliteCluster<'c> {
        pub(in super::super) fn new(administration: Administration<'c, AsyncHttp>) -> Self {
            AsyncRqliteCluster(administration)
        }

        /// See [`RqliteCluster::at`].
        ///
        /// # Errors
        ///
        /// [`ClusterError::Invalid`] for what is no address.
        pub fn at(mut self, node: &str) -> Result<Self, ClusterError> {
            self.0.turn_to(node)?;
            Ok(self)
        }

        /// The node that is asked, as `http://host:4001`.
        pub fn node(&self) -> &str {
            self.0.node()
        }

        /// See [`RqliteCluster::status`].
        ///
        /// # Errors
        ///
        /// [`ClusterError`]
        pub async fn status(&mut self) -> Result<NodeStatus, ClusterError> {
            self.0.status().await
        }

        /// See [`RqliteCluster::ready`].
        ///
        /// # Errors
        ///
        /// [`ClusterError`]
        pub async fn ready(&mut self, options: ReadyOptions) -> Result<Readiness, ClusterError> {
            self.0.ready(options).await
        }

        /// See [`RqliteCluster::nodes`].
        ///
        /// # Errors
        ///
        /// [`ClusterError`]
        pub async fn nodes(&mut self) -> Result<ClusterNodes, ClusterError> {
            self.0.nodes().await
        }

        /// See [`RqliteCluster::leader`].
        ///
        /// # Errors
        ///
        /// [`ClusterError`]
        pub async fn leader(&mut self) -> Result<Option<ClusterNode>, ClusterError> {
            self.0.leader().await
        }

        /// See [`RqliteCluster::remove_node`].
        ///
        /// # Errors
        ///
        /// [`ClusterError`]
        pub async fn remove_node(&mut self, id: &str) -> Result<(), ClusterError> {
            self.0.remove_node(id).await
        }

        /// See [`RqliteCluster::transfer_leadership`].
        ///
        /// # Errors
        ///
        /// [`ClusterError`]
        pub async fn transfer_leadership(
            &mut self,
            to: Option<&str>,
        ) -> Result<ClusterNode, ClusterError> {
            self.0.transfer_leadership(to).await
        }

        /// See [`RqliteCluster::backup`].
        ///
        /// # Errors
        ///
        /// [`ClusterError`]
        pub async fn backup(
            &mut self,
            options: BackupOptions,
        ) -> Result<AsyncRqliteBackup, ClusterError> {
            Ok(AsyncRqliteBackup {
                download: self.0.backup(options).await?,
                whole: options.is_database().then(Whole::default),
            })
        }

        /// See [`RqliteCluster::load`].
        ///
        /// # Errors
        ///
        /// [`ClusterError`]
        pub async fn load(
            &mut self,
            file: impl AsyncRead + Send + 'static,
        ) -> Result<(), ClusterError> {
            let whole = Whole::default();
            let upload = Upload::new(file, whole.clone());
            self.0.load(upload, &whole).await
        }
    }

    /// A backup that is read while it comes. Where it ends too early, that is an error.
    #[derive(Debug)]
    pub struct AsyncRqliteBackup {
        download: Download,
        /// Of a SQLite file, which says itself how long it is.
        whole: Option<Whole>,
    }

    impl AsyncRead for AsyncRqliteBackup {
        fn poll_read(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            if buffer.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            let before = buffer.filled().len();
            ready!(Pin::new(&mut self.download).poll_read(context, buffer))?;
            Poll::Ready(match &self.whole {
                Some(whole) => whole.saw(&buffer.filled()[before..]),
                None => Ok(()),
            })
        }
    }
}
