//! The decisions of a session, without a server: what is sent after each answer, and after none.

mod commits;
mod locks;
mod peeks;
mod reads;
mod script;
mod streams;

use diesel::QueryResult;
use diesel::result::{DatabaseErrorKind, Error};

use self::script::{Scripted, rows};
use super::{Found, Session};
use crate::backend::RqliteType;
use crate::protocol::response::{Answer, StatementResult};
use crate::protocol::rows::{Rows, Value};
use crate::runtime::block_on;
use crate::sql::unstable::{NUMBER, QUERY, VERSION};
use crate::statement::Query;
use crate::transaction::{Claim, Options, TransactionMode};

/// Runs a query, and returns the number of rows it affects.
fn execute(session: &mut Session<Scripted>, sql: &str) -> QueryResult<usize> {
    let query = Query::parse(sql).expect("is SQL");
    block_on(session.execute(query, Vec::new()))
}

/// Runs a query for its rows. They may go on.
fn query(
    session: &mut Session<Scripted>,
    sql: &str,
    types: Option<&[RqliteType]>,
) -> QueryResult<Found<Scripted>> {
    let query = Query::parse(sql).expect("is SQL");
    block_on(session.rows(query, Vec::new(), types))
}

/// Does the same as [`query`], for a text that was run before.
fn query_again(
    session: &mut Session<Scripted>,
    sql: &str,
    types: Option<&[RqliteType]>,
) -> QueryResult<Found<Scripted>> {
    if session.statements.get(sql).is_none() {
        let query = Query::parse(sql).expect("is SQL");
        session.statements.keep(sql, &query);
    }
    let kept = session.statements.get(sql).expect("is kept");
    block_on(session.rows(kept.query(), Vec::new(), types))
}

/// Returns the numbers in the first column.
fn integers(rows: &Rows) -> Vec<i64> {
    let values = (0..rows.len()).map(|row| match rows.value(row, 0) {
        Some(Value::Integer(value)) => value,
        other => panic!("no integer: {other:?}"),
    });
    values.collect()
}

/// Opens a transaction in this mode.
fn open(session: &mut Session<Scripted>, mode: TransactionMode) {
    open_with(
        session,
        Options {
            mode,
            ..Options::default()
        },
        Claim::None,
    );
}

fn open_with(session: &mut Session<Scripted>, options: Options, claim: Claim) {
    let opened = session.transaction.open(options, claim, None);
    opened.expect("opens");
}

fn commit(session: &mut Session<Scripted>) -> QueryResult<()> {
    block_on(session.commit()).map(|_| ())
}

fn roll_back(session: &mut Session<Scripted>) {
    block_on(session.roll_back()).expect("rolls back");
}

/// Makes a session know a schema without anything of note.
fn knows_schema(session: &mut Session<Scripted>) {
    session.learn_unstable(&Rows::named(vec![String::new(); 3]));
}

/// Returns the result of the question for the version of the schema.
fn version(number: u32) -> String {
    let columns = ["v", "n", "l", "r"];
    rows(&columns, "integer", &format!("[{number},1,1,1]"))
}

/// Returns the result of the question for its number alone.
fn number(number: u32) -> String {
    rows(&["schema_version"], "integer", &format!("[{number}]"))
}

/// Returns the version as rows.
fn version_rows(number: u32) -> Rows {
    let body = script::answer([version(number)]);
    let answer = Answer::parse(body.as_bytes(), &[]).expect("is an answer");
    match answer.results.into_iter().next() {
        Some(StatementResult::Rows(rows)) => rows,
        other => panic!("no rows: {other:?}"),
    }
}

/// Returns the result of the question for the schema: one default of this text for the column `at` of the table `t`, if
/// any.
fn schema(default: Option<&str>) -> String {
    let row = default.map(|default| format!(r#"["at","t","{default}"]"#));
    rows(&["c", "t", "d"], "text", &row.unwrap_or_default())
}

/// Returns what kind of failure it is.
fn kind(outcome: QueryResult<()>) -> (DatabaseErrorKind, String) {
    match outcome {
        Err(Error::DatabaseError(kind, why)) => (kind, why.message().to_owned()),
        other => panic!("no error of the database: {other:?}"),
    }
}

/// The greeting, after which a connection knows the schema.
#[test]
fn the_greeting_learns_the_schema() {
    let mut session = script::session([
        script::on(script::QUERY, [QUERY]).answers([schema(Some("CURRENT_TIMESTAMP"))])
    ]);
    block_on(session.greet()).expect("is there");
    let schema = session.unstable.as_ref().expect("is known");
    assert_eq!(schema.defaults_of("t"), [("at", "CURRENT_TIMESTAMP")]);
    script::done(&session);
}
