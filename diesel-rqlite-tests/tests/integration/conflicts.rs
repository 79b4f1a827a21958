//! What a transaction was shown must still be so at its commit. Otherwise it is a conflict, and may be run again.

use diesel::connection::SimpleConnection;
use diesel::dsl::count_star;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};

use super::RqliteConnection;
use super::accounts::{
    Account, SCHEMA, accounts, balance, database, is_conflict, open, set_balance,
};
use super::database::Database;

/// Each of these is shown to a closure, and then changed by somebody else.
#[test]
fn whatever_was_shown_must_still_be_so() {
    type Shown = fn(&mut RqliteConnection) -> QueryResult<()>;
    let shown: [(&str, Shown, &str); 9] = [
        (
            "a value",
            |conn| balance(conn, 1).map(|_| ()),
            "UPDATE accounts SET balance = 7 WHERE id = 1",
        ),
        (
            "a value in its last bit",
            |conn| balance(conn, 1).map(|_| ()),
            "UPDATE accounts SET balance = 100.25000000000001 WHERE id = 1",
        ),
        (
            "that there is no row",
            |conn| {
                let none = accounts::table.find(9).first::<Account>(conn).optional()?;
                assert_eq!(none, None);
                Ok(())
            },
            "INSERT INTO accounts VALUES (9, 'eve', 1)",
        ),
        (
            "a count",
            |conn| {
                let count: i64 = accounts::table.select(count_star()).first(conn)?;
                assert_eq!(count, 3);
                Ok(())
            },
            "DELETE FROM accounts WHERE id = 3",
        ),
        (
            "an order",
            |conn| {
                let names: Vec<String> = accounts::table
                    .order(accounts::balance)
                    .select(accounts::name)
                    .load(conn)?;
                assert_eq!(names, ["cid", "bob", "ann"]);
                Ok(())
            },
            "UPDATE accounts SET balance = 200 WHERE id = 3",
        ),
        (
            "how many rows were updated",
            |conn| {
                let updated = diesel::update(accounts::table.filter(accounts::balance.gt(10.0)))
                    .set(accounts::balance.eq(accounts::balance + 1.0))
                    .execute(conn)?;
                assert_eq!(updated, 2);
                Ok(())
            },
            "UPDATE accounts SET balance = 11 WHERE id = 3",
        ),
        (
            "rows that were returned",
            |conn| {
                let returned: Vec<f64> = diesel::update(accounts::table.find(2))
                    .set(accounts::balance.eq(accounts::balance + 0.2))
                    .returning(accounts::balance)
                    .get_results(conn)?;
                assert_eq!(returned, [50.1 + 0.2]);
                Ok(())
            },
            "UPDATE accounts SET balance = 50.2 WHERE id = 2",
        ),
        (
            "which rows were returned",
            |conn| {
                let returned: Vec<f64> =
                    diesel::delete(accounts::table.filter(accounts::balance.eq(0.0)))
                        .returning(accounts::balance)
                        .get_results(conn)?;
                assert_eq!(returned, [0.0]);
                Ok(())
            },
            "DELETE FROM accounts WHERE id = 3; INSERT INTO accounts VALUES (4, 'dan', 0)",
        ),
        (
            "raw rows",
            |conn| {
                #[derive(QueryableByName)]
                struct Sum {
                    #[diesel(sql_type = diesel::sql_types::Double)]
                    sum: f64,
                }
                let rows: Vec<Sum> =
                    diesel::sql_query("SELECT sum(balance) AS sum FROM accounts").load(conn)?;
                assert_eq!(rows[0].sum, 150.35);
                Ok(())
            },
            "UPDATE accounts SET balance = 0 WHERE id = 1",
        ),
    ];
    for (what, show, change) in shown {
        let mut db = database();
        let mut other = db.another();
        let unchanged = db.transaction(|conn| {
            show(conn)?;
            open(conn, 20, "zoe")
        });
        assert_eq!(unchanged, Ok(1), "{what}");
        let mut db = Database::with(SCHEMA);
        let mut other_here = db.another();
        std::mem::swap(&mut other, &mut other_here);
        let changed = db.transaction(|conn| {
            show(conn)?;
            other.batch_execute(change)?;
            open(conn, 20, "zoe")
        });
        match changed {
            Err(Error::DatabaseError(DatabaseErrorKind::SerializationFailure, _)) => {}
            outcome => panic!("{what}: {outcome:?}"),
        }
        let zoe: Option<Account> = accounts::table
            .find(20)
            .first(&mut *db)
            .optional()
            .expect("reads");
        assert_eq!(zoe, None, "{what}");
    }
}

#[test]
fn what_was_not_shown_may_change() {
    let mut db = database();
    let mut other = db.another();
    let outcome = db.transaction(|conn| {
        balance(conn, 1)?;
        set_balance(&mut other, 2, 1.0)?;
        diesel::update(accounts::table.find(2))
            .set(accounts::balance.eq(accounts::balance + 1.0))
            .execute(conn)?;
        set_balance(&mut other, 2, 5.0)?;
        Ok::<_, Error>(())
    });
    assert_eq!(
        outcome,
        Ok(()),
        "a blind addition is right whatever was there"
    );
    assert_eq!(balance(&mut db, 2), Ok(6.0));
}

#[test]
fn a_conflict_is_found_by_the_next_read() {
    let mut db = database();
    let mut other = db.another();
    let outcome = db.transaction(|conn| {
        balance(conn, 1)?;
        set_balance(&mut other, 1, 1.0)?;
        let read = balance(conn, 2);
        is_conflict(read.clone_kind());
        read
    });
    is_conflict(outcome);
    // Swallowed by the closure, it is still the end of the transaction.
    let outcome = db.transaction(|conn| {
        balance(conn, 1)?;
        set_balance(&mut other, 1, 2.0)?;
        let _ = balance(conn, 2);
        let _ = set_balance(conn, 2, 1.0);
        Ok::<_, Error>(())
    });
    is_conflict(outcome);
    assert_eq!(balance(&mut db, 2), Ok(50.1));
}

trait CloneKind {
    fn clone_kind(&self) -> Result<(), Error>;
}

impl CloneKind for QueryResult<f64> {
    fn clone_kind(&self) -> Result<(), Error> {
        match self {
            Err(Error::DatabaseError(DatabaseErrorKind::SerializationFailure, _)) => {
                Err(Error::DatabaseError(
                    DatabaseErrorKind::SerializationFailure,
                    Box::new(String::new()),
                ))
            }
            _ => Ok(()),
        }
    }
}

#[test]
fn retries_run_the_closure_again() {
    let mut db = database();
    let mut other = db.another();
    let mut runs = 0;
    let outcome = db.build_transaction().retries(5).run(|conn| {
        runs += 1;
        let read = balance(conn, 1)?;
        if runs < 3 {
            set_balance(&mut other, 1, f64::from(runs))?;
        }
        set_balance(conn, 1, read + 10.0)
    });
    assert_eq!((outcome, runs), (Ok(1), 3));
    assert_eq!(balance(&mut db, 1), Ok(12.0));
    // Its own error is not a conflict.
    let mut runs = 0;
    let outcome = db.build_transaction().retries(5).run(|conn| {
        runs += 1;
        balance(conn, 1)?;
        Err::<(), _>(Error::NotFound)
    });
    assert_eq!((outcome, runs), (Err(Error::NotFound), 1));
    let mut runs = 0;
    let outcome = db.build_transaction().retries(2).run(|conn| {
        runs += 1;
        let read = balance(conn, 1)?;
        set_balance(&mut other, 1, read + 1.0)?;
        set_balance(conn, 1, 0.0)
    });
    is_conflict(outcome);
    assert_eq!(runs, 3);
}

#[test]
fn what_a_rolled_back_part_saw_must_still_be_so() {
    let mut db = database();
    let mut other = db.another();
    let look_and_undo = |conn: &mut RqliteConnection| {
        let seen = conn.transaction(|conn| {
            diesel::update(accounts::table)
                .set(accounts::balance.eq(accounts::balance * 2.0))
                .execute(conn)?;
            let doubled = balance(conn, 2)?;
            assert!((doubled - 100.2).abs() < 1e-9);
            Err::<(), _>(Error::RollbackTransaction)
        });
        assert_eq!(seen, Err(Error::RollbackTransaction));
        assert_eq!(balance(conn, 1)?, 100.25);
        open(conn, 9, "ida")
    };
    assert_eq!(db.transaction(look_and_undo), Ok(1));
    assert_eq!(balance(&mut db, 1), Ok(100.25));
    diesel::delete(accounts::table.find(9))
        .execute(&mut *db)
        .expect("deletes");
    let outcome = db.transaction(|conn| {
        let outcome = look_and_undo(conn);
        set_balance(&mut other, 2, 50.2)?;
        outcome
    });
    is_conflict(outcome);
    assert_eq!(db.count("accounts"), 3);
}
