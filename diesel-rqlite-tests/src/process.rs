//! A server process that does not outlive the process that started it.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

/// A running process and its watchdog.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    watchdog: Child,
}

impl Process {
    /// Starts a command whose output goes to `log`. `directory` is removed if the current process dies.
    pub(crate) fn start(command: &mut Command, log: &Path, directory: &Path) -> io::Result<Self> {
        let log = File::create(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        match watchdog(child.id(), directory) {
            Ok(watchdog) => Ok(Process { child, watchdog }),
            Err(error) => {
                let mut child = child;
                let _ = child.kill().and_then(|()| child.wait());
                Err(error)
            }
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a pid is an i32"))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("the process is ours");
    }

    /// Stops the process and waits until it has stopped: its threads may run for a moment after the signal.
    pub(crate) fn pause(&self) {
        self.signal(Signal::SIGSTOP);
        waitpid(self.pid(), Some(WaitPidFlag::WUNTRACED)).expect("the process is our child");
    }

    pub(crate) fn has_exited(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Asks the process to end. After `patience`, kills it.
    pub(crate) fn stop(&mut self, patience: Duration) {
        if !self.has_exited() {
            self.signal(Signal::SIGTERM);
            // A stopped process receives no other signal before this one.
            self.signal(Signal::SIGCONT);
        }
        let deadline = Instant::now() + patience;
        while !self.has_exited() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
        self.kill();
    }

    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        // The watchdog must not find a new process with the old id.
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
    }
}

/// Starts the watchdog. It waits for the end of its input, which comes when the current process ends in any way.
fn watchdog(pid: u32, directory: &Path) -> io::Result<Child> {
    Command::new("sh")
        .arg("-c")
        .arg(r#"read -r _; kill -9 "$0"; rm -rf "$1""#)
        .arg(pid.to_string())
        .arg(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

/// Returns the end of a log, for a message.
pub(crate) fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
