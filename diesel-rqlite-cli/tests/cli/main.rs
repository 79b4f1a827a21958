//! Runs the built binary against real nodes.

mod drop;
mod migration;
mod print_schema;
mod processes;
mod support;
mod transfer;
mod verbs;
mod warnings;
