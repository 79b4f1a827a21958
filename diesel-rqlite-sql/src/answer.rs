//! Replaces expressions whose value the client knows: functions about the connection's last actions, and the `*` of
//! `RETURNING *`.

use crate::error::SqlError;
use crate::functions::{Classes, function_named};
use crate::parsed::{Form, Parsed, unquoted};
use crate::rewrite::Pin;
use crate::token::TokenKind;

impl Parsed<'_> {
    /// Returns the statement with each of these functions replaced by the text that `answer` returns. If `answer`
    /// returns `None`, the function stays. The names of the columns do not change. Returns `None` if there is nothing
    /// to replace. In a schema such a function is about the actions of a trigger.
    ///
    /// # Errors
    ///
    /// Returns the errors of `answer`.
    pub fn answered(
        &self,
        mut answer: impl FnMut(&'static str) -> Result<Option<String>, SqlError>,
    ) -> Result<Option<Parsed<'static>>, SqlError> {
        if self.form == Form::Schema || !self.classes.contains(Classes::CONNECTION) {
            return Ok(None);
        }
        let mut pins = Vec::new();
        for place in self.all() {
            let Some(function) = self.call_about_connection(place) else {
                continue;
            };
            let text = answer(function).map_err(|error| error.at(self.position()))?;
            let end = self.tokens[place + 2].range().end;
            pins.extend(text.map(|text| {
                (
                    place,
                    Pin {
                        range: self.tokens[place].range().start..end,
                        text,
                    },
                )
            }));
        }
        if pins.is_empty() {
            return Ok(None);
        }
        for item in self.parsed_items() {
            let is_in = |(place, _): &(usize, Pin)| item.value.contains(place);
            if !item.has_alias() && pins.iter().any(is_in) {
                let name = self.item_name(&item).replace('"', "\"\"");
                let last = item.value.end - 1;
                let end = self.tokens[last].range().end;
                pins.push((
                    last,
                    Pin {
                        range: end..end,
                        text: format!(" AS \"{name}\""),
                    },
                ));
            }
        }
        pins.sort_by_key(|(_, pin)| (pin.range.start, pin.range.end));
        let pins: Vec<_> = pins.into_iter().map(|(_, pin)| pin).collect();
        self.reread(&pins).map(Some)
    }

    /// Returns whether RETURNING is followed by `*`.
    pub fn returns_star(&self) -> bool {
        self.returns() && self.parsed_items().any(|item| item.is_star)
    }

    /// Returns the statement with these columns in place of the `*` after RETURNING. Returns `None` if there is no
    /// `*`, or no columns are given.
    pub fn with_returned(&self, columns: &[String]) -> Option<Parsed<'static>> {
        if columns.is_empty() || !self.returns() {
            return None;
        }
        let names = columns
            .iter()
            .map(|name| format!("\"{}\"", name.replace('"', "\"\"")));
        let text = names.collect::<Vec<_>>().join(", ");
        let stars = self
            .parsed_items()
            .filter(|item| item.is_star && item.value.len() == 1);
        let pins: Vec<_> = stars
            .map(|item| Pin {
                range: self.bytes(&item.value),
                text: text.clone(),
            })
            .collect();
        if pins.is_empty() {
            return None;
        }
        self.reread(&pins).ok()
    }

    /// Returns the function of this class that these tokens call: a name and two parentheses.
    fn call_about_connection(&self, place: usize) -> Option<&'static str> {
        let is_name = matches!(self.kind(place)?, TokenKind::Word | TokenKind::Quoted);
        let is_call = is_name
            && self.kind(place + 1) == Some(TokenKind::Open)
            && self.kind(place + 2) == Some(TokenKind::Close);
        let function = function_named(unquoted(self.at(place))).filter(|_| is_call)?;
        let is_of_connection = function.class.contains(Classes::CONNECTION);
        is_of_connection.then_some(function.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse;

    fn answered(sql: &str) -> Option<String> {
        let parsed = parse(sql).expect("parses").remove(0);
        let answer = |name: &'static str| Ok((name != "changes").then(|| "7".to_owned()));
        let answered = parsed.answered(answer).expect("answers");
        answered.map(Parsed::into_text)
    }

    #[test]
    fn functions_are_replaced_and_columns_keep_their_names() {
        for (sql, wanted) in [
            (
                "SELECT last_insert_rowid()",
                Some("SELECT 7 AS \"last_insert_rowid()\""),
            ),
            (
                "SELECT 1 + last_insert_rowid() AS a, ?",
                Some("SELECT 1 + 7 AS a, ?"),
            ),
            (
                "SELECT a FROM t WHERE b = \"Last_Insert_Rowid\" /* c */ ()",
                Some("SELECT a FROM t WHERE b = 7"),
            ),
            (
                "INSERT INTO t (a, b) VALUES (?1, last_insert_rowid()) RETURNING last_insert_rowid()",
                Some("INSERT INTO t (a, b) VALUES (?1, 7) RETURNING 7 AS \"last_insert_rowid()\""),
            ),
            ("SELECT changes()", None),
            ("SELECT last_insert_rowid", None),
            (
                "CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO u VALUES (last_insert_rowid()); END",
                None,
            ),
        ] {
            assert_eq!(answered(sql).as_deref(), wanted, "{sql}");
        }
    }

    #[test]
    fn stars_behind_returning_become_columns() {
        let columns = ["id".to_owned(), "a\"b".to_owned()];
        let with = |sql: &str| {
            let parsed = parse(sql).expect("parses").remove(0);
            parsed.with_returned(&columns).map(Parsed::into_text)
        };
        assert_eq!(
            with("DELETE FROM t WHERE a = ? RETURNING *, 1 * ?").as_deref(),
            Some("DELETE FROM t WHERE a = ? RETURNING \"id\", \"a\"\"b\", 1 * ?")
        );
        for sql in [
            "SELECT * FROM t",
            "DELETE FROM t RETURNING a",
            "DELETE FROM t RETURNING t.*",
        ] {
            assert_eq!(with(sql), None, "{sql}");
        }
    }
}
