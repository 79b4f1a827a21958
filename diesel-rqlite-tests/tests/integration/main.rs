//! One file per promise of the README, against real nodes.

mod batch;
mod cluster;
mod connecting;
mod errors;
mod kit;
mod lock_sites;
mod locks;
mod migrations;
mod queries;
mod reads;
mod sql_text;
mod support;
mod transactions;
mod values;
