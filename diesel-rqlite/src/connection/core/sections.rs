//! Splitting a script at the statements that set up a connection.

use diesel_rqlite_sql::{Control, Parsed, Setting};

/// A part of a script: a setting, or the statements between two settings.
#[derive(Debug)]
pub(crate) enum Section<'a> {
    Set(Setting),
    Statements(Vec<Parsed<'a>>),
}

/// Splits a script where it switches foreign keys on or off. Other settings have no effect, and are
/// put before the statements that precede them. After a BEGIN, as in any transaction, SQLite
/// ignores `foreign_keys`.
pub(crate) fn sections(found: Vec<Parsed<'_>>, in_transaction: bool) -> Vec<Section<'_>> {
    let mut begun = in_transaction;
    let mut sections = Vec::new();
    let mut statements = Vec::new();
    for parsed in found {
        match Control::of(&parsed) {
            Ok(Some(Control::Begin { .. } | Control::Savepoint(_))) => begun = true,
            Ok(Some(Control::Commit | Control::RollBack)) => begun = false,
            _ => {}
        }
        match parsed.setting() {
            None => statements.push(parsed),
            Some(Setting::ForeignKeys(_)) if begun => {}
            Some(setting @ Setting::ForeignKeys(_)) => {
                if !statements.is_empty() {
                    sections.push(Section::Statements(std::mem::take(&mut statements)));
                }
                sections.push(Section::Set(setting));
            }
            Some(setting) => sections.push(Section::Set(setting)),
        }
    }
    if !statements.is_empty() {
        sections.push(Section::Statements(statements));
    }
    sections
}

/// Returns the state of foreign keys after the script, if the script sets it.
pub(crate) fn last_foreign_keys(sections: &[Section<'_>]) -> Option<bool> {
    sections.iter().rev().find_map(|section| match section {
        Section::Set(Setting::ForeignKeys(wanted)) => Some(*wanted),
        _ => None,
    })
}
