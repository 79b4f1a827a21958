//! What each node would make for itself is never different on the nodes: it is replaced, or refused.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};
use diesel::sql_types::Text;
use diesel_rqlite::TransactionMode;
use diesel_rqlite_tests::{Cluster, Rqlited};
use std::sync::{Arc, Mutex};

use super::RqliteConnection;
use super::database::{Database, connect};
use crate::proxy::{Fate, Proxy};
use crate::support::{AnyRow, MODES, assert_none};

const SCHEMA: &str = "DROP TABLE IF EXISTS t; DROP TABLE IF EXISTS u; DROP TABLE IF EXISTS made; \
     CREATE TABLE t (id INTEGER PRIMARY KEY, a, b); CREATE TABLE u (id INTEGER PRIMARY KEY, a); \
     INSERT INTO t VALUES (1, '2024-02-29 23:30:00', 1709245800), (2, '2026-07-01', 0)";

/// Expressions that nodes in other time zones, started at another time or of another version evaluate differently.
const EXPRESSIONS: [&str; 46] = [
    "random \u{b}()",
    "datetime\n\u{b}(a, 'localtime')",
    "datetime(a, 'localtime')",
    "datetime(a, 'utc')",
    "datetime('2024-01-01', 'LocalTime')",
    "datetime('now', 'localtime')",
    "date('now', '+1 day', 'localtime')",
    "date('now', 'localtime', 'start of month', 'utc')",
    "strftime('%H', a, 'localtime')",
    "strftime('%s.%f')",
    "unixepoch('subsec')",
    "unixepoch(a, 'utc')",
    "julianday(b, 'unixepoch', 'localtime')",
    "julianday(b, 'auto', 'utc')",
    "time(b, 'auto' /* c */ , -- c\n 'localtime')",
    "timediff('now', datetime('2024-01-01', 'localtime'))",
    "timediff(datetime(a, 'utc'), a)",
    "\"datetime\"(a, 'localtime')",
    "[datetime](a, 'localtime')",
    "`datetime` /* c */ (a, 'localtime')",
    "DateTime -- c\n(a, 'LOCALTIME')",
    "datetime(a, ('localtime'))",
    "datetime(a, 'local' || 'time')",
    "datetime(a, lower('UTC'))",
    "datetime(a, x'757463')",
    "datetime(a, \"localtime\")",
    "datetime(a, iif(b, 'utc', 'localtime'))",
    "\"random\"()",
    "[random]()",
    "random /* ) */ ()",
    "`randomblob`(4)",
    "hex(randomblob(2 + 2))",
    "CURRENT_TIMESTAMP",
    "current_time",
    "total_changes()",
    "\"total_changes\" /* c */ ()",
    "(SELECT total_changes() FROM t LIMIT 1)",
    "changes()",
    "[changes]()",
    "last_insert_rowid()",
    "last_insert_rowid -- c\n ()",
    "sqlite_version()",
    "`sqlite_version` ( )",
    "sqlite_source_id()",
    "sqlite_compileoption_get(0)",
    "sqlite_compileoption_used('THREADSAFE')",
];

/// Where an expression may stand.
const STATEMENTS: [&str; 7] = [
    "UPDATE t SET b = {}",
    "INSERT INTO u (a) SELECT {} FROM t",
    "WITH w AS (SELECT {} AS x FROM t LIMIT 1) INSERT INTO u (a) SELECT x FROM w",
    "REPLACE INTO t (id, a, b) SELECT id + 1, a, {} FROM t",
    "DELETE FROM t WHERE length({}) % 2 = 0",
    "CREATE TABLE made AS SELECT {} AS x FROM t",
    "UPDATE t SET b = w.x FROM (SELECT id, {} AS x FROM t) AS w WHERE w.id = t.id RETURNING t.id",
];

/// Three nodes, in three time zones, one of which was started again.
struct Zones {
    conn: RqliteConnection,
    readers: Vec<RqliteConnection>,
    marks: usize,
    _cluster: Cluster,
}

#[derive(Debug, PartialEq, QueryableByName)]
struct Shown {
    #[diesel(sql_type = Text)]
    value: String,
}

impl Zones {
    fn start() -> Self {
        let mut cluster = Cluster::in_time_zones(&["UTC0", "JST-9", "EST5EDT,M3.2.0,M11.1.0"]);
        let mut conn = connect(&cluster.url(0));
        conn.batch_execute("CREATE TABLE mark (n INTEGER); INSERT INTO mark VALUES (0)")
            .expect("creates");
        cluster.node_mut(2).restart();
        let url = |place| format!("{}?level=none", cluster.node(place).url());
        Zones {
            readers: (0..3).map(|place| connect(&url(place))).collect(),
            conn,
            marks: 0,
            _cluster: cluster,
        }
    }

    /// What each node holds, once it has applied all that was sent before.
    fn states(&mut self) -> Vec<Vec<Shown>> {
        self.marks += 1;
        let mark = format!("UPDATE mark SET n = {}", self.marks);
        self.conn.batch_execute(&mark).expect("writes");
        let wanted = format!("mark {}", self.marks);
        let states = self.readers.iter_mut().map(|reader| state(reader, &wanted));
        states.collect()
    }

    /// The rows that are not on all nodes, if there are any. The tables are then made anew.
    fn differ(&mut self) -> Option<String> {
        let states = self.states();
        let everywhere = |row: &Shown| states.iter().all(|rows| rows.contains(row));
        let alone: Vec<Vec<_>> = states
            .iter()
            .map(|rows| {
                rows.iter()
                    .filter(|row| !everywhere(row))
                    .map(|row| &*row.value)
                    .collect()
            })
            .collect();
        let differ = states.windows(2).any(|pair| pair[0] != pair[1]);
        differ.then(|| {
            self.conn.batch_execute(SCHEMA).expect("creates");
            format!("{alone:?}")
        })
    }
}

/// The rows of all tables, of one query, behind a mark.
fn state(reader: &mut RqliteConnection, mark: &str) -> Vec<Shown> {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let made = "SELECT name FROM sqlite_master WHERE name = 'made'";
    loop {
        // Whether it is there is asked behind the mark: before, the node may not have made it yet.
        let marked =
            diesel::sql_query("SELECT 'mark ' || n AS value FROM mark").load::<Shown>(reader);
        if !marked.is_ok_and(|rows| rows.iter().any(|row| row.value == mark)) {
            assert!(std::time::Instant::now() < deadline, "the node is behind");
            std::thread::sleep(std::time::Duration::from_millis(5));
            continue;
        }
        // The first read behind a change of the schema may see the old one.
        let made = diesel::sql_query(made)
            .load::<AnyRow>(reader)
            .expect("reads")
            .len();
        let made = match made {
            0 => "",
            _ => "UNION ALL SELECT 'made ' || quote(x) AS value FROM made",
        };
        let query = format!(
            "SELECT 'mark ' || n AS value FROM mark \
             UNION ALL SELECT 't ' || quote(id) || quote(a) || quote(b) AS value FROM t \
             UNION ALL SELECT 'u ' || quote(id) || quote(a) AS value FROM u {made}"
        );
        let rows = diesel::sql_query(query).load::<Shown>(reader);
        if let Ok(rows) = rows
            && rows.iter().any(|row| row.value == mark)
        {
            return rows;
        }
        assert!(std::time::Instant::now() < deadline, "the node is behind");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

type Way = (
    &'static str,
    fn(&mut RqliteConnection, &str) -> QueryResult<()>,
);

const WAYS: [Way; 6] = [
    ("execute", |conn, sql| {
        diesel::sql_query(sql).execute(conn).map(|_| ())
    }),
    ("batch_execute", |conn, sql| conn.batch_execute(sql)),
    ("script", |conn, sql| {
        conn.batch_execute(&format!("SELECT 1;{sql}\n;SELECT 1"))
    }),
    ("interactive", |conn, sql| {
        in_transaction(conn, MODES[0], sql)
    }),
    ("eager", |conn, sql| in_transaction(conn, MODES[1], sql)),
    ("deferred", |conn, sql| in_transaction(conn, MODES[2], sql)),
];

fn in_transaction(
    conn: &mut RqliteConnection,
    mode: TransactionMode,
    sql: &str,
) -> QueryResult<()> {
    let transaction = conn.build_transaction().mode(mode);
    transaction.run(|conn| diesel::sql_query(sql).execute(conn).map(|_| ()))
}

#[test]
fn writes_leave_the_same_on_nodes_in_different_time_zones() {
    let mut zones = Zones::start();
    let mut wrong = Vec::new();
    for (place, expression) in EXPRESSIONS.iter().enumerate() {
        for (number, (name, way)) in WAYS.iter().enumerate() {
            // Every expression in every way; not in every statement.
            let sql = STATEMENTS[(place + number) % STATEMENTS.len()].replace("{}", expression);
            zones.conn.batch_execute(SCHEMA).expect("creates");
            match way(&mut zones.conn, &sql) {
                Ok(()) | Err(Error::QueryBuilderError(_)) => {}
                // Its length, or a modifier, may be none.
                Err(error) => wrong.push(format!("{name}: {error:?}: {sql}")),
            }
            if let Some(states) = zones.differ() {
                wrong.push(format!("{name}: {sql}: {states}"));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn bound_values_leave_the_same_on_nodes_in_different_time_zones() {
    let mut zones = Zones::start();
    let mut wrong = Vec::new();
    for expression in [
        "datetime(a, ?)",
        "datetime(a, '+1 day', ?)",
        "datetime(a, coalesce(?, 'utc'))",
        "datetime(?, 'localtime')",
        "datetime(?)",
        "unixepoch(?)",
        "strftime('%f', ?)",
        "julianday(coalesce(?, 1))",
        "[date] -- c\n (a, /* c */ ?)",
    ] {
        for value in [
            "now",
            "NOW",
            "localtime",
            "LocalTime",
            "utc",
            "subsec",
            "2024-02-29 23:30:00",
        ] {
            let sql = format!("UPDATE t SET b = {expression}");
            zones.conn.batch_execute(SCHEMA).expect("creates");
            let outcome = diesel::sql_query(&sql)
                .bind::<Text, _>(value)
                .execute(&mut zones.conn);
            let inside = zones.conn.transaction(|conn| {
                let insert = format!("INSERT INTO u (a) SELECT {expression} FROM t");
                diesel::sql_query(insert)
                    .bind::<Text, _>(value)
                    .execute(conn)
            });
            for outcome in [outcome, inside] {
                if !matches!(outcome, Ok(_) | Err(Error::QueryBuilderError(_))) {
                    wrong.push(format!("{value}: {outcome:?}: {sql}"));
                }
            }
            if let Some(states) = zones.differ() {
                wrong.push(format!("{value}: {sql}: {states}"));
            }
        }
    }
    assert_none(&wrong);
}

/// A cluster whose nodes are of several versions can't be had everywhere: what is sent shows it as well.
#[test]
fn what_only_the_node_knows_is_not_asked_in_a_write() {
    let node = Rqlited::start();
    let sent = Arc::new(Mutex::new(Vec::new()));
    let proxy = Proxy::start(node.address(), {
        let sent = Arc::clone(&sent);
        move |_, request| {
            sent.lock().expect("no panic").push(request.to_owned());
            Fate::Pass
        }
    });
    let mut conn = connect(&format!("{}?level=none", proxy.url()));
    conn.batch_execute(SCHEMA).expect("creates");
    let mut wrong = Vec::new();
    for (name, way) in WAYS {
        for (place, expression) in EXPRESSIONS.iter().enumerate() {
            if !["changes", "rowid", "sqlite"]
                .iter()
                .any(|part| expression.contains(part))
            {
                continue;
            }
            sent.lock().expect("no panic").clear();
            let sql = STATEMENTS[place % STATEMENTS.len()].replace("{}", expression);
            let outcome = way(&mut conn, &sql);
            if outcome.is_ok() {
                conn.batch_execute(SCHEMA).expect("creates");
            }
            let sent = sent.lock().expect("no panic");
            let mut function =
                expression.split(|sign: char| !sign.is_ascii_alphanumeric() && sign != '_');
            let function = function
                .find(|word| word.len() > 6 && *word != "SELECT")
                .expect("a function");
            // A guard compares the count of a write.
            let asked = sent.iter().any(|request| {
                let request = request.replace("changes()=", "");
                request.contains("/db/execute") && request.contains(function)
            });
            if asked || !matches!(outcome, Ok(()) | Err(Error::QueryBuilderError(_))) {
                wrong.push(format!("{name}: {outcome:?}: {sql}"));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn views_of_what_each_node_makes_can_be_read_in_a_transaction() {
    let mut zones = Zones::start();
    let mut wrong = Vec::new();
    zones.conn.batch_execute(SCHEMA).expect("creates");
    for expression in EXPRESSIONS {
        zones
            .conn
            .batch_execute("DROP VIEW IF EXISTS v")
            .expect("drops");
        let view = format!("CREATE VIEW v AS SELECT id, {expression} AS x FROM t");
        match zones.conn.batch_execute(&view) {
            Ok(()) => {}
            // What a view would say of the connection that reads it is refused where the view is made.
            Err(Error::QueryBuilderError(_)) => continue,
            Err(error) => panic!("{view}: {error:?}"),
        }
        for read in [
            "SELECT id, x FROM v",
            "SELECT id FROM t WHERE id IN (SELECT id FROM v WHERE x IS NOT 'y')",
        ] {
            reads_once(&mut zones, read, expression, &mut wrong);
        }
    }
    assert_none(&wrong);
}

#[test]
fn what_each_node_makes_can_be_read_in_a_transaction() {
    let mut zones = Zones::start();
    let mut wrong = Vec::new();
    zones.conn.batch_execute(SCHEMA).expect("creates");
    for expression in EXPRESSIONS {
        for read in [
            "SELECT id, {} AS x FROM t",
            "SELECT id FROM t WHERE ({}) IS NOT 'y' ORDER BY {}, id LIMIT 2",
        ] {
            let read = read.replace("{}", expression);
            reads_once(&mut zones, &read, expression, &mut wrong);
        }
    }
    assert_none(&wrong);
}

/// A transaction that reads this, and writes: nobody else is there, so that it can't conflict.
fn reads_once(zones: &mut Zones, read: &str, expression: &str, wrong: &mut Vec<String>) {
    for mode in MODES {
        let transaction = zones.conn.build_transaction().mode(mode);
        let outcome: QueryResult<usize> = transaction.run(|conn| {
            let rows = diesel::sql_query(read).load::<AnyRow>(conn)?;
            diesel::sql_query("INSERT INTO u (a) VALUES (1)").execute(conn)?;
            Ok(rows.len())
        });
        match outcome {
            Ok(2) | Err(Error::QueryBuilderError(_)) => {}
            Err(Error::DatabaseError(DatabaseErrorKind::SerializationFailure, said)) => {
                wrong.push(format!(
                    "{mode:?}: conflicts with nobody, {}: {expression}: {read}",
                    said.message()
                ));
            }
            other => wrong.push(format!("{mode:?}: {other:?}: {expression}: {read}")),
        }
        if let Some(states) = zones.differ() {
            wrong.push(format!("{mode:?}: {expression}: {read}: {states}"));
        }
    }
}

/// The refusal says which, so that a program can be repaired.
#[test]
fn refusals_name_what_is_refused() {
    let mut db = Database::with(SCHEMA);
    for (expression, name) in [
        ("datetime(a, 'localtime')", "localtime"),
        ("changes()", "changes"),
        ("last_insert_rowid()", "last_insert_rowid"),
        ("sqlite_version()", "sqlite_version"),
    ] {
        let outcome = diesel::sql_query(format!("UPDATE t SET b = {expression}")).execute(&mut *db);
        match outcome {
            Ok(_) => {}
            Err(Error::QueryBuilderError(error)) if error.to_string().contains(name) => {}
            other => panic!("{expression}: {other:?}"),
        }
    }
}
