//! Runs the built binary against real nodes.

mod diff;
mod drop;
mod foreign_keys;
mod migration;
mod print_schema;
mod processes;
mod support;
mod transfer;
mod verbs;
mod warnings;
