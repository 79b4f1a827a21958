//! `RETURNING *` in raw SQL gives all columns, with exact values.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Double, Nullable, Text};

use super::RqliteConnection;
use super::database::Database;

const SCHEMA: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, \"a \"\"b\" TEXT, bytes BLOB, number REAL, \
     twice INTEGER GENERATED ALWAYS AS (id * 2))";

#[derive(QueryableByName, Debug, PartialEq)]
struct Row {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Nullable<Text>, column_name = "a \"b")]
    text: Option<String>,
    #[diesel(sql_type = Nullable<Binary>)]
    bytes: Option<Vec<u8>>,
    #[diesel(sql_type = Double)]
    number: f64,
    #[diesel(sql_type = BigInt)]
    twice: i64,
}

fn row(id: i64) -> Row {
    Row {
        id,
        text: Some("x".to_owned()),
        bytes: Some(vec![0, 255]),
        number: 0.1,
        twice: 2 * id,
    }
}

fn rows(conn: &mut RqliteConnection, sql: &str) -> QueryResult<Vec<Row>> {
    diesel::sql_query(sql).load(conn)
}

#[test]
fn star_behind_returning_is_all_columns() {
    let mut db = Database::with(SCHEMA);
    let insert = "INSERT INTO t (id, \"a \"\"b\", bytes, number) VALUES (1, 'x', x'00ff', 0.1), (2, 'x', x'00ff', 0.1) RETURNING *";
    assert_eq!(rows(&mut db, insert), Ok(vec![row(1), row(2)]));
    let update = "UPDATE \"t\" SET number = 0.1 WHERE id = 2 RETURNING *";
    assert_eq!(rows(&mut db, update), Ok(vec![row(2)]));
    for options in ["", "transaction=eager"] {
        let mut other = db.another_with(options);
        let outcome = other.transaction(|conn| {
            let deleted = rows(conn, "DELETE FROM t WHERE id = 1 RETURNING *")?;
            let inserted = rows(conn, &insert.replace("(2,", "(3,"))?;
            QueryResult::Ok((deleted, inserted))
        });
        assert_eq!(outcome, Ok((vec![row(1)], vec![row(1), row(3)])));
        diesel::sql_query("DELETE FROM t WHERE id = 3")
            .execute(&mut other)
            .expect("deletes");
    }
    assert!(rows(&mut db, "DELETE FROM nowhere RETURNING *").is_err());
}
