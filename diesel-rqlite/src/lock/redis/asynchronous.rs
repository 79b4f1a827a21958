//! Asynchronous access to the server, over one connection for all tasks.

use std::future::Future;
use std::time::{Duration, Instant};

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterConfig;
use redis::cluster_async::ClusterConnection;
use redis::{AsyncConnectionConfig, Cmd, RedisError, RedisResult};

use super::store::{Answer, Call, Failure, Server, Store, command, trusted_cryptography};
use crate::mutex::locked;

/// A connection that carries the requests of many tasks at once.
#[derive(Clone)]
pub(super) enum Link {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

pub(super) async fn run(store: &Store, call: Call<'_>, limit: Duration) -> Result<Answer, Failure> {
    let ends = Instant::now() + limit;
    let command = command(call);
    let mut sent_again = false;
    let known = locked(&store.shared).clone();
    if let Some(link) = known {
        match within(ends, query(link, &command)).await {
            Ok(numbers) => {
                return Ok(Answer {
                    numbers,
                    sent_again,
                });
            }
            Err(error) => {
                *locked(&store.shared) = None;
                // The server closed the connection, perhaps long ago.
                if !error.is_connection_dropped() {
                    return Err(store.failure(&error));
                }
                sent_again = true;
            }
        }
    }
    let link = within(ends, connect(&store.server, 2 * limit)).await;
    let link = link.map_err(|error| store.failure(&error))?;
    let numbers = within(ends, query(link.clone(), &command)).await;
    let numbers = numbers.map_err(|error| store.failure(&error))?;
    *locked(&store.shared) = Some(link);
    Ok(Answer {
        numbers,
        sent_again,
    })
}

/// Connects. The caller limits the time of connecting and of each request. The connection's own
/// limits are off, or so long that the caller's come first, since a cluster client does not report
/// its own timeout as one.
async fn connect(server: &Server, limit: Duration) -> RedisResult<Link> {
    trusted_cryptography();
    match server {
        Server::Single(client) => {
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(Some(limit))
                .set_response_timeout(None);
            let connection = client.get_multiplexed_async_connection_with_config(&config);
            Ok(Link::Single(connection.await?))
        }
        Server::Cluster(client) => {
            let config = ClusterConfig::new()
                .set_connection_timeout(limit)
                .set_response_timeout(limit);
            let connection = client.get_async_connection_with_config(config);
            Ok(Link::Cluster(connection.await?))
        }
    }
}

async fn query(link: Link, command: &Cmd) -> RedisResult<Vec<i64>> {
    async fn on(mut link: impl ConnectionLike, command: &Cmd) -> RedisResult<Vec<i64>> {
        command.query_async(&mut link).await
    }
    match link {
        Link::Single(connection) => on(connection, command).await,
        Link::Cluster(connection) => on(connection, command).await,
    }
}

async fn within<T>(ends: Instant, run: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    let outcome = tokio::time::timeout_at(ends.into(), run).await;
    outcome.unwrap_or_else(|_| {
        let error = std::io::Error::from(std::io::ErrorKind::TimedOut);
        Err(RedisError::from(error))
    })
}
