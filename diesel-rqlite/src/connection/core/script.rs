//! Scripts, and the statements that control transactions.
//!
//! The statements of a script are one atomic request, except at three places: `BEGIN`, `COMMIT` and
//! the like are not sent but change the client's transaction; foreign keys are switched between two
//! requests, see `sections`; and VACUUM is a request of its own.
//!
//! A statement that can't be sent is found before the first one is. If a section of a script fails,
//! what it has added to an open transaction is undone, and a transaction that it has begun is rolled
//! back.

use std::time::Instant;

use diesel::QueryResult;
use diesel_rqlite_sql::{Control, Form, Parsed, Setting, SqlError, parse};

use super::sections::{Section, last_foreign_keys, sections};
use super::transactions::End;
use super::{Core, Scope};
use crate::error;
use crate::observe::What;
use crate::protocol::message::TRANSACTION_OPEN;
use crate::session::Client;
use crate::statement::strip_begin_and_commit;

impl<C: Client> Core<C> {
    /// Runs a script. Its statements are one atomic request, unless the script begins and ends
    /// transactions of its own, switches foreign keys on or off, or has a VACUUM.
    pub(crate) async fn script(&mut self, sql: &str) -> QueryResult<()> {
        let found = parse(sql).map_err(|error| self.not_sent(error))?;
        self.learn_from_concurrent();
        if found.iter().all(|parsed| parsed.form().is_control()) {
            // Transactions have their own spans, which may outlive the script.
            return self.statements_of_script(found).await;
        }
        let operation = self.begin_operation(What::Script(&found));
        let outcome = operation.within(self.statements_of_script(found)).await;
        self.session.observer.finish(operation, sql, &outcome);
        outcome
    }

    async fn statements_of_script(&mut self, found: Vec<Parsed<'_>>) -> QueryResult<()> {
        for parsed in &found {
            let not_sent = |error: SqlError| error::not_sent(error.at(parsed.position()));
            if Control::of(parsed).map_err(not_sent)?.is_none() {
                parsed.check().map_err(not_sent)?;
            }
        }
        let sections = sections(found, self.is_in_transaction());
        let last = last_foreign_keys(&sections);
        if last == Some(true) {
            self.session.check_foreign_keys().await?;
        }
        let outcome = self.sections(sections).await;
        if outcome.is_err() && last == Some(true) && !self.is_in_transaction() {
            // If the script switched foreign keys off, they are switched on again.
            self.session.set(Setting::ForeignKeys(true)).await?;
        }
        outcome
    }

    async fn sections(&mut self, sections: Vec<Section<'_>>) -> QueryResult<()> {
        for section in sections {
            match section {
                Section::Set(setting) => {
                    self.session.set(setting).await?;
                }
                Section::Statements(found) => self.section(found).await?,
            }
        }
        Ok(())
    }

    async fn section(&mut self, mut found: Vec<Parsed<'_>>) -> QueryResult<()> {
        let controls = found.iter().map(Control::of);
        let controls: Result<Vec<_>, _> = controls.collect();
        let controls = controls.map_err(error::not_sent)?;
        let mut scope = Scope::of_query(self);
        let core = scope.core();
        let number = controls.iter().flatten().count();
        let framed = number == 2 && !core.is_in_transaction() && strip_begin_and_commit(&mut found);
        let outcome = match number {
            0 => core.run_around_vacuums(&found).await,
            _ if framed => core.run(&found, true).await,
            _ => core.run_between(found, controls).await,
        };
        scope.keep();
        outcome
    }

    /// Runs statements that may include VACUUM. VACUUM can't run in a transaction, so the
    /// statements before and after it are separate requests.
    async fn run_around_vacuums(&mut self, found: &[Parsed<'_>]) -> QueryResult<()> {
        let is_vacuum = |parsed: &Parsed<'_>| parsed.form() == Form::Vacuum;
        if self.is_in_transaction() || !found.iter().any(is_vacuum) {
            return self.run(found, false).await;
        }
        let kinds = |one: &Parsed<'_>, other: &Parsed<'_>| !is_vacuum(one) && !is_vacuum(other);
        for group in found.chunk_by(kinds) {
            self.run(group, false).await?;
        }
        Ok(())
    }

    async fn run_between(
        &mut self,
        found: Vec<Parsed<'_>>,
        controls: Vec<Option<Control>>,
    ) -> QueryResult<()> {
        self.check_may_begin()?;
        let mut statements = found.into_iter();
        let mut group = Vec::new();
        for control in controls {
            let parsed = statements.next();
            match control {
                None => group.extend(parsed),
                Some(control) => {
                    self.run(&std::mem::take(&mut group), false).await?;
                    self.control(control).await?;
                }
            }
        }
        self.run(&group, false).await
    }

    async fn run(&mut self, found: &[Parsed<'_>], framed: bool) -> QueryResult<()> {
        let _in_use = self.holding.in_use();
        let began = Instant::now();
        let outcome = self.session.run(found, framed).await;
        self.keep_lock(began);
        outcome
    }

    /// Applies `BEGIN`, `COMMIT` and similar statements to the client's transaction.
    pub(super) async fn control(&mut self, control: Control) -> QueryResult<()> {
        let depth = self.session.transaction.depth();
        let sqlite = |message: &str| Err(error::statement_error(message, None));
        match control {
            Control::Begin { .. } if depth > 0 => sqlite(TRANSACTION_OPEN),
            Control::Begin { immediate } => {
                if immediate {
                    self.next = Some(self.immediate_options());
                }
                self.begin(None).await
            }
            Control::Savepoint(name) => self.begin(Some(name)).await,
            Control::Commit if depth == 0 => sqlite(End::Commit.without_transaction()),
            Control::Commit => self.close_to(0, End::Commit).await,
            Control::RollBack if depth == 0 => sqlite(End::RollBack.without_transaction()),
            Control::RollBack => self.close_to(0, End::RollBack).await,
            Control::Release(name) => match self.session.transaction.depth_of(&name) {
                Some(depth) => self.close_to(depth - 1, End::Commit).await,
                None => sqlite(&format!("no such savepoint: {name}")),
            },
            Control::RollBackTo(name) => match self.session.transaction.depth_of(&name) {
                Some(depth) => {
                    self.close_to(depth, End::RollBack).await?;
                    self.session.transaction.roll_back_to_mark();
                    Ok(())
                }
                None => sqlite(&format!("no such savepoint: {name}")),
            },
        }
    }
}
