//! Renewal of a lease in the background.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::mutex::locked;
use crate::runtime::{Background, Runtime, Ticker};

/// The state of a lease, as the background task knows it.
#[derive(Debug)]
struct State {
    /// The time until which the lease is certainly held.
    #[cfg_attr(not(feature = "redis"), allow(dead_code))]
    until: Instant,
    lost: Option<String>,
}

/// Renews a lease after every third of its duration, until this is dropped. If there is no answer,
/// it tries again sooner, so that a hiccup of the server does not cost the lease.
///
/// A lock that is held for less than a third of its lease is never renewed.
#[derive(Debug)]
pub(crate) struct Renewal {
    state: Arc<Mutex<State>>,
    _background: Background,
}

/// A lease that can be renewed.
pub(crate) trait Renew: Send + 'static {
    fn renew(&mut self) -> impl Future<Output = Renewed> + Send;
}

/// The outcome of one renewal.
#[derive(Debug)]
pub(crate) enum Renewed {
    Yes,
    /// The lock is held by somebody else, or by nobody.
    Lost(String),
    /// There was no answer. The next attempt may succeed.
    Unknown,
}

impl Renewal {
    /// Starts the renewal. `since` is when the request of the acquisition was *sent*: the lease
    /// began after it.
    pub(crate) fn start<R: Runtime>(
        since: Instant,
        lease: Duration,
        renew: impl Renew,
    ) -> std::io::Result<Self> {
        let state = Arc::new(Mutex::new(State {
            until: since + lease,
            lost: None,
        }));
        let shared = Arc::clone(&state);
        let background =
            R::spawn_until_dropped(move |ticker| keep_renewing(ticker, lease, renew, shared))?;
        Ok(Renewal {
            state,
            _background: background,
        })
    }

    /// Returns why the lease is over, if a renewal found out. A lease that merely ran out may still
    /// be ours.
    pub(crate) fn is_known_lost(&self) -> Option<String> {
        locked(&self.state).lost.clone()
    }

    /// Returns why the lease is over, or `None` if it is not.
    #[cfg(feature = "redis")]
    pub(crate) fn lost(&self) -> Option<String> {
        let state = locked(&self.state);
        match &state.lost {
            Some(reason) => Some(reason.clone()),
            None if Instant::now() >= state.until => {
                Some("its lease ended before it could be renewed".to_owned())
            }
            None => None,
        }
    }
}

async fn keep_renewing(
    mut ticker: impl Ticker,
    lease: Duration,
    mut renew: impl Renew,
    state: Arc<Mutex<State>>,
) {
    let mut wait = lease / 3;
    while ticker.tick(wait).await {
        let asked = Instant::now();
        let renewed = renew.renew().await;
        let mut state = locked(&state);
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
}
