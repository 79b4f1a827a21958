//! What waits, and what goes on in the background: threads, or the tasks of an asynchronous runtime.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

/// The way in which a program waits.
pub(crate) trait Runtime: Send + Sync + 'static {
    type Ticker: Ticker;

    /// Whether a request may be on its way that nobody waits for any more.
    const DROPS_FUTURES: bool;

    fn wait(delay: Duration) -> impl Future<Output = ()> + Send;

    /// Runs this to its end without anyone who waits for it; at once, if nothing runs in the background.
    fn detach(task: impl Future<Output = ()> + Send + 'static);

    /// Runs this beside everything else: in a thread of its own, or as a task.
    fn beside(task: impl Future<Output = ()> + Send + 'static);

    /// Runs this to its end, even if nobody waits for that any more.
    fn to_its_end<T: Send + 'static>(
        task: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + Send;

    /// Waits until this is ready, which is asked again whenever its waker is woken.
    fn until<T>(
        poll: impl FnMut(&mut Context<'_>) -> Poll<T> + Send,
    ) -> impl Future<Output = T> + Send;

    /// Runs this in the background until what is returned is dropped.
    fn in_background<F: Future<Output = ()> + Send + 'static>(
        task: impl FnOnce(Self::Ticker) -> F + Send + 'static,
    ) -> io::Result<Background>;
}

/// Waits in the background.
pub(crate) trait Ticker: Send {
    /// Whether to go on.
    fn tick(&mut self, delay: Duration) -> impl Future<Output = bool> + Send;
}

/// What goes on in the background, until this is dropped.
pub(crate) struct Background {
    _held: Box<dyn Send + Sync>,
}

impl std::fmt::Debug for Background {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Background")
    }
}

/// Runs a future that never waits for anything but the thread it is on.
pub(crate) fn now<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        thread::yield_now();
    }
}

/// Blocks the thread.
#[derive(Debug)]
pub(crate) struct Blocking;

impl Runtime for Blocking {
    type Ticker = UntilDropped;

    const DROPS_FUTURES: bool = false;

    async fn wait(delay: Duration) {
        thread::sleep(delay);
    }

    fn detach(task: impl Future<Output = ()> + Send + 'static) {
        now(task);
    }

    fn beside(task: impl Future<Output = ()> + Send + 'static) {
        let thread = thread::Builder::new().name("diesel-rqlite look".to_owned());
        // Where there can't be another thread, nothing is learnt.
        let _ = thread.spawn(move || now(task));
    }

    fn to_its_end<T: Send + 'static>(
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

    fn in_background<F: Future<Output = ()> + Send + 'static>(
        task: impl FnOnce(UntilDropped) -> F + Send + 'static,
    ) -> io::Result<Background> {
        let (stop, stopped) = channel::<()>();
        thread::Builder::new()
            .name("diesel-rqlite lease".to_owned())
            .spawn(move || now(task(UntilDropped(stopped))))?;
        Ok(Background {
            _held: Box::new(stop),
        })
    }
}

/// Wakes a thread.
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

    /// Lets the task wait.
    #[derive(Debug)]
    pub(crate) struct Tokio;

    impl Runtime for Tokio {
        type Ticker = Sleep;

        const DROPS_FUTURES: bool = true;

        async fn wait(delay: Duration) {
            tokio::time::sleep(delay).await;
        }

        fn detach(task: impl Future<Output = ()> + Send + 'static) {
            // At the end of a program there is no runtime left; then leases end by themselves.
            if let Ok(runtime) = Handle::try_current() {
                runtime.spawn(task);
            }
        }

        fn beside(task: impl Future<Output = ()> + Send + 'static) {
            Self::detach(task);
        }

        async fn to_its_end<T: Send + 'static>(
            task: impl Future<Output = T> + Send + 'static,
        ) -> T {
            match tokio::spawn(task).await {
                Ok(output) => output,
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    // The runtime ends, and with it who waits here.
                    Err(_) => std::future::pending().await,
                },
            }
        }

        async fn until<T>(poll: impl FnMut(&mut Context<'_>) -> Poll<T> + Send) -> T {
            poll_fn(poll).await
        }

        fn in_background<F: Future<Output = ()> + Send + 'static>(
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
