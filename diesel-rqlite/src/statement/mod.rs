//! SQL and values as they leave the client.

mod plan;
mod read;
mod returning;
mod wire;

use std::borrow::Cow;

use self::wire::carrier;
use crate::backend::RqliteType;
use crate::bind_collector::Bind;
use crate::sql::inline::{WORTH_IT, inline};
use crate::sql::pin::{Entropy, pin, timestamp};
use crate::sql::placeholders::{number_variables, numbers, rewrite_variables};
use crate::sql::results::{self, Encoded, Encoding};
use crate::sql::scan::{InsertRows, Scanned, Verb, scan_one};
use crate::sql::volatile::{self, Found};
use crate::sql::{Position, SqlError};

pub(crate) use self::plan::{Batch, Plan, strip_begin_and_commit};
pub(crate) use self::read::Read;
pub(crate) use self::returning::Returning;
pub(crate) use self::wire::{body, execute, query, raw_query, read_of_schema};

/// Where a statement is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// By itself, at once.
    Alone,
    /// Inside a transaction, where what it returns has to be guarded.
    Transaction,
}

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
    /// It is an INSERT that may update a row in place of writing a new one.
    upserts: bool,
    /// How its rows come back, and their names where the text tells.
    pub(crate) encodings: Vec<Encoding>,
    pub(crate) names: Vec<String>,
    /// Where it stood in a script.
    pub(crate) position: Option<Position>,
    /// In a transaction: the statement stands here without its RETURNING, which is in there.
    pub(crate) source: Option<Box<Returning<'a>>>,
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
            upserts: false,
            encodings: Vec::new(),
            names: Vec::new(),
            position: None,
            source: None,
        }
    }

    /// Text with values, and without rows that would need to be encoded.
    pub(crate) fn with_binds(sql: impl Into<Cow<'a, str>>, binds: Vec<Bind<'a>>) -> Self {
        let mut statement = Statement::plain(sql);
        statement.bind(binds);
        statement
    }

    /// The table of an INSERT, as it is written.
    pub(crate) fn insert_table(&self) -> Option<&str> {
        self.table.as_deref()
    }

    /// Whether the rows that it writes are new ones, each of which sets the last rowid.
    pub(crate) fn writes_new_rows(&self) -> bool {
        self.is_insert() && !self.upserts
    }

    pub(crate) fn is_insert(&self) -> bool {
        self.table.is_some()
    }

    /// About how many bytes it is in a request.
    pub(crate) fn size(&self) -> usize {
        let of_bind = |bind: &Bind<'_>| match bind {
            Bind::Text(text) => text.len() + 8,
            Bind::Binary(bytes) => 2 * bytes.len() + 8,
            _ => 16,
        };
        self.sql.len() + self.binds.iter().map(of_bind).sum::<usize>() + 8
    }

    /// The value of a placeholder, by its place among all of them.
    pub(crate) fn bound(&self, place: usize) -> Option<Bind<'static>> {
        let scanned = scan_one(&self.sql).ok()?;
        let number = *numbers(&scanned).ok()?.get(place)?;
        self.binds.get(number - 1).cloned().map(Bind::into_owned)
    }

    /// An INSERT as one that skips the rows it can't write. `None`: it is no plain INSERT of rows.
    pub(crate) fn or_ignore(&self) -> Option<(Statement<'static>, usize)> {
        let InsertRows::Exactly(rows) = self.insert_rows else {
            return None;
        };
        let rest = self
            .sql
            .get(..12)
            .filter(|start| start.eq_ignore_ascii_case("INSERT INTO "));
        rest?;
        let mut instead = self.clone().into_owned();
        instead.source = None;
        instead.sql = Cow::Owned(format!("INSERT OR IGNORE INTO {}", &self.sql[12..]));
        Some((instead, rows))
    }

    /// A write without its values, of which those that are volatile are replaced.
    fn shape(
        scanned: &Scanned<'a>,
        binds: &mut [Bind<'_>],
        types: Option<&[RqliteType]>,
        place: Place,
        entropy: &mut impl Entropy,
    ) -> Result<Self, SqlError> {
        let stores = scanned.verb.writes_rows() || scanned.verb == Verb::CreateTableAs;
        if !stores || !scanned.suspicious {
            return Statement::of(scanned, types, place);
        }
        let found = volatile::find(scanned.text);
        pin_time_values(scanned, &found, binds, entropy)?;
        if found.values.is_empty() {
            return Statement::of(scanned, types, place);
        }
        let text = pin(scanned.text, &found, entropy)?;
        Ok(Statement::of(&scan_one(&text)?, types, place)?.into_owned())
    }

    fn of(
        scanned: &Scanned<'a>,
        types: Option<&[RqliteType]>,
        place: Place,
    ) -> Result<Self, SqlError> {
        let mut statement = Statement::plain(scanned.text);
        statement.insert_rows = scanned.insert_rows;
        let table = scanned.insert_into.clone();
        statement.table = table.map(|range| scanned.text[range].to_owned());
        statement.upserts = scanned.upserts;
        statement.counted = scanned.verb.writes_rows();
        statement.inlinable =
            scanned.verb == Verb::Insert && !scanned.selects && !scanned.returning;
        if scanned.returning && place == Place::Transaction {
            let returning = Returning::of(scanned)?;
            statement.sql = Cow::Owned(returning.without());
            statement.source = Some(Box::new(returning));
        } else if scanned.returning {
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
        if let Some(returning) = &mut self.source {
            returning.bind(&mut binds);
        }
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
            upserts: self.upserts,
            encodings: self.encodings,
            names: self.names,
            position: self.position,
            source: self
                .source
                .map(|returning| Box::new(returning.into_owned())),
        }
    }

    /// The rows it writes unless it fails, where its text tells; else 0.
    pub(crate) fn known_rows(&self) -> Option<usize> {
        match self.insert_rows {
            InsertRows::Exactly(rows) => Some(rows),
            InsertRows::Unknown => None,
        }
    }
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
        Some(Bind::Binary(bytes)) => String::from_utf8_lossy(bytes).to_ascii_lowercase(),
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
