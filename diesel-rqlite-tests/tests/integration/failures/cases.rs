//! What fails, and how.

use diesel::result::DatabaseErrorKind as Kind;

pub(super) const SCHEMA: &str = "
    CREATE TABLE parent (id INTEGER PRIMARY KEY);
    CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT UNIQUE, nn TEXT NOT NULL DEFAULT '', ck INTEGER CHECK (ck > 0),
        parent INTEGER REFERENCES parent (id), later INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED);
    CREATE TRIGGER aborting BEFORE INSERT ON t WHEN NEW.u = 'abort' BEGIN SELECT RAISE(ABORT, 'told to abort'); END;
    CREATE TRIGGER failing BEFORE INSERT ON t WHEN NEW.u = 'fail' BEGIN SELECT RAISE(FAIL, 'told to fail'); END;
    CREATE TRIGGER rolling BEFORE INSERT ON t WHEN NEW.u = 'roll' BEGIN SELECT RAISE(ROLLBACK, 'told to roll back'); END;
    CREATE TABLE other (id INTEGER PRIMARY KEY, n INTEGER NOT NULL);
    CREATE TABLE usable (id INTEGER PRIMARY KEY, n INTEGER NOT NULL);
    INSERT INTO t (id, u, ck) VALUES (1, 'one', 1);
    INSERT INTO other VALUES (1, 10), (2, 20);
    INSERT INTO usable VALUES (1, 0), (2, 0);";

/// A statement that fails, the kind of its error, and what its message has in it.
pub(super) struct Failure {
    pub(super) sql: &'static str,
    pub(super) kind: Kind,
    pub(super) message: &'static str,
}

pub(super) const fn failure(sql: &'static str, kind: Kind, message: &'static str) -> Failure {
    Failure { sql, kind, message }
}

pub(super) const FAILURES: [Failure; 20] = [
    failure(
        "UPDATE t SET ck = abs(-9223372036854775808)",
        Kind::Unknown,
        "integer overflow",
    ),
    failure(
        "INSERT INTO nowhere VALUES (1)",
        Kind::Unknown,
        "no such table: nowhere",
    ),
    failure("UPDATE t SET nix = 1", Kind::Unknown, "no such column: nix"),
    failure("UPDATE t SET SET", Kind::Unknown, "syntax error"),
    failure(
        "INSERT INTO t (u) VALUES ('two'), ('one')",
        Kind::UniqueViolation,
        "t.u",
    ),
    failure(
        "INSERT INTO t (u, nn) VALUES ('two', NULL)",
        Kind::NotNullViolation,
        "t.nn",
    ),
    failure(
        "INSERT INTO t (u, ck) VALUES ('two', 0)",
        Kind::CheckViolation,
        "ck > 0",
    ),
    failure(
        "UPDATE t SET ck = -1 WHERE id = 1",
        Kind::CheckViolation,
        "ck > 0",
    ),
    failure(
        "INSERT INTO t (parent) VALUES (9)",
        Kind::ForeignKeyViolation,
        "",
    ),
    failure("UPDATE t SET parent = 9", Kind::ForeignKeyViolation, ""),
    failure(
        "INSERT INTO t (u) VALUES ('two'), ('abort')",
        Kind::Unknown,
        "told to abort",
    ),
    failure(
        "INSERT INTO t (u) VALUES ('two'), ('fail')",
        Kind::Unknown,
        "told to fail",
    ),
    failure(
        "INSERT INTO t (u) VALUES ('two'), ('roll')",
        Kind::Unknown,
        "told to roll back",
    ),
    failure(
        "INSERT OR ABORT INTO t (u) VALUES ('two'), ('one')",
        Kind::UniqueViolation,
        "t.u",
    ),
    failure(
        "INSERT OR FAIL INTO t (u) VALUES ('two'), ('one')",
        Kind::UniqueViolation,
        "t.u",
    ),
    failure(
        "INSERT OR ROLLBACK INTO t (u) VALUES ('two'), ('one')",
        Kind::UniqueViolation,
        "t.u",
    ),
    failure(
        "UPDATE OR FAIL t SET id = id + 1, ck = ck - id",
        Kind::CheckViolation,
        "ck > 0",
    ),
    failure(
        "UPDATE OR ROLLBACK t SET ck = 0",
        Kind::CheckViolation,
        "ck > 0",
    ),
    failure(
        "INSERT INTO t (u) VALUES ('two'), ('one') RETURNING id",
        Kind::UniqueViolation,
        "t.u",
    ),
    failure(
        "UPDATE t SET ck = 0 RETURNING id",
        Kind::CheckViolation,
        "ck > 0",
    ),
];

/// Fails when the transaction ends, for which no statement can be named.
pub(super) const LATER: &str = "INSERT INTO t (later) VALUES (9)";
