//! `backup`, `load`, `status`, `nodes`, `query`

use std::fs;
use std::io::{Cursor, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::sync::mpsc::channel;
use std::thread;

use diesel::Connection as _;
use diesel::connection::SimpleConnection as _;
use diesel_rqlite::RqliteConnection;
use diesel_rqlite_cli::transfer::sqlite_file::SqliteFile;
use diesel_rqlite_tests::{Cluster, Rqlited, User};
use serde_json::{Value, json};

use super::support::{Project, Run};

/// Tables of every kind, with more rows than fit a page, a long schema, and every storage class.
const SCHEMA: &str = r#"
    CREATE TABLE "my ""notes""" (id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL, body TEXT, blob BLOB, real REAL);
    CREATE TABLE pairs (a INTEGER NOT NULL, b TEXT NOT NULL, PRIMARY KEY (b, a)) WITHOUT ROWID;
    CREATE TABLE empty (id INTEGER PRIMARY KEY);
    CREATE TABLE log (note TEXT);
    CREATE INDEX notes_by_title ON "my ""notes""" (title);
    CREATE VIEW titles AS SELECT title FROM "my ""notes""";
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
        INSERT INTO "my ""notes""" (title, body, blob, real)
        SELECT 'it''s; ' || i, 'line' || char(10) || i, CAST(i AS BLOB), i / 3.0 FROM n;
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
        INSERT INTO pairs SELECT i, 'a text that makes a row longer: ' || i FROM n;
    CREATE TRIGGER logged AFTER INSERT ON empty BEGIN
        INSERT INTO log VALUES ('one; more'); UPDATE log SET note = CASE note WHEN 'x' THEN 'y' ELSE note END; END;
"#;

fn filled() -> Project {
    let project = Project::new();
    execute(&project, SCHEMA);
    let comment = format!("CREATE TABLE long (/* {} */ a)", "long ".repeat(2000));
    execute(&project, &comment);
    project
}

fn execute(project: &Project, sql: &str) {
    let mut connection = RqliteConnection::establish(&project.node().url()).expect("connects");
    connection.batch_execute(sql).expect("runs");
}

fn rows_of_filled() -> Value {
    json!({"my \"notes\"": 3000, "pairs": 5000, "empty": 0, "log": 0, "long": 0})
}

/// All of a database, as text that is the same only for the same database.
fn contents(project: &Project) -> String {
    [
        "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name",
        "SELECT * FROM \"my \"\"notes\"\"\" ORDER BY id",
        "SELECT * FROM pairs ORDER BY b",
    ]
    .map(|sql| project.run(&["query", "--json", sql]).stdout())
    .concat()
}

fn parsed(run: Run) -> Value {
    let text = run.stdout();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Nothing but these files, and `Cargo.toml`.
fn files(project: &Project) -> Vec<String> {
    let entries = fs::read_dir(project.path(".")).expect("a directory");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    let mut names: Vec<_> = names.filter(|name| name != "Cargo.toml").collect();
    names.sort();
    names
}

#[test]
fn what_was_backed_up_can_be_loaded() {
    let original = filled();
    let wanted = contents(&original);
    for arguments in [
        &["backup"][..],
        &["backup", "--vacuum"],
        &["backup", "--compress"],
        &["backup", "--sql"],
    ] {
        let file = original.path("copy");
        let file = file.to_str().expect("text");
        let mut all = arguments.to_vec();
        all.extend([file, "--force", "--json"]);
        let written = parsed(original.run(&all));
        assert_eq!(written["rows"], rows_of_filled(), "{arguments:?}");

        let other = Project::new();
        let loaded = parsed(other.run(&["load", "--json", file]));
        assert_eq!(loaded["rows"], rows_of_filled(), "{arguments:?}");
        assert_eq!(loaded["compared"], json!(true), "{arguments:?}");
        assert_eq!(contents(&other), wanted, "{arguments:?}");
    }
    assert_eq!(files(&original), ["copy"]);
}

#[test]
fn a_cluster_takes_a_file_on_every_node() {
    let original = filled();
    original.run(&["backup", "file.db"]).stdout();
    let cluster = Cluster::start(3);
    let file = original.path("file.db");
    let file = file.to_str().expect("text");
    let follower = (cluster.leader() + 1) % 3;
    let project = Project::without_database();
    let url = cluster.url(follower);
    let run = |arguments: &[&str]| Run::of(project.command(arguments).env("DATABASE_URL", &url));
    let loaded = parsed(run(&["load", file, "--json"]));
    assert_eq!(loaded["rows"], rows_of_filled());
    assert_eq!(run(&["load", file]).code, Some(1), "it has tables now");
    let backed_up = parsed(run(&["backup", "again.db", "--json"]));
    assert_eq!(backed_up["rows"], rows_of_filled());
    let nodes = parsed(run(&["nodes", "--json"]));
    assert_eq!(nodes["nodes"].as_array().map(Vec::len), Some(3));
    let table = run(&["nodes"]).stdout();
    assert_eq!(table.matches("follower").count(), 2, "{table}");
    assert_eq!(table.matches("leader").count(), 1, "{table}");
}

#[test]
fn a_database_with_tables_is_not_replaced_by_accident() {
    let project = filled();
    let wanted = contents(&project);
    project.run(&["backup", "file.db"]).stdout();
    project.write("more.sql", "CREATE TABLE more (a);");
    for file in ["file.db", "more.sql"] {
        let refused = project.run(&["load", file]);
        assert_eq!(refused.code, Some(1));
        assert!(
            refused
                .stderr
                .starts_with("The database is not empty: it has 5 tables"),
            "{refused:?}"
        );
        assert_eq!(contents(&project), wanted);
    }
    project.run(&["load", "--force", "more.sql"]).stdout();
    let added = project.run(&["query", "SELECT count(*) FROM more, empty"]);
    assert_eq!(added.code, Some(0), "{added:?}");
    project.run(&["load", "--force", "file.db"]).stdout();
    let gone = project.run(&["query", "SELECT count(*) FROM more"]);
    assert_eq!(gone.code, Some(1), "{gone:?}");
    assert_eq!(contents(&project), wanted);
}

#[test]
fn a_backup_does_not_replace_a_file_by_accident() {
    let project = filled();
    project.write("file.db", "precious");
    let refused = project.run(&["backup", "file.db"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("--force"), "{refused:?}");
    assert_eq!(
        fs::read(project.path("file.db")).expect("is there"),
        b"precious"
    );
    symlink("nowhere", project.path("link.db")).expect("links");
    assert_eq!(project.run(&["backup", "link.db"]).code, Some(1));
    project.run(&["backup", "--force", "file.db"]).stdout();
    let written = fs::read(project.path("file.db")).expect("is there");
    assert!(written.starts_with(b"SQLite format 3\0"));
}

#[test]
fn a_damaged_file_is_not_sent() {
    let original = filled();
    original.run(&["backup", "whole.db"]).stdout();
    let whole = fs::read(original.path("whole.db")).expect("is there");
    let project = Project::new();
    let mut wild = whole.clone();
    for byte in &mut wild[100..112] {
        *byte = 0xff;
    }
    for (bytes, said) in [
        (&whole[..whole.len() - 1], "it is cut off"),
        (&whole[..50], "it is no SQLite database"),
        (&wild[..], "page 1 of it is damaged"),
    ] {
        fs::write(project.path("bad.db"), bytes).expect("writes");
        let refused = project.run(&["load", "bad.db"]);
        assert_eq!(refused.code, Some(1));
        assert!(refused.stderr.contains(said), "{said}: {refused:?}");
        assert!(refused.stderr.contains("was not changed"), "{refused:?}");
    }
    // Wherever it is damaged, it is an error or a count, and soon.
    for place in (0..whole.len()).step_by(61) {
        let mut damaged = whole.clone();
        damaged[place] ^= 0xff;
        let _ = SqliteFile::open(Cursor::new(damaged)).and_then(|mut file| file.rows());
    }
    fs::write(project.path("file.db"), &whole).expect("writes");
    for other in ["file.db-wal", "file.db-journal"] {
        project.write(other, "something");
        let refused = project.run(&["load", "file.db"]);
        assert!(refused.stderr.contains(other), "{refused:?}");
        project.write(other, "");
    }
    // A journal is beside the file itself, not beside a link to it.
    project.write("file.db-journal", "something");
    symlink("file.db", project.path("link.db")).expect("links");
    let refused = project.run(&["load", "link.db"]);
    assert!(refused.stderr.contains("file.db-journal"), "{refused:?}");
    project.write("file.db-journal", "");
    project.run(&["load", "file.db"]).stdout();
}

/// A file in which each of many cells is the same large record would take all memory.
#[test]
fn a_small_file_does_not_make_a_large_schema() {
    let mut file = vec![0; 65536];
    file[..16].copy_from_slice(b"SQLite format 3\0");
    // Pages of 65536 bytes, one of them; UTF-8.
    file[16..18].copy_from_slice(&[0, 1]);
    file[18..24].copy_from_slice(&[1, 1, 0, 64, 32, 32]);
    file[28..32].copy_from_slice(&1_u32.to_be_bytes());
    file[56..60].copy_from_slice(&1_u32.to_be_bytes());
    // A leaf with 10,000 cells, all of which are at one place: length, rowid, and a record of a table `t`.
    file[100] = 13;
    file[103..105].copy_from_slice(&10_000_u16.to_be_bytes());
    let cell = *b"\x0e\x01\x06\x17\x0f\x0f\x01\x0dtablett\x01";
    let at = 65536 - 100;
    file[at..at + cell.len()].copy_from_slice(&cell);
    for place in 0..10_000 {
        let at = u16::try_from(at).expect("two bytes").to_be_bytes();
        file[108 + 2 * place..110 + 2 * place].copy_from_slice(&at);
    }
    let rows = SqliteFile::open(Cursor::new(file)).and_then(|mut file| file.rows());
    let damage = rows.expect_err("the cells do not fit the page");
    assert_eq!(damage.to_string(), "page 1 of it is damaged");
}

#[test]
fn sql_that_is_cut_off_is_not_sent() {
    let project = Project::new();
    let dump = "BEGIN TRANSACTION;\nCREATE TABLE a (x);\nINSERT INTO a VALUES (1);\n";
    for (text, said) in [
        (dump, "it is cut off"),
        (
            "CREATE TABLE a (x);\nDELETE FROM a\0 WHERE x = 1;\n",
            "Line 2: the SQL text contains a NUL",
        ),
    ] {
        project.write("dump.sql", text);
        let refused = project.run(&["load", "dump.sql"]);
        assert_eq!(refused.code, Some(1));
        assert!(refused.stderr.contains(said), "{refused:?}");
    }
    let tables = project.run(&["query", "--json", "SELECT name FROM sqlite_schema"]);
    assert_eq!(tables.stdout(), "[]\n");
    project.write("dump.sql", &format!("{dump}COMMIT;\n"));
    project.run(&["load", "dump.sql"]).stdout();
}

#[test]
fn virtual_tables_are_backed_up() {
    let project = Project::new();
    execute(
        &project,
        "CREATE VIRTUAL TABLE words USING fts5(word); INSERT INTO words VALUES ('one'), ('two')",
    );
    for arguments in [
        &["backup", "words.sql", "--sql"][..],
        &["backup", "words.db"],
    ] {
        project.run(arguments).stdout();
    }
    project.run(&["load", "--force", "words.db"]).stdout();
    let words = project.run(&["query", "--json", "SELECT word FROM words ORDER BY 1"]);
    let words = words.stdout().replace('\n', "");
    assert_eq!(words, r#"[{"word":"one"},{"word":"two"}]"#);
}

#[test]
fn a_request_of_sql_is_all_or_nothing() {
    let project = Project::new();
    project.write(
        "dump.sql",
        "BEGIN;\nCREATE TABLE a (x UNIQUE);\nINSERT INTO a VALUES (1);\n\nINSERT INTO a\nVALUES (1);\nCOMMIT;",
    );
    let failed = project.run(&["load", "dump.sql"]);
    assert_eq!(failed.code, Some(1));
    assert_eq!(
        failed.stderr,
        "Line 5: UNIQUE constraint failed: a.x. The database was not changed.\n"
    );
    let tables = project.run(&["query", "--json", "SELECT name FROM sqlite_schema"]);
    assert_eq!(tables.stdout(), "[]\n");
}

#[test]
fn an_error_in_a_long_dump_says_what_was_run() {
    let project = Project::new();
    let mut dump = String::from("CREATE TABLE a (x UNIQUE);\n");
    for number in 0..12_000 {
        dump += &format!("INSERT INTO a VALUES ({number});\n");
    }
    dump += "INSERT INTO a VALUES (11999);\n";
    project.write("dump.sql", &dump);
    let failed = project.run(&["load", "dump.sql"]);
    assert_eq!(
        failed.stderr,
        "Line 12002: UNIQUE constraint failed: a.x. The 10000 statements before it were run.\n"
    );
    let count = project.run(&["query", "--json", "SELECT count(*) AS n FROM a"]);
    assert_eq!(count.stdout(), "[{\"n\":9999}]\n");
}

#[test]
fn foreign_keys_are_checked_at_the_end_of_a_dump() {
    let project = Project::on(Rqlited::builder().foreign_keys());
    let dump = "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE child (parent REFERENCES parent (id));\n\
        CREATE TABLE parent (id INTEGER PRIMARY KEY);\nINSERT INTO child VALUES (1);\nINSERT INTO parent VALUES (1);\nCOMMIT;";
    project.write("dump.sql", dump);
    project.run(&["load", "dump.sql"]).stdout();
    project.write("bad.sql", "INSERT INTO child VALUES (2);");
    let refused = project.run(&["load", "--force", "bad.sql"]);
    assert!(
        refused.stderr.contains("FOREIGN KEY constraint failed"),
        "{refused:?}"
    );
}

#[test]
fn values_that_differ_between_nodes_are_replaced_or_refused() {
    let project = Project::new();
    let schema = "CREATE TABLE a (x DEFAULT CURRENT_TIMESTAMP);\n";
    project.write(
        "dump.sql",
        &format!("{schema}INSERT INTO a VALUES (datetime(0, 'unixepoch', 'localtime'));"),
    );
    let refused = project.run(&["load", "dump.sql"]);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused
            .stderr
            .starts_with("Line 2: the modifier 'localtime'"),
        "{refused:?}"
    );
    assert!(
        refused.stderr.ends_with("The database was not changed.\n"),
        "{refused:?}"
    );

    let warned = |run: Run| {
        assert!(
            run.stderr.contains("warning: `a`: `CURRENT_TIMESTAMP`"),
            "{run:?}"
        );
        run.stdout()
    };
    project.write(
        "dump.sql",
        &format!(
            "{schema}INSERT INTO a VALUES (strftime('%s.%f')), (\"random\" /* x */ ()), (unixepoch('subsec'));\n\
             CREATE /* x */ TABLE w AS SELECT random() AS v, last_insert_rowid() AS w;"
        ),
    );
    warned(project.run(&["load", "dump.sql"]));
    project.write("dump.sql", "INSERT INTO a VALUES (last_insert_rowid())");
    let refused = project.run(&["load", "--force", "dump.sql"]);
    assert!(
        refused
            .stderr
            .starts_with("Line 1: last_insert_rowid() is about"),
        "{refused:?}"
    );
    project.run(&["backup", "file.db"]).stdout();
    warned(project.run(&["load", "--force", "file.db"]));
}

#[test]
fn a_dump_that_does_more_than_inserting_is_not_compared() {
    let project = Project::new();
    project.write(
        "dump.sql",
        "CREATE TABLE a (x); INSERT INTO a VALUES (1), (2); DELETE FROM a WHERE x = 1;",
    );
    let loaded = parsed(project.run(&["load", "dump.sql", "--json"]));
    assert_eq!(loaded["rows"], json!({"a": 1}));
    assert_eq!(loaded["compared"], json!(false));
}

/// Where the answer to a request is cut off.
#[derive(Clone, Copy)]
enum Cut {
    Before,
    /// Some of it arrives.
    Within,
}

/// A proxy that cuts off the answers to requests that begin so: its address.
fn cutting(node: String, begin: &'static str, cut: Cut) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    thread::spawn(move || {
        for client in listener.incoming() {
            let node = node.clone();
            thread::spawn(move || pass_on(client.expect("a client"), &node, begin, cut));
        }
    });
    address
}

/// One connection has many requests.
fn pass_on(mut client: TcpStream, node: &str, begin: &str, cut: Cut) {
    let mut server = TcpStream::connect(node).expect("connects");
    let (mut answers, mut to) = (
        server.try_clone().expect("clones"),
        client.try_clone().expect("clones"),
    );
    let (sender, cuts) = channel();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = answers.read(&mut buffer) {
            let cut = cuts.try_recv();
            if let Ok(Cut::Before) = cut {
                break;
            }
            if to.write_all(&buffer[..length]).is_err() || cut.is_ok() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = client.read(&mut buffer) {
        if buffer.starts_with(begin.as_bytes()) {
            sender.send(cut).expect("is there");
        }
        server.write_all(&buffer[..length]).expect("writes");
    }
}

#[test]
fn what_became_of_a_lost_answer_is_not_guessed() {
    let original = filled();
    original.run(&["backup", "file.db"]).stdout();
    original.run(&["backup", "--sql", "file.sql"]).stdout();
    for (file, begin, said) in [
        (
            "file.db",
            "POST /boot",
            "The database may have been replaced, or not",
        ),
        (
            "file.sql",
            "POST /db/execute",
            "The database was not changed. The statements of lines 3 to",
        ),
    ] {
        let project = Project::new();
        let address = cutting(project.node().address(), begin, Cut::Before);
        let path = original.path(file);
        let mut command = project.command(&["load", path.to_str().expect("text")]);
        command.env("DATABASE_URL", format!("rqlite://{address}"));
        let lost = Run::of(&mut command);
        assert_eq!(lost.code, Some(1), "{lost:?}");
        assert!(lost.stderr.contains(said), "{lost:?}");
        assert_eq!(contents(&project), contents(&original), "it was done");
    }
}

#[test]
fn an_interrupted_backup_leaves_no_file() {
    let project = filled();
    let address = cutting(project.node().address(), "GET /db/backup", Cut::Within);
    let mut command = project.command(&["backup", "broken.db"]);
    command.env("DATABASE_URL", format!("rqlite://{address}"));
    let broken = Run::of(&mut command);
    assert_eq!(broken.code, Some(1), "{broken:?}");
    assert!(
        broken
            .stderr
            .starts_with("The backup is incomplete, and was thrown away"),
        "{broken:?}"
    );
    assert!(files(&project).is_empty());
}

#[test]
fn users_and_tls_are_those_of_the_url() {
    let admin = User::new("admin", "secret", &["all"]);
    let project = Project::on(Rqlited::builder().tls().user(admin));
    let certificate = project.node().ca_certificate().expect("has one");
    let url = format!("{}?ca_cert={}", project.node().url(), certificate.display());
    let run = |url: &str, arguments: &[&str]| {
        Run::of(project.command(arguments).env("DATABASE_URL", url))
    };
    for arguments in [
        &["query", "CREATE TABLE a (x)"][..],
        &["backup", "--force", "file.db"],
        &["load", "--force", "file.db"],
        &["nodes"],
        &["status"],
    ] {
        run(&url, arguments).stdout();
        let refused = run(&url.replace("secret", "wrong-secret"), arguments);
        assert_eq!(refused.code, Some(1), "{arguments:?}");
        assert!(refused.stderr.contains("401"), "{refused:?}");
        assert!(!refused.stderr.contains("secret"), "{refused:?}");
    }
}

#[test]
fn status_is_of_the_node() {
    let project = Project::new();
    let status = project.run(&["status"]).stdout();
    for line in [
        "state           Leader",
        "ready           true",
        "SQLite          3.",
    ] {
        assert!(status.contains(line), "{line}: {status}");
    }
    let status = parsed(project.run(&["status", "--json"]));
    assert_eq!(status["store"]["raft"]["state"], json!("Leader"));
}

#[test]
fn a_cluster_without_a_leader_is_shown() {
    let mut cluster = Cluster::start(3);
    let leader = cluster.leader();
    let alive = (leader + 1) % 3;
    cluster.node_mut(leader).kill();
    cluster.node_mut((leader + 2) % 3).kill();
    let project = Project::without_database();
    let url = cluster.url(leader);
    let run = |arguments: &[&str]| Run::of(project.command(arguments).env("DATABASE_URL", &url));
    let status = parsed(run(&["status", "--json"]));
    let address = cluster.node(alive).address();
    assert_eq!(status["http"]["bind_addr"], json!(address));
    let nodes = run(&["nodes"]).stdout();
    assert_eq!(nodes.matches("yes").count(), 1, "{nodes}");
    assert_eq!(nodes.matches("no\n").count(), 2, "{nodes}");
}

#[test]
fn query_shows_what_is_stored() {
    let project = Project::new();
    let created = project.run(&["query", "CREATE TABLE a (id INTEGER PRIMARY KEY, v); INSERT INTO a (v) VALUES (x'00ff'), ('é'), (NULL), (1.5), (9007199254740993)"]);
    assert_eq!(created.stderr, "0 rows changed\n5 rows changed\n");
    let rows = project.run(&["query", "SELECT v, typeof(v) AS \"class of v\" FROM a"]);
    assert_eq!(rows.stderr, "5 rows\n");
    let wanted = "\
v                 class of v
----------------  ----------
x'00ff'           blob
é                 text
NULL              null
1.5               real
9007199254740993  integer
";
    assert_eq!(rows.stdout(), wanted);
    let rows = project.run(&[
        "query",
        "--json",
        "SELECT v, id FROM a ORDER BY id LIMIT 3 OFFSET 1",
    ]);
    let wanted = "[{\"v\":\"é\",\"id\":2},\n{\"v\":null,\"id\":3},\n{\"v\":1.5,\"id\":4}]\n";
    assert_eq!(rows.stdout(), wanted);
    let returned = project.run(&["query", "--json", "DELETE FROM a WHERE id > 3 RETURNING id"]);
    assert_eq!(returned.stdout(), "[{\"id\":4},\n{\"id\":5}]\n");
    let failed = project.run(&["query", "SELECT missing"]);
    assert_eq!(failed.code, Some(1));
    assert_eq!(
        failed.stderr,
        "Failed to execute a database query: no such column: missing\n"
    );
}
