//! The command `query`.

use std::io::Read as _;

use clap::Args;
use diesel::connection::{Connection as _, LoadConnection as _};
use diesel::row::{Field as _, Row as _};
use diesel_rqlite::{RqliteConnection, RqliteRow, RqliteType, RqliteValue};
use diesel_rqlite_sql::{Form, Parsed, Statements};

use crate::common::Common;
use crate::error::Error;
use crate::output::table::Table;
use crate::transfer::plural;
use crate::{database, output};

/// Runs SQL and shows its rows.
///
/// Reads are as fresh as the `level` in the database URL says. Several statements are run one after the other, each by
/// itself. NULL, numbers, text and BLOBs are shown as they are stored; a BLOB as x'00ff'.
#[derive(Args, Debug)]
pub struct Query {
    /// The SQL; - reads it from the standard input.
    sql: String,

    /// Print the rows as JSON: an array of objects for each statement with rows. A BLOB is text like x'00ff'.
    #[arg(long)]
    json: bool,
}

impl Query {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// Returns the errors of the server.
    pub fn run(self, common: &Common) -> Result<(), Error> {
        let sql = match self.sql.as_str() {
            "-" => from_standard_input()?,
            _ => self.sql,
        };
        let mut statements = Statements::new(sql.as_bytes());
        let mut connection = database::connect(common)?;
        while let Some(statement) = statements.next_statement()? {
            if returns_rows(&statement) {
                show(&rows(&mut connection, statement.text())?, self.json)?;
            } else {
                let query = diesel::sql_query(statement.text());
                let changed = connection.execute_returning_count(&query)?;
                let changed = plural(changed as u64, "row");
                // On the standard error, the count does not mix with the rows of a script.
                output::note(format_args!("{changed} changed"));
            }
        }
        Ok(())
    }
}

fn from_standard_input() -> Result<String, Error> {
    let mut sql = String::new();
    let read = std::io::stdin().read_to_string(&mut sql);
    read.map_err(|error| Error::io("-", error))?;
    Ok(sql)
}

fn returns_rows(parsed: &Parsed<'_>) -> bool {
    matches!(parsed.form(), Form::Select | Form::Explain | Form::Pragma) || parsed.returns()
}

fn rows(connection: &mut RqliteConnection, sql: &str) -> Result<Vec<RqliteRow>, Error> {
    let cursor = connection.load(diesel::sql_query(sql))?;
    Ok(cursor.collect::<Result<_, _>>()?)
}

fn show(rows: &[RqliteRow], json: bool) -> Result<(), Error> {
    if json {
        let lines: Vec<_> = rows.iter().map(object).collect::<Result<_, _>>()?;
        return match lines.is_empty() {
            true => output::line("[]"),
            false => output::line(format_args!("[{}]", lines.join(",\n"))),
        };
    }
    if let Some(first) = rows.first() {
        let mut table = Table::new(names(first));
        for row in rows {
            table.row(values(row, text)?);
        }
        output::line(table)?;
    }
    output::note(plural(rows.len() as u64, "row"));
    Ok(())
}

fn names(row: &RqliteRow) -> Vec<String> {
    let fields = (0..row.field_count()).filter_map(|index| row.get(index));
    let names = fields.map(|field| field.field_name().unwrap_or_default().to_owned());
    names.collect()
}

fn values(
    row: &RqliteRow,
    shown: impl Fn(Option<RqliteValue<'_>>) -> diesel::deserialize::Result<String>,
) -> Result<Vec<String>, Error> {
    let fields = (0..row.field_count()).filter_map(|index| row.get(index));
    let values = fields.map(|field| shown(field.value()));
    let values: diesel::deserialize::Result<_> = values.collect();
    values.map_err(|error| diesel::result::Error::DeserializationError(error).into())
}

fn text(value: Option<RqliteValue<'_>>) -> diesel::deserialize::Result<String> {
    let Some(mut value) = value else {
        return Ok(String::from("NULL"));
    };
    Ok(match value.value_type() {
        Some(RqliteType::Binary) => blob(value.read_blob()?),
        _ => value.read_text()?.to_owned(),
    })
}

/// Formats a row as a JSON object in the order of the columns. A map would lose that order.
fn object(row: &RqliteRow) -> Result<String, Error> {
    let values = values(row, json)?;
    let members = names(row).into_iter().zip(values);
    let members = members.map(|(name, value)| format!("{}:{value}", string(&name)));
    Ok(format!("{{{}}}", members.collect::<Vec<_>>().join(",")))
}

fn json(value: Option<RqliteValue<'_>>) -> diesel::deserialize::Result<String> {
    let Some(mut value) = value else {
        return Ok(String::from("null"));
    };
    Ok(match value.value_type() {
        Some(RqliteType::Long) => value.read_long()?.to_string(),
        // JSON has no infinity.
        Some(RqliteType::Double) => match serde_json::Number::from_f64(value.read_double()?) {
            Some(number) => number.to_string(),
            None => string(value.read_text()?),
        },
        Some(RqliteType::Binary) => string(&blob(value.read_blob()?)),
        _ => string(value.read_text()?),
    })
}

fn string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn blob(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("x'{digits}'")
}

#[cfg(test)]
mod tests {
    use diesel_rqlite_sql::parse;

    use super::*;

    #[test]
    fn what_returns_rows() {
        for sql in [
            " select 1",
            "VALUES (1)",
            "WITH a AS (SELECT 'insert') SELECT * FROM a",
            "INSERT INTO t VALUES (1) RETURNING a",
            "EXPLAIN DELETE FROM t",
        ] {
            assert!(returns_rows(&parse(sql).expect("parses")[0]), "{sql}");
        }
        for sql in [
            "INSERT INTO t VALUES ('returning')",
            "WITH a AS (SELECT 1) DELETE FROM t",
            "CREATE TABLE \"select\" (a)",
        ] {
            assert!(!returns_rows(&parse(sql).expect("parses")[0]), "{sql}");
        }
    }
}
