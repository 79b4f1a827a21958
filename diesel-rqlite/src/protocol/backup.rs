//! The options of a backup, and a check whether a SQLite file is complete.

use std::io;
use std::sync::{Arc, Mutex};

use crate::mutex::locked;

/// The format of a backup: a SQLite file, or SQL.
///
/// ```
/// use diesel_rqlite::BackupOptions;
///
/// let small = BackupOptions::new().vacuum().compress();
/// let text = BackupOptions::new().sql();
/// ```
///
/// All versions of rqlite support these options. Options that only some versions support, and that the others silently
/// ignore, are omitted. These are `fmt=delete` ([`vacuum`](Self::vacuum) also gives a file without a write-ahead log),
/// and `tables`, which keeps the indexes and triggers of the tables that it omits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct BackupOptions {
    sql: bool,
    vacuum: bool,
    compress: bool,
}

impl BackupOptions {
    /// Requests a SQLite file, as the node has it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Requests SQL text, as `.dump` of SQLite's shell writes it. It can be neither vacuumed nor compressed.
    pub fn sql(mut self) -> Self {
        self.sql = true;
        self
    }

    /// Makes the node remove unused space, in a copy of the database.
    pub fn vacuum(mut self) -> Self {
        self.vacuum = true;
        self
    }

    /// Makes the node compress the file with gzip.
    pub fn compress(mut self) -> Self {
        self.compress = true;
        self
    }

    /// Returns an error if the options can't be combined. Of the two combinations, rqlite rejects one and ignores the
    /// other.
    pub(crate) fn check(self) -> Result<(), &'static str> {
        match self.sql && (self.vacuum || self.compress) {
            true => Err("SQL is neither vacuumed nor compressed by rqlite"),
            false => Ok(()),
        }
    }

    /// Returns the path and query for a backup of the leader, or, with `of_node`, of the node that is asked.
    pub(crate) fn path(self, of_node: bool) -> String {
        let mut path = String::from(match of_node {
            true => "/db/backup?noleader",
            false => "/db/backup?redirect",
        });
        let flags = [
            (self.sql, "&fmt=sql"),
            (self.vacuum, "&vacuum"),
            (self.compress, "&compress"),
        ];
        for (_, flag) in flags.into_iter().filter(|(is_set, _)| *is_set) {
            path.push_str(flag);
        }
        path
    }

    /// Returns whether it can be checked that the backup is complete.
    pub(crate) fn is_database(self) -> bool {
        !self.sql && !self.compress
    }
}

const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// The length of the part of a file that contains the file's size.
const HEADER: usize = 96;

/// A defect of a SQLite file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Damage {
    #[error("it is no SQLite file")]
    NoDatabase,
    #[error("the SQLite file is cut off: it has {0} bytes, and says that it has {1}")]
    CutOff(u64, u64),
}

/// A check of a SQLite file while it is transferred. A node that loads a truncated file is unusable from then on, even
/// after a restart (8.26, 10.2). Clones share their state.
#[derive(Clone, Debug, Default)]
pub(crate) struct Whole(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    begin: Vec<u8>,
    bytes: u64,
    ended: bool,
    damage: Option<Damage>,
    failed: Option<io::Error>,
}

impl Whole {
    /// Takes the next bytes of the file. An empty slice marks its end. Returns an error if the file must not be used.
    pub(crate) fn saw(&self, bytes: &[u8]) -> io::Result<()> {
        let mut seen = locked(&self.0);
        let wanted = HEADER.saturating_sub(seen.begin.len()).min(bytes.len());
        seen.begin.extend_from_slice(&bytes[..wanted]);
        seen.bytes += bytes.len() as u64;
        let known = seen.begin.len().min(MAGIC.len());
        let is_other = seen.begin[..known] != MAGIC[..known];
        let damage = match length(&seen.begin) {
            _ if is_other || (bytes.is_empty() && seen.begin.len() < HEADER) => {
                Some(Damage::NoDatabase)
            }
            Some(length) if bytes.is_empty() && seen.bytes < length => {
                Some(Damage::CutOff(seen.bytes, length))
            }
            _ => None,
        };
        seen.damage = seen.damage.or(damage);
        match seen.damage {
            Some(damage) => Err(io::Error::new(io::ErrorKind::InvalidData, damage)),
            None => {
                seen.ended |= bytes.is_empty();
                Ok(())
            }
        }
    }

    /// Records that the file can't be read any further. The returned error is the one to pass on to the reader.
    pub(crate) fn failed(&self, error: io::Error) -> io::Error {
        let told = io::Error::new(error.kind(), error.to_string());
        locked(&self.0).failed = Some(error);
        told
    }

    /// Returns whether the whole file was transferred.
    pub(crate) fn has_ended(&self) -> bool {
        locked(&self.0).ended
    }

    /// Returns the reason why the file must not be used, if there is one.
    pub(crate) fn fault(&self) -> Option<io::Error> {
        let mut seen = locked(&self.0);
        let failed = seen.failed.take();
        failed.or_else(|| Some(io::Error::new(io::ErrorKind::InvalidData, seen.damage?)))
    }
}

/// Returns the minimum length of a file, according to its header. Returns `None` if the header does not tell, as in a
/// file that was written by a SQLite before 3.7.
fn length(begin: &[u8]) -> Option<u64> {
    let number = |place: usize| {
        let bytes = begin.get(place..place + 4)?.try_into().ok()?;
        Some(u32::from_be_bytes(bytes))
    };
    let page_size = match u16::from_be_bytes([*begin.get(16)?, *begin.get(17)?]) {
        1 => 65536,
        size => u64::from(size),
    };
    let (pages, changes, valid_for) = (number(28)?, number(24)?, number(92)?);
    (pages > 0 && changes == valid_for).then(|| u64::from(pages) * page_size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(pages: u32) -> Vec<u8> {
        let mut file = vec![0; 512 * pages as usize];
        file[..16].copy_from_slice(MAGIC);
        file[16..18].copy_from_slice(&512_u16.to_be_bytes());
        file[28..32].copy_from_slice(&pages.to_be_bytes());
        file
    }

    fn look(file: &[u8], piece: usize) -> Result<(), String> {
        let whole = Whole::default();
        let pieces = file.chunks(piece).chain(std::iter::once(&[][..]));
        let mut pieces = pieces.map(|piece| whole.saw(piece));
        let outcome = pieces.try_for_each(|outcome| outcome);
        assert_eq!(whole.has_ended(), outcome.is_ok());
        assert_eq!(whole.fault().is_none(), outcome.is_ok());
        outcome.map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_that_is_cut_off_is_seen() {
        for piece in [1, 7, 100, 4096] {
            assert_eq!(look(&file(3), piece), Ok(()));
            let cut = "the SQLite file is cut off: it has 1024 bytes, and says that it has 1536";
            assert_eq!(look(&file(3)[..1024], piece), Err(cut.to_owned()));
            for none in [
                &b""[..],
                b"SQLite format 3\0",
                b"BEGIN; CREATE TABLE t (a); COMMIT;",
            ] {
                assert_eq!(look(none, piece), Err("it is no SQLite file".to_owned()));
            }
        }
    }

    #[test]
    fn options_that_contradict_each_other_are_refused() {
        let new = BackupOptions::new;
        assert_eq!(new().path(false), "/db/backup?redirect");
        assert_eq!(new().sql().path(true), "/db/backup?noleader&fmt=sql");
        let both = new().vacuum().compress();
        assert_eq!(both.path(false), "/db/backup?redirect&vacuum&compress");
        assert!(both.check().is_ok() && new().sql().check().is_ok());
        assert!(new().sql().vacuum().check().is_err());
        assert!(new().sql().compress().check().is_err());
    }
}
