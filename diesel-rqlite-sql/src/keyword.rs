//! The SQLite keywords that this crate needs.

/// More letters than the longest keyword has.
const LONGEST: usize = 17;

macro_rules! keywords {
    ($($name:ident $text:literal,)*) => {
        /// A keyword. SQLite also accepts many of them as names. The position decides which of the two it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)]
        pub enum Keyword {
            $($name,)*
        }

        impl Keyword {
            /// Returns the keyword that a word is. The case does not matter.
            pub fn of(word: &[u8]) -> Option<Keyword> {
                if word.len() < 2 || word.len() > LONGEST {
                    return None;
                }
                let mut upper = [0; LONGEST];
                let upper = &mut upper[..word.len()];
                upper.copy_from_slice(word);
                upper.make_ascii_uppercase();
                match &*upper {
                    $($text => Some(Keyword::$name),)*
                    _ => None,
                }
            }
        }
    };
}

keywords! {
    All b"ALL",
    Alter b"ALTER",
    Analyze b"ANALYZE",
    And b"AND",
    As b"AS",
    Attach b"ATTACH",
    Begin b"BEGIN",
    Between b"BETWEEN",
    By b"BY",
    Case b"CASE",
    Collate b"COLLATE",
    Commit b"COMMIT",
    Conflict b"CONFLICT",
    Create b"CREATE",
    CurrentDate b"CURRENT_DATE",
    CurrentTime b"CURRENT_TIME",
    CurrentTimestamp b"CURRENT_TIMESTAMP",
    Default b"DEFAULT",
    Deferred b"DEFERRED",
    Delete b"DELETE",
    Detach b"DETACH",
    Distinct b"DISTINCT",
    Drop b"DROP",
    Else b"ELSE",
    End b"END",
    Escape b"ESCAPE",
    Except b"EXCEPT",
    Exclusive b"EXCLUSIVE",
    Exists b"EXISTS",
    Explain b"EXPLAIN",
    From b"FROM",
    Glob b"GLOB",
    Group b"GROUP",
    Having b"HAVING",
    If b"IF",
    Ignore b"IGNORE",
    Immediate b"IMMEDIATE",
    In b"IN",
    Index b"INDEX",
    Indexed b"INDEXED",
    Insert b"INSERT",
    Intersect b"INTERSECT",
    Into b"INTO",
    Is b"IS",
    Isnull b"ISNULL",
    Join b"JOIN",
    Like b"LIKE",
    Limit b"LIMIT",
    Match b"MATCH",
    Not b"NOT",
    Nothing b"NOTHING",
    Notnull b"NOTNULL",
    Null b"NULL",
    Of b"OF",
    On b"ON",
    Or b"OR",
    Order b"ORDER",
    Plan b"PLAN",
    Pragma b"PRAGMA",
    Query b"QUERY",
    Recursive b"RECURSIVE",
    Regexp b"REGEXP",
    Reindex b"REINDEX",
    Release b"RELEASE",
    Replace b"REPLACE",
    Returning b"RETURNING",
    Rollback b"ROLLBACK",
    Savepoint b"SAVEPOINT",
    Select b"SELECT",
    Set b"SET",
    Table b"TABLE",
    Temp b"TEMP",
    Temporary b"TEMPORARY",
    Then b"THEN",
    To b"TO",
    Transaction b"TRANSACTION",
    Trigger b"TRIGGER",
    Union b"UNION",
    Unique b"UNIQUE",
    Update b"UPDATE",
    Vacuum b"VACUUM",
    Values b"VALUES",
    View b"VIEW",
    Virtual b"VIRTUAL",
    When b"WHEN",
    Where b"WHERE",
    Window b"WINDOW",
    With b"WITH",
}
