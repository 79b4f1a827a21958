//! The answer to one query, parsed while it is received. The first rows can be used before the last one has arrived.
//!
//! [`Answer`] parses the parts before and after the rows. The rows are read as far as they have arrived.
//!
//! The flow:
//!
//! 1. [`Pieces::begin`] takes the first bytes, which must contain the names of the columns.
//! 2. The caller appends bytes to `Pieces::bytes` and calls [`Pieces::rows`], which returns the rows that are
//!    complete.
//! 3. When no more bytes come, [`Pieces::end`] parses what surrounded the rows. Only then is the answer known to be
//!    one.
//!
//! Invariants: the bytes of a row are forgotten once it is decoded, so that memory is bounded by one piece and one row. A
//! row that arrives in many pieces is read twice at most. An answer that breaks off or ends in an error is an error at the
//! latest in `end`, after its rows were returned: the caller must expect that.

use serde::de::Error as _;
use serde_json::Error;

use super::encoding::Encoding;
use super::response::{Answer, StatementResult};
use super::rows::{Rows, text};

/// The text before the rows. See the JSON of rqlite's `encoding.Rows`: names and types come first.
const BEFORE_ROWS: &[u8] = br#""values":["#;
/// The end of an answer that ends directly after its rows.
const END: &[u8] = b"]}]}";

/// An answer that was received in part.
///
/// After an error, nothing but dropping it makes sense.
#[derive(Debug)]
pub(crate) struct Pieces {
    encodings: Vec<Encoding>,
    /// The answer up to the first row.
    head: Vec<u8>,
    /// The columns of the answer, without rows.
    header: Rows,
    /// The bytes that were not parsed yet. They begin before a row: with a bracket, or with the comma after the previous
    /// row.
    bytes: Vec<u8>,
    /// Set after the first row.
    is_open: bool,
    /// Set after the last row. The bytes are the end of the answer then.
    has_ended: bool,
    /// The scanner of the row at the beginning of the bytes, if that was found not to be complete.
    scanner: Option<Scanner>,
}

/// A scanner for the end of a row that has not arrived completely. It looks at each byte once, however long the row is and
/// in whatever pieces it comes.
///
/// It knows of JSON only texts and brackets. Whether what is between them is valid is left to the reader of the rows.
#[derive(Debug, Default)]
struct Scanner {
    /// The position of the next byte to scan.
    at: usize,
    /// The number of open brackets.
    depth: usize,
    is_in_text: bool,
}

impl Scanner {
    /// Advances to the end of the row, or to the end of all rows. Returns `false` if that has not arrived.
    fn finds_end(&mut self, bytes: &[u8]) -> bool {
        while let Some(rest) = bytes.get(self.at..)
            && !rest.is_empty()
        {
            if self.is_in_text {
                match memchr::memchr2(b'"', b'\\', rest) {
                    None => self.at = bytes.len(),
                    Some(place) if rest[place] == b'"' => {
                        self.is_in_text = false;
                        self.at += place + 1;
                    }
                    // A backslash and the byte after it, even if that has not arrived.
                    Some(place) => self.at += place + 2,
                }
                continue;
            }
            let Some(place) = memchr::memchr3(b'"', b'[', b']', rest) else {
                self.at = bytes.len();
                return false;
            };
            match rest[place] {
                b'"' => self.is_in_text = true,
                b'[' => self.depth += 1,
                _ if self.depth <= 1 => return true,
                _ => self.depth -= 1,
            }
            self.at += place + 1;
        }
        false
    }
}

impl Pieces {
    /// Begins to parse an answer. Returns `None` if the columns are not in the first bytes, or if the answer has no
    /// rows.
    ///
    /// If it returns `None`, the caller waits for the whole answer and parses that. `encodings` are those of the
    /// columns.
    pub(crate) fn begin(first: &[u8], encodings: &[Encoding]) -> Option<Self> {
        let end = memchr::memmem::find(first, BEFORE_ROWS)? + BEFORE_ROWS.len();
        let (head, rest) = first.split_at_checked(end)?;
        let header = [head, END].concat();
        let header = match only_result(&header, encodings)? {
            StatementResult::Rows(header) => header,
            _ => return None,
        };
        let mut bytes = Vec::with_capacity(rest.len() + 1);
        bytes.push(b'[');
        bytes.extend_from_slice(rest);
        Some(Pieces {
            encodings: encodings.to_vec(),
            head: head.to_vec(),
            header,
            bytes,
            is_open: false,
            has_ended: false,
            scanner: None,
        })
    }

    /// Returns the buffer to which the next bytes are appended.
    ///
    /// Bytes may only be appended.
    pub(crate) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Returns the rows that have arrived since the last call.
    ///
    /// There may be none. The result has the columns of the answer in any case, and the doubtful values of these rows
    /// only. A number without a fraction is doubtful here if its type is not known and that of its column does not
    /// decide. Fails if the rows are not valid.
    pub(crate) fn rows(&mut self) -> Result<Rows, Error> {
        let is_cut = |scanner: &mut Scanner| !scanner.finds_end(&self.bytes);
        if self.has_ended || self.scanner.as_mut().is_some_and(is_cut) {
            return Ok(self.header.clone());
        }
        let json = arrived(&self.bytes)?;
        let header = self.header.header();
        let (rows, rest) = header.first_rows(json, self.is_open, &self.encodings)?;
        self.is_open |= !rows.is_empty();
        let read = json.len() - rest.len();
        self.has_ended = rest.starts_with(']');
        self.bytes.drain(..read);
        // The bracket before the first row is none of a row.
        let at = usize::from(!self.is_open);
        self.scanner = (!self.has_ended).then(|| Scanner {
            at,
            ..Scanner::default()
        });
        Ok(rows)
    }

    /// Returns an error unless the answer is complete and valid. It is called when no more bytes arrive.
    ///
    /// It parses the answer with an empty list of rows in place of those that were returned.
    pub(crate) fn end(&self) -> Result<(), Error> {
        if !self.has_ended {
            return Err(Error::custom("the answer ends before its last row"));
        }
        let frame = [&self.head[..], &self.bytes].concat();
        let answer = Answer::parse(&frame, std::slice::from_ref(&self.encodings))?;
        match (answer.error, &answer.results[..]) {
            (None, [StatementResult::Rows(_)]) => Ok(()),
            (Some(error), _) => Err(Error::custom(error)),
            (None, [StatementResult::Failed(error)]) => Err(Error::custom(error)),
            _ => Err(Error::custom("not the answer to one query")),
        }
    }
}

/// Returns the bytes as a string, without a character at the end that has not arrived completely.
fn arrived(bytes: &[u8]) -> Result<&str, Error> {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => text(&bytes[..error.valid_up_to()]),
        _ => text(bytes),
    }
}

/// Returns the result of an answer that has exactly one, and no error.
fn only_result(answer: &[u8], encodings: &[Encoding]) -> Option<StatementResult> {
    let encodings = [encodings.to_vec()];
    let mut answer = Answer::parse(answer, &encodings).ok()?;
    let is_one = answer.error.is_none() && answer.results.len() == 1;
    answer.results.pop().filter(|_| is_one)
}

#[cfg(test)]
mod tests {
    use super::super::rows::Value;
    use super::*;

    const ANSWER: &str = r#"{"results":[{"columns":["a \"values\":[","b"],"types":["text","blob"],"values":[["x\\\"],[\u00e9",[1,2]],[null,[]],["],[",3.5],["\\",[[]]]]}],"time":0.1}"#;

    /// Returns all rows of an answer as texts. The answer arrives `step` bytes at a time, after `first` ones.
    fn read(answer: &str, first: usize, step: usize) -> Result<Vec<String>, Error> {
        let bytes = answer.as_bytes();
        let (first, rest) = bytes.split_at(first.min(bytes.len()));
        let mut pieces = Pieces::begin(first, &[]).ok_or_else(|| Error::custom("no header"))?;
        let mut all = Vec::new();
        let mut take = |pieces: &mut Pieces| -> Result<(), Error> {
            let rows = pieces.rows()?;
            for row in 0..rows.len() {
                let values: Vec<_> = (0..rows.width()).map(|at| rows.value(row, at)).collect();
                all.push(format!("{values:?}"));
            }
            Ok(())
        };
        take(&mut pieces)?;
        for piece in rest.chunks(step) {
            pieces.bytes().extend_from_slice(piece);
            take(&mut pieces)?;
        }
        pieces.end()?;
        Ok(all)
    }

    #[test]
    fn rows_are_the_same_however_they_come() {
        let answer = ANSWER.replace("[[]]", "[7]");
        let whole = match only_result(answer.as_bytes(), &[]) {
            Some(StatementResult::Rows(rows)) => rows,
            other => panic!("{other:?}"),
        };
        assert_eq!(whole.value(0, 0), Some(Value::Text("x\\\"],[é")));
        let all: Vec<_> = (0..whole.len())
            .map(|row| format!("{:?}", [whole.value(row, 0), whole.value(row, 1)]))
            .collect();
        assert_eq!(all.len(), 4);
        let head = answer.find("[[").expect("has rows");
        for first in head + 1..=answer.len() {
            for step in [1, 2, 3, 7, 1000] {
                assert_eq!(
                    read(&answer, first, step).ok().as_ref(),
                    Some(&all),
                    "{first}, {step}"
                );
            }
        }
    }

    #[test]
    fn end_of_a_row_is_found_when_it_arrives() {
        for (at, row) in [
            (0, r#",["a\"]\\",[1,[2]],"[]\\\"[","é",null]"#),
            (0, " , [1]"),
            (0, ",[]"),
            (0, "]"),
            (1, "[[]"),
            (1, "[]"),
            (1, r#"[["]"]"#),
        ] {
            for step in [1, 2, 5, 100] {
                let mut scanner = Scanner {
                    at,
                    ..Scanner::default()
                };
                let mut bytes = Vec::new();
                for piece in row.as_bytes().chunks(step) {
                    assert!(!scanner.finds_end(&bytes), "{row}, {step}");
                    bytes.extend_from_slice(piece);
                }
                assert!(scanner.finds_end(&bytes), "{row}, {step}");
            }
        }
    }

    #[test]
    fn row_is_returned_when_its_last_byte_arrives() {
        let rows = r#"[[1,"]"],[2,null]]}]}"#;
        let head = r#"{"results":[{"columns":["a","b"],"types":["integer","text"],"values":"#;
        let answer = [head, rows].concat();
        for first in [head.len() + 1, head.len() + 4] {
            let (first, rest) = answer.as_bytes().split_at(first);
            let mut pieces = Pieces::begin(first, &[]).expect("has columns");
            let mut ends = Vec::new();
            assert!(pieces.rows().is_ok_and(|rows| rows.is_empty()));
            for (place, byte) in rest.iter().enumerate() {
                pieces.bytes().push(*byte);
                let arrived = pieces.rows().expect("is valid").len();
                ends.extend(vec![first.len() + place - head.len(); arrived]);
            }
            assert_eq!(ends, [7, 16]);
        }
    }

    #[test]
    fn what_turns_bad_is_an_error() {
        let good =
            r#"{"results":[{"columns":["a"],"types":["text"],"values":[[1],[2]]}],"time":0.1}"#;
        assert_eq!(read(good, 60, 5).ok().map(|rows| rows.len()), Some(2));
        let head = good.find("[[").expect("has rows") + 1;
        for cut in head..good.len() {
            assert!(read(&good[..cut], head, 5).is_err(), "{cut}");
        }
        for bad in [
            r#"[1],[2]]}],"error":"leader not found"}"#,
            r#"[1],[2]],"error":"interrupted"}]}"#,
            r#"[1],[2]]},{"rows_affected":1}]}"#,
            r#"[1],[2]],"values":[[3]]}]}"#,
            r#"[1],[2],]}]}"#,
            r#"[1],,[2]]}]}"#,
            r#",[1]]}]}"#,
            r#"[1],[2,3]]}]}"#,
            r#"[1],2]}]}"#,
            r#"[1]}]]}"#,
            r#"[1]]}]} x"#,
            r#"[{}]]}]}"#,
        ] {
            let answer = format!("{}{bad}", &good[..head]);
            for step in [1, 4, 1000] {
                assert!(read(&answer, head, step).is_err(), "{answer}, {step}");
            }
        }
        let none = format!("{}]}}]}}", &good[..head]);
        assert_eq!(read(&none, head, 2).ok().map(|rows| rows.len()), Some(0));
    }

    #[test]
    fn what_has_no_rows_is_not_begun() {
        for answer in [
            "",
            r#"{"results":[{"columns":["a"],"types":["text"]}]}"#,
            r#"{"results":[{"error":"no such table: t"}]}"#,
            r#"{"results":[],"error":"leader not found"}"#,
            r#"{"results":[{"values":[[1]],"columns":["a"]}]}"#,
            r#"{"results":[{"rows_affected":1},{"columns":["a"],"values":[[1]]}]}"#,
        ] {
            assert!(Pieces::begin(answer.as_bytes(), &[]).is_none(), "{answer}");
        }
    }
}
