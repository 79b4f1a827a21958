//! Interactive and eager transactions: the closure sees what it does, and the commit applies only if that is still so.

use super::RqliteConnection;
use diesel::connection::SimpleConnection;
use diesel::dsl::count_star;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};

use super::database::Database;
use crate::support::assert_kind;

diesel::table! {
    accounts (id) {
        id -> Integer,
        name -> Text,
        balance -> Double,
    }
}

diesel::define_sql_function! {
    /// SQLite's own.
    fn last_insert_rowid() -> diesel::sql_types::Integer;
}

#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Insertable, Identifiable, AsChangeset)]
struct Account {
    id: i32,
    name: String,
    balance: f64,
}

const SCHEMA: &str = "CREATE TABLE accounts (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, \
     balance REAL NOT NULL CHECK (balance >= 0)); \
     INSERT INTO accounts VALUES (1, 'ann', 100.25), (2, 'bob', 50.1), (3, 'cid', 0)";

fn database() -> Database {
    Database::with(SCHEMA)
}

fn balance(conn: &mut RqliteConnection, id: i32) -> QueryResult<f64> {
    accounts::table
        .find(id)
        .select(accounts::balance)
        .first(conn)
}

fn set_balance(conn: &mut RqliteConnection, id: i32, balance: f64) -> QueryResult<usize> {
    diesel::update(accounts::table.find(id))
        .set(accounts::balance.eq(balance))
        .execute(conn)
}

fn open(conn: &mut RqliteConnection, id: i32, name: &str) -> QueryResult<usize> {
    diesel::insert_into(accounts::table)
        .values((
            accounts::id.eq(id),
            accounts::name.eq(name),
            accounts::balance.eq(0.0),
        ))
        .execute(conn)
}

fn is_conflict<T: std::fmt::Debug>(outcome: Result<T, Error>) {
    match outcome {
        Err(Error::DatabaseError(DatabaseErrorKind::SerializationFailure, _)) => {}
        other => panic!("no conflict: {other:?}"),
    }
}

#[test]
fn a_transaction_sees_its_own_writes() {
    for mode in ["interactive", "eager"] {
        let mut db = Database::with_options(SCHEMA, &format!("transaction={mode}"));
        let mut other = db.another();
        let outcome = db.transaction(|conn| {
            assert_eq!(set_balance(conn, 1, 1.5)?, 1);
            assert_eq!(balance(conn, 1)?, 1.5);
            assert_eq!(set_balance(conn, 99, 1.5)?, 0, "there is no such row");
            let rich = diesel::update(accounts::table.filter(accounts::balance.gt(1.0)))
                .set(accounts::balance.eq(accounts::balance + 1.0))
                .execute(conn)?;
            assert_eq!(rich, 2);
            let gone: Vec<Account> =
                diesel::delete(accounts::table.filter(accounts::name.eq("cid")))
                    .get_results(conn)?;
            assert_eq!(
                gone,
                [Account {
                    id: 3,
                    name: "cid".to_owned(),
                    balance: 0.0
                }]
            );
            assert_eq!(accounts::table.select(count_star()).first::<i64>(conn)?, 2);
            assert_eq!(balance(&mut other, 1)?, 100.25, "nobody else does");
            Ok::<_, Error>(())
        });
        assert_eq!(outcome, Ok(()), "{mode}");
        let all: Vec<Account> = accounts::table
            .order(accounts::id)
            .load(&mut *db)
            .expect("reads");
        let account = |id, name: &str, balance| Account {
            id,
            name: name.to_owned(),
            balance,
        };
        assert_eq!(
            all,
            [account(1, "ann", 2.5), account(2, "bob", 51.1)],
            "{mode}"
        );
    }
}

#[test]
fn generated_ids_are_those_that_are_stored() {
    let mut db = Database::with(
        "CREATE TABLE posts (id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL); \
         INSERT INTO posts (title) VALUES ('old')",
    );
    diesel::table! { posts (id) { id -> Integer, title -> Text, } }
    let insert = |conn: &mut RqliteConnection, title: &str| {
        diesel::insert_into(posts::table)
            .values(posts::title.eq(title.to_owned()))
            .returning(posts::id)
            .get_result::<i32>(conn)
    };
    let ids = db.transaction(|conn| {
        let first = insert(conn, "first")?;
        diesel::insert_into(posts::table)
            .values(posts::title.eq("second"))
            .execute(conn)?;
        let second: i32 = diesel::select(last_insert_rowid()).get_result(conn)?;
        let more: Vec<(i32, String)> = diesel::insert_into(posts::table)
            .values(&vec![posts::title.eq("third"), posts::title.eq("fourth")])
            .get_results(conn)?;
        assert_eq!(more, [(4, "third".to_owned()), (5, "fourth".to_owned())]);
        Ok::<_, Error>((first, second))
    });
    assert_eq!(ids, Ok((2, 3)));
    assert_eq!(db.count("posts"), 5);
    // Somebody else takes the id that was shown.
    let mut other = db.another();
    let outcome = db.transaction(|conn| {
        let id = insert(conn, "mine")?;
        insert(&mut other, "theirs")?;
        Ok::<_, Error>(id)
    });
    is_conflict(outcome);
    assert_eq!(db.count("posts"), 6);
    let outcome = db.transaction(|conn| {
        diesel::insert_into(posts::table)
            .values(posts::title.eq("mine"))
            .execute(conn)?;
        let id: i32 = diesel::select(last_insert_rowid()).get_result(conn)?;
        insert(&mut other, "theirs, too")?;
        Ok::<_, Error>(id)
    });
    is_conflict(outcome);
    assert_eq!(db.count("posts"), 7);
}

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
fn requests_are_as_few_as_can_be() {
    let mut db = database();
    let transfer = |conn: &mut RqliteConnection| {
        let (from, to) = (balance(conn, 1)?, balance(conn, 2)?);
        set_balance(conn, 1, from - 1.0)?;
        set_balance(conn, 2, to + 1.0)?;
        open(conn, 30, "log")
    };
    let (outcome, requests) = db.requests(|conn| conn.transaction(transfer));
    assert_eq!((outcome, requests), (Ok(1), 3), "two reads and the commit");
    db.batch_execute("DELETE FROM accounts WHERE id = 30")
        .expect("deletes");
    let (outcome, requests) = db.requests(|conn| conn.build_transaction().eager().run(transfer));
    assert_eq!((outcome, requests), (Ok(1), 6), "each write is looked at");
    db.batch_execute("DELETE FROM accounts WHERE id = 30")
        .expect("deletes");
    let (outcome, requests) = db.requests(|conn| conn.build_transaction().deferred().run(transfer));
    assert_eq!((outcome, requests), (Ok(1), 3));
    let (_, requests) = db.requests(|conn| conn.transaction(|conn| balance(conn, 1)));
    assert_eq!(requests, 1, "one read needs no commit");
    let (_, requests) = db.requests(|conn| {
        conn.transaction(|conn| {
            balance(conn, 1)?;
            balance(conn, 2)?;
            balance(conn, 3)
        })
    });
    assert_eq!(requests, 3, "each read confirms those before it");
}

#[test]
fn many_updates_by_key_are_few_requests() {
    let mut db = Database::with("CREATE TABLE n (id INTEGER PRIMARY KEY, v INTEGER NOT NULL)");
    diesel::table! { n (id) { id -> Integer, v -> Integer, } }
    let rows: Vec<_> = (0..200).map(|id| (n::id.eq(id), n::v.eq(0))).collect();
    diesel::insert_into(n::table)
        .values(&rows)
        .execute(&mut *db)
        .expect("inserts");
    let update = |conn: &mut RqliteConnection, id: i32| {
        diesel::update(n::table.find(id))
            .set(n::v.eq(n::v + id))
            .execute(conn)
    };
    let (outcome, requests) = db.requests(|conn| {
        conn.transaction(|conn| {
            for id in 0..200 {
                assert_eq!(update(conn, id)?, 1);
            }
            Ok::<_, Error>(())
        })
    });
    assert_eq!((outcome, requests), (Ok(()), 3));
    assert_eq!(db.one("SELECT sum(v) AS value FROM n"), 199 * 100);
    // A count that was told wrongly is never committed, and not told again.
    let wrong = |conn: &mut RqliteConnection| {
        let mut counts = Vec::new();
        for id in [1, 2, 500, 3] {
            counts.push(update(conn, id)?);
        }
        Ok::<_, Error>(counts)
    };
    is_conflict(db.transaction(wrong));
    assert_eq!(db.transaction(wrong), Ok(vec![1, 1, 0, 1]));
    assert_eq!(
        db.transaction(|conn| update(conn, 500)),
        Ok(0),
        "a first count is always asked for"
    );
}

#[test]
fn counts_told_without_asking_are_right() {
    let mut db = database();
    let outcome = db.transaction(|conn| {
        balance(conn, 1)?;
        assert_eq!(set_balance(conn, 1, 1.0)?, 1);
        assert_eq!(diesel::delete(accounts::table.find(1)).execute(conn)?, 1);
        assert_eq!(set_balance(conn, 1, 2.0)?, 0, "it is gone");
        balance(conn, 2)?;
        diesel::update(accounts::table.find(2))
            .set(accounts::id.eq(20))
            .execute(conn)?;
        assert_eq!(set_balance(conn, 2, 2.0)?, 0, "it has moved");
        balance(conn, 3)?;
        diesel::delete(accounts::table).execute(conn)?;
        assert_eq!(set_balance(conn, 3, 2.0)?, 0, "all are gone");
        let inner = conn.transaction(|conn| {
            open(conn, 7, "tmp")?;
            assert_eq!(balance(conn, 7)?, 0.0);
            Err::<(), _>(Error::RollbackTransaction)
        });
        assert_eq!(inner, Err(Error::RollbackTransaction));
        assert_eq!(set_balance(conn, 7, 1.0)?, 0, "it never was there");
        Ok::<_, Error>(())
    });
    assert_eq!(outcome, Ok(()));
    assert_eq!(db.count("accounts"), 0);
}

#[test]
fn triggers_that_somebody_else_made_are_a_conflict_once() {
    let mut db = database();
    let mut other = db.another();
    other.batch_execute(
        "CREATE TRIGGER skip BEFORE INSERT ON accounts WHEN new.name = 'ghost' BEGIN SELECT RAISE(IGNORE); END",
    )
    .expect("creates");
    is_conflict(db.transaction(|conn| open(conn, 9, "ghost")));
    // What was told wrongly once is asked for from then on.
    for _ in 0..2 {
        assert_eq!(db.transaction(|conn| open(conn, 9, "ghost")), Ok(0));
    }
    assert_eq!(db.transaction(|conn| open(conn, 9, "real")), Ok(1));
}

#[test]
fn eager_errors_are_their_statements_own() {
    let mut db = Database::with_options(SCHEMA, "transaction=eager");
    let mut other = db.another();
    let insert_or_update = |conn: &mut RqliteConnection| {
        match open(conn, 9, "ann") {
            Err(Error::DatabaseError(DatabaseErrorKind::UniqueViolation, information)) => {
                assert_eq!(information.column_name(), Some("name"));
            }
            outcome => panic!("{outcome:?}"),
        }
        assert_kind!(set_balance(conn, 1, -1.0), CheckViolation);
        set_balance(conn, 1, 5.0)
    };
    assert_eq!(db.transaction(insert_or_update), Ok(1));
    assert_eq!(balance(&mut db, 1), Ok(5.0));
    // That the name was taken has been shown: it must still be.
    let outcome = db.transaction(|conn| {
        let result = insert_or_update(conn);
        other.batch_execute("UPDATE accounts SET name = 'anna' WHERE id = 1")?;
        result
    });
    is_conflict(outcome);
}

#[test]
fn an_interactive_error_ends_the_transaction_in_which_it_was() {
    let mut db = database();
    let outcome = db.transaction(|conn| {
        assert_eq!(open(conn, 9, "ann")?, 1, "not asked yet");
        let error = balance(conn, 1);
        let information = assert_kind!(error, UniqueViolation);
        assert_eq!(information.column_name(), Some("name"));
        let behind = assert_kind!(balance(conn, 1), Unknown);
        assert!(
            behind.message().contains("UNIQUE constraint failed"),
            "{}",
            behind.message()
        );
        Ok::<_, Error>(())
    });
    assert_kind!(outcome, Unknown);
    let outcome = db.transaction(|conn| {
        set_balance(conn, 2, 1.0)?;
        let inner = conn.transaction(|conn| {
            open(conn, 9, "ann")?;
            balance(conn, 1)
        });
        assert_kind!(inner, UniqueViolation);
        assert_eq!(balance(conn, 2)?, 1.0);
        open(conn, 9, "ida")
    });
    assert_eq!(outcome, Ok(1));
    assert_eq!(db.count("accounts"), 4);
    let outcome = db.transaction(|conn| {
        open(conn, 10, "jon")?;
        open(conn, 11, "jon")?;
        open(conn, 12, "kim")
    });
    let information = assert_kind!(outcome, UniqueViolation);
    assert_eq!(information.details(), Some("statement 2 of 3"));
    assert_eq!(db.count("accounts"), 4);
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

#[test]
fn read_only_transactions_do_not_write() {
    let mut db = database();
    let outcome = db.build_transaction().read_only().run(|conn| {
        balance(conn, 1)?;
        set_balance(conn, 1, 0.0)
    });
    assert_kind!(outcome, ReadOnlyTransaction);
    let outcome = db
        .build_transaction()
        .read_only()
        .run(|conn| conn.batch_execute("DELETE FROM accounts"));
    assert_kind!(outcome, ReadOnlyTransaction);
    assert_eq!(db.count("accounts"), 3);
}

#[test]
fn schema_changes_are_seen_and_undone() {
    let mut db = database();
    let outcome = db.transaction(|conn| {
        conn.batch_execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, t TEXT); INSERT INTO notes (t) VALUES ('a')")?;
        #[derive(QueryableByName, Debug, PartialEq)]
        struct Note {
            #[diesel(sql_type = diesel::sql_types::Text)]
            t: String,
        }
        let notes: Vec<Note> = diesel::sql_query("SELECT * FROM notes").load(conn)?;
        assert_eq!(notes, [Note { t: "a".to_owned() }]);
        Err::<(), _>(Error::RollbackTransaction)
    });
    assert_eq!(outcome, Err(Error::RollbackTransaction));
    assert_eq!(
        db.one("SELECT count(*) AS value FROM sqlite_master WHERE name = 'notes'"),
        0
    );
}

#[test]
fn now_is_one_moment_in_a_transaction() {
    let mut db = Database::with("CREATE TABLE t (id INTEGER PRIMARY KEY, at TEXT)");
    #[derive(QueryableByName, Debug)]
    struct Moment {
        #[diesel(sql_type = diesel::sql_types::Text)]
        at: String,
    }
    let outcome = db.transaction(|conn| {
        diesel::sql_query("INSERT INTO t (at) VALUES (strftime('%Y-%m-%d %H:%M:%f'))")
            .execute(conn)?;
        let first: Moment = diesel::sql_query("SELECT at FROM t").get_result(conn)?;
        let second: Moment =
            diesel::sql_query("SELECT strftime('%Y-%m-%d %H:%M:%f') AS at").get_result(conn)?;
        assert_eq!(first.at, second.at);
        Ok::<_, Error>(first.at)
    });
    let stored: Moment = diesel::sql_query("SELECT at FROM t")
        .get_result(&mut *db)
        .expect("reads");
    assert_eq!(outcome, Ok(stored.at));
    // What has another value each time is shown, but can't be compared.
    let outcome = db.transaction(|conn| {
        let random: Vec<Moment> =
            diesel::sql_query("SELECT CAST(random() AS TEXT) AS at FROM t ORDER BY random()")
                .load(conn)?;
        assert_eq!(random.len(), 1);
        diesel::sql_query("DELETE FROM t").execute(conn)
    });
    assert_eq!(outcome, Ok(1));
}

#[test]
fn deferred_foreign_keys_fail_at_the_commit() {
    let mut db = Database::on(diesel_rqlite_tests::Rqlited::builder().foreign_keys());
    db.batch_execute(
        "CREATE TABLE p (id INTEGER PRIMARY KEY); \
         CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p DEFERRABLE INITIALLY DEFERRED)",
    )
    .expect("creates");
    let outcome = db.transaction(|conn| {
        diesel::sql_query("INSERT INTO c VALUES (1, 1)").execute(conn)?;
        diesel::sql_query("INSERT INTO p VALUES (1)").execute(conn)
    });
    assert_eq!(outcome, Ok(1));
    for mode in ["interactive", "eager"] {
        let mut conn = db.another_with(&format!("transaction={mode}"));
        let outcome =
            conn.transaction(|conn| diesel::sql_query("INSERT INTO c VALUES (2, 2)").execute(conn));
        assert_kind!(outcome, ForeignKeyViolation);
    }
    assert_eq!(db.count("c"), 1);
}

#[test]
fn tables_without_rowid_return_and_conflict() {
    let mut db = Database::with(
        "CREATE TABLE kv (k TEXT PRIMARY KEY, v INTEGER NOT NULL) WITHOUT ROWID; INSERT INTO kv VALUES ('a', 1)",
    );
    diesel::table! { kv (k) { k -> Text, v -> Integer, } }
    let mut other = db.another();
    let upsert = |conn: &mut RqliteConnection| {
        diesel::insert_into(kv::table)
            .values((kv::k.eq("a"), kv::v.eq(10)))
            .on_conflict(kv::k)
            .do_update()
            .set(kv::v.eq(kv::v + 1))
            .returning((kv::k, kv::v))
            .get_result::<(String, i32)>(conn)
    };
    assert_eq!(db.transaction(upsert), Ok(("a".to_owned(), 2)));
    let outcome = db.transaction(|conn| {
        let row = upsert(conn)?;
        diesel::delete(kv::table).execute(&mut other)?;
        Ok::<_, Error>(row)
    });
    is_conflict(outcome);
    let outcome = db.transaction(|conn| {
        diesel::insert_into(kv::table)
            .values((kv::k.eq("b"), kv::v.eq(1)))
            .execute(conn)?;
        // There is no rowid, which must not decide about the commit.
        let id = diesel::select(last_insert_rowid()).get_result::<i32>(conn);
        assert!(id.is_err());
        Ok::<_, Error>(())
    });
    assert!(outcome.is_ok(), "{outcome:?}");
    assert_eq!(db.count("kv"), 1);
}

#[test]
fn values_of_all_kinds_come_back_as_outside() {
    let mut db = Database::with("CREATE TABLE v (id INTEGER PRIMARY KEY, a)");
    db.batch_execute(
        "INSERT INTO v (a) VALUES (NULL), (1), (-9223372036854775808), (9223372036854775807), (1.0), (0.1), (-1e300), \
         (5e-324), (9e999), (-9e999), (''), ('it''s'), ('é🦀'), (x''), (x'00ff'), ('a' || char(0) || 'b'), \
         (CAST(x'ff41' AS TEXT)), ('n'), ('t5:x'), (123456789012345678901234567890), (1e-5), (2.5e-10)",
    )
    .expect("inserts");
    diesel::table! { v (id) { id -> Integer, a -> Nullable<Binary>, } }
    #[derive(QueryableByName, Debug, PartialEq)]
    struct Raw {
        #[diesel(sql_type = diesel::sql_types::Nullable<diesel::sql_types::Binary>)]
        a: Option<Vec<u8>>,
    }
    #[derive(QueryableByName, Debug, PartialEq)]
    struct Real {
        #[diesel(sql_type = diesel::sql_types::Nullable<diesel::sql_types::Double>)]
        a: Option<f64>,
    }
    let numbers = "SELECT a FROM v WHERE typeof(a) IN ('integer', 'real', 'null') ORDER BY id";
    let others = "SELECT a FROM v WHERE typeof(a) IN ('text', 'blob') ORDER BY id";
    let raw: Vec<Raw> = diesel::sql_query(others).load(&mut *db).expect("reads");
    let real: Vec<Real> = diesel::sql_query(numbers).load(&mut *db).expect("reads");
    let outcome = db.transaction(|conn| {
        let inside: Vec<Raw> = diesel::sql_query(others).load(conn)?;
        assert_eq!(inside, raw);
        let inside: Vec<Real> = diesel::sql_query(numbers).load(conn)?;
        assert_eq!(inside, real);
        let returned: Vec<Raw> = diesel::sql_query(
            "UPDATE v SET id = id WHERE typeof(a) IN ('text', 'blob') RETURNING a",
        )
        .load(conn)?;
        assert_eq!(returned.len(), raw.len());
        for row in &raw {
            assert!(returned.contains(row), "{row:?}");
        }
        let returned: Vec<Real> = diesel::sql_query(
            "UPDATE v SET id = id WHERE typeof(a) IN ('integer', 'real', 'null') RETURNING a",
        )
        .load(conn)?;
        assert_eq!(returned.len(), real.len());
        Ok::<_, Error>(())
    });
    assert_eq!(outcome, Ok(()), "all of it is compared again at the commit");
}

#[test]
fn queries_of_every_shape_are_guarded() {
    let mut db = database();
    let outcome = db.transaction(|conn| {
        use accounts::{balance, id, name, table};
        table.filter(name.eq("ann").or(balance.gt(10.0))).load::<Account>(conn)?;
        table.order((balance.desc(), id)).limit(2).offset(1).load::<Account>(conn)?;
        table.limit(1).load::<Account>(conn)?;
        table.group_by(name).select((name, diesel::dsl::sum(balance))).load::<(String, Option<f64>)>(conn)?;
        table.select(name).distinct().load::<String>(conn)?;
        table.select(id).union(table.select(id + 1)).load::<i32>(conn)?;
        diesel::select(diesel::dsl::exists(table.filter(id.eq(7)))).get_result::<bool>(conn)?;
        let (one, two) = diesel::alias!(accounts as one, accounts as two);
        one.inner_join(two.on(one.field(id).lt(two.field(id))))
            .select((one.field(name), two.field(name)))
            .load::<(String, String)>(conn)?;
        #[derive(QueryableByName)]
        struct Name {
            #[diesel(sql_type = diesel::sql_types::Text, column_name = name)]
            _name: String,
        }
        for sql in [
            "SELECT * FROM accounts",
            "WITH rich AS (SELECT * FROM accounts WHERE balance > 1) SELECT name FROM rich -- all",
            "SELECT a.name FROM accounts a, accounts b ORDER BY a.balance * b.balance DESC LIMIT 3, 2",
            "VALUES ('x')",
            "SELECT name, row_number() OVER (ORDER BY id) FROM accounts WHERE id < ?2 AND id > ?1",
        ] {
            let query = diesel::sql_query(sql);
            let rows = if sql.contains('?') {
                query
                    .bind::<diesel::sql_types::Integer, _>(0)
                    .bind::<diesel::sql_types::Integer, _>(9)
                    .load::<Name>(conn)
                    .map(|_| ())
            } else if sql.starts_with("VALUES") {
                query.execute(conn).map(|_| ())
            } else {
                query.load::<Name>(conn).map(|_| ())
            };
            assert_eq!(rows, Ok(()), "{sql}");
        }
        diesel::sql_query("EXPLAIN SELECT 1").execute(conn)?;
        set_balance(conn, 1, 1.0)
    });
    assert_eq!(outcome, Ok(1));
}

#[test]
fn reading_row_by_row_does_not_grow_with_the_square() {
    let mut db = Database::with("CREATE TABLE n (id INTEGER PRIMARY KEY, v TEXT NOT NULL)");
    diesel::table! { n (id) { id -> Integer, v -> Text, } }
    let rows: Vec<_> = (0..300)
        .map(|id| (n::id.eq(id), n::v.eq("x".repeat(100))))
        .collect();
    diesel::insert_into(n::table)
        .values(&rows)
        .execute(&mut *db)
        .expect("inserts");
    let mut other = db.another();
    let read_all = |conn: &mut RqliteConnection| {
        for id in 0..300 {
            n::table.find(id).select(n::v).first::<String>(conn)?;
        }
        Ok::<_, Error>(())
    };
    let (outcome, requests) = db.requests(|conn| conn.transaction(read_all));
    assert_eq!(outcome, Ok(()));
    assert!((300..=301).contains(&requests), "{requests}");
    // What was not compared on the way is at the end.
    let outcome = db.transaction(|conn| {
        read_all(conn)?;
        diesel::update(n::table.find(0))
            .set(n::v.eq("y"))
            .execute(&mut other)?;
        n::table.find(1).select(n::v).first::<String>(conn)
    });
    is_conflict(outcome);
}

#[test]
fn more_than_can_be_guarded_may_be_read_but_not_with_anything_else() {
    let mut db = Database::with("CREATE TABLE big (id INTEGER PRIMARY KEY, v BLOB NOT NULL)");
    diesel::table! { big (id) { id -> Integer, v -> Binary, } }
    db.batch_execute("INSERT INTO big (v) VALUES (zeroblob(9000000))")
        .expect("inserts");
    let read = |conn: &mut RqliteConnection| big::table.select(big::v).first::<Vec<u8>>(conn);
    assert_eq!(db.transaction(read).map(|v| v.len()), Ok(9_000_000));
    let outcome = db.transaction(|conn| {
        read(conn)?;
        diesel::delete(big::table).execute(conn)
    });
    assert!(
        matches!(outcome, Err(Error::QueryBuilderError(_))),
        "{outcome:?}"
    );
    assert_eq!(db.count("big"), 1);
}

/// As if this were a node that applies the commit later: its own time is another one.
#[test]
fn defaults_that_differ_between_nodes_are_shown_but_not_compared() {
    let mut db = Database::with(
        "CREATE TABLE posts (id INTEGER PRIMARY KEY, title TEXT NOT NULL, at TEXT NOT NULL DEFAULT (hex(randomblob(8))))",
    );
    diesel::table! { posts (id) { id -> Integer, title -> Text, at -> Text, } }
    type Post = (i32, String, String);
    let mut other = db.another();
    let post = |conn: &mut RqliteConnection, title: &str| {
        diesel::insert_into(posts::table)
            .values(posts::title.eq(title.to_owned()))
            .get_result::<Post>(conn)
    };
    let outcome = db.transaction(|conn| {
        let (id, ..) = post(conn, "a")?;
        let found: Post = posts::table.find(id).first(conn)?;
        assert_eq!(found.1, "a");
        posts::table.order(posts::at).load::<Post>(conn)?;
        diesel::update(posts::table.filter(posts::at.ne("x")))
            .set(posts::title.eq("b"))
            .execute(conn)
    });
    assert_eq!(outcome, Ok(1));
    let outcome = db.transaction(|conn| {
        let found: Post = posts::table.find(1).first(conn)?;
        diesel::update(posts::table.find(1))
            .set(posts::at.eq("x"))
            .execute(&mut other)?;
        post(conn, &found.1)
    });
    assert!(
        outcome.is_ok(),
        "it may be another one on each node: {outcome:?}"
    );
    let outcome = db.transaction(|conn| {
        let found: Post = posts::table.find(1).first(conn)?;
        diesel::update(posts::table.find(1))
            .set(posts::title.eq("x"))
            .execute(&mut other)?;
        post(conn, &found.1)
    });
    is_conflict(outcome);
}

#[test]
fn a_statement_may_have_as_many_values_as_sqlite_takes() {
    let mut db = Database::with("CREATE TABLE many (id INTEGER PRIMARY KEY, n INTEGER)");
    let insert = "INSERT INTO many SELECT value, 0 FROM json_each('[1,2,3]')";
    db.batch_execute(insert).expect("inserts");
    for number in [32_764, 32_765, 32_766] {
        let ids: Vec<i32> = (1..=number).collect();
        let outcome = db.transaction(|connection| {
            let found: i64 = many::table
                .filter(many::id.eq_any(&ids))
                .count()
                .get_result(connection)?;
            let updated = diesel::delete(many::table.filter(many::id.eq_any(&ids[2..])))
                .returning(many::id)
                .load::<i32>(connection)?;
            let row = (many::id.eq(3), many::n.eq(number));
            diesel::insert_into(many::table)
                .values(row)
                .execute(connection)?;
            QueryResult::Ok((found, updated))
        });
        assert_eq!(outcome, Ok((3, vec![3])), "{number}");
    }
}

diesel::table! {
    many (id) {
        id -> Integer,
        n -> Integer,
    }
}

/// Tables that skip a row without an error, each with an INSERT of two rows that writes one.
const SKIPPING: [(&str, &str); 5] = [
    (
        "CREATE TABLE s (a UNIQUE ON CONFLICT IGNORE)",
        "INSERT INTO s VALUES (1), (1)",
    ),
    (
        "CREATE TABLE s (a, UNIQUE (a) ON CONFLICT IGNORE)",
        "INSERT INTO s VALUES (1), (1)",
    ),
    (
        "CREATE TABLE s (a NOT NULL ON CONFLICT IGNORE)",
        "INSERT INTO s VALUES (1), (NULL)",
    ),
    (
        "CREATE TABLE s (a); CREATE TRIGGER g BEFORE INSERT ON s WHEN new.a > 1 BEGIN SELECT RAISE(IGNORE); END",
        "INSERT INTO s VALUES (1), (2)",
    ),
    (
        "CREATE TABLE u (a); CREATE VIEW s AS SELECT a FROM u; \
         CREATE TRIGGER g INSTEAD OF INSERT ON s WHEN new.a = 1 BEGIN INSERT INTO u VALUES (new.a); END",
        "INSERT INTO s VALUES (1), (2)",
    ),
];

#[test]
fn who_is_alone_has_no_conflict_whatever_the_schema_skips() {
    for (schema, insert) in SKIPPING {
        let run = |connection: &mut super::RqliteConnection| {
            connection.transaction(|connection| {
                diesel::sql_query(insert).execute(connection)?;
                diesel::sql_query(insert).execute(connection)
            })
        };
        let mut db = Database::new();
        let mut before = db.another();
        db.batch_execute(schema).expect(schema);
        // Who made it knows it; so does who connects after that.
        let counts = [run(&mut db), run(&mut db.another())];
        assert!(counts.iter().all(Result::is_ok), "{schema}: {counts:?}");
        // Another one's schema is news: once.
        let _ = run(&mut before);
        assert!(run(&mut before).is_ok(), "{schema}");
    }
}
