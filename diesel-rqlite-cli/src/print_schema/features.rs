//! Names the features that a program needs to compile a `schema.rs`. The compiler's message names no feature.

/// The SQL types that need a feature of diesel-rqlite.
const NEEDED: [(&str, &str); 5] = [
    ("Json", "serde_json"),
    ("Jsonb", "serde_json"),
    ("Numeric", "numeric"),
    ("Timestamptz", "timestamptz"),
    ("Uuid", "uuid"),
];

/// Returns a note that lists the features of diesel-rqlite that the columns of a `schema.rs` need.
pub(super) fn note_of(schema: &str) -> Option<String> {
    let types = schema
        .lines()
        .filter_map(|line| line.split_once(" -> "))
        .flat_map(|(_, sql_type)| sql_type.split(|letter: char| !letter.is_alphanumeric()));
    let types: Vec<_> = types.collect();
    let needed = NEEDED
        .iter()
        .filter(|(name, _)| types.contains(name))
        .map(|(name, feature)| format!("`{name}` needs `{feature}`"));
    let needed: Vec<_> = needed.collect();
    (!needed.is_empty()).then(|| format!("features of diesel-rqlite: {}", needed.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_types_of_columns_count() {
        let schema = "diesel::table! {\n    json (id) {\n        id -> Nullable<Uuid>,\n        numeric -> Text,\n        \
                      at -> Timestamp,\n        body -> Jsonb,\n    }\n}\n";
        let note = "features of diesel-rqlite: `Jsonb` needs `serde_json`, `Uuid` needs `uuid`";
        assert_eq!(note_of(schema).as_deref(), Some(note));
        assert_eq!(note_of("diesel::table! { t { uuid -> Text, } }"), None);
    }
}
