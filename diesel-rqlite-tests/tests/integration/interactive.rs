//! What a transaction sees and does, before its commit and at it.

use diesel::connection::SimpleConnection;
use diesel::dsl::count_star;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};

use super::RqliteConnection;
use super::accounts::{
    Account, SCHEMA, accounts, balance, database, is_conflict, last_insert_rowid, open, set_balance,
};
use super::database::Database;
use crate::support::assert_kind;

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
