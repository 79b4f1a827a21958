//! The configuration of connections. It comes from a URL, or from a builder, which offers more than
//! a URL can express.

mod credentials;
mod error;
mod host;
mod lock;
mod option;
#[cfg(feature = "async")]
mod slot;
#[cfg(test)]
mod tests;
pub(crate) mod tls;
mod url;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use diesel_rqlite_sql::Literals;

pub use self::credentials::Credentials;
#[cfg(feature = "async")]
pub use self::credentials::CredentialsFuture;
pub(crate) use self::credentials::Provider;
pub use self::error::ConfigError;
use self::error::Kind;
use self::host::Host;
use self::option::invalid;
#[cfg(feature = "async")]
use self::slot::Slot;
use self::tls::Tls;
pub(crate) use self::url::redacted;
use crate::lock::TransactionLock;
use crate::observe::{self, Statistics, Together};
use crate::protocol::authorization::Authorization;
use crate::protocol::cluster::{Forwarding, Manner};
use crate::protocol::request::{FOREVER, ReadConsistency, Settings};
use crate::transaction::{Options, TransactionMode};

/// The default limit of an answer. No program reads more rows than this at once, and a typical
/// machine has this much memory.
const MAX_ANSWER: u64 = 256 << 20;

/// The configuration of connections to an rqlite cluster.
///
/// It is made from a URL, `rqlite://[user[:password]@]host[:port][/prefix][?option=value&…]`:
///
/// * `rqlite://` is HTTP and `rqlites://` is HTTPS, both with port 4001. `http://` and `https://`
///   have ports 80 and 443.
/// * The path is put before rqlite's own paths, for a proxy that serves rqlite below a path.
///
/// | option | value | default |
/// |---|---|---|
/// | `level` | `none`, `weak`, `linearizable`, `strong`, `auto`: see [`ReadConsistency`] | `linearizable` |
/// | `freshness` | a duration: at level `none`, the longest time since the node last heard from the leader | no limit |
/// | `freshness_strict` | `true` or `false`: also limit how far the node lags behind the leader | `false` |
/// | `nodes` | more nodes of the cluster, `host:port,host:port` | none |
/// | `discovery` | `true` or `false`: also use the nodes that the cluster reports | `true` |
/// | `forwarding` | `auto`, `always`, `never`: whether nodes forward requests to the leader, see [`Forwarding`] | `auto` |
/// | `prefer` | `host:port`: the node to read from at levels `none` and `auto` | none |
/// | `connect_timeout` | a duration: the time to connect to one node, over all of its addresses | `2s` |
/// | `request_timeout` | a duration: the time to send a request, and again to receive its answer | `30s` |
/// | `leader_timeout` | a duration: the time to wait for a node that leads and answers | `10s` |
/// | `db_timeout` | a duration: the time that the server may spend on one statement | no limit |
/// | `transaction` | `interactive`, `eager`, `deferred`: see [`TransactionMode`] | `interactive` |
/// | `lock` | the lock that transactions take: `rqlite:name` ([`RqliteLock`](crate::RqliteLock)), `thread:name` ([`ThreadLock`](crate::ThreadLock)), or with the feature `redis` the URL of a server, see below | none |
/// | `exactly_once` | `true` or `false`: settle commits whose answer was lost | `false` |
/// | `coalesce_writes` | `true` or `false`: concurrent writes share requests, see [`coalesce_writes`](RqliteConfig::coalesce_writes) | `false` |
/// | `max_answer` | a number with `k`, `M` or `G`: the longest answer in bytes | `256M` |
/// | `slow_query_threshold` | a duration: the time from which a query counts as slow, see [`slow_query_threshold`](Self::slow_query_threshold) | no query is slow |
/// | `trace_literals` | `true` or `false`: spans and slow queries show literals of the SQL | `false` |
/// | `trace_parameters` | `true` or `false`: spans show the values of parameters | `false` |
/// | `ca_cert` | a PEM file with the certificates to trust instead of the web's roots: certificates of authorities, or the server's own; read when the URL is parsed | |
/// | `client_cert`, `client_key` | PEM files with the certificate that this client presents, and its key; read when the URL is parsed | |
/// | `roots` | `web` or `system`: the authorities to trust without `ca_cert`; `system` needs the feature `native-roots` | `web` |
///
/// A duration is a number with `ms`, `s` or `m`. An unknown option is an error. Errors name the
/// option, and never show a value.
///
/// A lock in Redis or Valkey is `redis://`, `rediss://`, `valkey://` or
/// `valkeys://[user][:password]@host[:port][/database]?name=name`. `name` is the name of the lock.
/// The options `prefix`, `lease`, `timeout` and `retry_interval` may follow, as in the builders of
/// these locks. The whole URL of the lock is percent-encoded as a value of this URL, `@` and `&` in
/// particular: `lock=valkey://:secret%40cache:6379/0?name=accounts%26timeout=5s`. In a password
/// that contains an `@`, the `%40` becomes `%2540`. Connections that are made from the same
/// [`RqliteConfig`] share the lock and its connections to the server. Each URL that is parsed makes
/// its own lock.
///
/// Hosts are names or addresses, with IPv6 addresses in brackets. The characters `@ / ? #` in a
/// password are percent-encoded. User and password are sent only to the nodes of the configuration,
/// and to nodes that these list as members of their cluster.
///
/// ```
/// use std::time::Duration;
/// use diesel_rqlite::{ReadConsistency, RqliteConfig};
///
/// let config: RqliteConfig = "rqlite://localhost?level=weak&request_timeout=5s".parse()?;
/// let same = RqliteConfig::new("localhost", 4001)
///     .read_consistency(ReadConsistency::Weak)
///     .request_timeout(Duration::from_secs(5));
/// assert_eq!(config, same);
/// # Ok::<(), diesel_rqlite::ConfigError>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct RqliteConfig {
    nodes: Vec<Address>,
    credentials: Option<Credentials>,
    pub(crate) provider: Option<Provider>,
    level: ReadConsistency,
    freshness: Option<Duration>,
    freshness_strict: bool,
    pub(crate) connect_timeout: Duration,
    pub(crate) request_timeout: Duration,
    leader_timeout: Duration,
    db_timeout: Option<Duration>,
    discovery: bool,
    forwarding: Forwarding,
    preferred: Option<Address>,
    transaction: Options,
    pub(crate) tls: Tls,
    /// The longest answer in bytes.
    pub(crate) max_answer: u64,
    pub(crate) coalesce_writes: bool,
    pub(crate) observing: observe::Options,
    /// The statistics of the connections of this configuration and its clones.
    pub(crate) together: Together,
    /// State shared by the connections of this configuration and its clones.
    #[cfg(feature = "async")]
    pub(crate) shared: Slot,
}

#[derive(Clone, PartialEq)]
struct Address {
    tls: bool,
    host: Host,
    port: u16,
    prefix: String,
}

impl RqliteConfig {
    /// Makes a configuration with one node, reached over plain HTTP. The host is a name or an
    /// address. If it is neither, connecting fails.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        RqliteConfig {
            nodes: vec![Address {
                tls: false,
                host: Host::of(&host.into()),
                port,
                prefix: String::new(),
            }],
            credentials: None,
            provider: None,
            level: ReadConsistency::default(),
            freshness: None,
            freshness_strict: false,
            connect_timeout: Duration::from_secs(2),
            request_timeout: Duration::from_secs(30),
            leader_timeout: Duration::from_secs(10),
            db_timeout: None,
            discovery: true,
            forwarding: Forwarding::default(),
            preferred: None,
            transaction: Options::default(),
            tls: Tls::default(),
            max_answer: MAX_ANSWER,
            coalesce_writes: false,
            observing: observe::Options::default(),
            together: Together::default(),
            #[cfg(feature = "async")]
            shared: Slot::default(),
        }
    }

    /// Adds another node of the cluster, which is reached like the first one (TLS, prefix). It is
    /// asked if the others can't be reached or know no leader.
    #[must_use]
    pub fn node(mut self, host: impl Into<String>, port: u16) -> Self {
        let node = self.with_port_of_first(host.into(), port);
        self.nodes.push(node);
        self
    }

    fn with_port_of_first(&self, host: String, port: u16) -> Address {
        Address {
            host: Host::of(&host),
            port,
            ..self.nodes[0].clone()
        }
    }

    /// Sets whether nodes that the cluster reports are used in addition to those of the
    /// configuration. The default is `true`.
    #[must_use]
    pub fn discovery(mut self, discovery: bool) -> Self {
        self.discovery = discovery;
        self
    }

    /// Sets whether nodes that do not lead forward requests to the leader, instead of replying with
    /// its address.
    ///
    /// A forwarded write can be applied twice, if the connection between the two nodes breaks at
    /// the wrong moment. Transactions with [`exactly_once`](Self::exactly_once) are not applied
    /// twice.
    #[must_use]
    pub fn forwarding(mut self, forwarding: Forwarding) -> Self {
        self.forwarding = forwarding;
        self
    }

    /// Sets the node to read from when any node may answer, at level `none` or `auto`. This is
    /// usually a local node. It is reached like the first node (TLS, prefix). As long as it does
    /// not answer, others are asked.
    #[must_use]
    pub fn prefer(mut self, host: impl Into<String>, port: u16) -> Self {
        self.preferred = Some(self.with_port_of_first(host.into(), port));
        self
    }

    /// Sets how long the server may spend on one statement. A statement that takes longer fails
    /// with an error from SQLite, and is not applied. Connecting fails if it is zero.
    #[must_use]
    pub fn db_timeout(mut self, timeout: Duration) -> Self {
        self.db_timeout = Some(timeout.min(FOREVER));
        self
    }

    /// Uses HTTPS for all nodes.
    #[must_use]
    pub fn tls(mut self) -> Self {
        for node in self.nodes.iter_mut().chain(&mut self.preferred) {
            node.tls = true;
        }
        self
    }

    /// Sets user and password for HTTP basic authentication, the only kind that rqlite supports.
    #[must_use]
    pub fn credentials(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.credentials = Some(Credentials::new(user, password));
        self.provider = None;
        self
    }

    /// Sets a provider of user and password, for credentials that change while the program runs.
    /// Each connection calls it before its first request, and once more when a node answers 401.
    /// The request is then sent again to the same node.
    ///
    /// An error of the provider becomes the error of the request, which was not sent. Its text must
    /// not contain a password.
    ///
    /// ```
    /// use std::fs;
    /// use diesel_rqlite::{Credentials, RqliteConfig};
    ///
    /// let config = RqliteConfig::new("localhost", 4001)
    ///     .credentials_from(|| Ok(Credentials::new("app", fs::read_to_string("/run/secrets/rqlite")?.trim())));
    /// ```
    #[must_use]
    pub fn credentials_from<F>(mut self, provider: F) -> Self
    where
        F: Fn() -> Result<Credentials, Box<dyn std::error::Error + Send + Sync>>
            + Send
            + Sync
            + 'static,
    {
        self.provider = Some(Provider::Now(Arc::new(provider)));
        self.credentials = None;
        self
    }

    /// Sets an asynchronous provider of credentials: see
    /// [`credentials_from`](Self::credentials_from). Only asynchronous connections can use it.
    #[cfg(feature = "async")]
    #[must_use]
    pub fn credentials_from_async<F>(mut self, provider: F) -> Self
    where
        F: Fn() -> CredentialsFuture + Send + Sync + 'static,
    {
        self.provider = Some(Provider::Later(Arc::new(provider)));
        self.credentials = None;
        self
    }

    /// Sets the longest answer in bytes, 256 MiB by default. Reading stops when an answer is
    /// longer. A read fails then, and the outcome of a write is unknown. Streams of
    /// [`NodeHttp`](crate::NodeHttp) have no limit.
    #[must_use]
    pub fn max_answer(mut self, bytes: u64) -> Self {
        self.max_answer = bytes;
        self
    }

    /// Sets whether writes outside of transactions share requests. This applies to writes that
    /// connections of equal configurations in this process make at the same time.
    ///
    /// There is at most one such request in flight. Writes that arrive meanwhile are sent together
    /// as the next request. A write that finds no request in flight is sent at once, and nothing
    /// waits for a timer. Asynchronous writes do not wait for one that found no other. Many concurrent writers become several times faster, since each request
    /// is an entry of the Raft log, which is written to disk and sent to the other nodes. A write
    /// may also have to wait for the previous request, so one slow statement delays all writers.
    ///
    /// Each write has its own result, and succeeds or fails by itself: an error of one write does
    /// not affect the others. If the answer to a request is lost, the outcome of each write in it
    /// is unknown, as for a single write.
    ///
    /// A write with RETURNING, a batch of several statements, a script, a long write (more than 32
    /// KiB), and anything that is not an INSERT, UPDATE or DELETE is always a separate request. So
    /// is a commit.
    ///
    /// # Errors
    ///
    /// Connecting fails if [`db_timeout`](Self::db_timeout) is set as well, since the server
    /// applies it to the request as a whole.
    #[must_use]
    pub fn coalesce_writes(mut self, coalesce: bool) -> Self {
        self.coalesce_writes = coalesce;
        self
    }

    /// Sets the time from which an operation counts as slow. An operation is a query, a script or a
    /// commit, measured from the program's call to its result.
    ///
    /// Slow operations are counted ([`Statistics::slow_queries`]), and the slowest one is kept
    /// ([`Statistics::slowest_query`]). With the feature `tracing`, each is logged as a warning
    /// with its text, its requests, the node, and the time that the server spent on it. To get that
    /// time, all requests ask for it (`timings`). If no threshold is set, requests do not ask for
    /// it, and no operation counts as slow.
    #[must_use]
    pub fn slow_query_threshold(mut self, threshold: Duration) -> Self {
        self.observing.slow = Some(threshold.min(FOREVER));
        self
    }

    /// Sets whether spans and slow queries show literals in the text of SQL. By default, literals
    /// are replaced by a `?`.
    #[must_use]
    pub fn trace_literals(mut self, shown: bool) -> Self {
        self.observing.literals = match shown {
            true => Literals::Shown,
            false => Literals::Hidden,
        };
        self
    }

    /// Sets whether spans show the values of parameters. By default they do not. If literals are
    /// shown as well, spans also have the text of errors, which may contain both.
    #[must_use]
    pub fn trace_parameters(mut self, shown: bool) -> Self {
        self.observing.parameters = shown;
        self
    }

    /// Returns the combined statistics of the connections of this configuration, of its clones, and
    /// of configurations that were built from these.
    pub fn statistics(&self) -> Statistics {
        self.together.statistics()
    }

    /// Sets the consistency level of reads.
    #[must_use]
    pub fn read_consistency(mut self, level: ReadConsistency) -> Self {
        self.level = level;
        self
    }

    /// Sets the longest time since the node last heard from its leader, for reads at level `none`.
    /// A node that exceeds it answers `stale read`, and the next one is asked.
    #[must_use]
    pub fn freshness(mut self, freshness: Duration) -> Self {
        self.freshness = Some(freshness.min(FOREVER));
        self
    }

    /// Sets whether [`freshness`](Self::freshness) also limits how far the node lags behind in
    /// applying the log.
    #[must_use]
    pub fn freshness_strict(mut self, strict: bool) -> Self {
        self.freshness_strict = strict;
        self
    }

    /// Sets how long connecting to one node may take, including name resolution and TLS. If a name
    /// has several addresses, the next one is tried in parallel after a quarter of a second. When
    /// the time is over, another node is asked. Nothing was sent until then. Connecting fails if it
    /// is zero.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout.min(FOREVER);
        self.with_own_connections()
    }

    /// Sets how long each step of a request may take: sending it, waiting for its answer, and
    /// receiving the answer. If a long answer is read as it arrives, the limit applies to the first
    /// 64 KiB, and to each piece after them.
    ///
    /// A write that times out may still be applied: the error says that its outcome is unknown. The
    /// timeout is meant for statements that take too long on a healthy node. A node that no longer
    /// leads, or that does not answer while others do, is abandoned after some seconds,
    /// independently of this setting. Connecting fails if it is zero.
    #[must_use]
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout.min(FOREVER);
        self
    }

    /// Sets how long a request waits for a node that leads and answers. Elections take 1 to 4
    /// seconds with rqlite's default settings. When the time is over, the error reports the reply
    /// of each node, and nothing was applied. If no node of the cluster has ever answered, there is
    /// no wait.
    #[must_use]
    pub fn leader_timeout(mut self, timeout: Duration) -> Self {
        self.leader_timeout = timeout.min(FOREVER);
        self
    }

    /// Sets the mode of transactions, which decides what they do before their commit.
    #[must_use]
    pub fn transaction_mode(mut self, mode: TransactionMode) -> Self {
        self.transaction.mode = mode;
        self
    }

    /// Sets the lock that every transaction takes.
    #[must_use]
    pub fn lock(mut self, lock: &impl TransactionLock) -> Self {
        self.transaction.locking = lock.locking();
        self
    }

    /// Sets whether a commit whose answer was lost is settled: see
    /// [`TransactionBuilder::exactly_once`](crate::TransactionBuilder::exactly_once).
    #[must_use]
    pub fn exactly_once(mut self, exactly_once: bool) -> Self {
        self.transaction.exactly_once = exactly_once;
        self
    }

    /// Sets the certificates to trust, in PEM, instead of the web's roots. They may be certificates
    /// of authorities, or of servers themselves.
    ///
    /// A server that presents exactly one of these certificates is trusted, regardless of the names
    /// and times in the certificate, because the server must have its key. So a certificate made by
    /// `openssl req -x509`, which no authority has signed, is trusted by passing it here. There is
    /// no option that turns verification off.
    #[must_use]
    pub fn ca_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls.ca_pem = Some(pem.into());
        self.with_own_connections()
    }

    /// Sets the certificate that this client presents to nodes that ask for one
    /// (`-http-verify-client`), followed by its chain up to the authority, and its key. Both are in
    /// PEM.
    #[must_use]
    pub fn client_certificate(
        mut self,
        certificate_pem: impl Into<Vec<u8>>,
        key_pem: impl Into<Vec<u8>>,
    ) -> Self {
        self.tls.certificate_pem = Some(certificate_pem.into());
        self.tls.key_pem = Some(key_pem.into());
        self.with_own_connections()
    }

    /// Trusts the authorities that the operating system trusts, instead of the web's roots.
    #[cfg(feature = "native-roots")]
    #[must_use]
    pub fn system_roots(mut self) -> Self {
        self.tls.roots = self::tls::Roots::System;
        self.with_own_connections()
    }

    /// Sets the whole TLS configuration, in place of the other options: other versions, ciphers, or
    /// ways to verify. Its ALPN protocols are ignored.
    #[cfg(any(feature = "rustls", feature = "async"))]
    #[must_use]
    pub fn tls_config(mut self, config: Arc<rustls::ClientConfig>) -> Self {
        self.tls.custom = Some(config);
        self.with_own_connections()
    }

    #[cfg(not(feature = "rustls"))]
    pub(crate) fn uses_tls(&self) -> bool {
        self.nodes.iter().any(|node| node.tls)
    }

    /// Detaches the shared HTTP connections. Connections that are made in another way must not be
    /// shared with the configuration that this was cloned from.
    fn with_own_connections(self) -> Self {
        RqliteConfig {
            #[cfg(feature = "async")]
            shared: Slot::default(),
            ..self
        }
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.freshness.is_some() && self.level != ReadConsistency::None {
            return Err(Kind::FreshnessWithoutNone.into());
        }
        let mut nodes = self.nodes.iter().chain(&self.preferred);
        if !nodes.all(|node| node.host.is_valid()) {
            return Err(Kind::Host.into());
        }
        if self.user().is_some_and(|user| user.contains(':')) {
            return Err(Kind::ColonInUser.into());
        }
        let timeouts = [
            ("connect_timeout", Some(self.connect_timeout)),
            ("request_timeout", Some(self.request_timeout)),
            ("db_timeout", self.db_timeout),
        ];
        for (key, timeout) in timeouts {
            if timeout == Some(Duration::ZERO) {
                return Err(invalid(key, "more than nothing"));
            }
        }
        if self.coalesce_writes && self.db_timeout.is_some() {
            return Err(Kind::CoalescedInTime.into());
        }
        if self.tls.certificate_pem.is_some() != self.tls.key_pem.is_some() {
            return Err(Kind::HalfOfClientCertificate.into());
        }
        Ok(())
    }

    /// Checks the configuration for a blocking connection, which can't wait for a future.
    pub(crate) fn check_blocking(&self) -> Result<(), ConfigError> {
        self.check()?;
        match self.provider.as_ref().is_some_and(Provider::is_async) {
            true => Err(Kind::AsyncProvider.into()),
            false => Ok(()),
        }
    }

    pub(crate) fn nodes(&self) -> Vec<String> {
        self.nodes.iter().map(ToString::to_string).collect()
    }

    pub(crate) fn first_node(&self) -> String {
        self.nodes[0].to_string()
    }

    pub(crate) fn user(&self) -> Option<&str> {
        let credentials = self.credentials.as_ref();
        credentials.map(|credentials| credentials.user.as_str())
    }

    pub(crate) fn manner(&self) -> Manner {
        Manner {
            discovery: self.discovery,
            forwarding: self.forwarding,
            preferred: self.preferred.as_ref().map(ToString::to_string),
        }
    }

    /// Returns the address of a node that is reached like the first one.
    pub(crate) fn address_of(&self, host: &str, port: u16) -> Result<String, ConfigError> {
        let node = self.with_port_of_first(host.to_owned(), port);
        match node.host.is_valid() {
            true => Ok(node.to_string()),
            false => Err(Kind::Host.into()),
        }
    }

    pub(crate) fn transaction_options(&self) -> Options {
        self.transaction.clone()
    }

    pub(crate) fn settings(&self) -> Settings {
        let authorization = match (&self.credentials, &self.provider) {
            (Some(Credentials { user, password }), _) => Authorization::basic(user, password),
            (None, Some(_)) => Authorization::unknown(),
            (None, None) => Authorization::default(),
        };
        let settings = Settings::new(
            self.level,
            self.freshness,
            self.freshness_strict,
            self.leader_timeout,
            authorization,
        );
        Settings {
            db_timeout: self.db_timeout,
            timings: self.observing.slow.is_some(),
            ..settings
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(
            formatter,
            "{scheme}://{}:{}{}",
            self.host, self.port, self.prefix
        )
    }
}

impl fmt::Debug for RqliteConfig {
    /// Shows where to, and how long: what one looks for when a connection fails. Leaves out the password.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes: Vec<_> = self.nodes.iter().map(ToString::to_string).collect();
        formatter
            .debug_struct("RqliteConfig")
            .field("nodes", &nodes)
            .field("user", &self.user())
            .field("level", &self.level)
            .field("freshness", &self.freshness)
            .field("connect_timeout", &self.connect_timeout)
            .field("request_timeout", &self.request_timeout)
            .field("leader_timeout", &self.leader_timeout)
            .field("transaction", &self.transaction)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}
