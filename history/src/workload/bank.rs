//! Transfers between accounts, which together hold the same at any time.

use diesel::prelude::*;
use diesel_rqlite::RqliteConnection;

use crate::attempt::Log;
use crate::history::Operation;

use super::schema::accounts;

pub(super) const ACCOUNTS: i64 = 6;
pub(super) const BALANCE: i64 = 100;

/// What the accounts hold together.
pub(crate) const TOTAL: i64 = ACCOUNTS * BALANCE;

/// Some money from one account to another one, if it has that much.
#[derive(Debug)]
pub(crate) struct Transfer {
    from: i64,
    to: i64,
    amount: i64,
    /// By `balance - …` instead of a number computed here.
    in_place: bool,
}

impl Transfer {
    pub(super) fn choose(random: &mut fastrand::Rng) -> Self {
        let from = random.i64(0..ACCOUNTS);
        Transfer {
            from,
            to: (from + random.i64(1..ACCOUNTS)) % ACCOUNTS,
            amount: random.i64(1..=BALANCE),
            in_place: random.bool(),
        }
    }

    pub(super) fn perform(&self, connection: &mut RqliteConnection) -> QueryResult<()> {
        let from = balance(connection, self.from)?;
        if from < self.amount {
            return Ok(());
        }
        if self.in_place {
            add(connection, self.from, -self.amount)?;
            return add(connection, self.to, self.amount);
        }
        let to = balance(connection, self.to)?;
        set(connection, self.from, from - self.amount)?;
        set(connection, self.to, to + self.amount)
    }
}

fn balance(connection: &mut RqliteConnection, account: i64) -> QueryResult<i64> {
    accounts::table
        .find(account)
        .select(accounts::balance)
        .first(connection)
}

fn set(connection: &mut RqliteConnection, account: i64, balance: i64) -> QueryResult<()> {
    diesel::update(accounts::table.find(account))
        .set(accounts::balance.eq(balance))
        .execute(connection)?;
    Ok(())
}

fn add(connection: &mut RqliteConnection, account: i64, amount: i64) -> QueryResult<()> {
    diesel::update(accounts::table.find(account))
        .set(accounts::balance.eq(accounts::balance + amount))
        .execute(connection)?;
    Ok(())
}

/// Reads all accounts, by one statement or by several.
pub(super) fn audit(
    connection: &mut RqliteConnection,
    one_by_one: bool,
    log: &mut Log<'_>,
) -> QueryResult<()> {
    let balances: Vec<i64> = if one_by_one {
        let accounts = 0..ACCOUNTS;
        accounts
            .map(|account| balance(connection, account))
            .collect::<QueryResult<_>>()?
    } else {
        accounts::table.select(accounts::balance).load(connection)?
    };
    log.push(Operation::Audit {
        total: balances.iter().sum(),
        lowest: balances.iter().copied().min().unwrap_or_default(),
    });
    Ok(())
}
