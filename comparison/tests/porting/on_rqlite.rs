//! The application on rqlite.

#[path = "../../../examples/src/bin/lending/app.rs"]
pub(crate) mod app;
#[path = "../../../examples/src/bin/lending/database.rs"]
pub(crate) mod database;
#[path = "../../../examples/src/bin/lending/models.rs"]
pub(crate) mod models;
#[path = "../../../examples/src/bin/lending/schema.rs"]
pub(crate) mod schema;
