//! A statement as its tokens, so that they can be taken away one by one.

use std::fmt::Write as _;

/// What stands between two tokens, or at the begin.
pub(crate) type Gap = &'static str;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    Text(String),
    /// A placeholder, where the way of the statement takes values.
    Bound(Value),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

impl Value {
    pub(crate) fn literal(&self) -> String {
        match self {
            Value::Null => "NULL".to_owned(),
            Value::Integer(value) => value.to_string(),
            Value::Real(value) => format!("{value:?}"),
            Value::Text(text) => format!("'{}'", text.replace('\'', "''")),
            Value::Blob(bytes) => {
                bytes.iter().fold(String::from("x'"), |mut hex, byte| {
                    let _ = write!(hex, "{byte:02x}");
                    hex
                }) + "'"
            }
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Statement {
    pub(crate) tokens: Vec<(Gap, Token)>,
    /// Whether it is run for its rows.
    pub(crate) loaded: bool,
}

impl Statement {
    /// As text without placeholders.
    pub(crate) fn literal(&self) -> String {
        self.text(|value| value.literal())
    }

    /// As text with placeholders, and their values.
    pub(crate) fn bound(&self) -> (String, Vec<&Value>) {
        let text = self.text(|_| "?".to_owned());
        let values = self.tokens.iter().filter_map(|(_, token)| match token {
            Token::Bound(value) => Some(value),
            Token::Text(_) => None,
        });
        (text, values.collect())
    }

    fn text(&self, mut placeholder: impl FnMut(&Value) -> String) -> String {
        let mut text = String::new();
        for (gap, token) in &self.tokens {
            text.push_str(gap);
            match token {
                Token::Text(token) => text.push_str(token),
                Token::Bound(value) => text.push_str(&placeholder(value)),
            }
        }
        text
    }

    /// With blanks for gaps.
    pub(crate) fn with_blanks(&self) -> Statement {
        self.with(|(_, token)| (" ", token.clone()))
    }

    /// Without placeholders.
    pub(crate) fn with_literals(&self) -> Statement {
        self.with(|(gap, token)| match token {
            Token::Bound(value) => (gap, Token::Text(value.literal())),
            Token::Text(_) => (gap, token.clone()),
        })
    }

    /// Without so many tokens from this one on.
    pub(crate) fn without(&self, start: usize, length: usize) -> Statement {
        let mut shorter = self.clone();
        shorter.tokens.drain(start..start + length);
        shorter
    }

    fn with(&self, token: impl Fn(&(Gap, Token)) -> (Gap, Token)) -> Statement {
        Statement {
            tokens: self.tokens.iter().map(token).collect(),
            ..*self
        }
    }
}
