//! The option `migration generate --diff-schema`: writes the SQL that changes the database to match `schema.rs`.

mod compare;
mod parse;
mod sql;

use std::fs;
use std::path::PathBuf;

use clap::{ArgAction, Args};
use regex::Regex;

use self::compare::Difference;
use self::parse::SchemaFile;
use crate::common::Common;
use crate::configuration::{Configuration, Filter, Pattern, PrintSchema};
use crate::error::Error;
use crate::print_schema::{Error as SchemaError, Schema};
use crate::{database, project};

/// What `migration generate` takes for it.
#[derive(Args, Debug)]
pub(super) struct DiffSchema {
    /// Populate the generated migration based on the current difference between your `schema.rs` file and the
    /// specified database.
    ///
    /// The file is the one of `diesel.toml`, or SCHEMA_RS, which is relative to the project. The generated migration
    /// is not expected to be perfect. Be sure to check whether it meets your expectations: a column whose type
    /// changed is dropped with its values, and added again. Adjust the generated output if that's not the case.
    #[arg(long, value_name = "SCHEMA_RS", num_args = 0..=1, require_equals = true)]
    diff_schema: Option<Option<PathBuf>>,

    /// Detect `INTEGER PRIMARY KEY` columns as `BigInt`, when the table isn't declared with `WITHOUT ROWID`.
    /// See sqlite.org/lang_createtable.html#rowid for more information.
    /// Only used with the `--diff-schema` argument.
    #[arg(long, requires = "diff_schema", verbatim_doc_comment)]
    sqlite_integer_primary_key_is_bigint: bool,

    /// Table names to filter: which tables of the database are compared.
    #[arg(value_name = "table-name")]
    tables: Vec<String>,

    /// Only include tables from table-name that matches regexp.
    #[arg(short, long, action = ArgAction::Count)]
    only_tables: u8,

    /// Exclude tables from table-name that matches regex.
    #[arg(short, long, action = ArgAction::Count)]
    except_tables: u8,

    /// select schema key from diesel.toml, use 'default' for print_schema without key.
    #[arg(long)]
    schema_key: Vec<String>,
}

impl DiffSchema {
    /// Returns the text to write below the heads of `up.sql` and `down.sql`. It is empty unless a difference is
    /// requested and there is a file to compare with.
    pub(super) fn sql(&self, common: &Common) -> Result<(String, String), Error> {
        let Some(given) = &self.diff_schema else {
            return Ok(Default::default());
        };
        let config = self.configuration(common)?;
        let Some(file) = given.as_ref().or(config.file.as_ref()) else {
            return Ok(Default::default());
        };
        let path = project::root()?.join(file);
        let text = fs::read_to_string(&path).map_err(|error| Error::io(&path, error))?;
        let wanted = SchemaFile::parse(&text).map_err(|error| Error::ParseSchema {
            path: path.display().to_string(),
            line: parse::line(&error, &text),
            error,
        })?;
        let mut connection = database::connect(common)?;
        let live = Schema::read(&mut connection, config.include_views.unwrap_or_default())?;
        let difference = Difference::between(&live, &wanted, &config)?;
        Ok((difference.up(), difference.down()))
    }

    /// Returns the section of `diesel.toml`, with the arguments of the command line applied.
    fn configuration(&self, common: &Common) -> Result<PrintSchema, Error> {
        let schemas = Configuration::read(common)?.print_schema;
        let key = self.schema_key.first().map_or("default", String::as_str);
        let mut config = schemas.section(key)?.clone();
        if self.sqlite_integer_primary_key_is_bigint {
            config.sqlite_integer_primary_key_is_bigint = Some(true);
        }
        let patterns = self.tables.iter().map(|name| Regex::new(name).map(Pattern));
        let patterns = patterns
            .collect::<Result<_, _>>()
            .map_err(SchemaError::from)?;
        if self.only_tables > 0 {
            config.filter = Filter::OnlyTables(patterns);
        } else if self.except_tables > 0 {
            config.filter = Filter::ExceptTables(patterns);
        }
        Ok(config)
    }
}
