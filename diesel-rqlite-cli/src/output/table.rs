//! Formats text in columns.

use std::fmt::{self, Display, Formatter};

use unicode_width::UnicodeWidthStr as _;

/// Rows below a line of names. Columns are as wide as their contents.
#[derive(Debug)]
pub struct Table {
    names: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Creates a table without rows.
    pub fn new(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Table {
            names: names
                .into_iter()
                .map(|name| one_line(&name.into()))
                .collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row with a value for each name.
    pub fn row(&mut self, values: impl IntoIterator<Item = impl Into<String>>) {
        let values = values.into_iter().map(|value| one_line(&value.into()));
        self.rows.push(values.collect());
    }

    fn widths(&self) -> Vec<usize> {
        let lines = self.rows.iter().chain([&self.names]);
        lines.fold(vec![0; self.names.len()], |widths, line| {
            let cells = line.iter().map(|cell| cell.width());
            widths
                .into_iter()
                .zip(cells)
                .map(|(one, other)| one.max(other))
                .collect()
        })
    }
}

/// Returns the text on one line. Control characters would break the lines or affect the terminal.
fn one_line(text: &str) -> String {
    let letters = text.chars();
    let letters = letters.map(|letter| match letter.is_control() {
        true => letter.escape_default().to_string(),
        false => letter.to_string(),
    });
    letters.collect()
}

impl Display for Table {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        let rule = widths.iter().map(|width| "-".repeat(*width)).collect();
        let lines = [&self.names, &rule].into_iter().chain(&self.rows);
        for (index, line) in lines.enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            let cells = line.iter().zip(&widths).map(|(cell, width)| {
                format!("{cell}{}", " ".repeat(width.saturating_sub(cell.width())))
            });
            let line: Vec<_> = cells.collect();
            formatter.write_str(line.join("  ").trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let mut table = Table::new(["a", "name"]);
        table.row(["1", "漢字"]);
        table.row(["100", "two\nlines\u{1b}[31m"]);
        let wanted = "\
a    name
---  --------------------
1    漢字
100  two\\nlines\\u{1b}[31m";
        assert_eq!(table.to_string(), wanted);
    }
}
