//! The service, as a process of its own.

use std::env;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::Failure;

/// How long it may take to begin, and to end.
const LIMIT: Duration = Duration::from_secs(60);

/// This program once more, until this value is dropped.
pub(super) struct Service {
    child: Child,
    output: Lines<BufReader<ChildStdout>>,
    address: SocketAddr,
}

impl Service {
    /// Starts it, for the database at `url`.
    pub(super) async fn start(url: &str) -> Result<Self, Failure> {
        let mut child = Command::new(env::current_exe()?)
            .args(["--listen", "127.0.0.1:0"])
            .env("RQLITE_URL", url)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = child.stdout.take().ok_or("it has no output")?;
        let mut output = BufReader::new(output).lines();
        let address = timeout(LIMIT, listening(&mut output)).await??;
        Ok(Service {
            child,
            output,
            address,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// As a service manager does.
    pub(super) fn ask_to_end(&self) -> Result<(), Failure> {
        let id = self.child.id().ok_or("it has ended")?;
        Ok(kill(Pid::from_raw(id.try_into()?), Signal::SIGTERM)?)
    }

    /// Waits for its end, which must be a good one.
    pub(super) async fn ended(mut self) -> Result<(), Failure> {
        // It must not wait for somebody to read what it says.
        let status = timeout(LIMIT, async {
            while self.output.next_line().await?.is_some() {}
            self.child.wait().await
        });
        match status.await?? {
            status if status.success() => Ok(()),
            status => Err(format!("the service ended by {status}").into()),
        }
    }
}

/// Where it says that it listens.
async fn listening(output: &mut Lines<BufReader<ChildStdout>>) -> Result<SocketAddr, Failure> {
    while let Some(line) = output.next_line().await? {
        if let Some(address) = line.strip_prefix("listening on http://") {
            return Ok(address.parse()?);
        }
    }
    Err("the service did not start".into())
}
