//! The lending library as it was written for SQLite: only this file and `database.rs` are not those of
//! `examples/src/bin/lending`.
//!
//! ```sh
//! DATABASE_URL=library.db cargo run --manifest-path comparison/Cargo.toml --example lending help
//! ```

#[path = "../../../examples/src/bin/lending/app.rs"]
mod app;
mod database;
#[path = "../../../examples/src/bin/lending/models.rs"]
mod models;
#[path = "../../../examples/src/bin/lending/schema.rs"]
mod schema;

fn main() -> Result<(), app::Failure> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match std::env::var("DATABASE_URL") {
        Ok(file) if !arguments.is_empty() => app::run(&mut database::open(&file)?, &arguments),
        _ => app::tour(&mut database::open(":memory:")?),
    }
}
