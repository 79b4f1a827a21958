//! A service that runs, and clients of it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};

use crate::{LIMIT, pid};

/// How often is looked whether something has happened.
const POLL: Duration = Duration::from_millis(5);

/// Waits until it is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        thread::sleep(POLL);
    }
}

/// A service with the database at a URL. Killed when dropped.
pub(crate) struct Running {
    child: Child,
    output: BufReader<ChildStdout>,
    traces: Option<JoinHandle<String>>,
}

impl Running {
    /// Starts it. It listens at [`address`](Self::address).
    pub(crate) fn start(program: &str, url: &str) -> Self {
        Self::start_with(program, [("RQLITE_URL", url)])
    }

    /// The same with these environment variables.
    pub(crate) fn start_with<const N: usize>(program: &str, variables: [(&str, &str); N]) -> Self {
        let mut child = Command::new(program)
            .args(["--listen", "127.0.0.1:0"])
            .env_remove("RQLITE_URL")
            .envs(variables)
            .env("RUST_LOG", "info")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("can be started");
        // More than a pipe holds.
        let mut traces = child.stderr.take().expect("is piped");
        let traces = thread::spawn(move || {
            let mut text = String::new();
            traces.read_to_string(&mut text).expect("is text");
            text
        });
        let output = child.stdout.take().expect("is piped");
        Running {
            child,
            output: BufReader::new(output),
            traces: Some(traces),
        }
    }

    /// Waits until it says where it listens.
    pub(crate) fn address(&mut self) -> String {
        loop {
            let mut line = String::new();
            self.output.read_line(&mut line).expect("is text");
            assert!(!line.is_empty(), "it ended: {}", self.traces());
            if let Some((_, address)) = line.trim().split_once("listening on http://") {
                return address.to_owned();
            }
        }
    }

    /// As a service manager does.
    pub(crate) fn ask_to_end(&self) {
        kill(pid(&self.child), Signal::SIGTERM).expect("runs");
    }

    /// Waits for a good end. What it has written to stderr.
    pub(crate) fn ended(mut self) -> String {
        let mut status = None;
        until("it ends", || {
            status = self.child.try_wait().expect("is our child");
            status.is_some()
        });
        let traces = self.traces();
        let status = status.expect("it has ended");
        assert!(status.success(), "{status}: {traces}");
        traces
    }

    fn traces(&mut self) -> String {
        let traces = self.traces.take().expect("is asked once");
        traces.join().expect("no panic")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client that keeps its connection.
pub(crate) struct Client(BufReader<TcpStream>);

/// An answer of a service.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Client {
    pub(crate) fn new(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("listens");
        stream.set_read_timeout(Some(LIMIT)).expect("is not zero");
        Client(BufReader::new(stream))
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: bank\r\n\r\n"));
        self.answer()
    }

    pub(crate) fn post(&mut self, path: &str, body: &str) -> Answer {
        self.begin_post(path, body);
        self.answer()
    }

    /// The answer comes later.
    pub(crate) fn begin_post(&mut self, path: &str, body: &str) {
        let length = body.len();
        let head = format!("POST {path} HTTP/1.1\r\nhost: bank\r\ncontent-type: application/json");
        self.send(&format!("{head}\r\ncontent-length: {length}\r\n\r\n{body}"));
    }

    fn send(&mut self, request: &str) {
        let stream = self.0.get_mut();
        stream.write_all(request.as_bytes()).expect("is read");
    }

    pub(crate) fn answer(&mut self) -> Answer {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let length = self.0.read_line(&mut head).expect("is text");
            assert!(length > 0, "no answer: {head}");
        }
        let head = head.to_ascii_lowercase();
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let mut body = vec![0; length(&head)];
        self.0.read_exact(&mut body).expect("is as long as it says");
        Answer {
            status: status.expect("a number"),
            body: String::from_utf8(body).expect("is text"),
            head,
        }
    }
}

fn length(head: &str) -> usize {
    let mut fields = head.lines().filter_map(|line| line.split_once(": "));
    let length = fields.find(|(name, _)| *name == "content-length");
    let (_, length) = length.expect("says how long it is");
    length.parse().expect("a number")
}
