//! SQL and values in the form in which the client sends them.
//!
//! The main flow for one query:
//!
//! 1. `Query::parse` parses the text, or `Statements` (see `cache`) returns it as it was parsed before.
//! 2. `Query::answered` (see `did`) replaces `last_insert_rowid()` and `changes()` by values that the client knows.
//! 3. `Plan::new` refuses what must not be sent, and decides between nothing, a setting, a `Read` and a `Batch` of
//!    writes.
//! 4. A `Read` yields one `Statement` for each form in which it may be sent. A `Batch` already consists of
//!    `Statement`s, whose volatile values were replaced when it was made.
//! 5. `wire` turns `Statement`s into the JSON of a request.
//!
//! Invariants:
//!
//! * The text of a `Statement` and its values belong together. A text is written for its values (`writer`), because
//!   some values need SQL around their placeholder. Whoever changes the number or the order of placeholders has to
//!   write the text again.
//! * A statement that stores the values of expressions (INSERT, UPDATE, DELETE, `CREATE TABLE … AS`) contains no value
//!   that each node would compute for itself: `Statement::of` replaces such values, or fails.
//! * A `Statement` is never parsed again. All that later code needs to know of its text is in its fields.
//!
//! This module decides how a statement is written. It leaves to `session` which form is sent and when, to `transaction`
//! what happens to a write inside of a transaction, and to `sql` the SQL that surrounds a query.

mod cache;
pub(crate) mod did;
mod drops;
mod guarded;
mod plan;
mod query;
mod read;
mod returning;
pub(crate) mod unenforced;
mod wire;
mod writer;

use std::borrow::Cow;

use diesel_rqlite_sql::{
    self as sql, ByKey, Classes, ColumnChange, Decisive, DroppedTable, Entropy, Form, Found,
    InsertRows, Keyword, Parsed, Pin, Position, SqlError,
};

use self::wire::KeptText;
use self::writer::{Names, Values, Writer};
use crate::backend::RqliteType;
use crate::bind_collector::{Bind, MAX_VARIABLES};
use crate::hex;
use crate::protocol::encoding::Encoding;
use crate::sql::results::{self, Encoded};
use crate::sql::unstable::Ending;

pub(crate) use self::cache::{Kept, Learnt, Statements};
pub(crate) use self::did::{Did, InFront};
pub(crate) use self::guarded::{GuardedRead, Keyed, StoredRow};
pub(crate) use self::plan::{Batch, Plan};
pub(crate) use self::query::{Query, strip_begin_and_commit};
pub(crate) use self::read::Read;
pub(crate) use self::returning::Returning;
pub(crate) use self::wire::{body, execute, query, queue, raw_query, read_of_schema};

/// The place where a statement runs.
///
/// It decides about the form of a RETURNING clause, see `Statement::of`, and about the checks that `Plan` makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Outside of a transaction, at once.
    Alone,
    /// Inside a transaction, where its rows have to be guarded.
    Transaction,
}

/// The result that a caller wants from a statement.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted<'t> {
    /// The number of rows it affects. RETURNING is left out: the server's own parser would have to understand the
    /// statement, and where it does not, it answers with the count of another client's statement.
    Count,
    /// Its rows, of these types if they are known.
    Rows(Option<&'t [RqliteType]>),
}

/// One statement of a request.
///
/// There are two kinds. A statement of the user is made by `Statement::of`, which fills in what the parsed text tells.
/// A statement of this crate is made by `Statement::plain` or `Statement::with_binds`, and all of its facts have
/// neutral values: it is not counted, returns nothing that is decoded specially, and is no news of the schema.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Statement<'a> {
    pub(crate) sql: Cow<'a, str>,
    /// The same text as JSON, if that is known.
    kept: Option<KeptText>,
    /// The values, by the numbers of their placeholders. All of them are sent.
    binds: Vec<Bind<'a>>,
    /// Set if its text has a RETURNING clause whose rows are wanted. Such a statement needs other flags, see
    /// `wire::execute`, and its answer has rows instead of a count.
    pub(crate) returning: bool,
    /// Set if it writes rows, so that SQLite counts the rows of this statement.
    pub(crate) counted: bool,
    /// The number of rows that it writes unless it fails, as far as the text tells.
    insert_rows: InsertRows,
    /// The table of an INSERT, as written.
    table: Option<String>,
    /// The name of that table, without quotes and without the name of the database.
    pub(crate) insert_name: Option<String>,
    /// Set if it is an INSERT that may update a row instead of writing a new one.
    upserts: bool,
    /// The end of the word INSERT in a plain INSERT, where `OR IGNORE` can be added.
    insert_end: Option<usize>,
    /// The encodings of its columns, and their names if the text tells them.
    pub(crate) encodings: Vec<Encoding>,
    pub(crate) names: Vec<String>,
    /// Set if its answer may have no columns, like that of a PRAGMA that sets something.
    pub(crate) may_be_rowless: bool,
    /// Its position in a script.
    pub(crate) position: Option<Position>,
    /// Set if it may make a table skip rows without an error.
    pub(crate) is_news_of_schema: bool,
    /// How it may change the defaults that each node computes for itself.
    pub(crate) defaults: Defaults,
    /// The way in which it ends the transaction if it fails.
    pub(crate) ends: Ending,
    /// The table that it drops.
    drops: Option<Box<DroppedTable>>,
    /// Set if it is no statement of the user.
    pub(crate) check: Option<Check>,
    /// The facts that a transaction needs. `None` outside of one.
    pub(crate) facts: Option<Box<Facts>>,
    /// The RETURNING clause in a transaction. The statement itself then has none.
    pub(crate) source: Option<Box<Returning<'a>>>,
}

/// The facts that a transaction needs about a write.
///
/// They are taken from the text once, when the statement is made, and stay the same for all forms of the statement.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Facts {
    /// The row that it finds by a key, as far as the text tells. The key need not be a primary key: see
    /// `transaction::row_of`.
    pub(crate) by_key: Option<ByKey>,
    /// The number of each placeholder.
    numbers: Vec<usize>,
    /// The table that it writes, in lower case.
    pub(crate) written_table: Option<String>,
    /// The names that decide how many rows it finds.
    pub(crate) decisive: Option<Decisive>,
    /// The function by which it asks for what the connection did last.
    pub(crate) connection_function: Option<&'static str>,
}

impl Facts {
    fn of(parsed: &Parsed<'_>, numbers: Vec<usize>) -> Self {
        Facts {
            by_key: ByKey::of(parsed),
            numbers,
            written_table: parsed.table_name().map(|name| name.to_ascii_lowercase()),
            decisive: parsed.decisive(),
            connection_function: parsed.connection_function(),
        }
    }
}

/// Which statement a check belongs to. It fails where that statement would, or did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    OfNext,
    OfPrevious,
}

impl<'a> Statement<'a> {
    /// Creates a statement without values or rows.
    pub(crate) fn raw(sql: impl Into<Cow<'a, str>>) -> Self {
        Statement {
            sql: sql.into(),
            kept: None,
            binds: Vec::new(),
            returning: false,
            counted: false,
            insert_rows: InsertRows::Unknown,
            table: None,
            insert_name: None,
            upserts: false,
            insert_end: None,
            encodings: Vec::new(),
            names: Vec::new(),
            may_be_rowless: false,
            position: None,
            is_news_of_schema: false,
            defaults: Defaults::Kept,
            ends: Ending::default(),
            drops: None,
            check: None,
            facts: None,
            source: None,
        }
    }

    /// Creates a statement of this crate's own, with values. SQL is put around the placeholders of values that JSON
    /// can't carry.
    pub(crate) fn with_binds(text: impl Into<Cow<'a, str>>, binds: Vec<Bind<'a>>) -> Self {
        let text = text.into();
        let carried = binds.iter().any(|bind| wire::conversion(bind).is_some());
        let written = carried.then(|| with_carriers(&text, &binds)).flatten();
        Self::with_written(written.map_or(text, Cow::Owned), binds)
    }

    /// Creates a statement from text that is written for its values.
    ///
    /// The caller has put SQL around the placeholders of values that JSON can't carry, as `Writer` does. A text without
    /// that SQL would store other values than those that were bound.
    fn with_written(sql: impl Into<Cow<'a, str>>, binds: Vec<Bind<'a>>) -> Self {
        Statement {
            binds,
            ..Statement::raw(sql)
        }
    }

    /// Joins several statements into one text. SQLite runs them one after the other, up to the first that fails.
    ///
    /// The result has the values of all statements, in order. The placeholders in the texts stay as they are. The facts
    /// of the statements are lost: the result has no encodings, and is not counted.
    pub(crate) fn joined(statements: &[&Statement<'_>]) -> Statement<'static> {
        let texts: Vec<_> = statements.iter().map(|statement| &*statement.sql).collect();
        let binds = statements
            .iter()
            .flat_map(|statement| statement.binds.clone());
        Statement::with_written(texts.join(";\n"), binds.map(Bind::into_owned).collect())
    }

    /// Returns the table of an INSERT, as written.
    pub(crate) fn insert_table(&self) -> Option<&str> {
        self.table.as_deref()
    }

    /// Returns whether all rows that it writes are new, so that each of them sets the last rowid.
    pub(crate) fn writes_new_rows(&self) -> bool {
        self.is_insert() && !self.upserts
    }

    pub(crate) fn is_insert(&self) -> bool {
        self.table.is_some()
    }

    /// Returns the row that it finds by a key, if it does.
    pub(crate) fn by_key(&self) -> Option<&ByKey> {
        self.facts.as_ref()?.by_key.as_ref()
    }

    /// Returns its approximate size in a request, in bytes.
    ///
    /// It counts a BLOB as hexadecimal digits, and adds some bytes for quotes and commas. It is an estimate, for limits
    /// and for the capacity of buffers.
    pub(crate) fn size(&self) -> usize {
        let of_bind = |bind: &Bind<'_>| match bind {
            Bind::Text(text) => text.len() + 8,
            Bind::Binary(bytes) => 2 * bytes.len() + 8,
            _ => 16,
        };
        self.sql.len() + self.binds.iter().map(of_bind).sum::<usize>() + 8
    }

    /// Returns the value of a placeholder, by its place among all placeholders.
    ///
    /// Returns `None` if there is no such placeholder, or no value for it. In a transaction, the placeholders are those
    /// of the user's text.
    pub(crate) fn bound(&self, place: usize) -> Option<Bind<'static>> {
        let number = match &self.facts {
            Some(facts) => *facts.numbers.get(place)?,
            None => place + 1,
        };
        self.binds.get(number - 1).cloned().map(Bind::into_owned)
    }

    /// Returns the INSERT as one that skips the rows it can't write, and the number of its rows. Returns `None` unless
    /// it is a plain INSERT of rows.
    ///
    /// The result stands for an INSERT that failed: run in the same state, it writes fewer rows than that number. It
    /// has neither RETURNING nor a place for another `OR IGNORE`.
    pub(crate) fn or_ignore(&self) -> Option<(Statement<'static>, usize)> {
        let InsertRows::Exactly(rows) = self.insert_rows else {
            return None;
        };
        let (insert, rest) = self.sql.split_at_checked(self.insert_end?)?;
        let ignoring = format!("{insert} OR IGNORE{rest}");
        let mut instead = self.clone().into_owned();
        instead.source = None;
        instead.insert_end = None;
        instead.set_text(ignoring);
        Some((instead, rows))
    }

    /// Creates a statement from parsed text. In a write, volatile values are replaced.
    ///
    /// The form follows from `wanted` and `place`:
    ///
    /// | wanted | place | form |
    /// |---|---|---|
    /// | a count | any | without RETURNING (`without_rows`) |
    /// | rows | alone | with RETURNING in an exact form (`with_rows`) |
    /// | rows | transaction | without RETURNING, and with the clause in `source` (`with_source`) |
    ///
    /// Fails if a volatile value can't be replaced, or if a clause whose rows are wanted has a `*`. `entropy` is read
    /// only if the text has something to replace.
    fn of(
        parsed: &Parsed<'a>,
        mut values: Values<'a>,
        wanted: Wanted<'_>,
        place: Place,
        entropy: &mut impl Entropy,
    ) -> Result<Self, SqlError> {
        let pins = match parsed.form().stores() {
            true => pinned(parsed, &mut values, entropy)?,
            false => Vec::new(),
        };
        let facts = (place == Place::Transaction)
            .then(|| Box::new(Facts::of(parsed, values.numbers.clone())));
        let mut statement = match (wanted, place) {
            (Wanted::Rows(_), Place::Transaction) if parsed.returns() => {
                Self::with_source(parsed, values, &pins)?
            }
            (Wanted::Rows(types), Place::Alone) if parsed.returns() => {
                Self::with_rows(parsed, values, &pins, types)?
            }
            _ => Self::without_rows(parsed, values, &pins),
        };
        statement.facts = facts;
        statement.insert_rows = parsed.insert_rows();
        statement.counted = parsed.form().writes_rows();
        statement.is_news_of_schema = parsed.may_skip_rows_later();
        statement.defaults = Defaults::after(parsed);
        statement.ends.on_conflict = parsed.ends_transaction();
        let dropped = parsed.dropped_table().filter(|table| !table.is_temporary);
        statement.drops = dropped.map(Box::new);
        if parsed.form() == Form::Insert {
            statement.table = parsed.table().map(str::to_owned);
            statement.insert_name = parsed.table_name();
            statement.upserts = parsed.upserts();
            let is_plain = parsed.is(0, Keyword::Insert) && parsed.is(1, Keyword::Into);
            statement.insert_end = is_plain.then(|| parsed.tokens()[0].range().end);
        }
        Ok(statement)
    }

    /// Creates the statement without RETURNING, whose rows nobody wants.
    ///
    /// Values of placeholders after RETURNING are left out with it. A text without RETURNING may have values written as
    /// literals, see `Writer::inlined`.
    fn without_rows(parsed: &Parsed<'a>, values: Values<'a>, pins: &[Pin]) -> Self {
        let writer = values.writer(parsed);
        let (sql, left) = match parsed.returning() {
            None => writer.inlined(pins),
            Some(returning) => {
                let before = parsed.before(returning);
                let sql = writer.part(before.clone(), pins);
                let left = values.binds[..writer.values_in(before)].to_vec();
                (Some(sql), Some(left))
            }
        };
        let sql = sql.map_or_else(|| parsed.shared_text(), Cow::Owned);
        Statement::with_written(sql, left.unwrap_or(values.binds))
    }

    /// Creates the statement with its rows in an exact form.
    ///
    /// An expression of the clause is written several times. So if the clause contains placeholders, all placeholders
    /// get numbers.
    fn with_rows(
        parsed: &Parsed<'a>,
        mut values: Values<'a>,
        pins: &[Pin],
        types: Option<&[RqliteType]>,
    ) -> Result<Self, SqlError> {
        if parsed.has_variable_in_items() {
            values.names = Names::Numbered;
        }
        let writer = values.writer(parsed);
        let encoded = results::returning(parsed, |part| writer.part(part, pins), types)?;
        let mut statement = Statement::with_written("", values.binds);
        statement.encode(encoded);
        statement.returning = true;
        Ok(statement)
    }

    /// Creates the statement without RETURNING, and keeps the clause. The transaction later asks for the form that it
    /// needs: with the rows for a peek, or with their guard for the commit.
    fn with_source(
        parsed: &Parsed<'a>,
        values: Values<'a>,
        pins: &[Pin],
    ) -> Result<Self, SqlError> {
        let (returning, binds) = Returning::of(parsed, values, pins)?;
        let mut statement = Statement::with_written(returning.without(), binds);
        statement.source = Some(Box::new(returning));
        Ok(statement)
    }

    /// Returns a check for a RETURNING clause that is left out of a write. It fails where the clause would, for example
    /// because of a wrong name.
    ///
    /// The check selects the same expressions from the same table, without rows and with NULL in place of placeholders,
    /// which need no values then. Returns `None` if the text does not tell the table.
    fn check_of_returning(parsed: &Parsed<'_>) -> Option<Statement<'static>> {
        let items = parsed.items();
        let items = items.first()?.start..items.last()?.end;
        let items = parsed.rewritten(items, &[], |_, _, sql| sql.push_str("NULL"));
        let table = parsed.table()?;
        let mut check = Statement::raw(format!("SELECT {items} FROM {table} LIMIT 0"));
        check.check = Some(Check::OfNext);
        Some(check)
    }

    fn set_text(&mut self, sql: String) {
        self.sql = Cow::Owned(sql);
        self.kept = None;
    }

    /// Takes over the text, the encodings and the names. The values stay, so the encoded text must have the same
    /// placeholders.
    fn encode(&mut self, encoded: Encoded) {
        self.set_text(encoded.sql);
        self.encodings = encoded.encodings;
        self.names = encoded.names;
    }

    pub(crate) fn into_owned(self) -> Statement<'static> {
        Statement {
            sql: Cow::Owned(self.sql.into_owned()),
            kept: self.kept,
            binds: self.binds.into_iter().map(Bind::into_owned).collect(),
            returning: self.returning,
            counted: self.counted,
            insert_rows: self.insert_rows,
            table: self.table,
            insert_name: self.insert_name,
            upserts: self.upserts,
            insert_end: self.insert_end,
            encodings: self.encodings,
            names: self.names,
            may_be_rowless: self.may_be_rowless,
            position: self.position,
            is_news_of_schema: self.is_news_of_schema,
            defaults: self.defaults,
            ends: self.ends,
            drops: self.drops,
            check: self.check,
            facts: self.facts,
            source: self
                .source
                .map(|returning| Box::new(returning.into_owned())),
        }
    }

    /// Returns the number of rows that it writes unless it fails, if the text tells.
    pub(crate) fn known_rows(&self) -> Option<usize> {
        match self.insert_rows {
            InsertRows::Exactly(rows) => Some(rows),
            InsertRows::Unknown => None,
        }
    }
}

/// The name of Diesel's table of migrations.
pub(crate) const MIGRATIONS: &str = "__diesel_schema_migrations";

/// The way in which a statement may change the defaults that each node computes for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defaults {
    Kept,
    /// There may be new ones.
    Added,
    /// Those that there are may have another name, or be gone.
    Moved,
}

impl Defaults {
    fn after(parsed: &Parsed<'_>) -> Self {
        match parsed.column_change() {
            _ if parsed.may_differ_later() && !is_diesels_own(parsed) => Defaults::Added,
            None | Some(ColumnChange::Create { .. } | ColumnChange::AddColumn { .. }) => {
                Defaults::Kept
            }
            Some(_) => Defaults::Moved,
        }
    }
}

/// Returns whether it creates Diesel's table of migrations. The statement that writes to that table provides the time
/// itself.
fn is_diesels_own(parsed: &Parsed<'_>) -> bool {
    let created = parsed.created();
    created.is_some_and(|created| created.name == MIGRATIONS)
}

/// Returns the SQL for one more text. It is a placeholder, or a literal if the statement already has as many values as
/// SQLite accepts.
fn one_more(binds: &mut Vec<Bind<'static>>, text: String) -> String {
    if binds.len() < MAX_VARIABLES {
        binds.push(Bind::Text(Cow::Owned(text)));
        return format!("?{}", binds.len());
    }
    // The text may contain a NUL, which a text literal can't.
    let mut literal = String::with_capacity(2 * text.len() + 20);
    literal.push_str("CAST(x'");
    hex::push_str(&mut literal, text.as_bytes());
    literal.push_str("' AS TEXT)");
    literal
}

/// Puts SQL around the placeholders of values that JSON can't carry. Returns `None` if the text can't be parsed, which
/// no text of this crate is.
fn with_carriers(text: &str, binds: &[Bind<'_>]) -> Option<String> {
    let parsed = sql::fragment(text).ok()?;
    let numbers = parsed.numbers().ok()?;
    Writer::new(&parsed, &numbers, Names::Own, binds).all(&[])
}

/// Returns the replacements of a write's volatile values. Bound values are replaced in place.
///
/// Fails for values that can't be replaced. A statement that only reads is not passed here: its times are replaced by
/// `Read::in_transaction`, if at all.
fn pinned(
    parsed: &Parsed<'_>,
    values: &mut Values<'_>,
    entropy: &mut impl Entropy,
) -> Result<Vec<Pin>, SqlError> {
    if !parsed.classes().contains(Classes::VOLATILE | Classes::NODE) {
        return Ok(Vec::new());
    }
    let found = sql::find(parsed);
    pin_time_values(values, &found, entropy)?;
    sql::pins(&found, entropy)
}

/// Replaces a bound `now` that is the time value of a date function. Every node would evaluate it for itself. Fails for
/// a bound modifier such as `localtime`, and for values that can't be replaced.
///
/// A placeholder that is used several times can't be replaced, since another use may mean the text `now`. A value
/// inside of an expression can't either, since it is not known to be the time value itself. Both are errors.
fn pin_time_values(
    values: &mut Values<'_>,
    found: &Found,
    entropy: &impl Entropy,
) -> Result<(), SqlError> {
    let Values { numbers, binds, .. } = values;
    const REFUSED: SqlError = SqlError::Volatile("a bound 'now'");
    let text = |bind: Option<&Bind<'_>>| match bind {
        Some(Bind::Text(text)) => text.to_ascii_lowercase(),
        Some(Bind::Binary(bytes)) => String::from_utf8_lossy(bytes).to_ascii_lowercase(),
        _ => String::new(),
    };
    for place in &found.modifiers {
        if sql::is_of_zone(&text(binds.get(numbers[*place] - 1))) {
            return Err(SqlError::Volatile(sql::OF_ZONE));
        }
    }
    for place in &found.in_time_values {
        let bound = text(binds.get(numbers[*place] - 1));
        if bound == "now" || sql::is_subsecond(&bound) {
            return Err(REFUSED);
        }
    }
    for place in &found.time_values {
        let number = numbers[*place];
        let bound = text(binds.get(number - 1));
        let uses = numbers.iter().filter(|other| **other == number).count();
        if sql::is_subsecond(&bound) || (bound == "now" && uses > 1) {
            return Err(REFUSED);
        }
        if bound == "now" {
            binds[number - 1] = Bind::Text(Cow::Owned(sql::timestamp(entropy.now())));
        }
    }
    Ok(())
}
