//! Writes of several callers as one request.
//!
//! One request with the writes of several callers is outstanding at a time. Writes that arrive in the meantime wait, and
//! are sent together as the next request. A write that finds none outstanding is sent at once. In the request, each
//! write is a statement by itself: it is applied or fails independently of the others. The request as a whole is sent,
//! redirected and given up like that of a single write.
//!
//! In this module, the leader is the caller that sends, not the node that leads the cluster, except in
//! `leader_timeout`. The leader sends the writes that wait. Among threads, one of those that wait leads, for one
//! request; then the first of those that still wait takes over. Tasks do not lead themselves: a future may be dropped,
//! or not be polled while its task waits for another write. So a task of its own leads, until no write waits any more.
//!
//! To start that task costs a task about as much as to be woken by another thread. So a task that finds nobody else is
//! [`Alone`]: it sends its write as if there were no other callers. Nobody waits for it, so that the next write starts
//! a leader.
//!
//! The life of any other write, in [`Session::send_coalesced`]:
//!
//! 1. [`Coalescer::enter`] adds it to the queue. The caller holds a [`Ticket`].
//! 2. [`Ticket::turn`] tells the caller to lead, or lets it wait until it is woken.
//! 3. [`Lead::take`] removes it from the queue, with others. From now on it can't be withdrawn.
//! 4. [`Lead::hand_out`] gives it its outcome and wakes the caller.
//! 5. [`Ticket::turn`] returns the outcome. Or the ticket was dropped, and nobody learns it.
//!
//! Invariants:
//!
//! * At most one [`Lead`] that is not over exists for a coalescer. `is_led` is set as long as it does.
//! * If a write waits and nobody leads, a caller is about to take its turn, or has been woken for it. Each place that
//!   clears `is_led` while a write waits, or removes a write without leading, therefore wakes the first one that waits.
//! * Each write that was taken gets an outcome, even if its leader panics or its runtime ends: the outcome is unknown
//!   then.
//! * The queue is locked before the progress of a write, never the other way round. Wakers are called without a lock on
//!   the queue.

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
/// The size of a request's body, in bytes, above which no further write is added. A single write may be larger.
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
    /// The most statements of a request. Their answers together have to fit into the longest answer that the client
    /// accepts.
    most: usize,
    queue: Mutex<Queue>,
}

/// The writes that wait, and whether somebody is there to send them.
#[derive(Debug, Default)]
struct Queue {
    /// The writes that were not taken yet, in the order in which they came.
    waiting: VecDeque<Arc<Write>>,
    /// Set while a leader sends the writes that wait.
    is_led: bool,
    /// Set while a task that found nobody else sends its own write.
    is_alone: bool,
}

impl Queue {
    /// Takes the waker of the first write that waits, if nobody leads. It has to be woken to lead.
    fn first(&self) -> Option<Waker> {
        let first = self.waiting.front().filter(|_| !self.is_led)?;
        locked(&first.progress).waker.take()
    }
}

/// A write of one caller, shared by the caller and the leader.
#[derive(Debug)]
struct Write {
    exchange: Exchange,
    progress: Mutex<Progress>,
}

/// The state of a write. Both are empty until the caller waits or the leader has an outcome.
#[derive(Debug, Default)]
struct Progress {
    /// The waker of the caller while it waits.
    waker: Option<Waker>,
    /// The outcome, from the time when the leader has it until the caller takes it.
    outcome: Option<Outcome>,
}

/// The outcome of a write.
type Outcome = Result<Answer, Failure>;

/// The write of one caller. Dropping it withdraws the write, unless the write has been taken. In that case the request
/// goes on, and the write may be applied without anyone learning it. If the caller was woken to lead, the next one is
/// woken in its place.
struct Ticket {
    of: Arc<Coalescer>,
    write: Arc<Write>,
    /// Set once the caller has the outcome.
    is_over: bool,
}

/// The next step of a caller, once it need not wait any more.
enum Turn {
    Lead(Lead),
    Over(Outcome),
}

/// The right to send a write without asking others. Only one caller at a time has it.
struct Alone(Arc<Coalescer>);

impl Drop for Alone {
    fn drop(&mut self) {
        locked(&self.0.queue).is_alone = false;
    }
}

/// The right to send the writes that wait. When it is dropped, the writes that were taken get an outcome, and somebody
/// else may lead.
struct Lead {
    of: Arc<Coalescer>,
    /// The writes of the request that is under way, in the order of its statements.
    taken: Vec<Arc<Write>>,
    /// Set once nothing waits any more, and `is_led` is cleared.
    is_over: bool,
}

impl Coalescer {
    /// Creates the queue for connections with an equal configuration and the same kind of runtime, see
    /// [`is_of`](Self::is_of). They have to share it, or their writes never meet.
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

    /// Returns whether others may send a write with these settings. The leader sends it with its own settings, which
    /// are those of the configuration, so a write with a timeout of its own is sent alone.
    pub(super) fn suits(&self, settings: &Settings) -> bool {
        settings.request_timeout.is_none()
            && settings.db_timeout.is_none()
            && settings.leader_timeout == self.leader_timeout
    }

    /// Returns the right to send a write by oneself, if nobody else writes. Threads don't need it: the one that leads
    /// sends its own write.
    fn alone(self: &Arc<Self>) -> Option<Alone> {
        let mut queue = locked(&self.queue);
        let is_free = self.of_tasks && !queue.is_led && !queue.is_alone;
        if !is_free || !queue.waiting.is_empty() {
            return None;
        }
        queue.is_alone = true;
        Some(Alone(Arc::clone(self)))
    }

    /// Adds a write to those that wait. It is sent only if the caller takes its [`turn`](Ticket::turn).
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
    ///
    /// It is polled again after that. Only the last waker is kept. A caller that leads has to send what waits, or drop
    /// the right.
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
    ///
    /// Call it again only after [`hand_out`](Self::hand_out). The first write is taken whatever its size.
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

    /// Gives each write that was taken its part of the request's outcome: its answer, or the failure of the request.
    /// Where an answer is missing, the outcome is unknown. May be called again; nothing is left to hand out then.
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
    /// Ends the lead, whatever happened. Writes that were taken and have no outcome get an unknown one.
    ///
    /// If it is not over, a thread's turn has ended, a runtime has ended, or there was a panic. Then the next caller is
    /// woken to lead.
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
    ///
    /// Returns the answer as it would be for a request of this write alone, or the failure of the common request. With
    /// [`Why::NotApplied`] none of the writes was applied. If the future is dropped, the write is withdrawn or, if it
    /// was sent, goes on.
    pub(super) async fn send_coalesced(
        &mut self,
        coalescer: &Arc<Coalescer>,
        exchange: &Exchange,
    ) -> Result<Answer, Failure> {
        if let Some(_alone) = coalescer.alone() {
            let body = self.send(exchange).await?;
            return exchange.answer(&body, &[]);
        }
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
                // The task that was started for this write has ended without sending it. So there is no runtime to run
                // tasks.
                Turn::Lead(_) if has_led => {
                    let reason = "the runtime has ended";
                    return Err(exchange.failure(Why::NotApplied, reason));
                }
                Turn::Lead(mut lead) => {
                    has_led = true;
                    // The task needs a session of its own, because this future may be dropped before the task has
                    // ended.
                    let mut courier = self.courier();
                    C::Runtime::spawn(async move {
                        while courier.send_next(&mut lead).await {
                            give_way::<C::Runtime>().await;
                        }
                    });
                }
            }
        }
    }

    /// Sends the writes that wait as one request, and hands out the answers. Returns whether there were any. A failure
    /// is handed out like an answer, so that the next request may follow.
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

/// Returns the answer to each statement. Fails with [`Why::Unknown`] if their number differs, since it is not known
/// then which answer belongs to which write.
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
