//! What is stored, and how it changes.

use diesel::prelude::{Identifiable, Insertable, Queryable, Selectable};
use diesel::result::OptionalExtension;
use diesel::{ExpressionMethods, QueryDsl, QueryResult, SelectableHelper};
use diesel_async::RunQueryDsl;
use diesel_rqlite::AsyncRqliteConnection;
use serde::{Deserialize, Serialize};

use super::ServiceError;
use super::schema::{bank_accounts, bank_transfers};

/// With an amount in cents: whole numbers add up.
#[derive(Debug, Serialize, Deserialize, Queryable, Selectable, Identifiable)]
#[diesel(table_name = bank_accounts)]
pub struct Account {
    /// Chosen by the database.
    pub id: i32,
    /// Nobody has two accounts.
    pub owner: String,
    /// Never below zero.
    pub cents: i64,
}

/// An account that is to be opened.
#[derive(Debug, Deserialize, Insertable)]
#[diesel(table_name = bank_accounts)]
pub struct NewAccount {
    owner: String,
    cents: i64,
}

/// The client chooses the id. Sent again with the same one, it is the same transfer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Queryable, Selectable, Insertable)]
#[diesel(table_name = bank_transfers)]
pub struct Transfer {
    /// Of the client's choice.
    pub id: String,
    /// The account that has less behind it.
    pub source: i32,
    /// The one that has more.
    pub target: i32,
    /// More than zero.
    pub cents: i64,
}

/// Opens an account.
///
/// # Errors
///
/// `UniqueViolation` where the owner has one, `CheckViolation` below zero.
pub async fn create(
    conn: &mut AsyncRqliteConnection,
    account: &NewAccount,
) -> QueryResult<Account> {
    diesel::insert_into(bank_accounts::table)
        .values(account)
        .returning(Account::as_returning())
        .get_result(conn)
        .await
}

/// All of them, the oldest first.
///
/// # Errors
///
/// When the database does not answer.
pub async fn accounts(conn: &mut AsyncRqliteConnection) -> QueryResult<Vec<Account>> {
    bank_accounts::table
        .order(bank_accounts::id)
        .select(Account::as_select())
        .load(conn)
        .await
}

/// One of them.
///
/// # Errors
///
/// `NotFound` where there is none.
pub async fn account(conn: &mut AsyncRqliteConnection, id: i32) -> QueryResult<Account> {
    bank_accounts::table
        .find(id)
        .select(Account::as_select())
        .first(conn)
        .await
}

/// How often a transfer is run again that met another one at the same accounts.
const RETRIES: u32 = 20;

/// Moves money. Unlike the pool's own `transaction` this one is rolled back, too, where the client goes away and the
/// framework drops the future.
///
/// # Errors
///
/// As an answer of the service tells them.
pub async fn transfer(
    conn: &mut AsyncRqliteConnection,
    transfer: &Transfer,
) -> Result<(), ServiceError> {
    if transfer.source == transfer.target || transfer.cents <= 0 {
        return Err(ServiceError::Invalid("nothing would be moved".to_owned()));
    }
    let transaction = conn.build_transaction().retries(RETRIES);
    transaction
        .run(async |conn| make(conn, transfer).await)
        .await
}

/// Three reads, and one request for all writes, which is applied if what was read is still so.
async fn make(conn: &mut AsyncRqliteConnection, transfer: &Transfer) -> Result<(), ServiceError> {
    let made = bank_transfers::table
        .find(&transfer.id)
        .select(Transfer::as_select())
        .first(conn)
        .await
        .optional()?;
    match made {
        Some(made) if made == *transfer => return Ok(()),
        Some(_) => {
            return Err(ServiceError::Exists(
                "another transfer has this id".to_owned(),
            ));
        }
        None => {}
    }
    let source = account(conn, transfer.source).await?;
    let target = account(conn, transfer.target).await?;
    if source.cents < transfer.cents {
        return Err(ServiceError::Invalid("not enough money".to_owned()));
    }
    set(conn, &source, source.cents - transfer.cents).await?;
    set(conn, &target, target.cents + transfer.cents).await?;
    diesel::insert_into(bank_transfers::table)
        .values(transfer)
        .execute(conn)
        .await?;
    Ok(())
}

async fn set(conn: &mut AsyncRqliteConnection, account: &Account, cents: i64) -> QueryResult<()> {
    diesel::update(account)
        .set(bank_accounts::cents.eq(cents))
        .execute(conn)
        .await?;
    Ok(())
}
