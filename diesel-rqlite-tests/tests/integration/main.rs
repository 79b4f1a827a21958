//! One file per promise of the README, against real nodes.

// The same bodies run on both connections.
#![allow(clippy::duplicate_mod)]

/// The tests that are run on both connections.
macro_rules! on_both_connections {
    () => {
        #[path = "../accounts.rs"]
        mod accounts;
        #[path = "../administration.rs"]
        mod administration;
        #[path = "../batch.rs"]
        mod batch;
        #[path = "../cluster.rs"]
        mod cluster;
        #[path = "../coalesced.rs"]
        mod coalesced;
        #[path = "../comments.rs"]
        mod comments;
        #[path = "../conflicts.rs"]
        mod conflicts;
        #[path = "../connecting.rs"]
        mod connecting;
        #[path = "../counters.rs"]
        mod counters;
        #[path = "../database.rs"]
        mod database;
        #[path = "../defaults.rs"]
        mod defaults;
        #[path = "../edges.rs"]
        mod edges;
        #[path = "../encodings.rs"]
        mod encodings;
        #[path = "../ended.rs"]
        mod ended;
        #[path = "../errors.rs"]
        mod errors;
        #[path = "../exactly_once.rs"]
        mod exactly_once;
        #[path = "../explain.rs"]
        mod explain;
        #[path = "../failures/mod.rs"]
        mod failures;
        #[path = "../fences.rs"]
        mod fences;
        #[path = "../foreign_keys.rs"]
        mod foreign_keys;
        #[path = "../guarded_reads.rs"]
        mod guarded_reads;
        #[path = "../interactive.rs"]
        mod interactive;
        #[path = "../loading.rs"]
        mod loading;
        #[path = "../migrations.rs"]
        mod migrations;
        #[path = "../misfits.rs"]
        mod misfits;
        #[path = "../natural_order.rs"]
        mod natural_order;
        #[path = "../no_statements.rs"]
        mod no_statements;
        #[path = "../observed.rs"]
        mod observed;
        #[path = "../outages.rs"]
        mod outages;
        #[path = "../paging.rs"]
        mod paging;
        #[path = "../pragmas.rs"]
        mod pragmas;
        #[path = "../queries.rs"]
        mod queries;
        #[path = "../queue.rs"]
        mod queue;
        #[path = "../reading_sql.rs"]
        mod reading_sql;
        #[path = "../reads.rs"]
        mod reads;
        #[path = "../replica_values.rs"]
        mod replica_values;
        #[path = "../returning_counts.rs"]
        mod returning_counts;
        #[path = "../rqlite_lock.rs"]
        mod rqlite_lock;
        #[path = "../seen_errors.rs"]
        mod seen_errors;
        #[path = "../sql_text.rs"]
        mod sql_text;
        #[path = "../stars.rs"]
        mod stars;
        #[path = "../steering.rs"]
        mod steering;
        #[path = "../stored.rs"]
        mod stored;
        #[path = "../streaming.rs"]
        mod streaming;
        #[path = "../told_counts.rs"]
        mod told_counts;
        #[path = "../transactions.rs"]
        mod transactions;
        #[path = "../values.rs"]
        mod values;
    };
}
pub(crate) use on_both_connections;

mod asynchronous;
mod blocking;
mod front;
mod kit;
mod links;
mod lock_sites;
mod locks;
mod own_locks;
mod proxy;
mod recorder;
mod seen;
mod support;
mod test_transactions;
