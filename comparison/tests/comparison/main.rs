//! Each program runs on a SQLite in memory by Diesel's own connection, and on a real rqlite by ours. What it shows
//! of its results must be the same.
//!
//! A file per subject; `diesel-rqlite/docs/sqlite-dialect.md` says which test shows which feature.

mod aggregates;
mod connections;
mod errors;
mod expressions;
mod imported;
mod joins;
mod json;
mod kit;
mod ports;
mod raw_sql;
mod round_trips;
mod selects;
mod structs;
mod transactions;
mod upserts;
mod values;
mod writes;
