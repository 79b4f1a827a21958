//! The answer that a query is expected to have, because it had a similar one before.
//!
//! The answers to a query begin with the same bytes, until the schema changes: the names and the types of the columns.
//! [`Expected`] keeps these bytes, and the [`Header`] that they stand for. So only the rows of the next answer have to
//! be decoded, and they share the header.
//!
//! Anything else is left to [`Answer`](super::response::Answer): an error, an answer without rows, with other columns, or
//! with more than rows in it. So no answer is read in a different way here than there.

use std::sync::Arc;

use super::encoding::Encoding;
use super::rows::{Header, Rows, text};

/// The text after the rows, if that is all of the answer.
const END: &[u8] = b"}]}";

/// The beginning of an answer to one query, up to its rows.
#[derive(Debug)]
pub(crate) struct Expected {
    json: Vec<u8>,
    /// The header that these bytes tell.
    told: Arc<Header>,
    /// The header of the rows: the same, except that SQL around the query may have changed the names of its columns.
    named: Arc<Header>,
}

impl Expected {
    /// Returns what the next answer to the same query is expected to begin with. `told` is the header of an answer, and
    /// `named` that of its rows, with the names that the columns have for the program.
    ///
    /// The bytes are written from the header, as rqlite writes them, and not copied from an answer. So an answer that has
    /// them has this header. rqlite escapes some characters that need no escape. A name with one of these is never found
    /// again, and such answers are parsed as a whole.
    pub(crate) fn after(told: Arc<Header>, named: Arc<Header>) -> Self {
        let list = |texts: &[String]| serde_json::Value::from(texts.to_vec());
        let (columns, types) = (list(&told.columns), list(&told.types));
        let json = format!(r#"{{"results":[{{"columns":{columns},"types":{types},"values":"#);
        Expected {
            json: json.into_bytes(),
            told,
            named,
        }
    }

    /// Returns the rows of an answer. Returns `None` if it has to be parsed as a whole.
    pub(crate) fn rows(&self, answer: &[u8], encodings: &[Encoding]) -> Option<Rows> {
        let values = answer.strip_prefix(&self.json[..])?.strip_suffix(END)?;
        self.named.rows(text(values).ok()?, encodings).ok()
    }

    /// Returns whether this is the header that is expected.
    pub(crate) fn is_like(&self, told: &Header) -> bool {
        *self.told == *told
    }
}

#[cfg(test)]
mod tests {
    use super::super::encoding::Wanted;
    use super::super::response::{Answer, StatementResult};
    use super::*;

    const ANSWER: &str =
        r#"{"results":[{"columns":["id","a \"b\""],"types":["integer","real"],"values":[[1,2]]}]}"#;
    const ENCODINGS: [Encoding; 2] = [
        Encoding::Stored(Wanted::AnyOfColumn),
        Encoding::Stored(Wanted::AnyOfColumn),
    ];

    fn parsed(answer: &str) -> Option<Rows> {
        let mut answer = Answer::parse(answer.as_bytes(), &[ENCODINGS.to_vec()]).ok()?;
        match (answer.error, answer.results.pop(), answer.results.pop()) {
            (None, Some(StatementResult::Rows(rows)), None) => Some(rows),
            _ => None,
        }
    }

    fn expected() -> Expected {
        let rows = parsed(ANSWER).expect("has rows");
        Expected::after(Arc::clone(rows.header()), Arc::clone(rows.header()))
    }

    #[test]
    fn rows_are_those_of_the_whole_answer() {
        let expected = expected();
        for values in [
            "[[1,2]]",
            "[[3,4],[5,6.5]]",
            "[]",
            "[[null,[1,2]]]",
            r#"[[7,"é\n"]]"#,
        ] {
            let answer = ANSWER.replace("[[1,2]]", values);
            let found = expected.rows(answer.as_bytes(), &ENCODINGS);
            assert!(found.is_some(), "{answer}");
            assert_eq!(found, parsed(&answer), "{answer}");
            assert!(found.is_some_and(|rows| expected.is_like(rows.header())));
        }
    }

    #[test]
    fn other_answers_are_left_to_the_parser() {
        let expected = expected();
        let others = [
            ANSWER.replace("id", "ID"),
            ANSWER.replace("real", "text"),
            ANSWER.replace("[[1,2]]", "[[1]]"),
            ANSWER.replace("[[1,2]]", "[[1,2],[3]]"),
            ANSWER.replace("[[1,2]]", "[[1,2],]"),
            ANSWER.replace("[[1,2]]", "[[1,2]],\"time\":0.1"),
            ANSWER.replace("[[1,2]]", "[[1,2]],\"error\":\"interrupted\""),
            ANSWER.replace(
                "[[1,2]]",
                "[[1,2]]},{\"columns\":[\"a\"],\"values\":[[1,2]]",
            ),
            ANSWER.replace("]}]}", "]}],\"time\":0.1}"),
            format!("{ANSWER} "),
            format!(" {ANSWER}"),
            r#"{"results":[{"columns":["id"],"types":["integer"]}]}"#.to_owned(),
            r#"{"results":[{"error":"no such table: t"}]}"#.to_owned(),
            String::new(),
        ];
        for answer in others.iter().map(String::as_str) {
            assert!(
                expected.rows(answer.as_bytes(), &ENCODINGS).is_none(),
                "{answer}"
            );
        }
        for cut in 0..ANSWER.len() {
            assert!(
                expected
                    .rows(&ANSWER.as_bytes()[..cut], &ENCODINGS)
                    .is_none(),
                "{cut}"
            );
        }
    }
}
