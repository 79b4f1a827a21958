//! Reads `schema.rs` with the parser of `table!` itself.

use diesel_table_macro_syntax::{ColumnDef, TableDecl};
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream};
use syn::visit::{self, Visit};
use syn::{GenericArgument, Ident, Macro, Path, PathArguments, Token, Type, TypePath};

/// The tables of a file in their order, including those of its modules.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct SchemaFile {
    pub(super) tables: Vec<Table>,
    pub(super) joins: Vec<Join>,
}

/// A `table!`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) rust_name: String,
    /// The columns of the primary key. Like the names of the columns, these are SQL names.
    pub(super) primary_key: Vec<String>,
    pub(super) columns: Vec<Column>,
}

/// A column of a `table!`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) rust_name: String,
    /// The type without its path: `BigInt`.
    pub(super) sql_type: String,
    pub(super) is_nullable: bool,
    pub(super) max_length: Option<u64>,
}

/// A `joinable!`, in Rust names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Join {
    pub(super) child: String,
    pub(super) parent: String,
    pub(super) column: String,
}

impl SchemaFile {
    /// # Errors
    ///
    /// Returns an error for text that is not Rust, for macros that Diesel would not accept, and for types of other
    /// databases.
    pub(super) fn parse(text: &str) -> syn::Result<Self> {
        let file = syn::parse_file(text)?;
        let mut reader = Reader::default();
        reader.visit_file(&file);
        match reader.error {
            Some(error) => Err(error),
            None => Ok(reader.schema),
        }
    }

    pub(super) fn table(&self, name: &str) -> Option<&Table> {
        let mut tables = self.tables.iter();
        tables.find(|table| table.name.eq_ignore_ascii_case(name))
    }

    pub(super) fn table_in_rust(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.rust_name == name)
    }
}

impl Table {
    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        let mut columns = self.columns.iter();
        columns.find(|column| column.name.eq_ignore_ascii_case(name))
    }
}

/// Returns the line of an error. An error at the end of the text has no position of its own.
pub(super) fn line(error: &syn::Error, text: &str) -> usize {
    let span = error.span();
    if span.byte_range().is_empty() {
        text.lines().count()
    } else {
        span.start().line
    }
}

/// Visits all macros, and stops at the first error.
#[derive(Default)]
struct Reader {
    schema: SchemaFile,
    error: Option<syn::Error>,
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_macro(&mut self, found: &'ast Macro) {
        if let Err(error) = self.read(found) {
            self.error.get_or_insert(error);
        }
        visit::visit_macro(self, found);
    }
}

impl Reader {
    fn read(&mut self, found: &Macro) -> syn::Result<()> {
        let name = found.path.segments.last().map(|last| &last.ident);
        if name.is_some_and(|name| name == "table") {
            let table = table(&found.parse_body()?)?;
            // If several tables have this name, the last one counts.
            let same = |other: &Table| other.name.eq_ignore_ascii_case(&table.name);
            self.schema.tables.retain(|other| !same(other));
            self.schema.tables.push(table);
        } else if name.is_some_and(|name| name == "joinable") {
            self.schema.joins.push(found.parse_body()?);
        }
        Ok(())
    }
}

fn table(declared: &TableDecl) -> syn::Result<Table> {
    let columns = declared.column_defs.iter().map(column);
    let columns = columns.collect::<syn::Result<Vec<_>>>()?;
    let in_sql = |key: String| {
        let column = columns.iter().find(|column| column.rust_name == key);
        column.map_or(key, |column| column.name.clone())
    };
    let primary_key = match &declared.primary_keys {
        Some(key) => key.keys.iter().map(|key| in_sql(rust_name(key))).collect(),
        None => vec![in_sql("id".to_owned())],
    };
    Ok(Table {
        name: declared.sql_name.clone(),
        rust_name: rust_name(&declared.table_name),
        primary_key,
        columns,
    })
}

fn column(declared: &ColumnDef) -> syn::Result<Column> {
    let (sql_type, is_nullable) = sql_type(&declared.tpe)?;
    let max_length = declared.max_length.as_ref();
    Ok(Column {
        name: declared.sql_name.clone(),
        rust_name: rust_name(&declared.column_name),
        sql_type,
        is_nullable,
        max_length: max_length.map(|length| length.base10_parse()).transpose()?,
    })
}

/// Returns the name of the type, and whether it is in a `Nullable`.
fn sql_type(path: &TypePath) -> syn::Result<(String, bool)> {
    let error = |name: &Ident| {
        let text = format!("`{name}` is no SQL type of rqlite here");
        syn::Error::new(name.span(), text)
    };
    let Some(last) = path.path.segments.last() else {
        return Err(syn::Error::new_spanned(path, "a type is missing"));
    };
    match &last.arguments {
        PathArguments::None if last.ident != "Nullable" => Ok((last.ident.to_string(), false)),
        PathArguments::AngleBracketed(arguments) if last.ident == "Nullable" => {
            match arguments.args.first() {
                Some(GenericArgument::Type(Type::Path(inner))) => Ok((sql_type(inner)?.0, true)),
                _ => Err(error(&last.ident)),
            }
        }
        _ => Err(error(&last.ident)),
    }
}

fn rust_name(name: &Ident) -> String {
    name.unraw().to_string()
}

impl Parse for Join {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let child = last_name(input)?;
        input.parse::<Token![->]>()?;
        let parent = last_name(input)?;
        let column;
        syn::parenthesized!(column in input);
        Ok(Join {
            child,
            parent,
            column: rust_name(&column.parse()?),
        })
    }
}

fn last_name(input: ParseStream<'_>) -> syn::Result<String> {
    let path = Path::parse_mod_style(input)?;
    let last = path.segments.last();
    Ok(last.map_or_else(String::new, |last| rust_name(&last.ident)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_all_modules_are_found() {
        let file = SchemaFile::parse(
            r#"
            //! Written by hand.
            diesel::table! { use diesel::sql_types::*; /// Docs
                users { id -> Integer, #[sql_name = "type"] type_ -> Nullable<Text>, } }
            pub mod more {
                pub mod deep { table! { #[sql_name = "a b"] a_b (r#in, k) { r#in -> crate::types::Mood, k -> Text } } }
                diesel::joinable!(users -> deep::a_b (r#type));
            }
            diesel::allow_tables_to_appear_in_same_query!(users, a_b,);
            "#,
        )
        .expect("parses");
        let names: Vec<_> = file.tables.iter().map(|table| &table.name).collect();
        assert_eq!(names, ["users", "a b"]);
        assert_eq!(file.table("USERS").expect("there").primary_key, ["id"]);
        let deep = file.table_in_rust("a_b").expect("there");
        assert_eq!(deep.primary_key, ["in", "k"]);
        assert_eq!(deep.columns[0].sql_type, "Mood");
        let kind = file.tables[0].column("Type").expect("there");
        assert_eq!((kind.rust_name.as_str(), kind.is_nullable), ("type_", true));
        let join = &file.joins[0];
        assert_eq!(
            (join.parent.as_str(), join.column.as_str()),
            ("a_b", "type")
        );
    }

    #[test]
    fn a_table_of_two_definitions_has_the_last() {
        let file = SchemaFile::parse("table! { a { id -> Integer } } table! { A { id -> Text } }");
        let file = file.expect("parses");
        assert_eq!(file.tables.len(), 1);
        assert_eq!(file.tables[0].columns[0].sql_type, "Text");
    }

    #[test]
    fn a_key_is_found_by_its_name_in_rust() {
        let text =
            r##"table! { a (type_) { #[sql_name = "type"] #[max_length = 5] type_ -> Text } }"##;
        let file = SchemaFile::parse(text).expect("parses");
        assert_eq!(file.tables[0].primary_key, ["type"]);
        assert_eq!(file.tables[0].columns[0].max_length, Some(5));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for text in [
            "\ntable! { a { id Integer } }",
            "\ntable! { a { id -> Array<Integer> } }",
            "\ntable! { a { id -> Nullable<Unsigned<Integer>> } }",
            "\ntable! { a { id -> Nullable } }",
            "\ntable! { a { id -> Nullable<(Integer, Text)> } }",
            "\ntable! { a { #[max_length = 99999999999999999999] id -> Text } }",
            "\njoinable!(a, b);\n",
            "\njoinable!(a -> b);\n",
            "\njoinable!(a -> b (c))",
            "\nfn 5",
        ] {
            let error = SchemaFile::parse(text).expect_err(text);
            assert_eq!(line(&error, text), 2, "{text:?}: {error}");
        }
    }
}
