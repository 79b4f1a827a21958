//! What a transaction has to do with its lock in the database.
//!
//! A lock that is a row in rqlite is taken, checked and released by requests of the transaction. Of a lock that is held
//! elsewhere, the database knows at most a number, the fence. This module writes the statements and knows which of them
//! are due. `session::row_lock` sends them, except for those of the commit, and `connection::holding` keeps a lock that
//! is held elsewhere.

use super::parts::Part;
use crate::lock::rqlite::{Lease, Seen};
use crate::lock::{Fence, fence};
use crate::statement::Statement;

/// Statements of a commit, each with its purpose.
type Statements = Vec<(Part, Statement<'static>)>;

/// The claim of a transaction to its lock.
#[derive(Debug, Default)]
pub(crate) enum Claim {
    /// There is no lock, or one that is held elsewhere and has no number.
    #[default]
    None,
    /// The lock is a row in rqlite.
    Row(Lease),
    /// The lock is held elsewhere, and has a number.
    Fenced {
        name: String,
        fence: Fence,
        /// Set if a former holder of the lock is already kept out, and not only from the commit on.
        is_raised: bool,
    },
}

impl Claim {
    /// Returns the claim to a lock that is held elsewhere.
    pub(crate) fn elsewhere(name: &str, fence: Option<Fence>) -> Self {
        match fence {
            None => Claim::None,
            Some(fence) => Claim::Fenced {
                name: name.to_owned(),
                fence,
                is_raised: false,
            },
        }
    }

    /// Returns the name of the lock, for messages. It is empty if the database knows of none.
    pub(super) fn name(&self) -> &str {
        match self {
            Claim::None => "",
            Claim::Row(lease) => &lease.lock.name,
            Claim::Fenced { name, .. } => name,
        }
    }

    /// Returns the lock if it is a row in rqlite.
    pub(crate) fn lease(&self) -> Option<&Lease> {
        match self {
            Claim::Row(lease) => Some(lease),
            Claim::None | Claim::Fenced { .. } => None,
        }
    }

    fn lease_mut(&mut self) -> Option<&mut Lease> {
        match self {
            Claim::Row(lease) => Some(lease),
            Claim::None | Claim::Fenced { .. } => None,
        }
    }

    /// Returns whether the lock is a row that has still to be taken.
    pub(crate) fn is_wanted(&self) -> bool {
        self.lease().is_some_and(|lease| !lease.is_held())
    }

    /// Returns whether the lock is a row that may be held, and so has to be given back.
    pub(crate) fn may_be_held(&self) -> bool {
        self.lease().is_some_and(Lease::may_be_held)
    }

    /// Notes that a request for the row is sent, see [`Lease::ask`].
    pub(crate) fn ask(&mut self) {
        if let Some(lease) = self.lease_mut() {
            lease.ask();
        }
    }

    /// Notes the state of the row that a request saw. Returns whether the lock is held. `None` means that nothing is
    /// known, so that it counts as not held.
    pub(crate) fn learn(&mut self, seen: Option<&Seen>) -> bool {
        self.lease_mut().is_some_and(|lease| lease.learn(seen))
    }

    /// Returns the statement that gives the row back, if that may be necessary. It counts as not held from now on.
    pub(crate) fn let_go(&mut self) -> Option<Statement<'static>> {
        self.lease_mut()?.let_go()
    }

    /// Notes that the row was given back, or that the attempt failed.
    pub(crate) fn is_given_back(&mut self) {
        if let Some(lease) = self.lease_mut() {
            lease.is_given_back();
        }
    }

    /// Returns the statement that keeps a former holder out from now on, unless that was done.
    pub(crate) fn raise(&self) -> Option<Statement<'static>> {
        match self {
            Claim::Fenced {
                name,
                fence,
                is_raised: false,
            } => Some(fence::check(name, fence)),
            _ => None,
        }
    }

    /// Notes whether a former holder is kept out. Returns whether that was so before.
    pub(crate) fn set_raised(&mut self, now: bool) -> bool {
        match self {
            Claim::Fenced { is_raised, .. } => std::mem::replace(is_raised, now),
            Claim::None | Claim::Row(_) => false,
        }
    }

    /// Returns the statements of the commit that run before the entries of the journal, and those that run after them.
    ///
    /// A row that is not held yet is taken by the commit itself. The commit gives it back in either case, so that a
    /// transaction of nothing but writes needs no request for its lock.
    pub(crate) fn around_commit(&self) -> (Statements, Statements) {
        match self {
            Claim::None => (Vec::new(), Vec::new()),
            Claim::Fenced { name, fence, .. } => {
                (vec![(Part::Fence, fence::check(name, fence))], Vec::new())
            }
            Claim::Row(lease) => {
                let before = match lease.is_held() {
                    true => vec![(Part::Fence, lease.check())],
                    false => vec![
                        (Part::Own, lease.acquire()),
                        (Part::TakeLock, lease.check()),
                    ],
                };
                (before, vec![(Part::Own, lease.release())])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::RqliteLock;

    fn parts(statements: &Statements) -> Vec<Part> {
        statements.iter().map(|(part, _)| *part).collect()
    }

    #[test]
    fn a_row_is_taken_by_the_commit_unless_it_is_held() {
        let lease = Lease::new(RqliteLock::new("a"), "mine".to_owned());
        let held = Seen::by("mine");
        let mut claim = Claim::Row(lease);
        assert_eq!(
            parts(&claim.around_commit().0),
            [Part::Own, Part::TakeLock],
            "it is not held"
        );
        claim.ask();
        assert!(claim.is_wanted() && claim.may_be_held());
        assert!(claim.learn(Some(&held)));
        let (before, after) = claim.around_commit();
        assert_eq!(parts(&before), [Part::Fence]);
        assert_eq!(parts(&after), [Part::Own]);
    }

    #[test]
    fn a_row_is_given_back_until_that_was_tried() {
        let mut claim = Claim::Row(Lease::new(RqliteLock::new("a"), "mine".to_owned()));
        assert_eq!(claim.let_go(), None, "nobody has asked for it");
        claim.ask();
        claim.learn(Some(&Seen::by("mine")));
        assert!(claim.let_go().is_some());
        assert!(claim.is_wanted() && claim.may_be_held());
        assert!(claim.let_go().is_some(), "the first try was cancelled");
        claim.is_given_back();
        assert!(!claim.may_be_held());
        assert_eq!(claim.let_go(), None);
    }

    #[test]
    fn a_fence_is_raised_once() {
        let fence = Fence {
            number: 7,
            owner: "mine".to_owned(),
        };
        let mut claim = Claim::elsewhere("a", Some(fence));
        assert!(claim.raise().is_some());
        assert!(!claim.set_raised(true));
        assert_eq!(claim.raise(), None);
        assert!(claim.set_raised(false));
        assert!(claim.raise().is_some());
        let (before, after) = claim.around_commit();
        assert_eq!((parts(&before), parts(&after)), (vec![Part::Fence], vec![]));
        assert!(!claim.is_wanted() && !claim.may_be_held());
    }
}
