//! A lock between the threads of one process.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

#[cfg(feature = "async")]
use super::{AsyncLock, AsyncLockGuard, LockFuture};
use super::{Lock, LockError, LockGuard};
use crate::mutex::locked;

/// A lock between the threads and tasks of one process, identified by its name: two values with the
/// same name are the same lock.
///
/// It is granted in the order of arrival. It never outlives the process, so it has no lease and no
/// fence.
///
/// ```
/// use std::time::Duration;
/// use diesel_rqlite::{Lock, ThreadLock};
///
/// let lock = ThreadLock::new("accounts").timeout(Duration::from_millis(1));
/// let held = lock.acquire()?;
/// assert!(lock.acquire().is_err_and(|error| error.is_timeout()));
/// held.release()?;
/// lock.acquire()?;
/// # Ok::<(), diesel_rqlite::LockError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ThreadLock {
    name: String,
    timeout: Duration,
    queue: Arc<Queue>,
}

/// The queue of a lock. The holder is at the front, and the others wait in order.
#[derive(Debug, Default)]
struct Queue {
    tickets: Mutex<Tickets>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Tickets {
    next: u64,
    waiting: VecDeque<Ticket>,
}

#[derive(Debug)]
struct Ticket {
    number: u64,
    /// The waker of a task. A thread waits for `changed` instead.
    #[cfg(feature = "async")]
    waker: Option<std::task::Waker>,
}

impl Tickets {
    fn serves(&self, number: u64) -> bool {
        let first = self.waiting.front();
        first.is_some_and(|ticket| ticket.number == number)
    }
}

impl Queue {
    fn tickets(&self) -> MutexGuard<'_, Tickets> {
        locked(&self.tickets)
    }

    /// Joins the end of the queue. The place is given up when the returned value is dropped.
    fn join(self: &Arc<Self>) -> Held {
        let mut tickets = self.tickets();
        let number = tickets.next;
        tickets.next += 1;
        tickets.waiting.push_back(Ticket {
            number,
            #[cfg(feature = "async")]
            waker: None,
        });
        Held {
            queue: Arc::clone(self),
            number,
        }
    }

    fn leave(&self, number: u64) {
        let mut tickets = self.tickets();
        tickets.waiting.retain(|ticket| ticket.number != number);
        #[cfg(feature = "async")]
        if let Some(waker) = tickets
            .waiting
            .front_mut()
            .and_then(|first| first.waker.take())
        {
            waker.wake();
        }
        drop(tickets);
        self.changed.notify_all();
    }
}

/// Returns the queues in use, by name.
fn queues() -> MutexGuard<'static, HashMap<String, Weak<Queue>>> {
    static QUEUES: OnceLock<Mutex<HashMap<String, Weak<Queue>>>> = OnceLock::new();
    locked(QUEUES.get_or_init(Mutex::default))
}

impl ThreadLock {
    /// Makes a lock with a timeout of 30 seconds.
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        let mut queues = queues();
        queues.retain(|_, queue| queue.strong_count() > 0);
        let known = queues.get(&name).and_then(Weak::upgrade);
        let queue = known.unwrap_or_else(|| {
            let queue = Arc::new(Queue::default());
            queues.insert(name.clone(), Arc::downgrade(&queue));
            queue
        });
        drop(queues);
        Self::on(name, queue)
    }

    /// Makes a lock that is shared only with its clones, not by name.
    #[cfg(feature = "redis")]
    pub(super) fn unshared(name: impl Into<String>) -> Self {
        Self::on(name.into(), Arc::default())
    }

    fn on(name: String, queue: Arc<Queue>) -> Self {
        ThreadLock {
            name,
            timeout: Duration::from_secs(30),
            queue,
        }
    }

    /// Sets how long to wait for the lock.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Waits for the lock, in the order of arrival.
    pub(super) fn enter(&self) -> Result<Held, LockError> {
        let began = Instant::now();
        let held = self.queue.join();
        let mut tickets = self.queue.tickets();
        while !tickets.serves(held.number) {
            let left = self.timeout.saturating_sub(began.elapsed());
            if left.is_zero() {
                drop(tickets);
                return Err(LockError::timeout(&self.name, self.timeout));
            }
            let waited = self.queue.changed.wait_timeout(tickets, left);
            tickets = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(tickets);
        Ok(held)
    }

    /// Waits for the lock in a task, in the order of arrival.
    #[cfg(feature = "async")]
    pub(super) async fn enter_async(&self) -> Result<Held, LockError> {
        let held = self.queue.join();
        let served = std::future::poll_fn(|context| held.poll(context));
        match tokio::time::timeout(self.timeout, served).await {
            Ok(()) => Ok(held),
            Err(_) => Err(LockError::timeout(&self.name, self.timeout)),
        }
    }
}

impl Lock for ThreadLock {
    fn name(&self) -> &str {
        &self.name
    }

    fn acquire(&self) -> Result<Box<dyn LockGuard>, LockError> {
        Ok(Box::new(self.enter()?))
    }

    #[cfg(feature = "async")]
    fn as_async(&self) -> Option<&dyn AsyncLock> {
        Some(self)
    }
}

#[cfg(feature = "async")]
impl AsyncLock for ThreadLock {
    fn acquire_async(&self) -> LockFuture<'_, Box<dyn AsyncLockGuard>> {
        Box::pin(async { Ok(Box::new(self.enter_async().await?) as _) })
    }
}

/// A place in the queue, until this is dropped.
pub(super) struct Held {
    queue: Arc<Queue>,
    number: u64,
}

#[cfg(feature = "async")]
impl Held {
    fn poll(&self, context: &std::task::Context<'_>) -> std::task::Poll<()> {
        let mut tickets = self.queue.tickets();
        if tickets.serves(self.number) {
            return std::task::Poll::Ready(());
        }
        let mut waiting = tickets.waiting.iter_mut();
        if let Some(ticket) = waiting.find(|ticket| ticket.number == self.number) {
            ticket.waker = Some(context.waker().clone());
        }
        std::task::Poll::Pending
    }
}

#[cfg(feature = "async")]
impl AsyncLockGuard for Held {
    fn release_async(self: Box<Self>) -> LockFuture<'static, ()> {
        Box::pin(std::future::ready(Ok(())))
    }
}

impl LockGuard for Held {
    fn release(self: Box<Self>) -> Result<(), LockError> {
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.queue.leave(self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn one_at_a_time_in_the_order_of_arrival() {
        let lock = ThreadLock::new("order");
        let held = lock.acquire().expect("free");
        let served = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for worker in 0..4 {
                let (mine, served) = (ThreadLock::new("order"), &served);
                scope.spawn(move || {
                    let _held = mine.acquire().expect("in turn");
                    served.lock().expect("no panic").push(worker);
                });
                // The next thread queues up after this one.
                while lock.queue.tickets().waiting.len() < worker + 2 {
                    std::thread::yield_now();
                }
            }
            drop(held);
        });
        assert_eq!(served.into_inner().expect("no panic"), [0, 1, 2, 3]);
    }

    #[test]
    fn one_value_in_several_threads_excludes_them() {
        let lock = ThreadLock::new("shared");
        let inside = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let _held = lock.acquire().expect("in turn");
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
    }

    #[test]
    fn who_gave_up_waiting_is_not_served() {
        let lock = ThreadLock::new("given up").timeout(Duration::from_millis(1));
        let held = lock.acquire().expect("free");
        assert!(lock.acquire().is_err_and(|error| error.is_timeout()));
        drop(held);
        assert!(lock.acquire().is_ok());
    }
}
