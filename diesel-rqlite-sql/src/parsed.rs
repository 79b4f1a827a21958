//! A statement that has been parsed once, and the queries on it.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use crate::error::{Position, SqlError};
use crate::functions::{Classes, function_named};
use crate::keyword::Keyword;
use crate::token::{Token, TokenKind};

/// The kind of a statement, by its leading keyword. After `WITH …` it is the keyword that follows the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `SELECT` or `VALUES`, which may be wrapped as a subquery.
    Select,
    /// `INSERT` or `REPLACE`
    Insert,
    /// `UPDATE`
    Update,
    /// `DELETE`
    Delete,
    /// `CREATE TABLE … AS SELECT …`
    CreateTableAs,
    /// `EXPLAIN`
    Explain,
    /// `PRAGMA`
    Pragma,
    /// `VACUUM`
    Vacuum,
    /// `ATTACH` or `DETACH`
    Attach,
    /// `CREATE`, `DROP`, `ALTER`, `ANALYZE`, `REINDEX`.
    Schema,
    /// `BEGIN`
    Begin,
    /// `COMMIT` or `END`
    Commit,
    /// `ROLLBACK`, `SAVEPOINT`, `RELEASE`
    Savepoint,
}

impl Form {
    /// Returns whether this is INSERT, UPDATE or DELETE.
    pub fn writes_rows(self) -> bool {
        matches!(self, Form::Insert | Form::Update | Form::Delete)
    }

    /// Returns whether the statement stores the values of expressions.
    pub fn stores(self) -> bool {
        self.writes_rows() || self == Form::CreateTableAs
    }

    /// Returns whether this is transaction control.
    pub fn is_control(self) -> bool {
        matches!(self, Form::Begin | Form::Commit | Form::Savepoint)
    }
}

/// The number of rows that an INSERT writes, as far as its text tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsertRows {
    /// Unknown: the statement is not an INSERT with VALUES, or it may skip rows (`OR IGNORE`, `DO NOTHING`, `DO
    /// UPDATE … WHERE`).
    Unknown,
    /// Every row is written, or the statement fails.
    Exactly(usize),
}

/// The positions of a statement's clauses, as token indexes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Clauses {
    pub(crate) variables: Vec<u32>,
    pub(crate) items: Vec<Range<usize>>,
    pub(crate) returning: Option<usize>,
    pub(crate) limit: Option<usize>,
    pub(crate) is_ordered: bool,
    pub(crate) insert_rows: usize,
    pub(crate) skips_rows: bool,
    pub(crate) table: Option<Range<usize>>,
    pub(crate) upserts: bool,
    pub(crate) selects: bool,
}

/// One statement of a text, from its first to its last token. It has no comment around it and no `;` after it.
///
/// The tokens are found once, when the statement is parsed. All later questions about the statement are answered by
/// this value. Clones share the tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed<'a> {
    pub(crate) text: Cow<'a, str>,
    pub(crate) tokens: Arc<[Token]>,
    pub(crate) position: Position,
    pub(crate) form: Form,
    pub(crate) clauses: Arc<Clauses>,
    pub(crate) classes: Classes,
}

impl<'a> Parsed<'a> {
    /// Returns the text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the text with the lifetime of the text it was parsed from.
    pub fn shared_text(&self) -> Cow<'a, str> {
        self.text.clone()
    }

    /// Converts the statement into its text.
    pub fn into_text(self) -> String {
        self.text.into_owned()
    }

    /// Returns the position of the statement in its script.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Returns the kind of the statement.
    pub fn form(&self) -> Form {
        self.form
    }

    /// Returns the classes of the functions that the statement may call.
    pub fn classes(&self) -> Classes {
        self.classes
    }

    /// Returns the function about the connection's last actions that the statement calls, if there is one.
    pub fn connection_function(&self) -> Option<&'static str> {
        if !self.classes.contains(Classes::CONNECTION) {
            return None;
        }
        let mut names = (0..self.tokens.len()).filter(|place| {
            self.kind(place + 1) == Some(TokenKind::Open)
                && matches!(self.kind(*place), Some(TokenKind::Word | TokenKind::Quoted))
        });
        names.find_map(|place| {
            let function = function_named(unquoted(self.at(place)))?;
            function
                .class
                .contains(Classes::CONNECTION)
                .then_some(function.name)
        })
    }

    /// Returns what decides how many rows a write finds, as far as names tell. Returns `None` for an INSERT of given
    /// rows.
    pub fn decisive(&self) -> Option<Decisive> {
        let selects = self.selects();
        let inserts = matches!(self.keyword(0), Some(Keyword::Insert | Keyword::Replace));
        if inserts && !selects {
            return None;
        }
        let find = |keyword| {
            let mut places = 0..self.tokens.len();
            places.find(|place| self.tokens[*place].keyword == Some(keyword))
        };
        let condition = find(Keyword::Where);
        let set = find(Keyword::Set).unwrap_or(self.tokens.len());
        let decides =
            |place| selects || place < set || condition.is_some_and(|condition| place > condition);
        Some(Decisive {
            names: self.names(decides),
            is_conditional: condition.is_some() || selects,
        })
    }

    /// Returns the tokens.
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// Returns how many rows an INSERT writes.
    pub fn insert_rows(&self) -> InsertRows {
        match self.clauses.insert_rows {
            0 => InsertRows::Unknown,
            _ if self.clauses.skips_rows => InsertRows::Unknown,
            rows => InsertRows::Exactly(rows),
        }
    }

    /// Returns the table that an INSERT, UPDATE or DELETE writes, as written in the text.
    pub fn table(&self) -> Option<&str> {
        let table = self.clauses.table.clone()?;
        Some(self.span(table))
    }

    /// Returns the table that the statement writes, without quotes and without the database's name.
    pub fn table_name(&self) -> Option<String> {
        let table = self.clauses.table.clone()?;
        let name = table.end.checked_sub(1)?;
        Some(unescaped(self.at(name)))
    }

    /// Returns the object that a `CREATE` creates.
    pub fn created(&self) -> Option<Created> {
        if !self.is(0, Keyword::Create) {
            return None;
        }
        let mut created = Created {
            what: None,
            is_temporary: false,
            is_virtual: false,
            name: String::new(),
        };
        let mut place = 1;
        loop {
            match self.keyword(place)? {
                Keyword::Temp | Keyword::Temporary => created.is_temporary = true,
                Keyword::Virtual => created.is_virtual = true,
                Keyword::Unique => {}
                what => {
                    created.what = Some(what);
                    break;
                }
            }
            place += 1;
        }
        place += 1;
        if self.is(place, Keyword::If) {
            place += 3;
        }
        if self.kind(place + 1) == Some(TokenKind::Dot) {
            let schema = unescaped(self.at(place));
            created.is_temporary |= schema.eq_ignore_ascii_case("temp");
            place += 2;
        }
        created.name = unescaped(self.at(place));
        Some(created)
    }

    /// Returns whether, after this statement, a table may skip rows without an error: because of `ON CONFLICT` in its
    /// schema, because of a trigger, as a view, or under another name.
    pub fn may_skip_rows_later(&self) -> bool {
        let is_view = || {
            let created = self.created();
            created.is_some_and(|created| created.what == Some(Keyword::View))
        };
        let may_skip =
            |token: &Token| matches!(token.keyword, Some(Keyword::Conflict | Keyword::Ignore));
        self.form == Form::Schema
            && (self.is(0, Keyword::Alter) || is_view() || self.tokens.iter().any(may_skip))
    }

    /// Returns whether, after this statement, a table or a trigger may have a value that each node computes itself.
    pub fn may_differ_later(&self) -> bool {
        self.form == Form::Schema && self.classes.contains(Classes::VOLATILE)
    }

    /// Returns the name of the object that a `DROP` removes, without quotes and without the database's name.
    pub fn dropped(&self) -> Option<String> {
        if !self.is(0, Keyword::Drop) {
            return None;
        }
        let mut place = if self.is(2, Keyword::If) { 4 } else { 2 };
        if self.kind(place + 1) == Some(TokenKind::Dot) {
            place += 2;
        }
        Some(unescaped(self.at(place)))
    }

    /// Returns the table that a `DROP TABLE` removes.
    pub fn dropped_table(&self) -> Option<DroppedTable> {
        if !self.is(0, Keyword::Drop) || !self.is(1, Keyword::Table) {
            return None;
        }
        let if_exists = self.is(2, Keyword::If);
        let first = if if_exists { 4 } else { 2 };
        let schema = (self.kind(first + 1) == Some(TokenKind::Dot)).then(|| self.name_at(first));
        let last = if schema.is_some() { first + 2 } else { first };
        (last < self.tokens.len()).then(|| DroppedTable {
            name: unescaped(self.at(last)),
            written: self.span(first..last + 1).to_owned(),
            if_exists,
            is_temporary: schema.is_some_and(|schema| schema == "temp"),
        })
    }

    /// Returns whether there is an `ON CONFLICT`. The statement may then write no new row.
    pub fn upserts(&self) -> bool {
        self.clauses.upserts
    }

    /// Returns whether the statement contains `OR ROLLBACK`. If such a statement fails, it ends the transaction.
    pub fn ends_transaction(&self) -> bool {
        self.form.writes_rows()
            && self
                .all()
                .any(|place| self.is(place, Keyword::Or) && self.is(place + 1, Keyword::Rollback))
    }

    /// Returns whether the statement contains `SELECT` anywhere.
    pub fn selects(&self) -> bool {
        self.clauses.selects
    }

    /// Returns whether the statement has a RETURNING clause.
    pub fn returns(&self) -> bool {
        self.clauses.returning.is_some()
    }

    /// Returns the index of the token RETURNING.
    pub fn returning(&self) -> Option<usize> {
        self.clauses.returning
    }

    /// Returns the index of the token LIMIT of the query itself.
    pub fn limit(&self) -> Option<usize> {
        self.clauses.limit
    }

    /// Returns the number of placeholders of LIMIT and OFFSET, if the text ends with `LIMIT ?` or `LIMIT ? OFFSET ?`.
    /// They have the highest numbers of the statement.
    pub fn placeholders_of_limit(&self) -> Option<usize> {
        let limit = self.limit()?;
        let is_last = |count: usize| limit + 2 * count == self.tokens.len();
        let is_plain = |token| self.at(token) == "?";
        let is_offset = |token| self.at(token).eq_ignore_ascii_case("OFFSET");
        let has_offset = || is_offset(limit + 2) && is_plain(limit + 3);
        match is_plain(limit + 1) {
            true if is_last(1) => Some(1),
            true if is_last(2) && has_offset() => Some(2),
            _ => None,
        }
    }

    /// Returns whether a query has its own ORDER BY, not one of a subquery.
    pub fn is_ordered(&self) -> bool {
        self.clauses.is_ordered
    }

    /// Returns the number of placeholders.
    pub fn variables(&self) -> usize {
        self.clauses.variables.len()
    }

    /// Returns the expressions after SELECT of a query, or after RETURNING of a write.
    pub fn items(&self) -> &[Range<usize>] {
        &self.clauses.items
    }

    /// Returns whether one of the items contains a placeholder.
    pub fn has_variable_in_items(&self) -> bool {
        let mut variables = self.clauses.variables.iter();
        variables.any(|variable| {
            let in_item = |item: &Range<usize>| item.contains(&(*variable as usize));
            self.clauses.items.iter().any(in_item)
        })
    }

    /// Returns all tokens before this one.
    pub fn before(&self, token: usize) -> Range<usize> {
        0..token
    }

    /// Returns the kind of a token, or `None` after the last one.
    pub fn kind(&self, token: usize) -> Option<TokenKind> {
        self.tokens.get(token).map(|token| token.kind)
    }

    /// Returns the keyword that a token may be. A name after a dot is not a keyword.
    pub fn keyword(&self, token: usize) -> Option<Keyword> {
        let keyword = self.tokens.get(token)?.keyword;
        let is_behind_dot = token > 0 && self.kind(token - 1) == Some(TokenKind::Dot);
        keyword.filter(|_| !is_behind_dot)
    }

    /// Returns whether a token is this keyword.
    pub fn is(&self, token: usize, keyword: Keyword) -> bool {
        self.keyword(token) == Some(keyword)
    }

    /// Returns the text of a token. It is empty after the last token.
    pub fn at(&self, token: usize) -> &str {
        match self.tokens.get(token) {
            Some(token) => &self.text[token.range()],
            None => "",
        }
    }

    /// Returns a name without its quotes and escapes, in lower case. As in SQLite, that concerns ASCII letters only.
    pub fn name_at(&self, token: usize) -> String {
        let mut name = unescaped(self.at(token));
        name.make_ascii_lowercase();
        name
    }

    /// Returns the text from the first to the last of these tokens, including everything between them.
    pub fn span(&self, tokens: Range<usize>) -> &str {
        &self.text[self.bytes(&tokens)]
    }

    /// Returns the range of bytes from the first to the last of these tokens.
    pub(crate) fn bytes(&self, tokens: &Range<usize>) -> Range<usize> {
        let tokens = self.tokens.get(tokens.clone()).unwrap_or_default();
        match (tokens.first(), tokens.last()) {
            (Some(first), Some(last)) => first.start as usize..last.end as usize,
            _ => 0..0,
        }
    }

    /// Reads the name at this token, which may be qualified by others with dots. Returns its last part and the index
    /// of the token after it.
    pub(crate) fn qualified_name(&self, mut token: usize) -> Option<(String, usize)> {
        loop {
            if !matches!(self.kind(token)?, TokenKind::Word | TokenKind::Quoted) {
                return None;
            }
            if self.kind(token + 1) != Some(TokenKind::Dot) {
                return Some((self.name_at(token), token + 1));
            }
            token += 2;
        }
    }

    /// Returns the names among these tokens, in lower case and without quotes.
    pub fn names(&self, wanted: impl Fn(usize) -> bool) -> HashSet<String> {
        let names = self.tokens.iter().enumerate();
        names
            .filter(|(_, token)| matches!(token.kind, TokenKind::Word | TokenKind::Quoted))
            .filter(|(place, _)| wanted(*place))
            .map(|(place, _)| self.name_at(place))
            .collect()
    }

    /// Returns whether a `*` among these tokens may stand for columns. The `*` of `count(*)` does not count, but that
    /// of any product does.
    pub fn has_star(&self, wanted: impl Fn(usize) -> bool) -> bool {
        (0..self.tokens.len()).any(|place| {
            let is_counted = place > 0 && self.kind(place - 1) == Some(TokenKind::Open);
            self.at(place) == "*" && !is_counted && wanted(place)
        })
    }

    /// Returns the number of each placeholder, counted from 1. A `?` gets one more than the highest number so far.
    /// Placeholders with the same name share a number.
    ///
    /// # Errors
    ///
    /// `PlaceholderNumber`
    pub fn numbers(&self) -> Result<Vec<usize>, SqlError> {
        let mut highest = 0;
        let mut named: Vec<(&str, usize)> = Vec::new();
        let mut numbers = Vec::with_capacity(self.clauses.variables.len());
        for variable in &self.clauses.variables {
            let text = self.at(*variable as usize);
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
            // This is not SQLite's limit: the numbers of a script may run through all of its statements.
            if !(1..=u32::MAX as usize).contains(&number) {
                return Err(SqlError::PlaceholderNumber);
            }
            highest = highest.max(number);
            numbers.push(number);
        }
        Ok(numbers)
    }

    /// Returns the number of placeholders before a token.
    pub(crate) fn variables_before(&self, token: usize) -> usize {
        let variables = &self.clauses.variables;
        variables.partition_point(|variable| (*variable as usize) < token)
    }

    /// Returns which of the placeholders are among these tokens.
    pub fn variables_in(&self, tokens: Range<usize>) -> Range<usize> {
        self.variables_before(tokens.start)..self.variables_before(tokens.end)
    }

    /// Returns whether all placeholders are a plain `?`.
    pub fn has_only_plain_variables(&self) -> bool {
        let mut variables = self.clauses.variables.iter();
        variables.all(|variable| self.at(*variable as usize) == "?")
    }

    /// Returns the number of placeholders before the first `CONFLICT`.
    pub fn variables_before_conflict(&self) -> usize {
        let mut places = 0..self.tokens.len();
        let conflict = places.find(|place| self.tokens[*place].keyword == Some(Keyword::Conflict));
        self.variables_before(conflict.unwrap_or(self.tokens.len()))
    }

    /// Returns the same statement, borrowing the text of this one. Nothing is copied.
    pub fn borrowed(&self) -> Parsed<'_> {
        Parsed {
            text: Cow::Borrowed(&self.text),
            tokens: Arc::clone(&self.tokens),
            position: self.position,
            form: self.form,
            clauses: Arc::clone(&self.clauses),
            classes: self.classes,
        }
    }

    /// Converts the statement into one that owns its text.
    pub fn into_owned(self) -> Parsed<'static> {
        Parsed {
            text: Cow::Owned(self.text.into_owned()),
            tokens: self.tokens,
            position: self.position,
            form: self.form,
            clauses: self.clauses,
            classes: self.classes,
        }
    }
}

/// The object that a `CREATE` creates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// The kind of the object: `TABLE`, `VIEW`, `TRIGGER`, or another keyword.
    pub what: Option<Keyword>,
    /// Set if `TEMP` is given or the name is in `temp`.
    pub is_temporary: bool,
    /// Set if `VIRTUAL` is given.
    pub is_virtual: bool,
    /// The name, without quotes and without the database's name.
    pub name: String,
}

/// The table that a `DROP TABLE` removes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DroppedTable {
    /// The name, without quotes and without the database's name.
    pub name: String,
    /// The name as written in the statement.
    pub written: String,
    /// Set if `IF EXISTS` is given.
    pub if_exists: bool,
    /// Set if the table is in `temp`.
    pub is_temporary: bool,
}

/// The names that decide how many rows a write finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decisive {
    /// Names of tables and columns, in lower case.
    pub names: HashSet<String>,
    /// Set if the write does not find all rows of its table.
    pub is_conditional: bool,
}

/// Returns the name inside `"…"`, `` `…` `` or `[…]`. A doubled quote in the name stays doubled.
pub fn unquoted(name: &str) -> &str {
    match name.as_bytes().first() {
        Some(b'"' | b'`' | b'[') if name.len() > 1 => &name[1..name.len() - 1],
        _ => name,
    }
}

/// Returns a name without quotes and escapes: `"a""b"` → `a"b`. SQLite also accepts a name in single quotes.
pub fn unescaped(name: &str) -> String {
    let (doubled, quote) = match name.as_bytes().first() {
        Some(b'"') => ("\"\"", '"'),
        Some(b'`') => ("``", '`'),
        Some(b'\'') => ("''", '\''),
        _ => return unquoted(name).to_owned(),
    };
    match name.get(1..name.len() - 1) {
        // Nearly no name has one.
        Some(inner) if inner.contains(quote) => inner.replace(doubled, &doubled[1..]),
        inner => inner.unwrap_or(name).to_owned(),
    }
}
