//! Connections to the same nodes, made in the same way, share what they know of the cluster, as long as one of them lives.

use std::sync::{Mutex, PoisonError};

use crate::protocol::cluster::{Cluster, Manner};
use crate::protocol::nodes::{Known, WeakKnown};

/// What makes two configurations ways to the same cluster.
#[derive(Clone, PartialEq)]
pub(crate) struct Place {
    pub(crate) seeds: Vec<String>,
    pub(crate) user: Option<String>,
    pub(crate) ca_pem: Option<Vec<u8>>,
    pub(crate) manner: Manner,
}

static KNOWN: Mutex<Vec<(Place, WeakKnown)>> = Mutex::new(Vec::new());

/// What is known of this place.
pub(crate) fn known(place: &Place) -> Known {
    let mut all = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    all.retain(|(_, known)| known.is_alive());
    let mut same = all.iter().filter(|(other, _)| other == place);
    if let Some(known) = same.find_map(|(_, known)| known.upgrade()) {
        return known;
    }
    let known = Known::new(Cluster::new(&place.seeds, place.manner.clone()));
    all.push((place.clone(), known.downgrade()));
    known
}
