//! Waiting and background work, with threads or with the tasks of an asynchronous runtime.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

/// The way in which a connection waits.
pub(crate) trait Runtime: Send + Sync + 'static {
    type Ticker: Ticker;

    /// `true` if a future may be dropped while its request is in flight.
    const DROPS_FUTURES: bool;

    fn wait(delay: Duration) -> impl Future<Output = ()> + Send;

    /// Runs a task to completion without waiting for it. A runtime without background tasks runs it
    /// immediately.
    fn spawn(task: impl Future<Output = ()> + Send + 'static);

    /// Runs a task concurrently, in its own thread or as a task of the runtime.
    fn spawn_concurrent(task: impl Future<Output = ()> + Send + 'static);

    /// Runs a task to completion, even if the returned future is dropped.
    fn run_to_completion<T: Send + 'static>(
        task: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + Send;

    /// Waits until `poll` returns ready. It is polled again whenever its waker is woken.
    fn until<T>(
        poll: impl FnMut(&mut Context<'_>) -> Poll<T> + Send,
    ) -> impl Future<Output = T> + Send;

    /// Runs a task in the background until the returned value is dropped.
    fn spawn_until_dropped<F: Future<Output = ()> + Send + 'static>(
        task: impl FnOnce(Self::Ticker) -> F + Send + 'static,
    ) -> io::Result<Background>;
}

/// A timer of a background task.
pub(crate) trait Ticker: Send {
    /// Waits, and returns whether to continue.
    fn tick(&mut self, delay: Duration) -> impl Future<Output = bool> + Send;
}

/// A background task. It ends when this is dropped.
pub(crate) struct Background {
    _held: Box<dyn Send + Sync>,
}

impl std::fmt::Debug for Background {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Background")
    }
}

/// Runs a future that only ever blocks its own thread.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        thread::yield_now();
    }
}

/// The runtime of blocking connections, which blocks the thread.
#[derive(Debug)]
pub(crate) struct Blocking;

impl Runtime for Blocking {
    type Ticker = UntilDropped;

    const DROPS_FUTURES: bool = false;

    async fn wait(delay: Duration) {
        thread::sleep(delay);
    }

    fn spawn(task: impl Future<Output = ()> + Send + 'static) {
        block_on(task);
    }

    fn spawn_concurrent(task: impl Future<Output = ()> + Send + 'static) {
        let thread = thread::Builder::new().name("diesel-rqlite survey".to_owned());
        // If no thread can be started, nothing is learned.
        let _ = thread.spawn(move || block_on(task));
    }

    fn run_to_completion<T: Send + 'static>(
        task: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + Send {
        task
    }

    async fn until<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T> + Send) -> T {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        loop {
            match poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(value) => return value,
                Poll::Pending => thread::park(),
            }
        }
    }

    fn spawn_until_dropped<F: Future<Output = ()> + Send + 'static>(
        task: impl FnOnce(UntilDropped) -> F + Send + 'static,
    ) -> io::Result<Background> {
        let (stop, stopped) = channel::<()>();
        thread::Builder::new()
            .name("diesel-rqlite lease".to_owned())
            .spawn(move || block_on(task(UntilDropped(stopped))))?;
        Ok(Background {
            _held: Box::new(stop),
        })
    }
}

/// A waker that unparks a thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

pub(crate) struct UntilDropped(Receiver<()>);

impl Ticker for UntilDropped {
    async fn tick(&mut self, delay: Duration) -> bool {
        self.0.recv_timeout(delay) == Err(RecvTimeoutError::Timeout)
    }
}

#[cfg(feature = "async")]
pub(crate) use self::asynchronous::Tokio;

#[cfg(feature = "async")]
mod asynchronous {
    use std::future::poll_fn;

    use tokio::runtime::Handle;
    use tokio::task::JoinHandle;

    use super::*;

    /// The runtime of asynchronous connections, tokio.
    #[derive(Debug)]
    pub(crate) struct Tokio;

    impl Runtime for Tokio {
        type Ticker = Sleep;

        const DROPS_FUTURES: bool = true;

        async fn wait(delay: Duration) {
            tokio::time::sleep(delay).await;
        }

        fn spawn(task: impl Future<Output = ()> + Send + 'static) {
            // At the end of a program there may be no runtime left. Leases then end by themselves.
            if let Ok(runtime) = Handle::try_current() {
                runtime.spawn(task);
            }
        }

        fn spawn_concurrent(task: impl Future<Output = ()> + Send + 'static) {
            Self::spawn(task);
        }

        async fn run_to_completion<T: Send + 'static>(
            task: impl Future<Output = T> + Send + 'static,
        ) -> T {
            match tokio::spawn(task).await {
                Ok(output) => output,
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    // The runtime is shutting down, and this task with it.
                    Err(_) => std::future::pending().await,
                },
            }
        }

        async fn until<T>(poll: impl FnMut(&mut Context<'_>) -> Poll<T> + Send) -> T {
            poll_fn(poll).await
        }

        fn spawn_until_dropped<F: Future<Output = ()> + Send + 'static>(
            task: impl FnOnce(Sleep) -> F + Send + 'static,
        ) -> io::Result<Background> {
            let runtime = Handle::try_current().map_err(io::Error::other)?;
            Ok(Background {
                _held: Box::new(Aborted(runtime.spawn(task(Sleep)))),
            })
        }
    }

    pub(crate) struct Sleep;

    impl Ticker for Sleep {
        async fn tick(&mut self, delay: Duration) -> bool {
            tokio::time::sleep(delay).await;
            true
        }
    }

    struct Aborted(JoinHandle<()>);

    impl Drop for Aborted {
        fn drop(&mut self) {
            self.0.abort();
        }
    }
}
