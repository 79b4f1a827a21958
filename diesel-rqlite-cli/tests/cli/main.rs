//! Runs the built binary against real nodes.

mod migration;
mod print_schema;
mod setup;
mod support;
mod transfer;
mod verbs;
