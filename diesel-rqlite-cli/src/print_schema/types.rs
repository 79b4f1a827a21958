//! Derives the SQL type of a column from its declared type.

use super::names;

/// A type in `table!`, without its `Nullable`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SqlType {
    /// A type of `diesel::sql_types`.
    Known(&'static str),
    /// A type that neither SQLite nor Diesel has. Its name is made from the declaration.
    Custom { name: String, declared: String },
}

impl SqlType {
    /// Returns the name of the type in Rust.
    pub fn name(&self) -> &str {
        match self {
            SqlType::Known(name) => name,
            SqlType::Custom { name, .. } => name,
        }
    }

    /// Derives the type by the rules of Diesel's own tool, which look for parts of the name as SQLite's rules do.
    /// Then handles the types that Diesel's tool refuses.
    pub(crate) fn of(declared: &str, decimal_is_numeric: bool) -> Self {
        let name = declared.to_lowercase();
        // This is what remains of a generated column without a type in SQLite.
        let name = if name == "generated always" {
            ""
        } else {
            &name
        };
        if let Some(known) = of_sqlite(name, decimal_is_numeric) {
            return SqlType::Known(known);
        }
        if let Some(known) = beyond_sqlite(name) {
            return SqlType::Known(known);
        }
        SqlType::Custom {
            name: names::of_type(declared),
            declared: declared.to_owned(),
        }
    }

    /// Returns the declaration for a column of the type with this name, the reverse of [`SqlType::of`]. It is the
    /// name in capitals, as Diesel's own tool writes it. If only the separate words are read as this type again, it
    /// is these: `MyMood` becomes `MY_MOOD`.
    pub(crate) fn declaration(name: &str) -> String {
        let capitals = name.to_uppercase();
        let words = names::words(name).to_uppercase();
        let is_read_back = |declared: &String| Self::of(declared, true).name() == name;
        if !is_read_back(&capitals) && is_read_back(&words) {
            return words;
        }
        capitals
    }
}

fn of_sqlite(name: &str, decimal_is_numeric: bool) -> Option<&'static str> {
    let has = |part: &str| name.contains(part);
    let known = if name == "boolean" || name == "bool" || (has("tiny") && has("int")) {
        "Bool"
    } else if name == "int2" || (has("small") && has("int")) {
        "SmallInt"
    } else if name == "int8" || (has("big") && has("int")) {
        "BigInt"
    } else if has("int") {
        "Integer"
    } else if has("char") || has("clob") || has("text") {
        "Text"
    } else if has("blob") || has("binary") || name.is_empty() {
        "Binary"
    } else if has("float") || has("real") {
        "Float"
    } else if decimal_is_numeric && (has("num") || has("dec")) {
        "Numeric"
    } else if has("double") || has("num") || has("dec") {
        "Double"
    } else {
        match name {
            "datetime" | "timestamp" => "Timestamp",
            "date" => "Date",
            "time" => "Time",
            _ => return None,
        }
    };
    Some(known)
}

fn beyond_sqlite(name: &str) -> Option<&'static str> {
    let without_arguments = name.split('(').next().unwrap_or_default();
    match without_arguments.trim() {
        "json" => Some("Json"),
        "jsonb" => Some("Jsonb"),
        "uuid" => Some("Uuid"),
        "timestamptz" | "timestamp with time zone" => Some("Timestamptz"),
        "datetime" | "timestamp" | "timestamp without time zone" => Some("Timestamp"),
        "time" | "time without time zone" => Some("Time"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_types() {
        for (declared, wanted) in [
            ("INTEGER", "Integer"),
            ("", "Binary"),
            ("generated always", "Binary"),
            ("TINYINT(1)", "Bool"),
            ("UNSIGNED BIG INT", "BigInt"),
            ("POINT", "Integer"),
            ("VARCHAR(255)", "Text"),
            ("VARBINARY(3)", "Binary"),
            ("REAL", "Float"),
            ("DOUBLE PRECISION", "Double"),
            ("DECIMAL(10, 2)", "Double"),
            ("DateTime", "Timestamp"),
            ("DATETIME(6)", "Timestamp"),
            ("TIMESTAMP WITH TIME ZONE", "Timestamptz"),
            ("timestamptz", "Timestamptz"),
            ("JSON", "Json"),
            ("JsonB", "Jsonb"),
            ("uuid", "Uuid"),
        ] {
            assert_eq!(
                SqlType::of(declared, false),
                SqlType::Known(wanted),
                "{declared}"
            );
        }
    }

    #[test]
    fn decimals_are_numeric_where_that_is_wanted() {
        for declared in ["DECIMAL(10,2)", "NUMERIC"] {
            assert_eq!(SqlType::of(declared, true), SqlType::Known("Numeric"));
        }
        assert_eq!(SqlType::of("DOUBLE", true), SqlType::Known("Double"));
    }

    #[test]
    fn declarations_are_read_as_the_type() {
        for name in [
            "Bool",
            "SmallInt",
            "Integer",
            "BigInt",
            "Text",
            "Binary",
            "Float",
            "Double",
            "Numeric",
            "Timestamp",
            "Date",
            "Time",
            "Json",
            "Jsonb",
            "Uuid",
            "Timestamptz",
            "Mood",
            "MyMood",
            "Rgb3dColor",
            "ABTest",
        ] {
            let declared = SqlType::declaration(name);
            assert_eq!(SqlType::of(&declared, true).name(), name, "{declared}");
        }
        for (name, declared) in [
            ("BigInt", "BIGINT"),
            ("Timestamptz", "TIMESTAMPTZ"),
            ("VarChar", "VARCHAR"),
            ("Int4", "INT4"),
            ("MyMood", "MY_MOOD"),
            // With or without `_`, the name is read as a number.
            ("MyEnum", "MYENUM"),
        ] {
            assert_eq!(SqlType::declaration(name), declared);
        }
    }

    #[test]
    fn other_types_get_a_name() {
        let mood = SqlType::of("mood", false);
        assert_eq!(mood.name(), "Mood");
        assert!(matches!(mood, SqlType::Custom { declared, .. } if declared == "mood"));
    }
}
