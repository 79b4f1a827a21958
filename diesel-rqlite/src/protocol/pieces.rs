//! The answer to one query, parsed while it is received. The first rows can be used before the last one has arrived.
//!
//! [`Answer`] parses the parts before and after the rows. This module finds the end of each row.
//!
//! The flow:
//!
//! 1. [`Pieces::begin`] takes the first bytes, which must contain the names of the columns.
//! 2. The caller appends bytes to `Pieces::bytes` and calls [`Pieces::rows`], which returns the rows that are
//!    complete.
//! 3. When no more bytes come, [`Pieces::end`] parses what surrounded the rows. Only then is the answer known to be
//!    one.
//!
//! Invariants: the bytes of each row are decoded once, and then forgotten, so that memory is bounded by one piece and
//! one row. An answer that breaks off or ends in an error is an error at the latest in `end`, after its rows were
//! returned: the caller must expect that.

use serde::de::Error as _;
use serde_json::Error;

use super::encoding::Encoding;
use super::response::{Answer, StatementResult};
use super::rows::Rows;

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
    /// The bytes that were not parsed yet. The first byte precedes a row: it is a bracket, or the comma after the
    /// previous row.
    bytes: Vec<u8>,
    scanner: Scanner,
}

/// A scanner that finds the ends of rows.
///
/// It knows of JSON only texts and brackets. Whether what is between them is valid is left to the decoder. The array of
/// all rows is not counted as open, so a comma or a bracket at depth 0 ends a row.
#[derive(Debug, Default)]
struct Scanner {
    /// The position of the next byte to scan.
    at: usize,
    /// The number of open brackets.
    depth: usize,
    is_in_text: bool,
    /// The position after the last complete row.
    row_end: Option<usize>,
    /// The position after all rows.
    end: Option<usize>,
}

impl Scanner {
    /// Advances to the end of the bytes, or to the end of the rows. The bytes up to `at` are not looked at again.
    fn scan(&mut self, bytes: &[u8]) {
        while self.end.is_none()
            && let Some(rest) = bytes.get(self.at..)
            && !rest.is_empty()
        {
            let skipped = match self.is_in_text {
                true => self.text(rest),
                false => Some(self.values(rest)),
            };
            match skipped {
                Some(skipped) => self.at += skipped,
                // The trailing backslash is scanned again, together with the byte that follows it.
                None => return,
            }
        }
    }

    /// Advances to the end of a text. Returns `None` if more bytes are needed.
    fn text(&mut self, rest: &[u8]) -> Option<usize> {
        match memchr::memchr2(b'"', b'\\', rest) {
            None => Some(rest.len()),
            Some(at) if rest[at] == b'"' => {
                self.is_in_text = false;
                Some(at + 1)
            }
            Some(at) => {
                self.at += at;
                (rest.len() > at + 1).then_some(2)
            }
        }
    }

    /// Advances to the next text, to a bracket in a row, or past the bytes between rows.
    ///
    /// Returns the number of bytes that were scanned.
    fn values(&mut self, rest: &[u8]) -> usize {
        if self.depth > 0 {
            let Some(place) = memchr::memchr3(b'"', b'[', b']', rest) else {
                return rest.len();
            };
            match rest[place] {
                b'"' => self.is_in_text = true,
                b'[' => self.depth += 1,
                _ => self.depth -= 1,
            }
            return place + 1;
        }
        for (place, byte) in rest.iter().enumerate() {
            match byte {
                b'[' => self.depth = 1,
                b'"' => self.is_in_text = true,
                b',' => self.row_end = Some(self.at + place),
                b']' => {
                    self.row_end = Some(self.at + place);
                    self.end = self.row_end;
                    return place;
                }
                _ => {}
            }
            if self.depth > 0 || self.is_in_text {
                return place + 1;
            }
        }
        rest.len()
    }

    /// Adjusts the positions after the first `count` bytes were removed.
    fn forget(&mut self, count: usize) {
        self.at -= count;
        self.row_end = None;
        self.end = self.end.map(|end| end - count);
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
            scanner: Scanner {
                at: 1,
                ..Scanner::default()
            },
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
        self.scanner.scan(&self.bytes);
        let Some(end) = self.scanner.row_end else {
            return Ok(self.header.clone());
        };
        let is_last = self.scanner.end.is_some();
        let is_first = self.bytes[0] == b'[';
        self.bytes[0] = b'[';
        let behind = std::mem::replace(&mut self.bytes[end], b']');
        let header = self.header.header();
        let rows = header.rows(&self.bytes[..=end], &self.encodings, false)?;
        self.bytes[end] = behind;
        if rows.is_empty() && !(is_first && is_last) {
            return Err(Error::custom("a comma without a row"));
        }
        self.bytes.drain(..end);
        self.scanner.forget(end);
        if is_last {
            // The remaining bytes are the end of the answer.
            self.scanner.at = 0;
        }
        Ok(rows)
    }

    /// Returns an error unless the answer is complete and valid. It is called when no more bytes arrive.
    ///
    /// It parses the answer with an empty list of rows in place of those that were returned.
    pub(crate) fn end(&self) -> Result<(), Error> {
        if self.scanner.end.is_none() {
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
