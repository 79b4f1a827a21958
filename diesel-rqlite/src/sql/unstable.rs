//! What in the schema has another value on each node.
//!
//! A default that is a time or random, or a trigger that writes one, is evaluated by every node for itself. A guard
//! over such a value would pass on the leader and fail elsewhere, and that node would lose the commit. So these
//! values are shown to a transaction, but not compared.

use std::collections::HashSet;
use std::ops::Range;

use super::scan::unquoted;
use super::tokens::{Token, TokenKind, Tokens};
use super::volatile;
use crate::protocol::rows::{Rows, Value};

/// Asks for what [`Unstable::of`] understands: defaults that are no literals, triggers and views.
pub(crate) const QUERY: &str = "SELECT lower(i.name), lower(m.name), i.dflt_value FROM sqlite_master m, \
     pragma_table_info(m.name) i WHERE m.type = 'table' AND m.sql LIKE '%default%' AND \
     (i.dflt_value LIKE '%(%' OR i.dflt_value LIKE 'current_%') UNION ALL \
     SELECT '', lower(name), CASE type WHEN 'trigger' THEN sql END FROM sqlite_master WHERE type IN ('trigger', 'view')";

/// See the module. All names are in lower case.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Unstable {
    columns: Vec<(String, String)>,
    /// All columns of these.
    tables: HashSet<String>,
    views: HashSet<String>,
    /// No telling what.
    everything: bool,
}

/// What of a query's rows may be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Comparable {
    All,
    /// The columns that are `true`.
    Some(Vec<bool>),
    Nothing,
}

impl Unstable {
    /// From the rows of [`QUERY`].
    pub(crate) fn of(rows: &Rows) -> Self {
        let mut unstable = Unstable::default();
        let text = |row, column| match rows.value(row, column) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        };
        for row in 0..rows.len() {
            match (text(row, 0), text(row, 1), text(row, 2)) {
                (Some(""), Some(_), Some(trigger)) => unstable.trigger(trigger),
                (Some(""), Some(view), None) => {
                    unstable.views.insert(view.to_owned());
                }
                (Some(column), Some(table), Some(default)) if is_volatile(default) => {
                    unstable.columns.push((table.to_owned(), column.to_owned()));
                }
                _ => {}
            }
        }
        unstable
    }

    /// What a trigger writes that is volatile.
    fn trigger(&mut self, sql: &str) {
        let found = volatile::find(sql).values;
        if found.is_empty() {
            return;
        }
        let tokens: Vec<_> = Tokens::new(sql).map_while(Result::ok).collect();
        let mut writes = Writes::default();
        for (place, token) in tokens.iter().enumerate() {
            writes.token(sql, &tokens, place);
            // An implicit `now` stands between two tokens.
            let here = |range: &Range<usize>| {
                range.start == token.range.start || token.range.contains(&range.start)
            };
            if found.iter().any(|(range, _)| here(range)) {
                match (&writes.table, &writes.column) {
                    (Some(table), Some(column)) => {
                        self.columns.push((table.clone(), column.clone()));
                    }
                    (Some(table), None) => {
                        self.tables.insert(table.clone());
                    }
                    (None, _) => self.everything = true,
                }
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.columns.is_empty() && self.tables.is_empty() && !self.everything
    }

    /// What of a query may be compared, given where its own expressions stand in it, and the names of its columns.
    pub(crate) fn comparable(
        &self,
        sql: &str,
        items: &[Range<usize>],
        names: &[String],
    ) -> Comparable {
        if self.is_empty() {
            return Comparable::All;
        }
        let all = Words::of(sql, |_| true);
        if self.everything || all.any(&self.tables) || all.any(&self.views) {
            return Comparable::Nothing;
        }
        let columns = self.columns.iter();
        let columns: HashSet<_> = columns
            .filter(|(table, _)| all.0.contains(table))
            .map(|(_, column)| column.clone())
            .collect();
        if columns.is_empty() {
            return Comparable::All;
        }
        let of_item = |token: &Token| items.iter().any(|item| item.contains(&token.range.start));
        let rest = Words::of(sql, |token| !of_item(token));
        if rest.any(&columns) || has_star(sql, |token| !of_item(token)) {
            return Comparable::Nothing;
        }
        let by_item = items.len() == names.len() && !has_star(sql, of_item);
        let compared = names.iter().enumerate().map(|(place, name)| {
            if by_item {
                let item = &items[place];
                !Words::of(sql, |token| item.contains(&token.range.start)).any(&columns)
            } else {
                !columns.contains(&name.to_lowercase())
            }
        });
        let compared: Vec<_> = compared.collect();
        if compared.iter().all(|compared| *compared) {
            Comparable::All
        } else {
            Comparable::Some(compared)
        }
    }

    /// Whether an expression behind RETURNING may be compared. `sql` is the statement.
    pub(crate) fn is_comparable(&self, sql: &str, expression: &str) -> bool {
        if self.is_empty() {
            return true;
        }
        let tables = Words::of(sql, |_| true);
        let words = Words::of(expression, |_| true);
        let is_of = |(table, column): &(String, String)| {
            tables.0.contains(table) && words.0.contains(column)
        };
        !self.everything
            && !tables.any(&self.tables)
            && !tables.any(&self.views)
            && !self.columns.iter().any(is_of)
    }

    /// Whether the number of rows that a write finds may be another one elsewhere.
    pub(crate) fn decides_about(&self, sql: &str) -> bool {
        if self.is_empty() {
            return false;
        }
        let tokens: Vec<_> = Tokens::new(sql).map_while(Result::ok).collect();
        let is = |token: &Token, word: &str| sql[token.range.clone()].eq_ignore_ascii_case(word);
        let selects = tokens.iter().any(|token| is(token, "SELECT"));
        let inserts = ["INSERT", "REPLACE"]
            .iter()
            .any(|verb| tokens.first().is_some_and(|token| is(token, verb)));
        if inserts && !selects {
            return false;
        }
        let condition = tokens.iter().find(|token| is(token, "WHERE"));
        let table = tokens.iter().take_while(|token| !is(token, "SET"));
        let table = table.last().map_or(0, |token| token.range.end);
        let decides = |token: &Token| {
            selects
                || token.range.start < table
                || condition.is_some_and(|condition| token.range.start > condition.range.start)
        };
        let words = Words::of(sql, decides);
        let of_table = |(table, column): &(String, String)| {
            words.0.contains(table) && words.0.contains(column)
        };
        self.everything
            || words.any(&self.views)
            || (condition.is_some() || selects) && words.any(&self.tables)
            || self.columns.iter().any(of_table)
    }
}

/// Where in a trigger's body a token stands.
#[derive(Default)]
struct Writes {
    table: Option<String>,
    column: Option<String>,
    sets: bool,
}

impl Writes {
    fn token(&mut self, sql: &str, tokens: &[Token], place: usize) {
        let text = |place: usize| {
            tokens
                .get(place)
                .map_or("", |token| &sql[token.range.clone()])
        };
        let is = |place: usize, word: &str| text(place).eq_ignore_ascii_case(word);
        let name = |place: usize| unquoted(text(place)).to_lowercase();
        match tokens[place].kind {
            TokenKind::Semicolon => *self = Writes::default(),
            TokenKind::Word if is(place, "INTO") => self.table = Some(name(place + 1)),
            TokenKind::Word
                if is(place, "UPDATE") && !is(place + 1, "ON") && !is(place + 1, "OF") =>
            {
                let or = if is(place + 1, "OR") { 2 } else { 0 };
                if self.table.is_none() && !is(place + 1, "SET") {
                    self.table = Some(name(place + 1 + or));
                }
            }
            TokenKind::Word if is(place, "SET") => self.sets = true,
            TokenKind::Word if is(place, "WHERE") => (self.sets, self.column) = (false, None),
            TokenKind::Operator if is(place, "=") && self.sets && place > 0 => {
                self.column = Some(name(place - 1));
            }
            _ => {}
        }
    }
}

/// The names in a text, in lower case and without quotes.
struct Words(HashSet<String>);

impl Words {
    fn of(sql: &str, wanted: impl Fn(&Token) -> bool) -> Self {
        let tokens = Tokens::new(sql).map_while(Result::ok);
        let names = tokens
            .filter(|token| matches!(token.kind, TokenKind::Word | TokenKind::Quoted))
            .filter(wanted)
            .map(|token| unquoted(&sql[token.range]).to_lowercase());
        Words(names.collect())
    }

    fn any(&self, names: &HashSet<String>) -> bool {
        names.iter().any(|name| self.0.contains(name))
    }
}

/// Whether a `*` stands for columns: not `count(*)`, but also any product.
fn has_star(sql: &str, wanted: impl Fn(&Token) -> bool) -> bool {
    let mut before = "";
    for token in Tokens::new(sql).map_while(Result::ok) {
        let text = &sql[token.range.clone()];
        if text == "*" && before != "(" && wanted(&token) {
            return true;
        }
        before = text;
    }
    false
}

fn is_volatile(default: &str) -> bool {
    !volatile::find(default).values.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::scan::scan_one;

    fn column(table: &str, column: &str) -> (String, String) {
        (table.to_owned(), column.to_owned())
    }

    fn unstable() -> Unstable {
        Unstable {
            columns: vec![column("posts", "at")],
            tables: HashSet::from(["log".to_owned()]),
            views: HashSet::from(["recent".to_owned()]),
            everything: false,
        }
    }

    fn comparable(sql: &str, names: &[&str]) -> Comparable {
        let scanned = scan_one(sql).expect("scans");
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        unstable().comparable(sql, &scanned.items, &names)
    }

    #[test]
    fn columns_that_differ_between_nodes_are_left_out() {
        let some = |compared: &[bool]| Comparable::Some(compared.to_vec());
        assert_eq!(
            comparable("SELECT id, \"At\" FROM posts", &["id", "at"]),
            some(&[true, false])
        );
        assert_eq!(
            comparable("SELECT * FROM Posts", &["id", "at"]),
            some(&[true, false])
        );
        assert_eq!(
            comparable("SELECT id, date(at) FROM posts WHERE id = 1", &["id", "d"]),
            some(&[true, false])
        );
        assert_eq!(comparable("SELECT id FROM posts", &["id"]), Comparable::All);
        assert_eq!(comparable("SELECT at FROM other", &["at"]), Comparable::All);
        assert_eq!(
            comparable("SELECT count(*) FROM posts", &["c"]),
            Comparable::All
        );
    }

    #[test]
    fn what_depends_on_them_is_not_compared_at_all() {
        for sql in [
            "SELECT id FROM posts ORDER BY at",
            "SELECT id FROM posts WHERE at > 1",
            "SELECT count(*) FROM (SELECT DISTINCT * FROM posts)",
            "SELECT a FROM log",
            "SELECT a FROM Recent",
        ] {
            assert_eq!(comparable(sql, &["x"]), Comparable::Nothing, "{sql}");
        }
    }

    #[test]
    fn triggers_that_write_what_differs() {
        let mut found = Unstable::default();
        found.trigger(
            "CREATE TRIGGER a AFTER UPDATE ON posts BEGIN UPDATE posts SET n = n + 1, changed = datetime('now') \
             WHERE id = new.id; INSERT INTO log VALUES (new.id, CURRENT_TIMESTAMP); UPDATE t SET a = 1; END",
        );
        assert_eq!(found.columns, [column("posts", "changed")]);
        assert_eq!(found.tables, HashSet::from(["log".to_owned()]));
        assert!(!found.everything);
        found.trigger(
            "CREATE TRIGGER b AFTER INSERT ON t WHEN random() > 0 BEGIN DELETE FROM u; END",
        );
        assert!(found.everything);
        let mut none = Unstable::default();
        none.trigger(
            "CREATE TRIGGER c AFTER INSERT ON t BEGIN INSERT INTO log VALUES ('now'); END",
        );
        assert!(none.is_empty());
    }

    #[test]
    fn counts_that_depend_on_them() {
        let decides = |sql| unstable().decides_about(sql);
        assert!(decides("DELETE FROM posts WHERE at < ?"));
        assert!(decides("UPDATE posts SET n = 1 WHERE at < ?"));
        assert!(decides("INSERT INTO t SELECT id FROM posts WHERE at < ?"));
        assert!(decides("DELETE FROM log WHERE a = 1"));
        assert!(!decides("UPDATE posts SET at = ? WHERE id = ?"));
        assert!(!decides("DELETE FROM posts"));
        assert!(!decides("INSERT INTO posts (id, at) VALUES (1, 2)"));
    }
}
