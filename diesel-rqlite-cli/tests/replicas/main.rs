//! Replicas stay equal: random statements take every way to a cluster whose nodes are in three time zones, and all
//! tables of all nodes are compared.
//!
//! `REPLICAS_SEED` gives other statements, `REPLICAS_STATEMENTS` more of them, `REPLICAS_FAILURES` is how many failing
//! inputs are looked for before the test ends.

mod grammar;
mod nodes;
mod random;
mod search;
mod statement;
mod tally;
mod ways;

use std::str::FromStr;

use self::grammar::Spice;
use self::nodes::Nodes;
use self::random::Random;
use self::search::Failure;
use self::tally::Tally;
use self::ways::{Input, Outcome, WAYS};

/// Between two comparisons.
const INPUTS: usize = 100;

/// Statements in one input.
const TOGETHER: usize = 10;

const SPICES: [(usize, Spice); 4] = [
    (20, Spice::Pure),
    (50, Spice::Pinned),
    (15, Spice::Zones),
    (15, Spice::All),
];

#[test]
fn replicas_are_equal_after_random_statements() {
    let seed = number("REPLICAS_SEED", 12);
    let wanted = number("REPLICAS_STATEMENTS", 10_000);
    let bearable = number("REPLICAS_FAILURES", 3);
    let mut random = Random::new(seed);
    let mut nodes = Nodes::start();
    let mut tally = Tally::default();
    let mut failures: Vec<Failure> = Vec::new();
    while tally.statements < wanted && failures.len() < bearable {
        let mut inputs: Vec<_> = (0..INPUTS).map(|_| input(&mut random)).collect();
        // Inputs that fail are taken out, so that they do not hide others.
        while failures.len() < bearable {
            let (outcomes, differences) = search::run(&mut nodes, &inputs);
            let mut all = outcomes.iter().flatten();
            let wrong = all.any(|(_, outcome)| matches!(outcome, Outcome::Wrong(_)));
            if !wrong && differences.is_empty() {
                tally.add(&inputs, &outcomes);
                break;
            }
            let place = search::first(&mut nodes, &inputs);
            failures.push(search::shortest(
                &mut nodes,
                &inputs[..place],
                &inputs[place],
            ));
            inputs.remove(place);
        }
    }
    let found: Vec<_> = failures
        .iter()
        .map(|failure| format!("{}{}", failure.input, failure.what))
        .collect();
    assert!(
        found.is_empty(),
        "REPLICAS_SEED={seed}, {} failures:\n{}\n{tally}",
        found.len(),
        found.join("\n")
    );
    tally.check();
}

fn number<T: FromStr>(name: &str, default: T) -> T {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text}: not a number"))
    })
}

fn input(random: &mut Random) -> Input {
    let way = random.pick(&WAYS);
    let spice = random.weighted(&SPICES);
    let statements =
        (0..=random.below(2 * TOGETHER - 1)).map(|_| match way.reads() && random.one_in(5) {
            true => grammar::read(random, spice),
            false => grammar::write(random, spice, way.returns_rows()),
        });
    let statements = statements.collect();
    Input {
        way,
        spice,
        statements,
    }
}
