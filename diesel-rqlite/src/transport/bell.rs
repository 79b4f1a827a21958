//! A waker between a connection and the task that waits for it.
//!
//! hyper's connection and its users wake each other, since they are expected to be separate tasks.
//! Here one task polls both. A task that is woken while it runs is polled again afterwards, and a
//! multi-threaded runtime wakes another thread for that. So the task is woken only while it waits.
//! If it is woken before, it polls again at once.
//!
//! A round of [`Bell::poll`] resets the bell, polls with the bell's own waker, and then looks at
//! what has happened:
//!
//! * The poll is ready: its value is returned.
//! * It is pending, and the bell has not rung: the waker of the task is stored. The next ring wakes
//!   the task.
//! * It is pending, and the bell has rung meanwhile: another round begins, for [`ROUNDS`] rounds at
//!   most.
//!
//! No wake-up is lost, because the check and the storing of the waker happen under one lock. A ring
//! before it is seen by the check, and a ring after it finds the waker.
//!
//! Only one task waits at a time. It may be another one at each poll, as a connection moves from
//! request to request: the task that polled last is woken.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use crate::mutex::locked;

/// The number of polls in a row. Without a limit, polling would never end when tokio forces a task
/// to yield: nothing is ready then, and everything wakes the task.
const ROUNDS: usize = 3;

/// The waker of a connection.
pub(super) struct Bell {
    state: Arc<State>,
    /// A waker that rings `state`, kept so that a poll need not allocate one.
    waker: Waker,
}

/// The part of a bell that its wakers share. They may outlive the bell.
#[derive(Default)]
struct State(Mutex<Rung>);

#[derive(Default)]
struct Rung {
    /// The waker of the task, while it waits.
    task: Option<Waker>,
    /// Set if the bell has rung since the last poll began.
    has_rung: bool,
}

impl Wake for State {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut rung = locked(&self.0);
        let task = rung.task.take();
        rung.has_rung = true;
        drop(rung);
        if let Some(task) = task {
            task.wake();
        }
    }
}

impl Bell {
    pub(super) fn new() -> Self {
        let state = Arc::<State>::default();
        Bell {
            waker: Waker::from(Arc::clone(&state)),
            state,
        }
    }

    /// Polls something while no task waits for it. A ring before the poll is forgotten, and so is
    /// the task that waited. A ring after it wakes nobody.
    pub(super) fn poll_once<T>(&self, poll: impl FnOnce(&mut Context<'_>) -> T) -> T {
        *locked(&self.state.0) = Rung::default();
        poll(&mut Context::from_waker(&self.waker))
    }

    /// Polls something for a task, which is woken when it should be polled again.
    ///
    /// `poll` may be called several times, and not any more after it was ready. If the bell has
    /// rung in every round, the task is woken at once, so that the runtime lets others run first.
    pub(super) fn poll<T>(
        &self,
        task: &Context<'_>,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        for _ in 0..ROUNDS {
            let polled = self.poll_once(&mut poll);
            if polled.is_ready() || self.waits(task.waker()) {
                return polled;
            }
        }
        task.waker().wake_by_ref();
        Poll::Pending
    }

    /// Lets the task wait, unless the bell rang meanwhile. Returns whether it waits.
    fn waits(&self, task: &Waker) -> bool {
        let mut rung = locked(&self.state.0);
        if !rung.has_rung {
            rung.task = Some(task.clone());
        }
        !rung.has_rung
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct Counted(AtomicUsize);

    impl Wake for Counted {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns the waker of a task, and a function that returns how often it was woken.
    fn task() -> (Waker, impl Fn() -> usize) {
        let counted = Arc::<Counted>::default();
        let waker = Waker::from(Arc::clone(&counted));
        (waker, move || counted.0.load(Ordering::Relaxed))
    }

    #[test]
    fn task_is_woken_while_it_waits() {
        let (bell, (waker, woken)) = (Bell::new(), task());
        let context = Context::from_waker(&waker);
        let mut inner = None;
        let polled = bell.poll(&context, |context| {
            inner = Some(context.waker().clone());
            Poll::<()>::Pending
        });
        assert!(polled.is_pending());
        assert_eq!(woken(), 0);
        let inner = inner.expect("was polled");
        inner.wake_by_ref();
        inner.wake_by_ref();
        assert_eq!(woken(), 1);
    }

    #[test]
    fn what_rings_while_the_task_runs_is_polled_again() {
        let (bell, (waker, woken)) = (Bell::new(), task());
        let context = Context::from_waker(&waker);
        let mut polls = 0;
        let polled = bell.poll(&context, |context| {
            polls += 1;
            context.waker().wake_by_ref();
            match polls {
                2 => Poll::Ready(polls),
                _ => Poll::Pending,
            }
        });
        assert_eq!((polled, woken()), (Poll::Ready(2), 0));
        // The poll is over, and no task waits.
        bell.waker.wake_by_ref();
        assert_eq!(woken(), 0);
    }

    #[test]
    fn what_rings_without_end_lets_others_run() {
        let (bell, (waker, woken)) = (Bell::new(), task());
        let context = Context::from_waker(&waker);
        let polled = bell.poll(&context, |context| {
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        assert!(polled.is_pending());
        assert_eq!(woken(), 1);
    }

    #[test]
    fn the_task_that_polled_last_is_woken() {
        let (bell, (first, first_woken), (second, second_woken)) = (Bell::new(), task(), task());
        for waker in [&first, &second] {
            let context = Context::from_waker(waker);
            assert!(bell.poll(&context, |_| Poll::<()>::Pending).is_pending());
        }
        bell.waker.wake_by_ref();
        assert_eq!((first_woken(), second_woken()), (0, 1));
    }
}
