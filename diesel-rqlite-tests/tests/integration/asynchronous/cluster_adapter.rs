//! The asynchronous view of a cluster for blocking programs.

use std::future::{Future, poll_fn};
use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll};

use diesel_rqlite::{
    AsyncRqliteBackup, AsyncRqliteCluster, BackupOptions, ClusterError, ClusterNode, ClusterNodes,
    LoadSqlError, LoadedSql, NodeStatus, Readiness, ReadyOptions,
};
use tokio::io::{AsyncRead, ReadBuf};

use super::block_on;

#[derive(Debug)]
pub(crate) struct Cluster<'c>(pub(super) AsyncRqliteCluster<'c>);

/// As a task of a runtime of several threads would.
fn run<F: Future + Send>(future: F) -> F::Output {
    block_on(future)
}

impl Cluster<'_> {
    pub(crate) fn at(self, node: &str) -> Result<Self, ClusterError> {
        self.0.at(node).map(Cluster)
    }

    pub(crate) fn node(&self) -> &str {
        self.0.node()
    }

    pub(crate) fn status(&mut self) -> Result<NodeStatus, ClusterError> {
        run(self.0.status())
    }

    pub(crate) fn ready(&mut self, options: ReadyOptions) -> Result<Readiness, ClusterError> {
        run(self.0.ready(options))
    }

    pub(crate) fn nodes(&mut self) -> Result<ClusterNodes, ClusterError> {
        run(self.0.nodes())
    }

    pub(crate) fn leader(&mut self) -> Result<Option<ClusterNode>, ClusterError> {
        run(self.0.leader())
    }

    pub(crate) fn remove_node(&mut self, id: &str) -> Result<(), ClusterError> {
        run(self.0.remove_node(id))
    }

    pub(crate) fn transfer_leadership(
        &mut self,
        to: Option<&str>,
    ) -> Result<ClusterNode, ClusterError> {
        run(self.0.transfer_leadership(to))
    }

    pub(crate) fn backup(&mut self, options: BackupOptions) -> Result<Backup, ClusterError> {
        run(self.0.backup(options)).map(Backup)
    }

    pub(crate) fn load(
        &mut self,
        file: impl Read + Send + Unpin + 'static,
    ) -> Result<(), ClusterError> {
        run(self.0.load(Reader(file)))
    }

    /// The text is borrowed.
    pub(crate) fn load_sql(
        &mut self,
        text: impl Read + Send + Unpin,
    ) -> Result<LoadedSql, LoadSqlError> {
        run(self.0.load_sql(Reader(text)))
    }
}

pub(crate) struct Backup(AsyncRqliteBackup);

impl Read for Backup {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(buffer);
        block_on(poll_fn(|context| {
            Pin::new(&mut self.0).poll_read(context, &mut buffer)
        }))?;
        Ok(buffer.filled().len())
    }
}

struct Reader<R>(R);

impl<R: Read + Unpin> AsyncRead for Reader<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = self.0.read(buffer.initialize_unfilled());
        Poll::Ready(read.map(|count| buffer.advance(count)))
    }
}
