//! Where and how to connect: a URL, or a builder for what a URL can't say.

use std::fmt;
use std::time::Duration;

use diesel::ConnectionResult;
use diesel::result::ConnectionError;
#[cfg(feature = "async")]
use diesel_async::pooled_connection::ManagerConfig;
use percent_encoding::percent_decode_str;
use url::Url;

#[cfg(feature = "async")]
use crate::connection::AsyncRqliteConnection;
use crate::connection::RqliteConnection;
use crate::connection::shared::{self, Place};
use crate::lock::{Locking, RqliteLock, ThreadLock, TransactionLock};
use crate::protocol::cluster::{Forwarding, Manner};
use crate::protocol::nodes::Nodes;
use crate::protocol::request::{ReadConsistency, Settings};
use crate::session::{Client, Session};
use crate::transaction::{Options, TransactionMode};
#[cfg(feature = "async")]
use crate::transport::asynchronous::Shared;

const DEFAULT_PORT: u16 = 4001;

/// Longer times would be beyond what clocks, and Go's durations, can count to.
const FOREVER: Duration = Duration::from_secs(365 * 86_400);

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
/// | `lock` | the lock that transactions take: `rqlite:name` ([`RqliteLock`]) or `thread:name` ([`ThreadLock`]) | none |
/// | `exactly_once` | `true` or `false`: settle commits whose answer was lost | `false` |
/// | `ca_cert` | a PEM file with the certificates to trust instead of the web's; read when the URL is parsed | |
///
/// A duration is a number with `ms`, `s` or `m`. An option that is not in this list is an error.
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
    credentials: Option<(String, String)>,
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
    pub(crate) ca_pem: Option<Vec<u8>>,
    #[cfg(feature = "async")]
    pub(crate) shared: Shared,
}

#[derive(Clone, PartialEq)]
struct Address {
    tls: bool,
    host: String,
    port: u16,
    prefix: String,
}

impl RqliteConfig {
    /// One node, by plain HTTP.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        RqliteConfig {
            nodes: vec![Address {
                tls: false,
                host: bracketed(host.into()),
                port,
                prefix: String::new(),
            }],
            credentials: None,
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
            ca_pem: None,
            #[cfg(feature = "async")]
            shared: Shared::default(),
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
            host: bracketed(host),
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
        self.credentials = Some((user.into(), password.into()));
        self
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

    /// How long sending a request may take, then waiting for its answer, then receiving it.
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
        self.leader_timeout = timeout;
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

    /// Certificates in PEM to trust, instead of those the web trusts.
    #[must_use]
    pub fn ca_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca_pem = Some(pem.into());
        self.with_own_connections()
    }

    /// Connects, and asks the leader once (at level `none`: the node) whether it answers.
    ///
    /// # Errors
    ///
    /// `BadConnection` where no node answers, or refuses the credentials; `InvalidConnectionUrl` where options
    /// contradict each other.
    pub fn connect(&self) -> ConnectionResult<RqliteConnection> {
        self.check()?;
        RqliteConnection::connect(self, &format!("{self:?}"))
    }

    /// The same for an asynchronous connection.
    ///
    /// Those of one configuration, its clones included, share their HTTP connections: there are as many as there are
    /// requests at one time. They belong to the runtime in which they were made, which must run as long as they are
    /// used; do not share a configuration between runtimes.
    ///
    /// # Errors
    ///
    /// Those of [`connect`](Self::connect).
    #[cfg(feature = "async")]
    pub async fn connect_async(&self) -> ConnectionResult<AsyncRqliteConnection> {
        self.check()?;
        AsyncRqliteConnection::connect(self, &format!("{self:?}")).await
    }

    /// What a pool of asynchronous connections does to make one:
    /// [`connect_async`](Self::connect_async), so that they share their HTTP connections. The URL that is given to
    /// the manager along with it is not looked at.
    ///
    /// ```no_run
    /// # #[cfg(feature = "deadpool")]
    /// # {
    /// use diesel_async::pooled_connection::{AsyncDieselConnectionManager, deadpool::Pool};
    /// use diesel_rqlite::{AsyncRqliteConnection, RqliteConfig};
    ///
    /// let config = RqliteConfig::new("localhost", 4001).manager_config();
    /// let manager = AsyncDieselConnectionManager::<AsyncRqliteConnection>::new_with_config("", config);
    /// let pool = Pool::builder(manager).max_size(16).build();
    /// # }
    /// ```
    #[cfg(feature = "async")]
    pub fn manager_config(&self) -> ManagerConfig<AsyncRqliteConnection> {
        let config = self.clone();
        let mut manager = ManagerConfig::default();
        manager.custom_setup = Box::new(move |_| {
            let config = config.clone();
            Box::pin(async move { config.connect_async().await })
        });
        manager
    }

    #[cfg(not(feature = "rustls"))]
    pub(crate) fn uses_tls(&self) -> bool {
        self.nodes.iter().any(|node| node.tls)
    }

    /// Connections that are made in another way are not those of the configuration that this was cloned from.
    fn with_own_connections(self) -> Self {
        RqliteConfig {
            #[cfg(feature = "async")]
            shared: Shared::default(),
            ..self
        }
    }

    fn check(&self) -> Result<(), ConfigError> {
        if self.freshness.is_some() && self.level != ReadConsistency::None {
            return Err(Kind::FreshnessWithoutNone.into());
        }
        Ok(())
    }

    pub(crate) fn nodes(&self) -> Vec<String> {
        self.nodes.iter().map(ToString::to_string).collect()
    }

    fn place(&self) -> Place {
        Place {
            seeds: self.nodes(),
            user: self.credentials.as_ref().map(|(user, _)| user.clone()),
            ca_pem: self.ca_pem.clone(),
            manner: Manner {
                discovery: self.discovery,
                forwarding: self.forwarding,
                preferred: self.preferred.as_ref().map(ToString::to_string),
            },
        }
    }

    pub(crate) fn session<C: Client>(&self) -> ConnectionResult<Session<C>> {
        let known = shared::known(&self.place());
        let nodes = Nodes::new(known, self.nodes[0].to_string());
        Ok(Session::new(C::open(self)?, nodes, self.settings()))
    }

    pub(crate) fn transaction_options(&self) -> Options {
        self.transaction.clone()
    }

    pub(crate) fn settings(&self) -> Settings {
        let credentials = self.credentials.as_ref();
        let settings = Settings::new(
            self.level,
            self.freshness,
            self.freshness_strict,
            self.leader_timeout,
            credentials.map(|(user, password)| (user.as_str(), password.as_str())),
        );
        Settings {
            db_timeout: self.db_timeout,
            ..settings
        }
    }

    fn option(mut self, key: &str, value: &str) -> Result<Self, ConfigError> {
        match key {
            "level" => {
                self.level = ReadConsistency::from_name(value).ok_or_else(|| {
                    invalid(key, value, "none, weak, linearizable, strong or auto")
                })?;
            }
            "freshness" => self = self.freshness(duration(key, value)?),
            "freshness_strict" => self.freshness_strict = boolean(key, value)?,
            "nodes" => {
                for node in value.split(',') {
                    let (host, port) = host_and_port(node)
                        .ok_or_else(|| invalid(key, value, "host:port,host:port"))?;
                    self = self.node(host, port);
                }
            }
            "discovery" => self.discovery = boolean(key, value)?,
            "forwarding" => {
                self.forwarding = Forwarding::from_name(value)
                    .ok_or_else(|| invalid(key, value, "auto, always or never"))?;
            }
            "prefer" => {
                let (host, port) =
                    host_and_port(value).ok_or_else(|| invalid(key, value, "host:port"))?;
                self = self.prefer(host, port);
            }
            "db_timeout" => self = self.db_timeout(timeout(key, value)?),
            "connect_timeout" => self = self.connect_timeout(timeout(key, value)?),
            "request_timeout" => self = self.request_timeout(timeout(key, value)?),
            "leader_timeout" => self.leader_timeout = duration(key, value)?,
            "transaction" => {
                self.transaction.mode = TransactionMode::from_name(value)
                    .ok_or_else(|| invalid(key, value, "interactive, eager or deferred"))?;
            }
            "lock" => self.transaction.locking = lock(key, value)?,
            "exactly_once" => self.transaction.exactly_once = boolean(key, value)?,
            // Not documented: to see what goes wrong without them.
            "guards" if value == "off" => self.transaction.guards = false,
            "ca_cert" => {
                let pem = std::fs::read(value).map_err(|error| Kind::Unreadable {
                    file: value.to_owned(),
                    error,
                })?;
                self.ca_pem = Some(pem);
            }
            _ => return Err(Kind::UnknownOption(key.to_owned()).into()),
        }
        Ok(self)
    }
}

impl std::str::FromStr for RqliteConfig {
    type Err = ConfigError;

    fn from_str(url: &str) -> Result<Self, ConfigError> {
        // What is wrong is said without the text, which may hold a password.
        let url = Url::parse(url).map_err(Kind::Url)?;
        let (tls, default_port) = match url.scheme() {
            "rqlite" => (false, DEFAULT_PORT),
            "rqlites" => (true, DEFAULT_PORT),
            "http" => (false, 80),
            "https" => (true, 443),
            scheme => return Err(Kind::ForeignScheme(scheme.to_owned()).into()),
        };
        let host = url
            .host_str()
            .filter(|host| !host.is_empty())
            .ok_or(Kind::NoHost)?;
        if url.fragment().is_some() {
            return Err(Kind::Fragment.into());
        }
        let mut config = Self::new(host, url.port().unwrap_or(default_port));
        config.nodes[0].tls = tls;
        config.nodes[0].prefix = url.path().trim_end_matches('/').to_owned();
        if !url.username().is_empty() || url.password().is_some() {
            let user = decoded(url.username())?;
            config.credentials = Some((user, decoded(url.password().unwrap_or_default())?));
        }
        for (key, value) in url.query_pairs() {
            config = config.option(&key, &value)?;
        }
        config.check()?;
        Ok(config)
    }
}

fn decoded(text: &str) -> Result<String, ConfigError> {
    let decoded = percent_decode_str(text).decode_utf8();
    Ok(decoded.map_err(|_| Kind::Credentials)?.into_owned())
}

/// In a URL an IPv6 address stands in brackets.
fn bracketed(host: String) -> String {
    match host.parse::<std::net::Ipv6Addr>() {
        Ok(_) => format!("[{host}]"),
        Err(_) => host,
    }
}

fn host_and_port(node: &str) -> Option<(&str, u16)> {
    match node.rsplit_once(':') {
        // An IPv6 address without a port ends in `]`.
        Some((host, port)) if !port.ends_with(']') => {
            (!host.is_empty()).then_some((host, port.parse().ok()?))
        }
        _ => (!node.is_empty()).then_some((node, DEFAULT_PORT)),
    }
}

/// `rqlite:name` or `thread:name`. A lock with more to say than its name is given to the builder.
fn lock(key: &str, value: &str) -> Result<Locking, ConfigError> {
    match value.split_once(':') {
        Some(("rqlite", name)) if !name.is_empty() => Ok(RqliteLock::new(name).locking()),
        Some(("thread", name)) if !name.is_empty() => Ok(ThreadLock::new(name).locking()),
        _ => Err(invalid(key, value, "rqlite:name or thread:name")),
    }
}

fn boolean(key: &str, value: &str) -> Result<bool, ConfigError> {
    value
        .parse()
        .map_err(|_| invalid(key, value, "true or false"))
}

fn timeout(key: &str, value: &str) -> Result<Duration, ConfigError> {
    match duration(key, value)? {
        Duration::ZERO => Err(invalid(key, value, "more than nothing")),
        timeout => Ok(timeout),
    }
}

fn duration(key: &str, value: &str) -> Result<Duration, ConfigError> {
    let units = [("ms", 1), ("s", 1000), ("m", 60_000)];
    let parsed = units.iter().find_map(|(unit, milliseconds)| {
        let number: u64 = value.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(*milliseconds).map(Duration::from_millis)
    });
    parsed.ok_or_else(|| invalid(key, value, "a number with ms, s or m, such as 500ms"))
}

fn invalid(key: &str, value: &str, wanted: &'static str) -> ConfigError {
    // `user:password@host` where only a host belongs.
    let value = if value.contains('@') { "…" } else { value };
    Kind::InvalidValue {
        key: key.to_owned(),
        value: value.to_owned(),
        wanted,
    }
    .into()
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
            .field("user", &self.credentials.as_ref().map(|(user, _)| user))
            .field("level", &self.level)
            .field("freshness", &self.freshness)
            .field("connect_timeout", &self.connect_timeout)
            .field("request_timeout", &self.request_timeout)
            .field("leader_timeout", &self.leader_timeout)
            .field("transaction", &self.transaction)
            .finish_non_exhaustive()
    }
}

/// Why a URL is not understood. Names the option or the value, never the password.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ConfigError(#[from] Kind);

impl ConfigError {
    /// Whether the URL is one of another database, so that a program with several backends may try the next.
    pub fn is_foreign_scheme(&self) -> bool {
        matches!(self.0, Kind::ForeignScheme(_))
    }
}

#[derive(Debug, thiserror::Error)]
enum Kind {
    #[error("not a URL: {0}")]
    Url(url::ParseError),
    #[error("scheme `{0}` is not one of rqlite, rqlites, http, https; a URL is rqlite://host:4001")]
    ForeignScheme(String),
    #[error("the URL names no host")]
    NoHost,
    #[error("the URL has a fragment (`#…`); a `#` in a password is written %23")]
    Fragment,
    #[error("user or password are not percent-encoded UTF-8")]
    Credentials,
    #[error("unknown option `{0}`")]
    UnknownOption(String),
    #[error("option `{key}`: `{value}` is not {wanted}")]
    InvalidValue {
        key: String,
        value: String,
        wanted: &'static str,
    },
    #[error("option `freshness` is only for reads at level `none`")]
    FreshnessWithoutNone,
    #[error("option `ca_cert`: {file}: {error}")]
    Unreadable { file: String, error: std::io::Error },
}

impl From<ConfigError> for ConnectionError {
    fn from(error: ConfigError) -> Self {
        ConnectionError::InvalidConnectionUrl(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::request::Way;

    fn parse(url: &str) -> RqliteConfig {
        url.parse().expect(url)
    }

    fn error(url: &str) -> String {
        url.parse::<RqliteConfig>().expect_err(url).to_string()
    }

    fn bases(config: &RqliteConfig) -> Vec<String> {
        config.nodes()
    }

    #[test]
    fn schemes_ports_and_prefixes() {
        for (url, base) in [
            ("rqlite://h", "http://h:4001"),
            ("rqlites://h", "https://h:4001"),
            ("rqlite://h:5/", "http://h:5"),
            ("http://h", "http://h:80"),
            ("https://h/a/b/", "https://h:443/a/b"),
            ("rqlite://[::1]:4001", "http://[::1]:4001"),
        ] {
            assert_eq!(bases(&parse(url)), [base], "{url}");
        }
    }

    #[test]
    fn builder_says_what_urls_say() {
        let built = RqliteConfig::new("::1", 4001).node("b", 5).tls();
        assert_eq!(bases(&built), ["https://[::1]:4001", "https://b:5"]);
        assert_eq!(built, parse("rqlites://[::1]?nodes=b:5"));
        let stale = RqliteConfig::new("h", 1).freshness(Duration::from_secs(1));
        assert!(
            stale
                .connect()
                .is_err_and(|error| error.to_string().contains("level `none`"))
        );
    }

    #[test]
    fn options() {
        let config = parse(
            "rqlite://a?level=none&freshness=1s&freshness_strict=true&nodes=b:4003,c,[::1]&connect_timeout=500ms\
             &request_timeout=1m&leader_timeout=0s&transaction=deferred",
        );
        assert_eq!(
            bases(&config),
            [
                "http://a:4001",
                "http://b:4003",
                "http://c:4001",
                "http://[::1]:4001"
            ]
        );
        assert_eq!(config.level, ReadConsistency::None);
        assert_eq!(config.freshness, Some(Duration::from_secs(1)));
        assert_eq!(config.connect_timeout, Duration::from_millis(500));
        assert_eq!(config.request_timeout, Duration::from_secs(60));
    }

    #[test]
    fn errors_name_what_is_wrong() {
        for (url, wanted) in [
            ("rqlite://h?levl=weak", "`levl`"),
            ("rqlite://h?level=Weak", "`Weak`"),
            ("rqlite://h?request_timeout=5", "`request_timeout`"),
            ("rqlite://h?request_timeout=0s", "more than nothing"),
            ("rqlite://h?transaction=psychic", "`psychic`"),
            ("rqlite://h?nodes=a:b", "`nodes`"),
            ("rqlite://h?nodes=u:secret@h:x", "`…`"),
            ("rqlite://h?freshness=1s", "level `none`"),
            ("rqlite://h?ca_cert=/does/not/exist", "/does/not/exist"),
            ("postgres://h", "`postgres`"),
            ("file.db", "not a URL"),
            ("rqlite:///x", "host"),
            ("rqlite://h#x", "fragment"),
        ] {
            assert!(error(url).contains(wanted), "{url}: {}", error(url));
        }
        let foreign = "mysql://h".parse::<RqliteConfig>();
        assert!(foreign.is_err_and(|error| error.is_foreign_scheme()));
    }

    #[test]
    fn passwords_are_decoded_and_never_shown() {
        let config = parse("rqlite://us%40er:s%23cret%2F@h");
        assert_eq!(
            config.credentials,
            Some(("us@er".to_owned(), "s#cret/".to_owned()))
        );
        let shown = format!("{config:?} {}", error("rqlite://u:hunter2@h?x=1"));
        assert!(
            !shown.contains("s#cret") && !shown.contains("hunter2"),
            "{shown}"
        );
        let request = crate::protocol::request::Exchange::new(
            crate::protocol::request::Endpoint::Query { transaction: false },
            bytes::Bytes::new(),
        );
        let request = request
            .to_node(
                "http://h",
                ReadConsistency::Weak,
                Way::Redirect,
                &config.settings(),
            )
            .expect("valid");
        assert_eq!(
            request.headers()["authorization"],
            "Basic dXNAZXI6cyNjcmV0Lw=="
        );
        assert!(!format!("{request:?}").contains("dXNAZXI6"));
    }
}
