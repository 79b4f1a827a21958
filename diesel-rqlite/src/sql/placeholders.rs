//! Placeholders: their numbers, and SQL put around them.

use super::SqlError;
use super::scan::Scanned;
use super::tokens::{TokenKind, Tokens};

/// How many values SQLite's numbering of the placeholders asks for.
pub(crate) fn placeholders(scanned: &Scanned<'_>) -> Result<usize, SqlError> {
    Ok(numbers(scanned)?.into_iter().max().unwrap_or(0))
}

/// The number of each placeholder, from 1: `?` is one more than the highest so far, a name counts once.
pub(crate) fn numbers(scanned: &Scanned<'_>) -> Result<Vec<usize>, SqlError> {
    let mut highest = 0;
    let mut named: Vec<(&str, usize)> = Vec::new();
    let mut numbers = Vec::with_capacity(scanned.variables.len());
    for range in &scanned.variables {
        let text = &scanned.text[range.clone()];
        let number = match text.strip_prefix('?') {
            Some("") => highest + 1,
            Some(digits) => digits.parse().unwrap_or(0),
            None => match named.iter().find(|(name, _)| *name == text) {
                Some((_, number)) => *number,
                None => {
                    named.push((text, highest + 1));
                    highest + 1
                }
            },
        };
        // Not SQLite's limit: a script may count further through all of its statements.
        if !(1..=u32::MAX as usize).contains(&number) {
            return Err(SqlError::PlaceholderNumber);
        }
        highest = highest.max(number);
        numbers.push(number);
    }
    Ok(numbers)
}

/// Version 10 stores NULL for values that are missing altogether.
pub(crate) fn check_count(scanned: &Scanned<'_>, given: usize) -> Result<(), SqlError> {
    match placeholders(scanned)? {
        wanted if wanted == given => Ok(()),
        wanted => Err(SqlError::Placeholders { wanted, given }),
    }
}

/// Each placeholder by its number, so that an expression with one may be written twice.
pub(crate) fn number_variables(scanned: &Scanned<'_>) -> Result<Option<String>, SqlError> {
    let numbers: Vec<_> = numbers(scanned)?
        .iter()
        .map(|number| format!("?{number}"))
        .collect();
    Ok(rewrite_variables(scanned.text, |place| {
        Some(("", numbers.get(place)?, ""))
    }))
}

/// Replaces each placeholder by `before + name + behind`, an empty name being its own. `None`: nothing to do.
pub(crate) fn rewrite_variables<'r>(
    sql: &str,
    replacement: impl Fn(usize) -> Option<(&'r str, &'r str, &'r str)>,
) -> Option<String> {
    let tokens = Tokens::new(sql).map_while(Result::ok);
    let variables = tokens.filter(|token| token.kind == TokenKind::Variable);
    let mut rewritten = String::new();
    let mut copied = 0;
    for (place, variable) in variables.enumerate() {
        let own = &sql[variable.range.clone()];
        let Some((before, name, behind)) = replacement(place) else {
            continue;
        };
        let name = if name.is_empty() { own } else { name };
        rewritten.push_str(&sql[copied..variable.range.start]);
        rewritten.push_str(before);
        rewritten.push_str(name);
        rewritten.push_str(behind);
        copied = variable.range.end;
    }
    if copied == 0 {
        return None;
    }
    rewritten.push_str(&sql[copied..]);
    Some(rewritten)
}
