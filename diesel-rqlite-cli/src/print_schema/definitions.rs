//! The contents of `schema.rs`: tables by their Rust names, types, and the joins between tables.

use std::collections::{BTreeMap, BTreeSet};

use super::Error;
use super::infer::{Column, Schema, Table};
use super::names;
use super::types::SqlType;
use crate::configuration::{ColumnSorting, Filter, PrintSchema};

/// The type of the rowid of a table that does not name it. The rowid may need 64 bits. But the columns that refer to
/// it may need them, too, and this is not known of them.
const ROWID: &str = "INTEGER";

/// All definitions that are printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Definitions {
    pub tables: Vec<TableDefinition>,
    pub joins: Vec<Join>,
}

/// One `table!`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableDefinition {
    pub sql_name: String,
    pub rust_name: String,
    /// The columns of the primary key, as Rust names.
    pub primary_key: Vec<String>,
    pub columns: Vec<ColumnDefinition>,
}

/// A column of a `table!`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnDefinition {
    pub sql_name: String,
    pub rust_name: String,
    pub sql_type: SqlType,
    pub is_nullable: bool,
}

/// One `joinable!`, in Rust names. The order is that of the printed lines.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Join {
    pub child: String,
    pub parent: String,
    pub column: String,
}

impl Definitions {
    /// # Errors
    ///
    /// Returns an error if a table has nothing that identifies a row.
    pub fn of(schema: &Schema, config: &PrintSchema) -> Result<Self, Error> {
        let kept = schema.tables.values();
        let kept: Vec<_> = kept.filter(|table| keeps(&config.filter, table)).collect();
        let tables = kept.iter().map(|table| definition(table, schema, config));
        Ok(Definitions {
            tables: tables.collect::<Result<_, _>>()?,
            joins: joins(schema, &kept),
        })
    }

    /// Returns the groups of tables that foreign keys connect, over any number of steps. Each group is sorted by
    /// name.
    pub fn related(&self) -> Vec<Vec<&str>> {
        let mut groups: Vec<BTreeSet<&str>> = Vec::new();
        for table in &self.tables {
            groups.push(BTreeSet::from([table.rust_name.as_str()]));
        }
        for join in &self.joins {
            let ends = [join.child.as_str(), join.parent.as_str()];
            let (connected, others): (Vec<_>, Vec<_>) = groups
                .into_iter()
                .partition(|group| ends.iter().any(|end| group.contains(end)));
            groups = others;
            groups.push(connected.into_iter().flatten().collect());
        }
        let mut groups: Vec<Vec<_>> = groups
            .into_iter()
            .map(|group| group.into_iter().collect())
            .collect();
        groups.sort();
        groups
    }
}

fn keeps(filter: &Filter, table: &Table) -> bool {
    match filter {
        Filter::OnlyTables(only) => only.iter().any(|pattern| pattern.0.is_match(&table.name)),
        Filter::ExceptTables(except) => {
            !except.iter().any(|pattern| pattern.0.is_match(&table.name))
        }
        Filter::None => true,
    }
}

fn definition(
    table: &Table,
    schema: &Schema,
    config: &PrintSchema,
) -> Result<TableDefinition, Error> {
    let rust_name = names::of_table(&table.name);
    let key = table.primary_key();
    if key.is_empty() {
        return Err(Error::NoPrimaryKey(table.name.clone()));
    }
    let mut columns = with_rowid(table, &key);
    if config.column_sorting == ColumnSorting::Name {
        columns.sort_by(|one, other| one.name.cmp(&other.name));
    }
    let columns = columns.iter().map(|column| ColumnDefinition {
        sql_name: column.name.clone(),
        rust_name: names::of_column(&column.name, &rust_name),
        sql_type: sql_type(column, table, schema, config),
        is_nullable: !column.not_null,
    });
    Ok(TableDefinition {
        sql_name: table.name.clone(),
        primary_key: key
            .iter()
            .map(|column| names::of_column(column, &rust_name))
            .collect(),
        columns: columns.collect(),
        rust_name,
    })
}

/// Returns the columns. If only the rowid identifies a row, it comes first.
fn with_rowid(table: &Table, key: &[&str]) -> Vec<Column> {
    let mut columns = table.columns.clone();
    if let [name] = key
        && table.column(name).is_none()
    {
        let rowid = Column {
            name: (*name).to_owned(),
            declared: ROWID.to_owned(),
            not_null: true,
            in_primary_key: false,
        };
        columns.insert(0, rowid);
    }
    columns
}

fn sql_type(column: &Column, table: &Table, schema: &Schema, config: &PrintSchema) -> SqlType {
    let decimal_is_numeric = config.decimal_is_numeric.unwrap_or_default();
    let sql_type = SqlType::of(&column.declared, decimal_is_numeric);
    let wide = config
        .sqlite_integer_primary_key_is_bigint
        .unwrap_or_default();
    if wide
        && sql_type == SqlType::Known("Integer")
        && (table.is_rowid(&column.name) || refers_to_rowid(column, table, schema))
    {
        return SqlType::Known("BigInt");
    }
    sql_type
}

/// Returns whether Diesel's own tool assumes that the column refers to a rowid. That tool checks neither the type of
/// the referenced key nor columns that have another name in Rust.
fn refers_to_rowid(column: &Column, table: &Table, schema: &Schema) -> bool {
    if names::of_column(&column.name, &names::of_table(&table.name)) != column.name {
        return false;
    }
    let keys = table.foreign_keys.iter();
    let mut keys = keys.filter(|key| key.columns.iter().any(|(from, _)| *from == column.name));
    keys.any(|key| {
        let parent = schema.tables.get(&key.parent);
        parent.is_some_and(|parent| !parent.without_rowid && parent.primary_key().len() == 1)
    })
}

/// Returns the foreign keys that fully describe a join: they have one column, refer to the primary key of another
/// table, and are the only ones between the two tables.
fn joins(schema: &Schema, kept: &[&Table]) -> Vec<Join> {
    let mut between: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for table in schema.tables.values() {
        for key in &table.foreign_keys {
            *between.entry(pair(&table.name, &key.parent)).or_default() += 1;
        }
    }
    let mut joins: Vec<(&str, &str, Join)> = Vec::new();
    for child in kept {
        for key in &child.foreign_keys {
            let parent = kept.iter().find(|table| table.name == key.parent);
            if let Some(parent) = parent
                && parent.name != child.name
                && between[&pair(&child.name, &parent.name)] == 1
                && let [(from, to)] = key.columns.as_slice()
                && let [id] = parent.primary_key().as_slice()
                && to.as_deref().is_none_or(|to| to == *id)
            {
                joins.push((&child.name, &parent.name, join(child, parent, from)));
            }
        }
    }
    joins.sort();
    joins.into_iter().map(|(_, _, join)| join).collect()
}

fn pair<'a>(one: &'a str, other: &'a str) -> (&'a str, &'a str) {
    (one.min(other), one.max(other))
}

fn join(child: &Table, parent: &Table, column: &str) -> Join {
    let child = names::of_table(&child.name);
    Join {
        column: names::of_column(column, &child),
        child,
        parent: names::of_table(&parent.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::print_schema::infer::ForeignKey;

    fn column(name: &str, in_primary_key: bool) -> Column {
        Column {
            name: name.to_owned(),
            declared: "INTEGER".to_owned(),
            not_null: true,
            in_primary_key,
        }
    }

    /// A parent table, and the pairs of a referring column and the column of the parent.
    type Key<'a> = (&'a str, &'a [(&'a str, Option<&'a str>)]);

    fn schema(tables: &[(&str, &[Key<'_>])]) -> Schema {
        let tables = tables.iter().map(|(name, keys)| {
            let keys = keys.iter().map(|(parent, columns)| ForeignKey {
                parent: (*parent).to_owned(),
                columns: columns
                    .iter()
                    .map(|(from, to)| ((*from).to_owned(), to.map(str::to_owned)))
                    .collect(),
            });
            let table = Table {
                name: (*name).to_owned(),
                columns: vec![column("id", true), column("a", false), column("b", false)],
                foreign_keys: keys.collect(),
                ..Table::default()
            };
            ((*name).to_owned(), table)
        });
        Schema {
            tables: tables.collect(),
        }
    }

    fn joins_of(schema: &Schema) -> Vec<(String, String, String)> {
        let definitions = Definitions::of(schema, &PrintSchema::default()).expect("has keys");
        let joins = definitions.joins.into_iter();
        joins
            .map(|join| (join.child, join.parent, join.column))
            .collect()
    }

    #[test]
    fn joins_are_unambiguous() {
        let joined =
            |keys: &[Key<'_>]| joins_of(&schema(&[("child", keys), ("parent", &[])])).len();
        assert_eq!(joined(&[("parent", &[("a", None)])]), 1);
        assert_eq!(joined(&[("parent", &[("a", Some("id"))])]), 1);
        assert_eq!(joined(&[("parent", &[("a", Some("b"))])]), 0, "not its key");
        assert_eq!(
            joined(&[("parent", &[("a", Some("a")), ("b", Some("b"))])]),
            0,
            "composite"
        );
        assert_eq!(
            joined(&[("parent", &[("a", None)]), ("parent", &[("b", None)])]),
            0,
            "several"
        );
        assert_eq!(joined(&[("child", &[("a", None)])]), 0, "itself");
        assert_eq!(joined(&[("nowhere", &[("a", None)])]), 0, "not there");
        let to_parent: &[Key<'_>] = &[("parent", &[("a", None)])];
        let to_child: &[Key<'_>] = &[("child", &[("a", None)])];
        let both_ways = schema(&[("child", to_parent), ("parent", to_child)]);
        assert!(joins_of(&both_ways).is_empty());
    }

    #[test]
    fn related_tables_are_found_over_steps() {
        let schema = schema(&[
            ("a", &[("c", &[("a", None)])]),
            ("b", &[]),
            ("c", &[]),
            ("d", &[("c", &[("a", None)])]),
        ]);
        let definitions = Definitions::of(&schema, &PrintSchema::default()).expect("has keys");
        assert_eq!(definitions.related(), [vec!["a", "c", "d"], vec!["b"]]);
    }

    #[test]
    fn what_refers_to_a_wide_key_is_wide() {
        let schema = schema(&[("child", &[("parent", &[("a", None)])]), ("parent", &[])]);
        let config = PrintSchema {
            sqlite_integer_primary_key_is_bigint: Some(true),
            ..PrintSchema::default()
        };
        let definitions = Definitions::of(&schema, &config).expect("has keys");
        let columns = definitions.tables[0].columns.iter();
        let types: Vec<_> = columns.map(|column| column.sql_type.name()).collect();
        assert_eq!(types, ["BigInt", "BigInt", "Integer"]);
    }
}
