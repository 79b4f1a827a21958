//! Writes of several callers as one request.
//!
//! One request is outstanding at a time. Writes that arrive in the meantime wait, and are sent together as the next
//! request. A write that finds none outstanding is sent at once. In the request, each write is a statement by itself:
//! it is applied or fails independently of the others. The request as a whole is sent, redirected and given up like
//! that of a single write.
//!
//! The leader sends the writes that wait. Among threads, one of those that wait leads, for one request; then the first
//! of those that still wait takes over. Tasks do not lead themselves: a future may be dropped, or not be polled while
//! its task waits for another write. So a task of its own leads, until no write waits any more.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Client, Session};
use crate::config::RqliteConfig;
use crate::mutex::locked;
use crate::protocol::failure::{Failure, Why};
use crate::protocol::request::{Exchange, Settings};
use crate::protocol::response::Answer;
use crate::runtime::Runtime;

/// The most statements of a request: more are no faster, and proxies refuse long bodies.
const MOST_STATEMENTS: u64 = 512;
const MOST_BYTES: usize = 256 << 10;
/// An upper bound for the answer to one write, including an error.
const LONGEST_ANSWER: u64 = 1 << 10;

/// The queue through which the writes of equal configurations go.
#[derive(Debug)]
pub(crate) struct Coalescer {
    config: RqliteConfig,
    leader_timeout: Duration,
    /// `true` if tasks wait, `false` if threads do.
    of_tasks: bool,
    most: usize,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Arc<Write>>,
    /// Set while a leader sends the writes that wait.
    is_led: bool,
}

impl Queue {
    /// Takes the waker of the first write that waits, if nobody leads. It has to be woken to lead.
    fn first(&self) -> Option<Waker> {
        let first = self.waiting.front().filter(|_| !self.is_led)?;
        locked(&first.progress).waker.take()
    }
}

#[derive(Debug)]
struct Write {
    exchange: Exchange,
    progress: Mutex<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    waker: Option<Waker>,
    outcome: Option<Outcome>,
}

/// The outcome of a write.
type Outcome = Result<Answer, Failure>;

/// The write of one caller. Dropping it withdraws the write, unless the write has been sent.
struct Ticket {
    of: Arc<Coalescer>,
    write: Arc<Write>,
    is_over: bool,
}

/// The next step of a caller.
enum Turn {
    Lead(Lead),
    Over(Outcome),
}

/// The right to send the writes that wait. When it is dropped, the writes that were taken get an outcome, and somebody
/// else may lead.
struct Lead {
    of: Arc<Coalescer>,
    taken: Vec<Arc<Write>>,
    is_over: bool,
}

impl Coalescer {
    pub(crate) fn new<R: Runtime>(config: &RqliteConfig) -> Self {
        let most = MOST_STATEMENTS.min(config.max_answer / LONGEST_ANSWER);
        Coalescer {
            config: config.clone(),
            leader_timeout: config.settings().leader_timeout,
            of_tasks: R::DROPS_FUTURES,
            most: usize::try_from(most).unwrap_or_default().max(1),
            queue: Mutex::default(),
        }
    }

    /// Returns whether connections of this configuration, with this kind of client, may use it.
    pub(crate) fn is_of<R: Runtime>(&self, config: &RqliteConfig) -> bool {
        self.of_tasks == R::DROPS_FUTURES && self.config == *config
    }

    /// Returns whether others may send a write with these settings. They use the settings of the configuration.
    pub(super) fn suits(&self, settings: &Settings) -> bool {
        settings.request_timeout.is_none()
            && settings.db_timeout.is_none()
            && settings.leader_timeout == self.leader_timeout
    }

    /// Adds a write to those that wait.
    fn enter(self: &Arc<Self>, exchange: Exchange) -> Ticket {
        let write = Arc::new(Write {
            exchange,
            progress: Mutex::default(),
        });
        locked(&self.queue).waiting.push_back(Arc::clone(&write));
        Ticket {
            of: Arc::clone(self),
            write,
            is_over: false,
        }
    }
}

impl Ticket {
    /// Returns the outcome of the write, or the right to lead if nobody leads. Otherwise the caller is woken later.
    fn turn(&mut self, context: &Context<'_>) -> Poll<Turn> {
        let mut queue = locked(&self.of.queue);
        let mut progress = locked(&self.write.progress);
        if let Some(outcome) = progress.outcome.take() {
            self.is_over = true;
            return Poll::Ready(Turn::Over(outcome));
        }
        if !queue.is_led {
            queue.is_led = true;
            return Poll::Ready(Turn::Lead(Lead {
                of: Arc::clone(&self.of),
                taken: Vec::new(),
                is_over: false,
            }));
        }
        progress.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let mut queue = locked(&self.of.queue);
        queue
            .waiting
            .retain(|write| !Arc::ptr_eq(write, &self.write));
        let next = queue.first();
        drop(queue);
        wake(next);
    }
}

impl Lead {
    /// Takes the writes of the next request. Returns `None` if none waits; then nobody leads any more.
    fn take(&mut self) -> Option<Exchange> {
        let mut queue = locked(&self.of.queue);
        let mut bytes = 0;
        while self.taken.len() < self.of.most
            && let Some(next) = queue.waiting.front()
            && (bytes == 0 || bytes + next.exchange.body.len() <= MOST_BYTES)
        {
            bytes += next.exchange.body.len();
            self.taken.extend(queue.waiting.pop_front());
        }
        if self.taken.is_empty() {
            queue.is_led = false;
            self.is_over = true;
            return None;
        }
        let writes: Vec<_> = self.taken.iter().map(|write| &write.exchange).collect();
        Some(Exchange::together(&writes))
    }

    /// Gives each write that was taken its part of the request's outcome.
    fn hand_out(&mut self, answers: Result<Vec<Answer>, Failure>) {
        let mut answers = answers.map(Vec::into_iter);
        for write in std::mem::take(&mut self.taken) {
            let lost = |write: &Write| write.exchange.failure(Why::Unknown, "the answer was lost");
            let outcome = match &mut answers {
                Ok(answers) => answers.next().ok_or_else(|| lost(&write)),
                Err(failure) => Err(failure.clone()),
            };
            let mut progress = locked(&write.progress);
            progress.outcome = Some(outcome);
            let waker = progress.waker.take();
            drop(progress);
            wake(waker);
        }
    }
}

impl Drop for Lead {
    /// If it is not over, a thread's turn has ended, a runtime has ended, or there was a panic.
    fn drop(&mut self) {
        self.hand_out(Ok(Vec::new()));
        if self.is_over {
            return;
        }
        let mut queue = locked(&self.of.queue);
        queue.is_led = false;
        let next = queue.first();
        drop(queue);
        wake(next);
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl<C: Client> Session<C> {
    /// Sends a write of one statement that returns no rows, together with the writes of others that wait.
    pub(super) async fn send_coalesced(
        &mut self,
        coalescer: &Arc<Coalescer>,
        exchange: &Exchange,
    ) -> Result<Answer, Failure> {
        let mut ticket = coalescer.enter(exchange.clone());
        let mut has_led = false;
        loop {
            let turn = C::Runtime::until(|context| ticket.turn(context)).await;
            match turn {
                Turn::Over(outcome) => {
                    self.answered = outcome.is_ok().then(Instant::now);
                    return outcome;
                }
                Turn::Lead(mut lead) if !C::Runtime::DROPS_FUTURES => {
                    self.send_next(&mut lead).await;
                }
                Turn::Lead(_) if has_led => {
                    let reason = "the runtime has ended";
                    return Err(exchange.failure(Why::NotApplied, reason));
                }
                Turn::Lead(mut lead) => {
                    has_led = true;
                    let mut courier = self.courier();
                    C::Runtime::detach(async move {
                        while courier.send_next(&mut lead).await {
                            give_way::<C::Runtime>().await;
                        }
                    });
                }
            }
        }
    }

    /// Sends the writes that wait as one request. Returns whether there were any.
    async fn send_next(&mut self, lead: &mut Lead) -> bool {
        let Some(exchange) = lead.take() else {
            return false;
        };
        let outcome = self.send(&exchange).await;
        lead.hand_out(outcome.and_then(|body| answers(&exchange, &body)));
        true
    }
}

/// Lets ready tasks run first: those that were just answered may have more to write for the next request.
async fn give_way<R: Runtime>() {
    let mut has_waited = false;
    R::until(|context| match std::mem::replace(&mut has_waited, true) {
        true => Poll::Ready(()),
        false => {
            context.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}

/// Returns the answer to each statement.
fn answers(exchange: &Exchange, body: &Bytes) -> Result<Vec<Answer>, Failure> {
    let answer = exchange.answer(body, &[])?;
    let missing = || {
        exchange.failure(
            Why::Unknown,
            "unreadable answer: not a result for each write",
        )
    };
    answer.apart(exchange.statements).ok_or_else(missing)
}
