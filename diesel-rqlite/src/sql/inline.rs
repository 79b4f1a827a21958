//! Values as literals, for inserts of many rows.
//!
//! A statement of thousands of parameters is slow on the server: each is parsed from JSON, copied through the Raft
//! log as a message of its own and bound one by one. 10,000 rows of three columns without REALs took 40 ms as
//! literals and 126 ms as parameters on rqlite 10.2.7, 77 and 185 ms on 8.26. Only what SQLite reads back from a
//! literal to the last bit becomes one: NULL, integers, text without NUL and short BLOBs. REALs stay parameters,
//! since SQLite 3.45, in rqlite 8.26, reads some of them an ulp off; with one REAL in each row rqlite 10.2.7 took 62 ms,
//! and 8.26 gained nothing.

use std::fmt::Write as _;

use super::tokens::{TokenKind, Tokens};
use crate::bind_collector::Bind;

/// From how many values on literals pay.
pub(crate) const WORTH_IT: usize = 256;

/// Bytes of a BLOB above which a parameter is faster.
const LONG_BLOB: usize = 1024;

/// Writes values into the text, and returns what is left to bind. Nothing is changed unless every placeholder is a
/// plain `?`.
pub(crate) fn inline<'a>(sql: &str, binds: Vec<Bind<'a>>) -> (Option<String>, Vec<Bind<'a>>) {
    let mut places = Vec::with_capacity(binds.len());
    // Behind ON CONFLICT a literal may match a partial index, where a parameter does not.
    let mut rows_end = sql.len();
    for token in Tokens::new(sql).map_while(Result::ok) {
        if token.kind == TokenKind::Variable {
            places.push(token.range);
        } else if sql[token.range.clone()].eq_ignore_ascii_case("CONFLICT") {
            rows_end = rows_end.min(token.range.start);
        }
    }
    if places.len() != binds.len() || places.iter().any(|place| place.len() != 1) {
        return (None, binds);
    }
    let mut text = String::with_capacity(sql.len() + 16 * binds.len());
    let mut left = Vec::new();
    let mut copied = 0;
    for (place, bind) in places.into_iter().zip(binds) {
        text.push_str(&sql[copied..place.start]);
        copied = place.end;
        let name_byte = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        // `CASE WHEN ?THEN`
        text.push_str(if name_byte(text.as_bytes().last()) {
            " "
        } else {
            ""
        });
        if place.start > rows_end || !push_literal(&mut text, &bind) {
            text.push('?');
            left.push(bind);
        }
        text.push_str(if name_byte(sql.as_bytes().get(place.end)) {
            " "
        } else {
            ""
        });
    }
    text.push_str(&sql[copied..]);
    (Some(text), left)
}

fn push_literal(sql: &mut String, bind: &Bind<'_>) -> bool {
    // Writing to a String can't fail.
    let _ = match bind {
        Bind::Null => write!(sql, "NULL"),
        // In parentheses: behind a minus it would else begin a comment.
        Bind::Integer(value @ ..0) => write!(sql, "({value})"),
        Bind::Integer(value) => write!(sql, "{value}"),
        Bind::Text(text) if !text.contains('\0') => {
            push_text(sql, text);
            Ok(())
        }
        Bind::Binary(bytes) if bytes.len() <= LONG_BLOB => {
            sql.push_str("x'");
            let digits = bytes.iter().try_for_each(|byte| write!(sql, "{byte:02X}"));
            sql.push('\'');
            digits
        }
        _ => return false,
    };
    true
}

fn push_text(sql: &mut String, text: &str) {
    sql.push('\'');
    let mut parts = text.split('\'');
    sql.push_str(parts.next().unwrap_or_default());
    for part in parts {
        sql.push_str("''");
        sql.push_str(part);
    }
    sql.push('\'');
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    #[test]
    fn literals_are_quoted() {
        let text = |text: &'static str| Bind::Text(Cow::Borrowed(text));
        let binds = vec![
            text("it's '' ?"),
            Bind::Integer(i64::MIN),
            Bind::Integer(7),
            Bind::Null,
            Bind::Binary(Cow::Borrowed(&[0, 255])),
            Bind::Real(1.5),
            text("a\0b"),
            Bind::Binary(Cow::Owned(vec![1; LONG_BLOB + 1])),
        ];
        let (sql, left) = inline("VALUES (?, ?, ?, ?, ?, ?, ?, ?) -- ?", binds.clone());
        assert_eq!(
            sql.as_deref(),
            Some("VALUES ('it''s '''' ?', (-9223372036854775808), 7, NULL, x'00FF', ?, ?, ?) -- ?")
        );
        assert_eq!(left, binds[5..]);
    }

    #[test]
    fn literals_stand_apart_and_end_before_on_conflict() {
        let binds = vec![
            Bind::Integer(1),
            Bind::Integer(2),
            Bind::Null,
            Bind::Integer(3),
        ];
        let (sql, left) = inline(
            "VALUES (CASE WHEN?THEN ?ELSE?END) ON CONFLICT (a) WHERE a > ? DO NOTHING",
            binds,
        );
        let wanted =
            "VALUES (CASE WHEN 1 THEN 2 ELSE NULL END) ON CONFLICT (a) WHERE a > ? DO NOTHING";
        assert_eq!(sql.as_deref(), Some(wanted));
        assert_eq!(left, [Bind::Integer(3)]);
    }

    #[test]
    fn numbered_placeholders_are_left_alone() {
        let binds = vec![Bind::Integer(1)];
        assert_eq!(inline("VALUES (?1)", binds.clone()), (None, binds));
    }
}
