//! Replaces the values that every replica would compute itself.
//!
//! rqlite replicates statements, not rows: each node runs the SQL text. `random()`, `CURRENT_TIMESTAMP` or
//! `datetime('now')` in a write would therefore store a different value on every node, and yet another one when a
//! node replays its log. rqlite can replace some of them, but it does so by printing the whole statement anew from
//! its own parser. This damages SQL that the parser does not fully understand (and before 8.33 it knew only
//! `random()`). So the client replaces these values, by tokens, and asks the server not to change the text.
//!
//! As on rqlite itself, one occurrence is one value for all rows of the statement. Values that the text does not show
//! are not found: `datetime('no'
//!
//! 'w')`, or a `now` that comes from a table.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::SqlError;
use crate::rewrite::Pin;
use crate::volatile::{Comma, Found, Volatile};

/// The longest `randomblob(n)` that is replaced by a literal.
const RANDOM_BLOB_LIMIT: usize = 1 << 20;

/// The source of the replacements.
pub trait Entropy {
    /// Returns the time.
    fn now(&self) -> SystemTime;
    /// Returns 64 random bits.
    ///
    /// # Errors
    ///
    /// `NoRandomness`
    fn random(&mut self) -> Result<u64, SqlError>;
}

/// Returns the replacements of the volatile parts, in the order of the text.
///
/// # Errors
///
/// `Volatile`, if no single value can replace a part.
pub fn pins(found: &Found, entropy: &mut impl Entropy) -> Result<Vec<Pin>, SqlError> {
    let mut pins: Vec<Pin> = Vec::with_capacity(found.values.len());
    for (range, volatile) in &found.values {
        // The part is inside the one that was just replaced.
        if pins.last().is_some_and(|last| range.start < last.range.end) {
            continue;
        }
        pins.push(Pin {
            range: range.clone(),
            text: literal(volatile, entropy)?,
        });
    }
    Ok(pins)
}
fn literal(volatile: &Volatile, entropy: &mut impl Entropy) -> Result<String, SqlError> {
    let now = timestamp(entropy.now());
    Ok(match volatile {
        Volatile::Timestamp => format!("'{}'", &now[..19]),
        Volatile::Date => format!("'{}'", &now[..10]),
        Volatile::Time => format!("'{}'", &now[11..19]),
        Volatile::Now | Volatile::ImplicitNow(Comma::None) => format!("'{now}'"),
        Volatile::ImplicitNow(Comma::Before) => format!(",'{now}'"),
        Volatile::ImplicitNow(Comma::Behind) => format!("'{now}',"),
        Volatile::Random => format!("({})", i64::from_ne_bytes(entropy.random()?.to_ne_bytes())),
        Volatile::RandomBlob(length) if *length <= RANDOM_BLOB_LIMIT => {
            random_blob(*length, entropy)?
        }
        Volatile::RandomBlob(_) => return Err(SqlError::Volatile("randomblob() of over 1 MiB")),
        Volatile::Refused(what) => return Err(SqlError::Volatile(what)),
    })
}

fn random_blob(length: usize, entropy: &mut impl Entropy) -> Result<String, SqlError> {
    // SQLite makes at least one byte.
    let length = length.max(1);
    let mut blob = String::with_capacity(length * 2 + 18);
    blob.push_str("x'");
    while blob.len() < length * 2 + 2 {
        blob.push_str(&format!("{:016x}", entropy.random()?));
    }
    blob.truncate(length * 2 + 2);
    blob.push('\'');
    Ok(blob)
}

/// Formats a time as `YYYY-MM-DD HH:MM:SS.SSS` in UTC. This is SQLite's own resolution of `now`.
pub fn timestamp(now: SystemTime) -> String {
    // A clock before 1970 is wrong, so any value is acceptable.
    let since_epoch = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let seconds = since_epoch.as_secs();
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!(
        "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{:03}",
        since_epoch.subsec_millis()
    )
}

/// Returns the Gregorian date of a day counted from 1970-01-01 (Howard Hinnant's `civil_from_days`).
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months are counted from March, so that the leap day is the last day of the year.
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse;
    use crate::volatile::find;

    struct Fixed(u64);

    impl Entropy for Fixed {
        fn now(&self) -> SystemTime {
            // 2024-02-29 13:14:15.678 UTC
            UNIX_EPOCH + Duration::from_millis(1_709_212_455_678)
        }

        fn random(&mut self) -> Result<u64, SqlError> {
            self.0 += 1;
            Ok(self.0)
        }
    }

    fn pinned(sql: &str) -> Result<String, SqlError> {
        let parsed = parse(sql)?.remove(0);
        let pins = pins(&find(&parsed), &mut Fixed(0))?;
        Ok(parsed.rewritten(parsed.all(), &pins, |_, own, sql| {
            sql.push_str(&parsed.text()[own])
        }))
    }

    #[test]
    fn every_form_of_now() {
        for (sql, wanted) in [
            (
                "UPDATE t SET a = CURRENT_TIMESTAMP, b = current_date, c = CURRENT_TIME",
                "UPDATE t SET a = '2024-02-29 13:14:15', b = '2024-02-29', c = '13:14:15'",
            ),
            (
                "UPDATE t SET a = datetime('now', '+1 day')",
                "UPDATE t SET a = datetime('2024-02-29 13:14:15.678', '+1 day')",
            ),
            (
                "UPDATE t SET a = unixepoch(), b = strftime('%s')",
                "UPDATE t SET a = unixepoch('2024-02-29 13:14:15.678'), b = strftime('%s','2024-02-29 13:14:15.678')",
            ),
            (
                "UPDATE t SET a = unixepoch('subsec')",
                "UPDATE t SET a = unixepoch('2024-02-29 13:14:15.678','subsec')",
            ),
            ("UPDATE t SET a = 'now'", "UPDATE t SET a = 'now'"),
        ] {
            assert_eq!(pinned(sql).as_deref(), Ok(wanted));
        }
    }

    #[test]
    fn each_random_value_is_its_own() {
        assert_eq!(
            pinned("INSERT INTO t VALUES (random()), (- random())").as_deref(),
            Ok("INSERT INTO t VALUES ((1)), (- (2))")
        );
        assert_eq!(
            pinned("INSERT INTO t VALUES (hex(randomblob(3)))").as_deref(),
            Ok("INSERT INTO t VALUES (hex(x'000000'))")
        );
    }

    #[test]
    fn dates_follow_the_calendar() {
        let day = |days| civil(days);
        assert_eq!(day(0), (1970, 1, 1));
        assert_eq!(day(11_016), (2000, 2, 29));
        assert_eq!(day(11_017), (2000, 3, 1));
        assert_eq!(day(47_540), (2100, 2, 28));
        assert_eq!(day(47_541), (2100, 3, 1));
        assert_eq!(day(2_932_896), (9999, 12, 31));
    }
}
