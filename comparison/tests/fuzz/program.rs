//! What a random closure does.

use std::fmt;

/// A value of a placeholder.
#[derive(Clone, Debug)]
pub enum Bound {
    Null,
    Integer(i64),
    Real(f64),
    Text(&'static str),
    Blob(&'static [u8]),
}

/// SQL with its values.
#[derive(Clone, Debug)]
pub struct Query {
    pub sql: String,
    /// For SQLite, where the text leaves the order of the rows open, and a transaction on rqlite does not.
    pub reference: Option<String>,
    pub binds: Vec<Bound>,
}

/// Queries built by Diesel.
#[derive(Clone, Debug)]
pub enum Dsl {
    Find(i64),
    ByName(&'static str),
    Insert(Option<&'static str>, Option<i64>),
    InsertReturning(Option<i64>, Option<&'static str>),
    /// Rows with and without a value for a column: several statements.
    InsertMany(Vec<(Option<i64>, Option<&'static str>)>),
    InsertManyReturning(Vec<(Option<i64>, Option<&'static str>)>),
    Upsert(&'static str, i64),
    Update(i64, i64),
    UpdateReturning(i64, i64),
    Delete(i64),
    DeleteReturning(i64),
    Count,
    Page(i64, i64),
}

/// How a transaction inside another one ends, if nothing failed in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    Commit,
    RollBack,
}

#[derive(Clone, Debug)]
pub enum Operation {
    /// For its count.
    Execute(Query),
    /// For its rows. They are compared in their order, or in any.
    Load(Query, bool),
    /// `batch_execute`
    Script(String),
    Dsl(Dsl),
    Nested(Vec<Step>, End),
    /// The same as SQL text: what is done inside, whether it is rolled back, and what is done after that.
    Savepoint(String, Vec<Step>, End, Vec<Step>),
    /// What the connection did last, if the operation before went well.
    Counter,
}

impl Operation {
    /// Whether it is told by its text how many rows it inserts.
    pub fn inserts(&self) -> bool {
        match self {
            Operation::Execute(query) => query.sql.contains("VALUES"),
            Operation::Dsl(dsl) => {
                matches!(dsl, Dsl::Insert(..) | Dsl::InsertMany(_) | Dsl::Upsert(..))
            }
            _ => false,
        }
    }
}

/// One operation, and whether the closure returns its error.
#[derive(Clone, Debug)]
pub struct Step {
    pub operation: Operation,
    pub returns_error: bool,
}

/// A case.
#[derive(Clone, Debug)]
pub struct Program {
    pub schema: String,
    pub rows: Vec<Query>,
    pub steps: Vec<Step>,
    pub end: End,
}

impl Program {
    /// Whether anything in it is rolled back without an error.
    pub fn rolls_back(&self) -> bool {
        fn any(steps: &[Step]) -> bool {
            steps.iter().any(|step| match &step.operation {
                Operation::Nested(inner, end) => *end == End::RollBack || any(inner),
                Operation::Savepoint(_, inside, end, behind) => {
                    *end == End::RollBack || any(inside) || any(behind)
                }
                _ => false,
            })
        }
        self.end == End::RollBack || any(&self.steps)
    }
}

impl fmt::Display for Program {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", self.schema.replace(';', ";\n"))?;
        for row in &self.rows {
            writeln!(formatter, "row {row:?}")?;
        }
        print(formatter, &self.steps, 1)?;
        writeln!(formatter, "{:?}", self.end)
    }
}

fn print(formatter: &mut fmt::Formatter<'_>, steps: &[Step], depth: usize) -> fmt::Result {
    for step in steps {
        let indent = "    ".repeat(depth);
        let mark = if step.returns_error { "?" } else { "" };
        match &step.operation {
            Operation::Nested(inner, end) => {
                writeln!(formatter, "{indent}transaction {mark}")?;
                print(formatter, inner, depth + 1)?;
                writeln!(formatter, "{indent}{end:?}")?;
            }
            Operation::Savepoint(name, inside, end, behind) => {
                writeln!(formatter, "{indent}SAVEPOINT {name}")?;
                print(formatter, inside, depth + 1)?;
                writeln!(formatter, "{indent}{end:?}")?;
                print(formatter, behind, depth + 1)?;
                writeln!(formatter, "{indent}RELEASE {name}")?;
            }
            operation => writeln!(formatter, "{indent}{operation:?} {mark}")?,
        }
    }
    Ok(())
}
