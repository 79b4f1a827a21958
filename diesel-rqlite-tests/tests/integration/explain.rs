//! What SQLite would do to run a query, which is then not run.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::query_builder::{AsQuery, QueryFragment, QueryId};
use diesel::result::Error;
use diesel_rqlite::{
    Opcode, QueryPlan, QueryPlanStep, ReadConsistency, Rqlite, RqliteInsertSelectDsl,
    RqliteQueryDsl,
};
use diesel_rqlite_tests::Cluster;

use super::RqliteConnection;
use super::database::{Database, connect};
use crate::recorder::Recorder;

diesel::table! {
    users (id) {
        id -> Integer,
        name -> Nullable<Text>,
        photo -> Nullable<Binary>,
    }
}

const SCHEMA: &str = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, photo BLOB); CREATE INDEX by_name ON users (name); \
     INSERT INTO users (id, name) VALUES (1, 'one')";

fn plan<Q>(conn: &mut RqliteConnection, query: Q) -> String
where
    Q: QueryFragment<Rqlite> + QueryId + 'static,
{
    let steps = query.explain_query_plan().load::<QueryPlanStep>(conn);
    QueryPlan::from(steps.expect("explains")).to_string()
}

#[test]
fn a_plan_reads_as_in_the_shell_of_sqlite() {
    let db = &mut Database::with(SCHEMA);
    let by_name = users::table.filter(users::name.eq("a"));
    assert_eq!(
        plan(db, by_name.select(users::id)),
        "QUERY PLAN\n`--SEARCH users USING COVERING INDEX by_name (name=?)"
    );
    assert_eq!(
        plan(db, users::table.as_query()),
        "QUERY PLAN\n`--SCAN users"
    );
    let both = users::table
        .select(users::name)
        .union(users::table.select(users::name).filter(users::id.eq(1)));
    let both = plan(db, both);
    let lines: Vec<_> = both.lines().collect();
    assert_eq!(lines[0], "QUERY PLAN");
    assert!(
        lines[1].starts_with("`--") && lines[2].starts_with("   |--"),
        "{both}"
    );
    assert!(
        both.contains("\n   `--") && both.contains("SEARCH users USING"),
        "{both}"
    );
}

#[test]
fn writes_are_explained_and_not_run_on_any_node() {
    let cluster = Cluster::start(3);
    let mut conn = connect(&cluster.url(cluster.leader()));
    conn.batch_execute(SCHEMA).expect("creates");
    let conn = &mut conn;
    let by_name = users::table.filter(users::name.eq("one"));
    let row = (users::id.eq(2), users::name.eq("two"));
    let from = users::table.select((users::id + 10, users::name));
    for level in [
        ReadConsistency::None,
        ReadConsistency::Linearizable,
        ReadConsistency::Strong,
    ] {
        let options = || diesel_rqlite::QueryOptions::new().read_level(level);
        conn.set_options(options()).expect("a level");
        let update = diesel::update(by_name).set(users::name.eq("changed"));
        assert_eq!(
            plan(conn, update),
            "QUERY PLAN\n`--SEARCH users USING INDEX by_name (name=?)"
        );
        assert!(plan(conn, diesel::delete(by_name)).contains("by_name (name=?)"));
        plan(conn, diesel::insert_into(users::table).values(row));
        plan(
            conn,
            diesel::insert_into(users::table).values(vec![row, row]),
        );
        plan(conn, diesel::replace_into(users::table).values(row));
        let selected = diesel::insert_into(users::table)
            .values(from.into_rows_of((users::id, users::name)))
            .on_conflict_do_nothing();
        assert!(plan(conn, selected).contains("SCAN users"));
        let returning = diesel::delete(by_name).returning(users::id);
        let program: Vec<Opcode> = returning.explain().load(conn).expect("explains");
        assert_eq!((program[0].addr, &*program[0].opcode), (0, "Init"));
        assert!(program.iter().any(|step| step.opcode == "Delete"));
        diesel::sql_query("EXPLAIN DELETE FROM users")
            .execute(conn)
            .expect("is a read");
    }
    // Behind all of that in the Raft log, so that the nodes have it, too, once they have this.
    conn.batch_execute("CREATE TABLE behind (id INTEGER)")
        .expect("creates");
    for node in 0..3 {
        let mut local = connect(&format!(
            "{}?level=none&discovery=false",
            cluster.node(node).url()
        ));
        // A follower hears of it a moment later.
        while diesel::sql_query("SELECT id FROM behind")
            .execute(&mut local)
            .is_err()
        {
            std::thread::yield_now();
        }
        let rows = users::table
            .select((users::id, users::name))
            .load(&mut local);
        assert_eq!(rows, Ok(vec![(1, Some("one".to_owned()))]), "node {node}");
    }
}

/// Neither what is put around a query or a value, nor what is replaced in a write.
#[test]
fn what_is_explained_is_the_text_of_the_query() {
    let recorder = Recorder::start();
    let conn = &mut connect(&recorder.url());
    conn.batch_execute(SCHEMA).expect("creates");
    fn explained<Q>(recorder: &Recorder, conn: &mut RqliteConnection, query: Q)
    where
        Q: QueryFragment<Rqlite> + QueryId + Clone + 'static,
    {
        let shown = diesel::debug_query::<Rqlite, _>(&query).to_string();
        let (sql, _) = shown.split_once(" -- binds: ").expect("shows the values");
        let sql = serde_json::to_string(sql).expect("a text");
        for _ in 0..2 {
            recorder.sent();
            plan(conn, query.clone());
            let sent = recorder.sent();
            let begin = format!("[\"SELECT 1; EXPLAIN QUERY PLAN {}", &sql[1..]);
            assert!(sent.len() == 1 && sent[0].body.contains(&begin), "{sent:?}");
        }
    }
    let photo = users::photo.eq(vec![0_u8, 255]);
    explained(
        &recorder,
        conn,
        users::table.filter(photo.clone()).select(users::id),
    );
    explained(
        &recorder,
        conn,
        users::table
            .filter(users::name.eq("x'41'"))
            .select(users::id),
    );
    explained(
        &recorder,
        conn,
        diesel::insert_into(users::table).values(photo),
    );
    let random =
        diesel::dsl::sql::<diesel::sql_types::Nullable<diesel::sql_types::Text>>("random()");
    explained(
        &recorder,
        conn,
        diesel::update(users::table).set(users::name.eq(random)),
    );
}

#[test]
fn a_transaction_sees_what_it_has_changed() {
    let db = &mut Database::with(SCHEMA);
    for mode in crate::support::MODES {
        let seen = db.build_transaction().mode(mode).run(|conn| {
            let before = plan(conn, users::table.as_query());
            conn.batch_execute("DROP INDEX by_name")?;
            let select = users::table.select(users::id).filter(users::name.eq("a"));
            let delete = diesel::delete(users::table.filter(users::name.eq("a")));
            let behind = (plan(conn, select), plan(conn, delete));
            assert_eq!(before, "QUERY PLAN\n`--SCAN users", "{mode:?}");
            match mode {
                // It sees nothing of itself.
                diesel_rqlite::TransactionMode::Deferred => assert!(behind.0.contains("by_name")),
                _ => assert_eq!(behind, (before.clone(), before), "{mode:?}"),
            }
            Err::<(), _>(Error::RollbackTransaction)
        });
        assert_eq!(seen, Err(Error::RollbackTransaction));
    }
}

#[test]
fn several_statements_have_no_plan() {
    let db = &mut Database::with(SCHEMA);
    let rows = vec![
        (Some(users::id.eq(7)), users::name.eq("a")),
        (None, users::name.eq("b")),
    ];
    let batch = diesel::insert_into(users::table).values(rows);
    let outcome = batch.explain_query_plan().load::<QueryPlanStep>(&mut **db);
    assert!(
        matches!(&outcome, Err(Error::QueryBuilderError(error)) if error.to_string().contains("EXPLAIN")),
        "{outcome:?}"
    );
    assert_eq!(db.count("users"), 1);
}

#[test]
fn an_error_is_that_of_the_query() {
    let db = &mut Database::new();
    let outcome = users::table
        .select(users::id)
        .explain_query_plan()
        .load::<QueryPlanStep>(&mut **db);
    let information = crate::support::assert_kind!(outcome, Unknown);
    assert_eq!(information.message(), "no such table: users");
}
