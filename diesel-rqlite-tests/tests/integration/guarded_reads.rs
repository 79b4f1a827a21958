//! Rows of every kind of query and table come back inside of a transaction as outside, and are compared at the commit.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::Error;

use super::RqliteConnection;
use super::accounts::{Account, accounts, database, is_conflict, last_insert_rowid, set_balance};
use super::database::Database;

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
