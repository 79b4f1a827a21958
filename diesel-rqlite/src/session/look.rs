//! Reads inside a transaction: looks at the database as if what is pending had been applied.

use diesel::QueryResult;
use diesel::result::Error;
use diesel_rqlite_sql::ByKey;

use super::alone::is_about_subquery;
use super::{Client, Session, named, rows_of};
use crate::backend::RqliteType;
use crate::bind_collector::Bind;
use crate::error;
use crate::protocol::message::StatementError;
use crate::protocol::request::ReadConsistency;
use crate::protocol::response::StatementResult;
use crate::protocol::rows::{Rows, Value};
use crate::sql::cells::{self, TextCell};
use crate::sql::unstable::{self, Comparable, Unstable};
use crate::statement::{self, Read, Statement};
use crate::transaction::{Guard, RowKey, TransactionMode, row_of};

/// How many bytes a transaction may read and still be guarded: they are part of its commit, and of the Raft log.
const GUARDS: usize = 16 << 20;

impl<C: Client> Session<C> {
    /// Runs statements as if everything the transaction did had been applied, and keeps nothing of it.
    pub(super) async fn look(
        &mut self,
        tails: &[&Statement<'_>],
        writes: bool,
    ) -> QueryResult<Vec<StatementResult>> {
        self.check_guarded()?;
        if self.wants_lock() {
            if !writes && !self.transaction.journal.has_writes() {
                let results = self.lock_and_look(tails).await?.unwrap_or_default();
                if !results.is_empty() {
                    return Ok(results);
                }
            } else {
                self.take_lock().await?;
            }
        }
        let validate = tails.is_empty() || self.transaction.journal.wants_validation();
        let peek = self.transaction.peek(tails, writes, validate);
        let mut exchange = peek.exchange.clone();
        if self.settings.level == ReadConsistency::None && self.transaction.past.conflict {
            // From a node that lags behind, the same rows would come again.
            exchange = exchange.at(ReadConsistency::Weak);
        }
        let body = self.send(&exchange).await;
        let body = body.map_err(error::failure)?;
        let results = self.transaction.peeked(&peek, &body)?;
        let failed = matches!(results.last(), Some(StatementResult::Failed(_)));
        if failed
            && self.settings.level == ReadConsistency::None
            && exchange.level.is_none()
            && !peek.writes
        {
            // The node may lag behind, and not know the table yet.
            let body = self.send(&exchange.at(ReadConsistency::Weak)).await;
            let body = body.map_err(error::failure)?;
            return self.transaction.peeked(&peek, &body);
        }
        Ok(results)
    }

    /// Asks for something of the schema, as the transaction sees it, if one is open that may look.
    pub(super) async fn ask_as_seen(&mut self, statement: &Statement<'_>) -> QueryResult<Rows> {
        let is_seen = self.transaction.is_open()
            && self.transaction.options.mode != TransactionMode::Deferred;
        match is_seen {
            true => self.look_at(statement).await,
            false => self.ask(statement).await,
        }
    }

    pub(super) async fn look_at(&mut self, statement: &Statement<'_>) -> QueryResult<Rows> {
        let mut results = self.look(&[statement], false).await?;
        rows_of(results.pop(), statement)
    }

    pub(super) async fn transaction_read(
        &mut self,
        read: &Read<'_>,
        types: Option<&[RqliteType]>,
    ) -> QueryResult<Rows> {
        self.transaction.check_usable()?;
        self.check_may_read()?;
        if self.transaction.options.mode == TransactionMode::Deferred {
            if let Some(rows) = self.read_with_lock(read, types).await? {
                return Ok(rows);
            }
            self.take_lock_if_wanted().await?;
            self.raise_fence_if_wanted().await?;
            self.warn_of_unguarded_read();
            return self.read(read, types).await;
        }
        if !read.is_wrappable() {
            return self.look_at(&read.plain()).await;
        }
        if let Some(types) = types {
            match self.guarded_read(read, read.typed_names(types.len())).await {
                // It has another number of columns, as Diesel will say.
                Err(Error::DatabaseError(_, information))
                    if is_about_subquery(information.message()) => {}
                outcome => return outcome,
            }
        }
        let names = match read.column_names() {
            Some(names) => names,
            None => self.columns_of(read).await?,
        };
        self.guarded_read(read, names).await
    }

    /// The names of the columns, as the server knows them. See [`statement::raw_query`] for the query in front.
    async fn columns_of(&mut self, read: &Read<'_>) -> QueryResult<Vec<String>> {
        let (schema, columns) = (statement::read_of_schema(), read.columns());
        let mut results = self.look(&[&schema, &columns], false).await?;
        rows_of(results.pop(), &columns).map(|rows| rows.columns)
    }

    /// Takes a lock in rqlite and reads, in one request. `None`: there is no lock to take, another held it, or the rows
    /// need another form.
    async fn read_with_lock(
        &mut self,
        read: &Read<'_>,
        types: Option<&[RqliteType]>,
    ) -> QueryResult<Option<Rows>> {
        let Some(statement) = read.exact(types).filter(|_| self.wants_lock()) else {
            return Ok(None);
        };
        let results = self.lock_and_look(&[&statement]).await?;
        let result = results.and_then(|results| results.into_iter().next());
        Ok(match result {
            Some(StatementResult::Rows(rows)) if !rows.may_be_lossy() => {
                Some(named(rows, &statement))
            }
            _ => None,
        })
    }

    fn warn_of_unguarded_read(&self) {
        #[cfg(feature = "tracing")]
        if self.transaction.options.locking == crate::lock::Locking::None {
            static ONCE: std::sync::Once = std::sync::Once::new();
            ONCE.call_once(|| {
                tracing::warn!(
                    "a transaction of the mode Deferred reads without a lock: what it read may have changed at its commit"
                );
            });
        }
    }

    async fn guarded_read(&mut self, read: &Read<'_>, names: Vec<String>) -> QueryResult<Rows> {
        let mut order = read.natural_order(self.unstable.as_ref());
        let mut guarded = read.in_transaction(&self.entropy(), names.len(), order.as_deref());
        let by_key = read.by_key();
        let mut form = TextCell::Counted;
        let texts = loop {
            let query = guarded.rows(form);
            let result = self.look_and_learn(&query, by_key.as_ref(), false).await?;
            if order.is_some() && is_without_rowid(&result) {
                // Somebody has made another table of it since.
                guarded = read.in_transaction(&self.entropy(), names.len(), None);
                order = None;
                continue;
            }
            let texts = rows_of(Some(result), &query)?;
            if form == TextCell::Hex || !texts.has_replacement_character() {
                break texts;
            }
            form = TextCell::Hex;
        };
        let texts = texts_of(&texts)?;
        let rows = cells::decode(texts.iter().copied(), names).ok_or_else(unreadable_cells)?;
        if self.transaction.options.guards && guarded.is_stable {
            // What the connection did last is the same on all nodes only behind an INSERT of this very request.
            let inserted_into = match read.asks_for_counters() {
                true => match self.transaction.journal.last_insert() {
                    Some(table) => Some(table),
                    None => return Ok(rows),
                },
                false => None,
            };
            let compared = match &self.unstable {
                Some(unstable) => read.comparable(unstable, &rows.columns),
                None => Comparable::Nothing,
            };
            let statement = guarded.guard(texts, &rows, form, inserted_into, &compared);
            let guard = statement.map(|statement| Guard {
                statement,
                sql: read.text().to_owned(),
            });
            let row =
                (rows.len() == 1).then(|| self.row_of(by_key.as_ref()?, |place| read.bound(place)));
            self.show(guard, row.flatten());
        }
        Ok(rows)
    }

    /// Looks at one statement, and in the same request asks for what decides how it is guarded.
    pub(super) async fn look_and_learn(
        &mut self,
        statement: &Statement<'_>,
        by_key: Option<&ByKey>,
        writes: bool,
    ) -> QueryResult<StatementResult> {
        let table = by_key.map(|by_key| &*by_key.table);
        let keys = self.primary_key_query(table);
        let schema = Statement::plain(unstable::QUERY);
        let tails: Vec<_> = [statement, &schema].into_iter().chain(&keys).collect();
        let mut results = self.look(&tails, writes).await?.into_iter();
        let result = results.next().ok_or_else(error::cut_short)?;
        match results.next() {
            Some(StatementResult::Rows(rows)) => self.learn_unstable(&rows),
            // Without it nothing would be compared at the commit.
            Some(StatementResult::Executed { .. }) => return Err(error::no_rows()),
            // A schema that the server can't read whole, or a statement in front that failed.
            Some(StatementResult::Failed(_)) | None => {}
        }
        self.learn_primary_key(table, results.next());
        Ok(result)
    }

    /// Notes what must not be compared, since each node has its own.
    pub(super) fn learn_unstable(&mut self, rows: &Rows) {
        if rows.width() == unstable::WIDTH {
            self.unstable = Some(Unstable::of(rows));
        }
    }

    fn show(&mut self, guard: Option<Guard>, row: Option<RowKey>) {
        let journal = &mut self.transaction.journal;
        if let Some(row) = row {
            journal.known().set(row, true);
        }
        let Some(guard) = guard else {
            return;
        };
        if journal.guard_bytes() + guard.statement.size() > GUARDS {
            // As long as nothing else is done, nothing has to be compared.
            journal.unguarded = Some(guard.sql);
        } else {
            journal.show(guard);
        }
    }

    /// An error, if the transaction has read too much to go on with anything else.
    pub(super) fn check_guarded(&self) -> QueryResult<()> {
        match &self.transaction.journal.unguarded {
            None => Ok(()),
            Some(sql) => {
                let message = format!(
                    "the transaction has read more than {} MiB, which its commit would have to compare; read less, read \
                     before it begins, or use a lock and the mode Deferred: {sql}",
                    GUARDS >> 20,
                );
                Err(Error::QueryBuilderError(message.into()))
            }
        }
    }

    /// Asks which columns are the primary key of a table, unless that is known.
    pub(super) fn primary_key_query(&self, table: Option<&str>) -> Option<Statement<'static>> {
        let table = table?;
        (!self.keys.contains_key(table)).then(|| {
            Statement::with_binds(
                "SELECT lower(name) FROM pragma_table_info(?) WHERE pk > 0",
                vec![Bind::Text(table.to_owned().into())],
            )
        })
    }

    pub(super) fn learn_primary_key(
        &mut self,
        table: Option<&str>,
        result: Option<StatementResult>,
    ) {
        if let (Some(table), Some(StatementResult::Rows(rows))) = (table, result)
            && rows.width() == 1
        {
            let columns = (0..rows.len()).filter_map(|row| match rows.value(row, 0) {
                Some(Value::Text(column)) => Some(column.to_owned()),
                _ => None,
            });
            self.keys.insert(table.to_owned(), columns.collect());
        }
    }

    pub(super) fn row_of(
        &self,
        by_key: &ByKey,
        value: impl Fn(usize) -> Option<Bind<'static>>,
    ) -> Option<RowKey> {
        row_of(by_key, &self.keys, value)
    }
}

fn is_without_rowid(result: &StatementResult) -> bool {
    match result {
        StatementResult::Failed(message) => StatementError(message).is_without_rowids(),
        _ => false,
    }
}

/// The one text of each row.
fn texts_of(rows: &Rows) -> QueryResult<Vec<&str>> {
    let texts = (0..rows.len()).map(|row| match rows.width() {
        1 => match rows.value(row, 0) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        },
        // Without a column there is no value to look at.
        _ => None,
    });
    texts.collect::<Option<_>>().ok_or_else(unreadable_cells)
}

fn unreadable_cells() -> Error {
    error::useless_answer("unreadable answer: rows that are not written as they were asked for")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::response::Answer;

    #[test]
    fn rows_without_columns_are_unreadable() {
        let body = br#"{"results":[{"columns":[],"values":[[]]}]}"#;
        let mut answer = Answer::parse(body, &[]).expect("parses");
        match answer.results.pop() {
            Some(StatementResult::Rows(rows)) => assert!(texts_of(&rows).is_err()),
            other => panic!("no rows: {other:?}"),
        }
    }
}
