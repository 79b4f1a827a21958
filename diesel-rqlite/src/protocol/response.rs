//! The parsing of answers.
//!
//! rqlite answers a request with one JSON object. It has a result for each statement, in order, or an `error` of the
//! request as a whole. Status 200 says nothing about success.
//!
//! [`Answer::parse`] decodes the object without a tree: a visitor for each level (answer, results, result). The rows are
//! passed over, and read when their columns are known. [`Exchange::answer`] also checks the number of results.
//!
//! Invariants:
//!
//! * Unknown keys are ignored, so that newer servers may add some. Known keys may stand in any order, and only once.
//! * A body that contradicts itself is an error: an error of the request with results, rows without columns, rows of
//!   different widths, anything after the object.
//! * No input makes the parser panic.
//!
//! What an error message means is decided by `message` and by the callers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;

use super::encoding::Encoding;
use super::failure::{Failure, Why};
use super::request::Exchange;
use super::rows::{Header, Rows, text};

/// The result of one statement of a request.
///
/// The keys of the result decide: `error` comes first, then `columns`. A result with neither was executed.
#[derive(Debug, PartialEq)]
pub(crate) enum StatementResult {
    /// The statement was run. `rows_affected` is SQLite's last count, which is meaningful after INSERT, UPDATE and
    /// DELETE.
    Executed {
        rows_affected: usize,
        /// The rowid that was assigned last, by any write.
        last_insert_id: Option<i64>,
    },
    Rows(Rows),
    /// SQLite's message.
    Failed(String),
}

impl StatementResult {
    /// Returns the result of a statement that assigned no rowid.
    pub(crate) fn executed(rows_affected: usize) -> Self {
        StatementResult::Executed {
            rows_affected,
            last_insert_id: None,
        }
    }
}

/// The body of an answer with status 200.
///
/// It may have fewer results than there were statements, see [`Answer::fits`].
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Answer {
    pub(crate) results: Vec<StatementResult>,
    /// The error of a request that failed as a whole. There are no results then.
    pub(crate) error: Option<String>,
}

impl Answer {
    /// Parses a body. `encodings` holds, for each statement, the encodings of the columns of its rows.
    ///
    /// Statements beyond the end of `encodings` have plain columns. Fails if the body is not UTF-8, not JSON, or not an
    /// answer. Failures of statements are not errors here.
    pub(crate) fn parse(
        body: &[u8],
        encodings: &[Vec<Encoding>],
    ) -> Result<Self, serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_str(text(body)?);
        let answer = AnswerSeed { encodings }.deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(answer)
    }

    /// Returns whether this can be the answer to so many statements. There must be one result for each, but there may
    /// be fewer results if a statement or the request failed.
    pub(crate) fn fits(&self, statements: usize) -> bool {
        let results = self.results.len();
        match self.error.is_some() || self.first_failure().is_some() {
            true => results <= statements,
            false => results == statements,
        }
    }

    /// Returns the answer that each of the statements would have got in a request of its own. Returns `None` if there
    /// is not one result for each.
    ///
    /// It is for writes of several callers that were sent as one request. An error of the request is that of each.
    pub(crate) fn apart(self, statements: usize) -> Option<Vec<Answer>> {
        if let Some(error) = self.error {
            let refused = || Answer {
                results: Vec::new(),
                error: Some(error.clone()),
            };
            return Some((0..statements).map(|_| refused()).collect());
        }
        let alone = |result| Answer {
            results: vec![result],
            error: None,
        };
        (self.results.len() == statements).then(|| self.results.into_iter().map(alone).collect())
    }

    /// Returns the position and the message of the first statement that failed.
    pub(crate) fn first_failure(&self) -> Option<(usize, &str)> {
        let mut results = self.results.iter().enumerate();
        results.find_map(|(place, result)| match result {
            StatementResult::Failed(message) => Some((place, message.as_str())),
            _ => None,
        })
    }
}

/// Returns the sequence number that a node's queue has given to the writes. The number exceeds the range in which
/// JSON's own numbers are exact. Returns `None` if the answer has none.
pub(crate) fn sequence_number(body: &[u8]) -> Option<u64> {
    let answer: serde_json::Value = serde_json::from_slice(body).ok()?;
    answer.get("sequence_number")?.as_u64()
}

impl Exchange {
    /// Parses a body. An unreadable body is a failure.
    ///
    /// The failure is `Why::Unknown`, since the server may have applied the request. An answer that says that the
    /// request failed is not a failure here.
    pub(crate) fn answer(
        &self,
        body: &[u8],
        encodings: &[Vec<Encoding>],
    ) -> Result<Answer, Failure> {
        let unreadable =
            |reason: String| self.failure(Why::Unknown, format!("unreadable answer: {reason}"));
        let answer =
            Answer::parse(body, encodings).map_err(|error| unreadable(error.to_string()))?;
        match answer.fits(self.statements) {
            true => Ok(answer),
            false => Err(unreadable(format!(
                "{} results for {} statements",
                answer.results.len(),
                self.statements
            ))),
        }
    }
}

/// A key of an answer, or of one of its results.
enum Key {
    Results,
    Columns,
    Types,
    Values,
    RowsAffected,
    LastInsertId,
    Error,
    Other,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_identifier(KeyVisitor)
    }
}

struct KeyVisitor;

impl Visitor<'_> for KeyVisitor {
    type Value = Key;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Key, E> {
        Ok(match key {
            "results" => Key::Results,
            "columns" => Key::Columns,
            "types" => Key::Types,
            "values" => Key::Values,
            "rows_affected" => Key::RowsAffected,
            "last_insert_id" => Key::LastInsertId,
            "error" => Key::Error,
            _ => Key::Other,
        })
    }
}

/// Returns the time that the server reports to have worked on an answer. The answer contains it with the flag
/// `timings`.
///
/// Returns `None` if the body has no such time, or is not an answer. The rest of the body is skipped, not decoded.
pub(crate) fn server_time(body: &[u8]) -> Option<Duration> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let seconds = deserializer.deserialize_map(TimeVisitor).ok().flatten()?;
    Duration::try_from_secs_f64(seconds).ok()
}

struct TimeVisitor;

impl<'de> Visitor<'de> for TimeVisitor {
    type Value = Option<f64>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an answer of rqlite")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<f64>, A::Error> {
        let mut time = None;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "time" => time = Some(map.next_value()?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(time)
    }
}

/// The decoder of the object.
struct AnswerSeed<'e> {
    encodings: &'e [Vec<Encoding>],
}

impl<'de> DeserializeSeed<'de> for AnswerSeed<'_> {
    type Value = Answer;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Answer, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for AnswerSeed<'_> {
    type Value = Answer;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an answer of rqlite")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Answer, A::Error> {
        let mut results = None;
        let mut error = None;
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::Results => {
                    let found = map.next_value_seed(ResultsSeed {
                        encodings: self.encodings,
                    })?;
                    once(&mut results, "results", found)?;
                }
                Key::Error => once(&mut error, "error", map.next_value()?)?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        match (results, error) {
            (None, None) => Err(A::Error::missing_field("results")),
            (Some(results), Some(_)) if !results.is_empty() => {
                Err(A::Error::custom("results beside an error of all of them"))
            }
            (results, error) => Ok(Answer {
                results: results.unwrap_or_default(),
                error,
            }),
        }
    }
}

/// Stores the value of a key. A key must not occur twice, because one reader would take the first value and another the
/// last.
fn once<T, E: Error>(found: &mut Option<T>, key: &'static str, value: T) -> Result<(), E> {
    match found.replace(value) {
        None => Ok(()),
        Some(_) => Err(E::duplicate_field(key)),
    }
}

/// The decoder of the list of results. It hands each statement its own encodings.
struct ResultsSeed<'e> {
    encodings: &'e [Vec<Encoding>],
}

impl<'de> DeserializeSeed<'de> for ResultsSeed<'_> {
    type Value = Vec<StatementResult>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for ResultsSeed<'_> {
    type Value = Vec<StatementResult>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("results")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut results = Vec::new();
        loop {
            let encodings = self
                .encodings
                .get(results.len())
                .map_or(&[][..], Vec::as_slice);
            match seq.next_element_seed(ResultSeed { encodings })? {
                Some(result) => results.push(result),
                None => return Ok(results),
            }
        }
    }
}

/// The decoder of one result. If its first column has the storage classes of the others, that column is removed from
/// the names and types, and the decoder of the rows consumes its values.
struct ResultSeed<'e> {
    encodings: &'e [Encoding],
}

impl<'de> DeserializeSeed<'de> for ResultSeed<'_> {
    type Value = StatementResult;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ResultSeed<'_> {
    type Value = StatementResult;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a result")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut columns: Option<Vec<String>> = None;
        let mut types: Option<Vec<String>> = None;
        let mut values = None;
        let mut rows_affected = None;
        let mut last_insert_id = None;
        let mut error = None;
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::Columns => once(&mut columns, "columns", map.next_value()?)?,
                Key::Types => once(&mut types, "types", map.next_value()?)?,
                Key::Values => once(&mut values, "values", map.next_value::<&RawValue>()?)?,
                // The key is absent if the number is 0.
                Key::RowsAffected => {
                    once(&mut rows_affected, "rows_affected", map.next_value()?)?;
                }
                Key::LastInsertId => {
                    once(&mut last_insert_id, "last_insert_id", map.next_value()?)?;
                }
                Key::Error => once(&mut error, "error", map.next_value()?)?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        match (error, columns) {
            (Some(error), _) => Ok(StatementResult::Failed(error)),
            (None, Some(mut columns)) => {
                let mut types = types.unwrap_or_default();
                if self.encodings.first() == Some(&Encoding::Classes) && !columns.is_empty() {
                    columns.remove(0);
                    types.drain(..types.len().min(1));
                }
                let header = Arc::new(Header { columns, types });
                // The key is absent if there are no rows.
                let values = values.map_or("[]", RawValue::get);
                let rows = header.rows(values, self.encodings);
                rows.map(StatementResult::Rows).map_err(A::Error::custom)
            }
            (None, None) if values.is_some() => Err(A::Error::missing_field("columns")),
            (None, None) => Ok(StatementResult::Executed {
                rows_affected: rows_affected.unwrap_or_default(),
                last_insert_id,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::Value;
    use super::*;

    fn rows(body: &str, encodings: &[Encoding]) -> Rows {
        let mut answer = Answer::parse(body.as_bytes(), &[encodings.to_vec()]).expect("parses");
        match answer.results.remove(0) {
            StatementResult::Rows(rows) => rows,
            other => panic!("no rows: {other:?}"),
        }
    }

    #[test]
    fn numbers_keep_what_sqlite_stores() {
        let body = r#"{"results":[{"columns":["a"],"types":["real"],"values":
            [[9223372036854775807],[-9223372036854775808],[100000000000000000000],[1e+300],[-0],[null],[true],[5e-324]]}]}"#;
        let rows = rows(body, &[]);
        let values: Vec<_> = (0..rows.len()).map(|row| rows.value(row, 0)).collect();
        assert_eq!(
            values,
            [
                Some(Value::Integer(i64::MAX)),
                Some(Value::Integer(i64::MIN)),
                Some(Value::Real(1e20)),
                Some(Value::Real(1e300)),
                Some(Value::Real(-0.0)),
                None,
                Some(Value::Integer(1)),
                Some(Value::Real(5e-324)),
            ]
        );
    }

    #[test]
    fn encoded_values_are_decoded() {
        let body = r#"{"results":[{"columns":["a","b","c","d","e"],"types":["","","","",""],"values":
            [["b00FF","rInf","tC3A9","b","r-Inf"],[null,"r1.5","tFF","b41",7]]}]}"#;
        let encodings = [
            Encoding::TaggedText,
            Encoding::Tagged,
            Encoding::TaggedText,
            Encoding::Tagged,
            Encoding::Tagged,
        ];
        let rows = rows(body, &encodings);
        assert_eq!(rows.value(0, 0), Some(Value::Binary(&[0, 255])));
        assert_eq!(rows.value(0, 1), Some(Value::Real(f64::INFINITY)));
        assert_eq!(rows.value(0, 2), Some(Value::Text("é")));
        assert_eq!(rows.value(0, 3), Some(Value::Binary(&[])));
        assert_eq!(rows.value(0, 4), Some(Value::Real(f64::NEG_INFINITY)));
        assert_eq!(rows.value(1, 0), None);
        assert_eq!(
            rows.value(1, 2),
            Some(Value::Binary(&[255])),
            "no UTF-8, no text"
        );
        assert_eq!(rows.value(1, 4), Some(Value::Integer(7)));
    }

    #[test]
    fn blob_arrays_and_converted_columns() {
        let plain = rows(
            r#"{"results":[{"columns":["a"],"types":["blob"],"values":[[[1,2,255]],[[]]]}]}"#,
            &[],
        );
        assert_eq!(plain.value(0, 0), Some(Value::Binary(&[1, 2, 255])));
        assert_eq!(plain.value(1, 0), Some(Value::Binary(&[])));
        assert!(!plain.may_be_converted());
        let date = |values: &str| {
            let body = format!(
                r#"{{"results":[{{"columns":["n","a"],"types":["integer","datetime"],"values":[{values}]}}]}}"#
            );
            rows(&body, &[]).may_be_converted()
        };
        assert!(date("[1,null],[2,0]"));
        assert!(!date("[1,null],[2,null]"), "NULL is exact");
        assert!(!date(""));
        let text = r#"{"results":[{"columns":["a"],"types":["text"],"values":[["\ufffd"]]}]}"#;
        assert!(rows(text, &[]).may_be_converted() && rows(text, &[]).may_differ());
    }

    #[test]
    fn servers_time() {
        let body = br#"{"results":[{"time":5.0},{"rows_affected":1}],"time":0.00025}"#;
        assert_eq!(server_time(body), Some(Duration::from_micros(250)));
        for body in [
            "",
            "[]",
            "{}",
            r#"{"results":[]}"#,
            r#"{"time":"x"}"#,
            r#"{"time":-1}"#,
        ] {
            assert_eq!(server_time(body.as_bytes()), None, "{body}");
        }
    }

    #[test]
    fn executed_failed_and_top_level_errors() {
        let body = r#"{"results":[{"last_insert_id":1,"rows_affected":2},{},{"error":"no such table: t"}],"time":0.1}"#;
        let answer = Answer::parse(body.as_bytes(), &[]).expect("parses");
        assert_eq!(
            answer.results[0],
            StatementResult::Executed {
                rows_affected: 2,
                last_insert_id: Some(1),
            }
        );
        assert_eq!(answer.results[1], StatementResult::executed(0));
        assert_eq!(answer.first_failure(), Some((2, "no such table: t")));
        let answer = Answer::parse(br#"{"results":[],"error":"stale read"}"#, &[]).expect("parses");
        assert_eq!(answer.error.as_deref(), Some("stale read"));
    }

    #[test]
    fn an_answer_to_several_is_one_to_each() {
        let apart = |body: &str| {
            let answer = Answer::parse(body.as_bytes(), &[]).expect("parses");
            answer.apart(2)
        };
        let each = apart(r#"{"results":[{"error":"a"},{"rows_affected":2}]}"#).expect("two");
        assert_eq!(each[0].first_failure(), Some((0, "a")));
        assert_eq!(each[1].results, [StatementResult::executed(2)]);
        assert_eq!(apart(r#"{"results":[{"error":"a"}]}"#), None);
        assert_eq!(apart(r#"{"results":[{},{},{}]}"#), None);
        let each = apart(r#"{"results":[],"error":"b"}"#).expect("two");
        assert!(each.iter().all(|each| each.error.as_deref() == Some("b")));
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for body in [
            "",
            "{}",
            "[]",
            "<html>",
            r#"{"results":[{"columns":["a"],"values":[[1,2]]}]}"#,
            r#"{"results":[{"columns":["a"],"values":[[1],[1,2]]}]}"#,
            r#"{"results":[{"columns":["a"],"values":[[1]]}"#,
            r#"{"results":[{"columns":["a"],"values":[[{}]]}]}"#,
            r#"{"results":[{"values":[[1]]}]}"#,
            r#"{"results":[{}],"results":[{}]}"#,
            r#"{"results":[{}],"error":"stale read"}"#,
            r#"{"results":[],"error":"stale read","error":"leader not found"}"#,
            r#"{"results":[{"rows_affected":1,"rows_affected":2}]}"#,
            r#"{"results":[{"columns":["a"],"columns":["b"],"values":[[1]]}]}"#,
            r#"{"results":[{"columns":["a"],"values":[[1]],"values":[[2]]}]}"#,
            r#"{"results":[{"columns":["a"],"types":["text"],"types":["real"]}]}"#,
            r#"{"results":[{"error":"a","error":"b"}]}"#,
        ] {
            assert!(Answer::parse(body.as_bytes(), &[]).is_err(), "{body}");
        }
    }

    /// Any truncated answer, or one with any byte changed, is either parsed or an error.
    #[test]
    fn no_answer_panics() {
        let body = br#"{"results":[{"columns":["a","b"],"types":["text",""],"values":[["t41",-1.5e3],[null,[1,2]]]},{"rows_affected":3},{"error":"x"}],"time":0.1}"#;
        let encodings = [vec![Encoding::Tagged, Encoding::Plain]];
        for cut in 0..body.len() {
            let _ = Answer::parse(&body[..cut], &encodings);
            for byte in [b'"', b'[', b']', b'0', b'\\', 0xff] {
                let mut changed = body.to_vec();
                changed[cut] = byte;
                if let Ok(answer) = Answer::parse(&changed, &encodings) {
                    for result in &answer.results {
                        if let StatementResult::Rows(rows) = result {
                            for row in 0..rows.len() {
                                let values =
                                    (0..rows.width()).map(|column| rows.value(row, column));
                                assert!(values.count() <= 2);
                            }
                        }
                    }
                }
            }
        }
    }
}
