//! The parts of a script between what sets up a connection.

use diesel_rqlite_sql::{Control, Parsed, Setting};

/// See the module.
#[derive(Debug)]
pub(crate) enum Section<'a> {
    Set(Setting),
    Statements(Vec<Parsed<'a>>),
}

/// Cuts a script where it switches foreign keys on or off. What sets up anything else does nothing, and stands in front.
/// Behind a BEGIN, as in a transaction, SQLite ignores `foreign_keys`.
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

/// How foreign keys are to be behind the script, if it says so.
pub(crate) fn last_foreign_keys(sections: &[Section<'_>]) -> Option<bool> {
    sections.iter().rev().find_map(|section| match section {
        Section::Set(Setting::ForeignKeys(wanted)) => Some(*wanted),
        _ => None,
    })
}
