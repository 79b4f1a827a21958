//! Either connection, for what both do by HTTP clients of their own.

use std::time::Duration;

use diesel::prelude::*;
use diesel_rqlite::{
    AsyncRqliteConnection, BackupOptions, ClusterError, RqliteConfig, RqliteConnection,
};
use tokio::runtime::Runtime;

pub(crate) enum Any {
    Blocking(Box<RqliteConnection>),
    Async(Box<AsyncRqliteConnection>, Runtime),
}

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Blocking,
    Async,
    /// On a runtime without threads of its own: between two calls nobody looks at the sockets.
    Local,
}

pub(crate) const KINDS: [Kind; 2] = [Kind::Blocking, Kind::Async];
pub(crate) const KINDS_AND_RUNTIMES: [Kind; 3] = [Kind::Blocking, Kind::Async, Kind::Local];

impl Kind {
    pub(crate) fn connect(self, config: &RqliteConfig) -> ConnectionResult<Any> {
        // Its connections are not those of another runtime.
        let config = config.clone().connect_timeout(Duration::from_secs(5));
        self.connect_as_it_is(&config)
    }

    /// With a configuration that has no connections yet.
    pub(crate) fn connect_as_it_is(self, config: &RqliteConfig) -> ConnectionResult<Any> {
        match self {
            Kind::Blocking => config.connect().map(|conn| Any::Blocking(Box::new(conn))),
            Kind::Async | Kind::Local => {
                let mut builder = match self {
                    Kind::Local => tokio::runtime::Builder::new_current_thread(),
                    _ => tokio::runtime::Builder::new_multi_thread(),
                };
                let runtime = builder.worker_threads(1).enable_all().build();
                let runtime = runtime.expect("a runtime");
                let connected = runtime.block_on(config.connect_async());
                connected.map(|conn| Any::Async(Box::new(conn), runtime))
            }
        }
    }

    pub(crate) fn connect_url(self, url: &str) -> ConnectionResult<Any> {
        self.connect(&url.parse()?)
    }
}

impl Any {
    pub(crate) fn execute(&mut self, sql: &str) -> QueryResult<usize> {
        match self {
            Any::Blocking(conn) => {
                diesel::RunQueryDsl::execute(diesel::sql_query(sql), &mut **conn)
            }
            Any::Async(conn, runtime) => runtime.block_on(diesel_async::RunQueryDsl::execute(
                diesel::sql_query(sql),
                &mut **conn,
            )),
        }
    }

    /// The same in a transaction, and under its lock.
    pub(crate) fn execute_in_transaction(&mut self, sql: &str) -> QueryResult<usize> {
        match self {
            Any::Blocking(conn) => {
                conn.transaction(|conn| diesel::RunQueryDsl::execute(diesel::sql_query(sql), conn))
            }
            Any::Async(conn, runtime) => {
                let sql = sql.to_owned();
                runtime.block_on(diesel_async::AsyncConnection::transaction(
                    &mut **conn,
                    async move |conn| {
                        diesel_async::RunQueryDsl::execute(diesel::sql_query(sql), conn).await
                    },
                ))
            }
        }
    }

    /// Begins a backup.
    pub(crate) fn backup(&mut self) -> Result<(), ClusterError> {
        let options = BackupOptions::new();
        match self {
            Any::Blocking(conn) => conn.cluster().backup(options).map(|_| ()),
            Any::Async(conn, runtime) => {
                let begun = runtime.block_on(conn.cluster().backup(options));
                begun.map(|_| ())
            }
        }
    }

    /// The rows of a query with a column named `value`.
    pub(crate) fn values(&mut self, sql: &str) -> QueryResult<Vec<i64>> {
        #[derive(QueryableByName)]
        struct One {
            #[diesel(sql_type = diesel::sql_types::BigInt)]
            value: i64,
        }
        let query = diesel::sql_query(sql);
        let rows: Vec<One> = match self {
            Any::Blocking(conn) => diesel::RunQueryDsl::load(query, &mut **conn)?,
            Any::Async(conn, runtime) => {
                runtime.block_on(diesel_async::RunQueryDsl::load(query, &mut **conn))?
            }
        };
        Ok(rows.into_iter().map(|row| row.value).collect())
    }
}

pub(crate) fn message<T>(outcome: ConnectionResult<T>) -> String {
    match outcome {
        Ok(_) => panic!("connects"),
        Err(error) => error.to_string(),
    }
}
