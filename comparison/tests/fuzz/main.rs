//! Random closures run in a transaction on SQLite and on rqlite: what they are shown, and what they leave behind,
//! must be the same.
//!
//! `FUZZ_CASES` is the number of cases, `FUZZ_SEED` the first of them.

mod generate;
mod program;
mod random;
mod run;
mod show;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel_rqlite::RqliteConnection;
use diesel_rqlite_tests::Rqlited;

use self::program::Program;
use self::run::{Log, Runner, contents, run};

const CLEAR: &str = "DROP VIEW IF EXISTS vw; DROP TABLE IF EXISTS u; DROP TABLE IF EXISTS x1; \
    DROP TABLE IF EXISTS t; DROP TABLE IF EXISTS k; DROP TABLE IF EXISTS s; DROP TABLE IF EXISTS log";

fn number(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| text.parse().expect(name))
}

fn fill<R: Runner>(conn: &mut R, program: &Program) {
    conn.batch_execute(&program.schema).expect("creates");
    for row in &program.rows {
        // Whether it can be inserted is decided by triggers, too.
        let _ = conn.count(row);
    }
}

/// What a program showed, and what it left.
struct Ran {
    log: Log,
    outcome: QueryResult<()>,
    contents: Vec<String>,
}

impl Ran {
    fn of<R: Runner>(conn: &mut R, program: &Program) -> Self {
        let mut log = Log::default();
        let outcome = run(conn, program, &mut log);
        Ran {
            log,
            outcome,
            contents: contents(conn),
        }
    }

    /// The closure may have gone on, and rolled back.
    fn is_conflict(&self) -> bool {
        let mut shown = self.log.shown.iter();
        shown.any(|shown| shown.starts_with("SerializationFailure"))
    }
}

fn on_sqlite(program: &Program) -> (Ran, Vec<String>) {
    let mut conn = diesel::SqliteConnection::establish(":memory:").expect("opens");
    conn.batch_execute("PRAGMA foreign_keys = ON")
        .expect("sets");
    fill(&mut conn, program);
    let before = contents(&mut conn);
    (Ran::of(&mut conn, program), before)
}

fn refill(conn: &mut RqliteConnection, program: &Program) {
    conn.batch_execute(CLEAR).expect("clears");
    fill(conn, program);
}

/// Where two runs differ.
fn difference(ours: &Ran, reference: &Ran) -> Option<String> {
    let places = ours.log.shown.len().max(reference.log.shown.len());
    for place in 0..places {
        let (ours, reference) = (ours.log.shown.get(place), reference.log.shown.get(place));
        if ours != reference {
            return Some(format!(
                "step {place}:\n  rqlite {ours:?}\n  SQLite {reference:?}"
            ));
        }
    }
    (ours.contents != reference.contents).then(|| {
        let only = |one: &[String], other: &[String]| {
            let only = one.iter().filter(|line| !other.contains(line));
            only.cloned().collect::<Vec<_>>()
        };
        format!(
            "contents:\n  rqlite {:?}\n  SQLite {:?}",
            only(&ours.contents, &reference.contents),
            only(&reference.contents, &ours.contents)
        )
    })
}

fn eager(conn: &mut RqliteConnection, program: &Program, reference: &Ran) -> Option<String> {
    refill(conn, program);
    difference(&Ran::of(conn, program), reference)
}

fn interactive(
    conn: &mut RqliteConnection,
    program: &Program,
    reference: &Ran,
    before: &[String],
) -> Option<String> {
    refill(conn, program);
    let mut ran = Ran::of(conn, program);
    if ran.is_conflict() {
        if ran.contents != before {
            return Some("a conflict left something behind".to_owned());
        }
        let message = ran.log.shown.join("\n");
        if !message.contains("run again") {
            return Some(format!("a conflict without another writer: {message}"));
        }
        ran = Ran::of(conn, program);
    }
    // The errors of inserts come later, and then all is different.
    if reference.log.unasked_error.is_some() {
        let undone = ran.outcome.is_err() && ran.contents != before;
        return undone.then(|| "an error left something behind".to_owned());
    }
    // That an insert goes well is told without asking, and not asked for where it is rolled back.
    if program.rolls_back() {
        for place in 0..ran.log.shown.len().min(reference.log.shown.len()) {
            if reference.log.skipped.contains(&place) {
                ran.log.shown[place].clone_from(&reference.log.shown[place]);
            }
        }
    }
    difference(&ran, reference)
}

#[test]
fn transactions_are_those_of_sqlite() {
    let node = Rqlited::builder().foreign_keys().start();
    let connect = |options: &str| {
        let url = format!("{}?transaction={options}", node.url());
        RqliteConnection::establish(&url).expect("connects")
    };
    let (mut by_asking, mut by_assuming) = (connect("eager"), connect("interactive"));
    let (first, cases) = (number("FUZZ_SEED", 1), number("FUZZ_CASES", 150));
    let mut found = Vec::new();
    let mut counts = [0_usize; 3];
    for seed in first..first + cases {
        let program = generate::program(seed);
        let (reference, before) = on_sqlite(&program);
        counts[0] += usize::from(reference.outcome.is_ok());
        counts[1] += usize::from(reference.log.unasked_error.is_some());
        counts[2] += reference.log.shown.len();
        let differences = [
            ("eager", eager(&mut by_asking, &program, &reference)),
            (
                "interactive",
                interactive(&mut by_assuming, &program, &reference, &before),
            ),
        ];
        for (mode, difference) in differences {
            if let Some(difference) = difference {
                found.push(format!("seed {seed}, {mode}: {difference}\n{program}"));
            }
        }
        if found.len() >= number("FUZZ_FINDINGS", 5) as usize {
            break;
        }
    }
    println!(
        "{cases} cases, {} of them committed, {} with an error that is not asked for, {} steps",
        counts[0], counts[1], counts[2]
    );
    assert!(found.is_empty(), "{}", found.join("\n\n"));
}
