//! A lending library at a command line, on rqlite. It was written for SQLite: `comparison` holds that side of it, with
//! the same files but for this one and `database.rs`. diesel-rqlite/docs/porting-from-sqlite.md follows the way from one to the other.
//!
//! ```text
//! cargo example lending                                      # a tour, on an rqlite of its own
//! DATABASE_URL=rqlite://host:4001 cargo example lending help
//! ```

mod app;
mod database;
mod models;
mod schema;

use diesel_rqlite_examples::{Failure, Server};

fn main() -> Result<(), Failure> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match std::env::var("DATABASE_URL") {
        Ok(url) if !arguments.is_empty() => app::run(&mut database::open(&url)?, &arguments),
        _ => {
            let server = Server::rqlite()?;
            app::tour(&mut database::open(server.url())?)
        }
    }
}
