//! Runs a program on a connection, and writes down what it is shown.

use diesel::connection::SimpleConnection;
use diesel::dsl::count_star;
use diesel::prelude::*;
use diesel::result::Error;
use diesel::sql_types::{BigInt, Binary, Double, Nullable, Text};
use diesel::upsert::excluded;
use diesel_rqlite::{Rqlite, RqliteConnection};

use super::program::{Bound, Dsl, End, Operation, Program, Query, Step};
use super::show::{self, Shown};

diesel::table! {
    t (id) {
        id -> BigInt,
        name -> Nullable<Text>,
        n -> Nullable<BigInt>,
    }
}

type Row = (i64, Option<String>, Option<i64>);

/// What the closure was shown, in its order.
#[derive(Debug, Default)]
pub struct Log {
    pub shown: Vec<String>,
    /// The place of the first error of an operation that an interactive transaction does not ask the server about.
    pub unasked_error: Option<usize>,
    /// The places of inserts that wrote fewer rows than they were given, or of those that may have.
    pub skipped: Vec<usize>,
    /// The last operation was a write that went well.
    written: Option<&'static str>,
}

/// A connection of either kind.
pub trait Runner: SimpleConnection + Sized {
    const IS_REFERENCE: bool;

    fn count(&mut self, query: &Query) -> QueryResult<usize>;
    fn rows(&mut self, query: &Query) -> QueryResult<Vec<String>>;
    fn dsl(&mut self, dsl: &Dsl) -> QueryResult<String>;
    fn within<T>(&mut self, run: impl FnOnce(&mut Self) -> QueryResult<T>) -> QueryResult<T>;

    /// All of a script or nothing, as on rqlite.
    fn script(&mut self, sql: &str) -> QueryResult<()> {
        if !Self::IS_REFERENCE {
            return self.batch_execute(sql);
        }
        self.batch_execute("SAVEPOINT script")?;
        let outcome = self.batch_execute(sql);
        if outcome.is_err() {
            self.batch_execute("ROLLBACK TO script")?;
        }
        self.batch_execute("RELEASE script")?;
        outcome
    }
}

macro_rules! runner {
    ($connection:ty, $backend:ty, $is_reference:expr) => {
        impl Runner for $connection {
            const IS_REFERENCE: bool = $is_reference;

            fn count(&mut self, query: &Query) -> QueryResult<usize> {
                let mut built = diesel::sql_query(&query.sql).into_boxed::<$backend>();
                for bound in &query.binds {
                    built = bind!(built, bound);
                }
                built.execute(self)
            }

            fn rows(&mut self, query: &Query) -> QueryResult<Vec<String>> {
                let reference = query.reference.as_ref().filter(|_| $is_reference);
                let sql = reference.unwrap_or(&query.sql);
                let mut built = diesel::sql_query(sql).into_boxed::<$backend>();
                for bound in &query.binds {
                    built = bind!(built, bound);
                }
                let rows: Vec<Shown> = built.load(self)?;
                Ok(rows.into_iter().map(|row| row.0).collect())
            }

            fn dsl(&mut self, dsl: &Dsl) -> QueryResult<String> {
                dsl!(self, dsl)
            }

            fn within<T>(
                &mut self,
                run: impl FnOnce(&mut Self) -> QueryResult<T>,
            ) -> QueryResult<T> {
                self.transaction(run)
            }
        }
    };
}

macro_rules! bind {
    ($query:expr, $bound:expr) => {
        match $bound {
            Bound::Null => $query.bind::<Nullable<Text>, _>(None::<String>),
            Bound::Integer(value) => $query.bind::<BigInt, _>(*value),
            Bound::Real(value) => $query.bind::<Double, _>(*value),
            Bound::Text(value) => $query.bind::<Text, _>(*value),
            Bound::Blob(value) => $query.bind::<Binary, _>(*value),
        }
    };
}

macro_rules! dsl {
    ($conn:expr, $dsl:expr) => {{
        let conn = $conn;
        fn shown<T: std::fmt::Debug>(outcome: QueryResult<T>) -> QueryResult<String> {
            outcome.map(|value| format!("{value:?}"))
        }
        fn sorted(outcome: QueryResult<Vec<Row>>) -> QueryResult<String> {
            shown(outcome.map(|mut rows| {
                rows.sort();
                rows
            }))
        }
        match $dsl {
            Dsl::Find(id) => shown(t::table.find(id).first::<Row>(conn).optional()),
            Dsl::ByName(name) => sorted(t::table.filter(t::name.eq(name)).load(conn)),
            Dsl::Insert(name, n) => shown(
                diesel::insert_into(t::table)
                    .values((name.map(|name| t::name.eq(name)), t::n.eq(n)))
                    .execute(conn),
            ),
            Dsl::InsertReturning(id, name) => shown(
                diesel::insert_into(t::table)
                    .values((id.map(|id| t::id.eq(id)), t::name.eq(name)))
                    .returning((t::id, t::name, t::n))
                    .get_result::<Row>(conn),
            ),
            Dsl::InsertMany(rows) => {
                let rows: Vec<_> = rows
                    .iter()
                    .map(|(id, name)| {
                        (
                            id.map(|id| t::id.eq(id)),
                            name.map(|name| t::name.eq(name)),
                            t::n.eq(1),
                        )
                    })
                    .collect();
                shown(diesel::insert_into(t::table).values(&rows).execute(conn))
            }
            Dsl::InsertManyReturning(rows) => {
                // One statement: Diesel has no others with RETURNING for SQLite.
                let rows: Vec<_> = rows
                    .iter()
                    .map(|(id, name)| (t::id.eq(id.unwrap_or(20)), t::name.eq(*name)))
                    .collect();
                let insert = diesel::insert_into(t::table).values(&rows);
                sorted(insert.returning((t::id, t::name, t::n)).get_results(conn))
            }
            Dsl::Upsert(name, n) => shown(
                diesel::insert_into(t::table)
                    .values((t::name.eq(name), t::n.eq(n)))
                    .on_conflict(t::name)
                    .do_update()
                    .set(t::n.eq(excluded(t::n)))
                    .execute(conn),
            ),
            Dsl::Update(id, n) => shown(
                diesel::update(t::table.find(id))
                    .set(t::n.eq(n))
                    .execute(conn),
            ),
            Dsl::UpdateReturning(id, n) => shown(
                diesel::update(t::table.find(id))
                    .set(t::n.eq(t::n + n))
                    .returning((t::id, t::name, t::n))
                    .get_result::<Row>(conn)
                    .optional(),
            ),
            Dsl::Delete(id) => shown(diesel::delete(t::table.find(id)).execute(conn)),
            Dsl::DeleteReturning(n) => sorted(
                diesel::delete(t::table.filter(t::n.eq(n)))
                    .returning((t::id, t::name, t::n))
                    .get_results(conn),
            ),
            Dsl::Count => shown(t::table.select(count_star()).first::<i64>(conn)),
            Dsl::Page(limit, offset) => shown(
                t::table
                    .order(t::id.desc())
                    .limit(*limit)
                    .offset(*offset)
                    .load::<Row>(conn),
            ),
        }
    }};
}

runner!(diesel::SqliteConnection, diesel::sqlite::Sqlite, true);
runner!(RqliteConnection, Rqlite, false);

impl Log {
    fn push(&mut self, outcome: &QueryResult<String>) {
        self.shown.push(match outcome {
            Ok(shown) => shown.clone(),
            Err(error) => show::error(error),
        });
    }

    /// An interactive transaction hears of an error of this only later.
    fn unasked(&mut self) {
        let place = self.shown.len().saturating_sub(1);
        self.unasked_error.get_or_insert(place);
    }
}

/// Runs the closure in a transaction.
pub fn run<R: Runner>(conn: &mut R, program: &Program, log: &mut Log) -> QueryResult<()> {
    let outcome = conn.within(|conn| {
        steps(conn, &program.steps, log)?;
        ended(program.end)
    });
    let outcome_shown = outcome.as_ref().map(|()| "committed".to_owned());
    log.shown.push(outcome_shown.unwrap_or_else(show::error));
    outcome
}

fn ended(end: End) -> QueryResult<()> {
    match end {
        End::Commit => Ok(()),
        End::RollBack => Err(Error::RollbackTransaction),
    }
}

fn steps<R: Runner>(conn: &mut R, steps: &[Step], log: &mut Log) -> QueryResult<()> {
    for step in steps {
        let outcome = operation(conn, &step.operation, log);
        if let Some(outcome) = outcome {
            log.push(&outcome);
            if step.operation.inserts() {
                log.skipped.push(log.shown.len() - 1);
            }
            if outcome.is_err() {
                note_error(&step.operation, log);
            }
            if step.returns_error {
                outcome?;
            }
        }
    }
    Ok(())
}

fn note_error(operation: &Operation, log: &mut Log) {
    let unasked = match operation {
        Operation::Load(..) | Operation::Counter => false,
        Operation::Dsl(dsl) => !matches!(
            dsl,
            Dsl::Find(_) | Dsl::ByName(_) | Dsl::InsertReturning(..) | Dsl::Count | Dsl::Page(..)
        ),
        _ => true,
    };
    if unasked {
        log.unasked();
    }
}

fn sorted(mut rows: Vec<String>, ordered: bool) -> String {
    if !ordered {
        rows.sort();
    }
    format!("{rows:?}")
}

/// `None`: it was left out.
fn operation<R: Runner>(
    conn: &mut R,
    operation: &Operation,
    log: &mut Log,
) -> Option<QueryResult<String>> {
    let written = log.written.take();
    let outcome = match operation {
        Operation::Execute(query) => {
            let outcome = conn.count(query);
            log.written = match outcome {
                Ok(1..) if query.sql.starts_with("INSERT INTO u") => Some("last_insert_rowid()"),
                Ok(_) => Some("changes()"),
                Err(_) => None,
            };
            outcome.map(|count| count.to_string())
        }
        Operation::Load(query, ordered) => conn.rows(query).map(|rows| sorted(rows, *ordered)),
        Operation::Script(sql) => conn.script(sql).map(|()| "done".to_owned()),
        Operation::Dsl(dsl) => conn.dsl(dsl),
        Operation::Nested(inner, end) => {
            let outcome = conn.within(|conn| {
                steps(conn, inner, log)?;
                ended(*end)
            });
            log.written = None;
            outcome.map(|()| "ended".to_owned())
        }
        Operation::Savepoint(name, inside, end, behind) => {
            let outcome = savepoint(conn, name, (inside, *end, behind), log);
            log.written = None;
            outcome
        }
        Operation::Counter => return written.map(|counter| ask(conn, counter)),
    };
    Some(outcome)
}

fn ask<R: Runner>(conn: &mut R, counter: &str) -> QueryResult<String> {
    let query = Query {
        sql: format!("SELECT {counter} AS value"),
        reference: None,
        binds: Vec::new(),
    };
    conn.rows(&query).map(|rows| sorted(rows, true))
}

fn savepoint<R: Runner>(
    conn: &mut R,
    name: &str,
    (inside, end, behind): (&[Step], End, &[Step]),
    log: &mut Log,
) -> QueryResult<String> {
    conn.batch_execute(&format!("SAVEPOINT {name}"))?;
    steps(conn, inside, log)?;
    // What the connection did last in a part that is rolled back may never be sent.
    log.written = None;
    if end == End::RollBack {
        conn.batch_execute(&format!("ROLLBACK TO {name}"))?;
    }
    steps(conn, behind, log)?;
    conn.batch_execute(&format!("RELEASE {name}"))?;
    Ok("released".to_owned())
}

/// All rows of all tables, and the schema.
pub fn contents<R: Runner>(conn: &mut R) -> Vec<String> {
    let ask = |conn: &mut R, sql: String| {
        let query = Query {
            sql,
            reference: None,
            binds: Vec::new(),
        };
        conn.rows(&query).unwrap_or_else(|error| panic!("{error}"))
    };
    let unquoted = |shown: &str| {
        let value = shown.split_once('=').map_or("", |(_, value)| value);
        value.trim_end_matches("; ").trim_matches('"').to_owned()
    };
    let own = "name NOT LIKE '\\_\\_diesel%' ESCAPE '\\'";
    let mut contents = ask(
        conn,
        format!(
            "SELECT name, sql FROM sqlite_master WHERE name <> 'sqlite_sequence' AND {own} ORDER BY name"
        ),
    );
    let tables = ask(
        conn,
        format!("SELECT name FROM sqlite_master WHERE type = 'table' AND {own} ORDER BY name"),
    );
    for table in tables.iter().map(|table| unquoted(table)) {
        let columns = ask(
            conn,
            format!("SELECT name FROM pragma_table_info('{table}')"),
        );
        let columns: Vec<_> = columns
            .iter()
            .map(|column| unquoted(column))
            .map(|column| format!("typeof({column}), CASE typeof({column}) WHEN 'blob' THEN hex({column}) ELSE {column} END"))
            .collect();
        let mut rows = ask(conn, format!("SELECT {} FROM {table}", columns.join(", ")));
        rows.sort();
        contents.extend(rows.into_iter().map(|row| format!("{table}: {row}")));
    }
    contents
}
