//! Warnings through `tracing`, which is a process's: nothing else may run in this one.

use std::fmt;
use std::sync::{Arc, Mutex};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel_rqlite::RqliteConnection;
use diesel_rqlite_tests::Rqlited;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// The messages of all warnings.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    fn taken(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().expect("not poisoned"))
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN && metadata.target().starts_with("diesel_rqlite")
    }

    fn event(&self, event: &Event<'_>) {
        struct Message<'a>(&'a mut Vec<String>);
        impl Visit for Message<'_> {
            fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
                if field.name() == "message" {
                    self.0.push(format!("{value:?}"));
                }
            }
        }
        event.record(&mut Message(&mut self.0.lock().expect("not poisoned")));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[test]
fn a_pragma_that_sets_up_a_connection_warns_once() {
    let warnings = Warnings::default();
    tracing::subscriber::set_global_default(warnings.clone()).expect("is the only one");
    let node = Rqlited::start();
    let open = || RqliteConnection::establish(&node.url()).expect("connects");
    let mut connection = open();
    connection
        .batch_execute("CREATE TABLE t (a); PRAGMA user_version = 1")
        .expect("creates");
    assert_eq!(warnings.taken(), [""; 0]);
    connection
        .batch_execute("PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL")
        .expect("does nothing");
    let said = warnings.taken();
    assert!(
        matches!(&said[..], [one] if one.contains("a PRAGMA that sets up a connection to SQLite does nothing")),
        "{said:?}"
    );
    open()
        .batch_execute("PRAGMA synchronous = NORMAL")
        .expect("does nothing");
    assert_eq!(warnings.taken(), [""; 0]);
}
