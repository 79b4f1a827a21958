//! Tokens, quotes, and what stands between tokens.

use super::Spice;
use crate::random::Random;
use crate::statement::{Gap, Statement, Token, Value};

/// A column that an expression may name, with the name of its table.
pub(super) type Column = (&'static str, &'static str);

pub(super) struct Writer<'a> {
    pub(super) random: &'a mut Random,
    pub(super) spice: Spice,
    pub(super) columns: Vec<Column>,
    /// Whether there may be placeholders.
    pub(super) takes_values: bool,
    tokens: Vec<(Gap, Token)>,
    /// Whether this statement has comments and line ends anywhere.
    wild: bool,
    /// Whether it has RETURNING.
    pub(super) returns: bool,
}

const GAPS: &[(usize, Gap)] = &[
    (60, " "),
    (6, "\n"),
    (3, "\t"),
    (3, "\r\n"),
    (1, "\u{c}"),
    // A blank for SQLite only behind another.
    (1, " \u{b}"),
    (5, " /* c */ "),
    (2, "/**/"),
    (2, " /* 'now' */ "),
    (1, "/* ; */"),
    (1, " /* \" */\n"),
    (5, " -- c\n"),
    (2, " -- don't\n"),
    (1, " -- ;\n"),
    (1, " -- /*\n"),
    (1, " -- RETURNING\r\n"),
];

/// Words that stand for themselves where they are quoted, and may be names without quotes.
const NEEDS_QUOTES: &[&str] = &["order", "returning", "current_date"];

impl<'a> Writer<'a> {
    pub(super) fn new(random: &'a mut Random, spice: Spice) -> Self {
        let wild = random.one_in(2);
        Writer {
            random,
            spice,
            columns: Vec::new(),
            takes_values: true,
            tokens: Vec::new(),
            wild,
            returns: false,
        }
    }

    pub(super) fn finish(self) -> Statement {
        Statement {
            tokens: self.tokens,
            loaded: false,
        }
    }

    /// Words and signs, as they stand between blanks.
    pub(super) fn say(&mut self, words: &str) {
        for word in words.split(' ').filter(|word| !word.is_empty()) {
            let word = self.cased(word);
            self.token(Token::Text(word));
        }
    }

    /// A token as it is.
    pub(super) fn raw(&mut self, token: impl Into<String>) {
        self.token(Token::Text(token.into()));
    }

    pub(super) fn bound(&mut self, value: Value) {
        self.token(match self.takes_values {
            true => Token::Bound(value),
            false => Token::Text(value.literal()),
        });
    }

    fn token(&mut self, token: Token) {
        let gap = match self.wild {
            true => self.random.weighted(GAPS),
            false => " ",
        };
        self.tokens.push((gap, token));
    }

    /// In the case of this place.
    pub(super) fn cased(&mut self, word: &str) -> String {
        match self.random.below(if self.wild { 4 } else { 1 }) {
            1 => word.to_ascii_lowercase(),
            2 => word
                .chars()
                .map(|letter| match self.random.one_in(2) {
                    true => letter.to_ascii_uppercase(),
                    false => letter.to_ascii_lowercase(),
                })
                .collect(),
            _ => word.to_owned(),
        }
    }

    /// A name, with quotes where they must be, and otherwise now and then.
    pub(super) fn name(&mut self, name: &str) {
        let quote = NEEDS_QUOTES.contains(&name) || self.random.one_in(4);
        let text = match quote.then(|| self.random.below(4)) {
            Some(0) => format!("[{name}]"),
            Some(1) => format!("`{name}`"),
            Some(_) => format!("\"{name}\""),
            None => self.cased(name),
        };
        self.raw(text);
    }

    /// A function and its open parenthesis.
    pub(super) fn call(&mut self, function: &str) {
        self.name(function);
        self.raw("(");
    }

    /// Each of these, with commas between.
    pub(super) fn list<T: Copy>(&mut self, of: &[T], mut one: impl FnMut(&mut Self, T)) {
        for (place, item) in of.iter().enumerate() {
            if place > 0 {
                self.raw(",");
            }
            one(self, *item);
        }
    }

    /// So many, with commas between.
    pub(super) fn several(&mut self, count: usize, mut one: impl FnMut(&mut Self)) {
        for place in 0..count {
            if place > 0 {
                self.raw(",");
            }
            one(self);
        }
    }
}
