//! Computes the changes from the database and `schema.rs`.

use super::parse::{self, SchemaFile};
use super::sql::{Change, Column, ForeignKey, Table};
use crate::configuration::{ColumnSorting, PrintSchema};
use crate::error::Error;
use crate::print_schema::{self, ColumnDefinition, Definitions, Schema, SqlType, TableDefinition};

/// The types that Diesel's own tool treats as equal.
const ALIASES: [(&str, &str); 4] = [
    ("integer", "int4"),
    ("bigint", "int8"),
    ("smallint", "int2"),
    ("text", "varchar"),
];

/// The changes of a migration.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// Changes to tables of the database, sorted by name.
    existing: Vec<Change>,
    /// Tables to create, in the order of the file, except that parents come before the tables that refer to them.
    created: Vec<Change>,
}

impl Difference {
    /// # Errors
    ///
    /// Returns an error if a table has nothing that identifies a row, or if a primary key changed.
    pub(super) fn between(
        live: &Schema,
        wanted: &SchemaFile,
        config: &PrintSchema,
    ) -> Result<Self, Error> {
        let config = PrintSchema {
            column_sorting: ColumnSorting::OrdinalPosition,
            ..config.clone()
        };
        let definitions = Definitions::of(live, &config)?;
        let mut existing = Vec::new();
        for definition in &definitions.tables {
            let Some(table) = live.tables.get(&definition.sql_name) else {
                continue;
            };
            existing.extend(match wanted.table(&table.name) {
                // Views are not changed.
                _ if table.is_view => None,
                Some(wanted) => Some(altered(definition, table, wanted)?),
                None => Some(Change::Drop(dropped(definition, table, live, &config))),
            });
        }
        let created = wanted.tables.iter();
        let created = created.filter(|table| find(live, &table.name).is_none());
        let created = created.map(|table| created_table(table, wanted, &config));
        let created = parents_first(created.collect()).into_iter();
        Ok(Difference {
            existing,
            created: created.map(Change::Create).collect(),
        })
    }

    pub(super) fn up(&self) -> String {
        let changes = self.existing.iter().chain(&self.created);
        changes.map(|change| format!("{change}\n")).collect()
    }

    pub(super) fn down(&self) -> String {
        let changes = self.existing.iter().chain(self.created.iter().rev());
        let changes = changes.map(|change| change.clone().reversed());
        changes.map(|change| format!("{change}\n")).collect()
    }
}

fn find<'s>(live: &'s Schema, name: &str) -> Option<&'s print_schema::Table> {
    let mut tables = live.tables.values();
    tables.find(|table| table.name.eq_ignore_ascii_case(name))
}

/// Returns the change of a table. The list contains it even if nothing changed, for the empty line that Diesel's own
/// tool writes.
fn altered(
    definition: &TableDefinition,
    live: &print_schema::Table,
    wanted: &parse::Table,
) -> Result<Change, Error> {
    if key_set(&live.primary_key()) != key_set(&wanted.primary_key) {
        return Err(Error::PrimaryKeyWouldChange(live.name.clone()));
    }
    let columns = definition.columns.iter();
    let (kept, mut removed): (Vec<_>, Vec<_>) =
        columns.partition(|column| wanted.column(&column.sql_name).is_some());
    let is_new = |column: &&parse::Column| {
        let mut columns = kept.iter();
        !columns.any(|kept| kept.sql_name.eq_ignore_ascii_case(&column.name))
    };
    let mut added: Vec<_> = wanted.columns.iter().filter(is_new).collect();
    for column in kept {
        if let Some(wanted) = wanted.column(&column.sql_name)
            && !is_same(column, live, wanted)
        {
            removed.push(column);
            added.push(wanted);
        }
    }
    Ok(Change::Alter {
        table: wanted.name.clone(),
        removed: removed.into_iter().map(existing_column).collect(),
        added: added.into_iter().map(wanted_column).collect(),
    })
}

fn key_set(names: &[impl AsRef<str>]) -> Vec<String> {
    let names = names.iter().map(|name| name.as_ref().to_lowercase());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// Returns whether the columns are the same. A maximum length counts as a change, because SQLite has none to compare
/// it with.
fn is_same(column: &ColumnDefinition, live: &print_schema::Table, wanted: &parse::Column) -> bool {
    let name = column.sql_type.name();
    // The type of a decimal in a schema depends on the value of `decimal_is_numeric` when it was printed.
    let is_decimal = |column: &print_schema::Column| {
        matches!(name, "Double" | "Numeric")
            && SqlType::of(&column.declared, true) == SqlType::Known("Numeric")
            && ["Double", "Numeric", "Decimal"].contains(&wanted.sql_type.as_str())
    };
    wanted.max_length.is_none()
        && column.is_nullable == wanted.is_nullable
        && (is_alias(name, &wanted.sql_type)
            || live.column(&column.sql_name).is_some_and(is_decimal))
}

fn is_alias(one: &str, other: &str) -> bool {
    let is = |one: &str, other: &str| one.eq_ignore_ascii_case(other);
    is(one, other)
        || ALIASES
            .iter()
            .any(|(a, b)| (is(one, a) && is(other, b)) || (is(one, b) && is(other, a)))
}

fn existing_column(column: &ColumnDefinition) -> Column {
    let declared = match &column.sql_type {
        SqlType::Known(name) => name.to_uppercase(),
        SqlType::Custom { declared, .. } => declared.clone(),
    };
    Column {
        name: column.sql_name.clone(),
        declared,
        is_nullable: column.is_nullable,
    }
}

fn wanted_column(column: &parse::Column) -> Column {
    let mut declared = SqlType::declaration(&column.sql_type);
    if let Some(length) = column.max_length {
        declared += &format!("({length})");
    }
    Column {
        name: column.name.clone(),
        declared,
        is_nullable: column.is_nullable,
    }
}

fn dropped(
    definition: &TableDefinition,
    table: &print_schema::Table,
    live: &Schema,
    config: &PrintSchema,
) -> Table {
    let keys = table.foreign_keys.iter();
    let primary_key = table.primary_key().into_iter();
    complete(
        Table {
            name: table.name.clone(),
            primary_key: primary_key.map(str::to_owned).collect(),
            columns: definition.columns.iter().map(existing_column).collect(),
            foreign_keys: keys.map(|key| existing_key(key, live)).collect(),
        },
        config,
    )
}

fn existing_key(key: &print_schema::ForeignKey, live: &Schema) -> ForeignKey {
    let (columns, named): (Vec<_>, Vec<_>) = key.columns.iter().cloned().unzip();
    let named: Option<Vec<_>> = named.into_iter().collect();
    let implied = || {
        let key = find(live, &key.parent).map(print_schema::Table::primary_key);
        let key = key.filter(|key| key.len() == columns.len());
        let key = key.unwrap_or_default().into_iter();
        key.map(str::to_owned).collect()
    };
    ForeignKey {
        parent: key.parent.clone(),
        parent_columns: named.unwrap_or_else(implied),
        columns,
    }
}

fn created_table(table: &parse::Table, wanted: &SchemaFile, config: &PrintSchema) -> Table {
    let joins = wanted.joins.iter();
    let joins = joins.filter(|join| join.child == table.rust_name);
    let keys = joins.filter_map(|join| {
        let mut columns = table.columns.iter();
        let column = columns.find(|column| column.rust_name == join.column)?;
        let parent = wanted.table_in_rust(&join.parent)?;
        // A join names one column. It does not tell which of several columns it means.
        (parent.primary_key.len() == 1).then(|| ForeignKey {
            columns: vec![column.name.clone()],
            parent: parent.name.clone(),
            parent_columns: parent.primary_key.clone(),
        })
    });
    complete(
        Table {
            name: table.name.clone(),
            primary_key: table.primary_key.clone(),
            columns: table.columns.iter().map(wanted_column).collect(),
            foreign_keys: keys.collect(),
        },
        config,
    )
}

/// Completes the table: foreign keys in the order of their columns, and a wide key as the rowid.
fn complete(mut table: Table, config: &PrintSchema) -> Table {
    let columns = &mut table.columns;
    table.foreign_keys.sort_by_key(|key| {
        let first = key.columns.first();
        columns
            .iter()
            .position(|column| Some(&column.name) == first)
    });
    if config
        .sqlite_integer_primary_key_is_bigint
        .unwrap_or_default()
        && let [key] = table.primary_key.as_slice()
    {
        let mut columns = columns.iter_mut();
        let column = columns.find(|column| column.name == *key && column.declared == "BIGINT");
        if let Some(column) = column {
            "INTEGER".clone_into(&mut column.declared);
        }
    }
    table
}

fn parents_first(mut waiting: Vec<Table>) -> Vec<Table> {
    let mut ordered = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let waits = |table: &Table| {
            let mut keys = table.foreign_keys.iter();
            keys.any(|key| {
                key.parent != table.name && waiting.iter().any(|other| other.name == key.parent)
            })
        };
        // In a cycle, any table may come first: SQLite accepts a foreign key to a table that does not exist yet.
        let next = waiting.iter().position(|table| !waits(table));
        ordered.push(waiting.remove(next.unwrap_or_default()));
    }
    ordered
}
