//! Several processes that run migrations at the same time, and processes that are killed.

use std::process::{Child, Stdio};

use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel_rqlite::RqliteConnection;
use diesel_rqlite_tests::Cluster;

use super::support::Project;

#[derive(QueryableByName)]
struct One {
    #[diesel(sql_type = BigInt)]
    value: i64,
}

fn one(connection: &mut RqliteConnection, sql: &str) -> i64 {
    let one = diesel::sql_query(format!("SELECT ({sql}) AS value"));
    one.get_result::<One>(connection).expect(sql).value
}

/// Each migration makes a table, which fails the second time, and counts.
fn write_migrations(project: &Project, number: usize) {
    for place in 1..=number {
        let name = format!("migrations/{place:03}_m");
        let up = format!(
            "CREATE TABLE t{place} (a INTEGER);\nINSERT INTO t{place} VALUES (1);\n{}",
            match place {
                1 => "CREATE TABLE runs (a INTEGER);\n",
                _ => "INSERT INTO runs VALUES (1);\n",
            }
        );
        project.write(&format!("{name}/up.sql"), &up);
        project.write(
            &format!("{name}/down.sql"),
            &format!("DROP TABLE t{place};\n"),
        );
    }
}

fn start(project: &Project, url: &str) -> Child {
    let mut command = project.command(&["migration", "run"]);
    command.env("DATABASE_URL", url);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("starts")
}

fn all_succeed(processes: Vec<Child>) {
    for process in processes {
        let output = process.wait_with_output().expect("runs");
        assert!(output.status.success(), "{output:?}");
    }
}

fn each_was_applied_once(connection: &mut RqliteConnection, number: i64) {
    let applied = "SELECT count(*) FROM __diesel_schema_migrations";
    assert_eq!(one(connection, applied), number);
    assert_eq!(one(connection, "SELECT count(*) FROM runs"), number - 1);
}

#[test]
fn eight_processes_on_one_node_apply_each_migration_once() {
    let project = Project::new();
    write_migrations(&project, 10);
    let url = project.node().url();
    all_succeed((0..8).map(|_| start(&project, &url)).collect());
    let mut connection = RqliteConnection::establish(&url).expect("connects");
    each_was_applied_once(&mut connection, 10);
}

#[test]
fn eight_processes_on_a_cluster_apply_each_migration_once() {
    let cluster = Cluster::start(3);
    let project = Project::without_database();
    write_migrations(&project, 10);
    let processes = (0..8).map(|place| start(&project, &cluster.url(place % 3)));
    all_succeed(processes.collect());
    let mut connection = RqliteConnection::establish(&cluster.url(0)).expect("connects");
    each_was_applied_once(&mut connection, 10);
}

#[test]
fn eight_processes_take_turns_outside_of_transactions() {
    let project = Project::new();
    write_migrations(&project, 3);
    // In three requests, with a while between that which fails the second time and the record.
    project.write(
        "migrations/002_m/up.sql",
        "CREATE TABLE t2 (a INTEGER);\nVACUUM;\nWITH RECURSIVE n (a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM n \
         WHERE a < 1000000) INSERT INTO runs SELECT max(a) FROM n;\n",
    );
    project.write(
        "migrations/002_m/metadata.toml",
        "run_in_transaction = false\n",
    );
    let url = project.node().url();
    all_succeed((0..8).map(|_| start(&project, &url)).collect());
    let mut connection = RqliteConnection::establish(&url).expect("connects");
    each_was_applied_once(&mut connection, 3);
}

#[test]
fn killed_process_leaves_whole_migrations_and_no_lock() {
    const NUMBER: i64 = 60;
    let project = Project::new();
    write_migrations(&project, 60);
    let url = project.node().url();
    let mut connection = RqliteConnection::establish(&url).expect("connects");
    // Again, if it was done before it was killed.
    let left = loop {
        project.run(&["database", "drop"]).stdout();
        let mut process = start(&project, &url);
        while tables(&mut connection) < 2 && process.try_wait().expect("waits").is_none() {}
        process.kill().expect("kills");
        process.wait().expect("waits");
        let left = tables(&mut connection);
        if left < NUMBER {
            break left;
        }
    };
    // A request that was under way may have been applied since.
    let whole = "SELECT count(*) = (SELECT count(*) FROM sqlite_master WHERE name GLOB 't[0-9]*') \
         FROM __diesel_schema_migrations";
    assert_eq!(one(&mut connection, whole), 1);
    let again = project.run(&["migration", "run"]).stdout();
    let applied = i64::try_from(again.lines().count()).expect("fits");
    assert!(applied <= NUMBER - left, "{again}");
    each_was_applied_once(&mut connection, NUMBER);
    let locks = "SELECT count(*) FROM sqlite_master WHERE name = '__diesel_rqlite_locks'";
    assert_eq!(one(&mut connection, locks), 0);
}

#[test]
fn lock_of_a_killed_process_ends_with_its_lease() {
    // It is still running on the server, and so holds the lock, when the process is killed.
    const SLOW: &str = "CREATE TABLE IF NOT EXISTS t1 AS WITH RECURSIVE n (a) AS \
         (SELECT 1 UNION ALL SELECT a + 1 FROM n WHERE a < 8000000) SELECT count(*) AS a FROM n;\n";
    let project = Project::new();
    project.write("migrations/1_m/up.sql", SLOW);
    project.write(
        "migrations/1_m/metadata.toml",
        "run_in_transaction = false\n",
    );
    let url = project.node().url() + "?level=none";
    let mut connection = RqliteConnection::establish(&url).expect("connects");
    let held = "SELECT count(*) FROM __diesel_rqlite_locks WHERE owner IS NOT NULL";
    let made = "SELECT count(*) FROM sqlite_master WHERE name = '__diesel_rqlite_locks'";
    let mut process = start(&project, &project.node().url());
    while one(&mut connection, made) == 0 || one(&mut connection, held) == 0 {
        assert!(process.try_wait().expect("waits").is_none(), "was done");
    }
    process.kill().expect("kills");
    process.wait().expect("waits");
    assert_eq!(one(&mut connection, held), 1);
    project.run(&["migration", "run"]).stdout();
    assert_eq!(one(&mut connection, held), 0);
    assert_eq!(one(&mut connection, "SELECT count(*) FROM t1"), 1);
}

fn tables(connection: &mut RqliteConnection) -> i64 {
    one(
        connection,
        "SELECT count(*) FROM sqlite_master WHERE name GLOB 't[0-9]*'",
    )
}

#[test]
fn what_ends_the_transaction_of_a_migration_is_refused() {
    let project = Project::new();
    project.write("migrations/1_log/up.sql", "CREATE TABLE log (a INTEGER);");
    project.write("migrations/1_log/down.sql", "DROP TABLE log;");
    project.run(&["migration", "run"]).stdout();
    for (place, word) in ["COMMIT", "END TRANSACTION", "ROLLBACK"].iter().enumerate() {
        let up =
            format!("INSERT INTO log VALUES (1);\n-- now\n{word};\nINSERT INTO log VALUES (2);");
        let name = format!("migrations/{}_ends", place + 2);
        project.write(&format!("{name}/up.sql"), &up);
        project.write(&format!("{name}/down.sql"), "");
        let refused = project.run(&["migration", "run"]);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(
            refused.stderr.contains("on line 3 of up.sql"),
            "{refused:?}"
        );
        let connection = &mut RqliteConnection::establish(&project.node().url()).expect("connects");
        assert_eq!(one(connection, "SELECT count(*) FROM log"), 0);
        assert_eq!(
            one(
                connection,
                "SELECT count(*) FROM __diesel_schema_migrations"
            ),
            1
        );
        std::fs::remove_dir_all(project.path(&name)).expect("removes");
    }
}

#[test]
fn a_migration_that_several_revert_is_reverted_once() {
    let project = Project::new();
    project.write(
        "migrations/1_log/up.sql",
        "CREATE TABLE log (a INTEGER); INSERT INTO log VALUES (1);",
    );
    project.write("migrations/1_log/down.sql", "UPDATE log SET a = a * 10;");
    project.run(&["migration", "run"]).stdout();
    let processes: Vec<_> = (0..6)
        .map(|_| {
            let mut command = project.command(&["migration", "revert"]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().expect("starts")
        })
        .collect();
    let outputs = processes
        .into_iter()
        .map(|process| process.wait_with_output().expect("runs"));
    let succeeded = outputs.filter(|output| output.status.success()).count();
    assert!(succeeded >= 1);
    let connection = &mut RqliteConnection::establish(&project.node().url()).expect("connects");
    assert_eq!(one(connection, "SELECT a FROM log"), 10);
}
