//! The texts of the server. All parsing of such texts is in this module.
//!
//! The versions are those of rqlite in which a text was seen, on a running node or in the source. The paths are those
//! of rqlite's source. Messages of SQLite are passed through unchanged.

/// The error of a request as a whole: the `error` that accompanies empty results, with status 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestError<'m> {
    /// The node can't serve requests, or not now. Reads get this error, too. The request was not applied.
    ///
    /// | text | seen in | source |
    /// |---|---|---|
    /// | `leader not found` | 8.26, 10.2 | `proxy/proxy.go`, `store/store.go` |
    /// | `leadership transfer in progress` | 8.26, 10.2 | `hashicorp/raft`, `api.go` |
    /// | `not leader` | 8.26, 10.2 | `store/store.go`; only sure because the request asked not to be forwarded |
    /// | `store not open` | 8.26, 10.2 | `store/store.go`; for some milliseconds of a start |
    /// | `store not ready` | 8.26, 10.2 | `store/store.go` |
    /// | `stale read` | 8.26, 10.2 | `store/store.go`; a follower that is too far behind, at level `none` with a freshness |
    NotHere,
    /// The node refused the request, as other nodes would. The request was not applied.
    ///
    /// | text | seen in | source |
    /// |---|---|---|
    /// | `disallowed pragma` | 10.2; since 8.26.8 | `store/state.go` |
    /// | `timed out enqueuing operation` | 8.26, 10.2 | `hashicorp/raft`, `api.go` |
    Refused,
    /// The leader was deposed while it handled the request. The request may have been applied. In some observed cases
    /// it was.
    ///
    /// `leadership lost while committing log`: 8.26 and 10.2, `hashicorp/raft`, `api.go`.
    LeadershipLost,
    /// A linearizable read waited in vain until the entries of the Raft log are applied. After a change of the
    /// cluster's members, there is nothing to apply until something is written.
    ///
    /// `timeout waiting for fsm`, and `index 7: timeout waiting for fsm`: 10.2, `store/store.go`.
    NothingToApply,
    /// Another client has left a transaction open on the connection that all writes share. The request was not applied.
    ///
    /// [`TRANSACTION_OPEN`]: 8.26 and 10.2, SQLite.
    TransactionOpen,
    /// A deferred foreign key constraint fails at the commit, which is not a statement of the request. The transaction
    /// was undone. 8.26 and 10.2.
    Constraint(Constraint<'m>),
    /// Any other error, such as a broken connection between two nodes.
    Other,
}

/// SQLite's answer to a BEGIN inside a transaction.
pub(crate) const TRANSACTION_OPEN: &str = "cannot start a transaction within a transaction";

impl<'m> RequestError<'m> {
    pub(crate) fn of(text: &'m str) -> Self {
        match text {
            NO_LEADER
            | "leadership transfer in progress"
            | "not leader"
            | "store not open"
            | "store not ready"
            | "stale read" => RequestError::NotHere,
            "disallowed pragma" | "timed out enqueuing operation" => RequestError::Refused,
            "leadership lost while committing log" => RequestError::LeadershipLost,
            TRANSACTION_OPEN => RequestError::TransactionOpen,
            text if text.ends_with("timeout waiting for fsm") => RequestError::NothingToApply,
            text => Constraint::of(text).map_or(RequestError::Other, RequestError::Constraint),
        }
    }

    /// Returns whether the error is about the node that was asked, and not about the request. A node that forwards may send
    /// a second copy, and pass on the error of that one alone.
    pub(super) fn is_of_node(self) -> bool {
        matches!(self, RequestError::NotHere | RequestError::Refused)
    }

    /// Returns whether the error proves that the request was not applied. This is an allowlist: any other error leaves
    /// it open.
    pub(crate) fn is_not_applied(self) -> bool {
        match self {
            RequestError::NotHere
            | RequestError::Refused
            | RequestError::TransactionOpen
            | RequestError::Constraint(_) => true,
            RequestError::LeadershipLost | RequestError::NothingToApply | RequestError::Other => {
                false
            }
        }
    }
}

/// Returns whether a node that does not lead reports that it could not forward a request, or passes on the answer of
/// another node that does not lead either. Such an error never proves that the request was not applied, because it may
/// have been sent twice.
///
/// | text | seen in |
/// |---|---|
/// | `dial tcp …`, `write tcp …`, `read tcp …`, `read protobuf length: EOF`, `… i/o timeout` | 8.26, 10.2 |
/// | `node failed to process … on remote node at …: pool get: …`, and any of these after it | 8.26 |
/// | `… not leader`, `… leadership lost while committing log` | 8.26, 10.2 |
pub(crate) fn is_of_forwarding(text: &str) -> bool {
    const WORDS: [&str; 8] = [
        "protobuf",
        "dial tcp",
        "write tcp",
        "read tcp",
        "i/o timeout",
        "connection refused",
        "connection reset",
        "on remote node at",
    ];
    text.ends_with("not leader")
        || text.ends_with("leadership lost while committing log")
        || WORDS.iter().any(|word| text.contains(word))
}

const NO_LEADER: &str = "leader not found";

const NOT_STEPPED_DOWN: [&str; 3] = [
    "stepdown: node not found in cluster",
    "stepdown: cannot step down to the current Leader",
    "stepdown: cannot find peer",
];

/// The body of an answer with an error status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorBody {
    /// The node knows no leader, and has not done anything. The text ends in `leader not found`. The status is 503, or
    /// 500 if `redirect` was requested (8.26 and 10.2, `http/service.go`).
    NoLeader,
    /// The request was run, but its values can't be written as JSON (an infinite REAL): `json: error calling
    /// MarshalJSON for type *http.DBResults: json: unsupported value: +Inf` (8.26 and 10.2, with status 500; Go's
    /// `encoding/json`, called by `http/service.go`).
    Unwritable,
    /// The leader stays the leader, because no other node can lead, or because the requested one already does. The
    /// status is 500.
    ///
    /// | text | seen in | source |
    /// |---|---|---|
    /// | `stepdown: node not found in cluster` | 10.2 | `store/store.go` |
    /// | `stepdown: cannot step down to the current Leader` | 10.2 | `store/store.go` |
    /// | `stepdown: cannot find peer` | 10.2 | `hashicorp/raft`, `raft.go` |
    NotDone,
    Other,
}

impl ErrorBody {
    pub(crate) fn of(text: &str) -> Self {
        if text.ends_with(NO_LEADER) {
            ErrorBody::NoLeader
        } else if text.contains("unsupported value") {
            ErrorBody::Unwritable
        } else if NOT_STEPPED_DOWN.contains(&text) {
            ErrorBody::NotDone
        } else {
            ErrorBody::Other
        }
    }
}

/// The mark in the message of a guard that fails. SQLite repeats an invalid path in its error: `bad JSON path:
/// 'drq:rows'` (8.26 and 10.2, SQLite).
pub(crate) const GUARD: &str = "drq:";

/// The text between [`GUARD`] and the table whose rows would change if another table were dropped.
pub(crate) const DROPS: &str = "drops ";

/// The text between [`GUARD`] and the number of statements that were run.
pub(crate) const DONE: &str = "done ";

/// The text after [`GUARD`] if the row that was inserted last has no rowid.
pub(crate) const NO_ROWID: &str = "rowid";

/// The prefix of the names of this crate's own tables.
const OWN_TABLE: &str = "__diesel_rqlite_";

/// An error of one statement. All but one are errors of SQLite. A statement with such an error was not applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StatementError<'m>(pub(crate) &'m str);

impl<'m> StatementError<'m> {
    /// Returns the violated constraint.
    pub(crate) fn constraint(self) -> Option<Constraint<'m>> {
        Constraint::of(self.0)
    }

    /// Returns whether a table of this crate's own does not exist yet: `no such table: __diesel_rqlite_…` (8.26 and
    /// 10.2, SQLite).
    pub(crate) fn is_own_table_missing(self) -> bool {
        let table = self.0.strip_prefix("no such table: ");
        table.is_some_and(|table| table.starts_with(OWN_TABLE))
    }

    /// Returns whether this column does not exist: `no such column: c` (8.26 and 10.2, SQLite).
    pub(crate) fn is_missing_column(self, name: &str) -> bool {
        self.0.strip_prefix("no such column: ") == Some(name)
    }

    /// Returns whether the column `_rowid_` of some table does not exist: `no such column: t._rowid_`.
    pub(crate) fn is_without_rowids(self) -> bool {
        let column = self.0.strip_prefix("no such column: ");
        column.is_some_and(|column| column.ends_with("._rowid_"))
    }

    /// Returns whether SQLite complains about the number of columns of a table that was put around a query: `table t
    /// has 1 values for 2 columns` (8.26 and 10.2, SQLite).
    pub(crate) fn is_about_table(self, name: &str) -> bool {
        self.0.contains(&format!("table {name}"))
    }

    /// Returns whether an INSERT names a column that its table does not have.
    pub(crate) fn is_about_no_column(self) -> bool {
        self.0.contains(" has no column named ")
    }

    /// Returns whether the statement is nested too deeply for a parser whose stack does not grow (8.26, SQLite 3.45).
    pub(crate) fn is_nested_too_deeply(self) -> bool {
        self.0.contains("parser stack overflow")
    }

    /// Returns whether the error is that of `abs` for a number that it can't negate. A peek ends with this error (8.26
    /// and 10.2, SQLite).
    pub(crate) fn is_overflow(self) -> bool {
        self.0 == "integer overflow"
    }

    /// Returns whether the error is that of a guard of this crate.
    pub(crate) fn is_guard(self) -> bool {
        self.0.contains(GUARD)
    }

    /// Returns whether the error is that of the guard with this name.
    pub(crate) fn is_guard_of(self, name: &str) -> bool {
        let mark = self.0.split_once(GUARD);
        mark.is_some_and(|(_, rest)| rest.trim_end_matches('\'') == name)
    }

    /// Returns whether the row that was inserted last has no rowid: `bad JSON path: 'drq:rowid'`.
    pub(crate) fn is_without_rowid(self) -> bool {
        let rest = self.0.split_once(GUARD);
        rest.is_some_and(|(_, rest)| rest.trim_end_matches('\'') == NO_ROWID)
    }

    /// Returns the table whose rows would change if another table were dropped: `bad JSON path: 'drq:drops t'`.
    pub(crate) fn table_behind_dropped(self) -> Option<String> {
        let (_, rest) = self.0.split_once(GUARD)?;
        let name = rest.strip_prefix(DROPS)?;
        Some(name.strip_suffix('\'').unwrap_or(name).replace("''", "'"))
    }

    /// Returns the number of statements that were run before one failed: `bad JSON path: 'drq:done 2'`.
    pub(crate) fn statements_done(self) -> Option<usize> {
        let (_, rest) = self.0.split_once(GUARD)?;
        rest.strip_prefix(DONE)?.trim_end_matches('\'').parse().ok()
    }

    /// Returns whether a column declared as a time holds a number beyond the year 9999. This is the one error that is
    /// rqlite's own: `Time.MarshalText: year outside of range [0,9999]` (8.26 and 10.2; Go's `time`, called by
    /// `db/db.go`).
    pub(crate) fn is_unwritable_time(self) -> bool {
        self.0.contains("Time.MarshalText")
    }
}

/// A violated constraint, as SQLite's message describes it (8.26 and 10.2). SQLite names only CHECK constraints and
/// indexes on expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Constraint<'m> {
    Unique(Columns<'m>),
    UniqueIndex(&'m str),
    NotNull(Columns<'m>),
    /// The name of the constraint, or its expression.
    Check(&'m str),
    ForeignKey,
}

impl<'m> Constraint<'m> {
    fn of(text: &'m str) -> Option<Self> {
        let (kind, rest) = text.split_once(" constraint failed")?;
        let what = rest.strip_prefix(": ");
        match (kind, what) {
            ("UNIQUE", Some(what)) => Some(match what.strip_prefix("index '") {
                Some(index) => Constraint::UniqueIndex(index.trim_end_matches('\'')),
                None => Constraint::Unique(Columns(what)),
            }),
            ("NOT NULL", Some(what)) => Some(Constraint::NotNull(Columns(what))),
            ("CHECK", Some(what)) => Some(Constraint::Check(what)),
            ("FOREIGN KEY", _) if rest.is_empty() => Some(Constraint::ForeignKey),
            _ => None,
        }
    }

    /// Returns whether `OR IGNORE` skips rows that violate the constraint.
    pub(crate) fn is_ignorable(self) -> bool {
        !matches!(self, Constraint::ForeignKey)
    }
}

/// The columns of one table: `t.a, t.b`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Columns<'m>(&'m str);

impl<'m> Columns<'m> {
    /// Returns the table, and the names of the columns.
    pub(crate) fn split(self) -> Option<(&'m str, Vec<&'m str>)> {
        let names = self.0.split(", ").map(|name| name.split_once('.'));
        let names = names.collect::<Option<Vec<_>>>()?;
        let (table, _) = names.first()?;
        Some((table, names.iter().map(|(_, column)| *column).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_requests() {
        for text in [
            "leader not found",
            "leadership transfer in progress",
            "not leader",
            "store not open",
            "store not ready",
            "stale read",
        ] {
            assert_eq!(RequestError::of(text), RequestError::NotHere, "{text}");
        }
        for text in ["disallowed pragma", "timed out enqueuing operation"] {
            assert_eq!(RequestError::of(text), RequestError::Refused, "{text}");
        }
        assert!(RequestError::of("FOREIGN KEY constraint failed").is_not_applied());
        assert!(RequestError::of(TRANSACTION_OPEN).is_not_applied());
        // A known text with other words around it is another text.
        for text in [
            "leadership lost while committing log",
            "read protobuf length: EOF",
            "the leader not found",
            "stale read ",
            "raft is already shutdown",
            "",
        ] {
            assert!(!RequestError::of(text).is_not_applied(), "{text}");
        }
    }

    #[test]
    fn bodies_of_errors() {
        for (text, wanted) in [
            ("leader not found", ErrorBody::NoLeader),
            ("leader address: leader not found", ErrorBody::NoLeader),
            ("json: unsupported value: +Inf", ErrorBody::Unwritable),
            ("leader not found, says a proxy", ErrorBody::Other),
        ] {
            assert_eq!(ErrorBody::of(text), wanted, "{text}");
        }
    }

    #[test]
    fn errors_of_statements() {
        let own = StatementError("no such table: __diesel_rqlite_locks");
        assert!(own.is_own_table_missing());
        assert!(!StatementError("no such table: t").is_own_table_missing());
        assert!(StatementError("no such column: _rowid_").is_missing_column("_rowid_"));
        assert!(!StatementError("no such column: _rowid_2").is_missing_column("_rowid_"));
        let columns = StatementError("table _x has 1 values for 2 columns");
        assert!(columns.is_about_table("_x") && !columns.is_about_table("_y"));
        assert!(StatementError("bad JSON path: 'drq:rows'").is_guard());
    }

    #[test]
    fn constraints() {
        let of = |text| StatementError(text).constraint();
        assert_eq!(
            of("UNIQUE constraint failed: e.a, e.b"),
            Some(Constraint::Unique(Columns("e.a, e.b")))
        );
        assert_eq!(
            of("UNIQUE constraint failed: index 'e_x'"),
            Some(Constraint::UniqueIndex("e_x"))
        );
        assert_eq!(
            of("CHECK constraint failed: a <> ' constraint failed'"),
            Some(Constraint::Check("a <> ' constraint failed'"))
        );
        assert_eq!(of("a UNIQUE constraint failed: e.a"), None);
        assert_eq!(of("FOREIGN KEY constraint failed: x"), None);
        assert_eq!(Columns("e.a, e.b").split(), Some(("e", vec!["a", "b"])));
        assert_eq!(Columns("e").split(), None);
    }
}
