//! Calls of SQLite's functions, class by class.

use super::Spice;
use super::writer::Writer;
use crate::statement::Value;

/// Time values that are the same everywhere.
const TIMES: &[&str] = &[
    "'2024-02-29 23:30:00.123'",
    "'2026-07-01T12:00'",
    "'2026-03-29'",
    "'12:34:56'",
    "2460370.5",
    "0",
    "NULL",
];

const MODIFIERS: &[&str] = &[
    "'+1 day'",
    "'-3 months'",
    "'start of month'",
    "'weekday 0'",
    "'subsec'",
    "'+01:30'",
];

const FORMATS: &[&str] = &["'%Y-%m-%d %H:%M'", "'%s'", "'%J'", "'%W %j %w'"];

/// Functions of text and numbers, by how many arguments they take.
const PURE: &[(&str, usize)] = &[
    ("length", 1),
    ("upper", 1),
    ("lower", 1),
    ("hex", 1),
    ("quote", 1),
    ("typeof", 1),
    ("trim", 1),
    ("unicode", 1),
    ("sign", 1),
    ("coalesce", 2),
    ("ifnull", 2),
    ("nullif", 2),
    ("instr", 2),
    ("min", 2),
    ("max", 3),
    ("iif", 3),
    ("replace", 3),
    ("likely", 1),
    ("char", 2),
];

impl Writer<'_> {
    pub(super) fn pure_call(&mut self, depth: usize) {
        let (function, arguments) = self.random.pick(PURE);
        self.call(function);
        self.several(arguments, |writer| writer.expression(depth + 1));
        self.raw(")");
    }

    /// A date function, with a time value or without.
    pub(super) fn time_call(&mut self) {
        let function = self.random.weighted(&[
            (2, "date"),
            (2, "time"),
            (3, "datetime"),
            (2, "julianday"),
            (2, "unixepoch"),
            (4, "strftime"),
            (2, "timediff"),
        ]);
        self.call(function);
        if function == "strftime" {
            let format = self.random.pick(FORMATS);
            self.raw(format);
        }
        if function == "timediff" {
            self.time_value(false);
            self.raw(",");
            self.time_value(false);
        } else if self.spice != Spice::Pure && self.random.one_in(4) {
            self.no_time_value(function == "strftime");
        } else {
            if function == "strftime" {
                self.raw(",");
            }
            self.time_value(true);
            self.modifiers();
        }
        self.raw(")");
    }

    /// None is now. So is what looks like a modifier.
    fn no_time_value(&mut self, behind: bool) {
        if self.random.one_in(3) {
            if behind {
                self.raw(",");
            }
            let text = self.cased("'subsec'");
            self.raw(text);
        }
    }

    /// `numbers`: with modifiers that say what a number is.
    fn time_value(&mut self, numbers: bool) {
        let now = self.spice != Spice::Pure;
        let odd = matches!(self.spice, Spice::Zones | Spice::All);
        match self.random.below(12) {
            0..=3 if now => {
                let text = self.cased("'now'");
                self.raw(text);
            }
            4 if now => self.bound(Value::Text("now".to_owned())),
            5 if odd => {
                let text =
                    self.random
                        .pick(&["x'6e6f77'", "('now')", "( /* c */ 'NOW' )", "+ 'now'"]);
                self.raw(text);
            }
            6 if odd => {
                self.call("coalesce");
                self.raw("NULL");
                self.raw(",");
                self.bound(Value::Text("now".to_owned()));
                self.raw(")");
            }
            7 if now => self.time_call(),
            8 if numbers => {
                self.raw("1709245800");
                self.raw(",");
                let text = self.random.pick(&["'unixepoch'", "'auto'"]);
                self.raw(text);
            }
            9 => self.bound(Value::Text("2025-12-31 22:00:00".to_owned())),
            _ => {
                let text = self.random.pick(TIMES);
                self.raw(text);
            }
        }
    }

    fn modifiers(&mut self) {
        for _ in 0..self.random.below(3) {
            self.raw(",");
            let zones = matches!(self.spice, Spice::Zones | Spice::All);
            match self.random.below(8) {
                0..=2 if zones => {
                    let zone = self
                        .random
                        .pick(&["'localtime'", "'utc'", "'LocalTime'", "'UTC'"]);
                    self.raw(zone);
                }
                3 if zones => {
                    let zone = self.random.pick(&["localtime", "utc"]);
                    self.bound(Value::Text(zone.to_owned()));
                }
                4 if zones => {
                    let zone = self.random.pick(&[
                        "( 'localtime' )",
                        "'local' || 'time'",
                        "lower('UTC')",
                        "x'757463'",
                        "\"localtime\"",
                    ]);
                    self.raw(zone);
                }
                5 => self.bound(Value::Text("+2 hours".to_owned())),
                _ => {
                    let modifier = self.random.pick(MODIFIERS);
                    self.raw(modifier);
                }
            }
        }
    }

    pub(super) fn current_time(&mut self) {
        let word = self
            .random
            .pick(&["CURRENT_TIMESTAMP", "CURRENT_DATE", "CURRENT_TIME"]);
        self.say(word);
    }

    pub(super) fn random_call(&mut self, depth: usize) {
        let blob = self.random.one_in(3);
        self.call(if blob { "randomblob" } else { "random" });
        if blob {
            match self.spice {
                Spice::Zones | Spice::All if self.random.one_in(4) => self.expression(depth + 2),
                _ => self.say("4"),
            }
        }
        self.raw(")");
    }

    /// What the connection, or the node, is asked for.
    pub(super) fn local_call(&mut self) {
        let (function, argument) = self.random.weighted(&[
            (3, ("changes", "")),
            (3, ("total_changes", "")),
            (3, ("last_insert_rowid", "")),
            (2, ("sqlite_version", "")),
            (1, ("sqlite_source_id", "")),
            (1, ("sqlite_compileoption_get", "1")),
            (1, ("sqlite_compileoption_used", "'THREADSAFE'")),
        ]);
        self.call(function);
        self.say(argument);
        self.raw(")");
    }

    /// Aggregates whose value depends on the order of the rows.
    pub(super) fn aggregate_call(&mut self, depth: usize) {
        let function =
            self.random
                .pick(&["group_concat", "json_group_array", "total", "count", "max"]);
        self.call(function);
        if self.random.one_in(5) && function != "json_group_array" {
            self.say("DISTINCT");
        }
        self.call("quote");
        self.expression(depth + 1);
        self.raw(")");
        self.raw(")");
    }
}
