//! Reads the schema of a database from rqlite.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel_rqlite::RqliteConnection;

/// Reads everything at once: tables, their columns, and the columns these refer to. Reading `sqlite_schema` in the
/// same statement makes a node notice that its cached schema is out of date.
const QUERY: &str = r"
WITH own AS (SELECT name, type FROM sqlite_schema WHERE type IN ('table', 'KIND')
    AND name NOT LIKE '\_\_%' ESCAPE '\' AND name NOT LIKE 'sqlite%')
SELECT 't', own.name, list.wr, 0, 0, own.type, NULL, NULL
    FROM own JOIN pragma_table_list AS list ON list.schema = 'main' AND list.name = own.name
UNION ALL
SELECT 'c', own.name, xinfo.cid, xinfo.[notnull], xinfo.pk, xinfo.name, xinfo.type, NULL
    FROM own, pragma_table_xinfo(own.name) AS xinfo
UNION ALL
SELECT 'f', own.name, list.id, list.seq, 0, list.[table], list.[from], list.[to]
    FROM own, pragma_foreign_key_list(own.name) AS list
ORDER BY 2, 1, 3, 4";

type Line = (
    String,
    String,
    i64,
    i64,
    i64,
    String,
    Option<String>,
    Option<String>,
);

/// The tables of a database, sorted by name. Views are included if they were requested.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    pub tables: BTreeMap<String, Table>,
}

/// A table or a view, with its declared names and types.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    pub name: String,
    pub is_view: bool,
    pub without_rowid: bool,
    /// The columns, including generated ones and hidden ones of virtual tables.
    pub columns: Vec<Column>,
    pub foreign_keys: Vec<ForeignKey>,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub declared: String,
    pub not_null: bool,
    pub in_primary_key: bool,
}

/// A foreign key of one or several columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKey {
    pub parent: String,
    /// The referring columns, each with the column it refers to. `None` is the parent's primary key.
    pub columns: Vec<(String, Option<String>)>,
}

impl Schema {
    /// Reads the schema with one request.
    ///
    /// # Errors
    ///
    /// Returns the errors of the server.
    pub fn read(connection: &mut RqliteConnection, views: bool) -> QueryResult<Self> {
        let query = QUERY.replace("KIND", if views { "view" } else { "table" });
        type Types = (
            Text,
            Text,
            BigInt,
            BigInt,
            BigInt,
            Text,
            Nullable<Text>,
            Nullable<Text>,
        );
        let lines = diesel::dsl::sql::<Types>(&query).load::<Line>(connection)?;
        Ok(Self::from_lines(lines))
    }

    fn from_lines(lines: Vec<Line>) -> Self {
        let mut schema = Schema::default();
        let mut last_key = None;
        for (kind, table, first, second, third, name, detail, to) in lines {
            let table = schema.table(table);
            match kind.as_str() {
                "t" => {
                    table.is_view = name == "view";
                    table.without_rowid = first != 0;
                }
                "c" => table.columns.push(Column {
                    name,
                    declared: detail.unwrap_or_default(),
                    not_null: second != 0,
                    in_primary_key: third != 0,
                }),
                _ => {
                    let key = (table.name.clone(), first);
                    if last_key.as_ref() != Some(&key) {
                        last_key = Some(key);
                        table.foreign_keys.push(ForeignKey {
                            parent: name,
                            columns: Vec::new(),
                        });
                    }
                    if let Some(key) = table.foreign_keys.last_mut() {
                        key.columns.push((detail.unwrap_or_default(), to));
                    }
                }
            }
        }
        schema
    }

    fn table(&mut self, name: String) -> &mut Table {
        self.tables.entry(name.clone()).or_insert_with(|| Table {
            name,
            ..Table::default()
        })
    }
}

impl Table {
    /// Returns the columns of the primary key in the order of the table. A table without one has its rowid, under the
    /// first name that is not a column. A view has its column `id`, or its first column. The result is empty if all
    /// names of the rowid are taken.
    pub fn primary_key(&self) -> Vec<&str> {
        let declared = self.columns.iter().filter(|column| column.in_primary_key);
        let declared: Vec<_> = declared.map(|column| column.name.as_str()).collect();
        if !declared.is_empty() {
            return declared;
        }
        let key = if self.is_view {
            let id = self.columns.iter().find(|column| column.name == "id");
            id.or(self.columns.first())
                .map(|column| column.name.as_str())
        } else {
            let names = ["rowid", "oid", "_rowid_"];
            names.into_iter().find(|name| self.column(name).is_none())
        };
        key.into_iter().collect()
    }

    /// Returns whether this column is the table's rowid. A rowid is 64 bits wide, whatever is stored.
    pub fn is_rowid(&self, column: &str) -> bool {
        let is_integer = match self.column(column) {
            Some(column) => column.declared.eq_ignore_ascii_case("integer"),
            None => true,
        };
        is_integer && !self.is_view && !self.without_rowid && self.primary_key() == [column]
    }

    /// Returns the column with this name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &[(&str, &str, bool)]) -> Table {
        let columns = columns
            .iter()
            .map(|(name, declared, in_primary_key)| Column {
                name: (*name).to_owned(),
                declared: (*declared).to_owned(),
                not_null: false,
                in_primary_key: *in_primary_key,
            });
        Table {
            columns: columns.collect(),
            ..Table::default()
        }
    }

    #[test]
    fn a_table_without_a_primary_key_has_its_rowid() {
        assert_eq!(table(&[("a", "", false)]).primary_key(), ["rowid"]);
        let taken = [("rowid", "", false), ("oid", "", false)];
        assert_eq!(table(&taken).primary_key(), ["_rowid_"]);
        let taken = [taken[0], taken[1], ("_rowid_", "", false)];
        assert!(table(&taken).primary_key().is_empty());
    }

    #[test]
    fn only_an_integer_primary_key_is_the_rowid() {
        assert!(table(&[("id", "INTEGER", true)]).is_rowid("id"));
        assert!(!table(&[("id", "INT", true)]).is_rowid("id"));
        assert!(!table(&[("id", "INTEGER", false)]).is_rowid("id"));
        assert!(!table(&[("a", "INTEGER", true), ("b", "INTEGER", true)]).is_rowid("a"));
        assert!(table(&[("a", "TEXT", false)]).is_rowid("rowid"));
        let without = Table {
            without_rowid: true,
            ..table(&[("id", "INTEGER", true)])
        };
        assert!(!without.is_rowid("id"));
    }

    #[test]
    fn lines_of_one_foreign_key_are_one() {
        let line = |id, seq, from: &str| {
            let (from, to) = (Some(from.to_owned()), None);
            (
                "f".into(),
                "child".into(),
                id,
                seq,
                0,
                "parent".into(),
                from,
                to,
            )
        };
        let schema = Schema::from_lines(vec![line(0, 0, "a"), line(0, 1, "b"), line(1, 0, "c")]);
        let keys = &schema.tables["child"].foreign_keys;
        let widths: Vec<_> = keys.iter().map(|key| key.columns.len()).collect();
        assert_eq!(widths, [2, 1]);
    }
}
