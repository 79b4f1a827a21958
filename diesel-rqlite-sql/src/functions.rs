//! A table of SQLite's functions. It states what each function depends on, and what follows from that.
//!
//! rqlite replicates statements, not rows: each node runs the text itself. A function whose value depends on more
//! than its arguments and the database may therefore return a different value on each node. How this crate treats
//! such a function depends on where the function is used:
//!
//! | class | alone in a read | in a write | in the guard of a transaction's read | in a schema (DEFAULT, trigger) |
//! |---|---|---|---|---|
//! | [`PURE`](Classes::PURE) | sent | sent | compared | nothing |
//! | [`ORDER`](Classes::ORDER) | sent | sent | compared, in a fixed order where the query has one | nothing |
//! | [`TIME`](Classes::TIME) | sent | replaced by the client's time; `localtime` and `utc` refused | replaced by the transaction's time; `localtime` and `utc` not compared | [`ReplicaHazard`](crate::ReplicaHazard) |
//! | [`RANDOM`](Classes::RANDOM) | sent | replaced by a value from the client | not compared | `ReplicaHazard` |
//! | [`CONNECTION`](Classes::CONNECTION) | replaced by the value that the client knows for its own connection, or refused | the same, unless a write precedes it in the same request | compared, if a write precedes it in the same request | nothing in a trigger, where it is about the trigger's own statements |
//! | [`NODE`](Classes::NODE) | sent | refused | not compared | `ReplicaHazard` |
//!
//! A function that is not in the table counts as pure. It is either from an extension that the nodes have loaded, or
//! SQLite rejects it. Aggregates and window functions whose value depends on the order of rows (`ORDER`) are sent
//! unchanged in writes: nodes with the same version of SQLite and the same statistics visit rows in the same order.

use std::ops::{BitOr, BitOrAssign};

/// A set of classes: the things that a value depends on, apart from its arguments and the rows it is computed from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Classes(u8);

impl Classes {
    /// Nothing.
    pub const NONE: Classes = Classes(0);
    /// Nothing: the same arguments give the same value.
    pub const PURE: Classes = Classes::NONE;
    /// The clock and the time zone of the node.
    pub const TIME: Classes = Classes(1);
    /// Randomness.
    pub const RANDOM: Classes = Classes(2);
    /// The last actions of the connection.
    pub const CONNECTION: Classes = Classes(4);
    /// The node: its version of SQLite, its files, its statistics, its users.
    pub const NODE: Classes = Classes(8);
    /// The order in which rows are visited.
    pub const ORDER: Classes = Classes(16);
    /// Values that differ each time they are evaluated.
    pub const VOLATILE: Classes = Classes(1 | 2);

    /// Returns whether the set contains at least one of these classes.
    pub fn contains(self, any: Classes) -> bool {
        self.0 & any.0 != 0
    }
}

impl BitOr for Classes {
    type Output = Classes;

    fn bitor(self, other: Classes) -> Classes {
        Classes(self.0 | other.0)
    }
}

impl BitOrAssign for Classes {
    fn bitor_assign(&mut self, other: Classes) {
        self.0 |= other.0;
    }
}

/// One of SQLite's functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// The name, in lower case.
    pub name: &'static str,
    /// The smallest and the largest number of arguments.
    pub arguments: (u8, u8),
    /// The classes that the function depends on.
    pub class: Classes,
    /// For a date function: the arguments that are time values. If there is only one and the call omits it, it means
    /// now. The arguments after the last time value are modifiers.
    pub(crate) time_values: &'static [usize],
}

/// Any number of arguments.
const ANY: u8 = u8::MAX;

const fn function(name: &'static str, from: u8, to: u8, class: Classes) -> Function {
    Function {
        name,
        arguments: (from, to),
        class,
        time_values: &[],
    }
}

const fn pure(name: &'static str, from: u8, to: u8) -> Function {
    function(name, from, to, Classes::PURE)
}

const fn order(name: &'static str, from: u8, to: u8) -> Function {
    function(name, from, to, Classes::ORDER)
}

const fn node(name: &'static str, from: u8, to: u8) -> Function {
    function(name, from, to, Classes::NODE)
}

const fn connection(name: &'static str) -> Function {
    function(name, 0, 0, Classes::CONNECTION)
}

/// A counter of a connection that no transaction resets.
const fn counter(name: &'static str) -> Function {
    function(name, 0, 0, Classes(4 | 8))
}

const fn time(name: &'static str, to: u8, time_values: &'static [usize]) -> Function {
    Function {
        time_values,
        ..function(name, 0, to, Classes::TIME)
    }
}

/// The functions, sorted by name. They are those of the servers' builds, from rqlite 8.26 (SQLite 3.45) to 10.2
/// (SQLite 3.53).
const FUNCTIONS: [Function; 145] = [
    pure("->", 2, 2),
    pure("->>", 2, 2),
    pure("abs", 1, 1),
    // SQLite's own list of users, which rqlite does not use.
    node("auth_enabled", 0, 0),
    node("auth_user_add", 3, 3),
    node("auth_user_change", 3, 3),
    node("auth_user_delete", 1, 1),
    node("authenticate", 2, 2),
    // A sum of REALs depends on the order in which they are added.
    order("avg", 1, 1),
    pure("bm25", 1, ANY),
    connection("changes"),
    pure("char", 0, ANY),
    pure("coalesce", 2, ANY),
    pure("concat", 1, ANY),
    pure("concat_ws", 2, ANY),
    pure("count", 0, 1),
    order("cume_dist", 0, 0),
    time("current_date", 0, &[]),
    time("current_time", 0, &[]),
    time("current_timestamp", 0, &[]),
    time("date", ANY, &[0]),
    time("datetime", ANY, &[0]),
    order("dense_rank", 0, 0),
    order("first_value", 1, 1),
    pure("format", 0, ANY),
    node("fts3_tokenizer", 1, 2),
    node("fts5", 1, 1),
    pure("fts5_get_locale", 2, ANY),
    pure("fts5_insttoken", 1, 1),
    pure("fts5_locale", 2, 2),
    node("fts5_source_id", 0, 0),
    pure("geopoly_area", 1, 1),
    pure("geopoly_bbox", 1, 1),
    pure("geopoly_blob", 1, 1),
    pure("geopoly_ccw", 1, 1),
    pure("geopoly_contains_point", 3, 3),
    node("geopoly_debug", 1, 1),
    pure("geopoly_group_bbox", 1, 1),
    pure("geopoly_json", 1, 1),
    pure("geopoly_overlap", 2, 2),
    pure("geopoly_regular", 4, 4),
    pure("geopoly_svg", 1, ANY),
    pure("geopoly_within", 2, 2),
    pure("geopoly_xform", 7, 7),
    pure("glob", 2, 2),
    order("group_concat", 1, 2),
    pure("hex", 1, 1),
    pure("highlight", 1, ANY),
    pure("if", 2, ANY),
    pure("ifnull", 2, 2),
    pure("iif", 2, ANY),
    pure("instr", 2, 2),
    pure("json", 1, 1),
    pure("json_array", 0, ANY),
    pure("json_array_insert", 1, ANY),
    pure("json_array_length", 1, 2),
    pure("json_error_position", 1, 1),
    pure("json_extract", 1, ANY),
    order("json_group_array", 1, 1),
    order("json_group_object", 2, 2),
    pure("json_insert", 1, ANY),
    pure("json_object", 0, ANY),
    pure("json_patch", 2, 2),
    pure("json_pretty", 1, 2),
    pure("json_quote", 1, 1),
    pure("json_remove", 1, ANY),
    pure("json_replace", 1, ANY),
    pure("json_set", 1, ANY),
    pure("json_type", 1, 2),
    pure("json_valid", 1, 2),
    pure("jsonb", 1, 1),
    pure("jsonb_array", 0, ANY),
    pure("jsonb_array_insert", 1, ANY),
    pure("jsonb_extract", 1, ANY),
    order("jsonb_group_array", 1, 1),
    order("jsonb_group_object", 2, 2),
    pure("jsonb_insert", 1, ANY),
    pure("jsonb_object", 0, ANY),
    pure("jsonb_patch", 2, 2),
    pure("jsonb_remove", 1, ANY),
    pure("jsonb_replace", 1, ANY),
    pure("jsonb_set", 1, ANY),
    time("julianday", ANY, &[0]),
    order("lag", 1, 3),
    connection("last_insert_rowid"),
    order("last_value", 1, 1),
    order("lead", 1, 3),
    pure("length", 1, 1),
    pure("like", 2, 3),
    pure("likelihood", 2, 2),
    pure("likely", 1, 1),
    node("load_extension", 1, 2),
    pure("lower", 1, 1),
    pure("ltrim", 1, 2),
    pure("match", 2, 2),
    pure("matchinfo", 1, 2),
    pure("max", 1, ANY),
    pure("min", 1, ANY),
    order("nth_value", 2, 2),
    order("ntile", 1, 1),
    pure("nullif", 2, 2),
    pure("octet_length", 1, 1),
    pure("offsets", 1, 1),
    pure("optimize", 1, 1),
    order("percent_rank", 0, 0),
    pure("printf", 0, ANY),
    pure("quote", 1, 1),
    function("random", 0, 0, Classes::RANDOM),
    function("randomblob", 1, 1, Classes::RANDOM),
    order("rank", 0, 0),
    pure("replace", 3, 3),
    pure("round", 1, 2),
    order("row_number", 0, 0),
    pure("rtreecheck", 1, ANY),
    pure("rtreedepth", 1, 1),
    pure("rtreenode", 2, 2),
    pure("rtrim", 1, 2),
    pure("sign", 1, 1),
    pure("snippet", 1, ANY),
    node("sqlite_compileoption_get", 1, 1),
    node("sqlite_compileoption_used", 1, 1),
    node("sqlite_log", 2, 2),
    // The position of a value in the file.
    node("sqlite_offset", 1, 1),
    node("sqlite_source_id", 0, 0),
    node("sqlite_version", 0, 0),
    time("strftime", ANY, &[1]),
    order("string_agg", 2, 2),
    pure("substr", 2, 3),
    pure("substring", 2, 3),
    pure("subtype", 1, 1),
    order("sum", 1, 1),
    time("time", ANY, &[0]),
    time("timediff", 2, &[0, 1]),
    order("total", 1, 1),
    counter("total_changes"),
    pure("trim", 1, 2),
    pure("typeof", 1, 1),
    pure("unhex", 1, 2),
    pure("unicode", 1, 1),
    pure("unistr", 1, 1),
    pure("unistr_quote", 1, 1),
    time("unixepoch", ANY, &[0]),
    pure("unlikely", 1, 1),
    pure("upper", 1, 1),
    pure("zeroblob", 1, 1),
];

/// Returns all functions.
pub fn functions() -> &'static [Function] {
    &FUNCTIONS
}

/// Returns the function with this name. The case of the name does not matter. Returns `None` if SQLite has no such
/// function.
pub fn function_named(name: &str) -> Option<&'static Function> {
    let found = FUNCTIONS.binary_search_by(|function| {
        let lower = name.bytes().map(|byte| byte.to_ascii_lowercase());
        function.name.bytes().cmp(lower)
    });
    found.ok().map(|place| &FUNCTIONS[place])
}

/// Returns the classes that a call of this name depends on.
pub(crate) fn classes_of(name: &str) -> Classes {
    match function_named(name) {
        Some(function) => function.class,
        None => Classes::NONE,
    }
}

/// Returns the classes that the rows of a table with this name depend on. Also covers a column that states where in
/// the file a table is.
pub(crate) fn classes_of_table(name: &str) -> Classes {
    const OF_NODE: [&str; 5] = [
        "pragma_",
        "sqlite_dbpage",
        // Each node keeps its own statistics, because `PRAGMA optimize` runs on it from time to time.
        "sqlite_stat",
        "dbstat",
        "rootpage",
    ];
    const OF_SCHEMA: [&str; 3] = ["pragma_table_", "pragma_index_", "pragma_foreign_key_list"];
    // The first letter rules out nearly every other name.
    if !matches!(
        name.as_bytes().first(),
        Some(b'p' | b'P' | b's' | b'S' | b'd' | b'D' | b'r' | b'R')
    ) {
        return Classes::NONE;
    }
    let starts = |start: &&str| {
        let beginning = name.get(..start.len());
        beginning.is_some_and(|beginning| beginning.eq_ignore_ascii_case(start))
    };
    match OF_NODE.iter().any(starts) && !OF_SCHEMA.iter().any(starts) {
        true => Classes::NODE,
        false => Classes::NONE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_in_order() {
        assert!(FUNCTIONS.is_sorted_by(|one, other| one.name < other.name));
    }

    #[test]
    fn functions_are_found_in_any_case() {
        let class = |name| function_named(name).map(|function| function.class);
        assert_eq!(class("Random"), Some(Classes::RANDOM));
        assert_eq!(class("SQLITE_VERSION"), Some(Classes::NODE));
        assert_eq!(class("->>"), Some(Classes::PURE));
        assert_eq!(class("rand"), None);
        assert_eq!(class(""), None);
    }

    #[test]
    fn tables_of_one_node() {
        for name in ["pragma_database_list", "SQLITE_STAT1", "rootpage", "dbstat"] {
            assert_eq!(classes_of_table(name), Classes::NODE, "{name}");
        }
        for name in ["pragma_table_info", "posts", "sqlite_master", "d", ""] {
            assert_eq!(classes_of_table(name), Classes::NONE, "{name}");
        }
    }
}
