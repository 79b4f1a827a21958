//! Rows of a query outside of transactions that are used before the last of them has arrived.
//!
//! Rows that were handed out can't be taken back. If the answer breaks off, or a value arrives that may differ from the
//! stored one, the query is run again. If its answer begins with the same rows, it is as good as the first, and the
//! rows go on where they stopped. If not, the next row is an error.
//!
//! The flow of one query:
//!
//! 1. `autocommit` waits for the first [`FIRST`] bytes. A shorter answer is complete, and this module has nothing to do.
//! 2. [`Session::first_rows`] decodes the rows that are there. The rest becomes a [`Coming`].
//! 3. [`Session::found`] makes a [`Streaming`] of it, with all that is needed to run the query again.
//! 4. [`Streaming::next`] returns the following rows, as they arrive.
//!
//! To compare the rows of two answers, not the rows are kept but their number and a digest, in [`Given`]. The digest
//! does not depend on the form in which a value came, so that an answer in the exact form may continue one in another
//! form. It is not cryptographic: a wrong match is unlikely, not impossible.
//!
//! A query is run again at most once because of its values, and [`MOST_BROKEN`] times because an answer broke off.
//! While the client waits for the rest of an answer, the [`Vigil`](super::Vigil) of the request goes on.

use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use diesel::QueryResult;
use diesel::result::Error;
use foldhash::fast::{FixedState, FoldHasher};

use super::{Client, Rest, Session, named, rows_of_query, told_rows};
use crate::backend::RqliteType;
use crate::error;
use crate::observe::{Count, Gained};
use crate::protocol::call::SendError;
use crate::protocol::encoding::Doubtful;
use crate::protocol::failure::Why;
use crate::protocol::pieces::Pieces;
use crate::protocol::request::{Exchange, Settings};
use crate::protocol::rows::Rows;
use crate::statement::{self, Learnt, Read, Statement};

/// The number of bytes of an answer to wait for. A shorter answer is complete before its first row is used.
pub(super) const FIRST: usize = 64 * 1024;
/// The number of times to run a query again after its answer broke off.
const MOST_BROKEN: u32 = 3;

/// The rows of a query.
#[derive(Debug)]
pub(crate) struct Found<C: Client> {
    /// A result for each statement that returns rows.
    pub(crate) rows: Vec<Rows>,
    /// The rest of the last result.
    pub(crate) more: Option<Box<Streaming<C>>>,
}

impl<C: Client> From<Vec<Rows>> for Found<C> {
    fn from(rows: Vec<Rows>) -> Self {
        Found { rows, more: None }
    }
}

impl<C: Client> Gained for Found<C> {
    /// Returns the number of rows that have arrived.
    fn returned(&self) -> Option<u64> {
        Some(self.rows.iter().map(|rows| rows.len() as u64).sum())
    }
}

/// An answer that has arrived in part. [`Pieces`] holds what was not decoded yet, `rest` is what the client still
/// receives.
pub(super) struct Coming<C: Client> {
    pieces: Pieces,
    /// `None` if all of it has arrived.
    rest: Option<Box<C::Rest>>,
    /// The number of bytes that have arrived and were not counted yet.
    read: u64,
}

/// The reason why there are no more rows. After [`Lost`](Self::Lost) the query may be run again. An answer that
/// can't be read is an error at once.
enum Broken {
    Lost(SendError),
    Unreadable(serde_json::Error),
}

impl<C: Client> Coming<C> {
    fn new(pieces: Pieces, rest: Option<Box<C::Rest>>) -> Self {
        Coming {
            pieces,
            rest,
            read: 0,
        }
    }

    /// Returns the next rows. Returns `None` if there are no more. Waits only if no complete row is there.
    ///
    /// `None` is returned only after the end of the answer was read and found valid, so that an answer that was cut off
    /// is never taken for a complete one.
    async fn next(&mut self) -> Result<Option<Rows>, Broken> {
        loop {
            let rows = self.pieces.rows().map_err(Broken::Unreadable)?;
            if !rows.is_empty() {
                return Ok(Some(rows));
            }
            let Some(rest) = &mut self.rest else {
                self.pieces.end().map_err(Broken::Unreadable)?;
                return Ok(None);
            };
            let read = rest.read(self.pieces.bytes()).await;
            match read.map_err(Broken::Lost)? {
                0 => self.rest = None,
                read => self.read += read as u64,
            }
        }
    }
}

/// The rows of a query that are still to come.
///
/// It borrows neither the session nor the query, but needs the session for each step. Between two steps the session may
/// run other queries. After an error or the last row it returns nothing more.
pub(crate) struct Streaming<C: Client> {
    coming: Coming<C>,
    /// The settings of the query. Those of the session may have changed since.
    settings: Settings,
    /// The statement that is run.
    statement: Statement<'static>,
    /// The same statement in the form in which every value is exact. `None` once that form is the one that is run.
    exact: Option<Statement<'static>>,
    /// The knowledge of the query, which also learns from values that arrive late.
    learnt: Option<Arc<Learnt>>,
    /// All rows that were handed out, of whatever answer.
    given: Given,
    /// After the query was run again: the rows that have to equal those that were handed out before.
    again: Option<Given>,
    /// The number of answers that broke off.
    broken: u32,
    /// Set after the last row, or after an error.
    has_ended: bool,
}

/// Rows, by their number and digest: those that were handed out, or the first ones of another answer.
struct Given {
    rows: usize,
    digest: FoldHasher<'static>,
    /// The columns that are read as REALs.
    reals: Doubtful,
}

impl Given {
    /// Returns no rows.
    fn none(reals: Doubtful) -> Self {
        Given {
            rows: 0,
            digest: FixedState::default().build_hasher(),
            reals,
        }
    }

    /// Adds the first `count` of these rows.
    fn add(&mut self, rows: &Rows, count: usize) {
        rows.digest(count, self.reals, &mut self.digest);
        self.rows += count;
    }

    /// Returns whether both are the same rows, by their number and digest.
    fn is(&self, other: &Given) -> bool {
        self.rows == other.rows && self.digest.finish() == other.digest.finish()
    }
}

impl<C: Client> fmt::Debug for Streaming<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = formatter.debug_struct("Streaming");
        text.field("given", &self.given.rows)
            .finish_non_exhaustive()
    }
}

impl<C: Client> Streaming<C> {
    /// Creates the stream of the rows after `first`, which came at once and count as handed out.
    fn new(
        coming: Coming<C>,
        settings: Settings,
        first: &Rows,
        read: &Read<'_>,
        types: Option<&[RqliteType]>,
        statement: &Statement<'_>,
    ) -> Self {
        let names = first.columns().to_vec();
        let mut given = Given::none(reals(types));
        given.add(first, first.len());
        Streaming {
            coming,
            settings,
            exact: Some(read.tagged(types, names).into_owned()),
            statement: statement.clone().into_owned(),
            learnt: read.shared_learnt(),
            given,
            again: None,
            broken: 0,
            has_ended: false,
        }
    }

    /// Returns the next rows. Returns `None` if there are no more, or after an error.
    ///
    /// `session` must be one of the same cluster, usually the one that sent the query. The query may be run again,
    /// which uses the session's nodes but the query's own settings. Rows and errors are counted here.
    pub(crate) async fn next(&mut self, session: &mut Session<C>) -> QueryResult<Option<Rows>> {
        if self.has_ended {
            return Ok(None);
        }
        let next = self.rows(session).await;
        match &next {
            Ok(Some(rows)) => session
                .observer
                .came(Count::RowsReturned, rows.len() as u64),
            Ok(None) => {}
            Err(error) => session.observer.refuse(error),
        }
        self.has_ended = !matches!(next, Ok(Some(_)));
        next
    }

    /// Returns the next rows. Runs the query again where that is necessary: in the exact form if a value is doubtful,
    /// in the form at hand if the answer broke off. A timeout is no reason, since the next run would take as long.
    async fn rows(&mut self, session: &mut Session<C>) -> QueryResult<Option<Rows>> {
        loop {
            let next = self.coming.next().await;
            let read = std::mem::take(&mut self.coming.read);
            session.observer.came(Count::BytesReceived, read);
            match next {
                Ok(Some(rows)) if rows.may_differ() && self.exact.is_some() => {
                    if let Some(learnt) = &self.learnt {
                        learnt.learn(rows.doubtful());
                    }
                    if let Some(exact) = self.exact.take() {
                        self.statement = exact;
                    }
                    self.run_again(session).await?;
                }
                Ok(Some(mut rows)) => {
                    self.pass_over(&mut rows)?;
                    if !rows.is_empty() {
                        self.given.add(&rows, rows.len());
                        return Ok(Some(named(rows, &self.statement)));
                    }
                }
                // The new answer has fewer rows than were handed out.
                Ok(None) if self.again.is_some() => return Err(self.others()),
                Ok(None) => return Ok(None),
                Err(Broken::Lost(lost)) => {
                    self.broken += 1;
                    if lost.timed_out || self.broken > MOST_BROKEN {
                        return Err(self.lost(session, lost.message));
                    }
                    session.lost(&lost.message);
                    self.run_again(session).await?;
                }
                Err(Broken::Unreadable(reason)) => {
                    return Err(self.lost(session, format!("unreadable answer: {reason}")));
                }
            }
        }
    }

    /// Removes the rows that were handed out before. Fails if they differ from those. The digests are compared once,
    /// when as many rows have come again as were handed out; no new row is returned before.
    fn pass_over(&mut self, rows: &mut Rows) -> QueryResult<()> {
        let Some(again) = &mut self.again else {
            return Ok(());
        };
        let count = rows.len().min(self.given.rows - again.rows);
        again.add(rows, count);
        rows.skip(count);
        if again.rows == self.given.rows {
            if !again.is(&self.given) {
                return Err(self.others());
            }
            self.again = None;
        }
        Ok(())
    }

    /// Runs the query again with its own settings. Fails if the new answer has no rows. Its rows are compared from the
    /// first one, see [`pass_over`](Self::pass_over).
    async fn run_again(&mut self, session: &mut Session<C>) -> QueryResult<()> {
        self.again = Some(Given::none(self.given.reals));
        let exchange = statement::query(&self.statement);
        let others = std::mem::replace(&mut session.settings, self.settings.clone());
        let sent = session.send_for(&exchange, FIRST).await;
        session.settings = others;
        let (body, rest) = sent.map_err(error::failure)?;
        let begun = Pieces::begin(&body, &self.statement.encodings);
        self.coming = match begun {
            Some(pieces) => Coming::new(pieces, rest),
            // The answer has no rows, or is an error.
            None => {
                let body = whole::<C>(&exchange, body, rest).await?;
                rows_of_query(&exchange, &body, &self.statement)?;
                return Err(self.others());
            }
        };
        Ok(())
    }

    /// Returns the error for an answer that broke off, or that can't be read.
    fn lost(&self, session: &Session<C>, reason: String) -> Error {
        let node = session.nodes.current();
        let exchange = statement::query(&self.statement);
        let rows = self.given.rows;
        let message = format!("{node}: the answer broke off after {rows} rows: {reason}");
        error::failure(exchange.failure(Why::Unknown, message))
    }

    /// Returns the error for a query that returned other rows when it was run again. It is a conflict, so the caller
    /// may run the query anew from its beginning.
    fn others(&self) -> Error {
        error::conflict(
            format!(
                "the query had to be run again after {} rows, and the new answer begins with other rows: they were changed in \
                 the meantime, or it has no ORDER BY that tells all of them apart",
                self.given.rows
            ),
            None,
        )
    }
}

/// Returns the columns that are read as REALs.
fn reals(types: Option<&[RqliteType]>) -> Doubtful {
    let mut reals = Doubtful::default();
    for (column, kind) in types.unwrap_or_default().iter().enumerate() {
        if matches!(
            kind,
            RqliteType::Float | RqliteType::Double | RqliteType::Numeric
        ) {
            reals.insert(column);
        }
    }
    reals
}

/// Reads the rest of an answer, and returns all of it. Fails if the answer breaks off.
async fn whole<C: Client>(
    exchange: &Exchange,
    first: Bytes,
    rest: Option<Box<C::Rest>>,
) -> QueryResult<Bytes> {
    let Some(mut rest) = rest else {
        return Ok(first);
    };
    let mut all = Vec::from(first);
    let lost = |error: SendError| error::failure(exchange.failure(Why::Unknown, error.message));
    while rest.read(&mut all).await.map_err(lost)? > 0 {}
    Ok(all.into())
}

impl<C: Client> Session<C> {
    /// Returns the rows that have arrived, and the stream of those to come. `statement` is the form in which the query
    /// was sent. Keeps a copy of the query and its settings if there is a stream.
    pub(super) fn found(
        &self,
        rows: Rows,
        coming: Option<Coming<C>>,
        read: &Read<'_>,
        types: Option<&[RqliteType]>,
        statement: &Statement<'_>,
    ) -> Found<C> {
        let more = coming.map(|coming| {
            let settings = self.settings.clone();
            let streaming = Streaming::new(coming, settings, &rows, read, types, statement);
            Box::new(streaming)
        });
        Found {
            rows: vec![rows],
            more,
        }
    }

    /// Returns the rows of an answer that have arrived, and the rest of the answer. If its beginning does not show the
    /// columns, or is an error, it is read to its end first. Fails if the query has failed, or if the answer can't be
    /// read. `learnt` is given if the columns of all answers in this form are the same.
    pub(super) async fn first_rows(
        &self,
        exchange: &Exchange,
        (body, rest): (Bytes, Option<Box<C::Rest>>),
        statement: &Statement<'_>,
        learnt: Option<&Learnt>,
    ) -> QueryResult<(Rows, Option<Coming<C>>)> {
        let begun = rest
            .as_ref()
            .and_then(|_| Pieces::begin(&body, &statement.encodings));
        let Some(mut pieces) = begun else {
            let body = whole::<C>(exchange, body, rest).await?;
            return Ok((whole_rows(exchange, &body, statement, learnt)?, None));
        };
        let rows = pieces.rows().map_err(|error| {
            let reason = format!("unreadable answer: {error}");
            error::failure(exchange.failure(Why::Unknown, reason))
        })?;
        Ok((named(rows, statement), Some(Coming::new(pieces, rest))))
    }

    /// Notes that an answer broke off: the node failed, and may have been restarted.
    fn lost(&mut self, reason: &str) {
        self.nodes.unsettled();
        let mut cluster = self.nodes.known.cluster();
        cluster.failed(self.nodes.current(), reason, Instant::now());
    }
}

/// Returns the rows of a complete answer. Only the rows are decoded if the answer begins like the last one in this form.
fn whole_rows(
    exchange: &Exchange,
    body: &[u8],
    statement: &Statement<'_>,
    learnt: Option<&Learnt>,
) -> QueryResult<Rows> {
    let Some(learnt) = learnt else {
        return rows_of_query(exchange, body, statement);
    };
    if let Some(rows) = learnt.rows(body, &statement.encodings) {
        return Ok(rows);
    }
    let told = told_rows(exchange, body, statement)?;
    let header = Arc::clone(told.header());
    let rows = named(told, statement);
    learnt.expect(header, &rows);
    Ok(rows)
}
