//! Administration of the cluster that a connection belongs to.

use std::fmt;
use std::io::{self, Read};

use crate::administration::{Administration, ClusterError, LoadSqlError, LoadedSql};
use crate::protocol::backup::{BackupOptions, Whole};
use crate::protocol::condition::{NodeStatus, Readiness, ReadyOptions};
use crate::protocol::member::{ClusterNode, ClusterNodes};
use crate::runtime::block_on;
use crate::transport::blocking::Http;
use crate::transport::node::{TextOf, Upload};

#[cfg(feature = "async")]
pub use self::asynchronous::{AsyncRqliteBackup, AsyncRqliteCluster};

/// The cluster that a connection belongs to: its nodes, its backups, and loading a database into
/// it. Made by [`RqliteConnection::cluster`](crate::RqliteConnection::cluster).
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
/// These requests are outside of transactions. None of them is part of the connection's own
/// transaction.
///
/// # The node that answers
///
/// With a value that was directed [to a node](Self::at), [`status`](Self::status),
/// [`ready`](Self::ready) and [`backup`](Self::backup) ask that node, and [`nodes`](Self::nodes)
/// and [`leader`](Self::leader) return its view of the cluster. Otherwise they ask the node that
/// the connection talks to, except that backups come from the leader. If that node does not answer
/// `nodes` or `leader`, another one is asked.
///
/// [`remove_node`](Self::remove_node), [`transfer_leadership`](Self::transfer_leadership),
/// [`load`](Self::load) and [`load_sql`](Self::load_sql) always go to the leader. It is searched for
/// during `leader_timeout`, as for a write.
///
/// An answer must begin within `request_timeout` (for `ready`: the time that the node may wait, and
/// one second), and be complete within another `request_timeout`. A backup and a load may take any
/// time once they have begun.
///
/// # Permissions
///
/// | request | permissions of the user |
/// |---|---|
/// | `status`, `nodes`, `leader` | `status` |
/// | `ready` | `ready` |
/// | `remove_node` | `remove` |
/// | `transfer_leadership` | `leader-ops`, `status` |
/// | `backup` | `backup` |
/// | `load` | `load`; with `status` as well, a single node is loaded in the way that does not hold the file in memory |
/// | `load_sql` | `execute` |
///
/// A connection itself needs `query`.
#[derive(Debug)]
pub struct RqliteCluster<'c>(Administration<'c, Http>);

impl<'c> RqliteCluster<'c> {
    pub(super) fn new(administration: Administration<'c, Http>) -> Self {
        RqliteCluster(administration)
    }

    /// Directs requests to this node: `host:port`, or an address in the form of
    /// [`ClusterNode::api_address`]. If the connection has credentials, the node must be named by
    /// the configuration or belong to the cluster.
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
    /// [`ClusterError::Invalid`] if this is not an address.
    pub fn at(mut self, node: &str) -> Result<Self, ClusterError> {
        self.0.turn_to(node)?;
        Ok(self)
    }

    /// Returns the address of the node that is asked, as `http://host:4001`.
    pub fn node(&self) -> &str {
        self.0.node()
    }

    /// Returns the node's own status.
    ///
    /// # Errors
    ///
    /// [`ClusterError`]. It is `Unreadable` if the node is still starting, since it does not report
    /// on its database then.
    pub fn status(&mut self) -> Result<NodeStatus, ClusterError> {
        block_on(self.0.status())
    }

    /// Returns whether the node is ready. It is asked once.
    ///
    /// # Errors
    ///
    /// [`ClusterError`] if the node does not answer the question. It is not an error if the node is
    /// not ready.
    pub fn ready(&mut self, options: ReadyOptions) -> Result<Readiness, ClusterError> {
        block_on(self.0.ready(options))
    }

    /// Returns all nodes of the cluster, including read-only nodes. A node that does not answer
    /// within two seconds is reported as not reachable. A node that was removed may continue to
    /// list itself.
    ///
    /// # Errors
    ///
    /// [`ClusterError`]
    pub fn nodes(&mut self) -> Result<ClusterNodes, ClusterError> {
        block_on(self.0.nodes())
    }

    /// Returns the node that leads, or `None` if there is no leader as far as the nodes that answer
    /// know.
    ///
    /// # Errors
    ///
    /// [`ClusterError`]
    pub fn leader(&mut self) -> Result<Option<ClusterNode>, ClusterError> {
        block_on(self.0.leader())
    }

    /// Removes a node from the cluster by its id. The node does not stop. Stop it first, or it may
    /// try to rejoin. It is not an error if no node has this id.
    ///
    /// # Errors
    ///
    /// [`ClusterError`]
    pub fn remove_node(&mut self, id: &str) -> Result<(), ClusterError> {
        block_on(self.0.remove_node(id))
    }

    /// Transfers leadership to this node, or to any other node if `to` is `None`. Waits until the
    /// new leader leads, for at most `leader_timeout`. The other nodes learn of the new leader a
    /// moment later.
    ///
    /// This needs rqlite 8.40 or newer, and 8.41 or newer for a particular node.
    ///
    /// # Errors
    ///
    /// [`ClusterError`]. It is `Unsupported` if the server is older, `NotTransferred` if another
    /// node leads in the end, and `Unknown` if the answer is lost, or if nobody tells who leads. It is `Refused` if the node leads already, does not belong to
    /// the cluster, or is its only node.
    pub fn transfer_leadership(&mut self, to: Option<&str>) -> Result<ClusterNode, ClusterError> {
        block_on(self.0.transfer_leadership(to))
    }

    /// Starts a backup. It is read as it arrives, so it may be of any size. The node must begin to
    /// send it within `request_timeout`. The rest may take any time.
    ///
    /// # Errors
    ///
    /// [`ClusterError`]. It is `Invalid` if the options can't be combined.
    pub fn backup(&mut self, options: BackupOptions) -> Result<RqliteBackup, ClusterError> {
        Ok(RqliteBackup {
            download: block_on(self.0.backup(options))?,
            whole: options.is_database().then(Whole::default),
        })
    }

    /// Replaces the database by a SQLite file. The file is sent while it is read, up to its end.
    /// All previous contents of the database are lost. A truncated file is refused, as far as its
    /// header states the length.
    ///
    /// A single node accepts a file of any size. In a cluster, every node holds the whole file in
    /// memory. [`load_sql`](Self::load_sql) loads SQL text.
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
    /// [`ClusterError`]. It is `File` if the file can't be read or is not a complete SQLite file.
    /// It is `Unknown` if no answer tells whether the file was loaded.
    pub fn load(&mut self, mut file: impl Read) -> Result<(), ClusterError> {
        let whole = Whole::default();
        let upload = Upload::new(&mut file, whole.clone());
        block_on(self.0.load(upload, &whole))
    }

    /// Runs SQL text of any length, such as a dump: the output of `.dump` of SQLite's shell, or a
    /// [backup](Self::backup) in the form of SQL. Nothing of the database is removed, except by the
    /// text.
    ///
    /// The text is read while it is sent, and need not fit into memory. It is sent in requests of
    /// about 4 MiB or 10,000 statements. Each request is applied as a whole or not at all, but not
    /// the text as a whole, unless it is that short: `BEGIN`, `COMMIT` and savepoints of the text
    /// have no effect. [`LoadSqlError`] tells what was applied if there is an error in the middle.
    ///
    /// ```no_run
    /// # use std::fs::File;
    /// # use diesel_rqlite::{LoadSqlError, RqliteConnection};
    /// # fn run(conn: &mut RqliteConnection) -> Result<(), Box<dyn std::error::Error>> {
    /// match conn.cluster().load_sql(File::open("dump.sql")?) {
    ///     Ok(loaded) => println!("{} statements; rows: {:?}", loaded.statements, loaded.inserted),
    ///     Err(LoadSqlError { reason, line, applied, in_doubt: None, .. }) => {
    ///         println!("line {line}: {reason}; {} statements before it were applied", applied.statements);
    ///     }
    ///     // Nobody knows whether these lines were applied, all of them or none.
    ///     Err(LoadSqlError { reason, in_doubt: Some(lines), .. }) => println!("{reason}: {lines:?}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Foreign keys are checked at the end of each request. PRAGMAs are ignored, except those that
    /// are stored in the database. Values that each node would compute for itself, such as
    /// `random()`, are replaced by one value, also where they are defaults of columns that an INSERT
    /// leaves out. They stay in the schema itself: see [`ReplicaHazard`](crate::ReplicaHazard). The
    /// rows of virtual tables in a dump can't be loaded, only the SQLite file.
    ///
    /// After the cluster was found, a request has no time limit: a statement that takes long is
    /// waited for. A `db_timeout` does not apply, since servers count it for a request as a whole,
    /// and a request of a load has thousands of statements.
    ///
    /// # Errors
    ///
    /// [`LoadSqlError`]. What comes after the error was not sent.
    pub fn load_sql(&mut self, text: impl Read) -> Result<LoadedSql, LoadSqlError> {
        block_on(self.0.load_sql(TextOf(text)))
    }
}

/// A backup that is read as it arrives. Reading fails if the backup ends too early.
pub struct RqliteBackup {
    download: Box<dyn Read + Send>,
    /// Set for a SQLite file, whose header states its length.
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
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, ready};

    use tokio::io::{AsyncRead, ReadBuf};

    use super::*;
    use crate::transport::asynchronous::AsyncHttp;
    use crate::transport::carrying::{Download, TextOf, Upload};

    /// The asynchronous counterpart of [`RqliteCluster`]. Made by
    /// [`AsyncRqliteConnection::cluster`](crate::AsyncRqliteConnection::cluster).
    ///
    /// Data is streamed through tokio's [`AsyncRead`], the counterpart of [`Read`]. It works
    /// directly with tokio's files, sockets and `tokio::io::copy`.
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
    /// If a future is dropped, its operation may or may not have been carried out, as with any
    /// write.
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
        /// [`ClusterError::Invalid`] if this is not an address.
        pub fn at(mut self, node: &str) -> Result<Self, ClusterError> {
            self.0.turn_to(node)?;
            Ok(self)
        }

        /// Returns the address of the node that is asked, as `http://host:4001`.
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

        /// See [`RqliteCluster::load_sql`]. If the future is dropped, the requests that were
        /// answered are applied, and the one that is under way may be.
        ///
        /// ```no_run
        /// # use diesel_rqlite::AsyncRqliteConnection;
        /// # async fn run(conn: &mut AsyncRqliteConnection) -> Result<(), Box<dyn std::error::Error>> {
        /// let dump: &[u8] = b"CREATE TABLE t (a); INSERT INTO t VALUES (1), (2);";
        /// let loaded = conn.cluster().load_sql(dump).await?;
        /// assert_eq!((loaded.statements, loaded.inserted["t"]), (2, 2));
        /// # Ok(())
        /// # }
        /// ```
        ///
        /// # Errors
        ///
        /// [`LoadSqlError`]
        pub async fn load_sql(
            &mut self,
            text: impl AsyncRead + Send,
        ) -> Result<LoadedSql, LoadSqlError> {
            let text = pin!(text);
            self.0.load_sql(TextOf(text)).await
        }
    }

    /// A backup that is read as it arrives. Reading fails if the backup ends too early.
    #[derive(Debug)]
    pub struct AsyncRqliteBackup {
        download: Download,
        /// Set for a SQLite file, whose header states its length.
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
