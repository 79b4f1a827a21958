//! Runs the built binary against real nodes.

mod migration;
mod setup;
mod support;
mod verbs;
