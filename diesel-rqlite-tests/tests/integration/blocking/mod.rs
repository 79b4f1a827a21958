//! On the blocking connection.

pub(crate) use diesel_rqlite::RqliteConnection;

/// How many are opened for requests one after the other.
const HTTP_CONNECTIONS: usize = 1;

/// Whether Diesel says of what types the columns of a query are.
const TELLS_TYPES: bool = true;
/// Whether a write that finds no other one is not waited for by those that share requests.
const SENDS_ALONE: bool = false;

fn connect_by(config: &diesel_rqlite::RqliteConfig) -> diesel::ConnectionResult<RqliteConnection> {
    config.connect()
}

crate::on_both_connections!();

#[path = "../killed_clients.rs"]
mod killed_clients;
#[path = "../node_http.rs"]
mod node_http;
