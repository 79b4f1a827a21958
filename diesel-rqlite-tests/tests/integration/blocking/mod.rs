//! On the blocking connection.

pub(crate) use diesel_rqlite::RqliteConnection;

/// Whether the connection is told the types of a query's columns.
const KNOWS_TYPES: bool = true;

fn connect_by(config: &diesel_rqlite::RqliteConfig) -> diesel::ConnectionResult<RqliteConnection> {
    config.connect()
}

crate::on_both_connections!();

#[path = "../killed_clients.rs"]
mod killed_clients;
#[path = "../node_http.rs"]
mod node_http;
