//! Sockets that nobody needs any more are closed.

use std::fs;
use std::time::{Duration, Instant};

use diesel_async::RunQueryDsl;
use diesel_rqlite::RqliteConfig;
use diesel_rqlite_tests::Rqlited;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

const TASKS: usize = 3000;
/// More than are kept for one node, and far fewer than there were.
const FEW: usize = 40;
/// Less than the time after which those that are kept are closed, too.
const SOON: Duration = Duration::from_secs(25);

/// Each needs a file: how many of them this process may have.
fn tasks() -> usize {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("has a limit");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("is below the hard limit");
    // Other tests run beside it.
    TASKS.min(usize::try_from(most).expect("small").saturating_sub(500) / 2)
}

/// Connections of clients to a port on loopback. They alone have it as their remote one.
fn sockets(port: u16) -> usize {
    let table = fs::read_to_string("/proc/net/tcp").expect("Linux has it");
    let (remote, established) = (format!(":{port:04X}"), "01");
    let lines = table.lines().map(str::split_ascii_whitespace);
    let found = lines.filter(|fields| {
        let mut fields = fields.clone().skip(2);
        let is_remote = fields.next().is_some_and(|it| it.ends_with(&remote));
        is_remote && fields.next() == Some(established)
    });
    found.count()
}

#[test]
fn few_sockets_are_left_of_many_requests_at_once() {
    let node = Rqlited::start();
    let port = node.address().rsplit(':').next().map(str::parse);
    let port = port.expect("has a port").expect("is a number");
    let url = format!(
        "{}?level=none&connect_timeout=1m&request_timeout=2m",
        node.url()
    );
    let config: RqliteConfig = url.parse().expect("a URL");
    let tasks = tasks();
    // The connections are still there.
    // Of its own: other tests would wait behind all these tasks.
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (most, _connections) = runtime.block_on(async {
        let all: Vec<_> = (0..tasks)
            .map(|_| {
                let config = config.clone();
                tokio::spawn(async move {
                    let mut conn = config.connect_async().await.expect("connects");
                    let read = diesel::sql_query("SELECT 1").execute(&mut conn).await;
                    read.expect("reads");
                    conn
                })
            })
            .collect();
        let mut most = 0;
        let mut connections = Vec::new();
        for (number, task) in all.into_iter().enumerate() {
            if number % 100 == 0 {
                most = most.max(sockets(port));
            }
            connections.push(task.await.expect("no panic"));
        }
        (most, connections)
    });
    let ends = Instant::now() + SOON;
    while sockets(port) > FEW {
        assert!(Instant::now() < ends, "{} of {most}", sockets(port));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(most > FEW, "{most} at once: nothing was to be closed");
}
