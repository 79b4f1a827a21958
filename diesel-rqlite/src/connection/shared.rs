//! Connections to the same nodes, made in the same way, share what they know of the cluster, as long as one of them lives.

use std::sync::Mutex;

use crate::config::RqliteConfig;
use crate::config::tls::Tls;
use crate::mutex::locked;
use crate::protocol::cluster::{Cluster, Manner};
use crate::protocol::nodes::{Known, WeakKnown};

/// What makes two configurations ways to the same cluster.
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

static KNOWN: Mutex<Vec<(Place, WeakKnown)>> = Mutex::new(Vec::new());

/// What is known of the cluster of a configuration.
pub(super) fn known(config: &RqliteConfig) -> Known {
    let place = &Place::of(config);
    let mut all = locked(&KNOWN);
    all.retain(|(_, known)| known.is_alive());
    let mut same = all.iter().filter(|(other, _)| other == place);
    if let Some(known) = same.find_map(|(_, known)| known.upgrade()) {
        return known;
    }
    let known = Known::new(Cluster::new(&place.seeds, place.manner.clone()));
    all.push((place.clone(), known.downgrade()));
    known
}
