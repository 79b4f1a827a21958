//! Where and how to connect: a URL, or a builder for what a URL can't say.

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

/// Nobody reads more rows than that at once, and a machine has the memory.
const MAX_ANSWER: u64 = 256 << 20;

/// How to reach an rqlite cluster.
///
/// Made from a URL, `rqlite://[user[:password]@]host[:port][/prefix][?option=value&…]`:
///
/// * `rqlite://` is HTTP, `rqlites://` HTTPS, both with port 4001; `http://` and `https://` have ports 80 and 443.
/// * A path is put in front of rqlite's own, for a proxy that serves it below one.
///
/// | option | value | default |
/// |---|---|---|
/// | `level` | `none`, `weak`, `linearizable`, `strong`, `auto`: see [`ReadConsistency`] | `linearizable` |
/// | `freshness` | a duration: how long ago a node asked at level `none` may have heard of the leader | no limit |
/// | `freshness_strict` | `true` or `false`: also count how far behind it is | `false` |
/// | `nodes` | more nodes of the cluster, `host:port,host:port` | none |
/// | `discovery` | `true` or `false`: use the nodes that the cluster names, too | `true` |
/// | `forwarding` | `auto`, `always`, `never`: whether nodes hand requests on to the leader, see [`Forwarding`] | `auto` |
/// | `prefer` | `host:port`: the node to read from at levels `none` and `auto` | none |
/// | `connect_timeout` | a duration, for each node, over all of its addresses | `2s` |
/// | `request_timeout` | a duration: to send a request, and again to receive its answer | `30s` |
/// | `leader_timeout` | a duration: how long to wait for a node that leads, and answers | `10s` |
/// | `db_timeout` | a duration: how long the server may work at one statement | no limit |
/// | `transaction` | `interactive`, `eager`, `deferred`: see [`TransactionMode`] | `interactive` |
/// | `lock` | the lock that transactions take: `rqlite:name` ([`RqliteLock`](crate::RqliteLock)), `thread:name` ([`ThreadLock`](crate::ThreadLock)), or with the feature `redis` the URL of a server, see below | none |
/// | `exactly_once` | `true` or `false`: settle commits whose answer was lost | `false` |
/// | `coalesce_writes` | `true` or `false`: writes made at the same time share requests, see [`coalesce_writes`](RqliteConfig::coalesce_writes) | `false` |
/// | `max_answer` | a number with `k`, `M` or `G`: how many bytes an answer may have | `256M` |
/// | `slow_query_threshold` | a duration: from when on a query is slow, see [`slow_query_threshold`](Self::slow_query_threshold) | none is |
/// | `trace_literals` | `true` or `false`: spans and slow queries show literals of the SQL | `false` |
/// | `trace_parameters` | `true` or `false`: spans show the values of parameters | `false` |
/// | `ca_cert` | a PEM file with the certificates to trust instead of the web's: authorities, or the server's own; read when the URL is parsed | |
/// | `client_cert`, `client_key` | PEM files with the certificate that this client shows, and its key; read when the URL is parsed | |
/// | `roots` | `web` or `system`: which authorities to trust without `ca_cert`; `system` needs the feature `native-roots` | `web` |
///
/// A duration is a number with `ms`, `s` or `m`. An option that is not in this list is an error, which names the option,
/// and never shows a value.
///
/// A lock in Redis or Valkey is `redis://`, `rediss://`, `valkey://` or `valkeys://[user][:password]@host[:port][/database]?name=name`,
/// where `name` is that of the lock, and `prefix`, `lease`, `timeout` and `retry_interval` may follow, as the builders
/// of these locks say. All of it is percent-encoded as a value of this URL, an `@` and an `&` in particular:
/// `lock=valkey://:secret%40cache:6379/0?name=accounts%26timeout=5s`. Of a password with an `@` in it, the `%40` becomes `%2540`.
/// Connections that are made of the same [`RqliteConfig`] share the lock, and its connections to the server; each URL that is
/// parsed makes one of its own.
///
/// Hosts are names or addresses, IPv6 addresses in brackets. `@ / ? #` in a password are percent-encoded. User and
/// password are sent only to the nodes of the configuration, and to those that these list as their cluster's.
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
    /// How many bytes an answer may have.
    pub(crate) max_answer: u64,
    pub(crate) coalesce_writes: bool,
    pub(crate) observing: observe::Options,
    /// What the connections of this configuration and its clones have done.
    pub(crate) together: Together,
    /// What the connections of this configuration and its clones share.
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
    /// One node, by plain HTTP. The host is a name or an address; connecting fails where it is neither.
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

    /// Another node of the cluster, reached as the first one is (TLS, prefix). Asked where the others can't
    /// be reached or know no leader.
    #[must_use]
    pub fn node(mut self, host: impl Into<String>, port: u16) -> Self {
        let node = self.beside_first(host.into(), port);
        self.nodes.push(node);
        self
    }

    fn beside_first(&self, host: String, port: u16) -> Address {
        Address {
            host: Host::of(&host),
            port,
            ..self.nodes[0].clone()
        }
    }

    /// Whether nodes that the cluster names, beside those of the configuration, are used as well. They are, unless this
    /// says `false`.
    #[must_use]
    pub fn discovery(mut self, discovery: bool) -> Self {
        self.discovery = discovery;
        self
    }

    /// Whether nodes that do not lead hand requests on to the leader, instead of saying where it is.
    ///
    /// A write that is handed on can be applied twice, if the connection between the two nodes breaks at the wrong moment.
    /// Transactions with [`exactly_once`](Self::exactly_once) are not.
    #[must_use]
    pub fn forwarding(mut self, forwarding: Forwarding) -> Self {
        self.forwarding = forwarding;
        self
    }

    /// The node to read from where any node may answer, a local one, say: at level `none` or `auto`. It is reached as the
    /// first node is (TLS, prefix). As long as it does not answer, others are asked.
    #[must_use]
    pub fn prefer(mut self, host: impl Into<String>, port: u16) -> Self {
        self.preferred = Some(self.beside_first(host.into(), port));
        self
    }

    /// How long the server may work at one statement. What takes longer ends with an error of SQLite's and is not
    /// applied.
    #[must_use]
    pub fn db_timeout(mut self, timeout: Duration) -> Self {
        self.db_timeout = Some(timeout.min(FOREVER));
        self
    }

    /// HTTPS for all nodes.
    #[must_use]
    pub fn tls(mut self) -> Self {
        for node in self.nodes.iter_mut().chain(&mut self.preferred) {
            node.tls = true;
        }
        self
    }

    /// User and password for HTTP basic authentication. rqlite has no other.
    #[must_use]
    pub fn credentials(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.credentials = Some(Credentials::new(user, password));
        self.provider = None;
        self
    }

    /// Where user and password come from if they change while the program runs. Each connection asks before its first
    /// request, and once more when a node answers 401: the request is sent again then, to the same node.
    ///
    /// An error of the provider is the error of the request, which was not sent. Its text must not hold a password.
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

    /// The same for a provider that has to wait, of asynchronous connections only.
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

    /// How many bytes an answer may have, 256 MiB if not set. One that is longer is not read to its end: a read fails, and
    /// the outcome of a write is unknown. What [`NodeHttp`](crate::NodeHttp) streams has no limit.
    #[must_use]
    pub fn max_answer(mut self, bytes: u64) -> Self {
        self.max_answer = bytes;
        self
    }

    /// Whether writes outside of transactions share requests, where connections of equal configurations in this process make
    /// them at the same time.
    ///
    /// One request is under way then. Writes that come meanwhile go out together as the next one; a write that finds none
    /// under way goes out at once, and nothing waits for a timer. Many writers at a time are some times faster, since each
    /// request is an entry of the Raft log, which is written to disk and to the other nodes. A write may wait for the request
    /// before it as well, so one slow statement is felt by all.
    ///
    /// Each write has its own result, and is applied or not by itself: the error of one is not that of the others. Where the
    /// answer to a request is lost, the outcome of each write in it is unknown, as that of a write by itself is.
    ///
    /// A write with RETURNING, a batch of several statements, a script, a long write (more than 32 KiB), and what is no
    /// INSERT, UPDATE or DELETE is a request of its own, as ever. So is a commit.
    ///
    /// # Errors
    ///
    /// Connecting fails where [`db_timeout`](Self::db_timeout) is set as well: the server counts it for a request as a whole.
    #[must_use]
    pub fn coalesce_writes(mut self, coalesce: bool) -> Self {
        self.coalesce_writes = coalesce;
        self
    }

    /// From when on an operation is slow: a query, a script or a commit, from the program's call to its result.
    ///
    /// Slow ones are counted ([`Statistics::slow_queries`]), the slowest is kept ([`Statistics::slowest_query`]), and with the
    /// feature `tracing` each is a warning, with its text, its requests, the node, and how long the server worked at it: all
    /// requests ask for that (`timings`) then. They are not, and nothing is slow, unless this is set.
    #[must_use]
    pub fn slow_query_threshold(mut self, threshold: Duration) -> Self {
        self.observing.slow = Some(threshold.min(FOREVER));
        self
    }

    /// Whether spans and slow queries show literals that stand in the text of SQL. A `?` stands in their place, unless this
    /// says `true`.
    #[must_use]
    pub fn trace_literals(mut self, shown: bool) -> Self {
        self.observing.literals = match shown {
            true => Literals::Shown,
            false => Literals::Hidden,
        };
        self
    }

    /// Whether spans show the values of parameters. They do not, unless this says `true`. Where literals are shown as well,
    /// spans also have the text of errors, which may hold both.
    #[must_use]
    pub fn trace_parameters(mut self, shown: bool) -> Self {
        self.observing.parameters = shown;
        self
    }

    /// What the connections of this configuration, its clones and what was built from these have done together.
    pub fn statistics(&self) -> Statistics {
        self.together.statistics()
    }

    /// How fresh reads must be.
    #[must_use]
    pub fn read_consistency(mut self, level: ReadConsistency) -> Self {
        self.level = level;
        self
    }

    /// For reads at level `none`: how long ago the node may have heard of its leader. A node that is further
    /// off answers `stale read`, and the next one is asked.
    #[must_use]
    pub fn freshness(mut self, freshness: Duration) -> Self {
        self.freshness = Some(freshness.min(FOREVER));
        self
    }

    /// With a [`freshness`](Self::freshness): also count how far the node is behind in applying the log.
    #[must_use]
    pub fn freshness_strict(mut self, strict: bool) -> Self {
        self.freshness_strict = strict;
        self
    }

    /// How long connecting to one node may take, name resolution and TLS included; of several addresses behind one name the
    /// next is tried beside the first after a quarter of a second. When it ends, another node is asked; nothing was sent.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout.min(FOREVER);
        self.with_own_connections()
    }

    /// How long sending a request may take, then waiting for its answer, then receiving it. Of a long answer that is read
    /// while it comes, it is the time for the first 64 KiB, and for each piece after them.
    ///
    /// A write that runs into it may still be applied: the error says that its outcome is unknown. It is for statements that
    /// take too long on a node that is well: one that no longer leads, or answers nothing while others do, is left after
    /// some seconds, whatever this says.
    #[must_use]
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout.min(FOREVER);
        self
    }

    /// How long a request waits for a node that leads, and answers. Elections take 1 to 4 seconds with rqlite's default
    /// settings. When it ends, the error says what each node said; nothing was applied. A cluster of which no node has ever
    /// answered is not waited for.
    #[must_use]
    pub fn leader_timeout(mut self, timeout: Duration) -> Self {
        self.leader_timeout = timeout.min(FOREVER);
        self
    }

    /// What a transaction does before its commit.
    #[must_use]
    pub fn transaction_mode(mut self, mode: TransactionMode) -> Self {
        self.transaction.mode = mode;
        self
    }

    /// The lock that every transaction takes.
    #[must_use]
    pub fn lock(mut self, lock: &impl TransactionLock) -> Self {
        self.transaction.locking = lock.locking();
        self
    }

    /// Whether a commit whose answer was lost is settled: see
    /// [`TransactionBuilder::exactly_once`](crate::TransactionBuilder::exactly_once).
    #[must_use]
    pub fn exactly_once(mut self, exactly_once: bool) -> Self {
        self.transaction.exactly_once = exactly_once;
        self
    }

    /// Certificates in PEM to trust, instead of those the web trusts: those of authorities, and servers' own.
    ///
    /// A server that shows exactly one of these certificates is trusted, whatever names and times that has: it has the
    /// key. So the certificate of `openssl req -x509`, which no authority has signed, is trusted by giving it here, and no
    /// switch turns verification off.
    #[must_use]
    pub fn ca_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls.ca_pem = Some(pem.into());
        self.with_own_connections()
    }

    /// The certificate that this client shows to nodes that ask for one (`-http-verify-client`), with what leads to its
    /// authority behind it, and its key; both in PEM.
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

    /// The authorities that the machine trusts, instead of those the web trusts.
    #[cfg(feature = "native-roots")]
    #[must_use]
    pub fn system_roots(mut self) -> Self {
        self.tls.roots = self::tls::Roots::System;
        self.with_own_connections()
    }

    /// Everything about TLS, instead of the other options: other versions, ciphers, ways to verify. What it says about ALPN
    /// is not looked at.
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

    /// Connections that are made in another way are not those of the configuration that this was cloned from.
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
        if self.coalesce_writes && self.db_timeout.is_some() {
            return Err(Kind::CoalescedInTime.into());
        }
        if self.tls.certificate_pem.is_some() != self.tls.key_pem.is_some() {
            return Err(Kind::HalfOfClientCertificate.into());
        }
        Ok(())
    }

    /// For a connection that can't wait for a future.
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

    /// The address of a node beside the first one.
    pub(crate) fn address_of(&self, host: &str, port: u16) -> Result<String, ConfigError> {
        let node = self.beside_first(host.to_owned(), port);
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
    /// Without the password.
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
