//! Rows without ORDER BY come in a transaction as they do outside of it.

use diesel::prelude::*;

use super::RqliteConnection;
use super::database::Database;

const SCHEMA: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT UNIQUE, n INTEGER);
    INSERT INTO t VALUES (1, 'z', 1), (2, 'y', 1), (3, 'm', 2), (4, 'b', 1), (5, 'a', 2);
    CREATE TABLE w (a TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID; INSERT INTO w SELECT a, n FROM t;
    CREATE VIEW v AS SELECT * FROM t;";

#[derive(QueryableByName, Debug, PartialEq)]
struct Row {
    #[diesel(sql_type = diesel::sql_types::Text)]
    a: String,
}

fn rows(conn: &mut RqliteConnection, sql: &str) -> QueryResult<Vec<Row>> {
    diesel::sql_query(sql).load(conn)
}

diesel::table! {
    t (id) { id -> Integer, a -> Text, n -> Integer, }
}

#[test]
fn limit_takes_the_same_rows_inside_and_outside_of_a_transaction() {
    for options in ["", "transaction=eager"] {
        let mut db = Database::with_options(SCHEMA, options);
        for sql in [
            "SELECT n, a FROM t LIMIT 2 OFFSET 1",
            "SELECT n, a FROM t AS x WHERE n = 1 LIMIT 1 OFFSET 2",
            "SELECT a FROM t WHERE id > 1 ORDER BY n LIMIT 2",
            "SELECT \"a\", n FROM main.\"t\" ORDER BY n DESC",
            "SELECT a FROM w LIMIT 2",
            "SELECT a, n FROM w LIMIT 2 OFFSET 1",
        ] {
            let outside = rows(&mut db, sql).expect(sql);
            let inside = db.transaction(|conn| rows(conn, sql));
            assert_eq!(inside, Ok(outside), "{sql}");
        }
        let query = t::table.select((t::n, t::a)).limit(1).offset(1);
        let outside = query.first::<(i32, String)>(&mut *db);
        assert_eq!(outside, Ok((1, "y".to_owned())));
        assert_eq!(db.transaction(|conn| query.first(conn)), outside);
        // Whatever has no rowids is in an order all the same.
        for sql in [
            "SELECT a FROM v LIMIT 2",
            "SELECT value AS a FROM json_each('[\"b\",\"a\"]') LIMIT 2",
        ] {
            assert_eq!(
                db.transaction(|conn| rows(conn, sql))
                    .map(|rows| rows.len()),
                Ok(2),
                "{sql}"
            );
        }
    }
}

#[test]
fn table_that_loses_its_rowids_is_read_all_the_same() {
    let mut db = Database::with(SCHEMA);
    let mut knowing = db.another();
    for made in [
        "DROP TABLE t; CREATE TABLE t (id INTEGER, a TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID; INSERT INTO t VALUES (1, 'a', 1)",
        "DROP TABLE t; CREATE VIEW t AS SELECT 1 AS id, 'a' AS a, 1 AS n",
    ] {
        diesel::connection::SimpleConnection::batch_execute(&mut *db, made).expect(made);
        let read = knowing.transaction(|conn| rows(conn, "SELECT a FROM t LIMIT 1"));
        assert_eq!(read, Ok(vec![Row { a: "a".to_owned() }]), "{made}");
    }
}
