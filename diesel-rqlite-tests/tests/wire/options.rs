//! The options of URLs, as the documentation lists them.

/// The names of the options whose value is described by a text that begins like this.
pub(crate) fn documented_options(begin: &str) -> Vec<&'static str> {
    let documentation = include_str!("../../../diesel-rqlite/src/config/mod.rs");
    let rows = documentation
        .lines()
        .filter_map(|line| line.strip_prefix("/// | `"));
    let rows = rows.filter_map(|row| row.split_once(" | "));
    let names: Vec<_> = rows
        .filter(|(_, value)| value.starts_with(begin))
        .flat_map(|(names, _)| names.split(", "))
        .map(|name| name.trim_matches('`'))
        .collect();
    assert!(names.len() > 4, "{names:?}");
    names
}
