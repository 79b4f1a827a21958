//! One pass over a text: its statements, and what each of them is.

use std::ops::Range;

use super::tokens::{Token, TokenKind, Tokens};
use super::{Position, SqlError};

/// What a statement does, by its leading keyword (behind `WITH …`: by the one that follows the tables).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// `SELECT` or `VALUES`: may be wrapped as a subquery.
    Select,
    Insert,
    Update,
    Delete,
    /// `CREATE TABLE … AS SELECT …`
    CreateTableAs,
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

/// One statement of a text. All ranges are offsets into `text`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scanned<'a> {
    /// From the first to the last token: no comment around it, no `;` behind it.
    pub(crate) text: &'a str,
    pub(crate) position: Position,
    pub(crate) verb: Verb,
    pub(crate) variables: Vec<Range<usize>>,
    /// The expressions behind SELECT of a query, or behind RETURNING of a write.
    pub(crate) items: Vec<Range<usize>>,
    pub(crate) returning: bool,
    pub(crate) insert_rows: InsertRows,
    /// The table of an INSERT, as written.
    pub(crate) insert_into: Option<Range<usize>>,
    /// `ON CONFLICT`: it may write no new row.
    pub(crate) upserts: bool,
    /// `SELECT` stands in it somewhere.
    pub(crate) selects: bool,
    /// A name stands in it that may be one of [`super::volatile`].
    pub(crate) suspicious: bool,
    /// It asks for what the connection did last: `changes()`, `last_insert_rowid()`.
    pub(crate) counters: bool,
    /// It asks for something that is each node's own: its version of SQLite, its statistics.
    pub(crate) local: bool,
    /// Where RETURNING stands.
    pub(crate) returning_at: Option<usize>,
    /// A query's own ORDER BY, not one of a subquery.
    pub(crate) ordered: bool,
    /// Where a query's own LIMIT stands.
    pub(crate) limit_at: Option<usize>,
}

/// Splits a text at its semicolons. Empty statements are dropped: on servers before 9.3.13 they make a node
/// loop for ever.
pub(crate) fn statements(sql: &str) -> Result<Vec<Scanned<'_>>, SqlError> {
    script(sql).map_err(SqlError::bare)
}

/// The same, with errors that say where in the text they are.
pub(crate) fn script(sql: &str) -> Result<Vec<Scanned<'_>>, SqlError> {
    let mut found = Vec::new();
    let mut lines = Lines::default();
    // The server hands SQL to SQLite as a C string, which would run the text up to here.
    if let Some(at) = sql.find('\0') {
        return Err(SqlError::Nul.at(lines.position(sql, 1, at)));
    }
    let mut scan = Scan::new(sql);
    let mut tokens = Tokens::new(sql);
    while let Some(token) = tokens.next() {
        let number = found.len() + 1;
        let token = token.map_err(|error| error.at(lines.position(sql, number, tokens.at)))?;
        if token.kind == TokenKind::Semicolon && scan.ends_here() {
            let scan = std::mem::replace(&mut scan, Scan::new(sql));
            found.extend(scan.finish(number, &mut lines)?);
        } else {
            scan.token(token);
        }
    }
    let number = found.len() + 1;
    found.extend(scan.finish(number, &mut lines)?);
    Ok(found)
}

/// Counts lines, from one place in a text to a later one.
#[derive(Default)]
struct Lines {
    before: usize,
    at: usize,
}

impl Lines {
    fn position(&mut self, sql: &str, statement: usize, at: usize) -> Position {
        let between = sql.as_bytes().get(self.at..at).unwrap_or_default();
        self.before += between.iter().filter(|byte| **byte == b'\n').count();
        self.at = self.at.max(at);
        Position {
            statement,
            line: self.before + 1,
        }
    }
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
    create: Create,
    previous: Option<Token>,
    depth: usize,
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
    upserts: bool,
    suspicious: bool,
    selects: bool,
    counters: bool,
    local: bool,
    returning_at: Option<usize>,
    ordered: bool,
    limit_at: Option<usize>,
}

/// What is created. `CREATE TRIGGER … BEGIN a; b; END` is one statement: it ends at `; END ;`, as in SQLite's
/// `complete.c`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Create {
    /// Nothing, or what is like any other statement.
    No,
    /// Not known yet.
    Begun,
    Table,
    Trigger,
    TriggerSemicolon,
    TriggerEnd,
}

impl Verb {
    /// INSERT, UPDATE or DELETE.
    pub(crate) fn writes_rows(&self) -> bool {
        matches!(self, Verb::Insert | Verb::Update | Verb::Delete)
    }
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
            create: Create::No,
            previous: None,
            depth: 0,
            unbalanced: false,
            clause: Clause::Other,
            item_start: None,
            skips_rows: false,
            rows: 0,
            out: Out::default(),
        }
    }

    fn ends_here(&self) -> bool {
        !matches!(self.create, Create::Trigger | Create::TriggerSemicolon)
    }

    fn token(&mut self, token: Token) {
        if self.tokens == 0 {
            self.start = token.range.start;
        }
        self.tokens += 1;
        match token.kind {
            TokenKind::Open => self.open(),
            TokenKind::Close if self.depth == 0 => self.unbalanced = true,
            TokenKind::Close => self.depth -= 1,
            TokenKind::Comma => self.comma(&token),
            TokenKind::Word => self.word(&token),
            TokenKind::Variable => self.out.variables.push(token.range.clone()),
            TokenKind::Quoted => self.quoted(&token),
            TokenKind::Semicolon if self.create == Create::Trigger => {
                self.create = Create::TriggerSemicolon;
            }
            _ => {}
        }
        self.end = token.range.end;
        self.previous = Some(token);
    }

    fn open(&mut self) {
        if self.clause == Clause::Rows && self.depth == 0 {
            self.rows += 1;
        }
        self.depth += 1;
    }

    fn comma(&mut self, token: &Token) {
        if self.depth == 0 && self.clause == Clause::Items {
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

    fn quoted(&mut self, token: &Token) {
        let name = unquoted(&self.sql[token.range.clone()]);
        self.out.suspicious |= is_suspicious(name);
        self.out.counters |= is_counter(name);
        self.out.local |= is_local(name);
        self.name(token);
    }

    fn name(&mut self, token: &Token) {
        if self.clause == Clause::Into && self.depth == 0 {
            let after_dot = self.previous_is(TokenKind::Dot);
            match &mut self.out.insert_into {
                // "main"."t"
                Some(range) if after_dot => {
                    range.end = token.range.end;
                    self.clause = Clause::Other;
                }
                None => self.out.insert_into = Some(token.range.clone()),
                Some(_) => self.clause = Clause::Other,
            }
        }
    }

    fn word(&mut self, token: &Token) {
        let word = &self.sql[token.range.clone()];
        self.out.suspicious |= is_suspicious(word);
        self.out.counters |= is_counter(word);
        self.out.local |= is_local(word);
        self.out.selects |= is(word, "SELECT");
        self.created(word);
        if self.previous_is(TokenKind::Dot) {
            self.name(token);
        } else if self.depth == 0 && self.verb.is_none() {
            self.leading_word(word, token);
        } else if self.depth == 0 {
            self.clause_word(word, token);
        }
    }

    fn previous_is(&self, kind: TokenKind) -> bool {
        self.previous
            .as_ref()
            .is_some_and(|token| token.kind == kind)
    }

    fn previous_word_is(&self, wanted: &str) -> bool {
        self.previous
            .as_ref()
            .is_some_and(|token| is(&self.sql[token.range.clone()], wanted))
    }

    fn created(&mut self, word: &str) {
        self.create = match self.create {
            Create::Begun if is(word, "TRIGGER") => Create::Trigger,
            Create::Begun if is(word, "TABLE") => Create::Table,
            Create::Begun if is(word, "TEMP") || is(word, "TEMPORARY") => Create::Begun,
            Create::Begun => Create::No,
            Create::Table if is(word, "AS") && self.depth == 0 => {
                self.verb = Some(Verb::CreateTableAs);
                Create::No
            }
            Create::TriggerSemicolon if is(word, "END") => Create::TriggerEnd,
            Create::TriggerSemicolon | Create::TriggerEnd => Create::Trigger,
            state => state,
        };
    }

    fn leading_word(&mut self, word: &str, token: &Token) {
        // `WITH replace(a) AS (…) SELECT …`: the tables end with a parenthesis, the keyword follows it.
        if self.with && !self.previous_is(TokenKind::Close) {
            return;
        }
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
                self.create = Create::Begun;
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
        if self.verb == Some(Verb::Select) {
            self.out.ordered |= is(word, "ORDER");
            if is(word, "LIMIT") {
                self.out.limit_at = Some(token.range.start);
            }
        }
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
                self.out.upserts = true;
            }
            Clause::OnConflict if is(word, "NOTHING") || is(word, "WHERE") => {
                self.skips_rows = true;
            }
            _ if is(word, "RETURNING") && self.is_write() => {
                self.out.returning = true;
                self.out.returning_at = Some(token.range.start);
                self.start_items(token);
            }
            _ => {}
        }
    }

    fn is_write(&self) -> bool {
        matches!(self.verb, Some(Verb::Insert | Verb::Update | Verb::Delete))
    }

    fn finish(mut self, number: usize, lines: &mut Lines) -> Result<Option<Scanned<'a>>, SqlError> {
        if self.tokens == 0 {
            return Ok(None);
        }
        let position = lines.position(self.sql, number, self.start);
        if self.unbalanced || self.depth != 0 {
            return Err(SqlError::Unbalanced.at(position));
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
            position,
            verb: self.verb.unwrap_or(Verb::Schema),
            variables: self.out.variables.into_iter().map(shift).collect(),
            items: self.out.items.into_iter().map(shift).collect(),
            returning: self.out.returning,
            insert_rows,
            insert_into: self.out.insert_into.map(shift),
            upserts: self.out.upserts,
            selects: self.out.selects,
            suspicious: self.out.suspicious,
            counters: self.out.counters,
            local: self.out.local,
            returning_at: self.out.returning_at.map(|at| at - start),
            ordered: self.out.ordered,
            limit_at: self.out.limit_at.map(|at| at - start),
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

pub(crate) fn scan_one(text: &str) -> Result<Scanned<'_>, SqlError> {
    statements(text)?.pop().ok_or(SqlError::Empty)
}

/// The names of what a node evaluates for itself.
fn is_suspicious(name: &str) -> bool {
    const NAMES: [&str; 12] = [
        "date",
        "time",
        "random",
        "datetime",
        "strftime",
        "timediff",
        "unixepoch",
        "julianday",
        "randomblob",
        "current_date",
        "current_time",
        "current_timestamp",
    ];
    name.len() >= 4 && NAMES.iter().any(|suspicious| is(name, suspicious))
}

fn is_counter(name: &str) -> bool {
    is(name, "changes") || is(name, "last_insert_rowid")
}

pub(super) fn is_local(name: &str) -> bool {
    const LOCAL: [&str; 10] = [
        "pragma_",
        "sqlite_compileoption_",
        "sqlite_dbpage",
        "sqlite_offset",
        "sqlite_source_id",
        "sqlite_stat",
        "sqlite_version",
        "dbstat",
        "rootpage",
        "total_changes",
    ];
    const OF_SCHEMA: [&str; 3] = ["pragma_table_", "pragma_index_", "pragma_foreign_key_list"];
    let starts = |start: &&str| {
        let beginning = name.get(..start.len());
        beginning.is_some_and(|beginning| is(beginning, start))
    };
    LOCAL.iter().any(starts) && !OF_SCHEMA.iter().any(starts)
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
    fn statements_know_their_lines() {
        let sql =
            "-- a\n\nCREATE TABLE t (\n  a TEXT DEFAULT ';\n'\n); SELECT 1;;\n/* ;\n */ SELECT 2";
        let found = script(sql).expect("scans");
        let places: Vec<_> = found.iter().map(|found| found.position).collect();
        let at = |statement, line| Position { statement, line };
        assert_eq!(places, [at(1, 3), at(2, 6), at(3, 8)]);
    }

    #[test]
    fn errors_in_a_script_know_their_lines() {
        let said = |sql| script(sql).expect_err(sql).to_string();
        assert_eq!(
            said("SELECT 1;\nSELECT 2;\nSELECT 'a"),
            "the SQL text has an unclosed ' (statement 3, line 3)"
        );
        assert_eq!(
            said("SELECT 1;\n\nSELECT (2;\nSELECT 3"),
            "unbalanced parentheses in the SQL text (statement 2, line 3)"
        );
        assert_eq!(
            said("SELECT 1; SELECT 'a"),
            "the SQL text has an unclosed '"
        );
        assert_eq!(
            statements("SELECT 1;\nSELECT (2"),
            Err(SqlError::Unbalanced)
        );
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
            one("WITH replace(v) AS (SELECT 1), insert AS (SELECT 2) SELECT v FROM replace").verb,
            Verb::Select
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
    fn a_table_made_from_a_query_is_a_verb_of_its_own() {
        assert_eq!(
            one("CREATE TEMP TABLE a AS SELECT 1").verb,
            Verb::CreateTableAs
        );
        assert_eq!(
            one("CREATE TABLE a (b DEFAULT (1), c AS (b))").verb,
            Verb::Schema
        );
        assert_eq!(one("CREATE VIEW a AS SELECT random()").verb, Verb::Schema);
    }

    #[test]
    fn a_byte_order_mark_is_blank() {
        assert_eq!(one("\u{feff}BEGIN").verb, Verb::Begin);
        assert_eq!(one("\u{feff}SELECT 1").text, "SELECT 1");
    }

    #[test]
    fn parentheses_must_match() {
        assert_eq!(statements("SELECT (1"), Err(SqlError::Unbalanced));
        assert_eq!(statements("SELECT 1)"), Err(SqlError::Unbalanced));
    }
}
