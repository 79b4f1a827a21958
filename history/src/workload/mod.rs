//! Random transactions.

mod bank;
mod lists;
mod on_call;
mod schema;
mod tickets;

use diesel::QueryResult;
use diesel_rqlite::RqliteConnection;

pub(crate) use self::bank::TOTAL;
pub(crate) use self::lists::Slots;
pub(crate) use self::schema::{create, state};

use crate::attempt::Log;

/// What one transaction is to do. Run again after a conflict, it does the same to what is then there.
#[derive(Debug)]
pub(crate) enum Task {
    Lists(Vec<lists::Step>),
    Transfer(bank::Transfer),
    Audit { one_by_one: bool },
    OnCall(on_call::Change),
    Ticket,
}

impl Task {
    pub(crate) fn choose(random: &mut fastrand::Rng, slots: &Slots, sees_own_writes: bool) -> Self {
        match random.u32(0..100) {
            0..60 => Task::Lists(lists::plan(random, slots, sees_own_writes)),
            60..72 => Task::Transfer(bank::Transfer::choose(random)),
            72..80 => Task::Audit {
                one_by_one: random.bool(),
            },
            80..90 => Task::OnCall(on_call::Change::choose(random)),
            _ => Task::Ticket,
        }
    }

    pub(crate) fn is_read_only(&self) -> bool {
        match self {
            Task::Lists(steps) => steps.iter().all(lists::Step::is_read),
            Task::Audit { .. } => true,
            _ => false,
        }
    }

    pub(crate) fn perform(
        &self,
        connection: &mut RqliteConnection,
        sees_own_writes: bool,
        log: &mut Log<'_>,
    ) -> QueryResult<()> {
        match self {
            Task::Lists(steps) => lists::perform(connection, steps, log),
            Task::Transfer(transfer) => transfer.perform(connection),
            Task::Audit { one_by_one } => bank::audit(connection, *one_by_one, log),
            Task::OnCall(change) => change.perform(connection, log),
            Task::Ticket if sees_own_writes => tickets::draw(connection, log),
            Task::Ticket => tickets::draw_without_returning(connection, log),
        }
    }
}
