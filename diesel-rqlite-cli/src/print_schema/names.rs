//! Rust names for SQL names, as Diesel's own tool chooses them.

/// The words that can't name a table or a column in `table!`: Rust's keywords, and names that the macro defines.
const RESERVED: &[&str] = &[
    "",
    "_",
    "Self",
    "abstract",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "columns",
    "const",
    "continue",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "if",
    "impl",
    "in",
    "is_nullable",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "struct",
    "super",
    "table",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

/// Returns the Rust name of a table or of a module.
pub(super) fn of_table(sql: &str) -> String {
    free(identifier(sql), None)
}

/// Returns the Rust name of a column in a table with this Rust name.
pub(super) fn of_column(sql: &str, table: &str) -> String {
    free(identifier(sql), Some(table))
}

/// Returns the name of a struct for a declared type: `my_enum(1, 2)` becomes `MyEnum`.
pub(super) fn of_type(declared: &str) -> String {
    let words = declared.split('(').next().unwrap_or_default();
    let words = words.split(|c: char| !c.is_ascii_alphanumeric());
    let camel: String = words.map(capitalized).collect();
    match camel.chars().next() {
        Some(first) if first.is_ascii_digit() => format!("_{camel}"),
        Some(_) if camel == "Self" => "Self_".to_owned(),
        Some(_) => camel,
        None => "Unnamed".to_owned(),
    }
}

/// Splits the name of a struct into words, the reverse of `of_type`: `MyMood` becomes `My_Mood`.
pub(super) fn words(camel: &str) -> String {
    let mut words = String::with_capacity(camel.len());
    for letter in camel.chars() {
        if letter.is_ascii_uppercase() && !words.is_empty() {
            words.push('_');
        }
        words.push(letter);
    }
    words
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first
        .into_iter()
        .chain(letters.map(|letter| letter.to_ascii_lowercase()))
        .collect()
}

/// Replaces each run of characters that can't be in a name by one underscore.
fn identifier(sql: &str) -> String {
    let mut name = String::with_capacity(sql.len());
    if sql.starts_with(|first: char| first.is_ascii_digit()) {
        name.push('_');
    }
    let mut replaced = false;
    for letter in sql.chars() {
        let fits = letter.is_ascii_alphanumeric() || letter == '_';
        if fits {
            name.push(letter);
        } else if !replaced {
            name.push('_');
        }
        replaced = !fits;
    }
    name
}

fn free(name: String, table: Option<&str>) -> String {
    if is_reserved(&name) || table == Some(&name) {
        name + "_"
    } else {
        name
    }
}

fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name) || (name.starts_with("__") && !name.ends_with('_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_stock_tool() {
        for (sql, rust) in [
            ("posts", "posts"),
            ("type", "type_"),
            ("table", "table_"),
            ("is_nullable", "is_nullable_"),
            ("union", "union"),
            ("__x", "__x_"),
            ("__x_", "__x_"),
            ("my table", "my_table"),
            ("a  -- b", "a_b"),
            ("a_ b", "a__b"),
            ("ключ", "__"),
            ("é", "__"),
            ("1st place", "_1st_place"),
        ] {
            assert_eq!(of_table(sql), rust, "{sql}");
        }
    }

    #[test]
    fn a_column_is_not_named_as_its_table() {
        assert_eq!(of_column("posts", "posts"), "posts_");
        assert_eq!(of_column("posts", "users"), "posts");
    }

    #[test]
    fn types_are_camels() {
        for (declared, rust) in [
            ("mood", "Mood"),
            ("MY_ENUM(1, 2)", "MyEnum"),
            ("3d point", "_3dPoint"),
            ("SELF", "Self_"),
            ("(1)", "Unnamed"),
        ] {
            assert_eq!(of_type(declared), rust, "{declared}");
        }
    }
}
