//! The server or cluster that holds the locks: connections, scripts, and errors.

use std::future::Future;
use std::sync::Mutex;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use redis::cluster::{ClusterClient, ClusterClientBuilder, ClusterConfig, ClusterConnection};
use redis::io::tcp::TcpSettings;
use redis::{Client, Cmd, Connection, ConnectionInfo, ErrorKind, IntoConnectionInfo, RedisError};

#[cfg(feature = "async")]
use super::asynchronous;
use crate::lock::thread::Held;
use crate::lock::{LockError, ThreadLock};
use crate::mutex::locked;
#[cfg(feature = "async")]
use crate::runtime::Tokio;
use crate::runtime::{Blocking, Runtime};

pub(super) const ACQUIRE: &str = include_str!("acquire.lua");
pub(super) const RENEW: &str = include_str!("renew.lua");
pub(super) const RELEASE: &str = include_str!("release.lua");

/// The number of idle connections to keep. Further ones are closed when they are returned.
const IDLE: usize = 8;

/// Errors of a server that will be available again in a moment. If they occur within a script, they
/// are somewhere in the text of another error.
const PASSING: [&str; 11] = [
    "ASK",
    "BUSY",
    "CLUSTERDOWN",
    "LOADING",
    "MASTERDOWN",
    "MOVED",
    "NOREPLICAS",
    "READONLY",
    "TRYAGAIN",
    // From the answer to SELECT, where the client drops the error code.
    "busy running a script",
    "max number of clients",
];

/// Errors that do not pass, however they are wrapped.
const LASTING: [&str; 2] = ["AuthenticationFailed", "invalid peer certificate"];

/// The server or cluster on which locks are held.
pub(super) struct Store {
    pub(super) server: Server,
    /// The address, for error messages.
    address: String,
    /// The password, which is removed from error messages: a server may repeat what it was sent.
    password: Option<String>,
    idle: Mutex<Vec<Link>>,
    /// The connection that all tasks share.
    #[cfg(feature = "async")]
    pub(super) shared: Mutex<Option<asynchronous::Link>>,
    trouble: Mutex<Option<String>>,
}

#[derive(Clone)]
// There is only one value for each lock.
#[allow(clippy::large_enum_variant)]
pub(super) enum Server {
    Single(Client),
    Cluster(ClusterClient),
}

enum Link {
    Single(Connection),
    // Boxed for its size.
    Cluster(Box<ClusterConnection>),
}

/// A call of one of the scripts.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) script: &'static str,
    pub(super) keys: &'a [String],
    pub(super) arguments: &'a [&'a str],
}

/// A runtime that can call the server in its own way of waiting.
pub(super) trait Caller: Runtime {
    /// Waits for this caller's turn in the process.
    fn enter(queue: &ThreadLock) -> impl Future<Output = Result<Held, LockError>> + Send;

    /// Runs a script. This takes one round trip on an existing connection.
    fn run(
        store: &Store,
        call: Call<'_>,
        limit: Duration,
    ) -> impl Future<Output = Result<Answer, Failure>> + Send;

    /// Runs a script, and records whether that worked.
    fn call(
        store: &Store,
        call: Call<'_>,
        limit: Duration,
    ) -> impl Future<Output = Result<Answer, Failure>> + Send {
        async move {
            let outcome = Self::run(store, call, limit).await;
            *locked(&store.trouble) = match &outcome {
                Ok(_) => None,
                Err(Failure::Passing(reason) | Failure::Lasting(reason)) => Some(reason.clone()),
            };
            outcome
        }
    }
}

impl Caller for Blocking {
    async fn enter(queue: &ThreadLock) -> Result<Held, LockError> {
        queue.enter()
    }

    async fn run(store: &Store, call: Call<'_>, limit: Duration) -> Result<Answer, Failure> {
        store.run(call, limit)
    }
}

#[cfg(feature = "async")]
impl Caller for Tokio {
    async fn enter(queue: &ThreadLock) -> Result<Held, LockError> {
        queue.enter_async().await
    }

    async fn run(store: &Store, call: Call<'_>, limit: Duration) -> Result<Answer, Failure> {
        asynchronous::run(store, call, limit).await
    }
}

pub(super) struct Answer {
    pub(super) numbers: Vec<i64>,
    /// Set if the connection broke after the script had been sent. The script was sent twice then,
    /// and may have run twice.
    pub(super) sent_again: bool,
}

/// The reason why there is no answer.
pub(super) enum Failure {
    /// The next attempt may succeed.
    Passing(String),
    /// No attempt will succeed until somebody changes something.
    Lasting(String),
}

impl Store {
    pub(super) fn single(url: &str) -> Result<Self, String> {
        let client = Client::open(connection_info(url)?).map_err(|error| error.to_string())?;
        Ok(Self::from_client(client))
    }

    pub(super) fn cluster<'a>(urls: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let nodes = urls.into_iter().map(connection_info);
        let nodes: Vec<_> = nodes.collect::<Result<_, _>>()?;
        let addresses: Vec<_> = nodes.iter().map(|node| node.addr().to_string()).collect();
        let password = nodes.first().and_then(password);
        // The client follows redirections. Waiting for an election is up to the caller that waits
        // for the lock.
        let client = ClusterClientBuilder::new(nodes).retries(3).build();
        let client = client.map_err(|error| error.to_string())?;
        Ok(Self::new(
            Server::Cluster(client),
            addresses.join(", "),
            password,
        ))
    }

    pub(super) fn from_client(client: Client) -> Self {
        let information = client.get_connection_info();
        let address = information.addr().to_string();
        let password = password(information);
        Self::new(Server::Single(client), address, password)
    }

    pub(super) fn from_cluster_client(client: ClusterClient) -> Self {
        Self::new(Server::Cluster(client), "the cluster".to_owned(), None)
    }

    fn new(server: Server, address: String, password: Option<String>) -> Self {
        Store {
            server,
            address,
            password,
            idle: Mutex::default(),
            #[cfg(feature = "async")]
            shared: Mutex::default(),
            trouble: Mutex::default(),
        }
    }

    /// Returns the address of the server, or of the initial nodes of the cluster.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Returns why the last call failed, or `None` if it succeeded.
    pub(super) fn trouble(&self) -> Option<String> {
        locked(&self.trouble).clone()
    }

    fn run(&self, call: Call<'_>, limit: Duration) -> Result<Answer, Failure> {
        let began = Instant::now();
        let idle = locked(&self.idle).pop();
        let mut sent_again = false;
        if let Some(link) = idle {
            match self.send(link, call, limit) {
                Ok(numbers) => {
                    return Ok(Answer {
                        numbers,
                        sent_again,
                    });
                }
                // The server closed the connection, perhaps long ago. It has probably closed the
                // others, too.
                Err(error) if error.is_connection_dropped() => {
                    locked(&self.idle).clear();
                    sent_again = true;
                }
                Err(error) => return Err(self.failure(&error)),
            }
        }
        // A timeout of zero would mean no timeout.
        let left = |limit: Duration| {
            limit
                .saturating_sub(began.elapsed())
                .max(Duration::from_millis(1))
        };
        let link = self.connect(left(limit));
        let link = link.map_err(|error| self.failure(&error))?;
        let numbers = self.send(link, call, left(limit));
        let numbers = numbers.map_err(|error| self.failure(&error))?;
        Ok(Answer {
            numbers,
            sent_again,
        })
    }

    /// Connects in a separate thread, since address lookup has no timeout.
    fn connect(&self, limit: Duration) -> Result<Link, RedisError> {
        let server = self.server.clone();
        within(limit, move || match server {
            Server::Single(client) => {
                trusted_cryptography();
                Ok(Link::Single(client.get_connection_with_timeout(limit)?))
            }
            Server::Cluster(client) => {
                trusted_cryptography();
                let config = ClusterConfig::new()
                    .set_connection_timeout(limit)
                    .set_response_timeout(limit);
                let connection = client.get_connection_with_config(config)?;
                Ok(Link::Cluster(Box::new(connection)))
            }
        })
    }

    /// Sends a script. Only a connection that has answered well is reused.
    fn send(&self, link: Link, call: Call<'_>, limit: Duration) -> Result<Vec<i64>, RedisError> {
        let command = command(call);
        let (link, numbers) = match link {
            Link::Single(mut connection) => {
                connection.set_read_timeout(Some(limit))?;
                connection.set_write_timeout(Some(limit))?;
                let numbers = command.query(&mut connection)?;
                (Link::Single(connection), numbers)
            }
            // Runs in a separate thread, since the client retries by itself, each time with the
            // full timeout.
            Link::Cluster(mut connection) => within(limit, move || {
                connection.set_read_timeout(Some(limit))?;
                connection.set_write_timeout(Some(limit))?;
                let numbers = command.query(&mut *connection)?;
                Ok((Link::Cluster(connection), numbers))
            })?,
        };
        let mut idle = locked(&self.idle);
        if idle.len() < IDLE {
            idle.push(link);
        }
        Ok(numbers)
    }

    pub(super) fn failure(&self, error: &RedisError) -> Failure {
        let text = error.to_string();
        let passing = match error.kind() {
            _ if LASTING.iter().any(|words| text.contains(words)) => false,
            // `Client` is the error of a cluster whose slots are not all served.
            ErrorKind::Io
            | ErrorKind::Parse
            | ErrorKind::Client
            | ErrorKind::ClusterConnectionNotFound => true,
            ErrorKind::InvalidClientConfig => false,
            _ => PASSING.iter().any(|word| text.contains(word)),
        };
        let reason = if error.is_timeout() {
            "no answer in time"
        } else {
            &text
        };
        let reason = self.described(reason);
        if passing {
            Failure::Passing(reason)
        } else {
            Failure::Lasting(reason)
        }
    }

    /// Returns the error for an answer that none of the scripts gives.
    pub(super) fn senseless(&self) -> Failure {
        Failure::Lasting(self.described("the answer makes no sense"))
    }

    fn described(&self, reason: &str) -> String {
        let reason = match &self.password {
            Some(password) if !password.is_empty() => reason.replace(password, "…"),
            _ => reason.to_owned(),
        };
        format!("{}: {reason}", self.address)
    }
}

/// Parses a URL. The errors do not contain its text.
fn connection_info(url: &str) -> Result<ConnectionInfo, String> {
    let information = url.into_connection_info();
    let information = information.map_err(|error| error.to_string())?;
    Ok(information.set_tcp_settings(TcpSettings::default().set_nodelay(true)))
}

fn password(information: &ConnectionInfo) -> Option<String> {
    let settings = information.redis_settings();
    settings.password().map(str::to_owned)
}

/// Builds the command. The whole script is sent each time. It has half a kilobyte, and this avoids
/// a second round trip if the server does not have the script cached.
pub(super) fn command(call: Call<'_>) -> Cmd {
    let mut command = redis::cmd("EVAL");
    command.arg(call.script).arg(call.keys.len());
    command.arg(call.keys).arg(call.arguments);
    command
}

/// Runs a function in a thread. The thread is left running if the function takes too long.
fn within<T: Send + 'static>(
    limit: Duration,
    run: impl FnOnce() -> Result<T, RedisError> + Send + 'static,
) -> Result<T, RedisError> {
    let (send, receive) = channel();
    thread::Builder::new()
        .name("diesel-rqlite lock".to_owned())
        .spawn(move || send.send(run()))?;
    receive.recv_timeout(limit).unwrap_or_else(|error| {
        let kind = match error {
            RecvTimeoutError::Timeout => std::io::ErrorKind::TimedOut,
            RecvTimeoutError::Disconnected => std::io::ErrorKind::Other,
        };
        Err(std::io::Error::from(kind).into())
    })
}

/// Installs a default cryptography provider for rustls if there is none. The client asks rustls for
/// the process's provider, and rustls panics if there are two to choose from, as in a program that
/// also uses aws-lc-rs.
pub(super) fn trusted_cryptography() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Fails if another thread was faster.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}
