//! Renders a batch insert as the fewest statements that SQLite accepts.
//!
//! SQLite has no DEFAULT keyword in VALUES, so rows that leave out different columns need separate statements. Also,
//! no statement may have more than 32,766 variables. The AST is walked once, and marks are set where rows begin and
//! end. Neighbouring rows with the same columns share a statement. Several statements are rendered as `BEGIN; …;
//! COMMIT;` with numbered placeholders, which is also what `debug_query` shows. The connection sends them as one
//! atomic request.

use std::fmt::Write as _;
use std::ops::Range;

use crate::bind_collector::MAX_VARIABLES;

/// Marks the start of the first row.
pub(super) const ROWS: &str = "\0rows";
/// Marks the start of a row's column names.
pub(super) const COLUMNS: &str = "\0columns";
/// Separates a row's column names from its values.
pub(super) const VALUES: &str = "\0values";
/// Marks the end of a row's values.
pub(super) const ROW_END: &str = "\0row end";
/// Marks a row in which every column has its default.
pub(super) const DEFAULT_ROW: &str = "\0default row";
/// Marks the end of the last row.
pub(super) const ROWS_END: &str = "\0rows end";

/// The marks of one batch in the SQL text built so far.
#[derive(Debug, Default)]
pub(super) struct Batch {
    prefix: usize,
    prefix_binds: usize,
    groups: Vec<Group>,
    suffix: usize,
    suffix_binds: usize,
    /// The start of the row under construction.
    row: usize,
    row_binds: usize,
}

/// Neighbouring rows with the same columns.
#[derive(Debug)]
struct Group {
    /// `(a, b) VALUES `, or all of `DEFAULT VALUES`.
    head: Range<usize>,
    rows: Vec<Row>,
}

#[derive(Clone, Debug)]
struct Row {
    sql: Range<usize>,
    binds: Range<usize>,
}

impl Batch {
    pub(super) fn mark(mark: &str, batch: &mut Option<Batch>, sql: &mut String, binds: usize) {
        let mark_of = |name: &str| name.trim_start_matches('\0') == mark;
        if mark_of(ROWS) && batch.is_none() {
            *batch = Some(Batch {
                prefix: sql.len(),
                prefix_binds: binds,
                ..Batch::default()
            });
            return;
        }
        match batch {
            Some(batch) if mark_of(COLUMNS) => {
                batch.row = sql.len();
                sql.push('(');
            }
            Some(batch) if mark_of(VALUES) => batch.values(sql, binds),
            Some(batch) if mark_of(ROW_END) => batch.row_end(sql, binds),
            Some(batch) if mark_of(DEFAULT_ROW) => batch.default_row(sql),
            Some(batch) if mark_of(ROWS_END) => {
                batch.suffix = sql.len();
                batch.suffix_binds = binds;
            }
            // This is not one of these marks. It is kept, so that the text is refused before it is sent.
            _ => {
                sql.push('\0');
                sql.push_str(mark);
            }
        }
    }

    fn values(&mut self, sql: &mut String, binds: usize) {
        sql.push_str(") VALUES ");
        let head = self.row..sql.len();
        match self.groups.last() {
            Some(group) if sql[group.head.clone()] == sql[head.clone()] => {
                sql.truncate(self.row);
                sql.push_str(", ");
            }
            _ => self.groups.push(Group {
                head,
                rows: Vec::new(),
            }),
        }
        self.row = sql.len();
        self.row_binds = binds;
        sql.push('(');
    }

    fn row_end(&mut self, sql: &mut String, binds: usize) {
        sql.push(')');
        if let Some(group) = self.groups.last_mut() {
            group.rows.push(Row {
                sql: self.row..sql.len(),
                binds: self.row_binds..binds,
            });
        }
    }

    fn default_row(&mut self, sql: &mut String) {
        let start = sql.len();
        sql.push_str("DEFAULT VALUES");
        self.groups.push(Group {
            head: start..sql.len(),
            rows: Vec::new(),
        });
    }

    /// Returns the final SQL. `placeholders` are the positions of the placeholders in the text.
    pub(super) fn finish(self, sql: String, binds: usize, placeholders: &[usize]) -> String {
        if self.groups.len() == 1 && binds <= MAX_VARIABLES {
            return sql;
        }
        let mut script = String::with_capacity(sql.len() + sql.len() / 2);
        script.push_str("BEGIN;\n");
        for group in &self.groups {
            for rows in self.chunks(group, binds) {
                let mut numbered = Numbered {
                    script: &mut script,
                    sql: &sql,
                    placeholders,
                };
                numbered.push(0..self.prefix);
                numbered.push(group.head.clone());
                for (index, row) in rows.iter().enumerate() {
                    numbered.script.push_str(if index == 0 { "" } else { ", " });
                    numbered.push(row.sql.clone());
                }
                numbered.push(self.suffix..sql.len());
                script.push_str(";\n");
            }
        }
        script.push_str("COMMIT;\n");
        script
    }

    /// Splits a group's rows so that no statement has too many variables.
    fn chunks<'a>(&self, group: &'a Group, binds: usize) -> Vec<&'a [Row]> {
        if group.rows.is_empty() {
            return vec![&[]];
        }
        let around = self.prefix_binds + (binds - self.suffix_binds);
        let room = MAX_VARIABLES.saturating_sub(around);
        let mut chunks = Vec::new();
        let (mut start, mut used) = (0, 0);
        for (index, row) in group.rows.iter().enumerate() {
            if used + row.binds.len() > room && index > start {
                chunks.push(&group.rows[start..index]);
                (start, used) = (index, 0);
            }
            used += row.binds.len();
        }
        chunks.push(&group.rows[start..]);
        chunks
    }
}

/// Writes `?` as `?N`, where N counts the values of the whole query.
struct Numbered<'a> {
    script: &'a mut String,
    sql: &'a str,
    /// The positions of the placeholders in the SQL.
    placeholders: &'a [usize],
}

impl Numbered<'_> {
    /// Appends a piece of the SQL. The number of values before it is that of the placeholders before it.
    fn push(&mut self, piece: Range<usize>) {
        let before = |at: usize| self.placeholders.partition_point(|place| *place < at);
        let (first, behind) = (before(piece.start), before(piece.end));
        let mut copied = piece.start;
        for (index, at) in self.placeholders[first..behind].iter().enumerate() {
            self.script.push_str(&self.sql[copied..*at]);
            // Writing to a String can't fail.
            let _ = write!(self.script, "?{}", first + index + 1);
            copied = at + 1;
        }
        self.script.push_str(&self.sql[copied..piece.end]);
    }
}
