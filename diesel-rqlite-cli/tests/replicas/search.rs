//! Finds the one input that makes the nodes differ, and makes it short.

use crate::nodes::{Difference, Nodes};
use crate::statement::Statement;
use crate::ways::{Input, Outcome};

/// How often a failing input is run again to make it shorter.
const TRIES: usize = 200;

/// An input, as short as it was made, with what it does.
pub(crate) struct Failure {
    pub(crate) input: Input,
    pub(crate) what: String,
}

/// Runs the inputs on fresh tables, and looks whether the nodes differ. For each input: how many of its statements had
/// which outcome.
pub(crate) fn run(
    nodes: &mut Nodes,
    inputs: &[Input],
) -> (Vec<Vec<(usize, Outcome)>>, Vec<Difference>) {
    nodes.reset();
    let outcomes = inputs.iter().map(|input| input.run(nodes)).collect();
    (outcomes, nodes.difference())
}

/// What the inputs do wrong together, in words.
fn wrong(nodes: &mut Nodes, inputs: &[Input]) -> Option<String> {
    let (outcomes, differences) = run(nodes, inputs);
    let outcomes = outcomes
        .into_iter()
        .flatten()
        .filter_map(|(_, outcome)| match outcome {
            Outcome::Wrong(what) => Some(format!("  {what}\n")),
            _ => None,
        });
    let differences = differences.iter().map(ToString::to_string);
    let what: String = outcomes.chain(differences).collect();
    (!what.is_empty()).then_some(what)
}

/// The place of the first input that makes something wrong: what comes before it does not.
pub(crate) fn first(nodes: &mut Nodes, inputs: &[Input]) -> usize {
    let (mut right, mut wrong_at) = (0, inputs.len());
    while right + 1 < wrong_at {
        let middle = usize::midpoint(right, wrong_at);
        match wrong(nodes, &inputs[..middle]) {
            Some(_) => wrong_at = middle,
            None => right = middle,
        }
    }
    right
}

/// The input alone, if it is wrong by itself, and as short as it goes; else with all that is before it.
pub(crate) fn shortest(nodes: &mut Nodes, before: &[Input], input: &Input) -> Failure {
    if let Some(what) = wrong(nodes, std::slice::from_ref(input)) {
        let mut search = Search {
            nodes,
            tries: 0,
            input: input.clone(),
            what,
        };
        search.fewer_statements();
        for place in 0..search.input.statements.len() {
            search.plainer(place);
            search.fewer_tokens(place);
        }
        let Search { input, what, .. } = search;
        return Failure { input, what };
    }
    let all = [before, std::slice::from_ref(input)].concat();
    let what = wrong(nodes, &all).unwrap_or_else(|| "  not again\n".to_owned());
    Failure {
        what: format!("{what}  behind {} other inputs\n", before.len()),
        input: input.clone(),
    }
}

/// Simpler and simpler inputs that are wrong.
struct Search<'a> {
    nodes: &'a mut Nodes,
    tries: usize,
    input: Input,
    what: String,
}

impl Search<'_> {
    /// Whether the simpler one is wrong, too; it then takes the place of the other.
    fn accepts(&mut self, simpler: Input) -> bool {
        if self.tries == TRIES || simpler == self.input {
            return false;
        }
        self.tries += 1;
        let found = wrong(self.nodes, std::slice::from_ref(&simpler));
        let is_wrong = found.is_some();
        if let Some(found) = found {
            (self.input, self.what) = (simpler, found);
        }
        is_wrong
    }

    fn fewer_statements(&mut self) {
        for statement in self.input.statements.clone() {
            if self.accepts(self.input.with(&[statement])) {
                return;
            }
        }
        for place in (0..self.input.statements.len()).rev() {
            let mut fewer = self.input.statements.clone();
            fewer.remove(place);
            if !fewer.is_empty() {
                self.accepts(self.input.with(&fewer));
            }
        }
    }

    fn replaced(&self, place: usize, statement: Statement) -> Input {
        let mut statements = self.input.statements.clone();
        statements[place] = statement;
        self.input.with(&statements)
    }

    fn plainer(&mut self, place: usize) {
        let statement = self.input.statements[place].with_blanks();
        self.accepts(self.replaced(place, statement));
        let statement = self.input.statements[place].with_literals();
        self.accepts(self.replaced(place, statement));
    }

    /// Long runs first.
    fn fewer_tokens(&mut self, place: usize) {
        let mut length = self.input.statements[place].tokens.len() / 2;
        while length > 0 {
            let mut start = 0;
            while start + length < self.input.statements[place].tokens.len() {
                let shorter = self.input.statements[place].without(start, length);
                if !self.accepts(self.replaced(place, shorter)) {
                    start += length.div_ceil(3);
                }
            }
            length = if length > 6 { length / 2 } else { length - 1 };
        }
    }
}
