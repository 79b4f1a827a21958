//! Beside a published parser of SQLite's dialect. Where both can read a statement, they say the same of it; where they
//! differ, SQLite is asked.

use std::collections::BTreeMap;

use diesel_rqlite_sql::{Form, Parsed, TokenKind, parse, tokens};
use turso_parser::ast::{Cmd, CreateTableBody, Stmt};
use turso_parser::lexer::Lexer;
use turso_parser::parser::Parser;

use crate::corpus::{of_diesel, statements};
use crate::grammar;
use crate::pieces::pieces;
use crate::random_statements;
use crate::sqlite::{Next, Sqlite};

fn form(command: &Cmd) -> Form {
    let Cmd::Stmt(statement) = command else {
        return Form::Explain;
    };
    match statement {
        Stmt::Select(_) => Form::Select,
        Stmt::Insert { .. } => Form::Insert,
        Stmt::Update(_) => Form::Update,
        Stmt::Delete { .. } => Form::Delete,
        Stmt::CreateTable {
            body: CreateTableBody::AsSelect(_),
            ..
        } => Form::CreateTableAs,
        Stmt::Pragma { .. } => Form::Pragma,
        Stmt::Vacuum { .. } => Form::Vacuum,
        Stmt::Attach { .. } | Stmt::Detach { .. } => Form::Attach,
        Stmt::Begin { .. } => Form::Begin,
        Stmt::Commit { .. } => Form::Commit,
        Stmt::Rollback { .. } | Stmt::Savepoint { .. } | Stmt::Release { .. } => Form::Savepoint,
        _ => Form::Schema,
    }
}

/// What it refuses, or reads otherwise, though SQLite does not: it is wrong there.
const WRONG: &[&str] = &[
    // It counts the terms of a row wrongly.
    " values for ",
    "all VALUES must have the same number of terms",
    // A function whose name is in quotes.
    "near \"(\": syntax error",
];

#[test]
fn statements_are_what_a_published_parser_says() {
    let mut sqlite = Sqlite::open();
    let known = statements()
        .into_iter()
        .map(str::to_owned)
        .chain(of_diesel());
    let (mut all, mut read, mut different) = (0, 0, Vec::new());
    let mut wrong: BTreeMap<String, String> = BTreeMap::new();
    assert_eq!(sqlite.message(grammar::SCHEMA), "");
    for text in known.chain(random_statements()) {
        all += 1;
        // It does not know the vertical tab.
        let text = text.replace('\u{b}', " ");
        let theirs: Result<Vec<_>, _> = Parser::new(text.as_bytes()).collect();
        match theirs {
            Err(error) => {
                let reason = error
                    .to_string()
                    .lines()
                    .next()
                    .unwrap_or_default()
                    .to_owned();
                let said = sqlite.message(&format!("EXPLAIN {text}"));
                // It does not know the vertical tab.
                let is_known =
                    reason.contains('\u{b}') || WRONG.iter().any(|known| reason.contains(known));
                if !said.contains("syntax error") && !is_known {
                    wrong
                        .entry(reason)
                        .or_insert_with(|| format!("{text}: SQLite: {said:?}"));
                }
            }
            Ok(theirs) => {
                read += 1;
                let theirs: Vec<_> = theirs.iter().map(form).collect();
                let ours =
                    parse(&text).map(|ours| ours.iter().map(Parsed::form).collect::<Vec<_>>());
                if ours.as_ref() != Ok(&theirs) {
                    different.push(format!("{theirs:?}, and we {ours:?}: {text:?}"));
                }
            }
        }
    }
    assert!(
        different.is_empty(),
        "{} different:\n{}",
        different.len(),
        different.join("\n")
    );
    assert!(wrong.is_empty(), "{wrong:#?}");
    // It is a check only where it reads.
    assert!(read * 5 >= all * 4, "{read} of {all}");
}

/// One token of the published lexer, as a range. `None` where it refuses the text.
fn theirs(text: &str) -> Option<Vec<(usize, usize)>> {
    let mut ranges = Vec::new();
    for token in Lexer::new(text.as_bytes()) {
        let token = token.ok()?;
        let start = (token.value.as_ptr() as usize).wrapping_sub(text.as_ptr() as usize);
        if start > text.len() {
            return None;
        }
        if token.token_type != turso_parser::token::TokenType::TK_NONE {
            ranges.push((start, start + token.value.len()));
        }
    }
    Some(ranges)
}

/// Ours, with the characters of an operator joined as there.
fn ours(text: &str, theirs: &[(usize, usize)]) -> Option<Vec<(usize, usize)>> {
    let mut joined: Vec<(usize, usize)> = Vec::new();
    for token in tokens(text).ok()? {
        let range = token.range();
        match joined.last_mut() {
            Some(last)
                if token.kind == TokenKind::Operator
                    && last.1 == range.start
                    && theirs
                        .iter()
                        .any(|(start, end)| *start == last.0 && *end >= range.end) =>
            {
                last.1 = range.end;
            }
            _ => joined.push((range.start, range.end)),
        }
    }
    Some(joined)
}

#[test]
fn where_a_published_lexer_differs_sqlite_reads_as_we_do() {
    let mut sqlite = Sqlite::open();
    let mut same = 0;
    let mut wrong = Vec::new();
    let known = statements().into_iter().map(str::to_owned);
    for text in known.chain(random_statements()).chain(pieces()) {
        let (Some(theirs), Some(known)) = (theirs(&text), tokens(&text).ok()) else {
            continue;
        };
        let ours = ours(&text, &theirs).expect("is known");
        let first = theirs
            .iter()
            .zip(&ours)
            .find(|(theirs, ours)| theirs != ours);
        let Some((theirs, ours)) = first else {
            same += 1;
            continue;
        };
        // SQLite decides, at our first token that is not the same: it ends with it, or with others of an operator.
        let Some(rest) = text.get(ours.0..) else {
            continue;
        };
        match sqlite.next(rest) {
            Next::Token(token)
                if known
                    .iter()
                    .any(|known| known.range().end == ours.0 + token.len()) => {}
            Next::Token(token) if sqlite.no_sql_behind_a_number(&rest[token.len()..]) => {}
            Next::NoToken | Next::End => {}
            next => wrong.push(format!(
                "{next:?}, they {theirs:?}, and we {ours:?}: {text:?}"
            )),
        }
    }
    wrong.sort_by_key(String::len);
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(30)].join("\n")
    );
    assert!(same > 5000, "{same}");
}
