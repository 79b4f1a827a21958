//! A node and a connection for one test.

use std::ops::{Deref, DerefMut};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel_rqlite_tests::{Rqlited, RqlitedBuilder};

use super::RqliteConnection;

/// An empty database of its own, stopped at the end of the test.
pub(crate) struct Database {
    pub(crate) node: Rqlited,
    connection: RqliteConnection,
}

impl Database {
    pub(crate) fn new() -> Self {
        Self::on(Rqlited::builder())
    }

    pub(crate) fn on(builder: RqlitedBuilder) -> Self {
        let node = builder.start();
        let connection = connect(&node.url());
        Database { node, connection }
    }

    /// With this schema.
    pub(crate) fn with(schema: &str) -> Self {
        let mut database = Self::new();
        database.batch_execute(schema).expect(schema);
        database
    }

    /// Another connection to the same database.
    pub(crate) fn another(&self) -> RqliteConnection {
        connect(&self.node.url())
    }

    /// With this schema, and a connection with these options.
    pub(crate) fn with_options(schema: &str, options: &str) -> Self {
        let mut database = Self::with(schema);
        database.connection = database.another_with(options);
        database
    }

    /// Another connection to the same database, with these options.
    pub(crate) fn another_with(&self, options: &str) -> RqliteConnection {
        let url = self.node.url();
        let separator = if url.contains('?') { '&' } else { '?' };
        connect(&format!("{url}{separator}{options}"))
    }

    /// How many requests `run` sends.
    pub(crate) fn requests<T>(&mut self, run: impl FnOnce(&mut RqliteConnection) -> T) -> (T, u64) {
        let before = self.connection.http_requests();
        let value = run(&mut self.connection);
        (value, self.connection.http_requests() - before)
    }

    pub(crate) fn count(&mut self, table: &str) -> i64 {
        self.one(&format!("SELECT count(*) AS value FROM {table}"))
    }

    /// The one value of a raw query, named `value`.
    pub(crate) fn one(&mut self, sql: &str) -> i64 {
        one(&mut self.connection, sql)
    }
}

/// The one value of a raw query, named `value`.
pub(crate) fn one(connection: &mut RqliteConnection, sql: &str) -> i64 {
    #[derive(QueryableByName)]
    struct One {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        value: i64,
    }
    let one = diesel::sql_query(sql).get_result::<One>(connection);
    one.expect(sql).value
}

impl Deref for Database {
    type Target = RqliteConnection;

    fn deref(&self) -> &RqliteConnection {
        &self.connection
    }
}

impl DerefMut for Database {
    fn deref_mut(&mut self) -> &mut RqliteConnection {
        &mut self.connection
    }
}

pub(crate) fn connect(url: &str) -> RqliteConnection {
    RqliteConnection::establish(url).unwrap_or_else(|error| panic!("{url}: {error}"))
}
