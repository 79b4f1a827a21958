//! What is stored, and how it changes.

use diesel::prelude::{Identifiable, Insertable, Queryable, Selectable};
use diesel::result::OptionalExtension;
use diesel::{ExpressionMethods, QueryDsl, QueryResult, SelectableHelper};
use diesel_async::RunQueryDsl;
use diesel_rqlite::AsyncRqliteConnection;
use serde::{Deserialize, Serialize};

use crate::error::ApiError;

pub(crate) const TABLES: &[&str] = &["axum_accounts", "axum_transfers"];

pub(crate) const CREATE: &str = "
    CREATE TABLE axum_accounts (
        id INTEGER PRIMARY KEY,
        owner TEXT NOT NULL UNIQUE,
        cents INTEGER NOT NULL CHECK (cents >= 0)
    );
    CREATE TABLE axum_transfers (
        id TEXT PRIMARY KEY NOT NULL,
        source INTEGER NOT NULL REFERENCES axum_accounts (id),
        target INTEGER NOT NULL REFERENCES axum_accounts (id),
        cents INTEGER NOT NULL CHECK (cents > 0)
    );";

diesel::table! {
    axum_accounts (id) {
        id -> Integer,
        owner -> Text,
        cents -> BigInt,
    }
}

diesel::table! {
    axum_transfers (id) {
        id -> Text,
        source -> Integer,
        target -> Integer,
        cents -> BigInt,
    }
}

/// With an amount in cents: whole numbers add up.
#[derive(Debug, Serialize, Deserialize, Queryable, Selectable, Identifiable)]
#[diesel(table_name = axum_accounts)]
pub(crate) struct Account {
    pub(crate) id: i32,
    pub(crate) owner: String,
    pub(crate) cents: i64,
}

#[derive(Debug, Deserialize, Insertable)]
#[diesel(table_name = axum_accounts)]
pub(crate) struct NewAccount {
    owner: String,
    cents: i64,
}

/// The client chooses the id. Sent again with the same one, it is the same transfer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Queryable, Selectable, Insertable)]
#[diesel(table_name = axum_transfers)]
pub(crate) struct Transfer {
    pub(crate) id: String,
    pub(crate) source: i32,
    pub(crate) target: i32,
    pub(crate) cents: i64,
}

pub(crate) async fn create(
    conn: &mut AsyncRqliteConnection,
    account: &NewAccount,
) -> QueryResult<Account> {
    diesel::insert_into(axum_accounts::table)
        .values(account)
        .returning(Account::as_returning())
        .get_result(conn)
        .await
}

pub(crate) async fn accounts(conn: &mut AsyncRqliteConnection) -> QueryResult<Vec<Account>> {
    axum_accounts::table
        .order(axum_accounts::id)
        .select(Account::as_select())
        .load(conn)
        .await
}

pub(crate) async fn account(conn: &mut AsyncRqliteConnection, id: i32) -> QueryResult<Account> {
    axum_accounts::table
        .find(id)
        .select(Account::as_select())
        .first(conn)
        .await
}

/// How often a transfer is run again that met another one at the same accounts.
const RETRIES: u32 = 20;

/// Unlike the pool's own `transaction` this one is rolled back, too, where the client goes away and axum drops the
/// future.
pub(crate) async fn transfer(
    conn: &mut AsyncRqliteConnection,
    transfer: &Transfer,
) -> Result<(), ApiError> {
    let transaction = conn.build_transaction().retries(RETRIES);
    transaction
        .run(async |conn| make(conn, transfer).await)
        .await
}

/// Three reads, and one request for all writes, which is applied if what was read is still so.
async fn make(conn: &mut AsyncRqliteConnection, transfer: &Transfer) -> Result<(), ApiError> {
    let made = axum_transfers::table
        .find(&transfer.id)
        .select(Transfer::as_select())
        .first(conn)
        .await
        .optional()?;
    match made {
        Some(made) if made == *transfer => return Ok(()),
        Some(_) => return Err(ApiError::Exists("another transfer has this id".to_owned())),
        None => {}
    }
    let source = account(conn, transfer.source).await?;
    let target = account(conn, transfer.target).await?;
    if source.cents < transfer.cents {
        return Err(ApiError::Invalid("not enough money".to_owned()));
    }
    set(conn, &source, source.cents - transfer.cents).await?;
    set(conn, &target, target.cents + transfer.cents).await?;
    diesel::insert_into(axum_transfers::table)
        .values(transfer)
        .execute(conn)
        .await?;
    Ok(())
}

async fn set(conn: &mut AsyncRqliteConnection, account: &Account, cents: i64) -> QueryResult<()> {
    diesel::update(account)
        .set(axum_accounts::cents.eq(cents))
        .execute(conn)
        .await?;
    Ok(())
}
