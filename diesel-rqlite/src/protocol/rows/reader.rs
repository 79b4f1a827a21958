//! The reading of rows: `[[1,"a"],[2,"b"]]`, whole or as far as they have arrived.
//!
//! A client spends most of its time here when it loads many rows. So [`Reader`] looks at each byte once, and at the end of
//! a text of JSON it knows whether a row is complete. It reads what most values are by itself: NULL, INTEGERs, decimal
//! fractions, and texts. All else is left to serde_json, one value at a time: other numbers, BLOBs, `true`, surrogates,
//! and everything that is not valid.
//!
//! The meaning of a value is decided by [`CellSeed`], whoever has read it.
//!
//! Invariants: what is accepted, and what it means, is the same as with serde_json alone. After a row that has not arrived
//! completely, the rows are as they were before it.

use std::sync::Arc;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, Visitor};
use serde_json::Error;

use super::super::encoding::Encoding;
use super::cell::CellSeed;
use super::{Header, Rows};

/// Returns JSON as a string. Validating it as a whole is faster than validating each of its texts.
pub(in super::super) fn text(json: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(json).map_err(Error::custom)
}

impl Header {
    /// The number of bytes of text to make room for at once, at most. A row or two fit without growing.
    const ROOM: usize = 1024;
    /// The number of rows to make room for at once, at most.
    const ROWS: usize = 4096;

    /// Decodes all rows of an answer with this header, given as `[[…],[…]]`.
    ///
    /// Fails if they are not valid, or not as wide as the header.
    pub(in super::super) fn rows(
        self: &Arc<Self>,
        json: &str,
        encodings: &[Encoding],
    ) -> Result<Rows, Error> {
        let mut reader = Reader::new(json, false);
        let rows = reader.rows(self, encodings)?;
        match reader.passes(b']') && reader.next().is_none() {
            true => Ok(rows.completed(encodings, true)),
            false => Err(Error::custom("rows that do not end")),
        }
    }

    /// Decodes the rows at the beginning of `json`, up to the first that has not arrived completely.
    ///
    /// `is_open` tells that rows before them have been read, so that a comma precedes the first. Returns the rows, and
    /// what is left of `json`. A single row is not taken for the only one of the answer, because others may follow.
    pub(in super::super) fn first_rows<'j>(
        self: &Arc<Self>,
        json: &'j str,
        is_open: bool,
        encodings: &[Encoding],
    ) -> Result<(Rows, &'j str), Error> {
        let mut reader = Reader::new(json, is_open);
        let rows = reader.rows(self, encodings)?;
        Ok((rows.completed(encodings, false), &json[reader.at..]))
    }
}

/// The reason to stop in the middle of a row.
enum Stop {
    /// The JSON ends here. The rest of the row may be still to come.
    Cut,
    Invalid(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        match error.is_eof() {
            true => Stop::Cut,
            false => Stop::Invalid(error),
        }
    }
}

/// A position in the JSON of rows.
struct Reader<'j> {
    json: &'j str,
    /// The position of the next byte. It is at the border of a character.
    at: usize,
    /// Set after the bracket before the first row.
    is_open: bool,
    /// The last text that had escapes, without them.
    unescaped: String,
}

impl<'j> Reader<'j> {
    fn new(json: &'j str, is_open: bool) -> Self {
        Reader {
            json,
            at: 0,
            is_open,
            unescaped: String::new(),
        }
    }

    /// Reads rows up to the end of all of them, or up to the first that has not arrived completely. Then the position is
    /// before the bracket that ends them, or before the comma or bracket that precedes that row.
    fn rows(&mut self, header: &Arc<Header>, encodings: &[Encoding]) -> Result<Rows, Error> {
        let room = self.json.len().min(Header::ROOM);
        let mut rows = Rows::with_room(Arc::clone(header), room);
        loop {
            let at = self.at;
            let before = rows.mark();
            match self.next_row(&mut rows, encodings) {
                Ok(true) => {
                    rows.end_row();
                    if rows.len() == 1 {
                        // Most rows are about as long as the first.
                        let left = self.json.len() - self.at;
                        rows.reserve((left / self.at).min(Header::ROWS));
                    }
                }
                Ok(false) => return Ok(rows),
                Err(Stop::Cut) => {
                    self.at = at;
                    rows.undo(before);
                    return Ok(rows);
                }
                Err(Stop::Invalid(error)) => return Err(error),
            }
        }
    }

    /// Reads what precedes a row, and the row. Returns `false` at the end of all rows.
    fn next_row(&mut self, rows: &mut Rows, encodings: &[Encoding]) -> Result<bool, Stop> {
        match (self.next().ok_or(Stop::Cut)?, self.is_open) {
            (b']', true) => return Ok(false),
            (b',', true) => self.at += 1,
            (b'[', false) => {
                self.at += 1;
                self.is_open = true;
                if self.next().ok_or(Stop::Cut)? == b']' {
                    return Ok(false);
                }
            }
            _ => return Err(invalid("not a list of rows")),
        }
        self.row(rows, encodings)?;
        Ok(true)
    }

    /// Reads one row. Appends a cell for each value, except for a value of [`Encoding::Classes`], which is kept for the
    /// values that follow it.
    ///
    /// Columns beyond the end of `encodings` are plain.
    fn row(&mut self, rows: &mut Rows, encodings: &[Encoding]) -> Result<(), Stop> {
        let mut encodings = encodings.iter();
        let mut classes = 0..;
        let start = rows.cells.len();
        self.pass(b'[')?;
        let mut is_more = self.next().ok_or(Stop::Cut)? != b']';
        while is_more {
            let mut encoding = encodings.next().copied().unwrap_or(Encoding::Plain);
            if encoding == Encoding::Classed {
                encoding = rows.by_class(classes.next().unwrap_or_default());
            }
            let column = rows.cells.len() - start;
            self.value(CellSeed::new(rows, column, encoding))?;
            is_more = match self.next().ok_or(Stop::Cut)? {
                b',' => {
                    self.at += 1;
                    true
                }
                b']' => false,
                _ => return Err(invalid("neither a value nor the end of a row")),
            };
        }
        self.at += 1;
        match rows.cells.len() - start == rows.width() {
            true => Ok(()),
            false => Err(invalid("not a value per column")),
        }
    }

    /// Reads one value.
    fn value(&mut self, cell: CellSeed<'_>) -> Result<(), Stop> {
        let value = match self.next().ok_or(Stop::Cut)? {
            b'"' => self.text().map(|(text, end)| (Read::Text(text), end)),
            b'-' | b'0'..=b'9' => self.number(),
            b'n' if self.rest().starts_with("null") => Some((Read::Null, self.at + 4)),
            _ => None,
        };
        let Some((value, end)) = value else {
            return self.value_by_serde(cell);
        };
        match value {
            Read::Null => cell.visit_unit::<Error>(),
            Read::Integer(value) => cell.visit_i64(value),
            Read::Real(value) => cell.visit_f64(value),
            Read::Text(text) => cell.visit_str(text),
        }?;
        self.at = end;
        Ok(())
    }

    /// Reads one value, whatever it is.
    fn value_by_serde(&mut self, cell: CellSeed<'_>) -> Result<(), Stop> {
        let mut json = serde_json::Deserializer::from_str(self.rest());
        cell.deserialize(&mut json)?;
        self.at += json.into_iter::<IgnoredAny>().byte_offset();
        Ok(())
    }

    /// Returns a number, and the position behind it. Returns `None` unless it is an INTEGER or a decimal fraction as rqlite
    /// writes most of them, and complete.
    fn number(&self) -> Option<(Read<'j>, usize)> {
        // So many digits are an i64 in any case.
        const DIGITS: usize = 18;
        let bytes = &self.json.as_bytes()[self.at..];
        let is_negative = bytes[0] == b'-';
        let start = usize::from(is_negative);
        let (whole, count) = digits(&bytes[start..]);
        // No number begins with a superfluous zero. -0 is a REAL.
        let is_zero = bytes.get(start) == Some(&b'0');
        if count == 0 || count > DIGITS || (is_zero && count > 1) {
            return None;
        }
        let end = start + count;
        match bytes.get(end)? {
            b',' | b']' if !(is_zero && is_negative) => {
                let value = if is_negative { -whole } else { whole };
                Some((Read::Integer(value), self.at + end))
            }
            b'.' => {
                let (_, fraction) = digits(&bytes[end + 1..]);
                let end = end + 1 + fraction;
                let is_complete = fraction > 0 && matches!(bytes.get(end)?, b',' | b']');
                let number = self.rest().get(..end).filter(|_| is_complete)?;
                Some((Read::Real(number.parse().ok()?), self.at + end))
            }
            _ => None,
        }
    }

    /// Returns a text, and the position behind it. Returns `None` if it is not complete, not valid, or has a surrogate.
    fn text(&mut self) -> Option<(&str, usize)> {
        self.unescaped.clear();
        let mut start = self.at + 1;
        loop {
            let rest = &self.json[start..];
            let length = memchr::memchr2(b'"', b'\\', rest.as_bytes())?;
            let (plain, rest) = rest.split_at(length);
            // Without a way out of the loop, the compiler looks at many bytes at once.
            if plain.bytes().fold(false, |any, byte| any | (byte < b' ')) {
                return None;
            }
            start += length + 1;
            let is_end = rest.starts_with('"');
            if is_end && self.unescaped.is_empty() {
                return Some((plain, start));
            }
            self.unescaped.push_str(plain);
            if is_end {
                return Some((&self.unescaped, start));
            }
            let (character, length) = escaped(&rest[1..])?;
            self.unescaped.push(character);
            start += length;
        }
    }

    /// Returns the next byte that is no white space, without passing it.
    fn next(&mut self) -> Option<u8> {
        loop {
            match self.json.as_bytes().get(self.at).copied() {
                Some(next) if next > b' ' => return Some(next),
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                other => return other,
            }
        }
    }

    /// Passes the next byte if it is this one.
    fn passes(&mut self, byte: u8) -> bool {
        let is_it = self.next() == Some(byte);
        self.at += usize::from(is_it);
        is_it
    }

    /// Passes the next byte, which must be this one.
    fn pass(&mut self, byte: u8) -> Result<(), Stop> {
        match self.next().ok_or(Stop::Cut)? == byte {
            true => self.at += 1,
            false => return Err(invalid("not a row")),
        }
        Ok(())
    }

    fn rest(&self) -> &'j str {
        &self.json[self.at..]
    }
}

/// A value that was read without serde_json.
enum Read<'j> {
    Null,
    Integer(i64),
    Real(f64),
    Text(&'j str),
}

/// Returns the number that the digits at the beginning are, and how many there are. The number of many digits is wrong.
fn digits(bytes: &[u8]) -> (i64, usize) {
    let mut number = 0_i64;
    for (count, byte) in bytes.iter().enumerate() {
        match byte {
            b'0'..=b'9' => {
                number = (number.wrapping_mul(10)).wrapping_add(i64::from(byte - b'0'));
            }
            _ => return (number, count),
        }
    }
    (number, bytes.len())
}

/// Returns the character that an escape stands for, without its backslash, and the length of the escape. Returns `None`
/// if it is not complete, not valid, or half a character.
fn escaped(escape: &str) -> Option<(char, usize)> {
    let character = match escape.as_bytes().first()? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let digits = escape.get(1..5)?;
            // `from_str_radix` would accept a sign.
            let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            let code = u32::from_str_radix(digits, 16).ok().filter(|_| is_hex)?;
            return Some((char::from_u32(code)?, 5));
        }
        _ => return None,
    };
    Some((character, 1))
}

fn invalid(message: &str) -> Stop {
    Stop::Invalid(Error::custom(message))
}

#[cfg(test)]
mod tests {
    use serde_json::Value as Json;

    use super::super::{Value, Wanted};
    use super::*;

    const WIDTH: usize = 3;

    fn header() -> Arc<Header> {
        Arc::new(Header {
            columns: vec![String::new(); WIDTH],
            types: Vec::new(),
        })
    }

    /// Returns the values as serde_json alone reads them. `None` if they are no rows.
    fn expected(json: &str) -> Option<Vec<Vec<String>>> {
        let value = |value: &Json| -> Option<String> {
            let bytes: Vec<u8>;
            let value = match value {
                Json::Null => None,
                Json::Bool(value) => Some(Value::Integer((*value).into())),
                Json::Number(number) => Some(match number.as_i64() {
                    Some(value) => Value::Integer(value),
                    None => Value::Real(number.as_f64()?),
                }),
                Json::String(text) => Some(Value::Text(text)),
                Json::Array(items) => {
                    let byte = |item: &Json| u8::try_from(item.as_u64()?).ok();
                    bytes = items.iter().map(byte).collect::<Option<_>>()?;
                    Some(Value::Binary(&bytes))
                }
                Json::Object(_) => return None,
            };
            Some(format!("{value:?}"))
        };
        let row = |row: &Json| {
            let row = row.as_array().filter(|row| row.len() == WIDTH)?;
            row.iter().map(value).collect()
        };
        let rows: Json = serde_json::from_str(json).ok()?;
        rows.as_array()?.iter().map(row).collect()
    }

    fn values(rows: &Rows) -> Vec<Vec<String>> {
        let value = |row, column| format!("{:?}", rows.value(row, column));
        let row = |row| (0..WIDTH).map(|column| value(row, column)).collect();
        (0..rows.len()).map(row).collect()
    }

    /// Texts of which rows are made: values that are read here, values that are left to serde_json, and what is no JSON.
    const VALUES: &[&str] = &[
        "null",
        "0",
        "-0",
        "7",
        "-12",
        "123456789012345678",
        "-999999999999999999",
        "1234567890123456789",
        "9223372036854775807",
        "-9223372036854775808",
        "9223372036854775808",
        "100000000000000000000",
        "0.0",
        "-0.0",
        "0.1",
        "-3.25",
        "2888.7799999999997",
        "5e-324",
        "1E5",
        "1.5e+300",
        "179769313486231570000.5",
        "0.30000000000000004",
        "\"\"",
        "\"a\"",
        "\"it's\"",
        "\"\u{e9}\u{1f600}\"",
        r#""\"""#,
        r#""\\""#,
        r#""a\\\"]b""#,
        r#""\n\r\t\b\f\/""#,
        r#""\u003cb\u003e &""#,
        r#""x\u0000y""#,
        r#""\ud83d\ude00""#,
        r#""[1,\"2\"],""#,
        "true",
        "false",
        "[]",
        "[0,255]",
        " 1",
        "2 ",
        "\n\"t\"",
        "",
        "01",
        "-",
        "-01",
        "+1",
        "1.",
        ".5",
        "1.e5",
        "1e",
        "1e999",
        "0x1",
        "nul",
        "nulll",
        "\"",
        r#""\x""#,
        r#""\u12""#,
        r#""\u+123""#,
        r#""\ud800""#,
        r#""\ude00\ud83d""#,
        "\"\t\"",
        "\"a\u{0}\"",
        "[256]",
        "[-1]",
        "[1,]",
        "[[1]]",
        "{}",
        "{\"a\":1}",
        "]",
        "[",
        ",",
        "NaN",
    ];

    /// Calls `check` with rows made of all values, in all places.
    fn each(mut check: impl FnMut(&str)) {
        for value in VALUES {
            for json in [
                format!("[[{value},1,2]]"),
                format!("[[1,{value},2],[3,4,5]]"),
                format!("[[1,2,{value}]]"),
                format!("[[\"a\",null,{value}],[{value},{value},\"b\"]]"),
                format!("[[1,2,3],{value}]"),
                format!("[{value}]"),
                format!("[[1,2,3]{value}]"),
                format!("[[1,2,3]]{value}"),
                format!("{value}[[1,2,3]]"),
                format!("[ [ 1 , {value} , 2 ] , [ 3 , 4 , 5 ] ] "),
                format!("[[{value},{value}],[1,2,3]]"),
                format!("[[1,2,3,{value}]]"),
                format!("[[1,2,{value}"),
                (*value).to_owned(),
            ] {
                check(&json);
            }
        }
    }

    #[test]
    fn rows_are_what_serde_json_makes_of_them() {
        let (mut good, mut bad) = (0, 0);
        each(|json| {
            let found = header().rows(json, &[]).ok();
            let expected = expected(json);
            assert_eq!(found.as_ref().map(values), expected, "{json}");
            *(if found.is_some() { &mut good } else { &mut bad }) += 1;
        });
        assert!(good > 200 && bad > 200, "{good}, {bad}");
    }

    #[test]
    fn rows_with_changed_bytes_are_what_serde_json_makes_of_them() {
        const CHANGES: usize = 20_000;
        let mut all = Vec::new();
        each(|json| all.extend(expected(json).map(|_| json.to_owned())));
        // A linear congruential generator. Its high bits are random enough.
        let mut state = 1_u64;
        let mut below = |limit: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            usize::try_from(state >> 33).expect("has 31 bits") % limit
        };
        let mut good = 0;
        for _ in 0..CHANGES {
            let mut json = all[below(all.len())].clone().into_bytes();
            for _ in 0..=below(3) {
                let place = below(json.len() + 1);
                let bytes = b"[],\"\\0123456789.-+eEu \t\0nltf\xc3\xa9";
                let byte = bytes[below(bytes.len())];
                match below(3) {
                    0 => json.insert(place, byte),
                    1 if place < json.len() => json[place] = byte,
                    _ if place < json.len() => drop(json.remove(place)),
                    _ => json.truncate(place / 2),
                }
            }
            let Ok(json) = String::from_utf8(json) else {
                continue;
            };
            let found = header().rows(&json, &[]).ok();
            good += usize::from(found.is_some());
            assert_eq!(found.as_ref().map(values), expected(&json), "{json}");
        }
        assert!(good > CHANGES / 20, "{good}");
    }

    #[test]
    fn rows_that_have_arrived_are_read_wherever_the_rest_begins() {
        each(|json| {
            let Some(expected) = expected(json) else {
                return;
            };
            for (cut, _) in json.char_indices() {
                let (first, rest) = header()
                    .first_rows(&json[..cut], false, &[])
                    .expect("is valid up to there");
                let is_open = !first.is_empty();
                let rest = [rest, &json[cut..]].concat();
                let (second, _) = header().first_rows(&rest, is_open, &[]).expect("is valid");
                let found = [values(&first), values(&second)].concat();
                assert_eq!(found, expected, "{json}, {cut}");
            }
        });
    }

    #[test]
    fn whole_numbers_are_decided_when_all_rows_are_there() {
        let real = Arc::new(Header {
            columns: vec![String::new()],
            types: vec!["real".to_owned()],
        });
        let kinds = [Encoding::Stored(Wanted::AnyOfExpression)];
        let only = real.rows("[[1]]", &kinds).expect("is valid");
        assert_eq!(only.value(0, 0), Some(Value::Real(1.0)));
        assert!(!only.may_differ());
        let first = real.first_rows("[[1]", false, &kinds).expect("is valid").0;
        assert!(first.may_differ(), "another row may follow");
    }

    #[test]
    fn row_that_has_not_arrived_leaves_no_trace() {
        let kinds = [Encoding::Stored(Wanted::AnyOfColumn); WIDTH];
        let whole = r#"[["a",1.5,null],["2020-01-01T00:00:00Z",9007199254740993000,"\ufffd"]]"#;
        let row = whole.find(",[\"2").expect("is there");
        for (cut, _) in whole.char_indices().skip(row) {
            let (rows, rest) = header()
                .first_rows(&whole[..cut], false, &kinds)
                .expect("is valid");
            let is_whole = cut >= whole.len() - 1;
            assert_eq!(rows.may_differ(), is_whole, "{cut}");
            assert_eq!(rows.len(), 1 + usize::from(is_whole), "{cut}");
            assert!(
                is_whole || rest.is_empty() || rest.starts_with(','),
                "{cut}"
            );
        }
    }
}
