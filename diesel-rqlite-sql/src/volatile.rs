//! Finds the values that each replica would compute itself.

use std::ops::Range;

use crate::functions::{Classes, function_named};
use crate::keyword::Keyword;
use crate::parsed::{Parsed, unquoted};
use crate::token::TokenKind;

/// A value that SQLite computes anew wherever the statement is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Volatile {
    /// `CURRENT_TIMESTAMP`
    Timestamp,
    /// `CURRENT_DATE`
    Date,
    /// `CURRENT_TIME`
    Time,
    /// The literal `'now'` as the time value of a date function.
    Now,
    /// The position where a date function has no time value: `datetime()`, `strftime('%s')`, `unixepoch('subsec')`.
    ImplicitNow(Comma),
    /// `random()`
    Random,
    /// `randomblob(n)` with a literal `n`
    RandomBlob(usize),
    /// An expression that no single value can replace, or that can't be determined from the text.
    Refused(&'static str),
}

impl Volatile {
    /// Returns whether the value depends on the time and on nothing else.
    pub fn is_time(&self) -> bool {
        !matches!(
            self,
            Volatile::Random | Volatile::RandomBlob(_) | Volatile::Refused(_)
        )
    }
}

/// The position of the comma that an inserted time value needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comma {
    /// The value needs no comma.
    None,
    /// The comma goes before the value.
    Before,
    /// The comma goes after the value.
    Behind,
}

/// The volatile values of one statement.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The values in the order of the text, none inside another. The ranges are bytes of the text.
    pub values: Vec<(Range<usize>, Volatile)>,
    /// The placeholders, by index, that are the whole time value of a date function. `now` may be bound to them.
    pub time_values: Vec<usize>,
    /// The placeholders that are only a part of a time value.
    pub in_time_values: Vec<usize>,
    /// The placeholders in a modifier of a date function. `localtime` may be bound to them.
    pub modifiers: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    None,
    /// A date function, with the positions of its time values.
    Time(&'static [usize]),
    Random,
    RandomBlob,
    /// A function that depends on the node, with its name.
    Node(&'static str),
}

/// An open parenthesis.
struct Frame {
    call: Call,
    /// The index of the token of the name before it.
    name: usize,
    /// The start of each argument.
    arguments: Vec<usize>,
    order_by: bool,
}

/// Checks every token of a statement.
pub fn find(parsed: &Parsed<'_>) -> Found {
    let mut search = Search {
        parsed,
        frames: Vec::new(),
        order_by: false,
        found: Found::default(),
    };
    for place in 0..parsed.tokens.len() {
        search.visit(place);
    }
    let mut found = search.found;
    found
        .values
        .sort_by_key(|(range, _)| (range.start, range.end));
    found
}

struct Search<'p> {
    parsed: &'p Parsed<'p>,
    frames: Vec<Frame>,
    /// Set after ORDER BY, outside of parentheses.
    order_by: bool,
    found: Found,
}

impl Search<'_> {
    fn kind(&self, place: usize) -> Option<TokenKind> {
        self.parsed.kind(place)
    }

    fn range(&self, place: usize) -> Range<usize> {
        self.parsed.tokens[place].range()
    }

    fn push(&mut self, range: Range<usize>, volatile: Volatile) {
        self.found.values.push((range, volatile));
    }

    fn visit(&mut self, place: usize) {
        match self.parsed.tokens[place].kind {
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
        self.table(place);
    }

    /// Checks for rows that each node has of its own: `FROM pragma_database_list`.
    fn table(&mut self, place: usize) {
        if !matches!(self.kind(place), Some(TokenKind::Word | TokenKind::Quoted)) {
            return;
        }
        let before = place
            .checked_sub(1)
            .and_then(|before| self.parsed.keyword(before));
        let is_read = matches!(before, Some(Keyword::From | Keyword::Join));
        let name = unquoted(self.parsed.at(place));
        if is_read && crate::functions::classes_of_table(name).contains(Classes::NODE) {
            let is_written = self.parsed.clauses.table.as_ref();
            if !is_written.is_some_and(|table| table.contains(&place)) {
                self.push(
                    self.range(place),
                    Volatile::Refused("a table that each node has for itself"),
                );
            }
        }
    }

    fn in_order_by(&mut self) -> &mut bool {
        match self.frames.last_mut() {
            Some(frame) => &mut frame.order_by,
            None => &mut self.order_by,
        }
    }

    fn word(&mut self, place: usize) {
        // `t.current_date` is a column.
        let Some(keyword) = self.parsed.keyword(place) else {
            return;
        };
        let volatile = match keyword {
            Keyword::By if place > 0 && self.parsed.is(place - 1, Keyword::Order) => {
                *self.in_order_by() = true;
                return;
            }
            Keyword::Limit | Keyword::Returning | Keyword::Conflict => {
                *self.in_order_by() = false;
                return;
            }
            Keyword::CurrentTimestamp => Volatile::Timestamp,
            Keyword::CurrentDate => Volatile::Date,
            Keyword::CurrentTime => Volatile::Time,
            _ => return,
        };
        self.push(self.range(place), volatile);
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

    /// Returns the function with this name, if this is a call: `INSERT INTO random (a)` and `WITH date (a) AS` are
    /// not.
    fn call(&self, name: usize) -> Call {
        if !matches!(self.kind(name), Some(TokenKind::Word | TokenKind::Quoted)) {
            return Call::None;
        }
        if let Some(before) = name.checked_sub(1) {
            let is_table = matches!(
                self.parsed.keyword(before),
                Some(Keyword::Into | Keyword::With | Keyword::Recursive)
            );
            if is_table || self.kind(before) == Some(TokenKind::Dot) {
                return Call::None;
            }
        }
        match function_named(unquoted(self.parsed.at(name))) {
            Some(function) if !function.time_values.is_empty() => Call::Time(function.time_values),
            Some(function) if function.name == "random" => Call::Random,
            Some(function) if function.name == "randomblob" => Call::RandomBlob,
            Some(function) if function.class.contains(Classes::NODE) => Call::Node(function.name),
            _ => Call::None,
        }
    }

    fn close(&mut self, place: usize) {
        let Some(frame) = self.frames.pop() else {
            return;
        };
        let arguments = self.arguments(&frame, place);
        let call = self.range(frame.name).start..self.range(place).end;
        match frame.call {
            Call::None => {}
            Call::Node(name) => self.push(call, Volatile::Refused(name)),
            // SQLite rejects `random` with arguments.
            Call::Random if !arguments.is_empty() => {}
            Call::Random if frame.order_by => {
                self.push(call, Volatile::Refused("ORDER BY random()"));
            }
            Call::Random => self.push(call, Volatile::Random),
            Call::RandomBlob => {
                let volatile = self.blob_length(&arguments);
                self.push(call, volatile);
            }
            Call::Time(time_values) => self.time_call(time_values, &arguments, place),
        }
    }

    fn time_call(&mut self, time_values: &[usize], arguments: &[Range<usize>], close: usize) {
        let last = time_values.last().copied().unwrap_or_default();
        for modifier in arguments.iter().skip(last + 1) {
            self.modifier(modifier.clone());
        }
        if let [wanted] = time_values
            && *wanted == arguments.len()
        {
            let at = self.range(close).start;
            let comma = match wanted {
                0 => Comma::None,
                _ => Comma::Before,
            };
            return self.push(at..at, Volatile::ImplicitNow(comma));
        }
        let single = time_values.len() == 1;
        for value in time_values.iter().filter_map(|place| arguments.get(*place)) {
            self.time_value(value.clone(), single);
        }
    }

    /// Returns the tokens of each argument.
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
            [only] if only.len() == 1 => self.parsed.at(only.start).parse().ok(),
            // SQLite makes one byte for any number less than one.
            [only] if only.len() == 2 && self.parsed.at(only.start) == "-" => {
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
        let range = self.range(place);
        let text = self.parsed.at(place);
        match self.kind(place) {
            Some(TokenKind::String) if text.eq_ignore_ascii_case("'now'") => {
                self.push(range, Volatile::Now);
            }
            Some(TokenKind::String) if is_subsecond(text.trim_matches('\'')) => {
                // A time value can't be inserted between two others, as `timediff` has them.
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
            // This is a column, or a string if there is no such column.
            Some(TokenKind::Quoted) if is_now_or_subsecond(unquoted(text)) => {
                self.push(range, Volatile::Refused("\"now\" in double quotes"));
            }
            Some(TokenKind::Variable) => {
                let variable = self.parsed.variables_before(place);
                self.found.time_values.push(variable);
            }
            _ => {}
        }
    }

    fn computed_time_value(&mut self, value: Range<usize>) {
        for place in value {
            let range = self.range(place);
            match self.kind(place) {
                // A literal of a date function inside is already found: `date(datetime('now'))`.
                Some(TokenKind::String)
                    if is_now_or_subsecond(self.parsed.at(place).trim_matches('\''))
                        && !self.is_found(&range) =>
                {
                    self.push(range, Volatile::Refused("'now' in an expression"));
                }
                Some(TokenKind::Variable) => {
                    let variable = self.parsed.variables_before(place);
                    if !self.found.time_values.contains(&variable) {
                        self.found.in_time_values.push(variable);
                    }
                }
                _ => {}
            }
        }
    }

    /// Checks a modifier. Each node has its own time zone, which also affects a time that is the same on all nodes.
    fn modifier(&mut self, argument: Range<usize>) {
        let is_joined = argument.clone().any(|place| self.parsed.at(place) == "|");
        for place in argument {
            let text = self.parsed.at(place);
            match self.kind(place) {
                Some(TokenKind::Blob) => {
                    self.push(self.range(place), Volatile::Refused("a BLOB as a modifier"));
                }
                Some(TokenKind::String)
                    if is_joined && is_part_of_zone(text.trim_matches('\'')) =>
                {
                    self.push(self.range(place), Volatile::Refused(OF_ZONE));
                }
                Some(TokenKind::String) if is_of_zone(text.trim_matches('\'')) => {
                    self.push(self.range(place), Volatile::Refused(OF_ZONE));
                }
                Some(TokenKind::Quoted) if is_of_zone(unquoted(text)) => {
                    self.push(self.range(place), Volatile::Refused(OF_ZONE));
                }
                Some(TokenKind::Variable) => {
                    let variable = self.parsed.variables_before(place);
                    self.found.modifiers.push(variable);
                }
                _ => {}
            }
        }
    }

    /// Returns whether something was found at this range. Also covers a position before which a value is inserted:
    /// `unixepoch('subsec')`.
    fn is_found(&self, range: &Range<usize>) -> bool {
        let mut values = self.found.values.iter();
        values.any(|(known, _)| known.start == range.start)
    }
}

const LOCAL: &str = "localtime";
const UTC: &str = "utc";

/// The reason why a value that depends on the time zone is refused.
pub const OF_ZONE: &str =
    "the modifier 'localtime' or 'utc', which asks for the time zone of each node,";

/// Returns whether this is a modifier that means now in the position of a time value (SQLite 3.42).
pub fn is_subsecond(text: &str) -> bool {
    text.eq_ignore_ascii_case("subsec") || text.eq_ignore_ascii_case("subsecond")
}

/// Returns whether this is a modifier that depends on the time zone of the machine.
pub fn is_of_zone(text: &str) -> bool {
    text.eq_ignore_ascii_case(LOCAL) || text.eq_ignore_ascii_case(UTC)
}

/// Returns whether this may be a part of such a modifier, as in `'local'
///
/// 'time'`.
fn is_part_of_zone(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text.len() > 1 && (LOCAL.contains(&text) || UTC.contains(&text))
}

fn is_now_or_subsecond(text: &str) -> bool {
    text.eq_ignore_ascii_case("now") || is_subsecond(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::fragment;

    fn found(sql: &str) -> Found {
        find(&fragment(sql).expect("tokens"))
    }

    fn kinds(sql: &str) -> Vec<Volatile> {
        found(sql)
            .values
            .into_iter()
            .map(|(_, kind)| kind)
            .collect()
    }

    #[test]
    fn volatile_values_are_found_where_they_are_meant() {
        assert_eq!(
            kinds(
                "INSERT INTO t VALUES (CURRENT_TIMESTAMP, random(), randomblob(16), \"random\" /* c */ (), [Random](), \
                 `RANDOM` -- d\n ( ))"
            ),
            [
                Volatile::Timestamp,
                Volatile::Random,
                Volatile::RandomBlob(16),
                Volatile::Random,
                Volatile::Random,
                Volatile::Random,
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
            "UPDATE t SET a = date(b, '+1 day'), c = 'localtime', d = lower('utc')",
            "UPDATE t SET a = date(b, '-' || c || ' days')",
            "UPDATE t SET rootpage = 1 FROM pragma_table_info('t')",
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
            "UPDATE t SET a = unixepoch(('subsec'))",
            "UPDATE t SET a = timediff('subsec', b)",
            "UPDATE t SET a = datetime(x'6e6f77')",
            "UPDATE t SET a = strftime('%f', \"now\")",
            "UPDATE t SET a = julianday(coalesce(NULL, 'now'))",
            "UPDATE t SET a = datetime(b, 'LocalTime')",
            "UPDATE t SET a = datetime(b, '+1 day', \"utc\")",
            "UPDATE t SET a = strftime('%H', '2020-01-01 12:00', 'localtime')",
            "UPDATE t SET a = datetime(b, lower('UTC'))",
            "UPDATE t SET a = datetime(b, 'x' || 'local')",
            "UPDATE t SET a = datetime(b, x'757463')",
            "UPDATE t SET a = SQLite_Version()",
            "UPDATE t SET a = [sqlite_source_id] ( )",
            "UPDATE t SET a = sqlite_compileoption_used('X')",
            "INSERT INTO t SELECT file FROM pragma_database_list",
            "INSERT INTO t SELECT stat FROM u JOIN sqlite_stat1",
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
        assert_eq!(
            kinds("UPDATE t SET b = date(unixepoch('subsec'))"),
            [Volatile::ImplicitNow(Comma::Behind)]
        );
        let found = found("UPDATE t SET b = date(date(?))");
        assert_eq!((found.time_values, found.in_time_values), (vec![0], vec![]));
        assert_eq!(
            kinds("UPDATE t SET b = randomblob(-1)"),
            [Volatile::RandomBlob(1)]
        );
    }

    #[test]
    fn placeholders_as_time_values() {
        let found =
            found("UPDATE t SET a = ?, b = date(?, ?), c = strftime(?, coalesce(?, 1)), d = ?");
        assert_eq!(
            (found.time_values, found.in_time_values, found.modifiers),
            (vec![1], vec![4], vec![2])
        );
    }
}
