//! Writes the changes of a migration as SQL, with the text of Diesel's own tool.

use std::fmt::{self, Display, Formatter};

/// One step of a migration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Create(Table),
    Drop(Table),
    Alter {
        table: String,
        removed: Vec<Column>,
        added: Vec<Column>,
    },
}

/// A table to be created, in SQL names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) primary_key: Vec<String>,
    pub(super) columns: Vec<Column>,
    pub(super) foreign_keys: Vec<ForeignKey>,
}

/// A column to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) declared: String,
    pub(super) is_nullable: bool,
}

/// A foreign key of one or several columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ForeignKey {
    pub(super) columns: Vec<String>,
    pub(super) parent: String,
    /// The columns of the parent. Empty means its primary key.
    pub(super) parent_columns: Vec<String>,
}

impl Change {
    pub(super) fn reversed(self) -> Self {
        match self {
            Change::Create(table) => Change::Drop(table),
            Change::Drop(table) => Change::Create(table),
            Change::Alter {
                table,
                removed,
                added,
            } => Change::Alter {
                table,
                removed: added,
                added: removed,
            },
        }
    }
}

impl Display for Change {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Change::Create(table) => writeln!(f, "{table}"),
            Change::Drop(table) => write!(f, "DROP TABLE IF EXISTS {};", quoted(&table.name)),
            Change::Alter {
                table,
                removed,
                added,
            } => {
                let table = quoted(table);
                for column in removed {
                    let column = quoted(&column.name);
                    writeln!(f, "ALTER TABLE {table} DROP COLUMN {column};")?;
                }
                for column in added {
                    writeln!(f, "ALTER TABLE {table} ADD COLUMN {column};")?;
                }
                Ok(())
            }
        }
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let only_key = match self.primary_key.as_slice() {
            [key] => Some(key),
            _ => None,
        };
        let mut lines = Vec::new();
        for column in &self.columns {
            let is_key = only_key.is_some_and(|key| key.eq_ignore_ascii_case(&column.name));
            lines.push(format!(
                "{column}{}",
                if is_key { " PRIMARY KEY" } else { "" }
            ));
        }
        if self.primary_key.len() > 1 {
            lines.push(format!("PRIMARY KEY({})", list(&self.primary_key)));
        }
        lines.extend(self.foreign_keys.iter().map(ForeignKey::to_string));
        let name = quoted(&self.name);
        write!(f, "CREATE TABLE {name}(\n\t{}\n);", lines.join(",\n\t"))
    }
}

impl Display for Column {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let constraint = if self.is_nullable { "" } else { " NOT NULL" };
        write!(f, "{} {}{constraint}", quoted(&self.name), self.declared)
    }
}

impl Display for ForeignKey {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (columns, parent) = (list(&self.columns), quoted(&self.parent));
        write!(f, "FOREIGN KEY ({columns}) REFERENCES {parent}")?;
        if self.parent_columns.is_empty() {
            return Ok(());
        }
        write!(f, "({})", list(&self.parent_columns))
    }
}

fn list(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|name| quoted(name)).collect();
    names.join(", ")
}

/// Quotes a name as Diesel does for SQLite.
fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, is_nullable: bool) -> Column {
        Column {
            name: name.to_owned(),
            declared: "TEXT".to_owned(),
            is_nullable,
        }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn table(primary_key: &[&str]) -> Table {
        Table {
            name: "a`b".to_owned(),
            primary_key: names(primary_key),
            columns: vec![column("id", false), column("k", true)],
            foreign_keys: Vec::new(),
        }
    }

    #[test]
    fn a_table_is_created_and_dropped() {
        let create = Change::Create(table(&["ID"]));
        assert_eq!(
            create.to_string(),
            "CREATE TABLE `a``b`(\n\t`id` TEXT NOT NULL PRIMARY KEY,\n\t`k` TEXT\n);\n"
        );
        assert_eq!(
            create.reversed().to_string(),
            "DROP TABLE IF EXISTS `a``b`;"
        );
    }

    #[test]
    fn keys_of_several_columns_are_lines_of_their_own() {
        let key = |parent_columns: &[&str]| ForeignKey {
            columns: names(&["id", "k"]),
            parent: "p".to_owned(),
            parent_columns: names(parent_columns),
        };
        let table = Table {
            foreign_keys: vec![key(&["x", "y"]), key(&[])],
            ..table(&["id", "k"])
        };
        let text = table.to_string();
        assert!(
            text.ends_with(
                ",\n\tPRIMARY KEY(`id`, `k`),\n\tFOREIGN KEY (`id`, `k`) REFERENCES `p`(`x`, `y`),\n\
                 \tFOREIGN KEY (`id`, `k`) REFERENCES `p`\n);"
            ),
            "{text}"
        );
    }

    #[test]
    fn columns_are_dropped_before_others_are_added() {
        let alter = Change::Alter {
            table: "t".to_owned(),
            removed: vec![column("old", true)],
            added: vec![column("new", false)],
        };
        assert_eq!(
            alter.to_string(),
            "ALTER TABLE `t` DROP COLUMN `old`;\nALTER TABLE `t` ADD COLUMN `new` TEXT NOT NULL;\n"
        );
        assert_eq!(
            alter.reversed().to_string(),
            "ALTER TABLE `t` DROP COLUMN `new`;\nALTER TABLE `t` ADD COLUMN `old` TEXT;\n"
        );
    }
}
