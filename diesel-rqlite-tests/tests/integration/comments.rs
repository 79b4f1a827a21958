//! Comments and line ends before the clauses that a transaction adds to, or cuts off.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::Error;
use diesel::sql_types::Integer;
use diesel_rqlite::TransactionMode;

use super::RqliteConnection;
use super::database::Database;
use crate::support::assert_none;

const SCHEMA: &str = "DROP TABLE IF EXISTS t; CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER); \
     INSERT INTO t VALUES (1, 30), (2, 20), (3, 10)";

/// What may stand where a blank may. Quotes and semicolons in it mean nothing.
const GAPS: [&str; 12] = [
    " -- c\n",
    "-- c\n",
    "\n-- c\n-- c\n",
    " --\n",
    " -- c\r\n",
    " -- don't; \"\n",
    " -- RETURNING id LIMIT 1 /*\n",
    "/* c */",
    " /* -- */ ",
    "/* ' ; */\n",
    "\t\u{c}\r\n",
    "/*\n*/ -- */\n",
];

/// `{}` is a gap, and a row is its column `id`.
const READS: [&str; 14] = [
    "SELECT id FROM t ORDER BY id{}LIMIT 2",
    "SELECT id FROM t{}ORDER BY id DESC",
    "SELECT id FROM t{}ORDER{}BY{}n{},{}id{}",
    "SELECT id FROM t ORDER BY n{}LIMIT{}2{}OFFSET{}1",
    "SELECT id FROM t ORDER BY n LIMIT 1{},{}2{}",
    "SELECT id FROM t WHERE id > 1{}",
    "SELECT id FROM t{}WHERE id > 1{};{}",
    "{}SELECT{}id{}FROM{}t{}",
    "SELECT n / 10 AS{}id{}FROM t GROUP BY n{}HAVING n > 10{}ORDER BY 1{}LIMIT 5",
    "WITH w AS (SELECT 1 AS id){}SELECT id FROM w{}LIMIT 1",
    "SELECT id FROM t{}UNION ALL{}SELECT 7{}ORDER BY 1{}LIMIT 3",
    "SELECT id FROM (SELECT id FROM t ORDER BY id{}LIMIT 2{}){}ORDER BY id{}LIMIT 1",
    "SELECT max({}id{}) AS id{}FROM t",
    "VALUES{}(1){},{}(2){}",
];

/// The same, with the number of rows they change.
const WRITES: [(usize, &str); 12] = [
    (1, "UPDATE t SET n = 9 WHERE id = 1{}RETURNING id"),
    (3, "UPDATE t SET n = n + 1{}RETURNING{}id{}"),
    (
        2,
        "UPDATE t SET n = 1{}WHERE{}id > 1{}RETURNING n AS{}id{};{}",
    ),
    (1, "DELETE FROM t WHERE id = 2{}RETURNING id"),
    (3, "DELETE FROM t{}RETURNING{}id"),
    (2, "INSERT INTO t (id) VALUES (8), (9){}RETURNING id"),
    (1, "INSERT INTO t (n){}VALUES{}(8){}RETURNING id"),
    (1, "INSERT INTO t DEFAULT VALUES{}RETURNING id"),
    (
        1,
        "INSERT OR IGNORE INTO t (id) VALUES (1), (9){}RETURNING id",
    ),
    (
        1,
        "INSERT INTO t (id) VALUES (1){}ON CONFLICT (id){}DO UPDATE SET n = 5{}RETURNING id",
    ),
    (
        2,
        "INSERT INTO t (id) SELECT id + 10 FROM t WHERE id < 3{}RETURNING id",
    ),
    (
        1,
        "WITH w AS (SELECT 1 AS i){}UPDATE t SET n = 0 WHERE id IN (SELECT i FROM w{}LIMIT 1){}RETURNING id",
    ),
];

#[derive(Debug, PartialEq, QueryableByName)]
struct Row {
    #[diesel(sql_type = Integer)]
    id: i32,
}

/// `None` is outside of a transaction.
const PLACES: [Option<TransactionMode>; 4] = [
    None,
    Some(TransactionMode::Interactive),
    Some(TransactionMode::Eager),
    Some(TransactionMode::Deferred),
];

/// In a transaction, something is written before and behind.
fn run<T>(
    conn: &mut RqliteConnection,
    place: Option<TransactionMode>,
    run: impl Fn(&mut RqliteConnection) -> QueryResult<T>,
) -> QueryResult<T> {
    conn.batch_execute(SCHEMA).expect("creates");
    let Some(mode) = place else {
        return run(conn);
    };
    conn.build_transaction().mode(mode).run(|conn| {
        diesel::sql_query("INSERT INTO t VALUES (40, 0)").execute(conn)?;
        let outcome = run(conn)?;
        diesel::sql_query("INSERT INTO t VALUES (90, 0)").execute(conn)?;
        Ok(outcome)
    })
}

fn state(conn: &mut RqliteConnection) -> Vec<Row> {
    let query = "SELECT id FROM t UNION ALL SELECT coalesce(n, 0) FROM t ORDER BY id";
    diesel::sql_query(query).load(conn).expect("reads")
}

/// What `go` returns, and leaves, must be the same with any gap as with a blank.
fn all_gaps<T: std::fmt::Debug + PartialEq>(
    texts: impl Iterator<Item = &'static str> + Clone,
    places: &[Option<TransactionMode>],
    go: impl Fn(&mut RqliteConnection, &str) -> QueryResult<T>,
) {
    let mut db = Database::new();
    let mut wrong = Vec::new();
    for place in places {
        for (number, text) in texts.clone().enumerate() {
            let plain = text.replace("{}", " ");
            let wanted = run(&mut db, *place, |conn| go(conn, &plain));
            assert!(wanted.is_ok(), "{place:?}: {wanted:?}: {plain}");
            let left = state(&mut db);
            // The default mode has all of them.
            let step = if *place == PLACES[1] { 1 } else { 4 };
            for gap in GAPS.iter().skip(number % step).step_by(step) {
                let sql = text.replace("{}", gap);
                let found = run(&mut db, *place, |conn| go(conn, &sql));
                if found != wanted || state(&mut db) != left {
                    wrong.push(format!("{place:?}: {found:?}: {sql:?}"));
                }
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn comments_before_the_clauses_of_a_read() {
    let reads = READS.into_iter().filter(|sql| !sql.starts_with("VALUES"));
    all_gaps(reads, &PLACES, |conn, sql| {
        diesel::sql_query(sql).load::<Row>(conn)
    });
}

#[test]
fn comments_in_a_read_that_is_only_executed() {
    all_gaps(READS.into_iter(), &PLACES, |conn, sql| {
        diesel::sql_query(sql).execute(conn)
    });
}

#[test]
fn comments_before_returning() {
    let writes = WRITES.into_iter().map(|(_, sql)| sql);
    // The rows of a RETURNING are not known before a deferred commit.
    all_gaps(writes, &PLACES[..3], |conn, sql| {
        match diesel::sql_query(sql).load::<Row>(conn) {
            Err(Error::DeserializationError(error))
                if error.to_string().contains("returned no rows") =>
            {
                Ok(Vec::new())
            }
            rows => rows,
        }
    });
}

#[test]
fn comments_before_a_returning_that_is_only_executed() {
    for (rows, text) in WRITES {
        all_gaps(std::iter::once(text), &PLACES[..3], |conn, sql| {
            let count = diesel::sql_query(sql).execute(conn)?;
            // In a transaction, a row more is there.
            assert!(
                count == rows || count == rows + 1,
                "{count}, not {rows}: {sql}"
            );
            Ok(count)
        });
    }
}

#[test]
fn comments_in_scripts() {
    let texts = READS
        .into_iter()
        .chain(WRITES.into_iter().map(|(_, sql)| sql));
    all_gaps(texts, &PLACES, |conn, sql| {
        conn.batch_execute(&format!("SELECT 1;{sql}\n; UPDATE t SET n = n + 1"))
    });
}
