//! Four programs that write and read.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, Pool};
use diesel_async::AsyncConnection;
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, deadpool};
use diesel_rqlite::{AsyncRqliteConnection, RqliteConfig, RqliteConnection};
use tokio::runtime::Runtime;
use tokio::task;

use crate::Error;
use crate::attempt::{self, Attempt};
use crate::diary::Diary;
use crate::options::Options;

pub(crate) const NAMES: [&str; 4] = ["blocking", "asynchronous", "r2d2", "deadpool"];

/// The programs at work.
pub(crate) struct Programs {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    tasks: Vec<task::JoinHandle<()>>,
    /// By program, one for each worker.
    diaries: Vec<Vec<Arc<Mutex<Diary>>>>,
}

struct Shared {
    is_over: AtomicBool,
    pause: Duration,
    exactly_once: bool,
}

impl Programs {
    /// Each has its connections, unless `patient`: then it may take any time to have them.
    pub(crate) fn start(runtime: &Runtime, url: &str, options: &Options) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            is_over: AtomicBool::new(false),
            pause: options.pause,
            exactly_once: options.exactly_once,
        });
        let mut programs = Programs {
            shared,
            threads: Vec::new(),
            tasks: Vec::new(),
            diaries: NAMES.iter().map(|_| Vec::new()).collect(),
        };
        programs.blocking(url);
        programs.asynchronous(runtime, url);
        programs.r2d2(url, options.workers);
        programs.deadpool(runtime, url, options.workers)?;
        Ok(programs)
    }

    fn diary(&mut self, program: usize, worker: u32) -> Arc<Mutex<Diary>> {
        let diary = Arc::new(Mutex::new(Diary::new(program, worker)));
        self.diaries[program].push(Arc::clone(&diary));
        diary
    }

    /// A thread that takes a step after the other.
    fn thread(
        &mut self,
        diary: Arc<Mutex<Diary>>,
        mut step: impl FnMut(i64, bool) -> Attempt + Send + 'static,
    ) {
        let shared = Arc::clone(&self.shared);
        self.threads.push(thread::spawn(move || {
            while !shared.is_over.load(Ordering::SeqCst) {
                let id = locked(&diary).next();
                let attempt = step(id, shared.exactly_once);
                locked(&diary).note(id, attempt);
                thread::sleep(shared.pause);
            }
            locked(&diary).close();
        }));
    }

    /// The same, a task.
    fn task<Step>(&mut self, runtime: &Runtime, diary: Arc<Mutex<Diary>>, mut step: Step)
    where
        Step: AsyncStep,
    {
        let shared = Arc::clone(&self.shared);
        self.tasks.push(runtime.spawn(async move {
            while !shared.is_over.load(Ordering::SeqCst) {
                let id = locked(&diary).next();
                let attempt = step.step(id, shared.exactly_once).await;
                locked(&diary).note(id, attempt);
                tokio::time::sleep(shared.pause).await;
            }
            locked(&diary).close();
        }));
    }

    fn blocking(&mut self, url: &str) {
        let diary = self.diary(0, 0);
        let (url, mut connection) = (url.to_owned(), None);
        self.thread(diary, move |id, exactly_once| {
            if connection.is_none() {
                match RqliteConnection::establish(&url) {
                    Ok(new) => connection = Some(new),
                    Err(error) => return Attempt::without_connection(&error),
                }
            }
            match &mut connection {
                Some(connection) => attempt::blocking(connection, id, exactly_once),
                None => Attempt::without_connection(&"none"),
            }
        });
    }

    fn asynchronous(&mut self, runtime: &Runtime, url: &str) {
        let diary = self.diary(1, 0);
        let single = Single {
            url: url.to_owned(),
            connection: None,
        };
        self.task(runtime, diary, single);
    }

    fn r2d2(&mut self, url: &str, workers: u32) {
        let manager = ConnectionManager::<RqliteConnection>::new(url);
        let pool = Pool::builder().max_size(workers).build_unchecked(manager);
        for worker in 0..workers {
            let (diary, pool) = (self.diary(2, worker), pool.clone());
            self.thread(diary, move |id, exactly_once| match pool.get() {
                Ok(mut connection) => attempt::blocking(&mut connection, id, exactly_once),
                Err(error) => Attempt::without_connection(&error),
            });
        }
    }

    fn deadpool(&mut self, runtime: &Runtime, url: &str, workers: u32) -> Result<(), Error> {
        let config: RqliteConfig = url.parse()?;
        let manager = AsyncDieselConnectionManager::new_with_config("", config.manager_config());
        let size = usize::try_from(workers)?;
        let pool = deadpool::Pool::builder(manager).max_size(size).build()?;
        for worker in 0..workers {
            let diary = self.diary(3, worker);
            self.task(runtime, diary, Pooled(pool.clone()));
        }
        Ok(())
    }

    /// Whether each worker has had a success since a time.
    pub(crate) fn all_succeeded_since(&self, time: Instant) -> bool {
        let mut diaries = self.diaries.iter().flatten();
        diaries.all(|diary| locked(diary).has_succeeded_since(time))
    }

    /// Ends them, and waits for what they still do.
    pub(crate) fn end(self, runtime: &Runtime) -> Result<Vec<Vec<Diary>>, Error> {
        self.shared.is_over.store(true, Ordering::SeqCst);
        for thread in self.threads {
            thread.join().map_err(|_| "a program panicked")?;
        }
        for task in self.tasks {
            runtime.block_on(task)?;
        }
        let unwrapped = |diary: Arc<Mutex<Diary>>| {
            let diary = Arc::into_inner(diary).ok_or("a program goes on")?;
            Ok(diary.into_inner().unwrap_or_else(PoisonError::into_inner))
        };
        let diaries = self.diaries.into_iter();
        diaries
            .map(|program| program.into_iter().map(unwrapped).collect())
            .collect()
    }
}

fn locked(diary: &Mutex<Diary>) -> MutexGuard<'_, Diary> {
    diary.lock().unwrap_or_else(PoisonError::into_inner)
}

trait AsyncStep: Send + 'static {
    fn step(&mut self, id: i64, exactly_once: bool) -> impl Future<Output = Attempt> + Send;
}

struct Single {
    url: String,
    connection: Option<AsyncRqliteConnection>,
}

impl AsyncStep for Single {
    async fn step(&mut self, id: i64, exactly_once: bool) -> Attempt {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => match AsyncRqliteConnection::establish(&self.url).await {
                Ok(new) => none.insert(new),
                Err(error) => return Attempt::without_connection(&error),
            },
        };
        attempt::asynchronous(connection, id, exactly_once).await
    }
}

struct Pooled(deadpool::Pool<AsyncRqliteConnection>);

impl AsyncStep for Pooled {
    async fn step(&mut self, id: i64, exactly_once: bool) -> Attempt {
        match self.0.get().await {
            Ok(mut connection) => attempt::asynchronous(&mut connection, id, exactly_once).await,
            Err(error) => Attempt::without_connection(&error),
        }
    }
}
