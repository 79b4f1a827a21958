//! The arguments of `print-schema`. If `diesel.toml` has several sections, the position of `--schema-key` tells them
//! apart: the arguments after it belong to its section.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::error::Error as ClapError;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use regex::Regex;

use super::Error;
use crate::configuration::{
    AllowTables, ColumnSorting, Filter, Pattern, PrintSchema, PrintSchemas, WithDocs,
};
use crate::error::Error as CliError;

const BIGINT_HELP: &str = "Print `INTEGER PRIMARY KEY` columns, and those that refer to one, as `BigInt`, when the \
    table isn't declared with `WITHOUT ROWID`.\nSee https://www.sqlite.org/lang_createtable.html#rowid for more \
    information.";

/// The arguments in the order of the command line.
#[derive(Clone, Debug, Default)]
pub(super) struct Options(Vec<Opt>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Opt {
    SchemaKey(String),
    Schema(String),
    Table(String),
    Only,
    Except,
    WithDocs,
    WithDocsConfig(String),
    AllowTables(String),
    ColumnSorting(String),
    PatchFile(PathBuf),
    ImportTypes(String),
    NoMissingDefinitions,
    ExceptDefinitions(String),
    Derives(String),
    PgDomains,
    BigInt,
    Decimal,
    Views,
}

impl Args for Options {
    fn augment_args(command: Command) -> Command {
        command.args(arguments())
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Options {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, ClapError> {
        let mut placed = BTreeMap::new();
        for (id, make) in TEXTS {
            let values = matches.get_many::<String>(id).unwrap_or_default();
            let values = values.map(|value| make(value.clone()));
            placed.extend(matches.indices_of(id).into_iter().flatten().zip(values));
        }
        let files = matches
            .get_many::<PathBuf>("patch-file")
            .unwrap_or_default();
        let files = files.map(|file| Opt::PatchFile(file.clone()));
        let places = matches.indices_of("patch-file");
        placed.extend(places.into_iter().flatten().zip(files));
        for (id, option, _) in SWITCHES {
            let places = matches.indices_of(id).into_iter().flatten();
            placed.extend(places.map(|place| (place, option.clone())));
        }
        Ok(Options(placed.into_values().collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), ClapError> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

type Make = fn(String) -> Opt;

const TEXTS: [(&str, Make); 10] = [
    ("schema-key", Opt::SchemaKey),
    ("schema", Opt::Schema),
    ("table-name", Opt::Table),
    ("with-docs-config", Opt::WithDocsConfig),
    (
        "allow-tables-to-appear-in-same-query-config",
        Opt::AllowTables,
    ),
    ("column-sorting", Opt::ColumnSorting),
    ("import-types", Opt::ImportTypes),
    ("except-custom-type-definitions", Opt::ExceptDefinitions),
    ("custom-type-derives", Opt::Derives),
    ("pg-domains-as-custom-types", |_| Opt::PgDomains),
];

const SWITCHES: [(&str, Opt, &str); 7] = [
    (
        "only-tables",
        Opt::Only,
        "Only include tables from table-name that matches regexp.",
    ),
    (
        "except-tables",
        Opt::Except,
        "Exclude tables from table-name that matches regex.",
    ),
    (
        "with-docs",
        Opt::WithDocs,
        "Render documentation comments for tables and columns.",
    ),
    (
        "no-generate-missing-sql-type-definitions",
        Opt::NoMissingDefinitions,
        "Don't generate SQL type definitions for declared types that Diesel has no SQL type for.",
    ),
    (
        "sqlite-integer-primary-key-is-bigint",
        Opt::BigInt,
        BIGINT_HELP,
    ),
    (
        "decimal-is-numeric",
        Opt::Decimal,
        "Print NUMERIC and DECIMAL columns as `Numeric` instead of `Double`.",
    ),
    (
        "include-views",
        Opt::Views,
        "Print views, too. The key of a view is its column `id`, or its first one.",
    ),
];

fn arguments() -> Vec<Arg> {
    let mut arguments: Vec<_> = SWITCHES
        .iter()
        .map(|(id, _, help)| switch(id, help))
        .collect();
    arguments.extend([
        Arg::new("table-name")
            .index(1)
            .num_args(1..)
            .action(ArgAction::Append)
            .help("Table names to filter."),
        text("schema", "The name of the schema: rqlite has one, which has no name.").short('s'),
        text(
            "with-docs-config",
            "Render documentation comments for tables and columns.",
        )
        .value_parser([
            "database-comments-fallback-to-auto-generated-doc-comment",
            "only-database-comments",
            "no-doc-comments",
        ]),
        text(
            "allow-tables-to-appear-in-same-query-config",
            "Group tables in allow_tables_to_appear_in_same_query!().",
        )
        .value_parser(["fk_related_tables", "all_tables", "none"]),
        text("column-sorting", "Sort order for table columns.")
            .value_parser(["ordinal_position", "name"]),
        text("patch-file", "A unified diff file to be applied to the final schema.")
            .value_parser(clap::value_parser!(PathBuf)),
        text(
            "import-types",
            "A list of types to import for every table, separated by commas.",
        ),
        text(
            "except-custom-type-definitions",
            "A list of regexes to filter the custom types definitions generated",
        )
        .num_args(1..),
        text(
            "custom-type-derives",
            "A list of derives to implement for every automatically generated SqlType in the schema, separated by \
             commas.",
        ),
        text("pg-domains-as-custom-types", "Of no effect: rqlite has no domains.").hide(true),
        text(
            "schema-key",
            "select schema key from diesel.toml, use 'default' for print_schema without key.",
        ),
    ]);
    arguments
}

fn switch(id: &'static str, help: &'static str) -> Arg {
    let switch = Arg::new(id)
        .long(id)
        .num_args(0)
        .default_missing_value("true")
        .action(ArgAction::Append)
        .help(help);
    match id {
        "only-tables" => switch.short('o'),
        "except-tables" => switch.short('e'),
        _ => switch,
    }
}

fn text(id: &'static str, help: &'static str) -> Arg {
    Arg::new(id)
        .long(id)
        .num_args(1)
        .action(ArgAction::Append)
        .help(help)
}

impl Options {
    /// Returns the sections, with the arguments of the command line applied.
    pub(super) fn apply(self, mut schemas: PrintSchemas) -> Result<PrintSchemas, CliError> {
        let mut key = "default".to_owned();
        let mut lists: BTreeMap<String, Lists> = BTreeMap::new();
        for option in self.0 {
            if let Opt::SchemaKey(given) = option {
                // Without sections there is nothing to choose, as in Diesel's own tool.
                if schemas.several {
                    schemas.section(&given)?;
                    key = given;
                }
                continue;
            }
            let section = schemas.by_key.entry(key.clone()).or_default();
            apply(option, section, lists.entry(key.clone()).or_default())?;
        }
        for (key, lists) in lists {
            if let Some(section) = schemas.by_key.get_mut(&key) {
                lists.replace(section);
            }
        }
        Ok(schemas)
    }
}

/// The lists that the command line gives for a section. They replace the lists of the file.
#[derive(Debug, Default)]
struct Lists {
    tables: Vec<Pattern>,
    only: bool,
    except: bool,
    imports: Vec<String>,
    derives: Vec<String>,
    not_defined: Vec<Pattern>,
}

impl Lists {
    fn replace(self, section: &mut PrintSchema) {
        if self.only {
            section.filter = Filter::OnlyTables(self.tables);
        } else if self.except {
            section.filter = Filter::ExceptTables(self.tables);
        }
        if !self.imports.is_empty() {
            section.import_types = Some(self.imports);
        }
        if !self.derives.is_empty() {
            section.custom_type_derives = Some(self.derives);
        }
        if !self.not_defined.is_empty() {
            section.except_custom_type_definitions = self.not_defined;
        }
    }
}

fn apply(option: Opt, section: &mut PrintSchema, lists: &mut Lists) -> Result<(), CliError> {
    match option {
        Opt::SchemaKey(_) | Opt::PgDomains => {}
        Opt::Schema(name) => section.schema = Some(name),
        Opt::Table(name) => lists.tables.push(pattern(&name)?),
        Opt::Only => lists.only = true,
        Opt::Except => lists.except = true,
        Opt::WithDocs => {
            section.with_docs = WithDocs::DatabaseCommentsFallbackToAutoGeneratedDocComment;
        }
        Opt::WithDocsConfig(mode) => {
            section.with_docs = WithDocs::named(&mode).unwrap_or_default();
        }
        Opt::AllowTables(mode) => {
            section.allow_tables_to_appear_in_same_query_config = match mode.as_str() {
                "fk_related_tables" => AllowTables::FkRelatedTables,
                "none" => AllowTables::None,
                _ => AllowTables::AllTables,
            };
        }
        Opt::ColumnSorting(mode) => {
            section.column_sorting = match mode.as_str() {
                "name" => ColumnSorting::Name,
                _ => ColumnSorting::OrdinalPosition,
            };
        }
        Opt::PatchFile(file) => section.patch_file = Some(file),
        Opt::NoMissingDefinitions => section.generate_missing_sql_type_definitions = Some(false),
        Opt::ImportTypes(name) => lists.imports.push(name),
        Opt::Derives(name) => lists.derives.push(name),
        Opt::ExceptDefinitions(text) => lists.not_defined.push(pattern(&text)?),
        Opt::BigInt => section.sqlite_integer_primary_key_is_bigint = Some(true),
        Opt::Decimal => section.decimal_is_numeric = Some(true),
        Opt::Views => section.include_views = Some(true),
    }
    Ok(())
}

fn pattern(text: &str) -> Result<Pattern, CliError> {
    Ok(Pattern(Regex::new(text).map_err(Error::from)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Options {
        let command = Options::augment_args(Command::new("print-schema").no_binary_name(true));
        let matches = command.try_get_matches_from(line.split_whitespace());
        Options::from_arg_matches(&matches.expect(line)).expect(line)
    }

    fn sections(keys: &[&str]) -> PrintSchemas {
        let by_key = keys
            .iter()
            .map(|key| ((*key).to_owned(), PrintSchema::default()));
        PrintSchemas {
            several: keys.len() > 1,
            by_key: by_key.collect(),
        }
    }

    #[test]
    fn what_stands_behind_a_key_belongs_to_it() {
        let line =
            "--with-docs --schema-key a -o users --column-sorting name --schema-key b -e posts x";
        let schemas = parsed(line)
            .apply(sections(&["a", "b", "default"]))
            .expect("has keys");
        let section = |key| schemas.section(key).expect("there");
        assert_ne!(section("default").with_docs, WithDocs::NoDocComments);
        assert_eq!(section("a").with_docs, WithDocs::NoDocComments);
        assert_eq!(section("a").column_sorting, ColumnSorting::Name);
        assert!(matches!(&section("a").filter, Filter::OnlyTables(names) if names.len() == 1));
        assert!(matches!(&section("b").filter, Filter::ExceptTables(names) if names.len() == 2));
    }

    #[test]
    fn an_unknown_key_is_an_error() {
        assert!(
            parsed("--schema-key c")
                .apply(sections(&["a", "default"]))
                .is_err()
        );
        assert!(
            parsed("--schema-key c")
                .apply(sections(&["default"]))
                .is_ok()
        );
    }

    #[test]
    fn what_is_given_replaces_the_file() {
        let mut schemas = sections(&["default"]);
        let section = schemas.by_key.entry("default".to_owned()).or_default();
        section.import_types = Some(vec!["from::the::file".to_owned()]);
        let schemas = parsed("--import-types a::b --import-types c::d").apply(schemas);
        let schemas = schemas.expect("has keys");
        let section = schemas.section("default").expect("there");
        let wanted = ["a::b".to_owned(), "c::d".to_owned()];
        assert_eq!(section.import_types.as_deref(), Some(&wanted[..]));
    }

    #[test]
    fn a_bad_pattern_is_an_error() {
        assert!(parsed("-o (").apply(sections(&["default"])).is_err());
    }
}
