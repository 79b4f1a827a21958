//! Lists to which numbers are appended: rows whose text is all of the list.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::upsert::excluded;
use diesel_rqlite::RqliteConnection;

use crate::attempt::Log;
use crate::history::{self, Operation, Transaction};

use super::schema::lists;

/// From this length on a list is left alone, and a new one takes its place: reads would become ever longer.
const FULL: usize = 50;

/// The lists in use, as far as one worker knows. It learns of full ones by reading them.
#[derive(Debug)]
pub(crate) struct Slots(Vec<i64>);

impl Slots {
    pub(crate) fn new(lists: i64) -> Self {
        Slots((0..lists).collect())
    }

    pub(crate) fn learn(&mut self, transaction: &Transaction) {
        let lists = i64::try_from(self.0.len()).unwrap_or(i64::MAX);
        for (list, items) in transaction.reads() {
            let slot = self.0.iter_mut().find(|slot| **slot == list);
            if let Some(slot) = slot.filter(|_| items.len() >= FULL) {
                // Its row does not exist yet.
                *slot += lists;
            }
        }
    }

    fn any(&self, random: &mut fastrand::Rng) -> i64 {
        self.0[random.usize(..self.0.len())]
    }

    /// As many rows as there are slots: lists in use, full ones, and some that do not exist.
    fn range(&self, random: &mut fastrand::Rng) -> (i64, i64) {
        let first = self.any(random);
        let rows = i64::try_from(self.0.len()).unwrap_or(i64::MAX);
        (first, first + rows - 1)
    }
}

/// One statement.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Read(i64),
    /// All lists from one to another.
    Scan(i64, i64),
    /// Writes all of a list that was read before: right only if nobody else appended since.
    Replace(i64),
    /// `items || …`
    Append(i64),
}

impl Step {
    pub(crate) fn is_read(&self) -> bool {
        matches!(self, Step::Read(_) | Step::Scan(..))
    }
}

/// One to four reads and appends. Where own writes can't be seen, all reads come first.
pub(crate) fn plan(random: &mut fastrand::Rng, slots: &Slots, sees_own_writes: bool) -> Vec<Step> {
    let mut steps = Vec::new();
    let reads_only = random.u32(0..6) == 0;
    for _ in 0..random.u32(1..=4) {
        match random.u32(0..if reads_only { 40 } else { 100 }) {
            0..30 => steps.push(Step::Read(slots.any(random))),
            30..40 => {
                let (first, last) = slots.range(random);
                steps.push(Step::Scan(first, last));
            }
            40..70 => {
                let list = slots.any(random);
                steps.extend([Step::Read(list), Step::Replace(list)]);
            }
            _ => steps.push(Step::Append(slots.any(random))),
        }
    }
    if !sees_own_writes {
        steps.sort_by_key(|step| !step.is_read());
    }
    steps
}

pub(crate) fn perform(
    connection: &mut RqliteConnection,
    steps: &[Step],
    log: &mut Log<'_>,
) -> QueryResult<()> {
    // What this transaction knows of each list: none, if there is no row.
    let mut known: HashMap<i64, Option<String>> = HashMap::new();
    for step in steps {
        match *step {
            Step::Read(list) => {
                let text = lists::table.find(list).select(lists::items);
                let text: Option<String> = text.first(connection).optional()?;
                log.read(list, text.as_deref());
                known.insert(list, text);
            }
            Step::Scan(first, last) => scan(connection, first, last, log)?,
            Step::Replace(list) => {
                let item = log.new_item();
                let text = known.get(&list).cloned().flatten();
                replace(connection, list, text.as_deref(), item)?;
                log.push(Operation::Append { list, item });
                add(&mut known, list, item);
            }
            Step::Append(list) => {
                let item = log.new_item();
                append(connection, list, item)?;
                log.push(Operation::Append { list, item });
                add(&mut known, list, item);
            }
        }
    }
    Ok(())
}

impl Log<'_> {
    fn read(&mut self, list: i64, text: Option<&str>) {
        let items = history::items(text.unwrap_or_default());
        self.push(Operation::Read { list, items });
    }
}

fn word(item: i64) -> String {
    format!("{item} ")
}

fn add(known: &mut HashMap<i64, Option<String>>, list: i64, item: i64) {
    // Behind a blind append, a list that was not read is still not known.
    if let Some(text) = known.get_mut(&list) {
        text.get_or_insert_default().push_str(&word(item));
    }
}

/// What a scan does not return is a list without items.
fn scan(
    connection: &mut RqliteConnection,
    first: i64,
    last: i64,
    log: &mut Log<'_>,
) -> QueryResult<()> {
    let rows: HashMap<i64, String> = lists::table
        .filter(lists::id.between(first, last))
        .load(connection)?
        .into_iter()
        .collect();
    for list in first..=last {
        log.read(list, rows.get(&list).map(String::as_str));
    }
    Ok(())
}

fn replace(
    connection: &mut RqliteConnection,
    list: i64,
    text: Option<&str>,
    item: i64,
) -> QueryResult<usize> {
    let items = format!("{}{}", text.unwrap_or_default(), word(item));
    match text {
        Some(_) => diesel::update(lists::table.find(list))
            .set(lists::items.eq(items))
            .execute(connection),
        None => diesel::insert_into(lists::table)
            .values((lists::id.eq(list), lists::items.eq(items)))
            .on_conflict(lists::id)
            .do_update()
            .set(lists::items.eq(excluded(lists::items)))
            .execute(connection),
    }
}

fn append(connection: &mut RqliteConnection, list: i64, item: i64) -> QueryResult<usize> {
    diesel::insert_into(lists::table)
        .values((lists::id.eq(list), lists::items.eq(word(item))))
        .on_conflict(lists::id)
        .do_update()
        .set(lists::items.eq(lists::items.concat(excluded(lists::items))))
        .execute(connection)
}
