//! Whether what was said of each write is so, on every node.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel_rqlite::RqliteConnection;
use diesel_rqlite_tests::Cluster;
use serde::Serialize;

use crate::Error;
use crate::attempt::{Said, writes};
use crate::diary::Diary;

/// How long nodes may take to catch up.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often each write is there.
pub(crate) type Stored = BTreeMap<i64, usize>;

/// Writes that are not as was said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Wrongs {
    /// Acknowledged, and not there.
    pub(crate) lost: usize,
    /// There more than once, whatever was said.
    pub(crate) doubled: usize,
    /// There, though it was said that they were not applied.
    pub(crate) denied_but_there: usize,
}

impl Wrongs {
    pub(crate) fn of(diaries: &[Diary], stored: &Stored) -> Self {
        let mut wrongs = Wrongs::default();
        for (id, said) in diaries.iter().flat_map(|diary| &diary.said) {
            let times = stored.get(id).copied().unwrap_or_default();
            wrongs.lost += usize::from(*said == Said::Applied && times == 0);
            wrongs.doubled += usize::from(times > 1);
            wrongs.denied_but_there += usize::from(*said == Said::NotApplied && times > 0);
        }
        wrongs
    }

    pub(crate) fn any(self) -> bool {
        self != Wrongs::default()
    }
}

/// What all nodes hold, once all hold the same.
pub(crate) fn settled(cluster: &Cluster) -> Result<Stored, Error> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = compare(cluster);
        match found {
            Ok(Some(stored)) => return Ok(stored),
            Ok(None) if Instant::now() > deadline => return Err("the nodes differ".into()),
            Err(error) if Instant::now() > deadline => return Err(error),
            // A node that has just come back has no leader yet, or lags behind.
            _ => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

fn compare(cluster: &Cluster) -> Result<Option<Stored>, Error> {
    let leader = cluster.node(cluster.leader()).url();
    let wanted = stored(&format!("{leader}?level=strong"))?;
    for place in 0..cluster.count() {
        let node = cluster.node(place).url();
        if stored(&format!("{node}?level=none"))? != wanted {
            return Ok(None);
        }
    }
    Ok(Some(wanted))
}

fn stored(url: &str) -> Result<Stored, Error> {
    let mut connection = RqliteConnection::establish(url)?;
    let ids: Vec<i64> = writes::table.select(writes::id).load(&mut connection)?;
    let mut stored = Stored::new();
    for id in ids {
        *stored.entry(id).or_default() += 1;
    }
    Ok(stored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wrong_is_found() {
        let wrongs = |said, times| {
            let mut diary = Diary::new(0, 0);
            diary.said.insert(1, said);
            Wrongs::of(&[diary], &Stored::from([(1, times)]))
        };
        for (said, times) in [
            (Said::Applied, 1),
            (Said::NotApplied, 0),
            (Said::Unknown, 0),
            (Said::Unknown, 1),
        ] {
            assert!(!wrongs(said, times).any(), "{said:?} {times}");
        }
        assert_eq!(wrongs(Said::Applied, 0).lost, 1);
        assert_eq!(wrongs(Said::NotApplied, 1).denied_but_there, 1);
        for said in [Said::Applied, Said::Unknown] {
            assert_eq!(wrongs(said, 2).doubled, 1);
        }
    }
}
