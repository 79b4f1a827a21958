//! A closure that is run again can't give away what it holds.

use diesel::prelude::*;
use diesel_rqlite::RqliteConnection;

fn give_away(_: String) {}

fn retried(conn: &mut RqliteConnection, name: String) -> QueryResult<()> {
    conn.build_transaction().retries(3).run(|_| {
        give_away(name);
        Ok(())
    })
}

fn main() {}
