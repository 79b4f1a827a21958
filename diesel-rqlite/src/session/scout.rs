//! Asks the nodes of a cluster which of them leads, concurrently with other requests.
//!
//! A [`Scout`] sends the questions, a *survey*. Each node that is due is asked in a thread or task of its own, and what
//! it says is noted in the shared knowledge of the [`cluster`](crate::protocol::cluster). One survey is under way at a
//! time. Nobody waits for a survey here: callers watch the cluster for its result.
//!
//! A [`Vigil`] belongs to one request that has no answer yet. The client asks it at intervals whether to go on waiting.
//! [`Watch`] decides that from what the surveys have found, and says when another survey is needed.
//!
//! Neither decides what happens to a request that was given up. That is up to [`Call`](crate::protocol::call::Call).

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::Client;
use crate::observe::{Count, Observer};
use crate::protocol::authorization::Authorization;
use crate::protocol::nodes::Known;
use crate::protocol::survey::Survey;
#[cfg(feature = "async")]
use crate::protocol::watch::INTERVAL;
use crate::protocol::watch::{Verdict, Watch};
use crate::runtime::Runtime;

/// The means to ask the nodes of one configuration's cluster.
///
/// The client is hidden in a closure, so that a [`Vigil`] has no type parameter for the client that it is given to.
pub(crate) struct Scout {
    pub(crate) known: Known,
    /// Begins a survey, unless one is under way.
    survey: Box<dyn Fn(&Known) + Send + Sync>,
}

impl fmt::Debug for Scout {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Scout")
    }
}

impl Scout {
    /// Creates a scout that asks by `client`. A node gets the credentials only if it is trusted when the survey begins.
    /// Others are asked without them.
    pub(crate) fn new<C: Client>(
        client: C,
        known: Known,
        authorization: Authorization,
        observer: Observer,
    ) -> Arc<Self> {
        let survey = move |known: &Known| {
            let began = Instant::now();
            let nodes = known.cluster().begin_survey(began);
            for node in nodes {
                let is_trusted = known.cluster().trusts(&node);
                let authorization = authorization.get().filter(|_| is_trusted);
                let survey = Survey::new(node.clone(), authorization);
                observer.count(Count::Probes);
                C::Runtime::spawn_concurrent(ask(
                    client.clone(),
                    known.clone(),
                    survey,
                    node,
                    began,
                ));
            }
        };
        Arc::new(Scout {
            known,
            survey: Box::new(survey),
        })
    }

    /// Asks all nodes in the background, unless they are being asked already. Returns at once. An address that never
    /// answered is left out at times, unless the configuration names it.
    pub(crate) fn survey(&self) {
        (self.survey)(&self.known);
    }
}

/// Asks one node, and notes its answer or its silence. [`Survey`] decides on the questions and stops when it has heard
/// enough. A node that has answered at least one of them counts as one that speaks.
async fn ask<C: Client>(client: C, known: Known, mut survey: Survey, node: String, began: Instant) {
    while let Some(request) = survey.ask() {
        match client.probe(request).await {
            Ok(response) => survey.heard(&response),
            Err(_) if survey.has_said() => break,
            Err(error) => {
                let mut cluster = known.cluster();
                return cluster.is_silent(&node, &error.message, Instant::now());
            }
        }
    }
    let mut cluster = known.cluster();
    cluster.has_said(&node, survey.view(), began, Instant::now());
}

/// The watch over a request that is outstanding. It asks the other nodes about the request's node.
///
/// The client tells it when bytes pass in either direction, and calls [`check`](Self::check) when the time of
/// [`next_check`](Self::next_check) has come. A vigil serves one request that is sent once.
#[derive(Debug)]
pub(crate) struct Vigil {
    watch: Watch,
    scout: Arc<Scout>,
}

impl Vigil {
    pub(crate) fn new(watch: Watch, scout: Arc<Scout>) -> Self {
        Vigil { watch, scout }
    }

    /// Returns the time of the next check. There is nothing to see before.
    pub(crate) fn next_check(&self, now: Instant) -> Instant {
        self.watch.next_check(now)
    }

    /// Returns the time of the next check, which is always in the future.
    #[cfg(feature = "async")]
    pub(crate) fn next_tick(&self) -> Instant {
        let now = Instant::now();
        let next = self.watch.next_check(now);
        if next > now { next } else { now + INTERVAL }
    }

    /// Notes that there is a connection, and that a part of the request has been sent. The node's time begins anew.
    pub(crate) fn passed_on(&mut self) {
        self.watch.passed_on(Instant::now());
    }

    /// Notes that a part of the answer has arrived. The node's time begins anew, and it has accepted the request.
    pub(crate) fn heard(&mut self) {
        self.watch.heard(Instant::now());
    }

    /// Returns the reason to give the request up, if there is one. Begins a survey in the background if the watch asks
    /// for it. It may be called at any time, and does nothing before the next check is due.
    pub(crate) fn check(&mut self) -> Option<String> {
        let now = Instant::now();
        if now < self.watch.next_check(now) {
            return None;
        }
        let verdict = self.watch.check(&self.scout.known.cluster(), now);
        match verdict {
            Verdict::Wait => None,
            Verdict::Survey => {
                self.scout.survey();
                None
            }
            Verdict::GiveUp(reason) => Some(reason),
        }
    }
}
