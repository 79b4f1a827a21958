//! Rows of the tables in diesel-rqlite/docs/porting-from-sqlite.md: what programs for SQLite do beside Diesel's queries.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::Error;
use diesel::sql_types::{BigInt, Integer, Text};
use diesel_dynamic_schema::dynamic_value::{DynamicRow, NamedField};
use diesel_rqlite_tests::Rqlited;

use crate::connections::Dynamic;
use crate::kit::{connect, people, rqlite, same, shown, sqlite};

type Row = DynamicRow<NamedField<Option<Dynamic>>>;

/// The rows of each query, with their names.
macro_rules! rows {
    ($conn:ident, $shown:ident, $queries:expr) => {
        for sql in $queries {
            $shown.add(diesel::sql_query(sql).load::<Row>($conn));
        }
    };
}

/// One number of a raw query.
macro_rules! number {
    ($conn:expr, $sql:expr) => {
        diesel::select(diesel::dsl::sql::<BigInt>($sql)).get_result::<i64>($conn)
    };
}

same! {
    fn pragmas_that_ask(conn, shown) {
        conn.batch_execute("CREATE INDEX by_owner ON pets (owner_id, name COLLATE NOCASE) WHERE id > 0").expect("creates");
        rows!(conn, shown, [
            "PRAGMA table_info(people)", "PRAGMA table_xinfo('people')", "PRAGMA main.table_info(\"pets\")",
            "PRAGMA index_list(pets)", "PRAGMA index_info(by_owner)", "PRAGMA index_xinfo(by_owner)",
            "PRAGMA foreign_key_list(toys)", "PRAGMA foreign_key_check", "PRAGMA foreign_key_check(pets)",
            "PRAGMA integrity_check", "PRAGMA quick_check(3)", "PRAGMA table_list(people)", "PRAGMA encoding",
        ]);
    }

    fn pragmas_that_are_stored(conn, shown) {
        for sql in ["PRAGMA user_version = 7", "PRAGMA application_id(77)"] {
            shown.add(conn.batch_execute(sql));
        }
        shown.add(diesel::sql_query("PRAGMA user_version = 8").execute(conn).map(|_| ()));
        shown.add(conn.batch_execute("PRAGMA optimize"));
        rows!(conn, shown, ["PRAGMA user_version", "PRAGMA application_id"]);
    }

    // Not journal_mode, locking_mode and mmap_size: those of a database in memory differ from those of a file.
    fn pragmas_that_set_up_a_connection(conn, shown) {
        rows!(conn, shown, [
            "PRAGMA busy_timeout = 5000", "PRAGMA synchronous = NORMAL", "PRAGMA cache_size = -2000", "PRAGMA temp_store = MEMORY",
            "PRAGMA wal_autocheckpoint = 500", "PRAGMA encoding = 'UTF-8'", "PRAGMA read_uncommitted = 1", "PRAGMA foreign_keys", "PRAGMA foreign_keys = ON",
        ]);
    }

    fn tables_of_every_kind(conn, shown) {
        shown.add(conn.batch_execute("
            CREATE TABLE keyed (k TEXT, part INTEGER, v TEXT, PRIMARY KEY (k, part)) WITHOUT ROWID;
            CREATE TABLE typed (i INT, r REAL, t TEXT, b BLOB, a ANY) STRICT;
            CREATE TABLE generated (a INTEGER, b INTEGER AS (a * 2) STORED, c TEXT AS ('n' || a) VIRTUAL);
            CREATE VIEW adults AS SELECT id, upper(name) AS loud FROM people WHERE age > 30;
            CREATE UNIQUE INDEX once ON pets (owner_id, lower(name)) WHERE id < 100;
            CREATE TABLE log (what TEXT);
            CREATE TRIGGER logs AFTER UPDATE OF age ON people BEGIN INSERT INTO log VALUES (old.name || new.age); END;
            CREATE TRIGGER joins INSTEAD OF INSERT ON adults BEGIN INSERT INTO people (name, age) VALUES (new.loud, 99); END;
            CREATE VIRTUAL TABLE texts USING fts5(title, body);
            CREATE VIRTUAL TABLE boxes USING rtree(id, left, right);"));
        for sql in [
            "INSERT INTO keyed VALUES ('a', 2, 'x'), ('a', 1, 'y')", "INSERT INTO keyed VALUES ('a', 1, 'z')",
            "INSERT INTO typed VALUES (1, 2.5, 'x', x'00', '1')", "INSERT INTO typed (i) VALUES ('x')",
            "INSERT INTO generated (a) VALUES (4)", "INSERT INTO generated (b) VALUES (4)",
            "INSERT INTO pets (owner_id, name) VALUES (1, 'REX')", "UPDATE people SET age = 41 WHERE id = 1",
            "INSERT INTO adults (loud) VALUES ('EVE')", "INSERT INTO texts VALUES ('one', 'the quick fox'), ('two', 'a slow snail')",
            "INSERT INTO boxes VALUES (1, 0, 10), (2, 20, 30)",
        ] {
            shown.add(diesel::sql_query(sql).execute(conn).map(|_| ()));
        }
        rows!(conn, shown, [
            "SELECT * FROM keyed", "SELECT * FROM typed", "SELECT * FROM generated", "SELECT * FROM adults ORDER BY id", "SELECT * FROM log",
            "SELECT title FROM texts WHERE texts MATCH 'fox'", "SELECT id FROM boxes WHERE left < 5",
            "SELECT json_extract(json_object('a', json_array(1, 2.5)), '$.a[1]') AS j",
        ]);
    }

    fn ids_and_counts_of_the_connection(conn, shown) {
        shown.add(number!(conn, "last_insert_rowid()"));
        shown.add(diesel::insert_into(people::table).values(people::name.eq("Dee")).execute(conn));
        shown.add(number!(conn, "last_insert_rowid()"));
        shown.add(diesel::update(people::table).set(people::active.eq(false)).execute(conn));
        shown.add(number!(conn, "changes()"));
        shown.add(number!(conn, "last_insert_rowid()"));
        shown.add(conn.batch_execute("INSERT INTO pets (owner_id, name) VALUES (last_insert_rowid(), 'Kid')"));
        shown.add(number!(conn, "(SELECT owner_id FROM pets WHERE name = 'Kid')"));
    }

    // What a rolled back transaction says at its end differs: Diesel finds SQLite's own ROLLBACK out too late.
    fn statements_that_roll_back(conn, shown) {
        conn.batch_execute("CREATE TABLE once (a INTEGER UNIQUE ON CONFLICT ROLLBACK);
            CREATE TRIGGER guarded BEFORE DELETE ON people BEGIN SELECT RAISE(ROLLBACK, 'stays'); END;
            INSERT INTO once VALUES (1)").expect("creates");
        for sql in ["INSERT INTO once VALUES (1)", "INSERT OR ROLLBACK INTO people (name) VALUES ('Ann')",
            "UPDATE OR ROLLBACK people SET name = 'Bob' WHERE id = 1", "DELETE FROM people WHERE id = 2"] {
            let mut failure = None;
            let outcome = conn.transaction(|conn| {
                diesel::sql_query("INSERT INTO once VALUES (2)").execute(conn)?;
                let failed = diesel::sql_query(sql).execute(conn);
                failure = Some(crate::kit::shown(failed));
                Err::<(), _>(Error::RollbackTransaction)
            });
            assert!(outcome.is_err(), "{sql}");
            shown.text(failure);
            shown.add(number!(conn, "(SELECT count(*) FROM once)"));
        }
    }

    fn tables_are_rebuilt_with_foreign_keys_off(conn, shown) {
        conn.batch_execute("CREATE TABLE leashes (id INTEGER PRIMARY KEY, pet_id INTEGER REFERENCES pets (id) ON DELETE CASCADE);
            INSERT INTO leashes VALUES (1, 1), (2, 3)").expect("creates");
        shown.add(conn.batch_execute("PRAGMA foreign_keys = OFF; BEGIN;
            CREATE TABLE new_pets (id INTEGER PRIMARY KEY, owner_id INTEGER NOT NULL REFERENCES people (id), name TEXT NOT NULL, kind TEXT);
            INSERT INTO new_pets SELECT id, owner_id, name, 'dog' FROM pets;
            DROP TABLE pets; ALTER TABLE new_pets RENAME TO pets; COMMIT; PRAGMA foreign_keys = ON"));
        rows!(conn, shown, ["SELECT * FROM pets ORDER BY id", "SELECT * FROM leashes ORDER BY id", "PRAGMA foreign_key_check", "PRAGMA foreign_keys",
            "PRAGMA foreign_key_list(leashes)"]);
        shown.add(conn.batch_execute("INSERT INTO leashes VALUES (3, 99)"));
    }

    fn foreign_keys_off_and_on_by_the_program(conn, shown) {
        shown.add(conn.batch_execute("INSERT INTO pets VALUES (9, 99, 'Stray')"));
        shown.add(conn.batch_execute("PRAGMA foreign_keys = OFF"));
        shown.add(conn.batch_execute("INSERT INTO pets VALUES (9, 99, 'Stray')"));
        rows!(conn, shown, ["PRAGMA foreign_keys", "PRAGMA foreign_key_check"]);
        shown.add(conn.batch_execute("PRAGMA foreign_keys = ON"));
        shown.add(conn.batch_execute("INSERT INTO pets VALUES (10, 99, 'Stray')"));
        // SQLite ignores it inside of a transaction.
        shown.add(conn.transaction(|conn| {
            conn.batch_execute("PRAGMA foreign_keys = OFF")?;
            Ok::<_, Error>(())
        }));
        shown.add(conn.batch_execute("INSERT INTO pets VALUES (10, 99, 'Stray')"));
    }

    fn foreign_keys_that_are_deferred(conn, shown) {
        let kept = conn.transaction(|conn| {
            conn.batch_execute("PRAGMA defer_foreign_keys = ON")?;
            diesel::sql_query("INSERT INTO pets VALUES (9, 99, 'Early')").execute(conn)?;
            diesel::sql_query("INSERT INTO people (id, name) VALUES (99, 'Late')").execute(conn)
        });
        shown.add(kept);
        conn.batch_execute("CREATE TABLE later (id INTEGER PRIMARY KEY, pet INTEGER REFERENCES pets (id) DEFERRABLE INITIALLY DEFERRED)").expect("creates");
        shown.add(diesel::sql_query("INSERT INTO later VALUES (1, 77)").execute(conn));
        shown.add(conn.transaction(|conn| diesel::sql_query("INSERT INTO later VALUES (1, 77)").execute(conn)).map(|_| ()));
        shown.add(number!(conn, "(SELECT count(*) FROM later)"));
    }

    fn rows_without_an_order(conn, shown) {
        conn.batch_execute("CREATE INDEX by_age ON people (age); INSERT INTO people (id, name, age) VALUES (-5, 'Min', 41), (1000, 'Max', 7)").expect("creates");
        rows!(conn, shown, ["SELECT name FROM people", "SELECT id FROM people WHERE age > 0", "SELECT name FROM people LIMIT 2",
            "SELECT name FROM people ORDER BY active", "SELECT people.name, pets.name AS pet FROM people JOIN pets ON owner_id = people.id"]);
        shown.add(conn.transaction(|conn| people::table.select((people::name, people::height)).limit(2).load::<(String, Option<f64>)>(conn)));
        shown.add(conn.transaction(|conn| people::table.order(people::active).select(people::name).load::<String>(conn)));
    }

    // SQLite reports the error of each at its statement, and so does rqlite outside of a transaction.
    fn errors_outside_of_a_transaction(conn, shown) {
        for sql in ["SELEC 1", "SELECT 'abc", "SELECT * FROM nowhere", "SELECT nothing FROM people", "INSERT INTO nowhere VALUES (1)",
            "INSERT INTO people (name) VALUES ('Ann')", "UPDATE people SET name = 'Ann'"] {
            let outcome = diesel::sql_query(sql).execute(conn);
            shown.text(outcome.is_err());
        }
        for sql in ["SELEC 1", "SELECT 'abc", "SELECT * FROM nowhere", "SELECT nothing FROM people"] {
            let mut failed = false;
            let outcome = conn.transaction(|conn| {
                failed = diesel::sql_query(sql).load::<Row>(conn).is_err();
                Err::<(), _>(Error::RollbackTransaction)
            });
            shown.text((failed, outcome.is_err()));
        }
        shown.add(number!(conn, "(SELECT count(*) FROM people)"));
    }
}

/// SQLite deletes the rows of others without a word; here the error says that it would.
#[test]
fn dropped_tables_take_no_rows_of_others_with_them() {
    const SCHEMA: &str = "CREATE TABLE a (id INTEGER PRIMARY KEY);
        CREATE TABLE b (id INTEGER PRIMARY KEY, a INTEGER REFERENCES a (id) ON DELETE CASCADE);
        INSERT INTO a VALUES (1); INSERT INTO b VALUES (1, 1)";
    let mut sqlite = sqlite();
    let (_node, mut rqlite) = rqlite();
    sqlite.batch_execute(SCHEMA).expect("creates");
    rqlite.batch_execute(SCHEMA).expect("creates");
    assert_eq!(sqlite.batch_execute("DROP TABLE a"), Ok(()));
    let refused = shown(rqlite.batch_execute("DROP TABLE a"));
    assert!(refused.starts_with("ForeignKeyViolation"), "{refused}");
    assert_eq!(number!(&mut sqlite, "(SELECT count(*) FROM b)"), Ok(0));
    assert_eq!(number!(&mut rqlite, "(SELECT count(*) FROM b)"), Ok(1));
}

/// A SQLite that is compiled along enforces foreign keys without a PRAGMA. So does a node with `-fk`, and no other.
#[test]
fn foreign_keys_without_a_pragma() {
    #[derive(QueryableByName)]
    struct Enforced {
        #[diesel(sql_type = Integer)]
        foreign_keys: i32,
    }
    macro_rules! enforced {
        ($conn:expr) => {{
            let asked = diesel::sql_query("PRAGMA foreign_keys").get_result::<Enforced>($conn);
            asked.expect("a row").foreign_keys
        }};
    }
    let mut sqlite = SqliteConnection::establish(":memory:").expect("opens");
    let with = Rqlited::builder().foreign_keys().start();
    let without = Rqlited::start();
    assert_eq!(enforced!(&mut sqlite), 1);
    assert_eq!(enforced!(&mut connect(&with)), 1);
    assert_eq!(enforced!(&mut connect(&without)), 0);
}

/// Functions and collations of a program are in its process; the SQL is run in another.
#[test]
fn functions_and_collations_of_the_program() {
    #[diesel::declare_sql_function]
    extern "SQL" {
        fn twice(x: Integer) -> Integer;
    }
    let mut sqlite = sqlite();
    twice_utils::register_impl(&mut sqlite, |x: i32| x * 2).expect("registers");
    sqlite
        .register_collation("by_length", |a, b| a.len().cmp(&b.len()))
        .expect("registers");
    let (_node, mut rqlite) = rqlite();
    let names =
        || diesel::dsl::sql::<Text>("SELECT name FROM people ORDER BY name COLLATE by_length");
    assert_eq!(
        diesel::select(twice(21)).get_result::<i32>(&mut sqlite),
        Ok(42)
    );
    assert!(names().load::<String>(&mut sqlite).is_ok());
    assert_eq!(
        shown(diesel::select(twice(21)).get_result::<i32>(&mut rqlite)),
        "Unknown: no such function: twice"
    );
    assert_eq!(
        shown(names().load::<String>(&mut rqlite)),
        "Unknown: no such collation sequence: by_length"
    );
}
