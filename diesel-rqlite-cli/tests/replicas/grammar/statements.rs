//! Statements.

use super::Spice;
use super::writer::{Column, Writer};

/// A table, with the columns that may be given any value.
#[derive(Clone, Copy)]
pub(super) struct Table {
    name: &'static str,
    pub(super) columns: &'static [Column],
    /// Behind ON CONFLICT.
    unique: &'static str,
    free: &'static [&'static str],
}

const TABLES: &[Table] = &[
    Table {
        name: "t",
        columns: &[
            ("t", "id"),
            ("t", "a"),
            ("t", "b"),
            ("t", "n"),
            ("t", "returning"),
        ],
        unique: "id",
        free: &["a", "b", "n", "returning"],
    },
    Table {
        name: "u",
        columns: &[("u", "k"), ("u", "v"), ("u", "now")],
        unique: "k",
        free: &["v", "now"],
    },
    Table {
        name: "order",
        columns: &[
            ("order", "key"),
            ("order", "current_date"),
            ("order", "random"),
        ],
        unique: "key",
        free: &["current_date", "random"],
    },
];

/// Of a SELECT.
#[derive(Clone, Copy)]
pub(super) enum Columns {
    Any(usize),
    /// Behind one with a number.
    Keyed(usize),
}

#[derive(Clone, Copy)]
enum Form {
    Insert,
    InsertSelect,
    Upsert,
    Replace,
    Update,
    UpdateFrom,
    UpdateRow,
    Delete,
    CreateAs,
    View,
    Index,
}

impl Writer<'_> {
    pub(super) fn write(&mut self) {
        let table = self.source();
        let form = self.random.weighted(&[
            (25, Form::Insert),
            (10, Form::InsertSelect),
            (10, Form::Upsert),
            (6, Form::Replace),
            (20, Form::Update),
            (6, Form::UpdateFrom),
            (4, Form::UpdateRow),
            (8, Form::Delete),
            (3, Form::CreateAs),
            (2, Form::View),
            (1, Form::Index),
        ]);
        let schema = matches!(form, Form::CreateAs | Form::View | Form::Index);
        if !schema && self.random.one_in(6) {
            self.with();
        }
        match form {
            Form::Insert => {
                self.insert(table);
                self.values(table);
                self.returning_clause(table);
            }
            Form::InsertSelect => {
                self.insert(table);
                self.select(Columns::Keyed(table.free.len()), 1, false);
                self.returning_clause(table);
            }
            Form::Upsert => self.upsert(table),
            Form::Replace => {
                self.say("REPLACE INTO");
                self.target(table);
                self.values(table);
                self.returning_clause(table);
            }
            Form::Update => self.update(table),
            Form::UpdateFrom => self.update_from(table),
            Form::UpdateRow => self.update_row(table),
            Form::Delete => self.delete(table),
            Form::CreateAs => self.create_as(),
            Form::View => self.view(),
            Form::Index => {
                self.say("CREATE INDEX IF NOT EXISTS i ON t ( a , n )");
            }
        }
    }

    /// A query that a transaction is shown.
    pub(super) fn read(&mut self) {
        let columns = 1 + self.random.below(3);
        self.select(Columns::Any(columns), 0, true);
    }

    pub(super) fn source(&mut self) -> Table {
        self.random
            .weighted(&[(4, TABLES[0]), (2, TABLES[1]), (1, TABLES[2])])
    }

    /// The table behind FROM; its columns may be named from here on.
    pub(super) fn from(&mut self, table: Table) {
        if self.random.one_in(5) {
            self.say("main .");
        }
        self.name(table.name);
        self.columns.extend(table.columns);
    }

    fn with(&mut self) {
        self.say("WITH");
        if self.random.one_in(3) {
            self.say("RECURSIVE");
        }
        let name = self.random.pick(&["w", "date", "random"]);
        self.name(name);
        if self.random.one_in(2) {
            self.raw("(");
            self.name("x");
            self.raw(")");
            self.say("AS");
        } else {
            self.say("AS MATERIALIZED");
        }
        self.raw("(");
        self.select(Columns::Any(1), 1, false);
        self.raw(")");
    }

    /// Behind LIMIT there are few rows, so that tables stay small.
    pub(super) fn select(&mut self, columns: Columns, depth: usize, one: bool) {
        let outer = self.columns.clone();
        self.say("SELECT");
        let table = self.source();
        // The columns stand before FROM in the text.
        self.columns.extend(table.columns);
        let count = match columns {
            Columns::Any(count) => count,
            Columns::Keyed(count) => {
                self.name(table.unique);
                self.say("+ 7 ,");
                count
            }
        };
        self.several(count, |writer| {
            writer.expression(depth + 1);
            if writer.random.one_in(6) {
                writer.say("AS");
                let alias = writer.random.pick(&["x", "returning", "now", "key"]);
                writer.name(alias);
            }
        });
        self.say("FROM");
        self.from(table);
        if self.random.one_in(2) {
            self.say("WHERE");
            self.expression(depth + 1);
        }
        if self.random.one_in(2) {
            self.say("ORDER BY");
            let odd = matches!(self.spice, Spice::Zones | Spice::All) && self.random.one_in(4);
            if odd {
                self.call("random");
                self.raw(")");
            } else {
                self.name(table.unique);
            }
            if self.random.one_in(3) {
                self.say("DESC");
            }
        }
        self.say("LIMIT");
        self.say(if one { "1" } else { "2" });
        if self.random.one_in(4) {
            self.say("OFFSET 1");
        }
        self.columns = outer;
    }

    fn insert(&mut self, table: Table) {
        self.say("INSERT OR");
        let or = self.random.pick(&["IGNORE", "REPLACE"]);
        self.say(or);
        self.say("INTO");
        self.target(table);
    }

    /// The table and the columns that are given values: the unique one, and all that are free.
    fn target(&mut self, table: Table) {
        if self.random.one_in(5) {
            self.say("main .");
        }
        self.name(table.name);
        self.raw("(");
        self.name(table.unique);
        for column in table.free {
            self.raw(",");
            self.name(column);
        }
        self.raw(")");
    }

    fn values(&mut self, table: Table) {
        self.say("VALUES");
        let rows = 1 + self.random.below(2);
        self.several(rows, |writer| {
            writer.raw("(");
            writer.key();
            for _ in table.free {
                writer.raw(",");
                writer.expression(0);
            }
            writer.raw(")");
        });
    }

    fn key(&mut self) {
        let key = 1 + self.random.below(40);
        self.raw(key.to_string());
    }

    fn upsert(&mut self, table: Table) {
        self.say("INSERT INTO");
        self.target(table);
        self.values(table);
        self.say("ON CONFLICT (");
        self.name(table.unique);
        self.raw(")");
        self.say("DO UPDATE SET");
        let column = self.random.pick(table.free);
        self.name(column);
        self.raw("=");
        if self.random.one_in(2) {
            self.say("excluded .");
            self.name(column);
        } else {
            self.columns = table.columns.to_vec();
            self.expression(0);
        }
        self.returning_clause(table);
    }

    fn update(&mut self, table: Table) {
        self.say("UPDATE");
        if self.random.one_in(4) {
            self.say("OR IGNORE");
        }
        self.from(table);
        self.say("SET");
        self.assignments(table);
        self.condition(table);
        self.returning_clause(table);
    }

    fn assignments(&mut self, table: Table) {
        let columns = 1 + self.random.below(table.free.len());
        self.list(&table.free[..columns], |writer, column| {
            writer.name(column);
            writer.raw("=");
            writer.expression(0);
        });
    }

    fn update_row(&mut self, table: Table) {
        self.say("UPDATE");
        self.from(table);
        self.say("SET (");
        self.list(&table.free[..2], |writer, column| writer.name(column));
        self.say(") = (");
        if self.random.one_in(2) {
            self.several(2, |writer| writer.expression(0));
        } else {
            self.select(Columns::Any(2), 0, true);
        }
        self.raw(")");
        self.condition(table);
        self.returning_clause(table);
    }

    fn update_from(&mut self, table: Table) {
        self.say("UPDATE");
        self.from(table);
        self.say("SET");
        self.assignments(table);
        self.say("FROM ( SELECT");
        let column = self.random.pick(&["x", "row", "first"]);
        let outer = std::mem::take(&mut self.columns);
        self.expression(1);
        self.columns = outer;
        self.say("AS");
        self.name(column);
        self.say(") AS");
        self.name("s");
        self.condition(table);
        self.returning_clause(table);
    }

    fn condition(&mut self, table: Table) {
        match self.random.below(4) {
            0 => {}
            1 => {
                self.say("WHERE");
                self.expression(0);
            }
            _ => {
                self.say("WHERE");
                self.name(table.name);
                self.raw(".");
                self.name(table.unique);
                let sign = self
                    .random
                    .pick(&["=", "<", ">=", "IS", "IS NOT DISTINCT FROM"]);
                self.say(sign);
                self.key();
            }
        }
    }

    fn delete(&mut self, table: Table) {
        self.say("DELETE FROM");
        self.from(table);
        self.say("WHERE");
        self.name(table.unique);
        self.raw(">");
        self.key();
        if self.random.one_in(2) {
            self.say("AND");
            self.expression(0);
        }
        self.returning_clause(table);
    }

    fn returning_clause(&mut self, table: Table) {
        if !self.random.one_in(3) {
            return;
        }
        self.returns = true;
        self.columns = table
            .columns
            .iter()
            .map(|(_, name)| (table.name, *name))
            .collect();
        self.say("RETURNING");
        let columns = 1 + self.random.below(2);
        self.several(columns, |writer| {
            // The client wants names.
            if writer.random.one_in(50) {
                writer.raw("*");
            } else {
                writer.name(table.unique);
                if writer.random.one_in(3) {
                    writer.say("AS");
                    let alias = writer.random.pick(&["returning", "key", "first", "x"]);
                    writer.name(alias);
                }
            }
        });
    }

    fn create_as(&mut self) {
        if self.random.one_in(2) {
            self.say("DROP TABLE IF EXISTS made");
            return;
        }
        self.say("CREATE TABLE IF NOT EXISTS");
        self.name("made");
        self.say("AS");
        self.select(Columns::Any(2), 0, false);
    }

    /// A view is evaluated where it is read.
    fn view(&mut self) {
        if self.random.one_in(2) {
            self.say("DROP VIEW IF EXISTS seen");
            return;
        }
        self.say("CREATE VIEW IF NOT EXISTS seen AS SELECT");
        self.takes_values = false;
        self.time_call();
        self.say("AS x");
    }
}
