//! The ways a statement takes to the database.

use std::fmt;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Stdio};

use diesel::connection::SimpleConnection;
use diesel::deserialize::{self, QueryableByName};
use diesel::prelude::*;
use diesel::query_builder::{BoxedSqlQuery, SqlQuery};
use diesel::result::{DatabaseErrorKind, Error};
use diesel::row::NamedRow;
use diesel::sql_types::{BigInt, Binary, Double, Nullable, Text};
use diesel_rqlite::{Rqlite, RqliteConnection, TransactionMode};

use crate::grammar::Spice;
use crate::nodes::Nodes;
use crate::statement::{Statement, Value};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// `sql_query(…).execute()` or `.load()`, with values.
    Query,
    /// `batch_execute`
    Script,
    /// `batch_execute("BEGIN; …; COMMIT")`
    FramedScript,
    Interactive,
    Eager,
    Deferred,
    /// `batch_execute` inside of a transaction.
    ScriptInTransaction,
    /// `diesel-rqlite load` of a file.
    Load,
}

pub(crate) const WAYS: [Way; 8] = [
    Way::Query,
    Way::Script,
    Way::FramedScript,
    Way::Interactive,
    Way::Eager,
    Way::Deferred,
    Way::ScriptInTransaction,
    Way::Load,
];

/// Statements that take one way, together.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Input {
    pub(crate) way: Way,
    pub(crate) spice: Spice,
    pub(crate) statements: Vec<Statement>,
}

/// What must not happen, besides a difference.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    Accepted,
    /// By the client, before anything was sent.
    RefusedByClient(String),
    /// SQLite's message.
    RefusedBySqlite(String),
    /// A panic, or a conflict though there is nobody else.
    Wrong(String),
}

impl fmt::Display for Input {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "  by {:?}:", self.way)?;
        for statement in &self.statements {
            match self.way.takes_values() {
                true => {
                    let (sql, values) = statement.bound();
                    writeln!(formatter, "    {sql:?} {values:?}")?;
                }
                false => writeln!(formatter, "    {:?}", statement.literal())?,
            }
        }
        Ok(())
    }
}

impl Way {
    fn takes_values(self) -> bool {
        matches!(
            self,
            Way::Query | Way::Interactive | Way::Eager | Way::Deferred
        )
    }

    /// Whether a RETURNING has rows.
    pub(crate) fn returns_rows(self) -> bool {
        self.takes_values() && self != Way::Deferred
    }

    /// Whether a query among the statements is one that its rows are wanted of.
    pub(crate) fn reads(self) -> bool {
        self.takes_values()
    }

    fn mode(self) -> TransactionMode {
        match self {
            Way::Eager => TransactionMode::Eager,
            Way::Deferred => TransactionMode::Deferred,
            _ => TransactionMode::Interactive,
        }
    }
}

impl Input {
    /// Runs it. Where one of the statements is refused, and all with it, its halves are run: the others are to have
    /// taken this way.
    pub(crate) fn run(&self, nodes: &mut Nodes) -> Vec<(usize, Outcome)> {
        let all = self.statements.len();
        if self.way == Way::Query && all > 1 {
            let alone = self.statements.iter();
            return alone
                .flat_map(|statement| self.with(std::slice::from_ref(statement)).run(nodes))
                .collect();
        }
        match self.run_whole(nodes) {
            Outcome::RefusedByClient(_) | Outcome::RefusedBySqlite(_) if all > 1 => {
                let (first, second) = self.statements.split_at(all / 2);
                let mut outcomes = self.with(first).run(nodes);
                outcomes.extend(self.with(second).run(nodes));
                outcomes
            }
            outcome => vec![(all, outcome)],
        }
    }

    pub(crate) fn with(&self, statements: &[Statement]) -> Input {
        Input {
            statements: statements.to_vec(),
            ..*self
        }
    }

    fn run_whole(&self, nodes: &mut Nodes) -> Outcome {
        if self.way == Way::Load {
            return self.load(&nodes.url);
        }
        let connection = &mut nodes.connection;
        let outcome = catch_unwind(AssertUnwindSafe(|| self.on(connection)));
        match outcome {
            Ok(Ok(())) => Outcome::Accepted,
            Ok(Err(error)) => refused(error),
            Err(panic) => Outcome::Wrong(format!("panics: {:?}", panic.downcast_ref::<String>())),
        }
    }

    fn on(&self, connection: &mut RqliteConnection) -> QueryResult<()> {
        match self.way {
            Way::Query => self.each(connection),
            Way::Script => connection.batch_execute(&self.script()),
            Way::FramedScript => {
                connection.batch_execute(&format!("BEGIN; {}; COMMIT;", self.script()))
            }
            Way::ScriptInTransaction => {
                connection.transaction(|connection| connection.batch_execute(&self.script()))
            }
            way => {
                let transaction = connection.build_transaction().mode(way.mode());
                transaction.run(|connection| self.each(connection))
            }
        }
    }

    fn each(&self, connection: &mut RqliteConnection) -> QueryResult<()> {
        for statement in &self.statements {
            let (sql, values) = statement.bound();
            let query = values
                .into_iter()
                .fold(diesel::sql_query(sql).into_boxed(), bind);
            if statement.loaded {
                query.load::<Ignored>(connection)?;
            } else {
                query.execute(connection)?;
            }
        }
        Ok(())
    }

    fn script(&self) -> String {
        let texts: Vec<_> = self.statements.iter().map(Statement::literal).collect();
        texts.join(";\n")
    }

    fn load(&self, url: &str) -> Outcome {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("statements.sql");
        fs::write(&file, self.script() + ";\n").expect("writes");
        let run = Command::new(env!("CARGO_BIN_EXE_diesel-rqlite"))
            .args(["load", "--force", "--database-url", url])
            .arg(file)
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .output()
            .expect("runs");
        let said = String::from_utf8_lossy(&run.stderr).into_owned();
        match run.status.code() {
            Some(0) => Outcome::Accepted,
            Some(1) if said.contains("every replica another value") => {
                Outcome::RefusedByClient(said)
            }
            Some(1) => Outcome::RefusedBySqlite(said),
            code => Outcome::Wrong(format!("exits with {code:?}: {said}")),
        }
    }
}

fn refused(error: Error) -> Outcome {
    match error {
        Error::QueryBuilderError(reason) => Outcome::RefusedByClient(reason.to_string()),
        Error::DatabaseError(DatabaseErrorKind::SerializationFailure, information) => {
            Outcome::Wrong(format!("conflicts with nobody: {}", information.message()))
        }
        Error::DatabaseError(DatabaseErrorKind::ClosedConnection, information) => {
            Outcome::Wrong(format!("no answer: {}", information.message()))
        }
        // Its rows are lost; the server's own parser did not understand it.
        Error::DeserializationError(reason) if reason.to_string().contains("was applied") => {
            Outcome::Accepted
        }
        error => Outcome::RefusedBySqlite(error.to_string()),
    }
}

fn bind<'a>(
    query: BoxedSqlQuery<'a, Rqlite, SqlQuery>,
    value: &'a Value,
) -> BoxedSqlQuery<'a, Rqlite, SqlQuery> {
    match value {
        Value::Null => query.bind::<Nullable<Text>, _>(None::<&str>),
        Value::Integer(value) => query.bind::<BigInt, _>(*value),
        Value::Real(value) => query.bind::<Double, _>(*value),
        Value::Text(text) => query.bind::<Text, _>(text.as_str()),
        Value::Blob(bytes) => query.bind::<Binary, _>(bytes.as_slice()),
    }
}

struct Ignored;

impl QueryableByName<Rqlite> for Ignored {
    fn build<'a>(_row: &impl NamedRow<'a, Rqlite>) -> deserialize::Result<Self> {
        Ok(Ignored)
    }
}
