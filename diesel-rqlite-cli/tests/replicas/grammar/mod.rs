//! Random statements of SQLite's dialect, nearly all of them valid: over fixed tables, with functions of every class,
//! and with whatever may stand between two tokens.

mod expressions;
mod functions;
mod statements;
mod writer;

use crate::random::Random;
use crate::statement::Statement;

use self::writer::Writer;

/// The tables that each input finds. Names that are keywords or functions are there on purpose.
pub(crate) const SCHEMA: &str = r#"
    DROP VIEW IF EXISTS seen; DROP TABLE IF EXISTS made; DROP TABLE IF EXISTS t; DROP TABLE IF EXISTS u;
    DROP TABLE IF EXISTS "order";
    CREATE TABLE t (id INTEGER PRIMARY KEY, a, b, n INTEGER, "returning");
    CREATE TABLE u (k INTEGER PRIMARY KEY, v, "now" REAL) WITHOUT ROWID;
    CREATE TABLE "order" ("key" INTEGER UNIQUE, "current_date" TEXT, random);
    INSERT INTO t VALUES (1, '2024-02-29 23:30:00', 1709245800, 1, 'x'), (2, 2460370.25, NULL, 2, x'00ff'),
        (3, 'text', -1.5, 3, NULL), (4, NULL, '12:00', 4, 1e300), (5, '2026-07-01', 0, 5, 'y');
    INSERT INTO u VALUES (1, 'one', 1.0), (2, 2, 2.5), (3, NULL, NULL);
    INSERT INTO "order" VALUES (1, '2020-01-01', 7), (2, 'later', NULL);
"#;

/// What the functions of an input may depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Spice {
    /// Their arguments.
    Pure,
    /// The time, or chance, in forms that a client can replace.
    Pinned,
    /// The time zone, and forms that can't be replaced.
    Zones,
    /// All of it, what a connection did, and the node's version of SQLite.
    All,
}

/// A statement that changes something. `for_rows`: run for its rows, if it has RETURNING, now and then.
pub(crate) fn write(random: &mut Random, spice: Spice, for_rows: bool) -> Statement {
    let mut writer = Writer::new(random, spice);
    writer.write();
    let returns = writer.returns;
    let mut statement = writer.finish();
    statement.loaded = for_rows && returns && random.one_in(3);
    statement
}

/// A query, for its rows.
pub(crate) fn read(random: &mut Random, spice: Spice) -> Statement {
    let mut writer = Writer::new(random, spice);
    writer.read();
    let mut statement = writer.finish();
    statement.loaded = true;
    statement
}
