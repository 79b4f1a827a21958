//! A received value that is converted to a Rust type.

use std::borrow::Cow;

use diesel::deserialize::Result;

use crate::backend::RqliteType;
use crate::protocol::rows::{Value, whole};

/// One value of a row. It is never NULL, because Diesel checks for NULL first.
///
/// The methods that read it convert as SQLite does if nothing is lost, and return an error otherwise.
#[derive(Debug)]
pub struct RqliteValue<'a> {
    value: Value<'a>,
    /// The text, for a number that was read as text.
    text: String,
}

impl<'a> RqliteValue<'a> {
    pub(crate) fn new(value: Value<'a>) -> Self {
        RqliteValue {
            value,
            text: String::new(),
        }
    }

    #[cfg(any(feature = "numeric", feature = "serde_json", feature = "uuid"))]
    pub(crate) fn value(&self) -> Value<'a> {
        self.value
    }

    /// Returns how the value is stored: `Text`, `Binary`, `Long` or `Double`. Never returns `None`, because a NULL is
    /// not a value here.
    pub fn value_type(&self) -> Option<RqliteType> {
        Some(match self.value {
            Value::Text(_) => RqliteType::Text,
            Value::Integer(_) => RqliteType::Long,
            Value::Real(_) => RqliteType::Double,
            Value::Binary(_) => RqliteType::Binary,
        })
    }

    /// Reads text. Numbers are read as SQLite prints them.
    pub fn read_text(&mut self) -> Result<&str> {
        match self.value {
            Value::Text(text) => Ok(text),
            Value::Integer(number) => {
                self.text = number.to_string();
                Ok(&self.text)
            }
            Value::Real(number) => {
                self.text = real_text(number);
                Ok(&self.text)
            }
            Value::Binary(bytes) => Ok(std::str::from_utf8(bytes)?),
        }
    }

    /// Returns a text in the memory of the answer.
    pub(crate) fn stored_text(&self) -> Option<&'a str> {
        match self.value {
            Value::Text(text) => Some(text),
            Value::Binary(bytes) => std::str::from_utf8(bytes).ok(),
            Value::Integer(_) | Value::Real(_) => None,
        }
    }

    /// Returns the bytes of a BLOB or of text in the memory of the answer.
    pub(crate) fn stored_bytes(&self) -> Option<&'a [u8]> {
        match self.value {
            Value::Binary(bytes) => Some(bytes),
            Value::Text(text) => Some(text.as_bytes()),
            Value::Integer(_) | Value::Real(_) => None,
        }
    }

    /// Reads the bytes of a BLOB or of text.
    pub fn read_blob(&mut self) -> Result<&[u8]> {
        match self.value {
            Value::Binary(bytes) => Ok(bytes),
            _ => self.read_text().map(str::as_bytes),
        }
    }

    /// Reads an INTEGER, or a REAL or text that is a whole number.
    pub fn read_long(&mut self) -> Result<i64> {
        match self.value {
            Value::Integer(number) => Ok(number),
            Value::Real(number) => whole(number).ok_or_else(|| self.no("an integer")),
            Value::Text(text) => {
                let text = text.trim();
                let integer = text.parse().ok();
                let integer = integer.or_else(|| text.parse().ok().and_then(whole));
                integer.ok_or_else(|| self.no("an integer"))
            }
            Value::Binary(_) => Err(self.no("an integer")),
        }
    }

    /// Reads the same as [`read_long`](Self::read_long), within 32 bits.
    pub fn read_integer(&mut self) -> Result<i32> {
        let number = self.read_long()?;
        number.try_into().map_err(|_| self.no("a 32-bit integer"))
    }

    /// Reads a REAL, or an INTEGER or text that is a number.
    pub fn read_double(&mut self) -> Result<f64> {
        match self.value {
            Value::Real(number) => Ok(number),
            // rqlite writes the REAL 1.0 as 1.
            #[allow(clippy::cast_precision_loss)]
            Value::Integer(number) => Ok(number as f64),
            Value::Text(text) => text.trim().parse().map_err(|_| self.no("a number")),
            Value::Binary(_) => Err(self.no("a number")),
        }
    }

    /// Returns an error with the value, which does not fit the type.
    pub(crate) fn no(&self, wanted: &str) -> Box<dyn std::error::Error + Send + Sync> {
        let shown: Cow<'_, str> = match self.value {
            Value::Integer(number) => number.to_string().into(),
            Value::Real(number) => number.to_string().into(),
            Value::Text(text) => {
                format!("text {:?}", text.chars().take(40).collect::<String>()).into()
            }
            Value::Binary(bytes) => format!("a BLOB of {} bytes", bytes.len()).into(),
        };
        format!("{shown} is not {wanted}").into()
    }
}

/// Formats a REAL as SQLite does, with the fewest digits that identify it. (SQLite itself writes 15 or 17 digits,
/// depending on its version.)
fn real_text(number: f64) -> String {
    let scientific = format!("{number:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        // Inf is the only one without a fraction.
        let sign = if number < 0.0 { "-" } else { "" };
        return format!("{sign}Inf");
    };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if number == 0.0 || (-4..15).contains(&exponent) {
        return format!("{number:?}");
    }
    let point = if digits.contains('.') { "" } else { ".0" };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}{point}e{sign}{:02}", exponent.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_an_error() {
        let mut values = [Value::Real(1.5), Value::Text("x"), Value::Binary(&[1])];
        for value in &mut values {
            assert!(RqliteValue::new(*value).read_long().is_err(), "{value:?}");
        }
        assert!(RqliteValue::new(Value::Real(9.3e18)).read_long().is_err());
        assert!(
            RqliteValue::new(Value::Integer(1 << 31))
                .read_integer()
                .is_err()
        );
        assert!(
            RqliteValue::new(Value::Binary(&[0xff]))
                .read_text()
                .is_err()
        );
    }

    #[test]
    fn reals_are_written_as_sqlite_does() {
        for (number, text) in [
            (1.0, "1.0"),
            (-0.5, "-0.5"),
            (0.1, "0.1"),
            (1e-4, "0.0001"),
            (1e-5, "1.0e-05"),
            (1.5e300, "1.5e+300"),
            (-1e15, "-1.0e+15"),
            (123_456_789_012_345.0, "123456789012345.0"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(real_text(number), text);
        }
    }

    #[test]
    fn what_fits_is_converted() {
        assert_eq!(RqliteValue::new(Value::Real(2.0)).read_long().ok(), Some(2));
        let large = Value::Text("1.234567890123456768e+18");
        assert_eq!(
            RqliteValue::new(large).read_long().ok(),
            Some(1_234_567_890_123_456_768)
        );
        assert_eq!(
            RqliteValue::new(Value::Integer(1)).read_double().ok(),
            Some(1.0)
        );
        assert_eq!(
            RqliteValue::new(Value::Integer(1)).read_text().ok(),
            Some("1")
        );
        assert_eq!(
            RqliteValue::new(Value::Text("a")).read_blob().ok(),
            Some(&b"a"[..])
        );
    }
}
