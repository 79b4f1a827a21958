//! The command `load`.

mod dump;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use clap::Args;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel_rqlite::{ClusterError, ReplicaHazard, RqliteConnection};
use flate2::read::MultiGzDecoder;

pub use self::dump::inserted_rows;
use crate::common::Common;
use crate::error::Error as CliError;
use crate::output;
use crate::transfer::counts::{self, Counts};
use crate::transfer::sqlite_file::{Damage, MAGIC, SqliteFile};
use crate::transfer::{self, Error, plural, progress, shown};

const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Loads a SQLite file or SQL into the database.
///
/// So an application's SQLite file moves to rqlite. The file may be a SQLite database, SQL text as `.dump` of SQLite's
/// shell or `backup --sql` write it, or either compressed by gzip. A SQLite file replaces the database as a whole; SQL
/// is run in requests of some megabytes, each of which is applied as a whole or not at all. At the end the rows of each
/// table are counted in the file and in the database.
#[derive(Args, Debug)]
pub struct Load {
    /// The file to load.
    file: PathBuf,

    /// Also if the database has tables: a SQLite file replaces them, SQL adds to them.
    #[arg(long)]
    force: bool,

    /// Print the rows of each table as JSON.
    #[arg(long)]
    json: bool,
}

impl Load {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// Returns the errors of the server and of the file. Also fails if the database has other rows than the file.
    pub fn run(self, common: &Common) -> Result<(), CliError> {
        let file = self.open()?;
        if is_database(&file).map_err(|error| self.unreadable(error))? {
            self.database(common, file)
        } else {
            self.sql(common, file)
        }
    }

    fn open(&self) -> Result<File, CliError> {
        let path = &self.file;
        let mut file = File::open(path).map_err(|error| CliError::io(path, error))?;
        let unpacked = begins_with(&file, &GZIP).and_then(|is_gzip| match is_gzip {
            true => unpacked(&mut file).map(Some),
            false => Ok(None),
        });
        let unpacked = unpacked.map_err(|error| self.unreadable(error))?;
        Ok(unpacked.unwrap_or(file))
    }

    fn unreadable(&self, error: io::Error) -> Error {
        let (file, damage) = (shown(&self.file), Damage::Io(error));
        Error::BadFile { file, damage }
    }

    fn database(&self, common: &Common, mut file: File) -> Result<(), CliError> {
        alone(&self.file)?;
        let rows = SqliteFile::open(&mut file).and_then(|mut file| {
            file.check_encoding()?;
            file.rows()
        });
        let rows = rows.map_err(|damage| Error::BadFile {
            file: shown(&self.file),
            damage,
        })?;
        let mut connection = transfer::connect(common)?;
        self.check_empty(&counts::of_database(&mut connection)?)?;
        send(&mut connection, &mut file)?;
        warn_about_schema(&mut connection)?;
        let found = counts::of_database(&mut connection)?;
        match counts::difference("the file", &rows, "the database", &found) {
            Some(difference) => Err(Error::LoadDiffers(difference).into()),
            None => self.report(&rows, true),
        }
    }

    fn sql(&self, common: &Common, file: File) -> Result<(), CliError> {
        let mut connection = transfer::connect(common)?;
        let before = counts::of_database(&mut connection)?;
        self.check_empty(&before)?;
        let length = file.metadata().map(|file| file.len());
        let bar = progress::bytes("Loading", length.ok());
        let loaded = connection.cluster().load_sql(bar.wrap_read(file));
        let loaded = loaded.map_err(dump::failure)?;
        bar.finish_and_clear();
        warn_about_schema(&mut connection)?;
        let found = counts::of_database(&mut connection)?;
        let compared = match dump::expected(&loaded, &before, &found) {
            Some(expected) => {
                let difference = counts::difference("the file", &expected, "the database", &found);
                if let Some(difference) = difference {
                    return Err(Error::LoadDiffers(difference).into());
                }
                true
            }
            None => false,
        };
        self.report(&found, compared)
    }

    fn check_empty(&self, counts: &Counts) -> Result<(), Error> {
        match counts.keys().next() {
            Some(table) if !self.force => Err(Error::NotEmpty {
                tables: counts.len(),
                table: table.clone(),
            }),
            _ => Ok(()),
        }
    }

    fn report(&self, rows: &Counts, compared: bool) -> Result<(), CliError> {
        let file = shown(&self.file);
        if self.json {
            return output::line(serde_json::json!({
                "file": file, "compared": compared, "rows": rows,
            }));
        }
        let total = plural(counts::total(rows), "row");
        let tables = plural(rows.len() as u64, "table");
        let ending = match compared {
            true => "as in the file",
            false => "not compared with the file, which does more than to insert",
        };
        output::line(format_args!(
            "{file}: the database has {total} in {tables}, {ending}"
        ))
    }
}

/// Warns about values that nodes compute themselves: SQLite has one clock, but each node has its own. The connection
/// gives Diesel's own table its times.
fn warn_about_schema(connection: &mut RqliteConnection) -> Result<(), CliError> {
    let query = diesel::dsl::sql::<(Text, Text)>(
        r"SELECT name, sql FROM sqlite_schema WHERE type IN ('table', 'trigger') AND sql IS NOT NULL
        AND name NOT LIKE '\_\_diesel\_%' ESCAPE '\' ORDER BY name",
    );
    let schema: Vec<(String, String)> = query.load(connection)?;
    for (name, sql) in schema {
        for hazard in ReplicaHazard::find(&sql) {
            output::warning(format_args!("`{name}`: {hazard}"));
        }
    }
    warn_about_foreign_keys(connection)
}

/// Warns about foreign keys that are not enforced. Nearly every Rust program with a bundled SQLite had its foreign
/// keys enforced, without a PRAGMA.
fn warn_about_foreign_keys(connection: &mut RqliteConnection) -> Result<(), CliError> {
    let query = diesel::dsl::sql::<BigInt>(
        "SELECT count(*) FROM sqlite_schema m, pragma_foreign_key_list(m.name) f, pragma_foreign_keys k \
         WHERE m.type = 'table' AND f.seq = 0 AND NOT k.foreign_keys",
    );
    let keys: i64 = query.get_result(connection)?;
    if keys > 0 {
        output::warning(format_args!(
            "the database has {}, and the node does not enforce any: start every rqlited with -fk, unless the program had them \
             off; SQLite as it is built into Rust programs (the feature `bundled` of libsqlite3-sys) enforces them without a \
             PRAGMA",
            plural(keys.unsigned_abs(), "foreign key")
        ));
    }
    Ok(())
}

/// Checks that the file has no journal or write-ahead log next to it. With one of these, the file alone is out of
/// date or corrupt.
fn alone(path: &Path) -> Result<(), Error> {
    // SQLite looks for them next to the file that a link leads to.
    let real = path.canonicalize();
    let real = real.as_deref().unwrap_or(path);
    for suffix in ["-wal", "-journal"] {
        let mut other = real.as_os_str().to_owned();
        other.push(suffix);
        let other = PathBuf::from(other);
        if other.metadata().is_ok_and(|file| file.len() > 0) {
            let (file, other) = (shown(path), shown(&other));
            return Err(Error::OpenFile { file, other });
        }
    }
    Ok(())
}

fn is_database(file: &File) -> io::Result<bool> {
    begins_with(file, MAGIC)
}

fn begins_with(mut file: &File, magic: &[u8]) -> io::Result<bool> {
    let mut begin = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(magic.len() as u64).read_to_end(&mut begin)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(begin == magic)
}

/// Decompresses the file into a temporary file without a name.
fn unpacked(file: &mut File) -> io::Result<File> {
    let mut unpacked = tempfile::tempfile()?;
    io::copy(&mut MultiGzDecoder::new(file), &mut unpacked)?;
    unpacked.seek(SeekFrom::Start(0))?;
    Ok(unpacked)
}

fn send(connection: &mut RqliteConnection, file: &mut File) -> Result<(), CliError> {
    let length = file.seek(SeekFrom::End(0)).and_then(|length| {
        file.seek(SeekFrom::Start(0))?;
        Ok(length)
    });
    let length = length.map_err(Error::NoAnswer)?;
    let bar = progress::bytes("Sending", Some(length));
    let loaded = connection.cluster().load(bar.wrap_read(file));
    loaded.map_err(|error| match error {
        ClusterError::Unknown(cause) => Error::LoadUnknown { cause },
        error => Error::Cluster(error),
    })?;
    bar.finish_and_clear();
    Ok(())
}
