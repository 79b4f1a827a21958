//! The journal of a transaction: the writes to apply, and what has to be true for them to be applied.
//!
//! `show`, `write` and `failed` add entries at the end. A rollback removes those after a mark that nobody has seen. If the
//! others have writes, it puts them between `SAVEPOINT` and `ROLLBACK TO`. At the commit, all entries run in order.
//!
//! Invariants:
//!
//! * What a server told is added after its answer was accepted.
//! * `Savepoint`, `RollBackTo` and `Release` of one name stand in this order, and are nested. `RollBackTo` is directly
//!   followed by its `Release`. Inner transactions that succeed leave no trace.
//! * The name of a savepoint is used once in a transaction.
//! * `guard_bytes` is the size of all `Rows` entries. Whatever removes entries calls `recount`.
//!
//! A place in the journal (`entry`, `mark`, `len`) is valid until a rollback to before it. The journal knows nothing of
//! requests: `parts` and `requests` do. What the client may conclude from it is in `known`, which is kept here because
//! a rollback makes it invalid.

use super::known::Known;
use super::parts::{Part, Parts};
use crate::protocol::message::{Constraint, StatementError};
use crate::sql::fails_unless;
use crate::statement::{InFront, Statement};

/// The size of guards, in bytes, up to which every later read compares all earlier ones. Beyond it they are compared
/// now and then, because many small reads would otherwise cost the square of their number.
///
/// They are compared whenever their size has doubled, so all validations together cost a multiple of the last one.
const VALIDATE_ALWAYS: usize = 16 << 10;

/// The name of the guard over the count of a write.
pub(super) const COUNT: &str = "count";

/// Everything that happened since the transaction began, in order.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    entries: Vec<Entry>,
    /// The size in bytes of all guards over rows, and of those that were part of the last validation.
    guard_bytes: usize,
    validated_bytes: usize,
    /// Set if something was read without comparing the earlier reads.
    ///
    /// Then, without a commit, one more peek has to compare all of them.
    inconsistent: bool,
    /// The number of savepoints so far, for their names.
    savepoints: usize,
    /// A query that returned more than can be guarded.
    ///
    /// After it, the transaction can only end: any further read or write, and a commit with writes, is an error.
    pub(super) unguarded: Option<String>,
    known: Known,
}

/// One entry of a journal. `DESIGN.md` says what each kind becomes in a peek and in the commit.
#[derive(Debug)]
pub(crate) enum Entry {
    /// Rows that were shown to the closure.
    Rows(Box<Guard>),
    Write(Box<Write>),
    /// Savepoints surround what was rolled back after the closure had seen its effects, and an INSERT that failed.
    Savepoint(String),
    RollBackTo(String),
    Release(String),
}

/// A statement that fails unless what was shown is still true.
///
/// It runs in the state in which its query ran: after all entries before it.
#[derive(Debug)]
pub(crate) struct Guard {
    pub(crate) statement: Statement<'static>,
    /// The text of the query, for the error.
    pub(crate) sql: String,
}

/// A write that waits for the commit.
///
/// The combination of `count`, `guarded` and `seen` decides about the meaning of its failure, see
/// `Transaction::part_failed`.
#[derive(Debug)]
pub(crate) struct Write {
    /// The statement without RETURNING.
    pub(crate) statement: Statement<'static>,
    /// The statement with a RETURNING that fails unless it returns what was shown.
    pub(crate) guarded: Option<Statement<'static>>,
    pub(crate) count: Count,
    /// Set if a server has run it without an error, as part of a peek.
    ///
    /// If it fails at the commit nevertheless, something has changed.
    pub(crate) seen: bool,
    pub(crate) migration: Option<Migration>,
}

/// The role of a write in migrations.
#[derive(Debug)]
pub(crate) enum Migration {
    /// It creates the table of applied migrations.
    SetUp,
    /// It records the migration of this version. The transaction may consist of that migration alone.
    Recorded(String),
}

impl Write {
    /// Creates a write that no server has run yet.
    pub(crate) fn new(statement: Statement<'static>, count: Count) -> Self {
        Write {
            statement,
            guarded: None,
            count,
            seen: false,
            migration: None,
        }
    }

    /// Marks the write as run by a server without an error.
    pub(crate) fn seen(self) -> Self {
        Write { seen: true, ..self }
    }

    /// Returns whether the closure learnt something of it that may have decided what it did next. The success of an
    /// INSERT does not count. If it did, one that was rolled back could make the commit fail.
    fn was_shown(&self) -> bool {
        match self.count {
            Count::Observed(_) | Count::FewerThan(_) => true,
            Count::Predicted(_) => !self.statement.is_insert(),
            Count::Unobserved => self.guarded.is_some(),
        }
    }

    /// Returns the write that stands for an INSERT that failed: it does not write all of its rows.
    ///
    /// `message` is the error of the INSERT. Returns `None` if it is not a plain INSERT of rows, or if the error is not
    /// the violation of a constraint that `OR IGNORE` ignores. Then nothing can compare at the commit that the
    /// statement fails.
    pub(crate) fn failed(statement: &Statement<'static>, message: &str) -> Option<Self> {
        let violated = StatementError(message).constraint();
        let is_ignored = violated.is_some_and(Constraint::is_ignorable);
        let (instead, rows) = statement.or_ignore().filter(|_| is_ignored)?;
        Some(Write::new(instead, Count::FewerThan(rows)).seen())
    }
}

/// The number of rows that the closure learnt for a write.
///
/// Each kind needs another guard, and its failure has another meaning. See the table in `DESIGN.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    /// None.
    Unobserved,
    /// This number, from a server.
    Observed(usize),
    /// This number, from the client.
    Predicted(usize),
    /// Fewer than this number: not all of these rows can be written.
    FewerThan(usize),
}

impl Count {
    /// Returns the condition on `changes()` after the write.
    fn condition(self) -> Option<String> {
        match self {
            Count::Unobserved => None,
            Count::Observed(rows) | Count::Predicted(rows) => Some(format!("changes()={rows}")),
            Count::FewerThan(rows) => Some(format!("changes()<{rows}")),
        }
    }

    /// Returns the statement that fails unless the write before it has this count.
    ///
    /// Must be run directly after the write, since `changes()` is about the last write.
    pub(crate) fn guard(self) -> Option<Statement<'static>> {
        let condition = self.condition()?;
        Some(Statement::raw(fails_unless(&condition, COUNT)))
    }
}

impl Journal {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether there is a write. One that was rolled back after it was seen counts.
    pub(crate) fn has_writes(&self) -> bool {
        self.entries.iter().any(is_write)
    }

    /// Returns whether there is a write that may change the schema. Every write that is not counted may.
    pub(crate) fn may_change_schema(&self) -> bool {
        let is_of_rows = |entry: &Entry| match entry {
            Entry::Write(write) => write.statement.counted,
            _ => true,
        };
        !self.entries.iter().all(is_of_rows)
    }

    /// Returns the writes that may change the schema and are not rolled back, in their order.
    pub(crate) fn schema_changes(&self) -> Vec<&Statement<'static>> {
        let mut changes = Vec::new();
        let mut savepoints = Vec::new();
        for entry in &self.entries {
            match entry {
                Entry::Write(write) if !write.statement.counted => changes.push(&write.statement),
                Entry::Savepoint(_) => savepoints.push(changes.len()),
                Entry::RollBackTo(_) => changes.truncate(savepoints.last().copied().unwrap_or(0)),
                Entry::Release(_) => drop(savepoints.pop()),
                _ => {}
            }
        }
        changes
    }

    /// Returns whether a write is left to apply.
    ///
    /// Without one there is nothing to commit, although there may be rolled back writes between savepoints.
    pub(crate) fn has_live_writes(&self) -> bool {
        let mut depth = 0;
        self.entries.iter().any(|entry| {
            match entry {
                Entry::Savepoint(_) => depth += 1,
                Entry::RollBackTo(_) => depth -= 1,
                _ => {}
            }
            depth == 0 && matches!(entry, Entry::Write(_))
        })
    }

    /// Adds rows that were shown. If the same rows were read just before, they are guarded already.
    ///
    /// The same rows are recognized only back to the last entry of another kind: a write may have changed them.
    pub(crate) fn show(&mut self, guard: Guard) {
        let behind_writes = self.entries.iter().rev();
        let mut recent = behind_writes.map_while(|entry| match entry {
            Entry::Rows(guard) => Some(guard),
            _ => None,
        });
        if recent.any(|known| known.statement == guard.statement) {
            return;
        }
        self.guard_bytes += guard.statement.size();
        self.entries.push(Entry::Rows(Box::new(guard)));
    }

    pub(crate) fn guard_bytes(&self) -> usize {
        self.guard_bytes
    }

    /// Adds a write. Its place is the length of the journal before.
    pub(crate) fn write(&mut self, write: Write) {
        self.entries.push(Entry::Write(Box::new(write)));
    }

    pub(crate) fn write_at(&self, entry: usize) -> Option<&Write> {
        match self.entries.get(entry) {
            Some(Entry::Write(write)) => Some(write),
            _ => None,
        }
    }

    /// Returns whether a later entry rolls it back.
    ///
    /// Such a write runs at the commit between savepoints, so its count says nothing about what is in the database.
    pub(crate) fn is_undone(&self, entry: usize) -> bool {
        let before = self.entries[..entry].iter();
        let depth = before.fold(0_usize, |depth, entry| match entry {
            Entry::Savepoint(_) => depth + 1,
            Entry::Release(_) => depth.saturating_sub(1),
            _ => depth,
        });
        depth > 0
    }

    pub(crate) fn query_at(&self, entry: usize) -> Option<&str> {
        match self.entries.get(entry) {
            Some(Entry::Rows(guard)) => Some(&guard.sql),
            _ => None,
        }
    }

    /// Returns the version of the migration, if this transaction consists of that alone: the statements of a script,
    /// and a last write that records the migration.
    pub(crate) fn migration(&self) -> Option<&str> {
        let (last, others) = self.entries.split_last()?;
        let Entry::Write(record) = last else {
            return None;
        };
        let of_script = |entry: &Entry| match entry {
            Entry::Write(write) => write.statement.position.is_some(),
            _ => false,
        };
        let Some(Migration::Recorded(version)) = &record.migration else {
            return None;
        };
        (!others.is_empty() && others.iter().all(of_script)).then_some(version)
    }

    /// Returns whether the table of migrations is created. That happens before a migration, not as a part of it.
    pub(crate) fn sets_up_migrations(&self) -> bool {
        self.entries.iter().any(|entry| match entry {
            Entry::Write(write) => matches!(write.migration, Some(Migration::SetUp)),
            _ => false,
        })
    }

    /// Returns the place of a write among all writes, counted from 1, and the number of writes.
    ///
    /// Panics if there is no such entry.
    pub(crate) fn place_of_write(&self, entry: usize) -> (usize, usize) {
        let writes = |entries: &[Entry]| entries.iter().filter(|entry| is_write(entry)).count();
        (writes(&self.entries[..=entry]), writes(&self.entries))
    }

    /// Returns whether the next request should compare all rows that were read so far.
    ///
    /// A peek that compares nothing makes the journal inconsistent, until a later one compares everything.
    pub(crate) fn wants_validation(&self) -> bool {
        self.guard_bytes <= VALIDATE_ALWAYS || self.guard_bytes >= 2 * self.validated_bytes
    }

    /// Notes that a request has compared all rows read before, or none of them.
    pub(crate) fn validated(&mut self, all: bool) {
        self.inconsistent = !all;
        if all {
            self.validated_bytes = self.guard_bytes;
        }
    }

    /// Returns whether everything that was shown was true at the same time.
    pub(crate) fn is_consistent(&self) -> bool {
        !self.inconsistent
    }

    /// Returns the table of the last INSERT, if that wrote a new row. The row's rowid is the last one, unless the table
    /// has no rowids.
    pub(crate) fn last_insert(&self) -> Option<&str> {
        let last = self.entries.iter().rev().find_map(|entry| match entry {
            Entry::Rows(_) => None,
            Entry::Write(write) => Some(Some(write)),
            _ => Some(None),
        });
        let inserted = |write: &Write| {
            write.statement.writes_new_rows()
                && matches!(write.count, Count::Observed(1..) | Count::Predicted(1..))
        };
        let write = last.flatten().filter(|write| inserted(write))?;
        write.statement.insert_table()
    }

    pub(crate) fn has_writes_from(&self, mark: usize) -> bool {
        let mut behind = self.entries.iter().skip(mark);
        behind.any(is_write)
    }

    /// Returns what the writes do to `last_insert_rowid()` and `changes()`. `undone`: other writes were rolled back
    /// before this entry.
    ///
    /// Writes between savepoints count for what SQLite would report, but not as certain to insert. A table is certain
    /// if the INSERT writes new rows only, and a server or its text tells that there is one.
    pub(crate) fn in_front(&self, undone: Option<usize>) -> InFront {
        let mut in_front = InFront {
            undone_write: undone.is_some(),
            undone_insert: undone.is_some(),
            ..InFront::default()
        };
        let mut depth = 0;
        for (place, entry) in self.entries.iter().enumerate() {
            let is_behind = undone.is_some_and(|undone| place >= undone);
            match entry {
                Entry::Savepoint(_) => depth += 1,
                Entry::RollBackTo(_) => depth -= 1,
                Entry::Write(write) if write.statement.counted => {
                    let statement = &write.statement;
                    in_front.writes = true;
                    in_front.undone_write &= !is_behind;
                    in_front.inserts |= statement.is_insert();
                    let is_certain = statement.writes_new_rows()
                        && (statement.known_rows().is_some()
                            || matches!(write.count, Count::Observed(1..)));
                    if depth == 0 && is_certain {
                        in_front.tables.extend(statement.insert_name.clone());
                        in_front.undone_insert &= !is_behind;
                    }
                }
                _ => {}
            }
        }
        in_front
    }

    /// Undoes a query of several statements that failed. All of its entries are from `len` on. Only what it showed
    /// stays, in particular that it fails.
    ///
    /// If its entries are all writes, they are removed. If other entries follow its first write, the part is rolled
    /// back like an inner transaction. If it begins with another entry, such as the savepoint of an INSERT that failed,
    /// it is left as it is.
    pub(crate) fn undo_query(&mut self, len: usize) {
        let behind = &self.entries[len..];
        if behind.iter().all(is_write) {
            self.entries.truncate(len);
            self.recount();
            self.known = Known::default();
        } else if behind.first().is_some_and(is_write) {
            self.roll_back(len);
        }
    }

    /// Adds an INSERT that failed. It must fail at the commit as well, where it is tried and undone.
    ///
    /// `write` is one of [`Write::failed`]. It runs between savepoints, so it leaves no rows.
    pub(crate) fn failed(&mut self, write: Write) {
        self.savepoints += 1;
        let name = format!("drq{}", self.savepoints);
        self.entries.push(Entry::Savepoint(name.clone()));
        self.write(write);
        self.entries.push(Entry::RollBackTo(name.clone()));
        self.entries.push(Entry::Release(name));
    }

    /// Returns all statements as they run before a peeked statement.
    ///
    /// Writes run without RETURNING. Guards over rows are added only if `validate`, those over counts always.
    pub(crate) fn before_peek(&self, validate: bool) -> Parts<'_> {
        let mut parts = Parts::default();
        for (place, entry) in self.entries.iter().enumerate() {
            match entry {
                Entry::Rows(_) if !validate => {}
                Entry::Write(write) => {
                    parts.push_ref(Part::Write(place), &write.statement);
                    push_count(&mut parts, place, write);
                }
                entry => push_entry(&mut parts, place, entry),
            }
        }
        parts
    }

    /// Adds all statements as they run at the commit.
    ///
    /// Without `guards`, only writes and savepoints are added.
    pub(crate) fn push_commit<'j>(&'j self, parts: &mut Parts<'j>, guards: bool) {
        for (place, entry) in self.entries.iter().enumerate() {
            match entry {
                Entry::Write(write) => {
                    let statement = write.guarded.as_ref().filter(|_| guards);
                    parts.push_ref(Part::Write(place), statement.unwrap_or(&write.statement));
                    if guards {
                        push_count(parts, place, write);
                    }
                }
                Entry::Rows(_) if !guards => {}
                entry => push_entry(parts, place, entry),
            }
        }
    }

    /// Returns whether an entry from this one on is a write that no server has run.
    pub(crate) fn has_unseen_writes(&self, from: usize) -> bool {
        let mut entries = self.entries.iter().skip(from);
        entries.any(|entry| matches!(entry, Entry::Write(write) if !write.seen))
    }

    /// Notes that a server has run all writes without an error.
    ///
    /// Called after a peek in which no statement of the journal failed.
    pub(crate) fn all_seen(&mut self) {
        for entry in &mut self.entries {
            if let Entry::Write(write) = entry {
                write.seen = true;
            }
        }
    }

    /// Removes a write that failed, and what came after it. That it fails stays guarded.
    ///
    /// `message` is its error. If the failure can't be guarded, nothing of the write is left. Counts the guards anew.
    pub(crate) fn take_failed(&mut self, entry: usize, message: &str) {
        let failed = self.entries.drain(entry..).next();
        if let Some(Entry::Write(write)) = failed
            && let Some(write) = Write::failed(&write.statement, message)
        {
            self.failed(write);
        }
        self.recount();
    }

    /// Rolls back to `mark`. What was shown since then must still be true at the commit. So that part runs there again,
    /// and is undone.
    ///
    /// Everything after the last entry that was shown is dropped. If nothing was shown since `mark`, nothing is left.
    /// If what is left has no writes, it needs no savepoint, since there is nothing to undo.
    pub(crate) fn roll_back(&mut self, mark: usize) {
        let shown = |entry: &Entry| match entry {
            Entry::Rows(_) => true,
            Entry::Write(write) => write.was_shown(),
            _ => false,
        };
        let last = self.entries[mark..].iter().rposition(shown);
        let end = last.map_or(mark, |last| mark + last + 1);
        // Savepoints that are open at the last of them are closed after it.
        let end = end + self.open_savepoints(mark, end);
        self.entries.truncate(end);
        if self.entries[mark..].iter().any(is_write) {
            self.savepoints += 1;
            let name = format!("drq{}", self.savepoints);
            self.entries.insert(mark, Entry::Savepoint(name.clone()));
            self.entries.push(Entry::RollBackTo(name.clone()));
            self.entries.push(Entry::Release(name));
        }
        self.recount();
        self.known = Known::default();
    }

    /// Returns the number of entries from `end` on that close the savepoints opened before it.
    fn open_savepoints(&self, mark: usize, end: usize) -> usize {
        let mut open = 0_usize;
        for entry in &self.entries[mark..end] {
            match entry {
                Entry::Savepoint(_) => open += 1,
                Entry::Release(_) => open -= 1,
                _ => {}
            }
        }
        if open == 0 {
            return 0;
        }
        let mut behind = 0;
        for entry in &self.entries[end..] {
            behind += 1;
            match entry {
                Entry::Savepoint(_) => open += 1,
                Entry::Release(_) => open -= 1,
                _ => {}
            }
            if open == 0 {
                break;
            }
        }
        behind
    }

    /// Computes the size of the guards anew. Must be called after entries were removed.
    fn recount(&mut self) {
        let sizes = self.entries.iter().map(|entry| match entry {
            Entry::Rows(guard) => guard.statement.size(),
            _ => 0,
        });
        self.guard_bytes = sizes.sum();
    }

    pub(crate) fn known(&mut self) -> &mut Known {
        &mut self.known
    }
}

fn is_write(entry: &Entry) -> bool {
    matches!(entry, Entry::Write(_))
}

fn push_entry<'j>(parts: &mut Parts<'j>, place: usize, entry: &'j Entry) {
    let control = |sql: String| Statement::raw(sql);
    match entry {
        Entry::Rows(guard) => parts.push_ref(Part::Rows(place), &guard.statement),
        Entry::Savepoint(name) => parts.push(Part::Own, control(format!("SAVEPOINT {name}"))),
        Entry::RollBackTo(name) => {
            parts.push(Part::Own, control(format!("ROLLBACK TO {name}")));
        }
        Entry::Release(name) => parts.push(Part::Own, control(format!("RELEASE {name}"))),
        Entry::Write(_) => {}
    }
}

fn push_count(parts: &mut Parts<'_>, place: usize, write: &Write) {
    if let Some(guard) = write.count.guard() {
        parts.push(Part::Count(place), guard);
    }
}
