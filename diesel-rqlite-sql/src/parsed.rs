//! A statement that has been read once, and what can be asked about it.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use crate::error::{Position, SqlError};
use crate::functions::{Classes, function_named};
use crate::keyword::Keyword;
use crate::token::{Token, TokenKind};

/// What a statement does, by its leading keyword (behind `WITH …`: by the one that follows the tables).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `SELECT` or `VALUES`: may be wrapped as a subquery.
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
    /// INSERT, UPDATE or DELETE.
    pub fn writes_rows(self) -> bool {
        matches!(self, Form::Insert | Form::Update | Form::Delete)
    }

    /// It stores the values of expressions.
    pub fn stores(self) -> bool {
        self.writes_rows() || self == Form::CreateTableAs
    }

    /// Transaction control.
    pub fn is_control(self) -> bool {
        matches!(self, Form::Begin | Form::Commit | Form::Savepoint)
    }
}

/// How many rows an INSERT writes, as far as its text tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsertRows {
    /// Not an INSERT with VALUES, or one that may skip rows (`OR IGNORE`, `DO NOTHING`, `DO UPDATE … WHERE`).
    Unknown,
    /// Every row is written, or the statement fails.
    Exactly(usize),
}

/// Where the clauses of a statement stand. All of them count tokens.
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

/// One statement of a text, from its first to its last token: no comment around it, no `;` behind it.
///
/// Its tokens are found once, when it enters; whoever wants to know something about it asks this value. A clone shares
/// them.
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
    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its text, for as long as what it was read from.
    pub fn shared_text(&self) -> Cow<'a, str> {
        self.text.clone()
    }

    /// Its text, for good.
    pub fn into_text(self) -> String {
        self.text.into_owned()
    }

    /// Where it stands in its script.
    pub fn position(&self) -> Position {
        self.position
    }

    /// What it does.
    pub fn form(&self) -> Form {
        self.form
    }

    /// The classes of the functions that it may call.
    pub fn classes(&self) -> Classes {
        self.classes
    }

    /// The function that it calls which is about what the connection did last.
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

    /// What decides how many rows a write finds, as far as it has names: `None` for an INSERT of given rows.
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

    /// Its tokens.
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// How many rows an INSERT writes.
    pub fn insert_rows(&self) -> InsertRows {
        match self.clauses.insert_rows {
            0 => InsertRows::Unknown,
            _ if self.clauses.skips_rows => InsertRows::Unknown,
            rows => InsertRows::Exactly(rows),
        }
    }

    /// The table that an INSERT, UPDATE or DELETE writes, as written.
    pub fn table(&self) -> Option<&str> {
        let table = self.clauses.table.clone()?;
        Some(self.span(table))
    }

    /// The same without quotes and without the database's name.
    pub fn table_name(&self) -> Option<String> {
        let table = self.clauses.table.clone()?;
        let name = table.end.checked_sub(1)?;
        Some(unescaped(self.at(name)))
    }

    /// What a `CREATE` makes.
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

    /// Whether a table may skip rows without an error from now on: by `ON CONFLICT` in its schema, by a trigger, as a view,
    /// or by another name.
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

    /// Whether a table or a trigger may have a value from now on that each node makes for itself.
    pub fn may_differ_later(&self) -> bool {
        self.form == Form::Schema && self.classes.contains(Classes::VOLATILE)
    }

    /// The name of what a `DROP` takes away, without quotes and without the database's name.
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

    /// The table that a `DROP TABLE` takes away.
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

    /// `ON CONFLICT`: it may write no new row.
    pub fn upserts(&self) -> bool {
        self.clauses.upserts
    }

    /// `OR ROLLBACK` stands in it: where it fails, it ends the transaction.
    pub fn ends_transaction(&self) -> bool {
        self.form.writes_rows()
            && self
                .all()
                .any(|place| self.is(place, Keyword::Or) && self.is(place + 1, Keyword::Rollback))
    }

    /// `SELECT` stands in it somewhere.
    pub fn selects(&self) -> bool {
        self.clauses.selects
    }

    /// Whether it has a RETURNING clause.
    pub fn returns(&self) -> bool {
        self.clauses.returning.is_some()
    }

    /// The token RETURNING.
    pub fn returning(&self) -> Option<usize> {
        self.clauses.returning
    }

    /// The token of a query's own LIMIT.
    pub fn limit(&self) -> Option<usize> {
        self.clauses.limit
    }

    /// Whether a query has an ORDER BY of its own, not one of a subquery.
    pub fn is_ordered(&self) -> bool {
        self.clauses.is_ordered
    }

    /// How many placeholders stand in it.
    pub fn variables(&self) -> usize {
        self.clauses.variables.len()
    }

    /// The expressions behind SELECT of a query, or behind RETURNING of a write.
    pub fn items(&self) -> &[Range<usize>] {
        &self.clauses.items
    }

    /// Whether a placeholder stands in one of the items.
    pub fn has_variable_in_items(&self) -> bool {
        let mut variables = self.clauses.variables.iter();
        variables.any(|variable| {
            let in_item = |item: &Range<usize>| item.contains(&(*variable as usize));
            self.clauses.items.iter().any(in_item)
        })
    }

    /// All tokens in front of this one.
    pub fn before(&self, token: usize) -> Range<usize> {
        0..token
    }

    /// What a token is, `None` behind the last.
    pub fn kind(&self, token: usize) -> Option<TokenKind> {
        self.tokens.get(token).map(|token| token.kind)
    }

    /// The keyword that a token may be. A name behind a dot is none.
    pub fn keyword(&self, token: usize) -> Option<Keyword> {
        let keyword = self.tokens.get(token)?.keyword;
        let is_behind_dot = token > 0 && self.kind(token - 1) == Some(TokenKind::Dot);
        keyword.filter(|_| !is_behind_dot)
    }

    /// Whether a token is this keyword.
    pub fn is(&self, token: usize, keyword: Keyword) -> bool {
        self.keyword(token) == Some(keyword)
    }

    /// The text of a token, empty behind the last.
    pub fn at(&self, token: usize) -> &str {
        match self.tokens.get(token) {
            Some(token) => &self.text[token.range()],
            None => "",
        }
    }

    /// A name without its quotes, in lower case.
    pub fn name_at(&self, token: usize) -> String {
        unquoted(self.at(token)).to_lowercase()
    }

    /// The text from the first to the last of these tokens, with what is between them.
    pub fn span(&self, tokens: Range<usize>) -> &str {
        &self.text[self.bytes(&tokens)]
    }

    /// The bytes from the first to the last of these tokens.
    pub(crate) fn bytes(&self, tokens: &Range<usize>) -> Range<usize> {
        let tokens = self.tokens.get(tokens.clone()).unwrap_or_default();
        match (tokens.first(), tokens.last()) {
            (Some(first), Some(last)) => first.start as usize..last.end as usize,
            _ => 0..0,
        }
    }

    /// The name at this token, which may have others with dots in front: its last part, and the token behind it.
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

    /// The names among these tokens, in lower case and without quotes.
    pub fn names(&self, wanted: impl Fn(usize) -> bool) -> HashSet<String> {
        let names = self.tokens.iter().enumerate();
        names
            .filter(|(_, token)| matches!(token.kind, TokenKind::Word | TokenKind::Quoted))
            .filter(|(place, _)| wanted(*place))
            .map(|(place, _)| self.name_at(place))
            .collect()
    }

    /// Whether a `*` among these tokens may stand for columns: not `count(*)`, but also any product.
    pub fn has_star(&self, wanted: impl Fn(usize) -> bool) -> bool {
        (0..self.tokens.len()).any(|place| {
            let is_counted = place > 0 && self.kind(place - 1) == Some(TokenKind::Open);
            self.at(place) == "*" && !is_counted && wanted(place)
        })
    }

    /// The number of each placeholder, from 1: `?` is one more than the highest so far, a name counts once.
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
            // Not SQLite's limit: a script may count further through all of its statements.
            if !(1..=u32::MAX as usize).contains(&number) {
                return Err(SqlError::PlaceholderNumber);
            }
            highest = highest.max(number);
            numbers.push(number);
        }
        Ok(numbers)
    }

    /// How many placeholders stand in front of a token.
    pub(crate) fn variables_before(&self, token: usize) -> usize {
        let variables = &self.clauses.variables;
        variables.partition_point(|variable| (*variable as usize) < token)
    }

    /// Which of the placeholders stand among these tokens.
    pub fn variables_in(&self, tokens: Range<usize>) -> Range<usize> {
        self.variables_before(tokens.start)..self.variables_before(tokens.end)
    }

    /// Whether all placeholders are a plain `?`.
    pub fn has_only_plain_variables(&self) -> bool {
        let mut variables = self.clauses.variables.iter();
        variables.all(|variable| self.at(*variable as usize) == "?")
    }

    /// How many placeholders stand in front of the first `CONFLICT`.
    pub fn variables_before_conflict(&self) -> usize {
        let mut places = 0..self.tokens.len();
        let conflict = places.find(|place| self.tokens[*place].keyword == Some(Keyword::Conflict));
        self.variables_before(conflict.unwrap_or(self.tokens.len()))
    }

    /// The same, with the text of this one: nothing is copied.
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

    /// For as long as anybody likes.
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

/// What a `CREATE` makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// `TABLE`, `VIEW`, `TRIGGER`, or something else.
    pub what: Option<Keyword>,
    /// `TEMP`, or a name in `temp`.
    pub is_temporary: bool,
    /// `VIRTUAL`
    pub is_virtual: bool,
    /// Without quotes and without the database's name.
    pub name: String,
}

/// The table that a `DROP TABLE` takes away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DroppedTable {
    /// Without quotes and without the database's name.
    pub name: String,
    /// As it stands in the statement.
    pub written: String,
    /// `IF EXISTS`
    pub if_exists: bool,
    /// It is in `temp`.
    pub is_temporary: bool,
}

/// What decides how many rows a write finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decisive {
    /// Names of tables and columns, in lower case.
    pub names: HashSet<String>,
    /// It does not find all rows of its table.
    pub is_conditional: bool,
}

/// The name inside `"…"`, `` `…` `` or `[…]`. A doubled quote in it stays so.
pub fn unquoted(name: &str) -> &str {
    match name.as_bytes().first() {
        Some(b'"' | b'`' | b'[') if name.len() > 1 => &name[1..name.len() - 1],
        _ => name,
    }
}

/// `"a""b"` → `a"b`; SQLite also takes a name in single quotes.
pub fn unescaped(name: &str) -> String {
    match name.chars().next() {
        Some(quote @ ('"' | '`' | '\'')) if name.len() > 1 => {
            let doubled = format!("{quote}{quote}");
            name[1..name.len() - 1].replace(&doubled, &quote.to_string())
        }
        _ => unquoted(name).to_owned(),
    }
}
