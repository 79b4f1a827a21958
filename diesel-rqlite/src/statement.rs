//! SQL and values as they leave the client.

use std::borrow::Cow;

use bytes::Bytes;

use crate::backend::RqliteType;
use crate::bind_collector::Bind;
use crate::protocol::request::{Endpoint, Exchange};
use crate::sql::SqlError;
use crate::sql::inline::{WORTH_IT, inline};
use crate::sql::pin::{Entropy, pin, timestamp};
use crate::sql::results::{self, Encoded, Encoding};
use crate::sql::scan::{InsertRows, Scanned, Verb, statements, unquoted};
use crate::sql::tokens::{TokenKind, Tokens};
use crate::sql::volatile::{self, Found};

/// One statement of a request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Statement<'a> {
    pub(crate) sql: Cow<'a, str>,
    binds: Vec<Bind<'a>>,
    pub(crate) returning: bool,
    /// It writes rows, and SQLite's count of them is its own.
    pub(crate) counted: bool,
    insert_rows: InsertRows,
    /// Its values may stand in it as literals: in `INSERT … VALUES` they mean what parameters do. (In
    /// `ORDER BY ?` they would not.) Not with RETURNING, for then the server's own parser reads the text.
    inlinable: bool,
    /// The table of an INSERT.
    table: Option<String>,
    /// How its rows come back, and their names where the text tells.
    pub(crate) encodings: Vec<Encoding>,
    pub(crate) names: Vec<String>,
}

/// What a query becomes.
#[derive(Debug, PartialEq)]
pub(crate) enum Plan<'a> {
    /// An insert of no rows.
    Nothing,
    Read(Read<'a>),
    Write(Batch<'a>),
}

/// Writes that are one request.
#[derive(Debug, PartialEq)]
pub(crate) struct Batch<'a> {
    pub(crate) statements: Vec<Statement<'a>>,
    /// All or nothing. A single statement is that by itself, unless it says `OR FAIL`.
    pub(crate) atomic: bool,
}

/// A query, which may be sent in several forms.
#[derive(Debug, PartialEq)]
pub(crate) struct Read<'a> {
    text: &'a str,
    binds: Vec<Bind<'a>>,
    /// `SELECT` or `VALUES`, not PRAGMA or EXPLAIN.
    pub(crate) wrappable: bool,
}

/// Whether several statements may stand in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Query,
    Script,
}

impl<'a> Plan<'a> {
    /// Decides what is sent for a query. `types` are those of its rows, where they are known.
    pub(crate) fn new(
        sql: &'a str,
        binds: Vec<Bind<'a>>,
        source: Source,
        types: Option<&[RqliteType]>,
        entropy: &mut impl Entropy,
    ) -> Result<Self, SqlError> {
        if source == Source::Query && is_empty_batch(sql) {
            return Ok(Plan::Nothing);
        }
        let mut found = statements(sql)?;
        let atomic = strip_begin_and_commit(&mut found);
        for scanned in &found {
            check(scanned)?;
        }
        if found.is_empty() && source == Source::Query && !atomic {
            return Err(SqlError::Empty);
        }
        if found.len() > 1 && source == Source::Query && !atomic {
            return Err(SqlError::Several);
        }
        if let ([scanned], false) = (&found[..], atomic)
            && is_read(scanned)
            && source == Source::Query
        {
            return Read::new(scanned, binds).map(Plan::Read);
        }
        let statements = match &found[..] {
            [scanned] => {
                check_count(scanned, binds.len())?;
                let mut binds = binds;
                let mut statement = Statement::shape(scanned, &mut binds, types, entropy)?;
                statement.bind(binds);
                vec![statement]
            }
            several => numbered(several, &binds, types, entropy)?,
        };
        Ok(Plan::Write(Batch {
            atomic: atomic || statements.len() > 1,
            statements,
        }))
    }
}

/// `BEGIN; a; b; COMMIT` is an atomic request of `a` and `b`. So is a batch insert rendered.
fn strip_begin_and_commit(found: &mut Vec<Scanned<'_>>) -> bool {
    let is = |scanned: Option<&Scanned<'_>>, verb| scanned.is_some_and(|found| found.verb == verb);
    let framed =
        found.len() > 1 && is(found.first(), Verb::Begin) && is(found.last(), Verb::Commit);
    if framed {
        found.pop();
        found.remove(0);
    }
    framed
}

/// Whether the text is, token by token, what Diesel renders for an insert of no rows.
fn is_empty_batch(sql: &str) -> bool {
    if !sql.starts_with("SELECT 1 FROM ") || !sql.ends_with(" WHERE 1=0") {
        return false;
    }
    let table = &sql["SELECT 1 FROM ".len()..sql.len() - " WHERE 1=0".len()];
    Tokens::new(table).all(|token| {
        token.is_ok_and(|token| matches!(token.kind, TokenKind::Quoted | TokenKind::Dot))
    })
}

fn is_read(scanned: &Scanned<'_>) -> bool {
    match scanned.verb {
        Verb::Select | Verb::Explain => true,
        // `PRAGMA x = y` writes to the connection it is run on: the one for writes must be it.
        Verb::Pragma => !scanned.text.contains('='),
        _ => false,
    }
}

/// Refuses what must not reach a server, because it would outlive the request there.
fn check(scanned: &Scanned<'_>) -> Result<(), SqlError> {
    const PRAGMAS: [&str; 7] = [
        "journal_mode",
        "wal_autocheckpoint",
        "wal_checkpoint",
        "synchronous",
        "query_only",
        "locking_mode",
        "case_sensitive_like",
    ];
    let word = |place: usize| {
        let tokens = Tokens::new(scanned.text).map_while(Result::ok);
        let mut words = tokens.filter(|token| token.kind == TokenKind::Word);
        words
            .nth(place)
            .map_or("", |token| &scanned.text[token.range])
    };
    match &scanned.verb {
        Verb::Begin => Err(SqlError::TransactionControl("BEGIN".to_owned())),
        Verb::Commit => Err(SqlError::TransactionControl("COMMIT".to_owned())),
        Verb::Savepoint(name) => Err(SqlError::TransactionControl(name.clone())),
        Verb::Schema if ["ATTACH", "DETACH"].contains(&&*word(0).to_ascii_uppercase()) => {
            Err(SqlError::Refused(
                word(0).to_ascii_uppercase(),
                "it would change one node's connection for all clients, and not the other nodes",
            ))
        }
        Verb::Pragma => {
            let tokens = Tokens::new(scanned.text).map_while(Result::ok);
            let names = tokens.filter(|token| {
                matches!(
                    token.kind,
                    TokenKind::Word | TokenKind::Quoted | TokenKind::String
                )
            });
            // `PRAGMA schema.name`, too, and either in any kind of quotes.
            let name = names
                .skip(1)
                .take(2)
                .map(|token| unquoted(&scanned.text[token.range]).to_ascii_lowercase())
                .map(|name| name.trim_matches('\'').to_owned())
                .find(|name| PRAGMAS.contains(&&**name));
            match name {
                Some(name) => Err(SqlError::Refused(
                    format!("PRAGMA {name}"),
                    "it would change the node's own connection, for all clients",
                )),
                None => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// How many values SQLite's numbering of the placeholders asks for.
fn placeholders(scanned: &Scanned<'_>) -> Result<usize, SqlError> {
    Ok(numbers(scanned)?.into_iter().max().unwrap_or(0))
}

/// The number of each placeholder, from 1: `?` is one more than the highest so far, a name counts once.
fn numbers(scanned: &Scanned<'_>) -> Result<Vec<usize>, SqlError> {
    let mut highest = 0;
    let mut named: Vec<(&str, usize)> = Vec::new();
    let mut numbers = Vec::with_capacity(scanned.variables.len());
    for range in &scanned.variables {
        let text = &scanned.text[range.clone()];
        let number = match text.strip_prefix('?') {
            Some("") => highest + 1,
            Some(digits) => digits.parse().unwrap_or(0),
            None => match named.iter().find(|(name, _)| *name == text) {
                Some((_, number)) => *number,
                None => {
                    named.push((text, highest + 1));
                    highest + 1
                }
            },
        };
        // Not SQLite's limit: a script may count further through all of its statements.
        if !(1..=u32::MAX as usize).contains(&number) {
            return Err(SqlError::PlaceholderNumber);
        }
        highest = highest.max(number);
        numbers.push(number);
    }
    Ok(numbers)
}

/// Version 10 stores NULL for values that are missing altogether.
fn check_count(scanned: &Scanned<'_>, given: usize) -> Result<(), SqlError> {
    match placeholders(scanned)? {
        wanted if wanted == given => Ok(()),
        wanted => Err(SqlError::Placeholders { wanted, given }),
    }
}

/// The statements of a script whose placeholders count through all of it.
fn numbered<'a>(
    found: &[Scanned<'a>],
    binds: &[Bind<'a>],
    types: Option<&[RqliteType]>,
    entropy: &mut impl Entropy,
) -> Result<Vec<Statement<'a>>, SqlError> {
    let mut wanted = 0;
    for scanned in found {
        wanted = wanted.max(placeholders(scanned)?);
    }
    if wanted != binds.len() {
        let given = binds.len();
        return Err(SqlError::Placeholders { wanted, given });
    }
    let mut writes = Vec::with_capacity(found.len());
    for scanned in found {
        let numbers = numbers(scanned)?;
        let own = numbers.iter().map(|number| binds[number - 1].clone());
        let mut own: Vec<_> = own.collect();
        let anonymous = rewrite_variables(scanned.text, |_| Some(("", "?", "")));
        let mut statement = match anonymous {
            None => Statement::shape(scanned, &mut own, types, entropy)?,
            Some(text) => {
                let scanned = scan_one(&text)?;
                Statement::shape(&scanned, &mut own, types, entropy)?.into_owned()
            }
        };
        statement.bind(own);
        writes.push(statement);
    }
    guarded(writes)
}

fn scan_one(text: &str) -> Result<Scanned<'_>, SqlError> {
    statements(text)?.pop().ok_or(SqlError::Empty)
}

/// Servers before 9.4.2 commit the rest of a `?transaction` when a RETURNING statement in it fails. There,
/// counting its rows behind it fails in its place: a DELETE of nothing makes the count 0 before.
fn guarded(writes: Vec<Statement<'_>>) -> Result<Vec<Statement<'_>>, SqlError> {
    if writes.len() < 2 || !writes.iter().any(|write| write.returning) {
        return Ok(writes);
    }
    let mut guarded = Vec::with_capacity(3 * writes.len());
    for write in writes {
        match (write.insert_rows, &write.table) {
            (InsertRows::Exactly(rows), Some(table)) if write.returning => {
                let reset = format!("DELETE FROM {table} WHERE 0");
                let guard = format!(
                    "SELECT CASE WHEN changes() = {rows} THEN 1 ELSE json_extract('{{}}', 'rows') END"
                );
                guarded.push(Statement::plain(reset));
                guarded.push(write);
                guarded.push(Statement::plain(guard));
            }
            _ if write.returning => return Err(SqlError::NotAtomic),
            _ => guarded.push(write),
        }
    }
    Ok(guarded)
}

fn is_dml(verb: &Verb) -> bool {
    matches!(verb, Verb::Insert | Verb::Update | Verb::Delete)
}

fn has_variable_in_items(scanned: &Scanned<'_>) -> bool {
    let mut variables = scanned.variables.iter();
    variables.any(|variable| {
        scanned
            .items
            .iter()
            .any(|item| item.contains(&variable.start))
    })
}

/// Each placeholder by its number, so that an expression with one may be written twice.
fn number_variables(scanned: &Scanned<'_>) -> Result<Option<String>, SqlError> {
    let numbers: Vec<_> = numbers(scanned)?
        .iter()
        .map(|number| format!("?{number}"))
        .collect();
    Ok(rewrite_variables(scanned.text, |place| {
        Some(("", numbers.get(place)?, ""))
    }))
}

impl<'a> Statement<'a> {
    /// Text without values or rows.
    pub(crate) fn plain(sql: impl Into<Cow<'a, str>>) -> Self {
        Statement {
            sql: sql.into(),
            binds: Vec::new(),
            returning: false,
            counted: false,
            insert_rows: InsertRows::Unknown,
            inlinable: false,
            table: None,
            encodings: Vec::new(),
            names: Vec::new(),
        }
    }

    /// A write without its values, of which those that are volatile are replaced.
    fn shape(
        scanned: &Scanned<'a>,
        binds: &mut [Bind<'_>],
        types: Option<&[RqliteType]>,
        entropy: &mut impl Entropy,
    ) -> Result<Self, SqlError> {
        let stores = is_dml(&scanned.verb) || scanned.verb == Verb::CreateTableAs;
        if !stores || !scanned.suspicious {
            return Statement::of(scanned, types);
        }
        let found = volatile::find(scanned.text);
        pin_time_values(scanned, &found, binds, entropy)?;
        if found.values.is_empty() {
            return Statement::of(scanned, types);
        }
        let text = pin(scanned.text, &found, entropy)?;
        Ok(Statement::of(&scan_one(&text)?, types)?.into_owned())
    }

    fn of(scanned: &Scanned<'a>, types: Option<&[RqliteType]>) -> Result<Self, SqlError> {
        let mut statement = Statement::plain(scanned.text);
        statement.insert_rows = scanned.insert_rows;
        let table = scanned.insert_into.clone();
        statement.table = table.map(|range| scanned.text[range].to_owned());
        statement.counted = is_dml(&scanned.verb);
        statement.inlinable =
            scanned.verb == Verb::Insert && !scanned.selects && !scanned.returning;
        if scanned.returning {
            statement.returning = true;
            let numbered = match has_variable_in_items(scanned) {
                true => number_variables(scanned)?,
                false => None,
            };
            statement.encode(match numbered {
                Some(text) => results::returning(&scan_one(&text)?, types)?,
                None => results::returning(scanned, types)?,
            });
        }
        Ok(statement)
    }

    fn encode(&mut self, encoded: Encoded) {
        self.sql = Cow::Owned(encoded.sql);
        self.encodings = encoded.encodings;
        self.names = encoded.names;
    }

    /// Gives the values, and puts SQL around the placeholders of those that JSON can't carry.
    fn bind(&mut self, mut binds: Vec<Bind<'a>>) {
        if self.inlinable && binds.len() >= WORTH_IT {
            let (sql, left) = inline(&self.sql, binds);
            binds = left;
            if let Some(sql) = sql {
                self.sql = Cow::Owned(sql);
            }
        }
        if binds.iter().any(|bind| carrier(bind).is_some()) {
            let numbers = scan_one(&self.sql).and_then(|scanned| numbers(&scanned));
            let numbers = numbers.unwrap_or_default();
            let rewritten = rewrite_variables(&self.sql, |place| {
                let bind = binds.get(numbers.get(place)?.checked_sub(1)?)?;
                let (before, behind) = carrier(bind)?;
                Some((before, "", behind))
            });
            if let Some(sql) = rewritten {
                self.sql = Cow::Owned(sql);
            }
        }
        self.binds = binds;
    }

    pub(crate) fn into_owned(self) -> Statement<'static> {
        Statement {
            sql: Cow::Owned(self.sql.into_owned()),
            binds: self.binds.into_iter().map(Bind::into_owned).collect(),
            returning: self.returning,
            counted: self.counted,
            insert_rows: self.insert_rows,
            inlinable: self.inlinable,
            table: self.table,
            encodings: self.encodings,
            names: self.names,
        }
    }

    /// The rows it writes unless it fails, where its text tells; else 0.
    pub(crate) fn known_rows(&self) -> usize {
        match self.insert_rows {
            InsertRows::Exactly(rows) => rows,
            InsertRows::Unknown => 0,
        }
    }

    fn push_json(&self, body: &mut Vec<u8>) {
        body.push(b'[');
        push_json(body, &*self.sql);
        for bind in &self.binds {
            body.push(b',');
            match bind {
                Bind::Null => body.extend_from_slice(b"null"),
                Bind::Integer(value) => push_json(body, value),
                Bind::Real(value) if value.is_infinite() => {
                    push_json(body, &f64::MAX.copysign(*value));
                }
                // NaN becomes `null`: SQLite stores NULL for it.
                Bind::Real(value) => push_json(body, value),
                Bind::Text(value) if looks_like_blob(value) => {
                    push_json(body, &format!("_{value}"))
                }
                Bind::Text(value) => push_json(body, &**value),
                Bind::Binary(value) => push_hex(body, value),
                // An object or array in brackets, a string in quotes: never mistaken for a BLOB.
                #[cfg(feature = "serde_json")]
                Bind::Jsonb(value) => push_json(body, &**value),
            }
        }
        body.push(b']');
    }
}

/// Values of JSON's own kinds can be written to memory without an error.
fn push_json<T: serde::Serialize + ?Sized>(body: &mut Vec<u8>, value: &T) {
    let written = serde_json::to_writer(&mut *body, value);
    debug_assert!(written.is_ok());
}

fn push_hex(body: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    body.reserve(2 * bytes.len() + 2);
    body.push(b'"');
    for byte in bytes {
        body.push(DIGITS[usize::from(byte >> 4)]);
        body.push(DIGITS[usize::from(byte & 15)]);
    }
    body.push(b'"');
}

/// The SQL before and behind the placeholder of a value that JSON can't carry as it is.
///
/// * BLOBs as byte arrays exist since 8.31 only; `unhex()` is faster than them and than a literal.
/// * Servers since 8.31 read the string `"x'41'"` as a BLOB; with one character in front it stays text.
/// * JSON has no infinity; ten times the greatest double is one.
fn carrier(bind: &Bind<'_>) -> Option<(&'static str, &'static str)> {
    match bind {
        Bind::Binary(_) => Some(("unhex(", ")")),
        Bind::Text(text) if looks_like_blob(text) => Some(("substr(", ",2)")),
        Bind::Real(value) if value.is_infinite() => Some(("(", "*10)")),
        #[cfg(feature = "serde_json")]
        Bind::Jsonb(_) => Some(("jsonb(", ")")),
        _ => None,
    }
}

/// rqlite/db/state.go, ParseHex: white space around, either case, pairs of digits.
fn looks_like_blob(text: &str) -> bool {
    // Nearly every text is told by its first byte.
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

/// A value `now` bound as the time value of a date function is evaluated by every node for itself.
fn pin_time_values(
    scanned: &Scanned<'_>,
    found: &Found,
    binds: &mut [Bind<'_>],
    entropy: &impl Entropy,
) -> Result<(), SqlError> {
    const REFUSED: SqlError = SqlError::Volatile("a bound 'now'");
    let numbers = numbers(scanned)?;
    let text = |bind: Option<&Bind<'_>>| match bind {
        Some(Bind::Text(text)) => text.to_ascii_lowercase(),
        _ => String::new(),
    };
    for place in &found.in_time_values {
        if text(binds.get(numbers[*place] - 1)) == "now" {
            return Err(REFUSED);
        }
    }
    for place in &found.time_values {
        let number = numbers[*place];
        let bound = text(binds.get(number - 1));
        let uses = numbers.iter().filter(|other| **other == number).count();
        if volatile::is_subsecond(&bound) || (bound == "now" && uses > 1) {
            return Err(REFUSED);
        }
        if bound == "now" {
            binds[number - 1] = Bind::Text(Cow::Owned(timestamp(entropy.now())));
        }
    }
    Ok(())
}

/// Replaces each placeholder by `before + name + behind`, an empty name being its own. `None`: nothing to do.
fn rewrite_variables<'r>(
    sql: &str,
    replacement: impl Fn(usize) -> Option<(&'r str, &'r str, &'r str)>,
) -> Option<String> {
    let tokens = Tokens::new(sql).map_while(Result::ok);
    let variables = tokens.filter(|token| token.kind == TokenKind::Variable);
    let mut rewritten = String::new();
    let mut copied = 0;
    for (place, variable) in variables.enumerate() {
        let own = &sql[variable.range.clone()];
        let Some((before, name, behind)) = replacement(place) else {
            continue;
        };
        let name = if name.is_empty() { own } else { name };
        rewritten.push_str(&sql[copied..variable.range.start]);
        rewritten.push_str(before);
        rewritten.push_str(name);
        rewritten.push_str(behind);
        copied = variable.range.end;
    }
    if copied == 0 {
        return None;
    }
    rewritten.push_str(&sql[copied..]);
    Some(rewritten)
}

impl<'a> Read<'a> {
    fn new(scanned: &Scanned<'a>, binds: Vec<Bind<'a>>) -> Result<Self, SqlError> {
        check_count(scanned, binds.len())?;
        Ok(Read {
            text: scanned.text,
            binds,
            wrappable: results::is_wrappable(scanned),
        })
    }

    /// As written.
    pub(crate) fn plain(&self) -> Statement<'a> {
        self.with(Statement::plain(self.text))
    }

    /// For columns of known types.
    pub(crate) fn typed(&self, types: &[RqliteType]) -> Result<Statement<'a>, SqlError> {
        let encoded = results::typed_query(&scan_one(self.text)?, types);
        Ok(self.encoded(encoded))
    }

    /// Exact for every value, with the names of its columns.
    pub(crate) fn tagged(&self, names: Vec<String>) -> Statement<'a> {
        self.encoded(results::tagged(self.text, names))
    }

    /// No rows, but its columns.
    pub(crate) fn columns(&self) -> Statement<'a> {
        let sql = format!("SELECT * FROM ({}) LIMIT 0", self.text);
        self.with(Statement::plain(sql))
    }

    fn encoded(&self, encoded: Encoded) -> Statement<'a> {
        let mut statement = Statement::plain("");
        statement.encode(encoded);
        self.with(statement)
    }

    fn with(&self, mut statement: Statement<'a>) -> Statement<'a> {
        statement.bind(self.binds.clone());
        statement
    }
}

/// The request that runs a query whose columns the client knows.
pub(crate) fn query(statement: &Statement<'_>) -> Exchange {
    Exchange {
        endpoint: Endpoint::Query,
        body: body(std::slice::from_ref(statement)),
    }
}

/// The request that runs raw SQL. Its answer is the last of two: after a change of the schema, the first read
/// on each of a node's connections still has the old columns, and `SELECT *` shows values under wrong names.
pub(crate) fn raw_query(statement: Statement<'_>) -> Exchange {
    let schema = Statement::plain("SELECT 1 FROM sqlite_master LIMIT 1");
    Exchange {
        endpoint: Endpoint::Query,
        body: body(&[schema, statement]),
    }
}

/// The request that runs writes.
pub(crate) fn execute(batch: &Batch<'_>) -> Exchange {
    Exchange {
        endpoint: Endpoint::Execute {
            transaction: batch.atomic,
            returning: batch.statements.iter().any(|statement| statement.returning),
        },
        body: body(&batch.statements),
    }
}

fn body(statements: &[Statement<'_>]) -> Bytes {
    let size = |statement: &Statement<'_>| statement.sql.len() + 16 * statement.binds.len() + 8;
    let mut body = Vec::with_capacity(statements.iter().map(size).sum::<usize>() + 2);
    for (place, statement) in statements.iter().enumerate() {
        body.push(if place == 0 { b'[' } else { b',' });
        statement.push_json(&mut body);
    }
    body.push(b']');
    body.into()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    struct Fixed;

    impl Entropy for Fixed {
        fn now(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH
        }

        fn random(&mut self) -> u64 {
            7
        }
    }

    fn plan<'a>(sql: &'a str, binds: Vec<Bind<'a>>, source: Source) -> Result<Plan<'a>, SqlError> {
        Plan::new(sql, binds, source, None, &mut Fixed)
    }

    fn sent(sql: &str, binds: Vec<Bind<'_>>) -> String {
        let exchange = match plan(sql, binds, Source::Script).expect("plans") {
            Plan::Write(batch) => execute(&batch),
            other => panic!("no write: {other:?}"),
        };
        String::from_utf8(exchange.body.to_vec()).expect("UTF-8")
    }

    fn text(text: &str) -> Bind<'_> {
        Bind::Text(Cow::Borrowed(text))
    }

    #[test]
    fn values_json_can_not_carry() {
        let binds = vec![
            Bind::Binary(Cow::Borrowed(&[0, 255])),
            text("x'41'"),
            text(" X'4' "),
            Bind::Real(f64::NEG_INFINITY),
            Bind::Real(f64::NAN),
            Bind::Real(1.0),
            Bind::Integer(i64::MIN),
            Bind::Null,
        ];
        assert_eq!(
            sent("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?, ?)", binds),
            r#"[["INSERT INTO t VALUES (unhex(?), substr(?,2), ?, (?*10), ?, ?, ?, ?)","00FF","_x'41'"," X'4' ",-1.7976931348623157e+308,null,1.0,-9223372036854775808,null]]"#
        );
    }

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

    #[test]
    fn a_rendered_batch_is_one_atomic_request() {
        let script = "BEGIN;\nINSERT INTO t (a) VALUES (?1) ON CONFLICT DO UPDATE SET b = ?3;\n\
                      INSERT INTO t (a, b) VALUES (?2, 1) ON CONFLICT DO UPDATE SET b = ?3;\nCOMMIT;\n";
        let binds = vec![
            Bind::Integer(1),
            Bind::Binary(Cow::Borrowed(&[2])),
            Bind::Integer(3),
        ];
        assert_eq!(
            sent(script, binds),
            r#"[["INSERT INTO t (a) VALUES (?) ON CONFLICT DO UPDATE SET b = ?",1,3],["INSERT INTO t (a, b) VALUES (unhex(?), 1) ON CONFLICT DO UPDATE SET b = ?","02",3]]"#
        );
    }

    #[test]
    fn several_statements_with_returning_are_guarded() {
        let script = "BEGIN; INSERT INTO \"t\" (a) VALUES (1), (2) RETURNING a; \
                      INSERT INTO \"t\" DEFAULT VALUES RETURNING a; COMMIT";
        let Ok(Plan::Write(batch)) = Plan::new(
            script,
            Vec::new(),
            Source::Query,
            Some(&[RqliteType::Long]),
            &mut Fixed,
        ) else {
            panic!("no writes");
        };
        let sqls: Vec<_> = batch.statements.iter().map(|write| &*write.sql).collect();
        assert_eq!(
            sqls,
            [
                "DELETE FROM \"t\" WHERE 0",
                "INSERT INTO \"t\" (a) VALUES (1), (2) RETURNING +a",
                "SELECT CASE WHEN changes() = 2 THEN 1 ELSE json_extract('{}', 'rows') END",
                "DELETE FROM \"t\" WHERE 0",
                "INSERT INTO \"t\" DEFAULT VALUES RETURNING +a",
                "SELECT CASE WHEN changes() = 1 THEN 1 ELSE json_extract('{}', 'rows') END",
            ]
        );
        let skipping = "BEGIN; INSERT OR IGNORE INTO t (a) VALUES (1) RETURNING a; INSERT INTO t DEFAULT VALUES; COMMIT";
        assert_eq!(
            plan(skipping, Vec::new(), Source::Query),
            Err(SqlError::NotAtomic)
        );
    }

    #[test]
    fn placeholders_are_counted_as_sqlite_does() {
        let count = |sql: &str| {
            let found = statements(sql).expect("scans");
            placeholders(&found[0])
        };
        assert_eq!(count("SELECT ?, ?"), Ok(2));
        assert_eq!(count("SELECT ?2, ?1, ?2"), Ok(2));
        assert_eq!(count("SELECT ?5, ?"), Ok(6));
        assert_eq!(count("SELECT :a, :b, :a, @a"), Ok(3));
        assert_eq!(count("SELECT '?', \"?\", 1 -- ?"), Ok(0));
        for sql in ["SELECT ?0", "SELECT ?99999999999999999999999"] {
            assert_eq!(count(sql), Err(SqlError::PlaceholderNumber));
        }
        assert_eq!(
            plan(
                "INSERT INTO t VALUES (?, ?)",
                vec![Bind::Null],
                Source::Query
            ),
            Err(SqlError::Placeholders {
                wanted: 2,
                given: 1
            })
        );
    }

    #[test]
    fn what_must_not_leave_the_client() {
        let refused = |sql| plan(sql, Vec::new(), Source::Query).expect_err(sql);
        assert_eq!(refused(""), SqlError::Empty);
        assert_eq!(refused(" ; -- c\n;"), SqlError::Empty);
        assert_eq!(refused("SELECT 1; SELECT 2"), SqlError::Several);
        assert!(matches!(refused("BEGIN"), SqlError::TransactionControl(_)));
        assert!(matches!(
            refused("/**/ RELEASE x"),
            SqlError::TransactionControl(_)
        ));
        assert!(matches!(refused("ATTACH 'a' AS b"), SqlError::Refused(..)));
        assert!(matches!(
            refused("PRAGMA main.journal_mode=DELETE"),
            SqlError::Refused(..)
        ));
        assert_eq!(refused("SELECT '\0'"), SqlError::Nul);
        assert_eq!(
            plan("-- nothing\n", Vec::new(), Source::Script),
            Ok(Plan::Write(Batch {
                statements: Vec::new(),
                atomic: false
            }))
        );
    }

    /// Random texts of SQL's own pieces: whatever they are, they are refused or sent, without a panic.
    #[test]
    fn no_text_panics() {
        const PIECES: [&str; 56] = [
            "SELECT",
            "INSERT INTO",
            "t",
            "VALUES",
            "(",
            ")",
            ",",
            ";",
            "?",
            "?1",
            "?0",
            "?99999999999999999999",
            ":a",
            "'",
            "\"",
            "`",
            "[",
            "]",
            "--",
            "\n",
            "/*",
            "*/",
            "RETURNING",
            "*",
            "x'41'",
            "1",
            ".",
            "e+",
            "WITH",
            "AS",
            "ON CONFLICT",
            "DO NOTHING",
            "WHERE",
            "BEGIN",
            "COMMIT",
            "CREATE TRIGGER",
            "END",
            "CASE",
            "random(",
            "randomblob(",
            "datetime(",
            "'now'",
            "strftime(",
            "CURRENT_TIMESTAMP",
            "ORDER BY",
            "LIMIT",
            "UNION",
            "ß",
            "🦀",
            "EXPLAIN",
            "PRAGMA",
            "UPDATE",
            "DELETE FROM",
            "DEFAULT VALUES",
            "\0",
            " ",
        ];
        let mut state = 1_u64;
        let mut next = |below: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap_or_default() % below
        };
        let types = [RqliteType::Text, RqliteType::Binary, RqliteType::Double];
        for _ in 0..20_000 {
            let mut sql = String::new();
            for _ in 0..next(14) {
                sql.push_str(PIECES[next(PIECES.len())]);
                if next(3) > 0 {
                    sql.push(' ');
                }
            }
            let binds = vec![Bind::Binary(Cow::Borrowed(&[1])); next(3)];
            for source in [Source::Query, Source::Script] {
                let types = (next(2) == 0).then_some(&types[..next(4)]);
                if let Ok(Plan::Read(read)) =
                    Plan::new(&sql, binds.clone(), source, types, &mut Fixed)
                {
                    let _ = read.typed(types.unwrap_or_default());
                }
            }
        }
    }

    #[test]
    fn a_bound_now_is_pinned() {
        assert_eq!(
            sent(
                "UPDATE t SET a = datetime(?, ?), b = ?",
                vec![text("NOW"), text("+1 day"), text("now")]
            ),
            r#"[["UPDATE t SET a = datetime(?, ?), b = ?","1970-01-01 00:00:00.000","+1 day","now"]]"#
        );
    }
}
