//! Queries inside a transaction, and its commit.

use std::time::{Instant, SystemTime};

use diesel::QueryResult;
use diesel::result::{DatabaseErrorKind, Error};

use super::alone::{affected, is_about_subquery};
use super::{Client, Session, rows_of, token};
use crate::backend::RqliteType;
use crate::bind_collector::Bind;
use crate::error;
use crate::protocol::call::Failure;
use crate::protocol::request::{Endpoint, Exchange, ReadConsistency};
use crate::protocol::response::{Answer, StatementResult};
use crate::protocol::rows::{Rows, Value};
use crate::sql::cells::{self, TextCell};
use crate::sql::key::{ByKey, by_key, written_table};
use crate::statement::{self, Batch, Read, Statement};
use crate::transaction::TransactionMode;
use crate::transaction::exactly_once::{Commits, was_applied};
use crate::transaction::{
    CREATE_TABLES, Count, Guard, Part, RowKey, Verdict, Write, is_own_table_missing, row_of,
};

const ROWID: &str = "_rowid_";

impl<C: Client> Session<C> {
    /// Runs statements as if everything the transaction did had been applied, and keeps nothing of it.
    pub(super) async fn look(
        &mut self,
        tails: &[&Statement<'_>],
        writes: bool,
    ) -> QueryResult<Vec<StatementResult>> {
        if self.wants_lock() {
            if !writes && !self.transaction.journal.has_writes() {
                if let Some(results) = self.lock_and_look(tails).await? {
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
        let body = body.map_err(|failure| error::failure(failure, true))?;
        self.transaction.peeked(&peek, &body)
    }

    async fn look_at(&mut self, statement: &Statement<'_>) -> QueryResult<Rows> {
        let results = self.look(&[statement], false).await?;
        first(results).and_then(|result| rows_of(result, statement))
    }

    pub(super) async fn transaction_read(
        &mut self,
        read: &Read<'_>,
        types: Option<&[RqliteType]>,
    ) -> QueryResult<Rows> {
        self.transaction.check_usable()?;
        if self.transaction.options.mode == TransactionMode::Deferred {
            self.take_lock_if_wanted().await?;
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
        let last = first(results.pop().into_iter().collect())?;
        rows_of(last, &columns).map(|rows| rows.columns)
    }

    async fn guarded_read(&mut self, read: &Read<'_>, names: Vec<String>) -> QueryResult<Rows> {
        let guarded = read.in_transaction(&self.entropy(), names.len());
        let by_key = read.by_key();
        let table = by_key.as_ref().map(|by_key| &*by_key.table);
        let mut form = TextCell::Counted;
        let texts = loop {
            let query = guarded.rows(form);
            let keys = self.primary_key_query(table);
            let tails: Vec<_> = std::iter::once(&query).chain(&keys).collect();
            let mut results = self.look(&tails, false).await?.into_iter();
            let texts = first(results.by_ref().take(1).collect())
                .and_then(|result| rows_of(result, &query))?;
            self.learn_primary_key(table, results.next());
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
            let guard = Guard {
                statement: guarded.guard(texts, &rows, form, inserted_into),
                sql: read.text().to_owned(),
            };
            let row =
                (rows.len() == 1).then(|| self.row_of(by_key.as_ref()?, |place| read.bound(place)));
            self.show(guard, row.flatten())?;
        }
        Ok(rows)
    }

    fn show(&mut self, guard: Guard, row: Option<RowKey>) -> QueryResult<()> {
        /// Of what a transaction may have read, as it is sent with the commit and kept in the Raft log.
        const LIMIT: usize = 16 << 20;
        let size = self.transaction.journal.guard_bytes() + guard.statement.size();
        if size > LIMIT {
            let message = format!(
                "the transaction has read more than {} MiB, all of which its commit would have to compare; read less, \
                 read before it begins, or use a lock and the mode Deferred: {}",
                LIMIT >> 20,
                guard.sql
            );
            return Err(Error::QueryBuilderError(message.into()));
        }
        self.transaction.journal.show(guard, row);
        Ok(())
    }

    /// Asks which columns are the primary key of a table, unless that is known.
    fn primary_key_query(&self, table: Option<&str>) -> Option<Statement<'static>> {
        let table = table?;
        (!self.keys.contains_key(table)).then(|| {
            Statement::with_binds(
                "SELECT lower(name) FROM pragma_table_info(?) WHERE pk > 0",
                vec![Bind::Text(table.to_owned().into())],
            )
        })
    }

    fn learn_primary_key(&mut self, table: Option<&str>, result: Option<StatementResult>) {
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

    fn row_of(
        &self,
        by_key: &ByKey,
        value: impl Fn(usize) -> Option<Bind<'static>>,
    ) -> Option<RowKey> {
        row_of(by_key, &self.keys, value)
    }

    /// Takes writes for the number of rows they affect.
    pub(super) async fn transaction_write(&mut self, batch: Batch<'_>) -> QueryResult<usize> {
        self.check_writable()?;
        let before = self.transaction.journal.len();
        let mut rows = 0;
        for statement in batch.statements {
            match self.take_write(statement.into_owned()).await {
                Ok(written) => rows += written,
                Err(error) => return Err(self.forget_query(before, error)),
            }
        }
        Ok(rows)
    }

    pub(super) async fn transaction_write_returning(
        &mut self,
        batch: Batch<'_>,
    ) -> QueryResult<Vec<Rows>> {
        self.check_writable()?;
        let before = self.transaction.journal.len();
        let mut returned = Vec::new();
        for statement in batch.statements {
            let statement = statement.into_owned();
            let outcome = if statement.source.is_some() {
                self.take_returning(statement)
                    .await
                    .map(|rows| returned.push(rows))
            } else {
                self.take_write(statement).await.map(|_| ())
            };
            if let Err(error) = outcome {
                return Err(self.forget_query(before, error));
            }
        }
        Ok(returned)
    }

    /// Takes the statements of a script.
    pub(super) async fn transaction_run(&mut self, batch: Batch<'_>) -> QueryResult<()> {
        self.check_writable()?;
        let statements: Vec<_> = batch
            .statements
            .into_iter()
            .map(Statement::into_owned)
            .collect();
        if statements.is_empty() {
            return Ok(());
        }
        let seen = self.transaction.options.mode == TransactionMode::Eager;
        if seen {
            let tails: Vec<_> = statements.iter().collect();
            let results = self.look(&tails, true).await?;
            if let Some(StatementResult::Failed(message)) = results.last() {
                let which = (tails.len() > 1)
                    .then(|| format!("statement {} of {}", results.len(), tails.len()));
                return Err(error::statement_error(message, which));
            }
        }
        for statement in statements {
            self.keep(statement, None, Count::Untold, seen);
        }
        Ok(())
    }

    fn check_writable(&self) -> QueryResult<()> {
        self.transaction.check_usable()?;
        self.transaction.check_writable()
    }

    /// A query of several statements failed in the middle: nothing of it stays.
    fn forget_query(&mut self, before: usize, error: Error) -> Error {
        let is_usable = self.transaction.check_usable().is_ok();
        if is_usable {
            self.transaction.journal.undo_query(before);
        }
        error
    }

    async fn take_write(&mut self, statement: Statement<'static>) -> QueryResult<usize> {
        if self.transaction.options.mode == TransactionMode::Deferred {
            return self.defer(statement);
        }
        if self.transaction.options.mode == TransactionMode::Interactive {
            if !statement.counted {
                self.keep(statement, None, Count::Untold, false);
                return Ok(0);
            }
            if let Some(rows) = self.assume(&statement) {
                self.keep(statement, None, Count::Assumed(rows), false);
                return Ok(rows);
            }
        }
        let result = self.look_at_write(&statement, &statement).await?;
        let rows = affected(&result);
        let count = match statement.counted {
            true => Count::Shown(rows),
            false => Count::Untold,
        };
        let told = if statement.counted { rows } else { 0 };
        self.keep(statement, None, count, true);
        Ok(told)
    }

    fn defer(&mut self, statement: Statement<'static>) -> QueryResult<usize> {
        if statement.source.is_some() {
            let message = "RETURNING in a transaction of the mode Deferred: its rows are not known before the commit; \
                           use the mode Interactive";
            return Err(Error::QueryBuilderError(message.into()));
        }
        let rows = statement.known_rows().unwrap_or(0);
        self.keep(statement, None, Count::Untold, false);
        Ok(rows)
    }

    /// What a write will count, if the client can tell.
    fn assume(&mut self, statement: &Statement<'_>) -> Option<usize> {
        if self.transaction.past.assumed_wrongly {
            return None;
        }
        if let Some(rows) = statement.known_rows() {
            return Some(rows);
        }
        let by_key = by_key(&statement.sql)?;
        let row = self.row_of(&by_key, |place| statement.bound(place))?;
        let known = self.transaction.journal.known();
        known.finds_its_row(&statement.sql, &row).map(usize::from)
    }

    /// Runs a write in one of its forms, to see what it does.
    async fn look_at_write(
        &mut self,
        statement: &Statement<'static>,
        form: &Statement<'_>,
    ) -> QueryResult<StatementResult> {
        let by_key = by_key(&statement.sql);
        let table = by_key.as_ref().map(|by_key| &*by_key.table);
        let keys = self.primary_key_query(table);
        let tails: Vec<_> = std::iter::once(form).chain(&keys).collect();
        let mut results = self.look(&tails, true).await?.into_iter();
        let result = first(results.by_ref().take(1).collect())?;
        self.learn_primary_key(table, results.next());
        match result {
            StatementResult::Failed(message) => Err(self.write_failed(statement, &message).await),
            result => Ok(result),
        }
    }

    /// That a row can't be inserted has been shown, too.
    async fn write_failed(&mut self, statement: &Statement<'static>, message: &str) -> Error {
        if let Some(write) = Write::failed(statement, message)
            && self.is_so(&write).await
        {
            self.transaction.journal.failed(write);
        }
        error::statement_error(message, None)
    }

    /// Whether a write has its count. One that skips the rows it can't write may fail all the same: at another row,
    /// or in a trigger, in which it also skips rows.
    async fn is_so(&mut self, write: &Write) -> bool {
        let guard = write.count.guard();
        let tails: Vec<_> = std::iter::once(&write.statement).chain(&guard).collect();
        let results = self.look(&tails, true).await.unwrap_or_default();
        let failed = |result: &StatementResult| matches!(result, StatementResult::Failed(_));
        results.len() == tails.len() && !results.iter().any(failed)
    }

    async fn take_returning(&mut self, mut statement: Statement<'static>) -> QueryResult<Rows> {
        if self.transaction.options.mode == TransactionMode::Deferred {
            return self.defer(statement).map(|_| Rows::default());
        }
        let Some(source) = statement.source.take() else {
            return Ok(Rows::default());
        };
        let mut key = vec![ROWID.to_owned()];
        let result = loop {
            let outcome = self
                .look_at_write(&statement, &source.looked_at(&key))
                .await;
            match outcome {
                // A table WITHOUT ROWID, or a view.
                Err(Error::DatabaseError(_, information))
                    if key == [ROWID] && information.message() == "no such column: _rowid_" =>
                {
                    key = self.primary_key_of(&statement).await?;
                }
                outcome => break outcome?,
            }
        };
        let StatementResult::Rows(mut rows) = result else {
            return Err(error::rows_lost_in_transaction());
        };
        let guarded = self
            .transaction
            .options
            .guards
            .then(|| source.guarded(&rows, &key));
        let count = Count::Shown(rows.len());
        for _ in &key {
            rows.drop_last_column();
        }
        rows.columns.clone_from(&source.names);
        self.keep(statement, guarded, count, true);
        Ok(rows)
    }

    /// The columns of the primary key of the table that is written, in quotes. None: it has no key, or is a view.
    async fn primary_key_of(&mut self, statement: &Statement<'static>) -> QueryResult<Vec<String>> {
        let Some(table) = written_table(&statement.sql) else {
            return Ok(Vec::new());
        };
        if let Some(query) = self.primary_key_query(Some(&table)) {
            let mut results = self.look(&[&query], false).await?;
            self.learn_primary_key(Some(&table), results.pop());
        }
        let columns = self.keys.get(&table).into_iter().flatten();
        let quoted = columns.map(|column| format!("\"{}\"", column.replace('"', "\"\"")));
        Ok(quoted.collect())
    }

    fn keep(
        &mut self,
        statement: Statement<'static>,
        guarded: Option<Statement<'static>>,
        count: Count,
        seen: bool,
    ) {
        self.learn_from(&statement, count);
        self.transaction.journal.write(Write {
            statement,
            guarded,
            count,
            seen,
        });
    }

    /// What a write tells about the rows that are there.
    fn learn_from(&mut self, statement: &Statement<'static>, count: Count) {
        if statement.is_insert() {
            return;
        }
        let by_key = by_key(&statement.sql);
        let row = by_key
            .as_ref()
            .and_then(|by_key| self.row_of(by_key, |place| statement.bound(place)));
        if !statement.counted {
            self.keys.clear();
        }
        let known = self.transaction.journal.known();
        match (by_key, row) {
            (Some(by_key), Some(row)) if !by_key.sets_key() => {
                if let Count::Shown(rows) = count {
                    known.tried(&statement.sql, rows == 1);
                }
                let found = matches!(count, Count::Shown(1) | Count::Assumed(1));
                known.set(row, found && !by_key.sets.is_empty());
            }
            _ => known.forget(),
        }
    }

    /// Commits the innermost transaction. The outermost one is over then, whatever the outcome.
    pub(crate) async fn commit(&mut self) -> QueryResult<()> {
        match self.transaction.depth() {
            0 => return Err(Error::NotInTransaction),
            1 => {}
            _ => return self.transaction.commit_inner(),
        }
        let outcome = match self.transaction.check_usable() {
            Ok(()) => self.send_commit().await,
            Err(error) => Err(error),
        };
        if outcome.is_ok() {
            self.transaction.past = crate::transaction::Past::default();
        } else {
            self.give_back_lock().await;
            self.keys.clear();
        }
        self.transaction.finish()?;
        outcome
    }

    /// Rolls back the innermost transaction.
    pub(crate) async fn roll_back(&mut self) -> QueryResult<()> {
        if self.transaction.depth() == 1 {
            self.give_back_lock().await;
        }
        self.transaction.roll_back()
    }

    async fn send_commit(&mut self) -> QueryResult<()> {
        if !self.transaction.journal.has_live_writes() {
            if !self.transaction.journal.is_consistent() {
                self.look(&[], false).await?;
            }
            self.give_back_lock().await;
            return Ok(());
        }
        let began = Instant::now();
        let mut created = false;
        self.count_commit();
        loop {
            let (before, after) = self.around_commit();
            let commit = self.transaction.commit(before, after);
            let outcome = self.send(&commit.exchange).await;
            let outcome = outcome.as_ref().map(|body| &body[..]).map_err(Clone::clone);
            match self.transaction.verdict(&commit, outcome) {
                Verdict::Applied => return Ok(()),
                Verdict::Refused(error) => return Err(error),
                Verdict::TableMissing if !created => {
                    created = true;
                    self.create_tables().await?;
                }
                Verdict::TableMissing => {
                    return Err(error::of_kind(
                        DatabaseErrorKind::Unknown,
                        "a table of diesel-rqlite was dropped just after it was made",
                    ));
                }
                Verdict::LockHeld => self.take_lock().await?,
                Verdict::Unknown(message) => {
                    if self.settled_as_applied(message, began).await? {
                        return Ok(());
                    }
                    // It was not applied, and no late copy of it will be.
                    self.count_commit();
                }
            }
        }
    }

    /// Gives the next commit its number.
    fn count_commit(&mut self) {
        if !self.transaction.options.exactly_once {
            return;
        }
        let now = SystemTime::now();
        let commits = self.commits.take();
        let commits = commits.filter(|commits| !commits.is_of_another_day(now));
        let commits = self
            .commits
            .insert(commits.unwrap_or_else(|| Commits::new(&token(), now)));
        commits.advance();
    }

    /// What a commit checks before everything else, and does behind it.
    fn around_commit(
        &self,
    ) -> (
        Vec<(Part, Statement<'static>)>,
        Vec<(Part, Statement<'static>)>,
    ) {
        let mut before = Vec::new();
        let mut after = Vec::new();
        if let Some(commits) = self
            .commits
            .as_ref()
            .filter(|_| self.transaction.options.exactly_once)
        {
            before.push((Part::CommitNumber, commits.number()));
            after.extend(commits.prune().map(|prune| (Part::Savepoint, prune)));
        }
        if let Some((name, fence)) = &self.transaction.fence {
            before.push((Part::Fence, crate::lock::fence::check(name, fence)));
        }
        if let Some(lease) = &self.transaction.lease {
            if lease.is_held() {
                before.push((Part::Fence, lease.check()));
            } else {
                before.push((Part::Savepoint, lease.acquire()));
                before.push((Part::TakeLock, lease.check()));
            }
            after.push((Part::ReleaseLock, lease.release()));
        }
        (before, after)
    }

    /// Makes this crate's own tables where they are missing.
    pub(super) async fn create_tables(&mut self) -> QueryResult<()> {
        let statements: Vec<_> = CREATE_TABLES.into_iter().map(Statement::plain).collect();
        let batch = Batch {
            statements,
            atomic: true,
        };
        self.write(batch).await.map(|_| ())
    }

    /// Whether a commit whose answer was lost was applied. An error, if that can't be found out.
    async fn settled_as_applied(&mut self, message: String, began: Instant) -> QueryResult<bool> {
        let unknown = || Err(error::failure(Failure::Unknown(message.clone()), false));
        let Some(commits) = self
            .commits
            .clone()
            .filter(|_| self.transaction.options.exactly_once)
        else {
            return unknown();
        };
        let (settle, ask) = (commits.settle(), commits.ask());
        let exchange = Exchange::new(Endpoint::WriteAndAsk, statement::body(&[&settle, &ask]));
        let patience = self.settings.settle_timeout();
        loop {
            if let Ok(body) = self.send(&exchange).await
                && let Ok(answer) = Answer::parse(&body, &[])
            {
                match &answer.results[..] {
                    [StatementResult::Failed(message), ..] if is_own_table_missing(message) => {
                        self.create_tables().await?;
                    }
                    [_, StatementResult::Rows(rows)] => {
                        if let Some(applied) = was_applied(rows) {
                            return Ok(applied);
                        }
                        return unknown();
                    }
                    _ => {}
                }
            }
            if began.elapsed() >= patience {
                return unknown();
            }
            self.client
                .wait(super::jittered(std::time::Duration::from_millis(100)))
                .await;
        }
    }
}

fn first(results: Vec<StatementResult>) -> QueryResult<StatementResult> {
    results.into_iter().next().ok_or_else(|| {
        let message = "an answer without a result".to_owned();
        error::failure(Failure::Unknown(message), true)
    })
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
    let message = "unreadable answer: rows that are not written as they were asked for".to_owned();
    error::failure(Failure::Unknown(message), true)
}

#[cfg(test)]
mod tests {
    use super::*;

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
