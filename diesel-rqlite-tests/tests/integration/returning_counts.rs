//! Raw statements with RETURNING whose rows nobody wants: they are counted, whatever the server's own parser makes of
//! them.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::Error;
use diesel::sql_types::Text;
use diesel_migrations::{FileBasedMigrations, MigrationHarness};
use diesel_rqlite::TransactionMode;

use super::RqliteConnection;
use super::database::Database;
use crate::support::{AnyRow, assert_none};

const SCHEMA: &str = r#"
    DROP VIEW IF EXISTS shown; DROP TABLE IF EXISTS acc; DROP TABLE IF EXISTS src; DROP TABLE IF EXISTS log;
    CREATE TABLE acc (id INTEGER PRIMARY KEY, n INTEGER, name TEXT UNIQUE, first TEXT, "key" INTEGER, "row" INTEGER, at TEXT);
    CREATE TABLE src (id INTEGER PRIMARY KEY, n INTEGER, tags TEXT);
    CREATE TABLE log (n INTEGER);
    CREATE VIEW shown AS SELECT id, n FROM acc;
    CREATE TRIGGER logged AFTER UPDATE OF at ON acc BEGIN INSERT INTO log VALUES (1), (2), (3); END;
    CREATE TRIGGER written INSTEAD OF UPDATE ON shown BEGIN UPDATE acc SET n = new.n WHERE id = new.id; END;
    INSERT INTO acc VALUES (1, 10, 'ann', 'a', 1, 1, NULL), (2, 20, 'bob', 'b', 2, 2, NULL), (3, 30, 'cid', 'c', 3, 3, NULL);
    INSERT INTO src VALUES (1, 100, '["x"]'), (2, 200, '["y"]');
"#;

/// Each on that schema, with `changes()` of SQLite 3.40 behind it.
const FORMS: &[(usize, &str)] = &[
    (
        1,
        "UPDATE acc SET n = 2 WHERE id IS NOT DISTINCT FROM 1 RETURNING id",
    ),
    (
        2,
        "UPDATE acc SET n = 2 WHERE id IS DISTINCT FROM 1 RETURNING id",
    ),
    (2, "UPDATE acc SET first = 'x' WHERE id < 3 RETURNING first"),
    (1, "UPDATE acc SET key = 9 WHERE id = 1 RETURNING key"),
    (1, "UPDATE acc SET row = 9 WHERE id = 1 RETURNING row"),
    (1, "UPDATE acc SET n = 1 WHERE key = 2 RETURNING id"),
    (0, "UPDATE acc SET n = 1 WHERE first = 'none' RETURNING id"),
    (2, "UPDATE acc SET n = 1 WHERE [id] > 1 RETURNING [id]"),
    (3, "UPDATE acc SET n = 1 RETURNING [id] AS [key]"),
    (1, "UPDATE [acc] SET [n] = 1 WHERE id = 3 RETURNING id"),
    (
        2,
        "UPDATE acc SET n = 1 WHERE (id, n) IN (VALUES (1, 10), (2, 20)) RETURNING id",
    ),
    (
        1,
        "UPDATE acc SET n = 1 WHERE (id, n) = (1, 10) RETURNING id",
    ),
    (
        3,
        "UPDATE acc SET n = 1 WHERE (id, n) IN (SELECT id, 10 * id FROM acc) RETURNING id",
    ),
    (
        1,
        "UPDATE acc SET (n, name) = (7, 'eve') WHERE id = 1 RETURNING id",
    ),
    (
        3,
        "UPDATE acc SET (n, first) = (SELECT n, tags FROM src WHERE src.id = acc.id) RETURNING id",
    ),
    (
        2,
        "UPDATE acc SET n = src.n FROM src WHERE src.id = acc.id RETURNING acc.id",
    ),
    (
        2,
        "UPDATE acc SET n = s.m FROM (SELECT id AS i, n AS m FROM src) AS s WHERE s.i = acc.id RETURNING id",
    ),
    (1, "UPDATE acc AS a SET n = 5 WHERE a.id = 2 RETURNING id"),
    (
        3,
        "UPDATE main.acc SET n = 1 WHERE main.acc.id > 0 RETURNING id",
    ),
    (0, "UPDATE acc SET n = 1 WHERE n ISNULL RETURNING id"),
    (3, "UPDATE acc SET n = 1 WHERE n NOTNULL RETURNING id"),
    (3, "UPDATE acc SET n = 1 WHERE n NOT NULL RETURNING id"),
    (
        1,
        "UPDATE acc SET n = 1 WHERE name = 'ANN' COLLATE nocase RETURNING id",
    ),
    (
        2,
        "UPDATE `acc` SET `n` = 1 WHERE `id` IN (1, 2) RETURNING `id`",
    ),
    (1, "UPDATE acc SET n = 1 WHERE rowid = 2 RETURNING rowid"),
    (1, "UPDATE acc SET n = 1 WHERE _rowid_ > 2 RETURNING oid"),
    (
        2,
        "UPDATE acc SET n = 1 WHERE id IN (SELECT id FROM src) RETURNING id",
    ),
    (
        1,
        "UPDATE acc SET n = 1 WHERE n = (SELECT max(n) FROM acc) RETURNING id",
    ),
    (
        3,
        "UPDATE acc SET n = (SELECT max(n) FROM src) RETURNING (SELECT count(*) FROM src)",
    ),
    (
        2,
        "UPDATE acc SET n = 1 WHERE id IN (SELECT id FROM (SELECT id, row_number() OVER (ORDER BY id DESC) AS r FROM acc) WHERE r < 3) RETURNING id",
    ),
    (
        2,
        "UPDATE acc SET n = 1 WHERE EXISTS (SELECT 1 FROM json_each('[1, 3]') WHERE value = acc.id) RETURNING id",
    ),
    (1, "UPDATE acc SET n = 1 WHERE name GLOB 'a*' RETURNING id"),
    (1, "UPDATE acc SET n = ~n & 0xFF WHERE id = 1 RETURNING n"),
    (3, "UPDATE acc SET n = n << 1 RETURNING n"),
    (
        1,
        "UPDATE acc INDEXED BY sqlite_autoindex_acc_1 SET n = 1 WHERE name = 'bob' RETURNING id",
    ),
    (
        1,
        "UPDATE acc NOT INDEXED SET n = 1 WHERE name = 'bob' RETURNING id",
    ),
    (1, "UPDATE OR IGNORE acc SET name = 'same' RETURNING id"),
    (3, "UPDATE OR REPLACE acc SET name = 'same' RETURNING id"),
    (1, "UPDATE acc SET at = 'x' WHERE id = 1 RETURNING id"),
    (0, "UPDATE shown SET n = 1 WHERE id < 3 RETURNING id"),
    (
        2,
        "UPDATE acc SET n = CASE WHEN id = 1 THEN 1 ELSE 2 END WHERE id BETWEEN 1 AND 2 RETURNING id",
    ),
    (
        1,
        r#"UPDATE acc SET n = 1 WHERE id = 1 RETURNING id AS "returning""#,
    ),
    (0, "UPDATE acc SET n = 1 WHERE id = 99 RETURNING id"),
    (3, "UPDATE acc SET n = 1 RETURNING/* c */id"),
    (3, "UPDATE acc SET n = 1 RETURNING(id)"),
    (
        1,
        "WITH w AS (SELECT 2 AS i) UPDATE acc SET n = 1 WHERE id IN (SELECT i FROM w) RETURNING id",
    ),
    (
        2,
        "WITH RECURSIVE w(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM w WHERE i < 2) DELETE FROM acc WHERE id IN w RETURNING id",
    ),
    (
        1,
        "WITH w AS MATERIALIZED (SELECT 1 AS i) DELETE FROM acc WHERE id IN (SELECT i FROM w) RETURNING id",
    ),
    (2, "DELETE FROM acc WHERE key > 1 RETURNING id, row"),
    (2, "DELETE FROM acc WHERE id IS NOT 2 RETURNING id"),
    (1, "DELETE FROM acc AS a WHERE a.id = 1 RETURNING id"),
    (3, "DELETE FROM main.acc RETURNING id"),
    (0, "DELETE FROM acc WHERE first IS NULL RETURNING first"),
    (
        1,
        "DELETE FROM acc WHERE (id, n) IN (VALUES (3, 30)) RETURNING id -- gone",
    ),
    (
        2,
        "INSERT INTO acc (id, first) VALUES (7, 'x'), (8, 'y') RETURNING first",
    ),
    (1, "INSERT INTO acc (id, key) VALUES (7, 1) RETURNING key"),
    (
        2,
        "INSERT INTO acc (id, n) SELECT id + 10, n FROM src WHERE true ON CONFLICT (id) DO UPDATE SET n = excluded.n RETURNING id",
    ),
    (
        0,
        "INSERT INTO acc (id, name) VALUES (1, 'x') ON CONFLICT (id) DO NOTHING ON CONFLICT (name) DO UPDATE SET n = 1 RETURNING id",
    ),
    (
        1,
        "INSERT INTO acc (id, name) VALUES (9, 'ann') ON CONFLICT (id) DO NOTHING ON CONFLICT (name) DO UPDATE SET n = 1 RETURNING id",
    ),
    (
        0,
        "INSERT INTO acc (id, n) VALUES (1, 5) ON CONFLICT DO UPDATE SET n = excluded.n WHERE excluded.n > acc.n RETURNING id",
    ),
    (
        1,
        "INSERT INTO acc (id, n) VALUES (1, 5), (4, 5) ON CONFLICT DO NOTHING RETURNING id",
    ),
    (
        1,
        "INSERT OR IGNORE INTO acc (id, name) VALUES (4, 'ann'), (5, 'new') RETURNING id",
    ),
    (
        1,
        "INSERT OR REPLACE INTO acc (id, name) VALUES (1, 'bob') RETURNING id",
    ),
    (
        2,
        "REPLACE INTO acc (id, n) VALUES (1, 1), (9, 9) RETURNING id",
    ),
    (1, "INSERT INTO acc DEFAULT VALUES RETURNING id"),
    (
        1,
        "INSERT INTO acc AS a (id, n) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET n = a.n + 1 RETURNING id",
    ),
    (1, "INSERT INTO main.acc (id) VALUES (12) RETURNING acc.id"),
    (
        3,
        "INSERT INTO acc (id) SELECT value FROM json_each('[21, 22, 23]') RETURNING id",
    ),
    (
        0,
        "INSERT INTO acc (id) VALUES (1 IS DISTINCT FROM 2) ON CONFLICT DO NOTHING RETURNING id",
    ),
    (
        2,
        "INSERT INTO acc (id, n) SELECT id + 20, sum(n) OVER (ORDER BY id) FROM src RETURNING n",
    ),
    (
        1,
        "INSERT INTO acc (id) VALUES (30) RETURNING first, key, row",
    ),
    (
        1,
        "INSERT INTO acc (id, at) VALUES (31, CURRENT_DATE) RETURNING at",
    ),
];

/// What a statement leaves.
const STATE: &str = "SELECT coalesce((SELECT group_concat(quote(id) || quote(n) || quote(name) || quote(first) || quote(key) || \
     quote(row)) FROM (SELECT * FROM acc ORDER BY id)), '') || ' ' || (SELECT group_concat(n) FROM log) AS value";

fn state(conn: &mut RqliteConnection) -> String {
    #[derive(QueryableByName)]
    struct State {
        #[diesel(sql_type = Text)]
        value: String,
    }
    let state = diesel::sql_query(STATE).get_result::<State>(conn);
    state.expect("reads").value
}

/// Fresh tables, and the last write is one of another client: five rows.
fn fresh(conn: &mut RqliteConnection, other: &mut RqliteConnection) {
    conn.batch_execute(SCHEMA).expect("creates");
    let five = diesel::sql_query("INSERT INTO log VALUES (1), (2), (3), (4), (5)").execute(other);
    assert_eq!(five, Ok(5));
}

/// The statement without its RETURNING, which is all that differs.
fn without_returning(sql: &str) -> &str {
    sql.split(" RETURNING").next().expect("is there")
}

#[test]
fn a_returning_statement_counts_its_own_rows() {
    let mut db = Database::new();
    let mut other = db.another();
    let mut wrong = Vec::new();
    for (wanted, sql) in FORMS {
        fresh(&mut db, &mut other);
        let count = diesel::sql_query(*sql).execute(&mut *db);
        if count != Ok(*wanted) {
            wrong.push(format!("{count:?}, not {wanted}: {sql}"));
        }
    }
    assert_none(&wrong);
}

#[test]
fn a_returning_statement_counts_its_own_rows_in_a_transaction() {
    let mut db = Database::new();
    let mut other = db.another();
    let mut wrong = Vec::new();
    for mode in [TransactionMode::Interactive, TransactionMode::Eager] {
        for (wanted, sql) in FORMS {
            fresh(&mut db, &mut other);
            diesel::sql_query(without_returning(sql))
                .execute(&mut *db)
                .expect(sql);
            let left = state(&mut db);
            fresh(&mut db, &mut other);
            let transaction = db.build_transaction().mode(mode);
            let count = transaction.run(|conn| diesel::sql_query(*sql).execute(conn));
            if count != Ok(*wanted) {
                wrong.push(format!("{mode:?}: {count:?}, not {wanted}: {sql}"));
            }
            let found = state(&mut db);
            if found != left {
                wrong.push(format!("{mode:?}: leaves {found}, not {left}: {sql}"));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn rows_of_a_returning_statement_are_all_there_or_said_to_be_lost() {
    let mut db = Database::new();
    let mut other = db.another();
    let mut wrong = Vec::new();
    for (wanted, sql) in FORMS {
        fresh(&mut db, &mut other);
        let rows = diesel::sql_query(*sql).load::<AnyRow>(&mut *db);
        match rows.map(|rows| rows.len()) {
            // What an INSTEAD OF trigger writes is returned, but not counted.
            Ok(rows) if rows == *wanted || sql.contains("shown") => {}
            Err(Error::DeserializationError(error))
                if error.to_string().contains("was applied") => {}
            rows => wrong.push(format!("{rows:?}, not {wanted}: {sql}")),
        }
    }
    assert_none(&wrong);
}

/// The ways a script takes.
#[derive(Clone, Copy, Debug)]
enum Way {
    Alone,
    Framed,
    In(TransactionMode),
    Migration,
}

impl Way {
    const ALL: [Way; 6] = [
        Way::Alone,
        Way::Framed,
        Way::In(TransactionMode::Interactive),
        Way::In(TransactionMode::Eager),
        Way::In(TransactionMode::Deferred),
        Way::Migration,
    ];

    fn run(self, conn: &mut RqliteConnection, script: &str) -> Result<(), String> {
        let outcome = match self {
            Way::Alone => conn.batch_execute(script),
            Way::Framed => conn.batch_execute(&format!("BEGIN; {script}; COMMIT")),
            Way::In(mode) => {
                let transaction = conn.build_transaction().mode(mode);
                transaction.run(|conn| conn.batch_execute(script))
            }
            Way::Migration => return migrate(conn, script),
        };
        outcome.map_err(|error| error.to_string())
    }
}

fn migrate(conn: &mut RqliteConnection, script: &str) -> Result<(), String> {
    let directory = tempfile::tempdir().expect("a directory");
    let migration = directory.path().join("2026-01-01-000000_one");
    std::fs::create_dir_all(&migration).expect("creates");
    std::fs::write(migration.join("up.sql"), script).expect("writes");
    std::fs::write(migration.join("down.sql"), "SELECT 1").expect("writes");
    let migrations = FileBasedMigrations::from_path(directory.path()).expect("reads");
    conn.batch_execute("DROP TABLE IF EXISTS __diesel_schema_migrations")
        .expect("drops");
    let run = conn.run_pending_migrations(migrations).map(|_| ());
    run.map_err(|error| error.to_string())
}

#[test]
fn scripts_with_returning_do_what_their_statements_do() {
    let mut db = Database::new();
    let mut other = db.another();
    let mut wrong = Vec::new();
    for way in Way::ALL {
        for (_, sql) in FORMS {
            let script = |sql: &str| {
                // A comment at the end must not swallow the semicolon.
                format!(
                    "INSERT INTO log VALUES (10);\n{sql}\n; SELECT 1; INSERT INTO log VALUES (11)"
                )
            };
            fresh(&mut db, &mut other);
            db.batch_execute(&script(without_returning(sql)))
                .expect(sql);
            let left = state(&mut db);
            fresh(&mut db, &mut other);
            match way.run(&mut db, &script(sql)) {
                Err(error) => wrong.push(format!("{way:?}: {error}: {sql}")),
                Ok(()) => {
                    let found = state(&mut db);
                    if found != left {
                        wrong.push(format!("{way:?}: leaves {found}, not {left}: {sql}"));
                    }
                }
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn a_script_may_be_one_returning_statement_and_return_what_it_likes() {
    let mut db = Database::new();
    let mut other = db.another();
    let mut wrong = Vec::new();
    for way in Way::ALL {
        for sql in [
            "UPDATE acc SET n = n RETURNING id; SELECT 1;",
            "DELETE FROM acc WHERE id = 1 RETURNING id; SELECT 1;",
            "INSERT OR IGNORE INTO acc (id) VALUES (1), (9) RETURNING id; SELECT 1;",
            "INSERT INTO acc (id) VALUES (1) ON CONFLICT DO NOTHING RETURNING id; SELECT 1;",
            "INSERT INTO acc (id) VALUES (7) RETURNING id; INSERT INTO acc (id, n) VALUES (8, 1) RETURNING id, n",
            "UPDATE acc SET n = 1 RETURNING *",
            "DELETE FROM acc RETURNING *; DELETE FROM src RETURNING id, n AS [a b], tags -> '$[0]'",
            "WITH w AS (SELECT 1 AS i) DELETE FROM acc WHERE id IN w RETURNING id;",
            "REPLACE INTO acc (id) VALUES (1), (2) RETURNING (SELECT count(*) FROM src), id -- c\n;",
            "SELECT id FROM acc; UPDATE acc SET n = 1 RETURNING CASE WHEN id = 1 THEN 'x' END AS first;",
        ] {
            fresh(&mut db, &mut other);
            if let Err(error) = way.run(&mut db, sql) {
                wrong.push(format!("{way:?}: {error}: {sql}"));
            }
        }
    }
    assert_none(&wrong);
}
