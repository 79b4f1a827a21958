//! One pass over a text: its statements, and what each of them is.

use std::ops::Range;

use super::SqlError;
use super::tokens::{Token, TokenKind, Tokens};

/// What a statement does, by its leading keyword (behind `WITH …`: by the one that follows the tables).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// `SELECT` or `VALUES`: may be wrapped as a subquery.
    Select,
    Insert,
    Update,
    Delete,
    Explain,
    Pragma,
    /// `CREATE`, `DROP`, `ALTER`, `ANALYZE`, `REINDEX`, `VACUUM` and what we do not know.
    Schema,
    /// `BEGIN`
    Begin,
    /// `COMMIT` or `END`
    Commit,
    /// `ROLLBACK`, `SAVEPOINT`, `RELEASE`
    Savepoint(String),
}

/// How many rows an INSERT writes, as far as its text tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InsertRows {
    /// Not an INSERT with VALUES, or one that may skip rows (`OR IGNORE`, `DO NOTHING`, `DO UPDATE … WHERE`).
    Unknown,
    /// Every row is written, or the statement fails.
    Exactly(usize),
}

/// A value that SQLite makes anew on each node that runs the statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Volatile {
    /// `CURRENT_TIMESTAMP`
    Timestamp,
    /// `CURRENT_DATE`
    Date,
    /// `CURRENT_TIME`
    Time,
    /// The literal `'now'` as an argument of a date function.
    Now,
    /// The end of the arguments of a date function that has no time value: `datetime()`.
    ImplicitNow { first: bool },
    /// `random()`
    Random,
    /// `randomblob(n)` with a literal `n`
    RandomBlob(usize),
    /// What can't be replaced by one value.
    Refused(&'static str),
}

/// One statement of a text. All ranges are offsets into `text`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scanned<'a> {
    /// From the first to the last token: no comment around it, no `;` behind it.
    pub(crate) text: &'a str,
    pub(crate) verb: Verb,
    pub(crate) variables: Vec<Range<usize>>,
    /// The expressions behind SELECT of a query, or behind RETURNING of a write.
    pub(crate) items: Vec<Range<usize>>,
    pub(crate) returning: bool,
    pub(crate) insert_rows: InsertRows,
    /// The table of an INSERT, as written.
    pub(crate) insert_into: Option<Range<usize>>,
    pub(crate) volatile: Vec<(Range<usize>, Volatile)>,
    /// The variables that are direct arguments of a date function: bound to `now` they are volatile too.
    pub(crate) time_variables: Vec<usize>,
}

/// Splits a text at its semicolons. Empty statements are dropped: on servers before 9.3.13 they make a node
/// loop for ever.
pub(crate) fn statements(sql: &str) -> Result<Vec<Scanned<'_>>, SqlError> {
    // The server hands SQL to SQLite as a C string, which would run the text up to here.
    if sql.contains('\0') {
        return Err(SqlError::Nul);
    }
    let mut found = Vec::new();
    let mut scan = Scan::new(sql);
    for token in Tokens::new(sql) {
        let token = token?;
        if token.kind == TokenKind::Semicolon && scan.ends_here() {
            found.extend(std::mem::replace(&mut scan, Scan::new(sql)).finish()?);
        } else {
            scan.token(token);
        }
    }
    found.extend(scan.finish()?);
    Ok(found)
}

/// What stands between a `(` and its `)`.
#[derive(Debug, Default)]
struct Frame {
    call: Call,
    order_by: bool,
    arguments: usize,
    empty: bool,
    /// A literal argument as a number, for `randomblob(16)`.
    number: Option<usize>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Call {
    #[default]
    None,
    /// `date(`, `time(`, `datetime(`, `julianday(`, `unixepoch(`, `timediff(`
    Time,
    /// `strftime(`, whose first argument is a format
    Strftime,
    Random,
    RandomBlob,
}

/// Where in the statement the scan is, at depth 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clause {
    Other,
    /// Behind `INSERT INTO`: the next name is the table.
    Into,
    /// The expressions of SELECT or RETURNING.
    Items,
    /// The rows behind VALUES.
    Rows,
    OnConflict,
}

struct Scan<'a> {
    sql: &'a str,
    tokens: usize,
    start: usize,
    end: usize,
    verb: Option<Verb>,
    /// `WITH` was seen, the keyword of the statement proper not yet.
    with: bool,
    trigger: Trigger,
    previous: Option<Token>,
    frames: Vec<Frame>,
    unbalanced: bool,
    clause: Clause,
    item_start: Option<usize>,
    skips_rows: bool,
    rows: usize,
    out: Out,
}

#[derive(Default)]
struct Out {
    variables: Vec<Range<usize>>,
    items: Vec<Range<usize>>,
    returning: bool,
    insert_into: Option<Range<usize>>,
    volatile: Vec<(Range<usize>, Volatile)>,
    time_variables: Vec<usize>,
}

/// `CREATE TRIGGER … BEGIN a; b; END` is one statement: it ends at `; END ;`, as in SQLite's `complete.c`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trigger {
    No,
    Create,
    Body,
    BodySemicolon,
    End,
}

impl<'a> Scan<'a> {
    fn new(sql: &'a str) -> Self {
        Scan {
            sql,
            tokens: 0,
            start: 0,
            end: 0,
            verb: None,
            with: false,
            trigger: Trigger::No,
            previous: None,
            frames: vec![Frame::default()],
            unbalanced: false,
            clause: Clause::Other,
            item_start: None,
            skips_rows: false,
            rows: 0,
            out: Out::default(),
        }
    }

    fn ends_here(&self) -> bool {
        !matches!(self.trigger, Trigger::Body | Trigger::BodySemicolon)
    }

    fn depth(&self) -> usize {
        self.frames.len() - 1
    }

    fn token(&mut self, token: Token) {
        if self.tokens == 0 {
            self.start = token.range.start;
        }
        self.tokens += 1;
        match token.kind {
            TokenKind::Open => self.open(&token),
            TokenKind::Close => self.close(&token),
            TokenKind::Comma => self.comma(&token),
            TokenKind::Word => self.word(&token),
            TokenKind::Variable => self.variable(&token),
            TokenKind::String => self.string(&token),
            TokenKind::Number => self.number(&token),
            TokenKind::Quoted => self.name(&token),
            TokenKind::Semicolon if self.trigger == Trigger::Body => {
                self.trigger = Trigger::BodySemicolon;
            }
            _ => {}
        }
        if !matches!(token.kind, TokenKind::Open | TokenKind::Comma) {
            self.frame().empty = false;
        }
        self.end = token.range.end;
        self.previous = Some(token);
    }

    fn frame(&mut self) -> &mut Frame {
        if self.frames.is_empty() {
            self.frames.push(Frame::default());
        }
        let last = self.frames.len() - 1;
        &mut self.frames[last]
    }

    fn open(&mut self, token: &Token) {
        if self.clause == Clause::Rows && self.depth() == 0 {
            self.rows += 1;
        }
        let call = match &self.previous {
            Some(name) if matches!(name.kind, TokenKind::Word | TokenKind::Quoted) => {
                call_of(unquoted(&self.sql[name.range.clone()]))
            }
            _ => Call::None,
        };
        if call != Call::None
            && let Some(name) = self.previous.clone()
        {
            self.volatile_call(call, name.range.start..token.range.end);
        }
        let order_by = self.frame().order_by;
        self.frames.push(Frame {
            call,
            order_by,
            empty: true,
            ..Frame::default()
        });
    }

    fn volatile_call(&mut self, call: Call, range: Range<usize>) {
        let ordered = self.frame().order_by;
        match call {
            Call::Random if ordered => self
                .out
                .volatile
                .push((range, Volatile::Refused("ORDER BY random()"))),
            Call::Random => self.out.volatile.push((range, Volatile::Random)),
            Call::RandomBlob => self.out.volatile.push((range, Volatile::RandomBlob(0))),
            _ => {}
        }
    }

    fn close(&mut self, token: &Token) {
        if self.depth() == 0 {
            self.unbalanced = true;
            return;
        }
        let Some(frame) = self.frames.pop() else {
            return;
        };
        let given = frame.arguments + usize::from(!frame.empty);
        match frame.call {
            Call::Random | Call::RandomBlob => {
                if let Some((range, volatile)) =
                    self.out.volatile.iter_mut().rev().find(|(_, volatile)| {
                        matches!(volatile, Volatile::Random | Volatile::RandomBlob(0))
                    })
                {
                    range.end = token.range.end;
                    if frame.call == Call::RandomBlob {
                        *volatile = match (given, frame.number) {
                            (1, Some(length)) => Volatile::RandomBlob(length),
                            _ => Volatile::Refused("randomblob() with a computed length"),
                        };
                    }
                }
            }
            Call::Time if given == 0 => self.implicit_now(token, true),
            Call::Strftime if given == 1 => self.implicit_now(token, false),
            _ => {}
        }
    }

    fn implicit_now(&mut self, token: &Token, first: bool) {
        let at = token.range.start;
        self.out
            .volatile
            .push((at..at, Volatile::ImplicitNow { first }));
    }

    fn comma(&mut self, token: &Token) {
        self.frame().arguments += 1;
        self.frame().empty = true;
        if self.depth() == 0 && self.clause == Clause::Items {
            self.end_item();
            self.item_start = Some(token.range.end);
        }
    }

    fn end_item(&mut self) {
        if let Some(start) = self.item_start.take() {
            let text = &self.sql[start..self.end];
            let blanks = text.len() - text.trim_start().len();
            self.out.items.push(start + blanks..self.end);
        }
    }

    fn variable(&mut self, token: &Token) {
        if self.is_time_value() {
            self.out.time_variables.push(self.out.variables.len());
        }
        self.out.variables.push(token.range.clone());
    }

    fn string(&mut self, token: &Token) {
        let text = &self.sql[token.range.clone()];
        if self.is_time_value() && text.eq_ignore_ascii_case("'now'") {
            self.out.volatile.push((token.range.clone(), Volatile::Now));
        }
    }

    /// Whether the next token is a whole time value of a date function: `datetime('now')`, `strftime(f, 'now')`.
    fn is_time_value(&mut self) -> bool {
        match self.frame().call {
            Call::Time => true,
            Call::Strftime => self.frame().arguments == 1,
            _ => false,
        }
    }

    fn number(&mut self, token: &Token) {
        let value = self.sql[token.range.clone()].parse().ok();
        let frame = self.frame();
        frame.number = if frame.empty { value } else { None };
    }

    fn name(&mut self, token: &Token) {
        if self.clause == Clause::Into && self.depth() == 0 {
            match &mut self.out.insert_into {
                // "main"."t"
                Some(range)
                    if self
                        .previous
                        .as_ref()
                        .is_some_and(|p| p.kind == TokenKind::Dot) =>
                {
                    range.end = token.range.end;
                    self.clause = Clause::Other;
                }
                None => self.out.insert_into = Some(token.range.clone()),
                Some(_) => self.clause = Clause::Other,
            }
        }
    }

    fn word(&mut self, token: &Token) {
        let sql = self.sql;
        let word = &sql[token.range.clone()];
        let after_dot = self
            .previous
            .as_ref()
            .is_some_and(|previous| previous.kind == TokenKind::Dot);
        self.trigger_word(word);
        if after_dot {
            return self.name(token);
        }
        self.current_time(word, token);
        if self.verb.is_none() && self.depth() == 0 {
            return self.leading_word(word, token);
        }
        if is(word, "BY") && self.previous_word_is("ORDER") {
            self.frame().order_by = true;
        } else if is(word, "LIMIT") {
            self.frame().order_by = false;
        }
        if self.depth() == 0 {
            self.clause_word(word, token);
        }
    }

    fn previous_word_is(&self, wanted: &str) -> bool {
        self.previous
            .as_ref()
            .is_some_and(|token| is(&self.sql[token.range.clone()], wanted))
    }

    fn trigger_word(&mut self, word: &str) {
        self.trigger = match self.trigger {
            Trigger::Create if is(word, "TRIGGER") => Trigger::Body,
            Trigger::Create if is(word, "TEMP") || is(word, "TEMPORARY") => Trigger::Create,
            Trigger::Create => Trigger::No,
            Trigger::BodySemicolon if is(word, "END") => Trigger::End,
            Trigger::BodySemicolon | Trigger::End => Trigger::Body,
            state => state,
        };
    }

    fn current_time(&mut self, word: &str, token: &Token) {
        let volatile = match word.len() {
            17 if is(word, "CURRENT_TIMESTAMP") => Volatile::Timestamp,
            12 if is(word, "CURRENT_DATE") => Volatile::Date,
            12 if is(word, "CURRENT_TIME") => Volatile::Time,
            _ => return,
        };
        self.out.volatile.push((token.range.clone(), volatile));
    }

    fn leading_word(&mut self, word: &str, token: &Token) {
        let verb = match word.to_ascii_uppercase().as_str() {
            "WITH" => {
                self.with = true;
                return;
            }
            "SELECT" => Verb::Select,
            "VALUES" => Verb::Select,
            "INSERT" | "REPLACE" => Verb::Insert,
            "UPDATE" => Verb::Update,
            "DELETE" => Verb::Delete,
            _ if self.with => return,
            "EXPLAIN" => Verb::Explain,
            "PRAGMA" => Verb::Pragma,
            "BEGIN" => Verb::Begin,
            "COMMIT" | "END" => Verb::Commit,
            control @ ("ROLLBACK" | "SAVEPOINT" | "RELEASE") => Verb::Savepoint(control.to_owned()),
            "CREATE" => {
                self.trigger = Trigger::Create;
                Verb::Schema
            }
            _ => Verb::Schema,
        };
        if is(word, "SELECT") {
            self.start_items(token);
        }
        self.verb = Some(verb);
    }

    fn start_items(&mut self, token: &Token) {
        self.clause = Clause::Items;
        self.item_start = Some(token.range.end);
    }

    /// A keyword at depth 0 behind the leading one.
    fn clause_word(&mut self, word: &str, token: &Token) {
        let insert = self.verb == Some(Verb::Insert);
        if self.clause == Clause::Into {
            self.name(token);
        }
        match self.clause {
            Clause::Items if self.out.returning => {}
            Clause::Items
                if self.previous_word_is("SELECT") && (is(word, "DISTINCT") || is(word, "ALL")) =>
            {
                self.item_start = Some(token.range.end);
            }
            Clause::Items if ends_items(word) => {
                self.end_item();
                self.clause = Clause::Other;
            }
            _ if insert && is(word, "INTO") && self.out.insert_into.is_none() => {
                self.clause = Clause::Into;
            }
            _ if insert && is(word, "IGNORE") && self.previous_word_is("OR") => {
                self.skips_rows = true;
            }
            _ if insert && is(word, "VALUES") && self.clause == Clause::Other => {
                self.rows += usize::from(self.previous_word_is("DEFAULT"));
                self.clause = Clause::Rows;
            }
            _ if insert && is(word, "CONFLICT") && self.previous_word_is("ON") => {
                self.clause = Clause::OnConflict;
            }
            Clause::OnConflict if is(word, "NOTHING") || is(word, "WHERE") => {
                self.skips_rows = true;
            }
            _ if is(word, "RETURNING") && self.is_write() => {
                self.out.returning = true;
                self.start_items(token);
            }
            _ => {}
        }
    }

    fn is_write(&self) -> bool {
        matches!(self.verb, Some(Verb::Insert | Verb::Update | Verb::Delete))
    }

    fn finish(mut self) -> Result<Option<Scanned<'a>>, SqlError> {
        if self.tokens == 0 {
            return Ok(None);
        }
        if self.unbalanced || self.depth() != 0 {
            return Err(SqlError::Unbalanced);
        }
        self.end_item();
        let start = self.start;
        let shift = |range: Range<usize>| range.start - start..range.end - start;
        let insert_rows = match self.rows {
            0 => InsertRows::Unknown,
            _ if self.skips_rows => InsertRows::Unknown,
            rows => InsertRows::Exactly(rows),
        };
        Ok(Some(Scanned {
            text: &self.sql[start..self.end],
            verb: self.verb.unwrap_or(Verb::Schema),
            variables: self.out.variables.into_iter().map(shift).collect(),
            items: self.out.items.into_iter().map(shift).collect(),
            returning: self.out.returning,
            insert_rows,
            insert_into: self.out.insert_into.map(shift),
            volatile: self
                .out
                .volatile
                .into_iter()
                .map(|(range, volatile)| (shift(range), volatile))
                .collect(),
            time_variables: self.out.time_variables,
        }))
    }
}

fn is(word: &str, keyword: &str) -> bool {
    word.eq_ignore_ascii_case(keyword)
}

/// The name inside `"…"`, `` `…` `` or `[…]`; SQLite also calls functions by a quoted name.
pub(crate) fn unquoted(name: &str) -> &str {
    match name.as_bytes().first() {
        Some(b'"' | b'`' | b'[') if name.len() > 1 => &name[1..name.len() - 1],
        _ => name,
    }
}

fn call_of(name: &str) -> Call {
    const TIME: [&str; 6] = [
        "date",
        "time",
        "datetime",
        "julianday",
        "unixepoch",
        "timediff",
    ];
    if !(4..=10).contains(&name.len()) {
        Call::None
    } else if is(name, "random") {
        Call::Random
    } else if is(name, "randomblob") {
        Call::RandomBlob
    } else if is(name, "strftime") {
        Call::Strftime
    } else if TIME.iter().any(|time| is(name, time)) {
        Call::Time
    } else {
        Call::None
    }
}

fn ends_items(word: &str) -> bool {
    const ENDS: [&str; 10] = [
        "FROM",
        "WHERE",
        "GROUP",
        "HAVING",
        "WINDOW",
        "ORDER",
        "LIMIT",
        "UNION",
        "INTERSECT",
        "EXCEPT",
    ];
    ENDS.iter().any(|end| is(word, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(sql: &str) -> Scanned<'_> {
        let mut found = statements(sql).expect("scans");
        assert_eq!(found.len(), 1, "{sql}");
        found.remove(0)
    }

    fn items<'a>(scanned: &Scanned<'a>) -> Vec<&'a str> {
        scanned
            .items
            .iter()
            .map(|range| &scanned.text[range.clone()])
            .collect()
    }

    #[test]
    fn comments_semicolons_and_blanks_around_a_statement_are_dropped() {
        for sql in [
            "SELECT 1",
            "SELECT 1;",
            ";; SELECT 1 ;;",
            "-- a\nSELECT 1 -- b",
            "/* a */ SELECT 1; -- b",
        ] {
            assert_eq!(one(sql).text, "SELECT 1", "{sql}");
        }
    }

    #[test]
    fn a_text_without_tokens_has_no_statement() {
        for sql in ["", " ", ";", ";;", "-- c", "/* c */;"] {
            assert_eq!(statements(sql), Ok(Vec::new()), "{sql}");
        }
    }

    #[test]
    fn a_trigger_is_one_statement() {
        let sql = "CREATE TEMP TRIGGER t AFTER INSERT ON a BEGIN \
            UPDATE a SET b = CASE WHEN b THEN 1 ELSE 2 END; SELECT 'END;'; END; SELECT 2";
        let found = statements(sql).expect("scans");
        assert_eq!(found.len(), 2);
        assert!(found[0].text.ends_with("END"));
        assert_eq!(found[1].text, "SELECT 2");
    }

    #[test]
    fn transaction_control_is_told_by_the_first_word_only() {
        assert_eq!(one("begin immediate").verb, Verb::Begin);
        assert_eq!(one("/* x */ END").verb, Verb::Commit);
        assert_eq!(one("release a").verb, Verb::Savepoint("RELEASE".to_owned()));
        assert_eq!(one("INSERT INTO releases VALUES (1)").verb, Verb::Insert);
        assert_eq!(one("SELECT 'COMMIT'").verb, Verb::Select);
    }

    #[test]
    fn with_takes_the_verb_of_what_follows() {
        assert_eq!(
            one("WITH a(b) AS (SELECT 1) SELECT b FROM a").verb,
            Verb::Select
        );
        assert_eq!(
            one("WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a").verb,
            Verb::Insert
        );
        assert_eq!(
            one("WITH RECURSIVE a AS (VALUES(1)) DELETE FROM t").verb,
            Verb::Delete
        );
    }

    #[test]
    fn items_of_select_and_returning() {
        let scanned = one("SELECT DISTINCT a, f(b, c) AS d, (SELECT 1 FROM x) FROM t, u");
        assert_eq!(items(&scanned), ["a", "f(b, c) AS d", "(SELECT 1 FROM x)"]);
        let scanned = one("INSERT INTO t (a) VALUES (?) RETURNING \"a\", \"b\"");
        assert!(scanned.returning);
        assert_eq!(items(&scanned), ["\"a\"", "\"b\""]);
        assert!(!one("INSERT INTO t VALUES ('RETURNING a')").returning);
    }

    #[test]
    fn rows_of_an_insert() {
        let rows = |sql| one(sql).insert_rows;
        assert_eq!(
            rows("INSERT INTO t VALUES (1, (2)), (3, f(4))"),
            InsertRows::Exactly(2)
        );
        assert_eq!(rows("REPLACE INTO t(a) VALUES (1)"), InsertRows::Exactly(1));
        assert_eq!(rows("INSERT INTO t DEFAULT VALUES"), InsertRows::Exactly(1));
        assert_eq!(
            rows("INSERT OR IGNORE INTO t VALUES (1)"),
            InsertRows::Unknown
        );
        assert_eq!(
            rows("INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING"),
            InsertRows::Unknown
        );
        assert_eq!(
            rows("INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 1"),
            InsertRows::Exactly(1)
        );
        assert_eq!(
            rows("INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 1 WHERE b"),
            InsertRows::Unknown
        );
        assert_eq!(rows("INSERT INTO t SELECT * FROM u"), InsertRows::Unknown);
    }

    #[test]
    fn the_table_of_an_insert() {
        let table = |sql: &'static str| {
            let scanned = one(sql);
            scanned.insert_into.map(|range| &scanned.text[range])
        };
        assert_eq!(table("INSERT INTO \"t\" (a) VALUES (1)"), Some("\"t\""));
        assert_eq!(table("INSERT INTO main.t VALUES (1)"), Some("main.t"));
        assert_eq!(table("INSERT OR REPLACE INTO t DEFAULT VALUES"), Some("t"));
    }

    #[test]
    fn volatile_values_are_found_where_they_are_meant() {
        let found = |sql: &'static str| -> Vec<Volatile> {
            one(sql)
                .volatile
                .into_iter()
                .map(|(_, kind)| kind)
                .collect()
        };
        assert_eq!(
            found("INSERT INTO t VALUES (CURRENT_TIMESTAMP, random(), randomblob(16))"),
            [
                Volatile::Timestamp,
                Volatile::Random,
                Volatile::RandomBlob(16)
            ]
        );
        assert_eq!(
            found(
                "UPDATE t SET a = datetime('now', '+1 day'), b = unixepoch(), c = strftime('%s')"
            ),
            [
                Volatile::Now,
                Volatile::ImplicitNow { first: true },
                Volatile::ImplicitNow { first: false }
            ]
        );
        assert_eq!(
            found("UPDATE t SET a = 'now', b = 'random()', current = \"CURRENT_TIME\""),
            []
        );
        assert_eq!(found("UPDATE t SET a = date(b), c = t.current_date"), []);
        assert_eq!(
            found("DELETE FROM t WHERE a IN (SELECT a FROM t ORDER BY random() LIMIT 1)"),
            [Volatile::Refused("ORDER BY random()")]
        );
    }

    #[test]
    fn parentheses_must_match() {
        assert_eq!(statements("SELECT (1"), Err(SqlError::Unbalanced));
        assert_eq!(statements("SELECT 1)"), Err(SqlError::Unbalanced));
    }
}
