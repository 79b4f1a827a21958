//! Pairs of doctors of which one must stay on call: each writes its own row after reading both.

use diesel::prelude::*;
use diesel_rqlite::RqliteConnection;

use crate::attempt::Log;
use crate::history::Operation;

use super::schema::doctors;

pub(super) const PAIRS: i64 = 3;

/// A doctor goes off, if the other one stays; if one has gone, both come back.
#[derive(Debug)]
pub(crate) struct Change {
    pair: i64,
    doctor: i64,
    /// By `count(*)` instead of both rows.
    by_count: bool,
}

impl Change {
    pub(super) fn choose(random: &mut fastrand::Rng) -> Self {
        let pair = random.i64(0..PAIRS);
        Change {
            pair,
            doctor: 2 * pair + random.i64(0..2),
            by_count: random.bool(),
        }
    }

    pub(super) fn perform(
        &self,
        connection: &mut RqliteConnection,
        log: &mut Log<'_>,
    ) -> QueryResult<()> {
        let count = self.count(connection)?;
        log.push(Operation::OnCall {
            pair: self.pair,
            count,
        });
        if count == 2 {
            diesel::update(doctors::table.find(self.doctor))
                .set(doctors::on_call.eq(false))
                .execute(connection)?;
        } else {
            diesel::update(doctors::table.filter(doctors::pair.eq(self.pair)))
                .set(doctors::on_call.eq(true))
                .execute(connection)?;
        }
        Ok(())
    }

    fn count(&self, connection: &mut RqliteConnection) -> QueryResult<i64> {
        let pair = doctors::table.filter(doctors::pair.eq(self.pair));
        if self.by_count {
            return pair
                .filter(doctors::on_call.eq(true))
                .count()
                .get_result(connection);
        }
        let on_call: Vec<bool> = pair.select(doctors::on_call).load(connection)?;
        Ok(on_call.into_iter().map(i64::from).sum())
    }
}
