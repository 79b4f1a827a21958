//! Reads enough of SQLite's file format to tell whether a file is complete and how many rows its tables have. It does
//! not use SQLite.
//!
//! See <https://www.sqlite.org/fileformat2.html>. Only the pages of tables are read, one page at a time.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};

/// The bytes that every such file begins with.
pub const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// The length of the header of the first page, which precedes its B-tree.
const HEADER: usize = 100;
/// A depth that no file within SQLite's limits exceeds.
const DEEPEST: usize = 32;

const INDEX_INTERIOR: u8 = 2;
const TABLE_INTERIOR: u8 = 5;
const INDEX_LEAF: u8 = 10;
const TABLE_LEAF: u8 = 13;

/// The damage of a file.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    #[error("it can't be read: {0}")]
    Io(#[from] io::Error),
    #[error("it is no SQLite database")]
    NoDatabase,
    #[error("it is cut off: {is} bytes of {should} bytes")]
    CutOff { is: u64, should: u64 },
    #[error("page {page} of it is damaged")]
    Page { page: u32 },
    #[error("its schema can't be read")]
    Schema,
    #[error(
        "it stores text as UTF-16, which can't be read back exactly through rqlite; load what `sqlite3 FILE .dump` writes, \
         which is UTF-8"
    )]
    Utf16,
}

/// A database in a file.
#[derive(Debug)]
pub struct SqliteFile<F> {
    file: F,
    page_size: u32,
    pages: u32,
    /// The number of pages that may still be read. Each page belongs to one place only, so a larger number means a
    /// cycle.
    left: u32,
    /// The number of reserved bytes at the end of each page.
    reserved: u8,
    encoding: Encoding,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Utf8,
    Utf16Le,
    Utf16Be,
}

/// A page, and the position of its B-tree.
struct Page {
    number: u32,
    bytes: Vec<u8>,
    start: usize,
}

impl<F: Read + Seek> SqliteFile<F> {
    /// Reads the header. Fails if the file is shorter than the header says.
    ///
    /// # Errors
    ///
    /// [`Damage`]
    pub fn open(mut file: F) -> Result<Self, Damage> {
        let mut header = [0; HEADER];
        file.seek(SeekFrom::Start(0))?;
        file.read_exact(&mut header)
            .map_err(|_| Damage::NoDatabase)?;
        if !header.starts_with(MAGIC) {
            return Err(Damage::NoDatabase);
        }
        let page_size = match u32::from(u16_at(&header, 16).unwrap_or_default()) {
            1 => 65_536,
            size if size >= 512 && size.is_power_of_two() => size,
            _ => return Err(Damage::NoDatabase),
        };
        let is = file.seek(SeekFrom::End(0))?;
        let whole = u32::try_from(is / u64::from(page_size)).unwrap_or(u32::MAX);
        // The number of pages is valid only if the last change wrote it, too.
        let stated = u32_at(&header, 28)
            .filter(|pages| *pages > 0 && u32_at(&header, 24) == u32_at(&header, 92));
        let pages = stated.unwrap_or(whole);
        let should = u64::from(pages) * u64::from(page_size);
        if is < should || pages == 0 {
            return Err(Damage::CutOff { is, should });
        }
        Ok(SqliteFile {
            file,
            page_size,
            pages,
            left: pages,
            reserved: header[20],
            encoding: match u32_at(&header, 56) {
                Some(2) => Encoding::Utf16Le,
                Some(3) => Encoding::Utf16Be,
                _ => Encoding::Utf8,
            },
        })
    }

    /// Fails unless text is stored as UTF-8.
    ///
    /// # Errors
    ///
    /// [`Damage::Utf16`]
    pub fn check_encoding(&self) -> Result<(), Damage> {
        match self.encoding {
            Encoding::Utf8 => Ok(()),
            Encoding::Utf16Le | Encoding::Utf16Be => Err(Damage::Utf16),
        }
    }

    /// Returns the number of rows of each table that has pages in the file, except for SQLite's own.
    ///
    /// # Errors
    ///
    /// [`Damage`]
    pub fn rows(&mut self) -> Result<BTreeMap<String, u64>, Damage> {
        let mut counts = BTreeMap::new();
        self.left = self.pages;
        for (name, root) in self.tables()? {
            let count = self.count(root, 0)?;
            counts.insert(name, count);
        }
        Ok(counts)
    }

    /// Returns the names and root pages of the tables.
    fn tables(&mut self) -> Result<Vec<(String, u32)>, Damage> {
        let mut tables = Vec::new();
        self.collect(1, 0, &mut tables)?;
        Ok(tables)
    }

    /// Returns the table that a record of the schema describes.
    fn table(&self, record: &[u8]) -> Result<Option<(String, u32)>, Damage> {
        let columns = columns(record).ok_or(Damage::Schema)?;
        let [kind, name, _, root, ..] = columns.as_slice() else {
            return Err(Damage::Schema);
        };
        let kind = self.text(kind)?;
        let name = self.text(name)?;
        if kind != "table" || name.starts_with("sqlite_") {
            return Ok(None);
        }
        // Views and virtual tables have no root page. A virtual table stores its data in other tables.
        let root = root.integer().and_then(|root| u32::try_from(root).ok());
        Ok(root.filter(|root| *root > 0).map(|root| (name, root)))
    }

    fn text(&self, column: &Column<'_>) -> Result<String, Damage> {
        let bytes = column.bytes().ok_or(Damage::Schema)?;
        let pairs = bytes.chunks_exact(2).map(|pair| [pair[0], pair[1]]);
        match self.encoding {
            Encoding::Utf8 => String::from_utf8(bytes.to_vec()).ok(),
            Encoding::Utf16Le => {
                String::from_utf16(&pairs.map(u16::from_le_bytes).collect::<Vec<_>>()).ok()
            }
            Encoding::Utf16Be => {
                String::from_utf16(&pairs.map(u16::from_be_bytes).collect::<Vec<_>>()).ok()
            }
        }
        .ok_or(Damage::Schema)
    }

    /// Counts the rows below a page. A table WITHOUT ROWID is an index, and its inner pages hold rows, too.
    fn count(&mut self, number: u32, depth: usize) -> Result<u64, Damage> {
        let page = self.page(number, depth)?;
        let damaged = Damage::Page { page: number };
        let Some((kind, cells)) = page.kind().zip(page.cells()) else {
            return Err(damaged);
        };
        let own = match kind {
            TABLE_LEAF | INDEX_LEAF => return Ok(cells.into()),
            TABLE_INTERIOR => 0,
            INDEX_INTERIOR => u64::from(cells),
            _ => return Err(damaged),
        };
        let mut count = own;
        for child in page.children(cells).ok_or(damaged)? {
            count += self.count(child, depth + 1)?;
        }
        Ok(count)
    }

    /// Collects the tables of the schema below a page.
    fn collect(
        &mut self,
        number: u32,
        depth: usize,
        tables: &mut Vec<(String, u32)>,
    ) -> Result<(), Damage> {
        let page = self.page(number, depth)?;
        let damaged = || Damage::Page { page: number };
        let cells = page.cells().ok_or_else(damaged)?;
        match page.kind() {
            Some(TABLE_INTERIOR) => {
                for child in page.children(cells).ok_or_else(damaged)? {
                    self.collect(child, depth + 1, tables)?;
                }
            }
            Some(TABLE_LEAF) => {
                // Cells do not overlap, so a small file can't contain a large schema.
                let mut used = 0;
                for cell in 0..cells {
                    let at = page.pointer(cell, 8).ok_or_else(damaged)?;
                    let (record, here) = self.record(&page, at)?;
                    used += here;
                    if used > page.bytes.len() {
                        return Err(damaged());
                    }
                    tables.extend(self.table(&record)?);
                }
            }
            _ => return Err(damaged()),
        }
        Ok(())
    }

    /// Reads a cell of a table's leaf: length, rowid, and the record, a part of which may be on other pages. Also
    /// returns how much of the page the cell uses.
    fn record(&mut self, page: &Page, at: usize) -> Result<(Vec<u8>, usize), Damage> {
        let damaged = || Damage::Page { page: page.number };
        let cell = page.bytes.get(at..).ok_or_else(damaged)?;
        let (length, after_length) = varint(cell).ok_or_else(damaged)?;
        let (_, after_rowid) = varint(&cell[after_length..]).ok_or_else(damaged)?;
        let length = usize::try_from(length).map_err(|_| damaged())?;
        let here = self.part_on_the_leaf(length);
        let start = after_length + after_rowid;
        let mut record = cell.get(start..start + here).ok_or_else(damaged)?.to_vec();
        let mut next = match here < length {
            true => u32_at(cell, start + here).ok_or_else(damaged)?,
            false => 0,
        };
        while record.len() < length {
            let overflow = self.page(next, 0)?;
            let usable = self.usable();
            let part = (length - record.len()).min(usable - 4);
            record.extend(overflow.bytes.get(4..4 + part).ok_or_else(damaged)?);
            next = u32_at(&overflow.bytes, 0).ok_or_else(damaged)?;
        }
        Ok((record, start + here))
    }

    fn usable(&self) -> usize {
        self.page_size as usize - usize::from(self.reserved)
    }

    /// Returns how much of a record is on the leaf of a table, by SQLite's rule.
    fn part_on_the_leaf(&self, length: usize) -> usize {
        let usable = self.usable();
        let most = usable - 35;
        if length <= most {
            return length;
        }
        let least = (usable - 12) * 32 / 255 - 23;
        let wanted = least + (length - least) % (usable - 4);
        if wanted <= most { wanted } else { least }
    }

    fn page(&mut self, number: u32, depth: usize) -> Result<Page, Damage> {
        if number == 0 || number > self.pages || depth > DEEPEST || self.left == 0 {
            return Err(Damage::Page { page: number });
        }
        self.left -= 1;
        let mut bytes = vec![0; self.page_size as usize];
        let start = u64::from(number - 1) * u64::from(self.page_size);
        self.file.seek(SeekFrom::Start(start))?;
        self.file.read_exact(&mut bytes)?;
        Ok(Page {
            number,
            bytes,
            start: if number == 1 { HEADER } else { 0 },
        })
    }
}

impl Page {
    fn kind(&self) -> Option<u8> {
        self.bytes.get(self.start).copied()
    }

    fn cells(&self) -> Option<u16> {
        u16_at(&self.bytes, self.start + 3)
    }

    /// Returns the start of a cell. Inner pages have a longer header than leaves.
    fn pointer(&self, cell: u16, header: usize) -> Option<usize> {
        u16_at(&self.bytes, self.start + header + 2 * usize::from(cell)).map(usize::from)
    }

    /// Returns the pages below an inner page. Each cell begins with one, and the last one is in the header.
    fn children(&self, cells: u16) -> Option<Vec<u32>> {
        let mut children = Vec::with_capacity(usize::from(cells) + 1);
        for cell in 0..cells {
            children.push(u32_at(&self.bytes, self.pointer(cell, 12)?)?);
        }
        children.push(u32_at(&self.bytes, self.start + 8)?);
        Some(children)
    }
}

/// A value of a record.
#[derive(Debug)]
struct Column<'a> {
    serial: u64,
    bytes: &'a [u8],
}

impl Column<'_> {
    /// Returns the bytes of text.
    fn bytes(&self) -> Option<&[u8]> {
        (self.serial >= 13 && self.serial % 2 == 1).then_some(self.bytes)
    }

    fn integer(&self) -> Option<i64> {
        match self.serial {
            8 => Some(0),
            9 => Some(1),
            1..=6 => {
                let negative = self.bytes.first().is_some_and(|byte| *byte >= 0x80);
                let first = if negative { -1 } else { 0 };
                let bytes = self.bytes.iter();
                Some(bytes.fold(first, |number, byte| (number << 8) | i64::from(*byte)))
            }
            _ => None,
        }
    }
}

fn columns(record: &[u8]) -> Option<Vec<Column<'_>>> {
    let (header, mut at) = varint(record)?;
    let header = usize::try_from(header).ok()?;
    let mut body = header;
    let mut columns = Vec::new();
    while at < header {
        let (serial, length) = varint(record.get(at..)?)?;
        at += length;
        let size = match serial {
            0 | 8 | 9 => 0,
            1..=4 => usize::try_from(serial).ok()?,
            5 => 6,
            6 | 7 => 8,
            _ => usize::try_from(serial.checked_sub(12)? / 2).ok()?,
        };
        let bytes = record.get(body..body.checked_add(size)?)?;
        columns.push(Column { serial, bytes });
        body += size;
    }
    Some(columns)
}

/// Reads a variable-length integer: seven bits per byte, the most significant first. The ninth byte has eight bits.
fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut number = 0;
    for (index, byte) in bytes.iter().take(9).enumerate() {
        if index == 8 {
            return Some(((number << 8) | u64::from(*byte), 9));
        }
        number = (number << 7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((number, index + 1));
        }
    }
    None
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes(bytes.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn varints() {
        assert_eq!(varint(&[0x7f]), Some((127, 1)));
        assert_eq!(varint(&[0x81, 0x00]), Some((128, 2)));
        assert_eq!(varint(&[0xff; 9]), Some((u64::MAX, 9)));
        assert_eq!(varint(&[0x81]), None);
    }

    #[test]
    fn integers_have_a_sign() {
        let column = |serial, bytes| Column { serial, bytes }.integer();
        assert_eq!(column(1, &[0xff]), Some(-1));
        assert_eq!(column(2, &[0x01, 0x00]), Some(256));
        assert_eq!(column(9, &[]), Some(1));
        assert_eq!(column(13, b""), None);
    }

    #[test]
    fn what_is_no_database_is_said() {
        let damage = |bytes: &[u8]| SqliteFile::open(Cursor::new(bytes.to_vec())).err();
        assert!(matches!(damage(b"SELECT 1"), Some(Damage::NoDatabase)));
        let mut header = [0; HEADER];
        header[..16].copy_from_slice(MAGIC);
        header[16] = 0x10;
        // The size is two pages of 4096 bytes.
        header[31] = 2;
        let cut_off = damage(&header);
        assert!(
            matches!(
                cut_off,
                Some(Damage::CutOff {
                    is: 100,
                    should: 8192
                })
            ),
            "{cut_off:?}"
        );
    }

    #[test]
    fn pages_that_lead_back_to_themselves_end() {
        let mut bytes = vec![0; 1024];
        bytes[..16].copy_from_slice(MAGIC);
        bytes[16] = 2;
        bytes[31] = 2;
        // This is an inner page with many children, all of which are page 1 again.
        bytes[HEADER] = TABLE_INTERIOR;
        bytes[HEADER + 4] = 100;
        bytes[HEADER + 11] = 1;
        bytes[503] = 1;
        for cell in 0..100 {
            let pointer = HEADER + 12 + 2 * cell;
            bytes[pointer..pointer + 2].copy_from_slice(&500_u16.to_be_bytes());
        }
        let rows = SqliteFile::open(Cursor::new(bytes)).and_then(|mut file| file.rows());
        assert!(matches!(rows, Err(Damage::Page { page: 1 })), "{rows:?}");
    }
}
