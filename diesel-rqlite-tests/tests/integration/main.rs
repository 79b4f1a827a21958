//! One file per promise of the README, against real nodes.

mod batch;
mod cluster;
mod connecting;
mod edges;
mod errors;
mod exactly_once;
mod failures;
mod fences;
mod interactive;
mod killed_clients;
mod kit;
mod lock_sites;
mod locks;
mod migrations;
mod misfits;
mod proxy;
mod queries;
mod reads;
mod rqlite_lock;
mod sql_text;
mod support;
mod transactions;
mod values;
