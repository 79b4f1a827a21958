//! Writes that share requests, of futures that are dropped, left alone, or of a runtime that ends.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use diesel::QueryResult;
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, deadpool::Pool};
use diesel_async::{AsyncConnection, RunQueryDsl};
use diesel_rqlite::AsyncRqliteConnection;
use tokio::runtime::{Builder, Handle};
use tokio::time::sleep;

use super::adapter::block_on;
use super::coalesced::{LONE, Stage};
use crate::proxy::Fate;
use crate::support::assert_kind;

const OPTION: &str = "&coalesce_writes=true";

async fn connect(stage: &Stage) -> AsyncRqliteConnection {
    let conn = AsyncRqliteConnection::establish(&stage.url(OPTION)).await;
    conn.expect("connects")
}

async fn run(conn: &mut AsyncRqliteConnection, sql: &str) -> QueryResult<usize> {
    diesel::sql_query(sql).execute(conn).await
}

async fn insert(conn: &mut AsyncRqliteConnection, n: usize) -> QueryResult<usize> {
    run(conn, &format!("INSERT INTO t (n) VALUES ({n})")).await
}

/// One that is held back by the stage.
async fn insert_opener(conn: &mut AsyncRqliteConnection, n: usize) -> QueryResult<usize> {
    run(conn, &format!("INSERT INTO opener VALUES ({n})")).await
}

/// The first write, which finds no other one. It is held back, and those that follow do not wait for it.
async fn lone<'c>(
    stage: &Stage,
    conn: &'c mut AsyncRqliteConnection,
) -> Pin<Box<impl Future<Output = QueryResult<usize>> + use<'c>>> {
    let mut writing = Box::pin(run(conn, LONE));
    tokio::select! {
        outcome = &mut writing => panic!("is not held back: {outcome:?}"),
        () = requests(stage, 1) => {}
    }
    writing
}

/// Polls a future once, which is not done then.
async fn begin<F: Future>(mut future: Pin<&mut F>) {
    let poll = poll_fn(|context| Poll::Ready(future.as_mut().poll(context)));
    assert!(poll.await.is_pending());
}

/// Waits until so many requests have come to the stage.
async fn requests(stage: &Stage, count: usize) {
    while stage.seen.count() < count {
        sleep(Duration::from_millis(1)).await;
    }
}

/// In a runtime of several threads, and in one of the thread that waits.
fn in_each_runtime<F: Future<Output = ()>>(test: impl Fn() -> F) {
    block_on(test());
    let alone = Builder::new_current_thread().enable_all().build();
    alone.expect("a runtime").block_on(test());
}

#[test]
fn a_write_that_is_dropped_while_it_waits_is_not_sent() {
    in_each_runtime(async || {
        let stage = Stage::new(Fate::Pass);
        let mut conns = [const { None }; 5];
        for conn in &mut conns {
            *conn = Some(connect(&stage).await);
        }
        let [Some(zero), Some(one), Some(two), Some(three), Some(four)] = &mut conns else {
            unreachable!()
        };
        stage.seen.take();
        let alone = lone(&stage, zero).await;
        let mut opening = pin!(insert_opener(one, 1));
        begin(opening.as_mut()).await;
        requests(&stage, 2).await;
        let mut first = Box::pin(insert(two, 11));
        let mut dropped = Box::pin(insert(three, 12));
        let mut last = Box::pin(insert(four, 13));
        begin(first.as_mut()).await;
        begin(dropped.as_mut()).await;
        begin(last.as_mut()).await;
        drop(dropped);
        stage.seen.open();
        assert_eq!(first.await, Ok(1));
        assert_eq!(last.await, Ok(1));
        assert_eq!(opening.await, Ok(1));
        stage.seen.open_for_lone();
        assert_eq!(alone.await, Ok(1));
        let sent = stage.seen.take();
        assert_eq!(
            sent[2..],
            [r#"[["INSERT INTO t (n) VALUES (11)"],["INSERT INTO t (n) VALUES (13)"]]"#]
        );
        assert_eq!(stage.copies("t", 12), 0);
        assert_eq!(insert(three, 14).await, Ok(1));
    });
}

#[test]
fn what_was_taken_into_a_request_goes_on_without_its_callers() {
    in_each_runtime(async || {
        let stage = Stage::new(Fate::Pass);
        let (mut one, mut two) = (connect(&stage).await, connect(&stage).await);
        let (mut three, mut four) = (connect(&stage).await, connect(&stage).await);
        let mut zero = connect(&stage).await;
        stage.seen.take();
        let alone = lone(&stage, &mut zero).await;
        let mut opening = Box::pin(insert_opener(&mut one, 1));
        begin(opening.as_mut()).await;
        requests(&stage, 2).await;
        let mut first = Box::pin(insert_opener(&mut two, 2));
        let mut second = Box::pin(insert(&mut three, 12));
        let mut last = Box::pin(insert(&mut four, 13));
        begin(first.as_mut()).await;
        begin(second.as_mut()).await;
        begin(last.as_mut()).await;
        // Who began it all is gone, and those who wait are answered.
        drop(opening);
        stage.seen.open();
        requests(&stage, 3).await;
        drop((first, second));
        stage.seen.open();
        assert_eq!(last.await, Ok(1));
        let copies = [("opener", 1), ("opener", 2), ("t", 12), ("t", 13)];
        assert_eq!(
            copies.map(|(table, n)| stage.copies(table, n)),
            [1, 1, 1, 1]
        );
        stage.seen.open_for_lone();
        assert_eq!(alone.await, Ok(1));
        // The connections go on.
        for (n, conn) in [one, two, three, four].iter_mut().enumerate() {
            assert_eq!(insert(conn, 20 + n).await, Ok(1));
        }
    });
}

/// The number of tasks of the runtime, which has a single thread.
fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

#[test]
fn a_write_that_finds_no_other_one_needs_no_task() {
    let alone = Builder::new_current_thread().enable_all().build();
    alone.expect("a runtime").block_on(async {
        let stage = Stage::new(Fate::Pass);
        let (mut one, mut two) = (connect(&stage).await, connect(&stage).await);
        for _ in 0..3 {
            stage.seen.take();
            let before = tasks();
            let alone = lone(&stage, &mut one).await;
            assert_eq!(tasks(), before);
            // The next one is led by a task.
            let mut other = Box::pin(insert_opener(&mut two, 1));
            begin(other.as_mut()).await;
            assert_eq!(tasks(), before + 1);
            stage.seen.open();
            assert_eq!(other.await, Ok(1));
            // Whoever is alone may give up.
            drop(alone);
            while tasks() > before {
                sleep(Duration::from_millis(1)).await;
            }
        }
    });
}

/// As in a branch of `select!` that waits for another write.
#[test]
fn no_write_waits_for_a_future_that_is_left_alone() {
    in_each_runtime(async || {
        let stage = Stage::new(Fate::Pass);
        let (mut one, mut two) = (connect(&stage).await, connect(&stage).await);
        stage.seen.take();
        let mut left_alone = pin!(insert_opener(&mut one, 1));
        begin(left_alone.as_mut()).await;
        stage.seen.open();
        for n in 11..14 {
            assert_eq!(insert(&mut two, n).await, Ok(1));
        }
        assert_eq!(left_alone.await, Ok(1));
    });
}

#[test]
fn a_future_dropped_behind_any_number_of_polls_takes_nobody_along() {
    in_each_runtime(async || {
        let stage = Stage::new(Fate::Pass);
        // The answer may be there at once, so that it is done behind one poll.
        assert!(drop_behind_polls(&stage, 10).await > 0);
        let mut zero = connect(&stage).await;
        stage.seen.take();
        let _alone = lone(&stage, &mut zero).await;
        let polls = drop_behind_polls(&stage, 50).await;
        assert!(polls > 1, "it is done behind {polls} polls");
        stage.seen.open_for_lone();
    });
}

/// Writes beside a write that is dropped, behind one poll more each time. Returns how many polls it took to be done.
async fn drop_behind_polls(stage: &Stage, mut n: usize) -> usize {
    let (mut one, mut two) = (connect(stage).await, connect(stage).await);
    for polls in 0.. {
        n += 2;
        let mut left = polls;
        let done = {
            let mut dropped = pin!(insert(&mut one, n));
            let mut other = pin!(insert(&mut two, n + 1));
            let mut done = false;
            let outcome = poll_fn(|context| {
                if left > 0 && !done {
                    left -= 1;
                    done = dropped.as_mut().poll(context).is_ready();
                }
                match left > 0 && !done {
                    true => Poll::Pending,
                    false => other.as_mut().poll(context),
                }
            });
            assert_eq!(outcome.await, Ok(1), "{polls}");
            done
        };
        assert_eq!(stage.copies("t", n + 1), 1, "{polls}");
        assert_eq!(insert(&mut one, 99).await, Ok(1), "{polls}");
        let copies = stage.copies("t", n);
        assert!(copies <= 1 && (copies == 1 || !done), "{polls}: {copies}");
        if done {
            return polls;
        }
    }
    unreachable!()
}

/// Connections of one configuration, in two runtimes.
#[test]
fn a_runtime_that_ends_does_not_take_along_what_waits_in_another() {
    let other = || {
        let mut runtime = Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all();
        runtime.build().expect("a runtime")
    };
    let stage = Stage::new(Fate::Pass);
    let (runtime, next) = (other(), other());
    for (waits, runtime) in [(true, runtime), (false, next)] {
        let mut led = runtime.block_on(connect(&stage));
        let (mut zero, mut conn) =
            block_on(async { (connect(&stage).await, connect(&stage).await) });
        stage.seen.take();
        block_on(async {
            let alone = lone(&stage, &mut zero).await;
            runtime.spawn(async move { insert_opener(&mut led, 1).await });
            requests(&stage, 2).await;
            let mut outcome = Box::pin(insert_opener(&mut conn, 2));
            begin(outcome.as_mut()).await;
            if !waits {
                stage.seen.open();
                requests(&stage, 3).await;
            }
            drop(alone);
            runtime.shutdown_background();
            // The request that was held back is, until it is let go.
            stage.seen.open();
            stage.seen.open();
            match waits {
                true => assert_eq!(outcome.await, Ok(1)),
                false => drop(assert_kind!(outcome.await, ClosedConnection)),
            }
            assert_eq!(insert(&mut conn, 11).await, Ok(1));
        });
    }
}

#[test]
fn pooled_connections_share_requests() {
    const TASKS: usize = 64;
    block_on(async {
        let stage = Stage::new(Fate::Pass);
        let url = stage.url(OPTION);
        let manager = AsyncDieselConnectionManager::<AsyncRqliteConnection>::new(url);
        let pool = Pool::builder(manager).max_size(16).build();
        let pool = pool.expect("a pool");
        let tasks = (0..TASKS).map(|task| {
            let pool = pool.clone();
            tokio::spawn(async move {
                for _ in 0..10 {
                    let mut conn = pool.get().await.expect("a connection");
                    let sql = format!("INSERT INTO t (n) VALUES ({task})");
                    let inserted = diesel::sql_query(sql).execute(&mut conn).await;
                    assert_eq!(inserted, Ok(1));
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.expect("no panic");
        }
        let sent = stage.seen.take().len();
        assert!(sent < TASKS * 10 / 2, "{sent}");
        for task in 0..TASKS {
            assert_eq!(
                stage.copies("t", task),
                if (1..4).contains(&task) { 11 } else { 10 }
            );
        }
    });
}
