//! Expressions.

use super::Spice;
use super::statements::Columns;
use super::writer::Writer;
use crate::statement::Value;

const LITERALS: &[&str] = &[
    "0",
    "1",
    "-1",
    "42",
    "0x1F",
    "9223372036854775807",
    "1.5",
    "1e-7",
    ".5",
    "NULL",
    "TRUE",
    "''",
    "'x'",
    "'it''s'",
    "'random()'",
    "'-- c'",
    "'/* c'",
    "'RETURNING id'",
    "'; DROP TABLE t'",
    "'CURRENT_TIMESTAMP'",
    "'say \"now\"'",
    "'Größe 🦀'",
    "x'00ff'",
    "X''",
];

#[derive(Clone, Copy)]
enum Form {
    Literal,
    Bound,
    Column,
    Pure,
    Time,
    Current,
    Random,
    Local,
    Binary,
    Unary,
    Postfix,
    Case,
    Cast,
    Subquery,
    Aggregate,
    Within,
    Parentheses,
}

impl Writer<'_> {
    pub(super) fn expression(&mut self, depth: usize) {
        match self.form(depth) {
            Form::Literal => self.literal(),
            Form::Bound => self.bound_value(),
            Form::Column => self.column(),
            Form::Pure => self.pure_call(depth),
            Form::Time => self.time_call(),
            Form::Current => self.current_time(),
            Form::Random => self.random_call(depth),
            Form::Local => self.local_call(),
            Form::Binary => {
                let sign = self.random.pick(&[
                    "+",
                    "-",
                    "*",
                    "||",
                    "%",
                    "&",
                    "<",
                    ">=",
                    "=",
                    "<>",
                    "IS",
                    "IS NOT",
                    "AND",
                    "OR",
                    "LIKE",
                    "IS DISTINCT FROM",
                    "==",
                ]);
                self.raw("(");
                self.expression(depth + 1);
                self.say(sign);
                self.expression(depth + 1);
                self.raw(")");
            }
            Form::Unary => {
                let sign = self.random.pick(&["-", "+", "NOT", "~"]);
                self.raw("(");
                self.say(sign);
                self.expression(depth + 1);
                self.raw(")");
            }
            Form::Postfix => {
                let end = self
                    .random
                    .pick(&["ISNULL", "NOTNULL", "NOT NULL", "COLLATE nocase"]);
                self.raw("(");
                self.expression(depth + 1);
                self.say(end);
                self.raw(")");
            }
            Form::Case => {
                self.say("CASE WHEN");
                self.expression(depth + 1);
                self.say("THEN");
                self.expression(depth + 1);
                self.say("ELSE");
                self.expression(depth + 1);
                self.say("END");
            }
            Form::Cast => {
                self.say("CAST (");
                self.expression(depth + 1);
                let to = self
                    .random
                    .pick(&["TEXT", "INTEGER", "REAL", "BLOB", "NUMERIC"]);
                self.say("AS");
                self.say(to);
                self.raw(")");
            }
            Form::Subquery => {
                self.raw("(");
                self.select(Columns::Any(1), depth + 1, true);
                self.raw(")");
            }
            Form::Aggregate => self.aggregate(depth),
            Form::Within => {
                self.raw("(");
                self.expression(depth + 1);
                let word = self.random.pick(&["IN", "NOT IN"]);
                self.say(word);
                self.raw("(");
                self.several(2, |writer| writer.expression(depth + 1));
                self.raw(")");
                self.raw(")");
            }
            Form::Parentheses => {
                let pairs = 1 + self.random.below(3);
                for _ in 0..pairs {
                    self.raw("(");
                }
                self.expression(depth + 1);
                for _ in 0..pairs {
                    self.raw(")");
                }
            }
        }
    }

    fn form(&mut self, depth: usize) -> Form {
        let column = if self.columns.is_empty() { 0 } else { 25 };
        let leaves = [
            (30, Form::Literal),
            (5, Form::Bound),
            (column, Form::Column),
            (10, Form::Time),
        ];
        let seasoned = match self.spice {
            Spice::Pure => vec![],
            Spice::Pinned | Spice::Zones => vec![(6, Form::Current), (8, Form::Random)],
            Spice::All => vec![(6, Form::Current), (8, Form::Random), (12, Form::Local)],
        };
        let nested = [
            (14, Form::Pure),
            (10, Form::Binary),
            (3, Form::Unary),
            (3, Form::Postfix),
            (3, Form::Case),
            (3, Form::Cast),
            (3, Form::Subquery),
            (2, Form::Aggregate),
            (3, Form::Within),
            (3, Form::Parentheses),
        ];
        let mut forms = [&leaves[..], &seasoned].concat();
        if depth < 3 {
            forms.extend(nested);
        }
        self.random.weighted(&forms)
    }

    fn literal(&mut self) {
        let literal = self.random.pick(LITERALS);
        self.raw(literal);
    }

    fn bound_value(&mut self) {
        let value = match self.random.below(7) {
            0 => Value::Null,
            1 => Value::Integer(7),
            2 => Value::Real(0.1),
            3 => Value::Text("localtime".to_owned()),
            4 => Value::Text("random()".to_owned()),
            5 => Value::Blob(vec![0, 1, 0xff]),
            _ => Value::Text("it's -- \"x\" ?".to_owned()),
        };
        self.bound(value);
    }

    fn column(&mut self) {
        let columns = self.columns.clone();
        let (table, column) = self.random.pick(&columns);
        if self.random.one_in(3) {
            self.name(table);
            self.raw(".");
        }
        self.name(column);
    }

    fn aggregate(&mut self, depth: usize) {
        self.raw("(");
        self.say("SELECT");
        let outer = std::mem::take(&mut self.columns);
        let from = self.source();
        self.columns.extend(from.columns);
        self.aggregate_call(depth);
        self.say("FROM");
        self.from(from);
        if self.random.one_in(3) {
            self.say("WHERE");
            self.expression(depth + 2);
        }
        self.columns = outer;
        self.raw(")");
    }
}
