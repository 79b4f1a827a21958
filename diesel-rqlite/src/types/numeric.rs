//! Decimal numbers, exact as far as SQLite allows.
//!
//! SQLite has no decimals. A value is bound as INTEGER or REAL if that is exact. It then compares and computes as a
//! number everywhere. Otherwise it is bound as text with all its digits. A column with the affinity NUMERIC (declared
//! NUMERIC, DECIMAL, …) converts such text to the nearest REAL, which keeps 15 digits. A column declared TEXT or
//! without a type keeps all digits. A column declared TEXT converts a REAL to text: 15 digits on SQLite 3.45, up to
//! 17 on 3.53. For a decimal of 14 digits or more, these digits may differ from the original ones. Only a column
//! without a type therefore keeps every decimal.

use bigdecimal::{BigDecimal, ToPrimitive};
use diesel::deserialize::{self, FromSql};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::Numeric;

use crate::backend::Rqlite;
use crate::protocol::rows::{Value, whole};
use crate::value::RqliteValue;

const MAX_DIGITS: u64 = 10_000;

impl FromSql<Numeric, Rqlite> for BigDecimal {
    fn from_sql(mut value: RqliteValue<'_>) -> deserialize::Result<Self> {
        let integer = match value.value() {
            Value::Integer(number) => Some(number),
            Value::Real(number) => whole(number),
            _ => None,
        };
        if let Some(integer) = integer {
            return Ok(integer.into());
        }
        // These are the shortest digits that identify this REAL, as other programs print it.
        let parsed = value.read_text()?.trim().parse();
        parsed.map_err(|_| value.no("a decimal number"))
    }
}

impl ToSql<Numeric, Rqlite> for BigDecimal {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Rqlite>) -> serialize::Result {
        // Each of the zeros would be written out.
        if self.fractional_digit_count().unsigned_abs() > MAX_DIGITS {
            return Err(
                "a decimal number with more than 10,000 digits before or behind the point".into(),
            );
        }
        if let Some(integer) = as_integer(self) {
            out.set_value(integer);
        } else if let Some(real) = as_real(self) {
            out.set_value(real);
        } else {
            out.set_value(self.to_plain_string());
        }
        Ok(IsNull::No)
    }
}

fn as_integer(number: &BigDecimal) -> Option<i64> {
    number.is_integer().then(|| number.to_i64()).flatten()
}

fn as_real(number: &BigDecimal) -> Option<f64> {
    let real = number.to_f64().filter(|real| real.is_finite())?;
    let back: BigDecimal = real.to_string().parse().ok()?;
    (back == *number).then_some(real)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_bound_as_numbers_where_that_is_exact() {
        let number = |text: &str| text.parse::<BigDecimal>().expect(text);
        assert_eq!(
            as_integer(&number("-9223372036854775808.00")),
            Some(i64::MIN)
        );
        assert_eq!(as_integer(&number("9223372036854775808")), None);
        assert_eq!(as_real(&number("0.10")), Some(0.1));
        assert_eq!(
            as_real(&number("0.1000000000000000055511151231257827")),
            None
        );
        assert_eq!(as_real(&number("1e999")), None);
    }
}
