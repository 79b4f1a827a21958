//! The command `backup`.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use diesel_rqlite::{BackupOptions, RqliteConnection};
use flate2::read::MultiGzDecoder;
use tempfile::{Builder, NamedTempFile};

use crate::common::Common;
use crate::error::Error as CliError;
use crate::load::inserted_rows;
use crate::output;
use crate::transfer::counts::{self, Counts};
use crate::transfer::sqlite_file::SqliteFile;
use crate::transfer::{self, Error, plural, progress, shown};

/// Writes the database to a file.
///
/// It is a SQLite file, or SQL with --sql. The file appears when it is whole: until then it has another name, and an
/// interrupted backup leaves none. At the end the rows of each table are counted in the file and in the database.
#[derive(Args, Debug)]
pub struct Backup {
    /// The file to write.
    file: PathBuf,

    /// Write SQL text instead of a SQLite file.
    #[arg(long)]
    sql: bool,

    /// Let the server compress it with gzip. Not for SQL, which it does not compress.
    #[arg(long, conflicts_with = "sql")]
    compress: bool,

    /// Let the server drop what is no longer used. Not for SQL, which has none of it.
    #[arg(long, conflicts_with = "sql")]
    vacuum: bool,

    /// Replace the file if there is one.
    #[arg(long)]
    force: bool,

    /// Print the rows of each table as JSON.
    #[arg(long)]
    json: bool,
}

impl Backup {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// Returns the errors of the server and of the file. Also fails if the backup has other rows than the database.
    pub fn run(self, common: &Common) -> Result<(), CliError> {
        let exists = || Error::FileExists {
            file: shown(&self.file),
        };
        // A link that leads nowhere counts as an existing file.
        if !self.force && self.file.symlink_metadata().is_ok() {
            return Err(exists().into());
        }
        let mut connection = transfer::connect(common)?;
        let before = counts::of_database(&mut connection)?;
        let partial = self.receive(&mut connection)?;
        let written = self.count(partial.path())?;
        let after = counts::of_database(&mut connection)?;
        check(&before, &written, &after)?;
        // The file may have been created meanwhile.
        let kept = match self.force {
            true => partial.persist(&self.file),
            false => partial.persist_noclobber(&self.file),
        };
        kept.map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => exists().into(),
            _ => CliError::io(&self.file, error.error),
        })?;
        self.report(&written)
    }

    /// Writes the backup next to the file, under a name that nobody mistakes for the backup.
    fn receive(&self, connection: &mut RqliteConnection) -> Result<NamedTempFile, CliError> {
        let directory = match self.file.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let name = self.file.file_name().unwrap_or_default().to_string_lossy();
        let partial = Builder::new()
            .prefix(&format!(".{name}."))
            .suffix(".partial")
            .tempfile_in(directory);
        let mut partial = partial.map_err(|error| CliError::io(directory, error))?;
        let backup = connection.cluster().backup(self.options())?;
        let bar = progress::bytes("Receiving", None);
        copy(bar.wrap_read(backup), partial.as_file_mut())
            .map_err(|error| Error::Incomplete(error.to_string()))?;
        let synced = partial.as_file().sync_all();
        synced.map_err(|error| CliError::io(partial.path(), error))?;
        bar.finish_and_clear();
        Ok(partial)
    }

    fn options(&self) -> BackupOptions {
        let mut options = BackupOptions::new();
        if self.sql {
            options = options.sql();
        }
        if self.vacuum {
            options = options.vacuum();
        }
        if self.compress {
            options = options.compress();
        }
        options
    }

    fn count(&self, path: &Path) -> Result<Counts, CliError> {
        let file = File::open(path).map_err(|error| CliError::io(path, error))?;
        let incomplete = |error: &dyn std::fmt::Display| Error::Incomplete(error.to_string());
        let counted = match (self.sql, self.compress) {
            (true, _) => count_sql(BufReader::new(file)),
            (false, false) => count_binary(file),
            (false, true) => unpacked(file)
                .map_err(|error| incomplete(&error))
                .and_then(count_binary),
        };
        Ok(counted?)
    }

    fn report(&self, written: &Counts) -> Result<(), CliError> {
        let file = shown(&self.file);
        if self.json {
            let bytes = fs::metadata(&self.file).map_or(0, |file| file.len());
            return output::line(serde_json::json!({
                "file": file, "bytes": bytes, "rows": written,
            }));
        }
        let rows = plural(counts::total(written), "row");
        let tables = plural(written.len() as u64, "table");
        output::line(format_args!(
            "{file}: {rows} in {tables}, as in the database"
        ))
    }
}

fn copy(mut from: impl Read, to: &mut File) -> io::Result<u64> {
    let copied = io::copy(&mut from, to)?;
    to.flush()?;
    Ok(copied)
}

fn count_sql(reader: impl BufRead) -> Result<Counts, Error> {
    inserted_rows(reader).map_err(|error| Error::Incomplete(error.to_string()))
}

fn count_binary(file: File) -> Result<Counts, Error> {
    let counted = SqliteFile::open(file).and_then(|mut file| file.rows());
    counted.map_err(|damage| Error::Incomplete(damage.to_string()))
}

/// Decompresses the file into one without a name, because a database is not read sequentially.
fn unpacked(file: File) -> io::Result<File> {
    let mut unpacked = tempfile::tempfile()?;
    copy(MultiGzDecoder::new(file), &mut unpacked)?;
    Ok(unpacked)
}

/// Checks the backup: tables that were not written between the two counts must have the same rows in it.
fn check(before: &Counts, written: &Counts, after: &Counts) -> Result<(), Error> {
    let still: Counts = before
        .iter()
        .filter(|(name, rows)| after.get(*name) == Some(rows))
        .map(|(name, rows)| (name.clone(), *rows))
        .collect();
    let same: Counts = written
        .iter()
        .filter(|(name, _)| still.contains_key(*name) || !after.contains_key(*name))
        .filter(|(name, _)| still.contains_key(*name) || !before.contains_key(*name))
        .map(|(name, rows)| (name.clone(), *rows))
        .collect();
    match counts::difference("the backup", &same, "the database", &still) {
        Some(difference) => Err(Error::BackupDiffers(difference)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(rows: &[(&str, u64)]) -> Counts {
        let rows = rows.iter();
        rows.map(|(name, rows)| ((*name).to_owned(), *rows))
            .collect()
    }

    #[test]
    fn only_what_changed_meanwhile_may_differ() {
        let before = counts(&[("still", 5), ("busy", 1), ("dropped", 1)]);
        let after = counts(&[("still", 5), ("busy", 3), ("created", 1)]);
        let good = counts(&[("still", 5), ("busy", 2), ("dropped", 1)]);
        assert!(check(&before, &good, &after).is_ok());
        for bad in [
            counts(&[("still", 4), ("busy", 2)]),
            counts(&[("busy", 2)]),
            counts(&[("still", 5), ("unknown", 1)]),
        ] {
            assert!(check(&before, &bad, &after).is_err(), "{bad:?}");
        }
    }
}
