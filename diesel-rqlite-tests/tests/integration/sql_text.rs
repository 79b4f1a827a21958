//! What leaves the client: clean, complete, and the same for every replica.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::Error;
use diesel::sql_types::{Integer, Text};

use super::RqliteConnection;
use super::database::Database;
use crate::support::assert_kind;

diesel::table! {
    t (id) {
        id -> Integer,
        a -> Nullable<Text>,
        b -> Nullable<Text>,
    }
}

fn database() -> Database {
    Database::with("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b TEXT)")
}

#[test]
fn poison_is_not_sent() {
    // On 8.26 each of these, on the path for queries, hangs the node for good.
    let mut db = database();
    for sql in ["", " ", ";", "-- c", "/* c */", ";;"] {
        let outcome = diesel::sql_query(sql).load::<Nothing>(&mut *db).map(|_| ());
        assert!(
            matches!(outcome, Err(Error::QueryBuilderError(_))),
            "{sql:?}: {outcome:?}"
        );
    }
    for sql in [
        "SELECT 1 AS n;;",
        "SELECT 1 AS n; -- c",
        "SELECT 1 AS n -- c",
        "/* */ SELECT 1 AS n;",
    ] {
        let rows = diesel::sql_query(sql)
            .load::<Nothing>(&mut *db)
            .map(|rows| rows.len());
        assert_eq!(rows, Ok(1), "{sql:?}");
    }
    let inserted = diesel::sql_query("INSERT INTO t (a) VALUES ('x') RETURNING id; -- c")
        .load::<Nothing>(&mut *db);
    assert_eq!(inserted.map(|rows| rows.len()), Ok(1));
    assert_eq!(db.count("t"), 1);
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = Integer)]
    value: i32,
}

#[derive(Debug)]
struct Nothing;

impl diesel::deserialize::QueryableByName<diesel_rqlite::Rqlite> for Nothing {
    fn build<'a>(
        _row: &impl diesel::row::NamedRow<'a, diesel_rqlite::Rqlite>,
    ) -> diesel::deserialize::Result<Self> {
        Ok(Nothing)
    }
}

#[test]
fn missing_values_are_an_error_not_null() {
    let mut db = database();
    for sql in [
        "INSERT INTO t (a, b) VALUES (?, ?)",
        "UPDATE t SET a = ?",
        "INSERT INTO t (a) VALUES (:name)",
        "INSERT INTO t (a) VALUES ($::name)",
        "INSERT INTO t (a) VALUES (@::name)",
        "INSERT INTO t (a) VALUES (:::name)",
        "INSERT INTO t (a) VALUES (#name)",
        "INSERT INTO t (a) VALUES ( \u{b}?)",
    ] {
        let outcome = diesel::sql_query(sql).execute(&mut *db);
        assert!(
            matches!(outcome, Err(Error::QueryBuilderError(_))),
            "{sql}: {outcome:?}"
        );
    }
    let named = diesel::sql_query("INSERT INTO t (a, b) VALUES ($x, $y), ($y, $x)")
        .bind::<Text, _>("1")
        .bind::<Text, _>("2")
        .execute(&mut *db);
    assert_eq!(named, Ok(2));
    let rows = t::table
        .order(t::id)
        .select((t::a, t::b))
        .load::<(Option<String>, Option<String>)>(&mut *db);
    let pair = |a: &str, b: &str| (Some(a.to_owned()), Some(b.to_owned()));
    assert_eq!(rows, Ok(vec![pair("1", "2"), pair("2", "1")]));
}

#[test]
fn several_statements_in_one_query_are_refused() {
    let mut db = database();
    let outcome =
        diesel::sql_query("INSERT INTO t DEFAULT VALUES; DELETE FROM t").execute(&mut *db);
    assert!(matches!(outcome, Err(Error::QueryBuilderError(_))));
    assert_eq!(db.count("t"), 0);
}

#[test]
fn schema_is_stored_as_written() {
    let mut db = database();
    // A server that rewrites would freeze the defaults, and on the way lose STRICT.
    let schema = [
        "CREATE TABLE s (a TEXT DEFAULT (datetime('now')), b INTEGER PRIMARY KEY) STRICT",
        "CREATE TABLE r (a INTEGER DEFAULT (random()), b BLOB DEFAULT (randomblob(8)))",
    ];
    for sql in schema {
        diesel::sql_query(sql).execute(&mut *db).expect("creates");
        let stored = diesel::sql_query("SELECT count(*) AS value FROM sqlite_master WHERE sql = ?");
        let stored = stored.bind::<Text, _>(sql).get_result::<Count>(&mut *db);
        assert_eq!(stored.map(|count| count.value), Ok(1), "{sql}");
    }
    db.batch_execute(
        "CREATE TRIGGER g AFTER INSERT ON t BEGIN
            UPDATE t SET b = CASE WHEN a IS NULL THEN 'none' ELSE 'some' END WHERE id = new.id;
            SELECT 1;
         END;
         INSERT INTO t (a) VALUES ('x');",
    )
    .expect("creates a trigger");
    assert_eq!(
        t::table.select(t::b).first::<Option<String>>(&mut *db),
        Ok(Some("some".to_owned()))
    );
}

#[test]
fn volatile_values_are_made_by_the_client() {
    let mut db = database();
    db.batch_execute("CREATE TABLE v (a, b, c, d, e)")
        .expect("creates");
    diesel::sql_query(
        "INSERT INTO v VALUES (CURRENT_TIMESTAMP, datetime('now'), random(), randomblob(8), strftime('%s', 'now')), \
         (CURRENT_TIMESTAMP, datetime('now'), random(), randomblob(8), strftime('%s', 'now'))",
    )
    .execute(&mut *db)
    .expect("inserts");
    assert_eq!(
        db.one("SELECT count(DISTINCT c) AS value FROM v"),
        2,
        "each random() is its own"
    );
    assert_eq!(db.one("SELECT count(DISTINCT d) AS value FROM v"), 2);
    let sane = "SELECT count(*) AS value FROM v WHERE length(a) = 19 AND abs(julianday('now') - julianday(a)) < 1 \
        AND length(b) = 19 AND abs(julianday('now') - julianday(b)) < 1 AND typeof(c) = 'integer' AND typeof(d) = 'blob' \
        AND length(d) = 8 AND abs(unixepoch('now') - e) < 86400";
    assert_eq!(db.one(sane), 2);
    let now = diesel::insert_into(t::table).values(t::a.eq(diesel::dsl::sql::<
        diesel::sql_types::Nullable<Text>,
    >("CURRENT_TIMESTAMP")));
    assert_eq!(now.execute(&mut *db), Ok(1));
    let refused =
        diesel::sql_query("DELETE FROM t WHERE id IN (SELECT id FROM t ORDER BY random() LIMIT 1)")
            .execute(&mut *db);
    assert!(
        matches!(refused, Err(Error::QueryBuilderError(_))),
        "{refused:?}"
    );
}

diesel::table! {
    #[sql_name = "order"]
    odd (id) {
        id -> Integer,
        #[sql_name = "group \"by\""]
        group_by -> Text,
        #[sql_name = "größe"]
        size -> Integer,
    }
}

const ODD: &str =
    r#"CREATE TABLE "order" (id INTEGER PRIMARY KEY, "group ""by""" TEXT, "größe" INTEGER)"#;

#[test]
fn names_that_need_quotes() {
    let mut db = Database::with(ODD);
    let row = diesel::insert_into(odd::table)
        .values((odd::group_by.eq("g"), odd::size.eq(2)))
        .get_result::<(i32, String, i32)>(&mut *db);
    assert_eq!(row, Ok((1, "g".to_owned(), 2)));
    assert_eq!(
        odd::table
            .filter(odd::size.eq(2))
            .select(odd::group_by)
            .first(&mut *db),
        Ok("g".to_owned())
    );
}

/// A row that is read by its key is compared under these names at the commit.
#[test]
fn rows_with_names_that_need_quotes_are_compared() -> QueryResult<()> {
    let mut db = Database::with(ODD);
    let mut other = db.another();
    let first = (odd::id.eq(1), odd::group_by.eq("g"), odd::size.eq(2));
    diesel::insert_into(odd::table)
        .values(first)
        .execute(&mut *db)?;
    let size_of =
        |conn: &mut RqliteConnection| odd::table.find(1).first::<(i32, String, i32)>(conn);
    // From the second time on, the row comes as it is stored.
    for size in 2..6 {
        db.transaction(|conn| {
            assert_eq!(size_of(conn)?, (1, "g".to_owned(), size));
            let row = diesel::update(odd::table.find(1));
            row.set(odd::size.eq(size + 1)).execute(conn)
        })?;
    }
    for change in [r#""group ""by""" = 'h'"#, r#""größe" = 0"#] {
        let outcome = db.transaction(|conn| {
            size_of(conn)?;
            other.batch_execute(&format!(r#"UPDATE "order" SET {change}"#))?;
            diesel::insert_into(odd::table)
                .values((odd::group_by.eq("i"), odd::size.eq(1)))
                .execute(conn)
        });
        assert_kind!(outcome, SerializationFailure);
        // One that goes well, so that the next is no second try.
        db.transaction(|conn| {
            size_of(conn)?;
            diesel::delete(odd::table.filter(odd::id.gt(1))).execute(conn)
        })?;
    }
    Ok(())
}

#[test]
fn rows_lost_by_the_servers_parser_are_an_error_that_says_so() {
    let mut db = database();
    // No server's own parser knows IS DISTINCT FROM; it then runs the statement without returning rows.
    let outcome =
        diesel::sql_query("UPDATE t SET a = 'x' WHERE a IS DISTINCT FROM 'x' RETURNING id")
            .load::<Nothing>(&mut *db);
    let Err(Error::DeserializationError(error)) = outcome else {
        panic!("{outcome:?}");
    };
    assert!(error.to_string().contains("was applied"), "{error}");
}

#[test]
fn dangerous_pragmas_and_attach_are_refused() {
    let mut db = database();
    for sql in [
        "PRAGMA wal_checkpoint",
        "ATTACH 'x.db' AS x",
        "PRAGMA query_only(1)",
        "PRAGMA \"query_only\" = 1",
        "PRAGMA 'case_sensitive_like' = ON",
        "PRAGMA main.[locking_mode] = EXCLUSIVE",
        "PRAGMA ignore_check_constraints = ON",
        "EXPLAIN PRAGMA ignore_check_constraints = 1",
        "VACUUM INTO '/tmp/copy'",
    ] {
        let outcome = diesel::sql_query(sql).execute(&mut *db);
        assert!(
            matches!(outcome, Err(Error::QueryBuilderError(_))),
            "{sql}: {outcome:?}"
        );
    }
    let fine = diesel::sql_query("PRAGMA table_info(t)").load::<Nothing>(&mut *db);
    assert_eq!(fine.map(|rows| rows.len()), Ok(3));
    let quoted = diesel::sql_query("PRAGMA table_info('t')").load::<Nothing>(&mut *db);
    assert_eq!(quoted.map(|rows| rows.len()), Ok(3));
    assert_eq!(db.batch_execute("PRAGMA user_version(7)"), Ok(()));
    assert_eq!(
        diesel::sql_query("PRAGMA user_version = 8").execute(&mut *db),
        Ok(0)
    );
    assert_eq!(
        db.one("SELECT user_version AS value FROM pragma_user_version"),
        8
    );
    let explained = diesel::sql_query("EXPLAIN QUERY PLAN SELECT * FROM t WHERE id = ?")
        .bind::<Integer, _>(1)
        .load::<Nothing>(&mut *db);
    assert_eq!(explained.map(|rows| rows.len()), Ok(1));
}

#[test]
fn byte_order_marks_hide_nothing() {
    let mut db = database();
    // It reaches the client's own transaction, not the server.
    let (begun, requests) =
        db.requests(|conn| conn.batch_execute("\u{feff}BEGIN; \u{feff}ROLLBACK"));
    assert_eq!((begun, requests), (Ok(()), 0));
    let script = "\u{feff}BEGIN; INSERT INTO t (a) VALUES (random()); COMMIT;";
    assert_eq!(db.batch_execute(script), Ok(()));
    assert_eq!(db.one("\u{feff}SELECT count(*) AS value FROM t"), 1);
}

#[test]
fn a_script_that_ends_like_an_empty_batch_is_run() {
    let mut db = database();
    db.batch_execute("SELECT 1 FROM t; INSERT INTO t (a) VALUES ('x'); DELETE FROM t WHERE 1=0")
        .expect("runs");
    assert_eq!(db.count("t"), 1);
    let rows = diesel::sql_query("SELECT 1 FROM (SELECT 2) UNION ALL SELECT 1 WHERE 1=0")
        .load::<Nothing>(&mut *db);
    assert_eq!(rows.map(|rows| rows.len()), Ok(1));
}

#[test]
fn tables_with_the_names_of_functions() {
    diesel::table! { random (id) { id -> Integer, a -> Text, } }
    let mut db = Database::with("CREATE TABLE random (id INTEGER PRIMARY KEY, a TEXT)");
    let inserted = diesel::insert_into(random::table)
        .values((random::id.eq(1), random::a.eq("x")))
        .get_result::<(i32, String)>(&mut *db);
    assert_eq!(inserted, Ok((1, "x".to_owned())));
    assert_eq!(
        db.one("WITH replace(value) AS (SELECT 7) SELECT value FROM replace"),
        7
    );
}

#[test]
fn volatile_values_that_can_not_be_replaced_are_refused() {
    let mut db = database();
    for sql in [
        "INSERT INTO t (b) SELECT randomblob(4 * id) FROM t",
        "UPDATE t SET a = strftime('%f', \"now\")",
        "UPDATE t SET a = julianday(('now'))",
    ] {
        let outcome = diesel::sql_query(sql).execute(&mut *db);
        assert!(
            matches!(outcome, Err(Error::QueryBuilderError(_))),
            "{sql}: {outcome:?}"
        );
    }
    for bound in ["subsec", "now"] {
        let outcome =
            diesel::sql_query("UPDATE t SET a = julianday(coalesce(?1, ?1)), b = unixepoch(?1)")
                .bind::<Text, _>(bound)
                .execute(&mut *db);
        assert!(
            matches!(outcome, Err(Error::QueryBuilderError(_))),
            "{bound}: {outcome:?}"
        );
    }
    db.batch_execute("CREATE TABLE made AS SELECT random() AS value")
        .expect("creates");
    let sql = "SELECT sql LIKE '%random%' AS value FROM sqlite_master WHERE name = 'made'";
    assert_eq!(db.one(sql), 0);
    assert_eq!(
        db.one("SELECT typeof(value) = 'integer' AS value FROM made"),
        1
    );
}

#[test]
fn counts_are_those_of_the_statements_own_rows() {
    let mut db = database();
    db.batch_execute("INSERT INTO t (a) VALUES ('x'), ('y'), ('z')")
        .expect("inserts");
    let created = diesel::sql_query("CREATE TABLE u (a)").execute(&mut *db);
    assert_eq!(created, Ok(0), "not those of the statement before");
    let framed = diesel::sql_query("BEGIN; INSERT INTO u VALUES (1), (2); SELECT 1; COMMIT")
        .execute(&mut *db);
    assert_eq!(framed, Ok(2));
}

#[test]
fn columns_of_a_raw_returning_have_their_names() {
    #[derive(Debug, PartialEq, QueryableByName)]
    struct Row {
        #[diesel(sql_type = Integer)]
        id: i32,
        #[diesel(sql_type = Text)]
        v: String,
    }
    let mut db = database();
    for (index, returning) in [
        "id, a v",
        "id, a -- c\n AS v",
        "ID, a AS 'V'",
        "id AS \"id\", a || '' AS [v]",
        "t.id, CASE WHEN a IS NULL THEN '' ELSE a END v",
    ]
    .iter()
    .enumerate()
    {
        let sql = format!("INSERT INTO t (a) VALUES (?) RETURNING {returning}");
        let row = diesel::sql_query(sql)
            .bind::<Text, _>("x")
            .get_result::<Row>(&mut *db);
        let id = i32::try_from(index).expect("fits") + 1;
        // Servers before 9 may not understand it all; then the rows are lost, and that is said.
        match row {
            Ok(row) => assert_eq!(
                row,
                Row {
                    id,
                    v: "x".to_owned()
                },
                "{returning}"
            ),
            Err(Error::DeserializationError(error)) => {
                assert!(
                    error.to_string().contains("was applied"),
                    "{returning}: {error}"
                );
            }
            Err(error) => panic!("{returning}: {error}"),
        }
    }
    assert_eq!(db.count("t"), 5);
}

#[test]
fn date_functions_may_stand_inside_each_other() {
    let mut db = database();
    db.batch_execute("INSERT INTO t (a) VALUES (date(datetime('now', '-1 day')))")
        .expect("inserts");
    assert_eq!(db.one("SELECT count(*) AS value FROM t WHERE a = date('now', '-1 day') OR a = date('now', '-2 days')"), 1);
    let wrong = diesel::sql_query("SELECT 1 FROM WHERE 1=0").execute(&mut *db);
    assert!(matches!(wrong, Err(Error::DatabaseError(..))), "{wrong:?}");
}

/// What is wrong with a query that is not sent.
fn said<T>(outcome: QueryResult<T>) -> String {
    match outcome {
        Err(Error::QueryBuilderError(error)) => error.to_string(),
        Err(error) => panic!("{error:?}"),
        Ok(_) => panic!("was sent"),
    }
}

#[test]
fn what_a_connection_did_last_is_not_asked_of_everybody() {
    let mut db = database();
    let mut other = db.another();
    diesel::sql_query("INSERT INTO t (id) VALUES (7)")
        .execute(&mut *db)
        .expect("inserts");
    // As on SQLite, of a connection that has written nothing.
    for sql in [
        "SELECT last_insert_rowid() AS value",
        "SELECT count(*) AS value FROM t WHERE id = \"last_insert_rowid\" /* x */ ()",
        "SELECT changes() AS value",
    ] {
        let outcome = diesel::sql_query(sql).get_result::<Count>(&mut other);
        assert_eq!(outcome.map(|count| count.value), Ok(0), "{sql}");
    }
    let total = diesel::sql_query("SELECT total_changes() AS value").load::<Count>(&mut other);
    assert!(said(total).contains("() is about what a connection"));
    for sql in [
        "INSERT INTO t (a) VALUES (total_changes())",
        "INSERT INTO t (a) SELECT 'x'; UPDATE t SET a = last_insert_rowid()",
    ] {
        said(diesel::sql_query(sql).execute(&mut other));
        said(other.batch_execute(sql));
        said(other.transaction(|connection| diesel::sql_query(sql).execute(connection)));
    }
    other
        .batch_execute(
            "INSERT INTO t (id) VALUES (8); INSERT INTO t (id, a) VALUES (9, last_insert_rowid())",
        )
        .expect("inserts");
    let id = other.transaction(|connection| {
        diesel::sql_query("INSERT INTO t (id) VALUES (20)").execute(connection)?;
        diesel::sql_query("INSERT INTO t (a) VALUES (last_insert_rowid())").execute(connection)?;
        diesel::sql_query("SELECT last_insert_rowid() AS value").get_result::<Count>(connection)
    });
    assert_eq!(id.map(|id| id.value), Ok(21));
    let stored = t::table
        .filter(t::a.is_not_null())
        .order(t::id)
        .select(t::a);
    let stored: Vec<Option<String>> = stored.load(&mut *db).expect("is there");
    assert_eq!(stored, [Some("8".to_owned()), Some("20".to_owned())]);
}

#[test]
fn what_each_node_has_for_itself_is_not_stored() {
    let mut db = database();
    for sql in [
        "INSERT INTO t (a) VALUES (datetime('2020-01-01', 'LOCALTIME'))",
        "UPDATE t SET a = strftime('%H', b, '+1 day', \"utc\")",
        "INSERT INTO t (a) VALUES (`sqlite_version`())",
        "INSERT INTO t (a) SELECT sqlite_source_id()",
        "INSERT INTO t (a) VALUES (sqlite_compileoption_used('THREADSAFE'))",
        "INSERT INTO t (a) SELECT file FROM pragma_database_list",
        "CREATE TABLE u AS SELECT [sqlite_version] /* x */ () AS v",
    ] {
        assert!(
            said(db.batch_execute(sql)).contains("every replica"),
            "{sql}"
        );
        said(db.transaction(|connection| diesel::sql_query(sql).execute(connection)));
    }
    let bound = diesel::sql_query("INSERT INTO t (a) VALUES (datetime(?, ?))")
        .bind::<Text, _>("2020-01-01")
        .bind::<Text, _>("localtime");
    said(bound.execute(&mut *db));
    let read =
        diesel::sql_query("SELECT length(sqlite_version()) AS value").load::<Count>(&mut *db);
    assert!(read.is_ok());
}

#[test]
fn returning_that_nobody_reads_is_checked_all_the_same() {
    let mut db = Database::with(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b TEXT); INSERT INTO t (id) VALUES (1), (2)",
    );
    let wrong = "DELETE FROM t RETURNING nowhere, ?";
    let query = diesel::sql_query(wrong).bind::<Integer, _>(1);
    let error = query.execute(&mut *db).expect_err("has no such column");
    assert_eq!(error.to_string(), "no such column: nowhere");
    let error = db.batch_execute("UPDATE t SET a = 1;\nDELETE FROM t RETURNING nowhere;");
    let error = error.expect_err("has no such column");
    assert_eq!(
        error.to_string(),
        "no such column: nowhere (statement 2, line 2)"
    );
    assert_eq!(db.count("t"), 2);
    let right = diesel::sql_query("DELETE FROM t WHERE id = ? RETURNING *, t.id + ?")
        .bind::<Integer, _>(2)
        .bind::<Integer, _>(1);
    assert_eq!(right.execute(&mut *db), Ok(1));
    assert_eq!(db.count("t"), 1);
}

/// What programs for SQLite begin with.
const SET_UP: &str = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;\
     PRAGMA cache_size = -20000; PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 268435456;";

#[derive(Debug, PartialEq, QueryableByName)]
struct Timeout {
    #[diesel(sql_type = Integer)]
    timeout: i32,
}

#[derive(Debug, PartialEq, QueryableByName)]
struct Journal {
    #[diesel(sql_type = Text)]
    journal_mode: String,
}

#[test]
fn pragmas_that_set_up_a_connection_need_no_server() {
    let mut db = database();
    let (outcome, requests) = db.requests(|connection| {
        connection.batch_execute(SET_UP)?;
        diesel::sql_query("PRAGMA synchronous = OFF").execute(connection)?;
        let timeout = diesel::sql_query("PRAGMA busy_timeout = 700").get_result(connection)?;
        let mode = diesel::sql_query("PRAGMA journal_mode = 'wal'").get_result(connection)?;
        QueryResult::Ok((timeout, mode))
    });
    let timeout = Timeout { timeout: 700 };
    let journal = Journal {
        journal_mode: "wal".to_owned(),
    };
    assert_eq!((outcome, requests), (Ok((timeout, journal)), 0));
    let inside = db.transaction(|connection| connection.batch_execute(SET_UP));
    assert_eq!(inside, Ok(()));
}

#[test]
fn diesel_manage_updated_at_is_not_there() {
    let mut db = database();
    let outcome = diesel::sql_query("SELECT diesel_manage_updated_at('t')").execute(&mut *db);
    let message = "no such function: diesel_manage_updated_at";
    assert!(matches!(
        outcome,
        Err(Error::DatabaseError(_, information)) if information.message() == message
    ));
}

#[test]
fn foreign_keys_are_as_the_nodes_have_them() {
    use diesel_rqlite_tests::Rqlited;

    const ON: &str = "PRAGMA foreign_keys = ON";
    const OFF: &str = "PRAGMA foreign_keys = OFF;";
    let mut without = database();
    let mut with = Database::on(Rqlited::builder().foreign_keys());
    assert_eq!(without.batch_execute(OFF), Ok(()));
    assert!(said(without.batch_execute(ON)).contains("with -fk"));
    assert!(said(diesel::sql_query(ON).execute(&mut *without)).contains("with -fk"));
    assert_eq!(with.batch_execute(&format!("{SET_UP}{ON}")), Ok(()));
    assert_eq!(diesel::sql_query(ON).execute(&mut *with), Ok(0));
    // SQLite ignores it inside of a transaction.
    let inside = |connection: &mut super::RqliteConnection, sql| {
        connection.transaction(|connection| connection.batch_execute(sql))
    };
    assert_eq!(inside(&mut without, ON), Ok(()));
    assert_eq!(inside(&mut without, OFF), Ok(()));
    assert_eq!(inside(&mut with, ON), Ok(()));
    assert_eq!(inside(&mut with, OFF), Ok(()));
    let (outcome, requests) = with.requests(|connection| connection.batch_execute(ON));
    assert_eq!((outcome, requests), (Ok(()), 0));
}

#[test]
fn temporary_tables_live_as_long_as_their_script() {
    let mut db = database();
    for sql in [
        "CREATE TEMP TABLE x (a)",
        "create /* x */ temporary view x AS SELECT 1",
        "CREATE TABLE \"temp\".x (a)",
        "CREATE TEMP TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END",
        "CREATE TEMP TABLE x AS SELECT 1",
    ] {
        assert!(
            said(diesel::sql_query(sql).execute(&mut *db)).contains("one connection for writes"),
            "{sql}"
        );
        said(db.batch_execute(&format!("{sql}; DROP TABLE y")));
        said(db.transaction(|connection| connection.batch_execute(sql)));
    }
    let script = "INSERT INTO t (a) VALUES ('kept');\nCREATE TEMP TABLE old AS SELECT * FROM t;\nDELETE FROM t;\n\
                  INSERT INTO t (a) SELECT a FROM old;\nDROP TABLE old;";
    assert_eq!(db.batch_execute(script), Ok(()));
    assert_eq!(
        db.transaction(|connection| connection.batch_execute(script)),
        Ok(())
    );
    assert_eq!(db.count("t WHERE a = 'kept'"), 2);
}
