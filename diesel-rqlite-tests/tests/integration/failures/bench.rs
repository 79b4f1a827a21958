//! The node that all this happens to.

use super::super::RqliteConnection;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::Error;
use diesel_rqlite::TransactionMode;
use diesel_rqlite_tests::Rqlited;

use super::super::database::Database;
use super::cases::SCHEMA;

#[derive(QueryableByName)]
pub(super) struct Value {
    #[diesel(sql_type = diesel::sql_types::Text)]
    value: String,
}

/// Everything a failed transaction might have changed.
pub(super) fn dump(conn: &mut RqliteConnection) -> String {
    let sql = "SELECT (SELECT json_group_array(json_array(id, u, nn, ck, parent, later)) FROM t) || \
               (SELECT json_group_array(json_array(id, n)) FROM other) || \
               (SELECT count(*) FROM parent) AS value";
    let row: Value = diesel::sql_query(sql).get_result(conn).expect("reads");
    row.value
}

#[derive(QueryableByName)]
pub(super) struct Id {
    #[diesel(sql_type = diesel::sql_types::Integer)]
    #[allow(dead_code)]
    id: i32,
}

pub(super) fn run(conn: &mut RqliteConnection, sql: &str) -> QueryResult<()> {
    match sql.contains("RETURNING") {
        true => diesel::sql_query(sql).load::<Id>(conn).map(|_| ()),
        false => diesel::sql_query(sql).execute(conn).map(|_| ()),
    }
}

/// Two writes that go well, and `failing` in front of, between or behind them.
pub(super) fn three(failing: &'static str, place: usize) -> Vec<&'static str> {
    let mut writes = vec![
        "INSERT INTO other VALUES (3, 30)",
        "UPDATE other SET n = n + 1 WHERE n > 15",
    ];
    writes.insert(place, failing);
    writes
}

/// A node, and who looks at it between transactions.
pub(super) struct Bench {
    pub(super) db: Database,
    pub(super) another: RqliteConnection,
    pub(super) before: String,
    pub(super) rounds: i64,
}

impl Bench {
    pub(super) fn new() -> Self {
        let mut db = Database::on(Rqlited::builder().foreign_keys());
        db.batch_execute(SCHEMA).expect("creates");
        let before = dump(&mut db);
        let another = db.another();
        Bench {
            db,
            another,
            before,
            rounds: 0,
        }
    }

    /// Runs three writes. Which of them failed, `None` if it was the commit, and how.
    pub(super) fn fail(
        &mut self,
        mode: TransactionMode,
        writes: &[&str],
    ) -> (Option<usize>, Error) {
        let mut failed = None;
        let outcome = self.db.build_transaction().mode(mode).run(|conn| {
            for (place, sql) in writes.iter().enumerate() {
                run(conn, sql).inspect_err(|_| failed = Some(place))?;
            }
            Ok(())
        });
        (failed, outcome.expect_err("fails"))
    }

    /// Nothing was applied; this connection works, and so does another client, whose write can be seen.
    pub(super) fn check(&mut self, case: &str) {
        self.rounds += 1;
        assert_eq!(dump(&mut self.another), self.before, "{case}");
        let outcome = self.db.transaction(|conn| {
            diesel::sql_query("UPDATE usable SET n = n + 1 WHERE id = 1").execute(conn)
        });
        assert_eq!(outcome, Ok(1), "{case}");
        let outcome = diesel::sql_query("UPDATE usable SET n = n + 1 WHERE id = 2")
            .execute(&mut self.another);
        assert_eq!(outcome, Ok(1), "{case}");
        let sum = self.db.one("SELECT sum(n) AS value FROM usable");
        assert_eq!(sum, 2 * self.rounds, "{case}");
    }

    /// The Raft log, replayed, says the same.
    pub(super) fn check_replay(mut self) {
        self.db.node.kill();
        self.db.node.restart();
        let mut conn = self.db.another_with("level=strong");
        assert_eq!(dump(&mut conn), self.before);
        let mut db = self.db;
        assert_eq!(
            db.one("SELECT sum(n) AS value FROM usable"),
            2 * self.rounds
        );
    }
}
