//! A future that is dropped, behind every number of polls: nothing is left half done, and the connection goes on.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use diesel::result::Error;
use diesel::{ExpressionMethods, QueryDsl, QueryResult};
use diesel_async::{AsyncConnection, RunQueryDsl, SimpleAsyncConnection, TransactionManager as _};
use diesel_rqlite::{
    AsyncRqliteConnection, AsyncRqliteTransactionManager as Manager, RqliteLock, ThreadLock,
    TransactionLock, TransactionMode, ValkeyLock,
};
use diesel_rqlite_tests::{Rqlited, ValkeyServer};

use super::adapter::block_on;
use crate::support::MODES;

diesel::table! { accounts (id) { id -> Integer, balance -> Integer, } }
diesel::table! { transfers (id) { id -> Integer, } }
diesel::table! { notes (id) { id -> Integer, n -> Integer, } }

const SCHEMA: &str = "CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL); \
    INSERT INTO accounts VALUES (1, 1000), (2, 0); CREATE TABLE transfers (id INTEGER PRIMARY KEY); \
    CREATE TABLE notes (id INTEGER PRIMARY KEY, n INTEGER NOT NULL DEFAULT 7)";

/// Polls a future so many times; `None`: it was not done then, and is dropped.
async fn polled<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| match left {
        0 => Poll::Ready(None),
        _ => {
            left -= 1;
            future.as_mut().poll(context).map(Some)
        }
    })
    .await
}

struct Bank {
    node: Rqlited,
    conn: AsyncRqliteConnection,
}

impl Bank {
    fn new() -> Self {
        let node = Rqlited::builder().start();
        let mut conn = connect(&node);
        block_on(conn.batch_execute(SCHEMA)).expect("creates");
        Bank { node, conn }
    }

    /// Whether all is as after a whole number of transfers. Returns that number.
    async fn transfers(&mut self) -> i32 {
        // Of one moment: a commit may still be on its way.
        let query = "SELECT (SELECT balance FROM accounts WHERE id = 1) AS one, \
            (SELECT balance FROM accounts WHERE id = 2) AS two, (SELECT count(*) FROM transfers) AS transfers";
        let found = diesel::sql_query(query)
            .get_result::<State>(&mut self.conn)
            .await;
        let State {
            one,
            two,
            transfers,
        } = found.expect("reads");
        assert_eq!((one, two), (1000 - transfers, transfers));
        transfers
    }

    async fn notes(&mut self) -> i64 {
        let notes = notes::table.count().get_result(&mut self.conn).await;
        notes.expect("counts")
    }

    /// Nothing is left of a future that was dropped.
    async fn is_clean(&mut self, told: &str) {
        // A commit under a lock may still be on its way, in a few requests; what is left would be sent each time.
        let mut is_silent = false;
        for _ in 0..20 {
            let before = self.conn.http_requests();
            let outcome = self.conn.transaction(async |_| Ok::<_, Error>(())).await;
            assert_eq!(outcome, Ok(()), "{told}");
            is_silent |= self.conn.http_requests() == before;
        }
        assert!(is_silent, "{told}: nothing to commit");
        let ended = Manager::commit_transaction(&mut self.conn).await;
        assert!(
            matches!(ended, Err(Error::NotInTransaction)),
            "{told}: {ended:?}"
        );
    }
}

#[derive(diesel::QueryableByName)]
struct State {
    #[diesel(sql_type = diesel::sql_types::Integer)]
    one: i32,
    #[diesel(sql_type = diesel::sql_types::Integer)]
    two: i32,
    #[diesel(sql_type = diesel::sql_types::Integer)]
    transfers: i32,
}

fn connect(node: &Rqlited) -> AsyncRqliteConnection {
    block_on(AsyncRqliteConnection::establish(&node.url())).expect("connects")
}

/// Moves 1 from the first account to the second.
async fn transfer(conn: &mut AsyncRqliteConnection) -> QueryResult<()> {
    let balance = |id: i32| accounts::table.find(id).select(accounts::balance);
    let (one, two): (i32, i32) = (balance(1).first(conn).await?, balance(2).first(conn).await?);
    for (id, balance) in [(1, one - 1), (2, two + 1)] {
        diesel::update(accounts::table.find(id))
            .set(accounts::balance.eq(balance))
            .execute(conn)
            .await?;
    }
    diesel::insert_into(transfers::table)
        .default_values()
        .execute(conn)
        .await?;
    Ok(())
}

/// Drops a transfer behind every number of polls; in between, another client makes one.
fn sweep(mode: TransactionMode, lock: Option<&impl TransactionLock>) {
    let mut bank = Bank::new();
    let mut other = connect(&bank.node);
    for conn in [&mut bank.conn, &mut other] {
        conn.set_transaction_mode(mode);
        if let Some(lock) = lock {
            conn.set_transaction_lock(lock);
        }
    }
    block_on(async {
        let (mut polls, mut dropped) = (0, 0);
        loop {
            let told = format!("{mode:?}, dropped behind {polls} polls");
            let done = polled(polls, bank.conn.transaction(transfer)).await;
            bank.is_clean(&told).await;
            match done {
                None => dropped += 1,
                Some(outcome) => {
                    assert_eq!(outcome, Ok(()), "{told}");
                    // On a busy machine answers may be there at once, so that few polls are enough, once.
                    if polls > 12 {
                        break;
                    }
                }
            }
            // It also gets the lock. Without one, a commit that is on its way is a conflict.
            let moved = other.build_transaction().retries(50).run(transfer).await;
            assert_eq!(moved, Ok(()), "{told}");
            bank.transfers().await;
            polls += 1;
        }
        assert!(dropped > 0, "behind no polls at all");
        let committed = bank.transfers().await;
        assert!(usize::try_from(committed).is_ok_and(|committed| committed > polls));
    });
}

/// A lock that is not given back is not had again in time.
const LEASE: Duration = Duration::from_secs(3600);
const TIMEOUT: Duration = Duration::from_secs(20);

#[test]
fn transactions_without_a_lock() {
    for mode in &MODES[..2] {
        sweep(*mode, None::<&ThreadLock>);
    }
}

#[test]
fn transactions_under_a_lock_between_threads() {
    for mode in MODES {
        sweep(mode, Some(&ThreadLock::new(format!("dropped {mode:?}"))));
    }
}

#[test]
fn transactions_under_a_lock_in_rqlite() {
    for mode in MODES {
        sweep(
            mode,
            Some(&RqliteLock::new("accounts").lease(LEASE).timeout(TIMEOUT)),
        );
    }
}

#[test]
fn transactions_under_a_lock_in_valkey() {
    let server = ValkeyServer::start();
    for mode in MODES {
        let name = format!("{mode:?}");
        let lock = ValkeyLock::new(&server.url(), name).expect("a URL");
        sweep(mode, Some(&lock.lease(LEASE).timeout(TIMEOUT)));
    }
}

#[test]
fn statements_are_applied_as_a_whole_or_not_at_all() {
    let mut bank = Bank::new();
    let batch = "UPDATE accounts SET balance = balance - 1 WHERE id = 1; \
        UPDATE accounts SET balance = balance + 1 WHERE id = 2; INSERT INTO transfers DEFAULT VALUES";
    block_on(async {
        for polls in 0.. {
            let done = polled(polls, bank.conn.batch_execute(batch)).await;
            bank.is_clean(&format!("behind {polls} polls")).await;
            bank.transfers().await;
            if let Some(outcome) = done {
                assert_eq!(outcome, Ok(()));
                break;
            }
        }
        assert!(bank.transfers().await >= 1);
    });
}

#[test]
fn scripts_of_several_transactions_leave_none_open() {
    let mut bank = Bank::new();
    let one = "BEGIN; UPDATE accounts SET balance = balance - 1 WHERE id = 1; SAVEPOINT s; \
        UPDATE accounts SET balance = balance + 1 WHERE id = 2; RELEASE s; \
        INSERT INTO transfers DEFAULT VALUES; COMMIT;";
    let script = format!("{one} SELECT 1; {one}");
    block_on(async {
        for polls in 0.. {
            let done = polled(polls, bank.conn.batch_execute(&script)).await;
            bank.is_clean(&format!("behind {polls} polls")).await;
            bank.transfers().await;
            if let Some(outcome) = done {
                assert_eq!(outcome, Ok(()));
                break;
            }
        }
        assert!(bank.transfers().await >= 2);
    });
}

/// The outer transaction goes on without the inner one.
#[test]
fn nested_transactions_are_rolled_back() {
    let mut bank = Bank::new();
    block_on(async {
        for polls in 0.. {
            let before = bank.transfers().await;
            let inner_done = bank
                .conn
                .transaction(async |conn| {
                    transfer(conn).await?;
                    let inner = conn.transaction(async |conn| {
                        transfer(conn).await?;
                        // Also where the first statements need no request.
                        accounts::table.count().get_result::<i64>(conn).await?;
                        transfer(conn).await
                    });
                    Ok::<_, Error>(polled(polls, inner).await.is_some())
                })
                .await
                .expect("the outer one commits");
            let moved = bank.transfers().await - before;
            assert_eq!(
                moved,
                if inner_done { 3 } else { 1 },
                "behind {polls} polls"
            );
            if inner_done {
                break;
            }
        }
    });
}

/// In a transaction, a statement that was dropped is as if it had not been asked for.
#[test]
fn statements_of_a_transaction_are_not_done() {
    for mode in MODES {
        let mut bank = Bank::new();
        bank.conn.set_transaction_mode(mode);
        block_on(async {
            for polls in 0.. {
                let before = bank.transfers().await;
                let done = bank
                    .conn
                    .transaction(async |conn| {
                        let both = "UPDATE accounts SET balance = balance + 7";
                        let both = diesel::sql_query(both).execute(conn);
                        let done = polled(polls, both).await.is_some();
                        if done {
                            diesel::sql_query("UPDATE accounts SET balance = balance - 7")
                                .execute(conn)
                                .await?;
                        }
                        transfer(conn).await?;
                        Ok::<_, Error>(done)
                    })
                    .await
                    .expect("commits");
                if mode == TransactionMode::Deferred && done {
                    // Its reads do not see its own writes.
                    break;
                }
                assert_eq!(bank.transfers().await - before, 1, "behind {polls} polls");
                if done {
                    break;
                }
            }
        });
    }
}

/// The same for one that is several statements: nothing of it is done.
#[test]
fn queries_of_several_statements_are_not_done_in_part() {
    for mode in MODES {
        let mut bank = Bank::new();
        bank.conn.set_transaction_mode(mode);
        block_on(async {
            for polls in 0.. {
                let before = bank.notes().await;
                let done = bank.conn.transaction(async |conn| {
                    let rows = vec![Some(notes::n.eq(1)), None, Some(notes::n.eq(2)), None];
                    let insert = diesel::insert_into(notes::table).values(rows);
                    let done = match mode {
                        // It has no rows to return before its commit.
                        TransactionMode::Deferred => polled(polls, insert.execute(conn)).await.is_some(),
                        _ => {
                            let insert = insert.returning(notes::id);
                            polled(polls, insert.get_results::<i32>(conn)).await.is_some()
                        }
                    };
                    let script = "INSERT INTO notes (n) VALUES (3); SAVEPOINT s; \
                        INSERT INTO notes (n) VALUES (4); RELEASE s; INSERT INTO notes (n) VALUES (5)";
                    let also_done = polled(polls, conn.batch_execute(script)).await.is_some();
                    Ok::<_, Error>((done, also_done))
                });
                let (done, also_done) = done.await.expect("commits");
                let wanted = i64::from(done) * 4 + i64::from(also_done) * 3;
                assert_eq!(
                    bank.notes().await - before,
                    wanted,
                    "{mode:?}, {polls} polls"
                );
                if done && also_done && polls > 12 {
                    break;
                }
            }
        });
    }
}

/// A script that ends the transaction it is in, and begins another one.
#[test]
fn scripts_that_begin_another_transaction_leave_it_not_open() {
    let mut bank = Bank::new();
    bank.conn.set_transaction_mode(TransactionMode::Eager);
    block_on(async {
        let mut all = 0;
        for polls in 0.. {
            let begun = Manager::begin_transaction(&mut bank.conn).await;
            begun.expect("begins");
            let script = "INSERT INTO notes (n) VALUES (1); COMMIT; BEGIN; INSERT INTO notes (n) VALUES (2); \
                SAVEPOINT s; INSERT INTO notes (n) VALUES (3); RELEASE s";
            let done = polled(polls, bank.conn.batch_execute(script)).await;
            // The first one goes on without the script, or nothing is open.
            let committed = Manager::commit_transaction(&mut bank.conn).await;
            bank.is_clean(&format!("behind {polls} polls")).await;
            if let Some(outcome) = done {
                assert_eq!((outcome, committed), (Ok(()), Ok(())));
                all += 1;
            }
            let second = notes::table.filter(notes::n.eq(2)).count();
            assert_eq!(
                second.get_result(&mut bank.conn).await,
                Ok(all),
                "behind {polls} polls"
            );
            if all > 0 && polls > 12 {
                break;
            }
        }
    });
}

/// Whoever drops the future of a commit can't have it sent again.
#[test]
fn commits_are_not_sent_twice() {
    let mut bank = Bank::new();
    block_on(async {
        for polls in 0.. {
            Manager::begin_transaction(&mut bank.conn)
                .await
                .expect("begins");
            transfer(&mut bank.conn).await.expect("moves");
            let done = polled(polls, Manager::commit_transaction(&mut bank.conn)).await;
            if done.is_none() && polls == 0 {
                // It was not begun to be committed.
                let rolled_back = Manager::rollback_transaction(&mut bank.conn).await;
                assert_eq!(rolled_back, Ok(()));
            }
            bank.is_clean(&format!("behind {polls} polls")).await;
            let transfers = usize::try_from(bank.transfers().await).expect("not below 0");
            assert!(transfers <= polls + 1, "behind {polls} polls");
            if let Some(outcome) = done {
                assert_eq!(outcome, Ok(()));
                break;
            }
        }
    });
}
