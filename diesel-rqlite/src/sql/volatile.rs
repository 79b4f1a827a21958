//! Finds what each replica would evaluate for itself.

use std::ops::Range;

use super::scan::unquoted;
use super::tokens::{Token, TokenKind, Tokens};

/// A value that SQLite makes anew wherever the statement is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Volatile {
    /// `CURRENT_TIMESTAMP`
    Timestamp,
    /// `CURRENT_DATE`
    Date,
    /// `CURRENT_TIME`
    Time,
    /// The literal `'now'` as the time value of a date function.
    Now,
    /// Where a date function has no time value: `datetime()`, `strftime('%s')`, `unixepoch('subsec')`.
    ImplicitNow(Comma),
    /// `random()`
    Random,
    /// `randomblob(n)` with a literal `n`
    RandomBlob(usize),
    /// What no one value can stand for, or what can't be told from the text.
    Refused(&'static str),
}

/// Where the time value that is put in needs a comma.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comma {
    None,
    Before,
    Behind,
}

/// What was found in one statement. Ranges are offsets into its text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// In the order of the text, none inside another.
    pub(crate) values: Vec<(Range<usize>, Volatile)>,
    /// Placeholders, by their place, that are the whole time value of a date function: `now` may be bound.
    pub(crate) time_values: Vec<usize>,
    /// Placeholders that are only a part of it.
    pub(crate) in_time_values: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    None,
    /// By the places of its time values. A single one may be missing.
    Time(&'static [usize]),
    Random,
    RandomBlob,
}

/// An open parenthesis.
struct Frame {
    call: Call,
    /// The token of the name in front of it.
    name: usize,
    /// Where each argument begins.
    arguments: Vec<usize>,
    order_by: bool,
}

/// Looks at every token of a statement.
pub(crate) fn find(sql: &str) -> Found {
    let mut search = Search {
        sql,
        tokens: Tokens::new(sql).map_while(Result::ok).collect(),
        frames: Vec::new(),
        order_by: false,
        found: Found::default(),
    };
    for place in 0..search.tokens.len() {
        search.visit(place);
    }
    let mut found = search.found;
    found
        .values
        .sort_by_key(|(range, _)| (range.start, range.end));
    found
}

struct Search<'a> {
    sql: &'a str,
    tokens: Vec<Token>,
    frames: Vec<Frame>,
    /// Behind ORDER BY, outside of parentheses.
    order_by: bool,
    found: Found,
}

impl Search<'_> {
    fn text(&self, place: usize) -> &str {
        self.tokens
            .get(place)
            .map_or("", |token| &self.sql[token.range.clone()])
    }

    fn is(&self, place: Option<usize>, word: &str) -> bool {
        place.is_some_and(|place| self.text(place).eq_ignore_ascii_case(word))
    }

    fn kind(&self, place: usize) -> Option<TokenKind> {
        self.tokens.get(place).map(|token| token.kind)
    }

    fn push(&mut self, range: Range<usize>, volatile: Volatile) {
        self.found.values.push((range, volatile));
    }

    fn visit(&mut self, place: usize) {
        match self.tokens[place].kind {
            TokenKind::Open => self.open(place),
            TokenKind::Close => self.close(place),
            TokenKind::Comma => {
                if let Some(frame) = self.frames.last_mut() {
                    frame.arguments.push(place + 1);
                }
            }
            TokenKind::Word => self.word(place),
            _ => {}
        }
    }

    fn in_order_by(&mut self) -> &mut bool {
        match self.frames.last_mut() {
            Some(frame) => &mut frame.order_by,
            None => &mut self.order_by,
        }
    }

    fn word(&mut self, place: usize) {
        let before = place.checked_sub(1);
        if self.is(Some(place), "BY") && self.is(before, "ORDER") {
            *self.in_order_by() = true;
        } else if ["LIMIT", "RETURNING", "CONFLICT"]
            .iter()
            .any(|end| self.is(Some(place), end))
        {
            *self.in_order_by() = false;
        }
        let volatile = match self.text(place).to_ascii_uppercase().as_str() {
            "CURRENT_TIMESTAMP" => Volatile::Timestamp,
            "CURRENT_DATE" => Volatile::Date,
            "CURRENT_TIME" => Volatile::Time,
            _ => return,
        };
        // `t.current_date` is a column.
        if !self.is(before, ".") {
            self.push(self.tokens[place].range.clone(), volatile);
        }
    }

    fn open(&mut self, place: usize) {
        let order_by = *self.in_order_by();
        let name = place.saturating_sub(1);
        self.frames.push(Frame {
            call: if place > 0 {
                self.call(name)
            } else {
                Call::None
            },
            name,
            arguments: vec![place + 1],
            order_by,
        });
    }

    /// The function with this name, if it is called: `INSERT INTO random (a)` and `WITH date (a) AS` are not.
    fn call(&self, name: usize) -> Call {
        if !matches!(self.kind(name), Some(TokenKind::Word | TokenKind::Quoted)) {
            return Call::None;
        }
        let before = name.checked_sub(1);
        let table = ["INTO", ".", "WITH", "RECURSIVE"];
        if table.iter().any(|word| self.is(before, word)) {
            return Call::None;
        }
        match unquoted(self.text(name)).to_ascii_lowercase().as_str() {
            "date" | "time" | "datetime" | "julianday" | "unixepoch" => Call::Time(&[0]),
            "timediff" => Call::Time(&[0, 1]),
            "strftime" => Call::Time(&[1]),
            "random" => Call::Random,
            "randomblob" => Call::RandomBlob,
            _ => Call::None,
        }
    }

    fn close(&mut self, place: usize) {
        let Some(frame) = self.frames.pop() else {
            return;
        };
        let arguments = self.arguments(&frame, place);
        let call = self.tokens[frame.name].range.start..self.tokens[place].range.end;
        match frame.call {
            Call::None => {}
            // With arguments it is an error of SQLite.
            Call::Random if !arguments.is_empty() => {}
            Call::Random if frame.order_by => {
                self.push(call, Volatile::Refused("ORDER BY random()"));
            }
            Call::Random => self.push(call, Volatile::Random),
            Call::RandomBlob => {
                let volatile = self.blob_length(&arguments);
                self.push(call, volatile);
            }
            Call::Time(&[wanted]) if wanted == arguments.len() => {
                let at = self.tokens[place].range.start;
                let comma = if wanted == 0 {
                    Comma::None
                } else {
                    Comma::Before
                };
                self.push(at..at, Volatile::ImplicitNow(comma));
            }
            Call::Time(places) => {
                let single = places.len() == 1;
                for value in places.iter().filter_map(|place| arguments.get(*place)) {
                    self.time_value(value.clone(), single);
                }
            }
        }
    }

    /// The tokens of each argument.
    fn arguments(&self, frame: &Frame, close: usize) -> Vec<Range<usize>> {
        if frame.arguments == [close] {
            return Vec::new();
        }
        let ends = frame.arguments.iter().skip(1).map(|next| next - 1);
        let ends = ends.chain(std::iter::once(close));
        frame
            .arguments
            .iter()
            .zip(ends)
            .map(|(start, end)| *start..end)
            .collect()
    }

    fn blob_length(&self, arguments: &[Range<usize>]) -> Volatile {
        let length = match arguments {
            [only] if only.len() == 1 => self.text(only.start).parse().ok(),
            // SQLite makes one byte for any number below one.
            [only] if only.len() == 2 && self.text(only.start) == "-" => {
                (self.kind(only.start + 1) == Some(TokenKind::Number)).then_some(1)
            }
            _ => None,
        };
        length.map_or(
            Volatile::Refused("randomblob() with a computed length"),
            Volatile::RandomBlob,
        )
    }

    fn time_value(&mut self, value: Range<usize>, single: bool) {
        if value.len() == 1 {
            self.whole_time_value(value.start, single);
        } else {
            self.computed_time_value(value);
        }
    }

    fn whole_time_value(&mut self, place: usize, single: bool) {
        let range = self.tokens[place].range.clone();
        let text = self.text(place);
        match self.kind(place) {
            Some(TokenKind::String) if text.eq_ignore_ascii_case("'now'") => {
                self.push(range, Volatile::Now);
            }
            Some(TokenKind::String) if is_subsecond(text.trim_matches('\'')) => {
                // Between two time values, as `timediff` has them, it can't be put in.
                let (range, volatile) = match single {
                    true => (
                        range.start..range.start,
                        Volatile::ImplicitNow(Comma::Behind),
                    ),
                    false => (range, Volatile::Refused("'subsec' as a time value")),
                };
                self.push(range, volatile);
            }
            Some(TokenKind::Blob) => {
                self.push(range, Volatile::Refused("a BLOB as a time value"));
            }
            // A column, or a string where there is no such column.
            Some(TokenKind::Quoted) if unquoted(text).eq_ignore_ascii_case("now") => {
                self.push(range, Volatile::Refused("\"now\" in double quotes"));
            }
            Some(TokenKind::Variable) => self.found.time_values.push(self.variable(place)),
            _ => {}
        }
    }

    fn computed_time_value(&mut self, value: Range<usize>) {
        for place in value {
            let range = self.tokens[place].range.clone();
            match self.kind(place) {
                // Unless it is that of a date function inside: `date(datetime('now'))`.
                Some(TokenKind::String)
                    if self.is(Some(place), "'now'") && !self.is_found(&range) =>
                {
                    self.push(range, Volatile::Refused("'now' in an expression"));
                }
                Some(TokenKind::Variable) => {
                    let variable = self.variable(place);
                    if !self.found.time_values.contains(&variable) {
                        self.found.in_time_values.push(variable);
                    }
                }
                _ => {}
            }
        }
    }

    fn is_found(&self, range: &Range<usize>) -> bool {
        self.found.values.iter().any(|(known, _)| known == range)
    }

    /// The place of a placeholder among all placeholders.
    fn variable(&self, place: usize) -> usize {
        let before = &self.tokens[..place];
        before
            .iter()
            .filter(|token| token.kind == TokenKind::Variable)
            .count()
    }
}

/// A modifier that, where the time value should be, means now (SQLite 3.42).
pub(crate) fn is_subsecond(text: &str) -> bool {
    text.eq_ignore_ascii_case("subsec") || text.eq_ignore_ascii_case("subsecond")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(sql: &str) -> Vec<Volatile> {
        find(sql).values.into_iter().map(|(_, kind)| kind).collect()
    }

    #[test]
    fn volatile_values_are_found_where_they_are_meant() {
        assert_eq!(
            kinds(
                "INSERT INTO t VALUES (CURRENT_TIMESTAMP, random(), randomblob(16), \"random\" /* c */ ())"
            ),
            [
                Volatile::Timestamp,
                Volatile::Random,
                Volatile::RandomBlob(16),
                Volatile::Random
            ]
        );
        assert_eq!(
            kinds(
                "UPDATE t SET a = datetime('now', '+1 day'), b = unixepoch(), c = strftime('%s'), d = unixepoch('subsec')"
            ),
            [
                Volatile::Now,
                Volatile::ImplicitNow(Comma::None),
                Volatile::ImplicitNow(Comma::Before),
                Volatile::ImplicitNow(Comma::Behind),
            ]
        );
    }

    #[test]
    fn what_only_looks_like_them_is_left_alone() {
        for sql in [
            "UPDATE t SET a = 'now', b = 'random()', current = \"CURRENT_TIME\"",
            "UPDATE t SET a = date(b), c = t.current_date, d = datetime(e, 'subsec')",
            "INSERT INTO random (a) VALUES (1)",
            "INSERT INTO main.randomblob (a) VALUES (1)",
            "WITH date(a) AS (SELECT 1) INSERT INTO t SELECT a FROM date",
            "INSERT INTO t SELECT a FROM t WHERE 1 ORDER BY a RETURNING a",
            "UPDATE t SET a = random(1), b = strftime(), c = timediff(d)",
        ] {
            assert_eq!(kinds(sql), [], "{sql}");
        }
    }

    #[test]
    fn what_no_literal_can_stand_for_is_refused() {
        for sql in [
            "DELETE FROM t WHERE a IN (SELECT a FROM t ORDER BY random() LIMIT 1)",
            "DELETE FROM t WHERE a IN (SELECT a FROM t ORDER BY abs(random()) LIMIT 1)",
            "INSERT INTO t SELECT randomblob(4 * a) FROM u",
            "UPDATE t SET a = julianday(('now'))",
            "UPDATE t SET a = timediff('subsec', b)",
            "UPDATE t SET a = datetime(x'6e6f77')",
            "UPDATE t SET a = strftime('%f', \"now\")",
            "UPDATE t SET a = julianday(coalesce(NULL, 'now'))",
        ] {
            assert!(matches!(kinds(sql)[..], [Volatile::Refused(_)]), "{sql}");
        }
    }

    #[test]
    fn date_functions_inside_each_other() {
        assert_eq!(
            kinds("UPDATE t SET b = date(datetime('now'))"),
            [Volatile::Now]
        );
        assert_eq!(
            kinds("UPDATE t SET b = time(strftime('%H', 'now', '-1 day'))"),
            [Volatile::Now]
        );
        let found = find("UPDATE t SET b = date(date(?))");
        assert_eq!((found.time_values, found.in_time_values), (vec![0], vec![]));
        assert_eq!(
            kinds("UPDATE t SET b = randomblob(-1)"),
            [Volatile::RandomBlob(1)]
        );
    }

    #[test]
    fn placeholders_as_time_values() {
        let found =
            find("UPDATE t SET a = ?, b = date(?, ?), c = strftime(?, coalesce(?, 1)), d = ?");
        assert_eq!(
            (found.time_values, found.in_time_values),
            (vec![1], vec![4])
        );
    }
}
