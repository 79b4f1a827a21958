//! Keeps a lease alive in the background.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// What the background has to say about a lease.
#[derive(Debug)]
struct State {
    /// Until when it is certainly held.
    #[cfg_attr(not(feature = "redis"), allow(dead_code))]
    until: Instant,
    lost: Option<String>,
}

/// A thread that renews a lease every third of it, until this is dropped. Without an answer it asks again sooner,
/// so that a hiccup of the server costs no lease.
///
/// A lock that is held for less than that never hears of it.
#[derive(Debug)]
pub(crate) struct Renewal {
    state: Arc<Mutex<State>>,
    _stop: Sender<()>,
}

/// What came of one renewal.
#[derive(Debug)]
pub(crate) enum Renewed {
    Yes,
    /// Somebody else holds the lock, or nobody.
    Lost(String),
    /// No answer; the next attempt may have one.
    Unknown,
}

impl Renewal {
    /// `since` is when the acquisition was *sent*: the lease began after it.
    pub(crate) fn start(
        since: Instant,
        lease: Duration,
        mut renew: impl FnMut() -> Renewed + Send + 'static,
    ) -> std::io::Result<Self> {
        let state = Arc::new(Mutex::new(State {
            until: since + lease,
            lost: None,
        }));
        let (stop, stopped) = channel();
        let shared = Arc::clone(&state);
        thread::Builder::new()
            .name("diesel-rqlite lease".to_owned())
            .spawn(move || {
                let mut wait = lease / 3;
                while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                    let asked = Instant::now();
                    let renewed = renew();
                    let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
                    wait = lease / 3;
                    match renewed {
                        Renewed::Yes => state.until = asked + lease,
                        Renewed::Unknown => wait = lease / 20,
                        Renewed::Lost(reason) => {
                            state.lost = Some(reason);
                            return;
                        }
                    }
                }
            })?;
        Ok(Renewal { state, _stop: stop })
    }

    /// Why the lease is over, if a renewal was told so. One that merely ran out may still be ours.
    pub(crate) fn is_known_lost(&self) -> Option<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.lost.clone()
    }

    /// Why the lease is over, if it is.
    #[cfg(feature = "redis")]
    pub(crate) fn lost(&self) -> Option<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &state.lost {
            Some(reason) => Some(reason.clone()),
            None if Instant::now() >= state.until => {
                Some("its lease ended before it could be renewed".to_owned())
            }
            None => None,
        }
    }
}
