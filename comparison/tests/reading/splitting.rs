//! Statement by statement.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel_rqlite_sql::{SqlError, parse};

use crate::corpus::statements;
use crate::sqlite::Sqlite;

#[derive(Debug, PartialEq, QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    value: String,
}

/// What stands in the schema and in the tables that the corpus writes to.
fn contents(connection: &mut SqliteConnection) -> Vec<Line> {
    let query = "SELECT quote(name) || quote(rtrim(sql, char(10))) AS value FROM sqlite_schema UNION ALL \
         SELECT 'log' || quote(what) || quote(at) FROM log UNION ALL SELECT 't2' || quote(x) || quote(y) FROM t2 UNION ALL \
         SELECT 't1' || quote(a) || quote(b) || quote(c) || quote(d) || quote(e) FROM t1 UNION ALL \
         SELECT 'end_' || quote(begin) || quote(\"end\") FROM end_";
    diesel::sql_query(query).load(connection).expect("reads")
}

fn open() -> SqliteConnection {
    let mut connection = SqliteConnection::establish(":memory:").expect("opens");
    // It is about their text.
    connection
        .batch_execute("PRAGMA foreign_keys = OFF")
        .expect("is off");
    connection
}

/// All but the last, which detaches what is not there.
fn script() -> String {
    let statements = statements();
    statements[..statements.len() - 1].join("\n;\n")
}

#[test]
fn a_script_is_split_where_sqlite_splits_it() {
    let script = script();
    let mut whole = open();
    whole.batch_execute(&script).expect("is valid");
    let mut split = open();
    let parsed = parse(&script).expect("is SQL");
    for statement in &parsed {
        let outcome = split.batch_execute(statement.text());
        outcome.unwrap_or_else(|error| panic!("{}: {error}", statement.text()));
    }
    // Two that were taken for one would be run all the same.
    assert_eq!(parsed.len(), statements().len() - 1);
    assert_eq!(contents(&mut split), contents(&mut whole));
}

#[test]
fn a_statement_is_one_however_its_semicolon_is_surrounded() {
    for statement in statements() {
        for text in [
            format!("{statement}\n;"),
            format!(";; {statement} ;;"),
            format!("/* ; */ -- ;\n{statement} -- ;"),
            format!("{statement}\n; ; -- c\n /* c */"),
        ] {
            let parsed = parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(parsed.len(), 1, "{text}");
        }
    }
}

/// What SQLite can't read is no statement, and what it can is one.
#[test]
fn what_begins_as_no_statement_does_is_what_sqlite_refuses_at_once() {
    let mut sqlite = Sqlite::open();
    let words = include_str!("keywords.txt")
        .split_whitespace()
        .chain(["invalid", "1", "'x'", "[x]", "?", "*"]);
    for word in words {
        // Whatever follows it: SQLite stops at the first token if no statement begins with it.
        let said = sqlite.message(&format!("{word} ~"));
        let refused = said == format!("near \"{word}\": syntax error");
        let text = format!("{word} x");
        let ours = parse(&text);
        let we_refuse = matches!(ours, Err(SqlError::NoStatement(_)));
        assert_eq!(we_refuse, refused, "{word}: {said}, and we: {ours:?}");
    }
}
