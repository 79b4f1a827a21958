//! State that connections share. Connections to the same nodes, made in the same way, share their
//! knowledge of the cluster, of statements and of changes to the schema as long as one of them lives.

use std::sync::{Arc, Mutex, Weak};

use crate::config::RqliteConfig;
use crate::config::tls::Tls;
use crate::mutex::locked;
use crate::protocol::cluster::{Cluster, Manner};
use crate::protocol::nodes::{Known, WeakKnown};
use crate::runtime::Runtime;
use crate::session::{Coalescer, SchemaChanges, Shared};
use crate::statement::Statements;

/// The parts of a configuration that decide whether two configurations share their state.
#[derive(Clone, PartialEq)]
struct Place {
    seeds: Vec<String>,
    user: Option<String>,
    tls: Tls,
    manner: Manner,
}

impl Place {
    fn of(config: &RqliteConfig) -> Self {
        Place {
            seeds: config.nodes(),
            user: config.user().map(str::to_owned),
            tls: config.tls.clone(),
            manner: config.manner(),
        }
    }
}

struct WeakShared {
    known: WeakKnown,
    statements: Weak<Statements>,
    changes: Weak<SchemaChanges>,
}

impl WeakShared {
    fn upgrade(&self) -> Option<Shared> {
        Some(Shared {
            known: self.known.upgrade()?,
            statements: self.statements.upgrade()?,
            changes: self.changes.upgrade()?,
        })
    }
}

static SHARED: Mutex<Vec<(Place, WeakShared)>> = Mutex::new(Vec::new());

/// Returns the state that the connections of this configuration share.
pub(super) fn of(config: &RqliteConfig) -> Shared {
    let place = &Place::of(config);
    let mut all = locked(&SHARED);
    all.retain(|(_, shared)| shared.known.is_alive());
    let mut same = all.iter().filter(|(other, _)| other == place);
    if let Some(shared) = same.find_map(|(_, shared)| shared.upgrade()) {
        return shared;
    }
    let shared = Shared {
        known: Known::new(Cluster::new(&place.seeds, place.manner.clone())),
        statements: Arc::default(),
        changes: Arc::default(),
    };
    let weak = WeakShared {
        known: shared.known.downgrade(),
        statements: Arc::downgrade(&shared.statements),
        changes: Arc::downgrade(&shared.changes),
    };
    all.push((place.clone(), weak));
    shared
}
static COALESCERS: Mutex<Vec<Weak<Coalescer>>> = Mutex::new(Vec::new());

/// Returns the coalescer for this configuration, if it coalesces writes. All connections with an
/// equal configuration and the same runtime use the same one.
pub(super) fn coalescer<R: Runtime>(config: &RqliteConfig) -> Option<Arc<Coalescer>> {
    if !config.coalesce_writes {
        return None;
    }
    let mut all = locked(&COALESCERS);
    all.retain(|coalescer| coalescer.strong_count() > 0);
    let mut alive = all.iter().filter_map(Weak::upgrade);
    if let Some(same) = alive.find(|coalescer| coalescer.is_of::<R>(config)) {
        return Some(same);
    }
    drop(alive);
    let coalescer = Arc::new(Coalescer::new::<R>(config));
    all.push(Arc::downgrade(&coalescer));
    Some(coalescer)
}
