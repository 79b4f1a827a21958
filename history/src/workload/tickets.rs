//! Ticket numbers: each is drawn by one transaction, and none is left out.

use diesel::prelude::*;
use diesel_rqlite::RqliteConnection;

use crate::attempt::Log;
use crate::history::Operation;

use super::schema::{COUNTER, counters, tickets};

/// The number is what an UPDATE returns, before it is committed.
pub(super) fn draw(connection: &mut RqliteConnection, log: &mut Log<'_>) -> QueryResult<()> {
    let number: i64 = diesel::update(counters::table.find(COUNTER))
        .set(counters::last.eq(counters::last + 1))
        .returning(counters::last)
        .get_result(connection)?;
    hold(connection, number, log)
}

/// The number is computed here.
pub(super) fn draw_without_returning(
    connection: &mut RqliteConnection,
    log: &mut Log<'_>,
) -> QueryResult<()> {
    let last: i64 = counters::table
        .find(COUNTER)
        .select(counters::last)
        .first(connection)?;
    diesel::update(counters::table.find(COUNTER))
        .set(counters::last.eq(last + 1))
        .execute(connection)?;
    hold(connection, last + 1, log)
}

fn hold(connection: &mut RqliteConnection, number: i64, log: &mut Log<'_>) -> QueryResult<()> {
    log.push(Operation::Ticket { number });
    diesel::insert_into(tickets::table)
        .values((tickets::number.eq(number), tickets::holder.eq(log.id)))
        .execute(connection)?;
    Ok(())
}
