//! Writes of several callers as one request.
//!
//! One request is under way at a time. Writes that come meanwhile wait, and go out together as the next one; one that finds
//! none under way goes out at once. In the request, each is a statement by itself: it is applied or fails whatever becomes
//! of the others, and all of it is sent, redirected and given up as the request of a single write is.
//!
//! Who leads sends what waits. Of threads, one of those that wait does, for one request; the first of those that still wait
//! follows. Tasks do not lead themselves: a future may be dropped, or left alone by its task, which now waits for another
//! write. A task of its own leads, until nothing waits any more.

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

/// What a request has at most: more statements are no faster, and proxies refuse long bodies.
const MOST_STATEMENTS: u64 = 512;
const MOST_BYTES: usize = 256 << 10;
/// The answer to a write is shorter, its error included.
const LONGEST_ANSWER: u64 = 1 << 10;

/// What the writes of equal configurations go through.
#[derive(Debug)]
pub(crate) struct Coalescer {
    config: RqliteConfig,
    leader_timeout: Duration,
    /// Whether tasks wait, or threads.
    of_tasks: bool,
    most: usize,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Arc<Write>>,
    /// Somebody sends what waits.
    is_led: bool,
}

impl Queue {
    /// Who has to be told that nobody leads.
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

/// What came of a write.
type Outcome = Result<Answer, Failure>;

/// One caller's write, which is no longer sent if this is dropped before.
struct Ticket {
    of: Arc<Coalescer>,
    write: Arc<Write>,
    is_over: bool,
}

/// What a caller has to do next.
enum Turn {
    Lead(Lead),
    Over(Outcome),
}

/// The right to send what waits. The writes that were taken have an outcome when it is dropped, and somebody else may lead.
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

    pub(crate) fn is_of<R: Runtime>(&self, config: &RqliteConfig) -> bool {
        self.of_tasks == R::DROPS_FUTURES && self.config == *config
    }

    /// Whether a write with these settings may be sent by others, who have those of the configuration.
    pub(super) fn suits(&self, settings: &Settings) -> bool {
        settings.request_timeout.is_none()
            && settings.db_timeout.is_none()
            && settings.leader_timeout == self.leader_timeout
    }

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
    /// What goes out next. `None`: nothing waits, and nobody leads any more.
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

    /// Gives each write that was taken its part of what came of the request.
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
    /// Before it is over, this is the end of a thread's turn, of a runtime, or a panic.
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
    /// Sends a write without rows, of one statement, with those of others that wait.
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

    /// Sends what waits, as one request. Whether there was anything.
    async fn send_next(&mut self, lead: &mut Lead) -> bool {
        let Some(exchange) = lead.take() else {
            return false;
        };
        let outcome = self.send(&exchange).await;
        lead.hand_out(outcome.and_then(|body| answers(&exchange, &body)));
        true
    }
}

/// Lets tasks go first that are ready: those that were just answered may have more to write, for the next request.
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

/// The answer of each statement.
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
