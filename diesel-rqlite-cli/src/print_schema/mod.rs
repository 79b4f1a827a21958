//! The command `print-schema`: writes `schema.rs` from the schema of the database.

mod definitions;
mod features;
mod format;
mod infer;
mod names;
mod options;
mod render;
mod types;

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use diesel_rqlite::RqliteConnection;
use similar_asserts::SimpleDiff;

pub use self::definitions::{ColumnDefinition, Definitions, Join, TableDefinition};
pub use self::infer::{Column, ForeignKey, Schema, Table};
use self::options::Options;
pub use self::types::SqlType;
use crate::common::Common;
use crate::configuration::{self, Configuration};
use crate::error::Error as CliError;
use crate::{database, output};

/// The errors of a schema, apart from those of the database.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "Diesel only supports tables with primary keys. Table `{0}` has no primary key, and columns that take all names of its rowid"
    )]
    NoPrimaryKey(String),
    #[error("rqlite has one schema without a name: `{0}` can't be chosen")]
    NamedSchema(String),
    #[error("Invalid argument for table filtering regex: {0}")]
    Pattern(#[from] regex::Error),
    #[error("Failed to read patch file at {}: {error}", path.display())]
    PatchFile {
        path: PathBuf,
        error: std::io::Error,
    },
    #[error("Failed to parse patch file: {0}")]
    ParsePatch(#[from] diffy::ParsePatchError),
    #[error("Failed to apply patch: {0}")]
    ApplyPatch(#[from] diffy::ApplyError),
}

/// Print table definitions for database schema.
#[derive(Args, Debug)]
pub struct PrintSchema {
    #[command(flatten)]
    options: Options,
}

impl PrintSchema {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// Returns the errors of the server, and those of [`generate`].
    pub fn run(self, common: &Common) -> Result<(), CliError> {
        let schemas = Configuration::read(common)?.print_schema;
        let schemas = self.options.apply(schemas)?;
        let mut connection = database::connect(common)?;
        for config in schemas.by_key.values() {
            let text = generate(&mut connection, config)?;
            output::raw(text.as_bytes())?;
            say_features(&text);
        }
        Ok(())
    }
}

/// Returns the text of `schema.rs`. The schema is read with one request.
///
/// # Errors
///
/// Returns the errors of the server. Also fails if a table has no key that identifies its rows, or if a patch can't
/// be applied.
pub fn generate(
    connection: &mut RqliteConnection,
    config: &configuration::PrintSchema,
) -> Result<String, CliError> {
    if let Some(name) = &config.schema {
        return Err(Error::NamedSchema(name.clone()).into());
    }
    let schema = Schema::read(connection, config.include_views.unwrap_or_default())?;
    let definitions = Definitions::of(&schema, config)?;
    let text = format::by_rustfmt(render::schema_rs(&definitions, config));
    Ok(match &config.patch_file {
        Some(path) => patched(&text, path)?,
        None => text,
    })
}

fn patched(text: &str, path: &Path) -> Result<String, Error> {
    let patch = fs::read_to_string(path).map_err(|error| Error::PatchFile {
        path: path.to_owned(),
        error,
    })?;
    Ok(diffy::apply(text, &diffy::Patch::from_str(&patch)?)?)
}

/// Rewrites the files that `diesel.toml` names, or compares them if `--locked-schema` is given. `migration run`,
/// `revert`, `redo`, `setup` and `reset` do this at their end.
///
/// # Errors
///
/// Returns the errors of the server, or [`CliError::SchemaWouldChange`].
pub fn regenerate(common: &Common) -> Result<(), CliError> {
    let schemas = Configuration::read(common)?.print_schema;
    let mut connection = None;
    for config in schemas.by_key.values() {
        let Some(path) = &config.file else {
            continue;
        };
        let connection = match &mut connection {
            Some(connection) => connection,
            none => none.insert(database::connect(common)?),
        };
        let text = generate(connection, config)?;
        if common.locked_schema {
            compare(path, &text)?;
        } else {
            write(path, &text)?;
        }
    }
    Ok(())
}

fn say_features(schema: &str) {
    if let Some(note) = features::note_of(schema) {
        output::note(note);
    }
}

fn write(path: &Path, text: &str) -> Result<(), CliError> {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    say_features(text);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|error| CliError::io(parent, error))?;
    }
    fs::write(path, text).map_err(|error| CliError::io(path, error))
}

/// Compares the texts. Line ends may differ, because git changes them on some systems.
fn compare(path: &Path, text: &str) -> Result<(), CliError> {
    let old = fs::read_to_string(path).map_err(|error| CliError::io(path, error))?;
    if text.lines().eq(old.lines()) {
        return Ok(());
    }
    let label = path.file_name().unwrap_or_default().to_string_lossy();
    output::line(SimpleDiff::from_str(&old, text, &label, "new schema"))?;
    Err(CliError::SchemaWouldChange(path.display().to_string()))
}
