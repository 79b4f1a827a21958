//! A transaction takes no `Mutex`: it could not hold it as long as it needs.

use std::sync::Mutex;

use diesel_rqlite::RqliteConnection;

fn locked(conn: &mut RqliteConnection) {
    let mutex = Mutex::new(());
    let _ = conn.build_transaction().lock(&mutex);
}

fn main() {}
