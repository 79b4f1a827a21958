//! Parses a text in one pass over its tokens: its statements, and the kind of each.

use std::borrow::Cow;
use std::ops::Range;

use crate::error::{Position, SqlError};
use crate::functions::{self, Classes};
use crate::keyword::Keyword;
use crate::parsed::{Clauses, Form, Parsed, unquoted};
use crate::token::{Raw, Token, TokenKind, Tokenizer, tokens};

/// Splits a text at its semicolons. Empty statements are dropped: on servers before 9.3.13 they make a node loop for
/// ever. Errors include their position in the text.
///
/// # Errors
///
/// Returns an error if the text is not SQL: an unclosed quote, parentheses that do not match, a NUL, or a statement
/// that begins like none of SQLite's.
pub fn parse(sql: &str) -> Result<Vec<Parsed<'_>>, SqlError> {
    let mut found = Vec::new();
    let mut lines = Lines::default();
    // The server passes SQL to SQLite as a C string, so it would run the text up to this point.
    if let Some(at) = sql.find('\0') {
        return Err(SqlError::Nul.at(lines.position(sql.as_bytes(), 1, at)));
    }
    let mut builder = Builder::default();
    let mut tokenizer = Tokenizer::new(sql.as_bytes());
    loop {
        let number = found.len() + 1;
        let raw = match tokenizer.next_token() {
            Ok(Some(raw)) => raw,
            Ok(None) => break,
            Err(error) => {
                return Err(error.at(lines.position(sql.as_bytes(), number, tokenizer.at)));
            }
        };
        if builder.is_end(&raw) {
            let builder = std::mem::take(&mut builder);
            found.extend(builder.finish_in(sql, number, &mut lines)?);
        } else {
            builder.push(sql.as_bytes(), &raw)?;
        }
    }
    let number = found.len() + 1;
    found.extend(builder.finish_in(sql, number, &mut lines)?);
    Ok(found)
}

/// Parses a piece of SQL that need not be a statement, such as an expression or a name.
///
/// # Errors
///
/// Returns the errors of [`tokens`].
pub fn fragment(sql: &str) -> Result<Parsed<'_>, SqlError> {
    let tokens = tokens(sql)?;
    let mut builder = Builder::default();
    for token in tokens {
        builder.look(sql.as_bytes(), token);
        builder.tokens.push(token);
    }
    Ok(Parsed {
        text: Cow::Borrowed(sql),
        tokens: builder.tokens.into(),
        position: Position {
            statement: 1,
            line: 1,
        },
        form: Form::Select,
        clauses: builder.clauses.into(),
        classes: builder.classes,
    })
}

/// Counts lines, from one position in a text to a later one.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    before: usize,
    at: usize,
}

impl Lines {
    pub(crate) fn position(&mut self, sql: &[u8], statement: usize, at: usize) -> Position {
        let between = sql.get(self.at..at).unwrap_or_default();
        self.before += between.iter().filter(|byte| **byte == b'\n').count();
        self.at = self.at.max(at);
        Position {
            statement,
            line: self.before + 1,
        }
    }
}

/// The clause that the pass is in, outside of parentheses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Clause {
    #[default]
    Other,
    /// The next name is that of the table that is written.
    Table,
    /// The expressions of SELECT or RETURNING.
    Items,
    /// The rows after VALUES.
    Rows,
    OnConflict,
}

/// The kind of object that is created. `CREATE TRIGGER … BEGIN a; b; END` is one statement: it ends at `; END ;`, as
/// in SQLite's `complete.c`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Create {
    /// Nothing, or an object that needs no special treatment.
    #[default]
    No,
    /// Not known yet.
    Begun,
    Table,
    Trigger,
    TriggerSemicolon,
    TriggerEnd,
}

/// Builds one statement from its tokens, in order.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    tokens: Vec<Token>,
    /// The start of the first token.
    pub(crate) start: usize,
    form: Option<Form>,
    /// Set if `WITH` has been read and the keyword of the actual statement has not.
    with: bool,
    create: Create,
    depth: usize,
    unbalanced: bool,
    clause: Clause,
    item_start: Option<usize>,
    clauses: Clauses,
    classes: Classes,
}

impl Builder {
    /// Returns whether a token ends the statement.
    pub(crate) fn is_end(&self, raw: &Raw) -> bool {
        raw.kind == TokenKind::Semicolon
            && !matches!(self.create, Create::Trigger | Create::TriggerSemicolon)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Adds a token of `sql`, the text that contains the statement.
    pub(crate) fn push(&mut self, sql: &[u8], raw: &Raw) -> Result<(), SqlError> {
        if self.tokens.is_empty() {
            self.start = raw.range.start;
        }
        let token = raw.token(sql, self.start)?;
        let sql = &sql[self.start..];
        self.look(sql, token);
        match token.kind {
            TokenKind::Open => self.open(),
            TokenKind::Close if self.depth == 0 => self.unbalanced = true,
            TokenKind::Close => self.depth -= 1,
            TokenKind::Comma if self.depth == 0 && self.clause == Clause::Items => {
                self.end_item();
                self.item_start = Some(self.tokens.len() + 1);
            }
            TokenKind::Word => self.word(token.keyword),
            TokenKind::Quoted | TokenKind::String => self.name(),
            TokenKind::Semicolon if self.create == Create::Trigger => {
                self.create = Create::TriggerSemicolon;
            }
            _ => {}
        }
        self.tokens.push(token);
        Ok(())
    }

    /// Records what is relevant anywhere: placeholders, functions, subqueries. `sql` begins with the statement.
    fn look(&mut self, sql: &[u8], token: Token) {
        let text = |token: &Token| std::str::from_utf8(&sql[token.range()]).unwrap_or_default();
        match token.kind {
            TokenKind::Variable => {
                let place = u32::try_from(self.tokens.len()).unwrap_or(u32::MAX);
                self.clauses.variables.push(place);
            }
            TokenKind::Open => {
                let named =
                    |token: &&Token| matches!(token.kind, TokenKind::Word | TokenKind::Quoted);
                if let Some(name) = self.tokens.last().filter(named) {
                    self.classes |= functions::classes_of(unquoted(text(name)));
                }
            }
            TokenKind::Word | TokenKind::Quoted => {
                self.classes |= match token.keyword {
                    Some(
                        Keyword::CurrentDate | Keyword::CurrentTime | Keyword::CurrentTimestamp,
                    ) => Classes::TIME,
                    Some(_) => Classes::NONE,
                    None => functions::classes_of_table(unquoted(text(&token))),
                };
                self.clauses.selects |= token.keyword == Some(Keyword::Select);
            }
            _ => {}
        }
    }

    fn open(&mut self) {
        if self.clause == Clause::Rows && self.depth == 0 {
            self.clauses.insert_rows += 1;
        }
        self.depth += 1;
    }

    fn end_item(&mut self) {
        if let Some(start) = self.item_start.take() {
            self.clauses.items.push(start..self.tokens.len());
        }
    }

    fn previous(&self) -> Option<&Token> {
        self.tokens.last()
    }

    fn previous_is(&self, kind: TokenKind) -> bool {
        self.previous().is_some_and(|token| token.kind == kind)
    }

    fn previous_keyword_is(&self, keyword: Keyword) -> bool {
        self.previous()
            .is_some_and(|token| token.keyword == Some(keyword))
    }

    /// Handles a name outside of parentheses, which may be that of the table that is written: `"main"."t"`.
    fn name(&mut self) {
        if self.clause != Clause::Table || self.depth > 0 {
            return;
        }
        let place = self.tokens.len();
        match &mut self.clauses.table {
            Some(table)
                if table.end + 1 == place && self.tokens[table.end].kind == TokenKind::Dot =>
            {
                table.end = place + 1;
                self.clause = Clause::Other;
            }
            Some(_) => self.clause = Clause::Other,
            none => *none = Some(place..place + 1),
        }
    }

    fn word(&mut self, keyword: Option<Keyword>) {
        self.created(keyword);
        if self.previous_is(TokenKind::Dot) {
            return self.name();
        }
        if self.depth > 0 {
            return;
        }
        if self.form.is_none() {
            self.leading_word(keyword);
        } else {
            self.clause_word(keyword);
        }
    }

    fn created(&mut self, keyword: Option<Keyword>) {
        self.create = match (self.create, keyword) {
            (Create::Begun, Some(Keyword::Trigger)) => Create::Trigger,
            (Create::Begun, Some(Keyword::Table)) => Create::Table,
            (Create::Begun, Some(Keyword::Temp | Keyword::Temporary)) => Create::Begun,
            (Create::Begun, _) => Create::No,
            (Create::Table, Some(Keyword::As)) if self.depth == 0 => {
                self.form = Some(Form::CreateTableAs);
                Create::No
            }
            (Create::TriggerSemicolon, Some(Keyword::End)) => Create::TriggerEnd,
            (Create::TriggerSemicolon | Create::TriggerEnd, _) => Create::Trigger,
            (state, _) => state,
        };
    }

    fn leading_word(&mut self, keyword: Option<Keyword>) {
        // `WITH replace(a) AS (…) SELECT …`: the tables end with a parenthesis, and the keyword follows it.
        let may_begin = match self.with {
            true => self.previous_is(TokenKind::Close),
            false => self.tokens.is_empty(),
        };
        if !may_begin {
            return;
        }
        let Some(keyword) = keyword else {
            return;
        };
        let form = match keyword {
            Keyword::Select => {
                self.start_items();
                Form::Select
            }
            Keyword::Values => Form::Select,
            Keyword::Insert | Keyword::Replace => Form::Insert,
            Keyword::Update => {
                self.clause = Clause::Table;
                Form::Update
            }
            Keyword::Delete => Form::Delete,
            _ if self.with => return,
            Keyword::With => {
                self.with = true;
                return;
            }
            Keyword::Explain => Form::Explain,
            Keyword::Pragma => Form::Pragma,
            Keyword::Begin => Form::Begin,
            Keyword::Commit | Keyword::End => Form::Commit,
            Keyword::Rollback | Keyword::Savepoint | Keyword::Release => Form::Savepoint,
            Keyword::Vacuum => Form::Vacuum,
            Keyword::Attach | Keyword::Detach => Form::Attach,
            Keyword::Create => {
                self.create = Create::Begun;
                Form::Schema
            }
            Keyword::Drop | Keyword::Alter | Keyword::Analyze | Keyword::Reindex => Form::Schema,
            _ => return,
        };
        self.form = Some(form);
    }

    fn start_items(&mut self) {
        self.clause = Clause::Items;
        self.item_start = Some(self.tokens.len() + 1);
    }

    /// Handles a word outside of parentheses after the leading one.
    fn clause_word(&mut self, keyword: Option<Keyword>) {
        let form = self.form;
        if form == Some(Form::Select) {
            self.clauses.is_ordered |= keyword == Some(Keyword::Order);
            if keyword == Some(Keyword::Limit) {
                self.clauses.limit = Some(self.tokens.len());
            }
        }
        if self.clause == Clause::Table && !self.is_conflict_clause(keyword) {
            self.name();
        }
        let Some(keyword) = keyword else {
            return;
        };
        let is_insert = form == Some(Form::Insert);
        match (self.clause, keyword) {
            (Clause::Items, _) if self.clauses.returning.is_some() => {}
            (Clause::Items, Keyword::Distinct | Keyword::All)
                if self.previous_keyword_is(Keyword::Select) =>
            {
                self.item_start = Some(self.tokens.len() + 1);
            }
            (Clause::Items, keyword) if ends_items(keyword) => {
                self.end_item();
                self.clause = Clause::Other;
            }
            (_, Keyword::Into) if is_insert && self.clauses.table.is_none() => {
                self.clause = Clause::Table;
            }
            (_, Keyword::From) if form == Some(Form::Delete) && self.clauses.table.is_none() => {
                self.clause = Clause::Table;
            }
            (_, Keyword::Ignore) if is_insert && self.previous_keyword_is(Keyword::Or) => {
                self.clauses.skips_rows = true;
            }
            (Clause::Other | Clause::Table, Keyword::Values) if is_insert => {
                self.clauses.insert_rows += usize::from(self.previous_keyword_is(Keyword::Default));
                self.clause = Clause::Rows;
            }
            (_, Keyword::Conflict) if is_insert && self.previous_keyword_is(Keyword::On) => {
                self.clause = Clause::OnConflict;
                self.clauses.upserts = true;
            }
            (Clause::OnConflict, Keyword::Nothing | Keyword::Where) => {
                self.clauses.skips_rows = true;
            }
            (_, Keyword::Returning) if form.is_some_and(Form::writes_rows) => {
                self.clauses.returning = Some(self.tokens.len());
                self.start_items();
            }
            _ => {}
        }
    }

    /// Returns whether this is a conflict clause, as in `UPDATE OR IGNORE t`, and not the name of a table.
    fn is_conflict_clause(&self, keyword: Option<Keyword>) -> bool {
        self.clauses.table.is_none()
            && (keyword == Some(Keyword::Or) || self.previous_keyword_is(Keyword::Or))
    }

    fn finish_in<'a>(
        self,
        sql: &'a str,
        number: usize,
        lines: &mut Lines,
    ) -> Result<Option<Parsed<'a>>, SqlError> {
        if self.is_empty() {
            return Ok(None);
        }
        let position = lines.position(sql.as_bytes(), number, self.start);
        let text = Cow::Borrowed(&sql[self.bytes()]);
        self.finish(text, position).map(Some)
    }

    /// Returns the range of the statement in the text of its tokens.
    pub(crate) fn bytes(&self) -> Range<usize> {
        let end = self.tokens.last().map_or(0, |token| token.end as usize);
        self.start..self.start + end
    }

    /// Returns the statement, with its own text.
    pub(crate) fn finish(
        mut self,
        text: Cow<'_, str>,
        position: Position,
    ) -> Result<Parsed<'_>, SqlError> {
        if self.unbalanced || self.depth != 0 {
            return Err(SqlError::Unbalanced.at(position));
        }
        self.end_item();
        let Some(form) = self.form else {
            return Err(self.no_statement(&text).at(position));
        };
        Ok(Parsed {
            text,
            tokens: self.tokens.into(),
            position,
            form,
            clauses: self.clauses.into(),
            classes: self.classes,
        })
    }

    fn no_statement(&self, text: &str) -> SqlError {
        match self.tokens.first() {
            Some(first) if !self.with => SqlError::NoStatement(text[first.range()].to_owned()),
            _ => SqlError::Incomplete,
        }
    }
}

fn ends_items(keyword: Keyword) -> bool {
    matches!(
        keyword,
        Keyword::From
            | Keyword::Where
            | Keyword::Group
            | Keyword::Having
            | Keyword::Window
            | Keyword::Order
            | Keyword::Limit
            | Keyword::Union
            | Keyword::Intersect
            | Keyword::Except
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parsed::InsertRows;

    fn one(sql: &str) -> Parsed<'_> {
        let mut found = parse(sql).expect("parses");
        assert_eq!(found.len(), 1, "{sql}");
        found.remove(0)
    }

    fn items<'p>(parsed: &'p Parsed<'_>) -> Vec<&'p str> {
        let items = parsed.items().iter();
        items.map(|item| parsed.span(item.clone())).collect()
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
            assert_eq!(one(sql).text(), "SELECT 1", "{sql}");
        }
    }

    #[test]
    fn a_text_without_tokens_has_no_statement() {
        for sql in ["", " ", ";", ";;", "-- c", "/* c */;"] {
            assert_eq!(parse(sql), Ok(Vec::new()), "{sql}");
        }
    }

    #[test]
    fn statements_know_their_lines() {
        let sql =
            "-- a\n\nCREATE TABLE t (\n  a TEXT DEFAULT ';\n'\n); SELECT 1;;\n/* ;\n */ SELECT 2";
        let found = parse(sql).expect("parses");
        let places: Vec<_> = found.iter().map(Parsed::position).collect();
        let at = |statement, line| Position { statement, line };
        assert_eq!(places, [at(1, 3), at(2, 6), at(3, 8)]);
    }

    #[test]
    fn errors_in_a_script_know_their_lines() {
        let said = |sql| parse(sql).expect_err(sql).to_string();
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
    }

    #[test]
    fn what_is_no_statement_is_told_in_the_words_of_sqlite() {
        for (sql, said) in [
            ("invalid", "near \"invalid\": syntax error"),
            ("SELEC 1", "near \"SELEC\": syntax error"),
            ("invalid SELECT 1", "near \"invalid\": syntax error"),
            ("(SELECT 1)", "near \"(\": syntax error"),
            ("\"SELECT\" 1", "near \"\"SELECT\"\": syntax error"),
            ("WITH a AS (SELECT 1)", "incomplete input"),
        ] {
            assert_eq!(parse(sql).expect_err(sql).to_string(), said, "{sql}");
        }
    }

    #[test]
    fn a_trigger_is_one_statement() {
        let sql = "CREATE TEMP TRIGGER t AFTER INSERT ON a BEGIN \
            UPDATE a SET b = CASE WHEN b THEN 1 ELSE 2 END; SELECT 'END;'; END; SELECT 2";
        let found = parse(sql).expect("parses");
        assert_eq!(found.len(), 2);
        assert!(found[0].text().ends_with("END"));
        assert_eq!(found[1].text(), "SELECT 2");
    }

    #[test]
    fn transaction_control_is_told_by_the_first_word_only() {
        assert_eq!(one("begin immediate").form(), Form::Begin);
        assert_eq!(one("/* x */ END").form(), Form::Commit);
        assert_eq!(one("release a").form(), Form::Savepoint);
        assert_eq!(one("INSERT INTO releases VALUES (1)").form(), Form::Insert);
        assert_eq!(one("SELECT 'COMMIT'").form(), Form::Select);
    }

    #[test]
    fn with_takes_the_form_of_what_follows() {
        for (sql, form) in [
            ("WITH a(b) AS (SELECT 1) SELECT b FROM a", Form::Select),
            (
                "WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a",
                Form::Insert,
            ),
            (
                "WITH replace(v) AS (SELECT 1), insert AS (SELECT 2) SELECT v FROM replace",
                Form::Select,
            ),
            (
                "WITH RECURSIVE a AS (VALUES(1)) DELETE FROM t",
                Form::Delete,
            ),
        ] {
            assert_eq!(one(sql).form(), form, "{sql}");
        }
    }

    #[test]
    fn items_of_select_and_returning() {
        let parsed = one("SELECT DISTINCT a, f(b, c) AS d, (SELECT 1 FROM x) -- c\n FROM t, u");
        assert_eq!(items(&parsed), ["a", "f(b, c) AS d", "(SELECT 1 FROM x)"]);
        let parsed = one("INSERT INTO t (a) VALUES (?) RETURNING \"a\", \"b\"");
        assert!(parsed.returns());
        assert_eq!(items(&parsed), ["\"a\"", "\"b\""]);
        assert!(!one("INSERT INTO t VALUES ('RETURNING a')").returns());
        assert!(!one("UPDATE t SET a = t.returning").returns());
    }

    #[test]
    fn rows_of_an_insert() {
        let rows = |sql| one(sql).insert_rows();
        for (sql, wanted) in [
            ("INSERT INTO t VALUES (1, (2)), (3, f(4))", 2),
            ("REPLACE INTO t(a) VALUES (1)", 1),
            ("INSERT INTO t DEFAULT VALUES", 1),
            (
                "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 1",
                1,
            ),
        ] {
            assert_eq!(rows(sql), InsertRows::Exactly(wanted), "{sql}");
        }
        for sql in [
            "INSERT OR IGNORE INTO t VALUES (1)",
            "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING",
            "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 1 WHERE b",
            "INSERT INTO t SELECT * FROM u",
        ] {
            assert_eq!(rows(sql), InsertRows::Unknown, "{sql}");
        }
    }

    #[test]
    fn the_table_that_is_written() {
        for (sql, table, name) in [
            (
                "INSERT INTO \"T\"\"u\" (a) VALUES (1)",
                "\"T\"\"u\"",
                "T\"u",
            ),
            ("INSERT INTO main.t VALUES (1)", "main.t", "t"),
            ("INSERT OR REPLACE INTO t DEFAULT VALUES", "t", "t"),
            ("insert or ignore into main . t SELECT 1", "main . t", "t"),
            ("REPLACE INTO 't' VALUES (1)", "'t'", "t"),
            ("UPDATE OR REPLACE t SET a = 1", "t", "t"),
            ("UPDATE t AS x SET a = 1", "t", "t"),
            ("DELETE FROM [t] WHERE a = 'x'", "[t]", "t"),
            ("WITH u AS (SELECT 1) DELETE FROM t", "t", "t"),
        ] {
            let parsed = one(sql);
            assert_eq!(parsed.table(), Some(table), "{sql}");
            assert_eq!(parsed.table_name().as_deref(), Some(name), "{sql}");
        }
        assert_eq!(one("SELECT a FROM t").table(), None);
    }

    #[test]
    fn what_is_created() {
        for (sql, what, name) in [
            ("CREATE TABLE T (a)", Keyword::Table, "T"),
            (
                "CREATE TABLE /* x */ IF NOT EXISTS main.\"t \"\"u\" (a)",
                Keyword::Table,
                "t \"u",
            ),
            ("CREATE UNIQUE INDEX i ON t (a)", Keyword::Index, "i"),
            ("create temp view [v] AS SELECT 1", Keyword::View, "v"),
            ("CREATE VIRTUAL TABLE f USING fts5(a)", Keyword::Table, "f"),
        ] {
            let created = one(sql).created().expect("creates something");
            assert_eq!((created.what, &*created.name), (Some(what), name), "{sql}");
        }
        assert!(
            one("CREATE TEMP TABLE t (a)")
                .created()
                .expect("creates")
                .is_temporary
        );
        for sql in [
            "CREATE TABLE temp.t (a)",
            "CREATE VIEW \"TEMP\".v AS SELECT 1",
        ] {
            assert!(one(sql).created().expect("creates").is_temporary, "{sql}");
        }
        assert_eq!(one("DROP TABLE t").created(), None);
        for sql in ["DROP TABLE t", "drop view if exists temp.\"t\""] {
            assert_eq!(one(sql).dropped().as_deref(), Some("t"), "{sql}");
        }
        assert_eq!(one("DELETE FROM t").dropped(), None);
    }

    #[test]
    fn a_table_made_from_a_query_is_a_form_of_its_own() {
        for sql in [
            "CREATE TEMP TABLE a AS SELECT 1",
            "CREATE /* x */ TABLE w AS SELECT random() AS v",
        ] {
            assert_eq!(one(sql).form(), Form::CreateTableAs, "{sql}");
        }
        for sql in [
            "CREATE TABLE a (b DEFAULT (1), c AS (b))",
            "CREATE VIEW a AS SELECT random()",
        ] {
            assert_eq!(one(sql).form(), Form::Schema, "{sql}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_blank() {
        assert_eq!(one("\u{feff}BEGIN").form(), Form::Begin);
        assert_eq!(one("\u{feff}SELECT 1").text(), "SELECT 1");
    }

    #[test]
    fn parentheses_must_match() {
        assert_eq!(parse("SELECT (1"), Err(SqlError::Unbalanced));
        assert_eq!(parse("SELECT 1)"), Err(SqlError::Unbalanced));
    }

    #[test]
    fn placeholders_are_counted_as_sqlite_does() {
        let count = |sql| one(sql).numbers().map(|numbers| numbers.into_iter().max());
        assert_eq!(count("SELECT ?, ?"), Ok(Some(2)));
        assert_eq!(count("SELECT ?2, ?1, ?2"), Ok(Some(2)));
        assert_eq!(count("SELECT ?5, ?"), Ok(Some(6)));
        assert_eq!(count("SELECT :a, :b, :a, @a"), Ok(Some(3)));
        assert_eq!(count("SELECT '?', \"?\", 1 -- ?"), Ok(None));
        for sql in ["SELECT ?0", "SELECT ?99999999999999999999999"] {
            assert_eq!(count(sql), Err(SqlError::PlaceholderNumber));
        }
    }
}
