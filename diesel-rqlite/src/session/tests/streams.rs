//! Long answers that break off, or that show a doubtful value late.

use super::script::{EXECUTE, QUERY, done, on, rows, session, session_with};
use super::*;

const SELECT: &str = "SELECT a FROM t ORDER BY a";
const AROUND: &str = "WITH …";

/// The start of an answer in the plain form, up to its first row.
const HEAD: &str = r#"{"results":[{"columns":["a"],"types":["integer"],"values":["#;
const END: &str = "]}]}";

fn begun(first: &str) -> String {
    format!("{HEAD}{first}")
}

fn part(text: &str) -> Result<String, &'static str> {
    Ok(text.to_owned())
}

/// Returns all rows of a query, or those before an error, and the error.
fn all(session: &mut Session<Scripted>) -> (Vec<i64>, Option<Error>) {
    let mut found = match query_again(session, SELECT, Some(&[RqliteType::Long])) {
        Ok(found) => found,
        Err(error) => return (Vec::new(), Some(error)),
    };
    let mut values = integers(&found.rows[0]);
    let Some(mut more) = found.more.take() else {
        return (values, None);
    };
    loop {
        match block_on(more.next(session)) {
            Ok(Some(rows)) => values.extend(integers(&rows)),
            Ok(None) => return (values, None),
            Err(error) => return (values, Some(error)),
        }
    }
}

#[test]
fn an_answer_comes_in_parts() {
    let rest = [part("[2],[3"), part("],[4]"), part(END)];
    let mut session = session([on(QUERY, [SELECT]).begins(&begun("[1],"), rest)]);
    assert_eq!(all(&mut session), (vec![1, 2, 3, 4], None));
    done(&session);
}

#[test]
fn an_answer_that_breaks_off_is_continued_by_another_node() {
    let mut session = session_with(
        &["a", "b"],
        [
            on(QUERY, [SELECT])
                .at("a")
                .begins(&begun("[1],"), [part("[2],[3"), Err("reset")])
                .then_leads("b"),
            on(QUERY, [SELECT])
                .at("b")
                .begins(&begun("[1],[2],"), [part("[3],[4]"), part(END)]),
        ],
    );
    assert_eq!(all(&mut session), (vec![1, 2, 3, 4], None));
    done(&session);
}

#[test]
fn an_answer_that_ends_without_its_end_is_an_error() {
    let mut session = session([on(QUERY, [SELECT]).begins(&begun("[1],"), [part("[2],")])]);
    let (values, error) = all(&mut session);
    assert_eq!(values, [1, 2]);
    assert!(error.is_some());
    done(&session);
}

#[test]
fn rows_that_differ_from_those_before_are_a_conflict() {
    for other in ["[1],[5],[3]", "[1]", ""] {
        let mut session = session([
            on(QUERY, [SELECT]).begins(&begun("[1],"), [part("[2],[3"), Err("reset")]),
            on(QUERY, [SELECT]).begins(&begun(other), [part(END)]),
        ]);
        let (values, error) = all(&mut session);
        assert_eq!(values, [1, 2], "{other}");
        let (kind, _) = kind(Err(error.expect("is an error")));
        assert!(matches!(kind, DatabaseErrorKind::SerializationFailure));
        done(&session);
    }
}

#[test]
fn an_answer_that_breaks_off_again_and_again_is_an_error() {
    let breaks = || on(QUERY, [SELECT]).begins(&begun("[1],"), [Err("reset")]);
    let mut session = session([breaks(), breaks(), breaks(), breaks()]);
    let (values, error) = all(&mut session);
    assert_eq!(values, [1]);
    let (_, message) = kind(Err(error.expect("is an error")));
    assert!(message.contains("broke off after 1 rows"), "{message}");
    done(&session);
}

#[test]
fn a_doubtful_value_that_comes_late_is_asked_for_in_the_exact_form() {
    let exact = rows(&["a"], "", "[1],[2],[7]");
    let mut session = session([
        on(QUERY, [SELECT]).begins(&begun("[1],"), [part("[2],"), part("[true]"), part(END)]),
        on(QUERY, [AROUND]).answers([exact.as_str()]),
        // The text is known to need that form from then on.
        on(QUERY, [AROUND]).answers([exact.as_str()]),
    ]);
    assert_eq!(all(&mut session), (vec![1, 2, 7], None));
    assert_eq!(all(&mut session), (vec![1, 2, 7], None));
    done(&session);
}

#[test]
fn other_queries_run_between_two_parts() {
    let mut session = session([
        on(QUERY, [SELECT]).begins(&begun("[1],"), [part("[2],"), Err("reset")]),
        on(EXECUTE, ["DELETE FROM t"]).answers([script::wrote(1)]),
        on(QUERY, [SELECT])
            .with("level=strong")
            .answers([rows(&["a"], "integer", "[1],[2],[3]")]),
    ]);
    let found = query_again(&mut session, SELECT, Some(&[RqliteType::Long])).expect("begins");
    let mut more = found.more.expect("goes on");
    assert_eq!(execute(&mut session, "DELETE FROM t"), Ok(1));
    let mut values = Vec::new();
    while let Some(rows) = block_on(more.next(&mut session)).expect("goes on") {
        values.extend(integers(&rows));
    }
    assert_eq!(values, [2, 3]);
    done(&session);
}

/// rqlite may convert any value of a column that is declared as a time, but NULL.
#[test]
fn declared_type_is_no_doubt_without_a_value() {
    const NULLS: &str = r#"{"results":[{"columns":["a"],"types":["datetime"],"values":["#;
    let begun = format!("{NULLS}[null],");
    let mut session = session([on(QUERY, [SELECT]).begins(&begun, [part("[null]"), part(END)])]);
    let found = query_again(&mut session, SELECT, Some(&[RqliteType::Text])).expect("begins");
    let mut more = found.more.expect("goes on");
    let rows = block_on(more.next(&mut session)).expect("goes on");
    assert_eq!(rows.expect("a row").value(0, 0), None);
    assert!(
        block_on(more.next(&mut session))
            .expect("goes on")
            .is_none()
    );
    done(&session);
}
