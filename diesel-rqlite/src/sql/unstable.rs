//! The values in the schema that differ between nodes.
//!
//! Every node evaluates a default that is a time or random for itself, and so it does with a trigger that writes such a
//! value. A guard over such a value would pass on the leader and fail elsewhere, and that node would lose the commit.
//! So these values are shown to a transaction, but not compared.
//!
//! The session reads the schema by [`QUERY`], and [`Unstable::of`] makes a value of the rows. [`NUMBER`] and [`VERSION`]
//! tell later whether that is out of date (`session::schema`). The value answers these questions about a statement:
//!
//! | question | method |
//! |---|---|
//! | May the rows of a query be compared? | [`Unstable::comparable`] |
//! | May an expression after RETURNING be compared? | [`Unstable::is_comparable`] |
//! | May the count of a write be compared? | [`Unstable::decides_about`] |
//! | Does the text of an INSERT tell its count? | [`Unstable::may_skip_rows`] |
//! | Does a failure end the transaction? | [`Unstable::ending_of`] |
//! | Is there a rowid to order by? | [`Unstable::has_rowids`] |
//! | Which defaults has an INSERT to fill in? | [`Unstable::defaults_of`] |
//!
//! The answers are about names, not about scopes: a name that occurs anywhere in the statement counts. So they err on
//! one side. A value that is called unstable without being so is only not compared. The opposite would let nodes
//! differ.

use std::collections::HashSet;

use diesel_rqlite_sql::{
    Classes, ColumnChange, ColumnDefault, Decisive, Keyword, Parsed, TokenKind, find, fragment,
};

use crate::protocol::message::StatementError;
use crate::protocol::rows::{Rows, Value};

/// The query that [`Unstable::of`] reads. It yields defaults that are not literals, triggers and views. The text of a
/// view is included only if the view may call a function that matters. It also yields tables that may skip a row
/// without an error, tables that may end a transaction, tables that may have no rowids, and an encoding other than
/// UTF-8.
///
/// The first column tells the kind of the row: the name of a column for a default, an empty text for a trigger, NULL
/// for a view, or a word. Its LIKE conditions are meant to match too much rather than too little.
pub(crate) const QUERY: &str = "SELECT lower(i.name), lower(m.name), i.dflt_value FROM sqlite_master m, \
     pragma_table_info(m.name) i WHERE m.type = 'table' AND m.sql LIKE '%default%' AND \
     m.sql NOT LIKE 'create virtual%' AND \
     (i.dflt_value LIKE '%(%' OR i.dflt_value LIKE 'current_%') UNION ALL \
     SELECT CASE type WHEN 'trigger' THEN '' END, lower(name), CASE WHEN type = 'trigger' OR \
     sql LIKE '%date%' OR sql LIKE '%time%' OR sql LIKE '%julianday%' OR sql LIKE '%unixepoch%' OR \
     sql LIKE '%random%' OR sql LIKE '%sqlite%' OR sql LIKE '%pragma%' OR sql LIKE '%changes%' OR \
     sql LIKE '%insert_rowid%' OR sql LIKE '%auth%' OR sql LIKE '%fts%' OR sql LIKE '%geopoly%' OR \
     sql LIKE '%extension%' OR sql LIKE '%dbstat%' OR sql LIKE '%rootpage%' THEN sql END \
     FROM sqlite_master WHERE type IN ('trigger', 'view') UNION ALL \
     SELECT 'skips', lower(tbl_name), NULL FROM sqlite_master WHERE \
     type = 'trigger' AND sql LIKE '%ignore%' OR type = 'table' AND sql LIKE '%conflict%' UNION ALL \
     SELECT 'ends', lower(tbl_name), NULL FROM sqlite_master WHERE \
     type = 'table' AND sql LIKE '%rollback%' UNION ALL \
     SELECT 'rowless', lower(name), NULL FROM sqlite_master WHERE \
     type = 'table' AND (sql LIKE '%without%' OR sql LIKE 'create virtual%') UNION ALL \
     SELECT 'encoding', encoding, NULL FROM pragma_encoding WHERE encoding <> 'UTF-8'";

/// The number of columns of [`QUERY`].
pub(crate) const WIDTH: usize = 3;

/// The query for SQLite's own version of the schema: a number in the file, which each change increments. It costs the
/// server about 10 µs. A file that replaced the node's own may have the same number by chance.
pub(crate) const NUMBER: &str = "PRAGMA schema_version";

/// The query that tells whether the schema is still the one that is known, also if the file was replaced. Its first
/// column is that of [`NUMBER`]. It reads the whole schema, which costs the server 100 µs for ten tables.
pub(crate) const VERSION: &str = "SELECT schema_version, count(*), total(length(sql)), max(m.rowid) FROM \
     sqlite_master m, pragma_schema_version";

/// The values that differ between nodes. All names are in lower case.
///
/// It is read once, and replaced as a whole when the schema has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unstable {
    columns: Vec<(String, String)>,
    /// The table, the column and the text of each default that differs.
    defaults: Vec<(String, String, String)>,
    /// The tables in which all columns differ.
    tables: HashSet<String>,
    views: HashSet<String>,
    /// Tables with `ON CONFLICT` in their schema, or with a trigger that may ignore a row.
    skipping: HashSet<String>,
    /// Tables with `ON CONFLICT ROLLBACK` in their schema.
    ending: HashSet<String>,
    /// The tables and the texts of triggers that may say ROLLBACK.
    raising: Vec<(String, String)>,
    /// Tables that may have no rowids.
    rowless: HashSet<String>,
    /// The encoding, if it is UTF-16.
    encoding: Option<String>,
    /// Set if one of the views itself contains such a value.
    in_views: bool,
    /// Set if any value may differ.
    everything: bool,
}

/// The ways in which a write that fails may end the whole transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ending {
    /// `true` if the violation of a constraint ends it.
    pub(crate) on_conflict: bool,
    /// The texts of the triggers that may end it.
    raised_in: Vec<String>,
}

impl Ending {
    pub(crate) fn may_be(&self) -> bool {
        self.on_conflict || !self.raised_in.is_empty()
    }

    /// Returns whether a failure with this message ends it.
    ///
    /// The text of a trigger contains the message that it raises. Any other message ends nothing, except that a
    /// violated constraint does if the schema or the statement says `ON CONFLICT ROLLBACK`.
    pub(crate) fn is_by(&self, message: &str) -> bool {
        match StatementError(message).constraint() {
            Some(constraint) => self.on_conflict && constraint.is_ignorable(),
            None => {
                let raised = message.replace('\'', "''");
                self.raised_in
                    .iter()
                    .any(|trigger| trigger.contains(&raised))
            }
        }
    }
}

/// The part of a query's rows that may be compared.
///
/// What may not be compared is shown to the program all the same, without a guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Comparable {
    All,
    /// The columns that are `true`.
    Some(Vec<bool>),
    Nothing,
}

impl Comparable {
    /// Returns whether the values of a column may be compared.
    pub(crate) fn has(&self, column: usize) -> bool {
        match self {
            Comparable::All => true,
            Comparable::Some(compared) => compared.get(column) == Some(&true),
            Comparable::Nothing => false,
        }
    }
}

impl Unstable {
    /// Reads the rows of [`QUERY`].
    ///
    /// Rows of any other form are ignored. A default or trigger that can't be read is taken for volatile.
    pub(crate) fn of(rows: &Rows) -> Self {
        let mut unstable = Unstable::default();
        let text = |row, column| match rows.value(row, column) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        };
        for row in 0..rows.len() {
            match (text(row, 0), text(row, 1), text(row, 2)) {
                (Some(""), Some(_), Some(trigger)) => unstable.trigger(trigger),
                (Some("skips"), Some(table), None) => {
                    unstable.skipping.insert(table.to_owned());
                }
                (Some("ends"), Some(table), None) => {
                    unstable.ending.insert(table.to_owned());
                }
                (Some("rowless"), Some(table), None) => {
                    unstable.rowless.insert(table.to_owned());
                }
                (Some("encoding"), Some(encoding), None) => {
                    unstable.encoding = Some(encoding.to_owned());
                }
                (None, Some(view), sql) => {
                    unstable.views.insert(view.to_owned());
                    unstable.in_views |= sql.is_some_and(is_of_node);
                }
                (Some(column), Some(table), Some(default)) if is_volatile(default) => {
                    unstable.columns.push((table.to_owned(), column.to_owned()));
                    let (table, column) = (table.to_owned(), column.to_owned());
                    unstable.defaults.push((table, column, default.to_owned()));
                }
                _ => {}
            }
        }
        unstable
    }

    /// Notes the volatile values that a trigger writes.
    ///
    /// Finds the table and the column that each such value is written to. If the column is not clear, all columns of
    /// the table differ; if the table is not either, any value may.
    fn trigger(&mut self, sql: &str) {
        let Ok(parsed) = fragment(sql) else {
            self.everything = true;
            return;
        };
        let says = |keyword| (0..parsed.tokens().len()).find(|place| parsed.is(*place, keyword));
        if says(Keyword::Rollback).is_some()
            && let Some(on) = says(Keyword::On)
        {
            let table = parsed.name_at(on + 1);
            self.raising.push((table, sql.to_owned()));
        }
        let found = find(&parsed).values;
        if found.is_empty() {
            return;
        }
        let mut writes = Writes::default();
        for (place, token) in parsed.tokens().iter().enumerate() {
            writes.token(&parsed, place);
            let token = token.range();
            // An implicit `now` has an empty range between two tokens.
            let is_here = |start: usize| start == token.start || token.contains(&start);
            if found.iter().any(|(range, _)| is_here(range.start)) {
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

    /// Applies a change to the columns of a table, as far as it concerns defaults. A table that is created must not
    /// have existed.
    pub(crate) fn change_columns(&mut self, change: &ColumnChange) {
        match change {
            ColumnChange::Create {
                table, defaults, ..
            } => {
                for default in defaults {
                    self.add_default(table, default);
                }
            }
            ColumnChange::AddColumn { table, default } => self.add_default(table, default),
            ColumnChange::Drop { table } => self.keep_defaults(|other, _| !is_same(other, table)),
            ColumnChange::DropColumn { table, column } => {
                self.keep_defaults(|of, name| !is_same(of, table) || !is_same(name, column))
            }
            ColumnChange::Rename { table, to } => self.rename_defaults(|of, _| {
                if is_same(of, table) {
                    *of = to.to_ascii_lowercase();
                }
            }),
            ColumnChange::RenameColumn { table, column, to } => self.rename_defaults(|of, name| {
                if is_same(of, table) && is_same(name, column) {
                    *name = to.to_ascii_lowercase();
                }
            }),
        }
    }

    fn add_default(&mut self, table: &str, ColumnDefault { column, default }: &ColumnDefault) {
        if is_volatile(default) {
            let (table, column) = (table.to_ascii_lowercase(), column.to_ascii_lowercase());
            self.columns.push((table.clone(), column.clone()));
            self.defaults.push((table, column, default.clone()));
        }
    }

    /// Keeps the defaults of these tables and columns. What was unstable stays that: it is not compared.
    fn keep_defaults(&mut self, is_kept: impl Fn(&str, &str) -> bool) {
        self.defaults
            .retain(|(table, column, _)| is_kept(table, column));
    }

    fn rename_defaults(&mut self, rename: impl Fn(&mut String, &mut String)) {
        for (table, column, _) in &mut self.defaults {
            rename(table, column);
            self.columns.push((table.clone(), column.clone()));
        }
    }

    fn is_empty(&self) -> bool {
        self.columns.is_empty() && self.tables.is_empty() && !self.in_views && !self.everything
    }

    /// Returns whether a write to a table may skip a row without an error, so that its text does not tell its count.
    pub(crate) fn may_skip_rows(&self, table: &str) -> bool {
        self.skipping.contains(table) || self.views.contains(table)
    }

    /// Returns the columns of a table whose defaults differ between nodes, each with its default.
    pub(crate) fn defaults_of(&self, table: &str) -> Vec<(&str, &str)> {
        let of_table = self.defaults.iter().filter(|(other, ..)| other == table);
        of_table
            .map(|(_, column, default)| (&**column, &**default))
            .collect()
    }

    pub(crate) fn has_defaults(&self) -> bool {
        !self.defaults.is_empty()
    }

    /// Returns the ways in which a write to a table may end the transaction if it fails.
    pub(crate) fn ending_of(&self, table: &str) -> Ending {
        let of_table = self.raising.iter().filter(|(other, _)| other == table);
        Ending {
            on_conflict: self.ending.contains(table),
            raised_in: of_table.map(|(_, trigger)| trigger.clone()).collect(),
        }
    }

    /// Returns whether the rows of a table have rowids, which tell them apart.
    pub(crate) fn has_rowids(&self, table: &str) -> bool {
        !self.rowless.contains(table)
            && !self.views.contains(table)
            && !table.starts_with("pragma_")
    }

    /// Returns the encoding of the database, unless it is UTF-8.
    pub(crate) fn other_encoding(&self) -> Option<&str> {
        self.encoding.as_deref()
    }

    /// Returns the part of a query that may be compared, given the names of its columns.
    ///
    /// If nothing in the schema is unstable, everything may be compared. Otherwise a query of an unstable table or of
    /// any view has nothing to compare, and unstable columns are left out. If one of them occurs outside of the result
    /// columns, for example in WHERE, it decides which rows there are, and nothing may be compared.
    pub(crate) fn comparable(&self, query: &Parsed<'_>, names: &[String]) -> Comparable {
        if self.is_empty() {
            return Comparable::All;
        }
        let all = query.names(|_| true);
        let any = |of: &HashSet<String>, names: &HashSet<String>| !of.is_disjoint(names);
        if self.everything || any(&all, &self.tables) || any(&all, &self.views) {
            return Comparable::Nothing;
        }
        let columns = self.columns.iter();
        let columns: HashSet<_> = columns
            .filter(|(table, _)| all.contains(table))
            .map(|(_, column)| column.clone())
            .collect();
        if columns.is_empty() {
            return Comparable::All;
        }
        let items = query.items();
        let of_item = |place: usize| items.iter().any(|item| item.contains(&place));
        let rest = query.names(|place| !of_item(place));
        if any(&rest, &columns) || query.has_star(|place| !of_item(place)) {
            return Comparable::Nothing;
        }
        let by_item = items.len() == names.len() && !query.has_star(of_item);
        let compared = names.iter().enumerate().map(|(place, name)| {
            if by_item {
                let item = &items[place];
                !any(&query.names(|place| item.contains(&place)), &columns)
            } else {
                !columns.contains(&name.to_ascii_lowercase())
            }
        });
        let compared: Vec<_> = compared.collect();
        if compared.iter().all(|compared| *compared) {
            Comparable::All
        } else {
            Comparable::Some(compared)
        }
    }

    /// Returns whether an expression after RETURNING may be compared, given the names in it, and all names in its
    /// statement.
    pub(crate) fn is_comparable(
        &self,
        statement: &HashSet<String>,
        expression: &HashSet<String>,
    ) -> bool {
        let is_of = |(table, column): &(String, String)| {
            statement.contains(table) && expression.contains(column)
        };
        self.is_empty()
            || !self.everything
                && statement.is_disjoint(&self.tables)
                && statement.is_disjoint(&self.views)
                && !self.columns.iter().any(is_of)
    }

    /// Returns whether the number of rows that a write finds may differ between nodes.
    pub(crate) fn decides_about(&self, decisive: &Decisive) -> bool {
        let Decisive {
            names,
            is_conditional,
        } = decisive;
        let of_table =
            |(table, column): &(String, String)| names.contains(table) && names.contains(column);
        !self.is_empty()
            && (self.everything
                || !names.is_disjoint(&self.views)
                || *is_conditional && !names.is_disjoint(&self.tables)
                || self.columns.iter().any(of_table))
    }
}

/// The position of a token in the body of a trigger.
///
/// `token` is called for each token in order. After it, the fields are those of the statement that the token is in.
#[derive(Default)]
struct Writes {
    table: Option<String>,
    column: Option<String>,
    sets: bool,
}

impl Writes {
    /// Follows `INSERT INTO table` and `UPDATE table SET column = …`. A semicolon ends the statement.
    fn token(&mut self, trigger: &Parsed<'_>, place: usize) {
        let is = |place: usize, keyword| trigger.is(place, keyword);
        match trigger.kind(place) {
            Some(TokenKind::Semicolon) => *self = Writes::default(),
            Some(TokenKind::Word) if is(place, Keyword::Into) => {
                self.table = Some(trigger.name_at(place + 1));
            }
            Some(TokenKind::Word)
                if is(place, Keyword::Update)
                    && !is(place + 1, Keyword::On)
                    && !is(place + 1, Keyword::Of) =>
            {
                let or = if is(place + 1, Keyword::Or) { 2 } else { 0 };
                if self.table.is_none() && !is(place + 1, Keyword::Set) {
                    self.table = Some(trigger.name_at(place + 1 + or));
                }
            }
            Some(TokenKind::Word) if is(place, Keyword::Set) => self.sets = true,
            Some(TokenKind::Word) if is(place, Keyword::Where) => {
                (self.sets, self.column) = (false, None);
            }
            Some(TokenKind::Operator) if trigger.at(place) == "=" && self.sets && place > 0 => {
                self.column = Some(trigger.name_at(place - 1));
            }
            _ => {}
        }
    }
}

/// Compares the name of a table or column that is in lower case with one as it is written.
fn is_same(known: &str, written: &str) -> bool {
    known == written.to_ascii_lowercase()
}

/// Returns whether a table is created with a default that differs between nodes.
pub(crate) fn has_volatile_default(change: &ColumnChange) -> bool {
    match change {
        ColumnChange::Create { defaults, .. } => {
            defaults.iter().any(|found| is_volatile(&found.default))
        }
        _ => false,
    }
}

/// Returns whether a default differs between nodes. One that can't be read is taken for one that does.
fn is_volatile(default: &str) -> bool {
    match fragment(default) {
        Ok(parsed) => !find(&parsed).values.is_empty(),
        Err(_) => true,
    }
}

/// Returns whether the rows of a view depend on the node, on the time, or on the connection.
fn is_of_node(view: &str) -> bool {
    let any = Classes::VOLATILE | Classes::NODE | Classes::CONNECTION;
    fragment(view).map_or(true, |parsed| parsed.classes().contains(any))
}

#[cfg(test)]
mod tests {
    use diesel_rqlite_sql::functions;

    use super::*;
    use crate::sql::one;

    fn column(table: &str, column: &str) -> (String, String) {
        (table.to_owned(), column.to_owned())
    }

    fn unstable() -> Unstable {
        Unstable {
            columns: vec![column("posts", "at")],
            defaults: Vec::new(),
            tables: HashSet::from(["log".to_owned()]),
            views: HashSet::from(["recent".to_owned()]),
            skipping: HashSet::new(),
            ending: HashSet::new(),
            raising: Vec::new(),
            rowless: HashSet::new(),
            encoding: None,
            in_views: false,
            everything: false,
        }
    }

    fn comparable(sql: &str, names: &[&str]) -> Comparable {
        let query = one(sql).expect("parses");
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        unstable().comparable(&query, &names)
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
        let decides = |sql| {
            let decisive = one(sql).expect("parses").decisive();
            decisive.is_some_and(|decisive| unstable().decides_about(&decisive))
        };
        assert!(decides("DELETE FROM posts WHERE at < ?"));
        assert!(decides("UPDATE posts SET n = 1 WHERE at < ?"));
        assert!(decides("INSERT INTO t SELECT id FROM posts WHERE at < ?"));
        assert!(decides("DELETE FROM log WHERE a = 1"));
        assert!(!decides("UPDATE posts SET at = ? WHERE id = ?"));
        assert!(!decides("DELETE FROM posts"));
        assert!(!decides("INSERT INTO posts (id, at) VALUES (1, 2)"));
    }

    #[test]
    fn views_that_differ_between_nodes() {
        for view in [
            "CREATE VIEW v AS SELECT datetime('now')",
            "CREATE VIEW v AS SELECT a FROM t WHERE b > CURRENT_DATE",
            "CREATE VIEW v AS SELECT \"random\" () AS a",
            "CREATE VIEW v AS SELECT sqlite_version()",
            "CREATE VIEW v AS SELECT file FROM pragma_database_list",
        ] {
            assert!(is_of_node(view), "{view}");
        }
        assert!(!is_of_node("CREATE VIEW v AS SELECT lower(a) FROM t"));
    }

    #[test]
    fn the_query_asks_for_views_with_any_function_that_matters() {
        let any = Classes::VOLATILE | Classes::NODE | Classes::CONNECTION;
        for function in functions()
            .iter()
            .filter(|function| function.class.contains(any))
        {
            let patterns = QUERY.split("sql LIKE '%").skip(2);
            let mut patterns = patterns.filter_map(|pattern| pattern.split('%').next());
            let name = function.name;
            assert!(patterns.any(|pattern| name.contains(pattern)), "{name}");
        }
    }
}
