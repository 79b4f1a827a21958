//! Token by token.

use std::collections::HashSet;

use diesel_rqlite_sql::{Token, TokenKind, tokens};

use crate::corpus::corpus;
use crate::pieces::pieces;
use crate::sqlite::{Next, Sqlite};
use crate::{number, random_statements};

/// How a text was read by both.
#[derive(Debug, PartialEq)]
enum Reading {
    Same(usize),
    /// SQLite refuses it, whatever we say.
    Refused,
}

struct Comparison {
    sqlite: Sqlite,
    /// Tokens whose kind is known to be right.
    seen: HashSet<String>,
}

impl Comparison {
    fn new() -> Self {
        Comparison {
            sqlite: Sqlite::open(),
            seen: HashSet::new(),
        }
    }

    fn of(&mut self, text: &str) -> Result<Reading, String> {
        let ours = match tokens(text) {
            Ok(ours) => ours,
            Err(error) => {
                return self
                    .without_ours(text)
                    .map_err(|reason| format!("{error}, but {reason}"));
            }
        };
        let mut left = &ours[..];
        let mut at = 0;
        loop {
            match self.sqlite.next(&text[at..]) {
                Next::NoToken => return Ok(Reading::Refused),
                Next::Token(token) => {
                    let first = left
                        .first()
                        .ok_or_else(|| format!("SQLite has {token:?} more"))?;
                    let start = self.behind_gap(text, at, first)?;
                    let end = start + token.len();
                    if text.get(start..end) != Some(&token) {
                        return Err(format!("SQLite has {token:?} at {start}"));
                    }
                    let same = left.iter().position(|ours| ours.range().end >= end);
                    let same = same.filter(|last| left[*last].range().end == end);
                    let number = first.kind == TokenKind::Number;
                    if same.is_none() && number && self.sqlite.no_sql_behind_a_number(&text[end..])
                    {
                        return Ok(Reading::Refused);
                    }
                    let last = same
                        .ok_or_else(|| format!("SQLite has {token:?} at the begin of {first:?}"))?;
                    // Only operators have more than one of ours.
                    if last > 0
                        && left[..=last]
                            .iter()
                            .any(|token| token.kind != TokenKind::Operator)
                    {
                        return Err(format!("SQLite has {token:?} for {:?}", &left[..=last]));
                    }
                    self.kind(&token, first)?;
                    left = &left[last + 1..];
                    at = end;
                }
                Next::End => match left.split_first() {
                    Some((first, rest)) if first.kind == TokenKind::Semicolon => {
                        at = self.behind_gap(text, at, first)? + 1;
                        left = rest;
                    }
                    Some((first, _)) => {
                        return Err(format!("SQLite is at the end before {first:?}"));
                    }
                    None => {
                        self.blank(&text[at..])?;
                        return Ok(Reading::Same(ours.len()));
                    }
                },
            }
        }
    }

    /// What we can't read must be what SQLite can't.
    fn without_ours(&mut self, text: &str) -> Result<Reading, String> {
        let mut at = 0;
        loop {
            match self.sqlite.next(&text[at..]) {
                Next::NoToken => return Ok(Reading::Refused),
                Next::Token(token) => {
                    let start = text[at..].find(&token).expect("is there");
                    at += start + token.len();
                }
                Next::End => match text[at..].find(';') {
                    Some(semicolon) => at += semicolon + 1,
                    None => return Err("SQLite reads it to the end".to_owned()),
                },
            }
        }
    }

    /// The start of our token, before which SQLite must see nothing either.
    fn behind_gap(&mut self, text: &str, at: usize, token: &Token) -> Result<usize, String> {
        let start = token.range().start;
        self.blank(&text[at..start])?;
        Ok(start)
    }

    fn blank(&mut self, gap: &str) -> Result<(), String> {
        match self.sqlite.next(&format!("{gap}~")) {
            Next::Token(token) if token == "~" => Ok(()),
            // So does a comment that is not closed.
            Next::End if gap.contains("/*") => Ok(()),
            // A line's comment goes on to the end of the text.
            _ if self.sqlite.next(&format!("{gap}\n~")) == Next::Token("~".to_owned()) => Ok(()),
            next => Err(format!("SQLite has {next:?} in {gap:?}")),
        }
    }

    fn kind(&mut self, token: &str, ours: &Token) -> Result<(), String> {
        if self.seen.contains(token) {
            return Ok(());
        }
        let variable = ours.kind == TokenKind::Variable;
        if self.sqlite.is_variable(token) != variable {
            return Err(format!("{token:?} is a {:?}", ours.kind));
        }
        self.seen.insert(token.to_owned());
        Ok(())
    }
}

fn all_same(texts: impl IntoIterator<Item = String>) -> (usize, usize) {
    let mut comparison = Comparison::new();
    let (mut tokens, mut refused) = (0, 0);
    let mut different = Vec::new();
    for text in texts {
        match comparison.of(&text) {
            Ok(Reading::Same(count)) => tokens += count,
            Ok(Reading::Refused) => refused += 1,
            Err(reason) => different.push(format!("{text:?}: {reason}")),
        }
    }
    different.sort_by_key(String::len);
    // One of a kind.
    let mut kinds = HashSet::new();
    different.retain(|different| {
        let kind = different.rsplit("\": ").next().unwrap_or_default();
        kinds.insert(kind.replace(|sign: char| sign.is_ascii_digit(), ""))
    });
    assert!(
        different.is_empty(),
        "{} different:\n{}",
        different.len(),
        different[..different.len().min(number("READING_SHOWN", 40))].join("\n")
    );
    (tokens, refused)
}

#[test]
fn tokens_are_sqlites_own_in_known_sql() {
    let (tokens, refused) = all_same(corpus());
    assert!(
        tokens > 5000 && refused == 0,
        "{tokens} tokens, {refused} refused"
    );
}

#[test]
fn tokens_are_sqlites_own_in_random_statements() {
    let (tokens, refused) = all_same(random_statements());
    assert!(
        tokens > 50_000 && refused == 0,
        "{tokens} tokens, {refused} refused"
    );
}

#[test]
fn tokens_are_sqlites_own_in_random_pieces() {
    let (tokens, _) = all_same(pieces());
    assert!(tokens > 20_000, "{tokens} tokens");
}
