//! Statements as the JSON of a request.
//!
//! Each function at the top of this file makes one kind of request: it chooses the `Endpoint` and writes the body. The
//! flags belong to the endpoint, see `protocol::request`. The body is an array of `["sql", value, …]`, written by hand,
//! since a statement is written once and its values are borrowed.
//!
//! JSON can't carry every value of SQLite, and servers read some strings as BLOBs. The transfer of such a value has two
//! halves, which must agree: [`conversion`] has the SQL around the placeholder, and `push_statement` the JSON that this
//! SQL undoes. A text that was written without `conversion` must not have such values.

use std::sync::Arc;
use std::time::Duration;

use super::Statement;
use super::plan::Batch;
use crate::bind_collector::Bind;
use crate::hex;
use crate::protocol::request::{Endpoint, Exchange, Statements};

const QUERY: Endpoint = Endpoint::Query { transaction: false };

/// Returns the request that runs a query whose columns the client knows.
///
/// The statement must not write: `/db/query` refuses that. For columns that the client does not know, see
/// [`raw_query`].
pub(crate) fn query(statement: &Statement<'_>) -> Exchange {
    Exchange::new(QUERY, body(&[statement]))
}

/// Returns the request that runs raw SQL. Its answer is the last of two. After a change of the schema, the first read
/// on each of a node's connections still has the old columns, and `SELECT *` shows values under wrong names.
pub(crate) fn raw_query(statement: &Statement<'_>) -> Exchange {
    Exchange::new(QUERY, body(&[&read_of_schema(), statement]))
}

/// Returns the statement to send before a query whose columns the client does not know.
pub(crate) fn read_of_schema() -> Statement<'static> {
    Statement::raw("SELECT 1 FROM sqlite_master LIMIT 1")
}

/// Returns the request that runs writes.
///
/// RETURNING needs other flags than all other writes, which hold for the whole request.
pub(crate) fn execute(batch: &Batch<'_>) -> Exchange {
    let endpoint = Endpoint::Execute {
        transaction: batch.atomic,
        returning: batch.statements.iter().any(|statement| statement.returning),
    };
    let statements: Vec<_> = batch.statements.iter().collect();
    Exchange::new(endpoint, body(&statements))
}

/// Returns the request that adds writes to the queue of a node.
///
/// The statements need not be atomic, and their outcome is never reported: with `wait`, the node answers when they were
/// applied or that time is over.
pub(crate) fn queue(statements: &[Statement<'_>], wait: Option<Duration>) -> Exchange {
    let statements: Vec<_> = statements.iter().collect();
    Exchange::new(Endpoint::Queue { wait }, body(&statements))
}

/// Returns statements as JSON.
///
/// Each statement must be a text that is not empty and has no trailing comment: on servers before 9.3.13 other texts
/// can hang a node for good.
pub(crate) fn body(statements: &[&Statement<'_>]) -> Statements {
    let sizes = statements.iter().map(|statement| statement.size());
    let mut body = Vec::with_capacity(sizes.sum::<usize>() + 2);
    body.push(b'[');
    for (place, statement) in statements.iter().enumerate() {
        if place > 0 {
            body.push(b',');
        }
        push_statement(&mut body, statement);
    }
    body.push(b']');
    Statements {
        json: body.into(),
        number: statements.len(),
    }
}

/// Appends `["sql", value, …]`.
fn push_statement(body: &mut Vec<u8>, statement: &Statement<'_>) {
    body.push(b'[');
    let binds = match &statement.kept {
        Some(kept) => kept.push(body, &statement.binds),
        None => {
            push_json(body, &*statement.sql);
            &statement.binds
        }
    };
    for bind in binds {
        body.push(b',');
        match bind {
            Bind::Null => body.extend_from_slice(b"null"),
            Bind::Integer(value) => push_json(body, value),
            Bind::Real(value) if value.is_infinite() => {
                push_json(body, &f64::MAX.copysign(*value));
            }
            // NaN becomes `null`: SQLite stores NULL for it.
            Bind::Real(value) => push_json(body, value),
            Bind::Text(value) if looks_like_blob(value) => push_json(body, &format!("_{value}")),
            Bind::Text(value) => push_json(body, &**value),
            Bind::Binary(value) => {
                body.push(b'"');
                hex::push(body, value);
                body.push(b'"');
            }
            // An object or array is in brackets, a string in quotes, so none is mistaken for a BLOB.
            #[cfg(feature = "serde_json")]
            Bind::Jsonb(value) => push_json(body, &**value),
        }
    }
    body.push(b']');
}

/// The text of a read as JSON, from the second time that it is sent: it has many quotes, which take longer to escape than
/// to copy.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct KeptText {
    /// The text as JSON, without the quote at its end, and without a limit that is written out.
    json: Arc<str>,
    /// The number of values of the limit. These are the last ones of the statement.
    limits: usize,
}

impl KeptText {
    /// Creates the text of a statement whose last `limits` values are those of a limit, which follows `text`.
    pub(super) fn new(text: &str, limits: usize) -> Self {
        let mut json = serde_json::Value::from(text).to_string();
        json.pop();
        let json = json.into();
        KeptText { json, limits }
    }

    /// Returns whether the limits of these values can be written out. Negative numbers, which mean no limit, stay bound.
    pub(super) fn takes(&self, binds: &[Bind<'_>]) -> bool {
        let mut limits = binds.iter().rev().take(self.limits);
        limits.all(|limit| matches!(limit, Bind::Integer(0..)))
    }

    /// Appends the whole text. Returns the values that are still to be bound.
    fn push<'b, 'a>(&self, body: &mut Vec<u8>, binds: &'b [Bind<'a>]) -> &'b [Bind<'a>] {
        body.extend_from_slice(self.json.as_bytes());
        let (bound, limits) = binds.split_at(binds.len().saturating_sub(self.limits));
        for (clause, limit) in [" LIMIT ", " OFFSET "].iter().zip(limits) {
            if let Bind::Integer(limit) = limit {
                body.extend_from_slice(clause.as_bytes());
                push_json(body, limit);
            }
        }
        body.push(b'"');
        bound
    }
}

/// Appends a value. Values of JSON's own kinds can be written to memory without an error.
fn push_json<T: serde::Serialize + ?Sized>(body: &mut Vec<u8>, value: &T) {
    let written = serde_json::to_writer(&mut *body, value);
    debug_assert!(written.is_ok());
}

/// Returns the SQL before and after the placeholder of a value that JSON can't carry as it is.
///
/// * BLOBs as byte arrays exist since 8.31 only; `unhex()` is faster than both them and a literal.
/// * Servers since 8.31 read the string `"x'41'"` as a BLOB; with one more character at its start it stays text.
/// * JSON has no infinity; ten times the greatest double is one.
pub(super) fn conversion(bind: &Bind<'_>) -> Option<(&'static str, &'static str)> {
    match bind {
        Bind::Binary(_) => Some(("unhex(", ")")),
        Bind::Text(text) if looks_like_blob(text) => Some(("substr(", ",2)")),
        Bind::Real(value) if value.is_infinite() => Some(("(", "*10)")),
        #[cfg(feature = "serde_json")]
        Bind::Jsonb(_) => Some(("jsonb(", ")")),
        _ => None,
    }
}

/// Returns whether servers take the text for a BLOB. See ParseHex in rqlite's db/state.go: white space around it,
/// either case, pairs of digits.
fn looks_like_blob(text: &str) -> bool {
    // The first byte decides for nearly every text.
    if !matches!(
        text.bytes().next(),
        Some(b'x' | b'X') | Some(0..=b' ') | Some(0x80..)
    ) {
        return false;
    }
    let inner = text.trim().strip_prefix(['x', 'X']);
    let inner = inner.and_then(|inner| inner.strip_prefix('\'')?.strip_suffix('\''));
    inner.is_some_and(|hex| {
        hex.len().is_multiple_of(2) && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_takes_for_a_blob() {
        for blob in ["x'41'", "X''", " x'AbcD' ", "\u{a0}x'00'\n"] {
            assert!(looks_like_blob(blob), "{blob}");
        }
        for other in [
            "",
            "x'4'",
            "x'zz'",
            "x'41",
            "ax'41'",
            "x\"41\"",
            "xylophone",
        ] {
            assert!(!looks_like_blob(other), "{other}");
        }
    }
}
