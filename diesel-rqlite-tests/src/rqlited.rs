//! One node.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::http;
use crate::install::{Binary, rqlited_binary};
use crate::link::{Link, Peers};
use crate::process::{Process, tail};
use crate::tls::{Certificate, ClientCertificate};

/// How long a node may take to be ready. It takes about 0.1 s.
const PATIENCE: Duration = Duration::from_secs(30);

/// A user of rqlite's auth file.
#[derive(Clone, Debug)]
pub struct User {
    /// The name.
    pub name: String,
    /// The password, in clear.
    pub password: String,
    /// rqlite's permissions, such as `all`, `query`, `execute`.
    pub permissions: Vec<String>,
}

impl User {
    /// A user with these permissions.
    pub fn new(name: &str, password: &str, permissions: &[&str]) -> Self {
        User {
            name: name.to_owned(),
            password: password.to_owned(),
            permissions: permissions.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    pub(crate) fn authorization(&self) -> String {
        // Base64 of what needs no library: the kit's users are short and ASCII.
        const ALPHABET: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let pair = format!("{}:{}", self.name, self.password);
        let mut encoded = String::from("Basic ");
        for chunk in pair.as_bytes().chunks(3) {
            let byte = |place: usize| u32::from(*chunk.get(place).unwrap_or(&0));
            let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
            for place in 0..4 {
                let digit = ALPHABET[(bits >> (18 - 6 * place) & 63) as usize];
                encoded.push(if place <= chunk.len() {
                    digit.into()
                } else {
                    '='
                });
            }
        }
        encoded
    }

    fn json(&self) -> String {
        let permissions: Vec<_> = self
            .permissions
            .iter()
            .map(|name| format!("{name:?}"))
            .collect();
        format!(
            r#"{{"username":{:?},"password":{:?},"perms":[{}]}}"#,
            self.name,
            self.password,
            permissions.join(",")
        )
    }
}

/// How a node is started.
#[derive(Clone, Debug, Default)]
pub struct RqlitedBuilder {
    pub(crate) users: Vec<User>,
    pub(crate) foreign_keys: bool,
    pub(crate) tls: bool,
    pub(crate) time_zone: Option<String>,
    pub(crate) raft_timeouts: RaftTimeouts,
    pub(crate) id: Option<usize>,
    pub(crate) join: Option<String>,
    pub(crate) non_voter: bool,
    /// Nothing is written to the Raft log to find out whether it is ready.
    pub(crate) quiet: bool,
    pub(crate) links: Option<NodeLinks>,
    /// Where its process is noted, and as which node's.
    pub(crate) peers: Option<(Peers, usize)>,
    pub(crate) advertised: Option<String>,
    pub(crate) authority_certificate: bool,
    pub(crate) clients: Option<ClientCertificate>,
}

/// How soon a node believes that its leader is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum RaftTimeouts {
    /// As soon as a single node can: it has nobody to hear of.
    #[default]
    Alone,
    Of(Duration),
    /// What rqlited has by default.
    Own,
}

/// The proxies in front of a node, which are all that others know of it.
#[derive(Clone, Debug)]
pub(crate) struct NodeLinks {
    pub(crate) http: Arc<Link>,
    pub(crate) raft: Arc<Link>,
}

impl RqlitedBuilder {
    /// Only these users are let in. The first should have the permission `all`.
    #[must_use]
    pub fn user(mut self, user: User) -> Self {
        self.users.push(user);
        self
    }

    /// Foreign keys are enforced.
    #[must_use]
    pub fn foreign_keys(mut self) -> Self {
        self.foreign_keys = true;
        self
    }

    /// HTTPS with a certificate made for this node, see [`Rqlited::ca_certificate`].
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// HTTPS with a certificate as `openssl req -x509` makes it: of an authority, which is the node itself, and without a
    /// name that a client knows.
    #[must_use]
    pub fn authority_tls(mut self) -> Self {
        self.authority_certificate = true;
        self.tls()
    }

    /// HTTPS, and only clients that show this certificate are let in.
    #[must_use]
    pub fn client_certificate(mut self, client: &ClientCertificate) -> Self {
        self.clients = Some(client.clone());
        self.tls()
    }

    /// The node's local time, as `TZ` has it. A POSIX form, such as `JST-9`, needs no files of the system.
    #[must_use]
    pub fn time_zone(mut self, zone: &str) -> Self {
        self.time_zone = Some(zone.to_owned());
        self
    }

    /// Clients and other nodes are told that it is reached there, `host:port`, whether it is or not.
    #[must_use]
    pub fn advertise(mut self, address: &str) -> Self {
        self.advertised = Some(address.to_owned());
        self
    }

    /// Starts the node and waits until it is ready.
    ///
    /// # Panics
    ///
    /// Where [`try_start`](Self::try_start) fails, with its message.
    pub fn start(self) -> Rqlited {
        self.try_start().unwrap_or_else(|reason| panic!("{reason}"))
    }

    /// Starts the node and waits until it is ready.
    ///
    /// # Errors
    ///
    /// When there is no rqlited, with what to install; when it does not become ready, with the end of its log.
    pub fn try_start(self) -> Result<Rqlited, String> {
        rqlited_binary().as_ref().map_err(Clone::clone)?;
        // Another process may take a port between our looking and rqlited's binding it.
        for _ in 0..5 {
            let node = self
                .spawn()
                .map_err(|error| format!("rqlited can't be started: {error}"))?;
            match node.wait() {
                Ok(node) => return Ok(node),
                Err(log) if log.contains("address already in use") => {}
                Err(log) => {
                    return Err(format!(
                        "rqlited did not become ready. The end of its log:\n{log}"
                    ));
                }
            }
        }
        Err("no free port for rqlited".to_owned())
    }

    /// Starts the node without waiting for it.
    pub(crate) fn spawn(&self) -> io::Result<Rqlited> {
        let directory = data_directory("rqlited-")?;
        let ports = free_ports()?;
        let certificate = match self.tls {
            true if self.authority_certificate => {
                Some(Certificate::create_as_authority(directory.path())?)
            }
            true => Some(Certificate::create(directory.path())?),
            false => None,
        };
        if let Some(clients) = &self.clients {
            fs::write(directory.path().join("clients.pem"), &clients.authority)?;
        }
        if !self.users.is_empty() {
            let users: Vec<_> = self.users.iter().map(User::json).collect();
            fs::write(
                directory.path().join("auth.json"),
                format!("[{}]", users.join(",")),
            )?;
        }
        let mut node = Rqlited {
            builder: self.clone(),
            http_port: ports.0,
            raft_port: ports.1,
            certificate,
            process: None,
            directory,
        };
        node.run()?;
        Ok(node)
    }
}

/// A running rqlited, alone or one of a [`Cluster`](crate::Cluster). Stopped when dropped.
#[derive(Debug)]
pub struct Rqlited {
    builder: RqlitedBuilder,
    http_port: u16,
    raft_port: u16,
    certificate: Option<Certificate>,
    // Dropped, and with it stopped, before the directory is.
    process: Option<Process>,
    directory: TempDir,
}

impl Rqlited {
    /// A node without users, foreign keys or TLS, ready.
    ///
    /// # Panics
    ///
    /// As [`RqlitedBuilder::start`].
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// A node with options.
    pub fn builder() -> RqlitedBuilder {
        RqlitedBuilder::default()
    }

    /// `host:port`
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.http_port)
    }

    /// `rqlite://host:port`, with the first user if there is one, or `rqlites://…`.
    pub fn url(&self) -> String {
        let scheme = if self.certificate.is_some() {
            "rqlites"
        } else {
            "rqlite"
        };
        let user = match self.builder.users.first() {
            Some(user) => format!("{}:{}@", user.name, user.password),
            None => String::new(),
        };
        format!("{scheme}://{user}{}", self.address())
    }

    /// `http://host:port`, or `https://…`.
    pub fn http_url(&self) -> String {
        let scheme = if self.certificate.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}", self.address())
    }

    /// What to trust to reach a node with TLS, as a PEM file. It lives as long as the node.
    pub fn ca_certificate(&self) -> Option<PathBuf> {
        self.certificate
            .as_ref()
            .map(|certificate| certificate.cert.clone())
    }

    /// The same as text.
    pub fn ca_certificate_pem(&self) -> Option<&str> {
        self.certificate
            .as_ref()
            .map(|certificate| certificate.pem.as_str())
    }

    fn raft_address(&self) -> String {
        format!("127.0.0.1:{}", self.raft_port)
    }

    /// Where other nodes reach it.
    pub(crate) fn advertised_raft_address(&self) -> String {
        match &self.builder.links {
            Some(links) => links.raft.address(),
            None => self.raft_address(),
        }
    }

    /// What redirects and `/nodes` name.
    pub(crate) fn advertised_address(&self) -> String {
        match (&self.builder.advertised, &self.builder.links) {
            (Some(address), _) => address.clone(),
            (None, Some(links)) => links.http.address(),
            (None, None) => self.address(),
        }
    }

    /// SIGKILL: what a crash does.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
        self.nobody_listens();
    }

    /// SIGTERM, and waits for the end.
    pub fn terminate(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.stop(Duration::from_secs(5));
        }
        self.nobody_listens();
    }

    fn nobody_listens(&self) {
        if let Some(links) = &self.builder.links {
            links.http.leads_nowhere();
            links.raft.leads_nowhere();
        }
    }

    /// SIGSTOP: connections are accepted by the kernel and nothing answers.
    pub fn pause(&self) {
        if let Some(process) = &self.process {
            process.pause();
        }
    }

    /// SIGCONT
    pub fn resume(&self) {
        if let Some(process) = &self.process {
            process.signal(Signal::SIGCONT);
        }
    }

    /// Starts a killed or terminated node again, with the same data and ports, and waits until it is ready.
    ///
    /// # Panics
    ///
    /// When it does not become ready.
    pub fn restart(&mut self) {
        self.start_again();
        self.wait_ready();
    }

    /// The same without waiting.
    ///
    /// # Panics
    ///
    /// When it can't be started at all.
    pub fn start_again(&mut self) {
        self.terminate();
        self.run().expect("rqlited can be spawned");
    }

    pub(crate) fn wait_ready(&mut self) {
        if let Err(log) = self.poll() {
            panic!("rqlited did not become ready. The end of its log:\n{log}");
        }
    }

    fn wait(mut self) -> Result<Self, String> {
        self.poll().map(|()| self)
    }

    fn poll(&mut self) -> Result<(), String> {
        let agent = http::agent_of(self.builder.clients.as_ref());
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let base = self.http_url();
            let is_ready = match self.builder.quiet {
                true => http::says_it_is_ready(&agent, &base),
                false => http::is_ready(&agent, &base, self.builder.users.first()),
            };
            if is_ready {
                return Ok(());
            }
            if self.process.as_mut().is_none_or(Process::has_exited) {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(tail(&self.log()))
    }

    /// Whether it leads its cluster, as itself knows.
    pub(crate) fn leads(&self) -> bool {
        let agent = http::agent_of(self.builder.clients.as_ref());
        http::leads(&agent, &self.http_url(), self.builder.users.first())
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    fn run(&mut self) -> io::Result<()> {
        let binary = rqlited_binary().as_ref();
        let binary = binary.map_err(|reason| io::Error::other(reason.clone()))?;
        let mut command = self.command(binary);
        let process = Process::start(&mut command, &self.log(), self.directory.path())?;
        if let Some((peers, place)) = &self.builder.peers {
            peers.started(*place, process.id());
        }
        if let Some(links) = &self.builder.links {
            let here = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            links.http.leads_to(here(self.http_port));
            links.raft.leads_to(here(self.raft_port));
        }
        self.process = Some(process);
        Ok(())
    }

    fn command(&self, binary: &Binary) -> Command {
        let builder = &self.builder;
        // A single node elects itself; three need some room to hear of each other.
        let timeout = match builder.raft_timeouts {
            RaftTimeouts::Alone => Some(Duration::from_millis(20)),
            RaftTimeouts::Of(timeout) => Some(timeout),
            RaftTimeouts::Own => None,
        };
        let mut command = Command::new(&binary.path);
        // Dates of rqlite's own are in the local time of the node.
        command.env("TZ", builder.time_zone.as_deref().unwrap_or("UTC"));
        command.args(["-node-id", &builder.id.unwrap_or(1).to_string()]);
        command.args([
            "-http-addr",
            &self.address(),
            "-raft-addr",
            &self.raft_address(),
        ]);
        if let Some(timeout) = timeout {
            let timeout = format!("{}ms", timeout.as_millis());
            command.args([binary.heartbeat_flag, &timeout]);
            command.args(["-raft-election-timeout", &timeout]);
            command.args(["-raft-leader-lease-timeout", &timeout]);
        }
        if builder.links.is_some() || builder.advertised.is_some() {
            command.args(["-http-adv-addr", &self.advertised_address()]);
            command.args(["-raft-adv-addr", &self.advertised_raft_address()]);
        }
        if builder.non_voter {
            command.arg("-raft-non-voter");
        }
        if builder.foreign_keys {
            command.arg("-fk");
        }
        if !builder.users.is_empty() {
            command
                .arg("-auth")
                .arg(self.directory.path().join("auth.json"));
        }
        if let Some(certificate) = &self.certificate {
            command.arg("-http-cert").arg(&certificate.cert);
            command.arg("-http-key").arg(&certificate.key);
        }
        if builder.clients.is_some() {
            command
                .arg("-http-ca-cert")
                .arg(self.directory.path().join("clients.pem"));
            command.arg("-http-verify-client");
        }
        if let Some(address) = &builder.join {
            command.args(["-join", address]);
            if let Some(user) = builder.users.first() {
                command.args(["-join-as", &user.name]);
            }
            command.args(["-join-interval", "100ms", "-join-attempts", "100"]);
        }
        command.arg(self.directory.path().join("data"));
        command
    }
}

/// In memory where the system has a file system for that: rqlite waits for the disk at each write.
pub(crate) fn data_directory(prefix: &str) -> io::Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix);
    builder
        .tempdir_in("/dev/shm")
        .or_else(|_| builder.tempdir())
}

/// Two ports that were free a moment ago.
fn free_ports() -> io::Result<(u16, u16)> {
    let first = TcpListener::bind(("127.0.0.1", 0))?;
    let second = TcpListener::bind(("127.0.0.1", 0))?;
    Ok((first.local_addr()?.port(), second.local_addr()?.port()))
}
