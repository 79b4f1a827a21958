//! Our reading of SQL beside SQLite's own, and beside a published parser's, over SQL of every kind.

mod corpus;
#[allow(dead_code)]
#[path = "../../../diesel-rqlite-cli/tests/replicas/grammar/mod.rs"]
mod grammar;
mod pieces;
mod published;
#[path = "../../../diesel-rqlite-cli/tests/replicas/random.rs"]
mod random;
mod splitting;
mod sqlite;
#[allow(dead_code)]
#[path = "../../../diesel-rqlite-cli/tests/replicas/statement.rs"]
mod statement;
mod tokens;

/// `READING_SEED` gives other random text, `READING_CASES` more of it.
fn number(name: &str, default: usize) -> usize {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| text.parse().expect(name))
}

/// Statements from the grammar of the replicas, with comments and line ends anywhere.
fn random_statements() -> Vec<String> {
    let mut random = random::Random::new(number("READING_SEED", 12) as u64);
    let spices = [
        grammar::Spice::Pure,
        grammar::Spice::Pinned,
        grammar::Spice::Zones,
        grammar::Spice::All,
    ];
    let statements = (0..number("READING_CASES", 5000)).map(|case| {
        let spice = spices[case % spices.len()];
        let statement = match case % 5 {
            0 => grammar::read(&mut random, spice),
            _ => grammar::write(&mut random, spice, false),
        };
        match case % 2 {
            0 => statement.literal(),
            _ => statement.bound().0,
        }
    });
    statements.collect()
}
