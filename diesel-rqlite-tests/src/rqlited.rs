//! A single rqlite node.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::http;
use crate::install::{Binary, rqlited_binary};
use crate::link::{Link, Peers};
use crate::process::{Process, tail};
use crate::tls::{Certificate, ClientCertificate};

/// The maximum time until a node is ready. It usually takes about 0.1 s.
const PATIENCE: Duration = Duration::from_secs(30);

/// A user of rqlite's auth file.
#[derive(Clone, Debug)]
pub struct User {
    /// The name.
    pub name: String,
    /// The password, in clear.
    pub password: String,
    /// The permissions of rqlite, such as `all`, `query`, `execute`.
    pub permissions: Vec<String>,
}

impl User {
    /// Creates a user with these permissions.
    pub fn new(name: &str, password: &str, permissions: &[&str]) -> Self {
        User {
            name: name.to_owned(),
            password: password.to_owned(),
            permissions: permissions.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    pub(crate) fn authorization(&self) -> String {
        let pair = format!("{}:{}", self.name, self.password);
        format!("Basic {}", STANDARD.encode(pair))
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

/// The options of a node.
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
    /// Set if nothing may be written to the Raft log to find out whether the node is ready.
    pub(crate) quiet: bool,
    pub(crate) links: Option<NodeLinks>,
    /// The list that records the process, and the index of the node in it.
    pub(crate) peers: Option<(Peers, usize)>,
    pub(crate) advertised: Option<String>,
    pub(crate) authority_certificate: bool,
    pub(crate) clients: Option<ClientCertificate>,
}

/// The time after which a node assumes that its leader is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum RaftTimeouts {
    /// As short as a single node allows: it has no other node to hear from.
    #[default]
    Alone,
    Of(Duration),
    /// The defaults of rqlited.
    Own,
}

/// The proxies in front of a node. Other nodes and clients know only these.
#[derive(Clone, Debug)]
pub(crate) struct NodeLinks {
    pub(crate) http: Arc<Link>,
    pub(crate) raft: Arc<Link>,
}

impl RqlitedBuilder {
    /// Admits only the users that are added. The first one should have the permission `all`.
    #[must_use]
    pub fn user(mut self, user: User) -> Self {
        self.users.push(user);
        self
    }

    /// Makes the node enforce foreign keys.
    #[must_use]
    pub fn foreign_keys(mut self) -> Self {
        self.foreign_keys = true;
        self
    }

    /// Uses HTTPS with a certificate made for this node, see [`Rqlited::ca_certificate`].
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Uses HTTPS with a certificate as `openssl req -x509` makes it: it is that of an authority, which is the node
    /// itself, and has no name that a client knows.
    #[must_use]
    pub fn authority_tls(mut self) -> Self {
        self.authority_certificate = true;
        self.tls()
    }

    /// Uses HTTPS, and admits only clients that show this certificate.
    #[must_use]
    pub fn client_certificate(mut self, client: &ClientCertificate) -> Self {
        self.clients = Some(client.clone());
        self.tls()
    }

    /// Sets the node's local time zone, in the format of `TZ`. A POSIX form, such as `JST-9`, needs no files of the
    /// system.
    #[must_use]
    pub fn time_zone(mut self, zone: &str) -> Self {
        self.time_zone = Some(zone.to_owned());
        self
    }

    /// Sets the address, `host:port`, that the node advertises to clients and other nodes. It need not be correct.
    #[must_use]
    pub fn advertise(mut self, address: &str) -> Self {
        self.advertised = Some(address.to_owned());
        self
    }

    /// Starts the node and waits until it is ready.
    ///
    /// # Panics
    ///
    /// If [`try_start`](Self::try_start) fails, with its message.
    pub fn start(self) -> Rqlited {
        self.try_start().unwrap_or_else(|reason| panic!("{reason}"))
    }

    /// Starts the node and waits until it is ready.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no rqlited, with what to install, or if the node does not become ready, with the
    /// end of its log.
    pub fn try_start(self) -> Result<Rqlited, String> {
        rqlited_binary().as_ref().map_err(Clone::clone)?;
        // Another process may take a port after this one has found it free and before rqlited binds it.
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

/// A running rqlited, either alone or in a [`Cluster`](crate::Cluster). Stopped when dropped.
#[derive(Debug)]
pub struct Rqlited {
    builder: RqlitedBuilder,
    http_port: u16,
    raft_port: u16,
    certificate: Option<Certificate>,
    // Declared before the directory, so that the process is dropped, and thereby stopped, first.
    process: Option<Process>,
    directory: TempDir,
}

impl Rqlited {
    /// Starts a node without users, foreign keys or TLS, and waits until it is ready.
    ///
    /// # Panics
    ///
    /// Panics as [`RqlitedBuilder::start`] does.
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// Returns a builder for a node with options.
    pub fn builder() -> RqlitedBuilder {
        RqlitedBuilder::default()
    }

    /// Returns `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.http_port)
    }

    /// Returns `rqlite://host:port`, with the first user if there is one. With TLS returns `rqlites://…`.
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

    /// Returns `http://host:port`, or `https://…`.
    pub fn http_url(&self) -> String {
        let scheme = if self.certificate.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}", self.address())
    }

    /// Returns the certificate to trust for reaching a node with TLS, as a PEM file. The file exists as long as the
    /// node.
    pub fn ca_certificate(&self) -> Option<PathBuf> {
        self.certificate
            .as_ref()
            .map(|certificate| certificate.cert.clone())
    }

    /// Returns the certificate to trust, as text.
    pub fn ca_certificate_pem(&self) -> Option<&str> {
        self.certificate
            .as_ref()
            .map(|certificate| certificate.pem.as_str())
    }

    fn raft_address(&self) -> String {
        format!("127.0.0.1:{}", self.raft_port)
    }

    /// Returns the address by which other nodes reach the node.
    pub(crate) fn advertised_raft_address(&self) -> String {
        match &self.builder.links {
            Some(links) => links.raft.address(),
            None => self.raft_address(),
        }
    }

    /// Returns the address that redirects and `/nodes` name.
    pub(crate) fn advertised_address(&self) -> String {
        match (&self.builder.advertised, &self.builder.links) {
            (Some(address), _) => address.clone(),
            (None, Some(links)) => links.http.address(),
            (None, None) => self.address(),
        }
    }

    /// Sends SIGKILL, which has the effect of a crash.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
        self.nobody_listens();
    }

    /// Sends SIGTERM, and waits for the process to end.
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

    /// Starts a killed or terminated node again, with the same data and ports, and waits until it is ready.
    ///
    /// # Panics
    ///
    /// If it does not become ready.
    pub fn restart(&mut self) {
        self.start_again();
        self.wait_ready();
    }

    /// Starts a killed or terminated node again without waiting.
    ///
    /// # Panics
    ///
    /// If it can't be started at all.
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

    /// Returns whether the node considers itself the leader of its cluster.
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
        // A single node elects itself. Three nodes need some time to hear from each other.
        let timeout = match builder.raft_timeouts {
            RaftTimeouts::Alone => Some(Duration::from_millis(20)),
            RaftTimeouts::Of(timeout) => Some(timeout),
            RaftTimeouts::Own => None,
        };
        let mut command = Command::new(&binary.path);
        // rqlite's own dates are in the local time of the node.
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

/// Creates the data directory. It is in memory if the system has a file system for that, because rqlite waits for the
/// disk at each write.
pub(crate) fn data_directory(prefix: &str) -> io::Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix);
    builder
        .tempdir_in("/dev/shm")
        .or_else(|_| builder.tempdir())
}

/// Returns two ports that were free a moment ago.
fn free_ports() -> io::Result<(u16, u16)> {
    let first = TcpListener::bind(("127.0.0.1", 0))?;
    let second = TcpListener::bind(("127.0.0.1", 0))?;
    Ok((first.local_addr()?.port(), second.local_addr()?.port()))
}
