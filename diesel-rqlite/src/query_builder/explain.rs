//! EXPLAIN and EXPLAIN QUERY PLAN of any query.

use std::fmt;

use diesel::QueryResult;
use diesel::deserialize::{self, Queryable};
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::query_dsl::RunQueryDsl;
use diesel::sql_types::{Integer, Nullable, Text};

use crate::backend::Rqlite;

macro_rules! explained {
    ($(#[$doc:meta])* $name:ident, $sql:literal, $row:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        #[must_use = "nothing happens before it is loaded"]
        pub struct $name<Q>(Q);

        impl<Q> $name<Q> {
            pub(super) fn new(query: Q) -> Self {
                $name(query)
            }
        }

        impl<Q> Query for $name<Q> {
            type SqlType = $row;
        }

        impl<Q, Conn> RunQueryDsl<Conn> for $name<Q> {}

        impl<Q: QueryFragment<Rqlite>> QueryFragment<Rqlite> for $name<Q> {
            fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Rqlite>) -> QueryResult<()> {
                out.push_sql($sql);
                self.0.walk_ast(out.reborrow())
            }
        }

        impl<Q: QueryId> QueryId for $name<Q> {
            type QueryId = $name<Q::QueryId>;
            const HAS_STATIC_QUERY_ID: bool = Q::HAS_STATIC_QUERY_ID;
        }
    };
}

explained! {
    /// An explained query: see [`RqliteQueryDsl::explain_query_plan`](crate::RqliteQueryDsl::explain_query_plan).
    ExplainQueryPlan, "EXPLAIN QUERY PLAN ", (Integer, Integer, Integer, Text)
}

explained! {
    /// An explained query: see [`RqliteQueryDsl::explain`](crate::RqliteQueryDsl::explain).
    Explain, "EXPLAIN ",
    (Integer, Text, Integer, Integer, Integer, Nullable<Text>, Integer, Nullable<Text>)
}

/// A row of EXPLAIN QUERY PLAN.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueryPlanStep {
    /// The number of the step. It is greater than the numbers of the steps that contain this one.
    pub id: i32,
    /// The number of the step that contains this one. 0 if no step does.
    pub parent: i32,
    /// The description of the step, in SQLite's words, which differ between versions of SQLite.
    pub detail: String,
}

impl Queryable<(Integer, Integer, Integer, Text), Rqlite> for QueryPlanStep {
    type Row = (i32, i32, i32, String);

    fn build((id, parent, _, detail): Self::Row) -> deserialize::Result<Self> {
        Ok(QueryPlanStep { id, parent, detail })
    }
}

type Program = (
    Integer,
    Text,
    Integer,
    Integer,
    Integer,
    Nullable<Text>,
    Integer,
    Nullable<Text>,
);

/// A row of EXPLAIN: an instruction of SQLite's virtual machine.
///
/// The instructions are described at <https://sqlite.org/opcode.html>. They differ between versions of SQLite.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Opcode {
    /// The address, counted from 0.
    pub addr: i32,
    /// The name.
    pub opcode: String,
    /// The first operand.
    pub p1: i32,
    /// The second operand.
    pub p2: i32,
    /// The third operand.
    pub p3: i32,
    /// The fourth operand, as text.
    pub p4: Option<String>,
    /// Flags.
    pub p5: i32,
    /// The purpose of the instruction, if SQLite was compiled to include it. rqlite's SQLite was not.
    pub comment: Option<String>,
}

impl Queryable<Program, Rqlite> for Opcode {
    type Row = (
        i32,
        String,
        i32,
        i32,
        i32,
        Option<String>,
        i32,
        Option<String>,
    );

    fn build((addr, opcode, p1, p2, p3, p4, p5, comment): Self::Row) -> deserialize::Result<Self> {
        Ok(Opcode {
            addr,
            opcode,
            p1,
            p2,
            p3,
            p4,
            p5,
            comment,
        })
    }
}

/// The steps of EXPLAIN QUERY PLAN, formatted as in SQLite's shell.
///
/// ```
/// use diesel_rqlite::QueryPlan;
///
/// assert_eq!(QueryPlan::default().to_string(), "QUERY PLAN");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryPlan {
    /// The steps in the order in which the server returns them.
    pub steps: Vec<QueryPlanStep>,
}

impl From<Vec<QueryPlanStep>> for QueryPlan {
    fn from(steps: Vec<QueryPlanStep>) -> Self {
        QueryPlan { steps }
    }
}

impl fmt::Display for QueryPlan {
    /// Writes a line for each step, without a line end after the last one.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("QUERY PLAN")?;
        let mut tree = Tree {
            steps: &self.steps,
            is_shown: vec![false; self.steps.len()],
            indent: String::new(),
        };
        tree.show_parts_of(0, formatter)
    }
}

struct Tree<'p> {
    steps: &'p [QueryPlanStep],
    /// Set for steps that have been shown. Each step is shown once, whatever parent a server states.
    is_shown: Vec<bool>,
    indent: String,
}

impl Tree<'_> {
    /// The deepest level that is shown. SQLite's shell does not show deeper levels, either.
    const DEEPEST: usize = 31;

    fn show_parts_of(&mut self, parent: i32, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_part = |place: &usize| self.steps[*place].parent == parent && !self.is_shown[*place];
        let parts: Vec<_> = (0..self.steps.len()).filter(is_part).collect();
        for place in &parts {
            self.is_shown[*place] = true;
        }
        for (index, place) in parts.iter().enumerate() {
            let step = &self.steps[*place];
            let (branch, below) = match index + 1 == parts.len() {
                true => ("`--", "   "),
                false => ("|--", "|  "),
            };
            write!(formatter, "\n{}{branch}{}", self.indent, step.detail)?;
            if self.indent.len() < 3 * Self::DEEPEST {
                self.indent.push_str(below);
                self.show_parts_of(step.id, formatter)?;
                self.indent.truncate(self.indent.len() - below.len());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(steps: &[(i32, i32, &str)]) -> String {
        let steps = steps.iter().map(|(id, parent, detail)| QueryPlanStep {
            id: *id,
            parent: *parent,
            detail: (*detail).to_owned(),
        });
        QueryPlan::from(steps.collect::<Vec<_>>()).to_string()
    }

    /// This is the output of `sqlite3` for `SELECT * FROM t WHERE a IN (SELECT b FROM u) UNION SELECT * FROM t ORDER
    /// BY 1`.
    #[test]
    fn a_plan_is_a_tree() {
        let steps = [
            (1, 0, "MERGE (UNION)"),
            (3, 1, "LEFT"),
            (7, 3, "SCAN t"),
            (10, 3, "LIST SUBQUERY 1"),
            (12, 10, "SCAN u"),
            (40, 1, "RIGHT"),
            (43, 40, "SCAN t"),
        ];
        let wanted = "QUERY PLAN\n`--MERGE (UNION)\n   |--LEFT\n   |  |--SCAN t\n   |  `--LIST SUBQUERY 1\n   |     `--SCAN u\n   \
                      `--RIGHT\n      `--SCAN t";
        assert_eq!(plan(&steps), wanted);
    }

    #[test]
    fn no_plan_of_a_server_is_shown_forever() {
        assert_eq!(plan(&[(0, 0, "a")]), "QUERY PLAN\n`--a");
        assert_eq!(
            plan(&[(1, 0, "a"), (2, 1, "b"), (1, 2, "c")]),
            "QUERY PLAN\n`--a\n   `--b\n      `--c"
        );
        let twice: Vec<_> = (1..60)
            .flat_map(|id| [(id, id - 1, "x"), (id, id - 1, "x")])
            .collect();
        assert_eq!(plan(&twice).lines().count(), 1 + 2 * 32);
    }
}
