//! JSON. `Json` is text. `Jsonb` is SQLite's binary form, which the server makes by `jsonb(?)`.

use diesel::deserialize::{self, FromSql};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{Json, Jsonb};
use serde_json::Value as Document;

use crate::backend::Rqlite;
use crate::bind_collector::{Bind, RqliteBindValue};
use crate::protocol::rows::Value;
use crate::value::RqliteValue;

impl FromSql<Json, Rqlite> for Document {
    fn from_sql(mut value: RqliteValue<'_>) -> deserialize::Result<Self> {
        Ok(serde_json::from_str(value.read_text()?)?)
    }
}

impl ToSql<Json, Rqlite> for Document {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Rqlite>) -> serialize::Result {
        out.set_value(serde_json::to_string(self)?);
        Ok(IsNull::No)
    }
}

impl FromSql<Jsonb, Rqlite> for Document {
    /// Reads text as JSON, and a BLOB as JSONB.
    fn from_sql(mut value: RqliteValue<'_>) -> deserialize::Result<Self> {
        let document = match value.value() {
            Value::Binary(bytes) => Element::read(bytes, 0).filter(|(_, rest)| rest.is_empty()),
            _ => return Ok(serde_json::from_str(value.read_text()?)?),
        };
        match document {
            Some((document, _)) => Ok(document),
            None => Err(value.no("JSONB")),
        }
    }
}

impl ToSql<Jsonb, Rqlite> for Document {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Rqlite>) -> serialize::Result {
        out.set_value(RqliteBindValue {
            value: Bind::Jsonb(serde_json::to_string(self)?),
            options: None,
        });
        Ok(IsNull::No)
    }
}

/// The depth to which serde_json reads JSON. A deeper document could overflow the stack.
const MAX_DEPTH: usize = 127;

/// A reader of SQLite's JSONB. Each element is a header and a payload. The header has the type in its low four bits,
/// and the size of the payload in its high four bits or in the following bytes. See <https://sqlite.org/jsonb.html>.
struct Element;

impl Element {
    /// Reads the first element of the bytes, and returns it with the bytes after it.
    fn read(bytes: &[u8], depth: usize) -> Option<(Document, &[u8])> {
        let (&header, rest) = bytes.split_first()?;
        let (size, rest) = match header >> 4 {
            size @ 0..=11 => (usize::from(size), rest),
            more => {
                let (size, rest) = rest.split_at_checked(1 << (more - 12))?;
                let add =
                    |sum: usize, byte: &u8| sum.checked_mul(256)?.checked_add(usize::from(*byte));
                (size.iter().try_fold(0, add)?, rest)
            }
        };
        let (payload, rest) = rest.split_at_checked(size)?;
        Some((Self::document(header & 15, payload, depth)?, rest))
    }

    fn document(kind: u8, payload: &[u8], depth: usize) -> Option<Document> {
        if depth > MAX_DEPTH {
            return None;
        }
        let text = || std::str::from_utf8(payload).ok();
        match kind {
            0 => Some(Document::Null),
            1 => Some(Document::Bool(true)),
            2 => Some(Document::Bool(false)),
            // INT and FLOAT have the digits of JSON. INT5 and FLOAT5 have those of JSON5.
            3 | 5 => serde_json::from_str(text()?).ok(),
            4 | 6 => json5_number(text()?),
            // TEXT needs no escapes, TEXTJ has those of JSON, and TEXTRAW is not escaped at all.
            7 | 10 => Some(Document::String(text()?.to_owned())),
            8 => serde_json::from_str(&format!("\"{}\"", text()?)).ok(),
            9 => json5_text(text()?).map(Document::String),
            11 => Some(Document::Array(Self::elements(payload, depth)?)),
            12 => {
                let mut elements = Self::elements(payload, depth)?.into_iter();
                let mut object = serde_json::Map::new();
                while let Some(key) = elements.next() {
                    object.insert(key.as_str()?.to_owned(), elements.next()?);
                }
                Some(Document::Object(object))
            }
            _ => None,
        }
    }

    fn elements(mut payload: &[u8], depth: usize) -> Option<Vec<Document>> {
        let mut elements = Vec::new();
        while !payload.is_empty() {
            let (element, rest) = Self::read(payload, depth + 1)?;
            elements.push(element);
            payload = rest;
        }
        Some(elements)
    }
}

/// Reads a number of JSON5: `0x1F`, `+1`, `.5`, `5.`
fn json5_number(text: &str) -> Option<Document> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let hex = digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"));
    if let Some(hex) = hex {
        // `from_str_radix` would accept another sign.
        let digits = hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u64::from_str_radix(hex, 16).ok().filter(|_| digits)?;
        return match negative {
            false => Some(number.into()),
            true => Some(0_i64.checked_sub_unsigned(number)?.into()),
        };
    }
    let number: f64 = digits.parse().ok()?;
    serde_json::Number::from_f64(if negative { -number } else { number }).map(Document::Number)
}

/// Reads text with the escapes that JSON5 adds to those of JSON: `\'`, `\v`, `\0`, `\xHH` and a line end.
fn json5_text(text: &str) -> Option<String> {
    let mut json = String::from("\"");
    let mut rest = text.chars().peekable();
    while let Some(next) = rest.next() {
        if next == '"' {
            json.push_str("\\\"");
        } else if next < ' ' {
            json.push_str(&format!("\\u{:04x}", u32::from(next)));
        } else if next != '\\' {
            json.push(next);
        } else {
            match rest.next()? {
                '\'' => json.push('\''),
                'v' => json.push_str("\\u000b"),
                '0' => json.push_str("\\u0000"),
                'x' => {
                    json.push_str("\\u00");
                    json.extend([rest.next()?, rest.next()?]);
                }
                '\r' => {
                    rest.next_if_eq(&'\n');
                }
                '\n' | '\u{2028}' | '\u{2029}' => {}
                other => json.extend(['\\', other]),
            }
        }
    }
    json.push('"');
    serde_json::from_str(&json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Option<Document> {
        Element::read(bytes, 0).map(|(document, _)| document)
    }

    #[test]
    fn elements_of_every_kind() {
        let json = |text: &str| serde_json::from_str::<Document>(text).ok();
        assert_eq!(read(&[0x00]), json("null"));
        assert_eq!(read(&[0x13, b'7']), json("7"));
        assert_eq!(read(&[0x35, b'1', b'.', b'5']), json("1.5"));
        assert_eq!(read(&[0x44, b'0', b'x', b'1', b'F']), json("31"));
        assert_eq!(read(b"\xc4\x14-0x-8000000000000000"), None);
        assert_eq!(read(b"\x39a\tb"), json("\"a\\tb\""));
        assert_eq!(read(&[0x26, b'.', b'5']), json("0.5"));
        assert_eq!(read(&[0x28, b'\\', b'n']), json("\"\\n\""));
        assert_eq!(read(&[0x49, b'\\', b'x', b'4', b'1']), json("\"A\""));
        assert_eq!(read(&[0x4b, 0x13, b'1', 0x00, 0x01]), json("[1,null,true]"));
        assert_eq!(
            read(&[0xcc, 0x04, 0x17, b'a', 0x13, b'1']),
            json("{\"a\":1}")
        );
    }

    #[test]
    fn what_is_cut_or_wrong_is_no_jsonb() {
        for bytes in [
            &[][..],
            &[0x1d],
            &[0x27, b'a'],
            &[0xc7],
            &[0xf7, 1],
            &[0x2c, 0x13, b'1'],
            &[0x17, 0xff],
        ] {
            assert_eq!(read(bytes), None, "{bytes:?}");
        }
        let mut deep = vec![0x0b];
        for _ in 0..2000 {
            let size = u32::try_from(deep.len()).expect("small").to_be_bytes();
            deep = [&[0xeb][..], &size, &deep].concat();
        }
        assert_eq!(read(&deep), None);
    }
}
