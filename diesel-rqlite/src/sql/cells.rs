//! Rows as text: the result of a query, written in a form that a later request can compare.
//!
//! A transaction must know at its commit whether its reads are still true. A single row may be compared by its values,
//! see [`compared`](super::compared). Any other row is read as one text, made by SQL, from which the client takes the
//! values. The guard in the commit makes the same text again and compares it. Each cell marks its own end, so that rows
//! can be concatenated:
//!
//! | stored | cell |
//! |---|---|
//! | NULL | `n` |
//! | INTEGER, or a REAL that is one | `i42,` |
//! | REAL | `r0:1/2305843009213693952,`: 1 + 2305843009213693952 / 2^62, times 2^(-62 · 0) |
//! | TEXT | `t5:hello`, its length in bytes; or in hexadecimal `h68656C6C6F,` |
//! | BLOB | `b00FF,` |
//!
//! No text that SQLite itself makes of a REAL may be compared. It differs between versions, so a guard could pass on
//! one replica and fail on another, and their databases would differ from then on.
//!
//! There are two writers of cells, which must agree to the last byte: [`row`] makes SQL that writes them on the server,
//! and [`row_text`] writes them on the client, from values that came in another form. [`decode`] reads both. The flow
//! for a read is: [`query`] asks for the texts, [`decode`] makes values of them, [`expected`] joins them, and [`guard`]
//! compares them at the commit.
//!
//! Invariants:
//!
//! * Different values have different cells, with two exceptions: a whole REAL has the cell of the INTEGER of the same
//!   value, and [`TextCell::Counted`] does not tell apart texts that are not UTF-8.
//! * A cell consists of integers, hexadecimal digits and stored text, which all versions of SQLite write alike.
//! * A value of a class that a guard does not spell out becomes `x`, which no cell begins with. So the guard fails.

use std::fmt::Write as _;

use super::fails_unless;
use super::results::SUBQUERY;
use crate::hex;
use crate::protocol::rows::{Rows, Value, whole};

pub(crate) use crate::protocol::message::GUARD;

/// 2^62. A REAL multiplied or divided by a power of two is exact.
const SCALE: f64 = 4_611_686_018_427_387_904.0;

/// The form in which text is written.
///
/// Both forms may be compared, but only with texts of the same form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextCell {
    /// With its length. Not exact if the text is not UTF-8.
    Counted,
    /// As hexadecimal digits. Exact for all bytes, and longer.
    Hex,
}

/// The storage classes of a column's values. A guard spells out only those; a value of any other class yields another
/// text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Classes {
    integer: bool,
    real: bool,
    text: bool,
    blob: bool,
}

impl Classes {
    pub(crate) const ALL: Classes = Classes {
        integer: true,
        real: true,
        text: true,
        blob: true,
    };

    /// Adds the class of a value. `is_text` tells that bytes are those of a text that is not UTF-8.
    fn see(&mut self, value: Option<Value<'_>>, is_text: bool) {
        match value {
            None => {}
            Some(_) if is_text => self.text = true,
            Some(Value::Integer(_)) => self.integer = true,
            Some(Value::Real(_)) => self.real = true,
            Some(Value::Text(_)) => self.text = true,
            Some(Value::Binary(_)) => self.blob = true,
        }
    }

    /// Returns the classes of each column.
    ///
    /// A column of NULLs only has no class.
    pub(crate) fn of(rows: &Rows) -> Vec<Classes> {
        let mut classes = vec![Classes::default(); rows.width()];
        for row in 0..rows.len() {
            for (column, seen) in classes.iter_mut().enumerate() {
                seen.see(rows.value(row, column), rows.is_text(row, column));
            }
        }
        classes
    }
}

/// Returns the expression for one row of these values, as one text.
///
/// `values` are SQL expressions. They are written several times, so they must yield the same value each time.
pub(crate) fn row(values: &[(String, Classes)], text: TextCell) -> String {
    match values {
        [] => "''".to_owned(),
        [(value, classes)] => cell(value, *classes, text),
        // SQLite limits the depth of an expression, not its length, so the values are split into halves.
        several => {
            let (left, right) = several.split_at(several.len() / 2);
            format!("({}||{})", row(left, text), row(right, text))
        }
    }
}

/// Returns the expression for one cell. A whole REAL is written like an INTEGER, so both classes need the branch for
/// it. NULL needs no class.
pub(super) fn cell(value: &str, classes: Classes, text: TextCell) -> String {
    let mut sql = format!("CASE typeof({value}) WHEN 'null' THEN 'n'");
    // Writing to a String can't fail.
    if classes.integer {
        let _ = write!(sql, " WHEN 'integer' THEN 'i'||{value}||','");
    }
    if classes.integer || classes.real {
        let _ = write!(
            sql,
            " WHEN 'real' THEN CASE WHEN CAST({value} AS INTEGER)={value} THEN 'i'||CAST({value} AS INTEGER)||','"
        );
        if classes.real {
            let _ = write!(sql, " {}", real(value));
        }
        sql.push_str(" ELSE 'x' END");
    }
    if classes.text {
        let _ = match text {
            TextCell::Counted => {
                write!(
                    sql,
                    " WHEN 'text' THEN 't'||octet_length({value})||':'||{value}"
                )
            }
            TextCell::Hex => write!(sql, " WHEN 'text' THEN 'h'||hex({value})||','"),
        };
    }
    if classes.blob {
        let _ = write!(sql, " WHEN 'blob' THEN 'b'||hex({value})||','");
    }
    sql.push_str(" ELSE 'x' END");
    sql
}

/// Returns the expression for a REAL. It uses only operations that are exact for a double: to multiply by powers of
/// two, to take the whole part, and to subtract it.
///
/// Numbers of a usual size are written directly. Others are scaled by 2^62 until they have that size, by a recursive
/// query whose last row is taken; its number of steps is the exponent. [`push_real`] does the same on the client.
fn real(value: &str) -> String {
    let parts = |value: &str| {
        format!(
            "CAST({value} AS INTEGER)||'/'||CAST(({value}-CAST({value} AS INTEGER))*(1<<62) AS INTEGER)||','"
        )
    };
    format!(
        "WHEN {value}=9e999 THEN 'rInf,' WHEN {value}=-9e999 THEN 'r-Inf,' \
         WHEN abs({value})*1024>=1 AND abs({value})<(1<<62) THEN 'r0:'||{} \
         WHEN 1 THEN (WITH RECURSIVE z(v,e) AS (SELECT {value},0 UNION ALL \
         SELECT CASE WHEN abs(v)<1 THEN v*(1<<62) ELSE v/(1<<62) END,e+CASE WHEN abs(v)<1 THEN 1 ELSE -1 END FROM z \
         WHERE abs(v)>=(1<<62) OR abs(v)*1024<1) SELECT 'r'||e||':'||{} FROM z ORDER BY abs(e) DESC LIMIT 1)",
        parts(value),
        parts("v")
    )
}

/// Appends a REAL as `cell` writes it.
fn push_real(text: &mut String, real: f64) {
    if real.is_infinite() {
        text.push_str(if real > 0.0 { "rInf," } else { "r-Inf," });
        return;
    }
    let (mut scaled, mut exponent) = (real, 0);
    while scaled.abs() >= SCALE {
        scaled /= SCALE;
        exponent -= 1;
    }
    while scaled.abs() * 1024.0 < 1.0 {
        scaled *= SCALE;
        exponent += 1;
    }
    let fraction = (scaled - scaled.trunc()) * SCALE;
    // Both have at most 63 bits by now.
    #[allow(clippy::cast_possible_truncation)]
    let (whole, fraction) = (scaled as i64, fraction as i64);
    let _ = write!(text, "r{exponent}:{whole}/{fraction},");
}

/// Returns a row of the wanted columns as [`row`] writes it, with text in hexadecimal, from values that came in another
/// form.
///
/// Columns that are not `wanted` are left out.
pub(crate) fn row_text(rows: &Rows, row: usize, wanted: impl Fn(usize) -> bool) -> String {
    let mut text = String::new();
    for column in (0..rows.width()).filter(|column| wanted(*column)) {
        match rows.value(row, column) {
            None => text.push('n'),
            Some(Value::Integer(value)) => {
                let _ = write!(text, "i{value},");
            }
            Some(Value::Real(value)) => match whole(value) {
                Some(integer) => {
                    let _ = write!(text, "i{integer},");
                }
                None => push_real(&mut text, value),
            },
            Some(Value::Text(value)) => push_hex(&mut text, 'h', value.as_bytes()),
            Some(Value::Binary(value)) => {
                let tag = if rows.is_text(row, column) { 'h' } else { 'b' };
                push_hex(&mut text, tag, value);
            }
        }
    }
    text
}

fn push_hex(text: &mut String, tag: char, bytes: &[u8]) {
    text.push(tag);
    hex::push_str(text, bytes);
    text.push(',');
}

/// Returns the values of rows that came as one text each. Returns `None` if the texts are not what [`row`] writes.
///
/// `names` has the name of each column, and so tells the width. The rows have neither encodings nor doubtful values: a
/// cell is exact.
pub(crate) fn decode<'t>(texts: impl Iterator<Item = &'t str>, names: Vec<String>) -> Option<Rows> {
    let width = names.len();
    let mut rows = Rows::named(names);
    for text in texts {
        let mut left = text;
        for _ in 0..width {
            left = decode_cell(left, &mut rows)?;
        }
        if !left.is_empty() {
            return None;
        }
        rows.end_row();
    }
    Some(rows)
}

/// Takes one cell from the start of the text, and returns the rest.
///
/// Adds the value to the row under construction. Returns `None` if it is not a cell.
fn decode_cell<'t>(text: &'t str, rows: &mut Rows) -> Option<&'t str> {
    let mut characters = text.chars();
    let tag = characters.next()?;
    let rest = characters.as_str();
    if tag == 'n' {
        rows.push(None);
        return Some(rest);
    }
    if tag == 't' {
        let (length, rest) = rest.split_once(':')?;
        let (value, rest) = rest.split_at_checked(length.parse().ok()?)?;
        rows.push(Some(Value::Text(value)));
        return Some(rest);
    }
    let (body, rest) = rest.split_once(',')?;
    match tag {
        'i' => rows.push(Some(Value::Integer(body.parse().ok()?))),
        'r' => rows.push(Some(Value::Real(decode_real(body)?))),
        'h' => rows.push_hex_text(body)?,
        'b' => rows.push_hex_blob(body)?,
        _ => return None,
    }
    Some(rest)
}

/// Reads a REAL from its cell, without tag and comma. The exponent is limited, so that an answer can't keep the client
/// busy.
fn decode_real(body: &str) -> Option<f64> {
    match body {
        "Inf" => return Some(f64::INFINITY),
        "-Inf" => return Some(f64::NEG_INFINITY),
        _ => {}
    }
    let (exponent, parts) = body.split_once(':')?;
    let (whole, fraction) = parts.split_once('/')?;
    let exponent: i32 = exponent.parse().ok()?;
    let (whole, fraction): (i64, i64) = (whole.parse().ok()?, fraction.parse().ok()?);
    // This is exact: neither has more bits than the double that it was taken from.
    #[allow(clippy::cast_precision_loss)]
    let mut value = whole as f64 + fraction as f64 / SCALE;
    for _ in 0..exponent.unsigned_abs().min(40) {
        value = if exponent > 0 {
            value / SCALE
        } else {
            value * SCALE
        };
    }
    Some(value)
}

/// Returns the columns of the subquery, with their classes.
pub(crate) fn columns(classes: &[Classes]) -> Vec<(String, Classes)> {
    let columns = classes.iter().enumerate();
    columns
        .map(|(index, classes)| (format!("c{index}"), *classes))
        .collect()
}

/// Returns `WITH …(c0,c1) AS MATERIALIZED (query) `. It keeps the order of the rows, and evaluates each value once.
///
/// `query` is put in parentheses, so it must not end with a comment or a semicolon.
pub(super) fn with(query: &str, width: usize) -> String {
    let mut sql = format!("WITH {SUBQUERY}(");
    for index in 0..width {
        let _ = write!(sql, "{}c{index}", if index == 0 { "" } else { "," });
    }
    let _ = write!(sql, ") AS MATERIALIZED ({query}) ");
    sql
}

/// Returns a query that yields each row as one text.
///
/// The names of the columns are lost, so the caller has to know them.
pub(crate) fn query(query: &str, width: usize, text: TextCell) -> String {
    let row = row(&columns(&vec![Classes::ALL; width]), text);
    format!("{}SELECT {row} FROM {SUBQUERY}", with(query, width))
}

/// Returns a query with some of its columns as cells, one for each value, with text in hexadecimal.
///
/// Returns the columns in their order, with names `c0`, `c1` and so on. [`decode_some`] reads them.
pub(crate) fn query_with_some(
    query: &str,
    width: usize,
    is_cell: impl Fn(usize) -> bool,
) -> String {
    let values = (0..width).map(|column| {
        let name = format!("c{column}");
        let value = match is_cell(column) {
            true => cell(&name, Classes::ALL, TextCell::Hex),
            false => name.clone(),
        };
        // Without a name, the expression would come back as the name of the column.
        format!("{value} {name}")
    });
    let values: Vec<_> = values.collect();
    format!(
        "{}SELECT {} FROM {SUBQUERY}",
        with(query, width),
        values.join(",")
    )
}

/// Returns the same rows, with the cells decoded. Returns `None` if they are not cells.
///
/// `is_cell` must be the one of [`query_with_some`]. Values of the other columns are taken over as they are.
pub(crate) fn decode_some(
    rows: &Rows,
    is_cell: impl Fn(usize) -> bool,
    names: Vec<String>,
) -> Option<Rows> {
    let mut decoded = Rows::named(names);
    for row in 0..rows.len() {
        for column in 0..rows.width() {
            match rows.value(row, column) {
                Some(Value::Text(cell)) if is_cell(column) => {
                    if !decode_cell(cell, &mut decoded)?.is_empty() {
                        return None;
                    }
                }
                _ if is_cell(column) => return None,
                value => decoded.push(value),
            }
        }
        decoded.end_row();
    }
    Some(decoded)
}

/// Returns the statement that fails unless a query returns these rows, or the SQL condition `unless` holds. `expected`
/// stands for their [`expected`] text.
///
/// `columns` are those that are compared, and may be fewer than `width`. If the rows are not `ordered`, their texts are
/// sorted before they are joined, by bytes. `unless` is empty, or begins with ` OR `.
pub(crate) fn guard(
    query: &str,
    width: usize,
    columns: &[(String, Classes)],
    text: TextCell,
    ordered: bool,
    expected: &str,
    unless: &str,
) -> String {
    let row = row(columns, text);
    let order = if ordered { "" } else { " ORDER BY s" };
    let texts = format!(
        "SELECT coalesce(group_concat(s,''{order}),'') FROM (SELECT {row} AS s FROM {SUBQUERY})"
    );
    let guard = fails_unless(&format!("({texts})={expected}{unless}"), "rows");
    format!("{}{guard}", with(query, width))
}

/// Returns the texts of all rows, concatenated as in a guard.
///
/// Sorts by bytes, as SQLite does in [`guard`].
pub(crate) fn expected(mut texts: Vec<&str>, ordered: bool) -> String {
    if !ordered {
        texts.sort_unstable();
    }
    texts.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reals_are_taken_apart_exactly() {
        for real in [
            0.1,
            -0.1,
            1.5,
            -2.75,
            1e300,
            -1e-300,
            f64::MAX,
            f64::MIN_POSITIVE,
            5e-324,
            1e19,
            9.3e18,
            0.0009765624,
            f64::INFINITY,
            f64::NEG_INFINITY,
            1.0 / 3.0,
            123_456_789.123_456_79,
        ] {
            let mut text = String::new();
            push_real(&mut text, real);
            let body = text
                .strip_prefix('r')
                .and_then(|text| text.strip_suffix(','));
            assert_eq!(body.and_then(decode_real), Some(real), "{text}");
        }
    }

    #[test]
    fn cells_are_read_back() {
        let names = ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
        let rows = decode(
            ["ni-5,t3:a,bhC3A9,b00FF,", "r0:1/2305843009213693952,nnnn"].into_iter(),
            names,
        )
        .expect("decodes");
        assert_eq!(rows.len(), 2);
        assert_eq!(rows.value(0, 0), None);
        assert_eq!(rows.value(0, 1), Some(Value::Integer(-5)));
        assert_eq!(rows.value(0, 2), Some(Value::Text("a,b")));
        assert_eq!(rows.value(0, 3), Some(Value::Text("é")));
        assert_eq!(rows.value(0, 4), Some(Value::Binary(&[0, 255])));
        assert_eq!(rows.value(1, 0), Some(Value::Real(1.5)));
        assert_eq!(row_text(&rows, 0, |_| true), "ni-5,h612C62,hC3A9,b00FF,");
    }

    #[test]
    fn what_is_no_cell_is_not_read() {
        for text in [
            "", "q", "i", "i1", "ix,", "t5:abc", "t1:é", "b0,", "bzz,", "r1,", "r:1/2,", "i1,n",
            "t-1:",
        ] {
            assert!(
                decode([text].into_iter(), vec!["a".to_owned()]).is_none(),
                "{text}"
            );
        }
    }

    #[test]
    fn unordered_rows_are_compared_as_a_multiset() {
        assert_eq!(expected(vec!["i2,", "i1,", "i2,"], false), "i1,i2,i2,");
        assert_eq!(expected(vec!["i2,", "i1,"], true), "i2,i1,");
    }
}
