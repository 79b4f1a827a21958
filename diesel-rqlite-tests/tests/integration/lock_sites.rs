//! Where locks are tested: a Valkey, one in cluster mode, a Redis.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use diesel_rqlite::{AsyncLockGuard, Fence, Lock, LockError, LockGuard, RedisLock, ValkeyLock};
use diesel_rqlite_tests::{KeyServer, Product, RedisServer, ValkeyServer};

use crate::asynchronous::block_on;

/// What tests do to a server.
pub(crate) trait Server {
    fn command(&self, words: &[&str]) -> String;
    fn try_command(&self, words: &[&str]) -> std::io::Result<String>;
    fn pause(&self);
    fn resume(&self);
    fn kill(&mut self);
    fn restart(&mut self);
    fn address(&self) -> String;
}

impl<P: Product> Server for KeyServer<P> {
    fn command(&self, words: &[&str]) -> String {
        KeyServer::command(self, words)
    }

    fn try_command(&self, words: &[&str]) -> std::io::Result<String> {
        KeyServer::try_command(self, words)
    }

    fn pause(&self) {
        KeyServer::pause(self);
    }

    fn resume(&self) {
        KeyServer::resume(self);
    }

    fn kill(&mut self) {
        KeyServer::kill(self);
    }

    fn restart(&mut self) {
        KeyServer::restart(self);
    }

    fn address(&self) -> String {
        KeyServer::address(self)
    }
}

/// What differs from a lock's defaults.
#[derive(Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) lease: Duration,
    pub(crate) timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            lease: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
        }
    }
}

/// The asynchronous side of a lock, for a thread.
struct ForTasks(Box<dyn Lock>);

struct HeldByTask(Option<Box<dyn AsyncLockGuard>>);

impl Lock for ForTasks {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn acquire(&self) -> Result<Box<dyn LockGuard>, LockError> {
        let lock = self.0.as_async().expect("has one");
        let held = block_on(lock.acquire_async())?;
        Ok(Box::new(HeldByTask(Some(held))))
    }
}

impl HeldByTask {
    fn held(&self) -> &dyn AsyncLockGuard {
        &**self.0.as_ref().expect("not released yet")
    }
}

impl LockGuard for HeldByTask {
    fn fence(&self) -> Option<Fence> {
        self.held().fence()
    }

    fn check(&self) -> Result<(), LockError> {
        self.held().check()
    }

    fn release(mut self: Box<Self>) -> Result<(), LockError> {
        block_on(self.0.take().expect("not released yet").release_async())
    }
}

impl Drop for HeldByTask {
    fn drop(&mut self) {
        block_on(async { drop(self.0.take()) });
    }
}

/// A server, and how to make locks on it.
pub(crate) struct Site {
    pub(crate) server: Box<dyn Server>,
    pub(crate) kind: &'static str,
    pub(crate) url: String,
    /// Its locks are taken by their asynchronous side.
    tasks: bool,
}

pub(crate) const KEY: &str = "test:{accounts}";

/// A lock that asks often, for tests to be fast.
pub(crate) fn lock(kind: &str, url: &str, settings: Settings) -> Box<dyn Lock> {
    macro_rules! with_settings {
        ($lock:expr) => {
            Box::new(
                $lock
                    .expect("a URL")
                    .prefix("test:")
                    .lease(settings.lease)
                    .timeout(settings.timeout)
                    .retry_interval(Duration::from_millis(2)),
            )
        };
    }
    match kind {
        "valkey" => with_settings!(ValkeyLock::new(url, "accounts")),
        "valkey_cluster" => with_settings!(ValkeyLock::cluster([url], "accounts")),
        "redis" => with_settings!(RedisLock::new(url, "accounts")),
        _ => panic!("no such kind: {kind}"),
    }
}

impl Site {
    pub(crate) fn valkey() -> Self {
        Self::of("valkey", ValkeyServer::start())
    }

    pub(crate) fn valkey_cluster() -> Self {
        let server = ValkeyServer::builder().cluster_enabled().start();
        Self::of("valkey_cluster", server)
    }

    pub(crate) fn redis() -> Self {
        Self::of("redis", RedisServer::start())
    }

    fn of<P: Product + 'static>(kind: &'static str, server: KeyServer<P>) -> Self {
        let url = server.url();
        Site {
            server: Box::new(server),
            kind,
            url,
            tasks: false,
        }
    }

    pub(crate) fn for_tasks(self) -> Self {
        Site {
            tasks: true,
            ..self
        }
    }

    pub(crate) fn lock(&self, settings: Settings) -> Box<dyn Lock> {
        let lock = lock(self.kind, &self.url, settings);
        match self.tasks {
            true => Box::new(ForTasks(lock)),
            false => lock,
        }
    }

    /// The token of whoever holds the lock.
    pub(crate) fn holder(&self) -> String {
        self.server.command(&["GET", KEY])
    }
}

/// Runs a test on each server.
macro_rules! on_each_server {
    ($($(#[$attribute:meta])* fn $test:ident($site:pat_param) $body:block)*) => {
        $($(#[$attribute])* fn $test($site: $crate::lock_sites::Site) $body)*

        mod valkey {
            $(#[test] fn $test() { super::$test($crate::lock_sites::Site::valkey()); })*
        }

        mod valkey_cluster {
            $(#[test] fn $test() { super::$test($crate::lock_sites::Site::valkey_cluster()); })*
        }

        mod redis {
            $(#[test] fn $test() { super::$test($crate::lock_sites::Site::redis()); })*
        }

        mod valkey_for_tasks {
            $(#[test] fn $test() { super::$test($crate::lock_sites::Site::valkey().for_tasks()); })*
        }

        mod valkey_cluster_for_tasks {
            $(#[test] fn $test() {
                super::$test($crate::lock_sites::Site::valkey_cluster().for_tasks());
            })*
        }
    };
}
pub(crate) use on_each_server;

/// Stands before a server, passes everything on, and swallows the answer to this EVAL, counted from 1: the
/// connection breaks after the script has run. Returns its address.
pub(crate) fn swallow_answer(server: String, eval: usize) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("is bound").to_string();
    thread::spawn(move || {
        let mut seen = 0;
        // One connection after the other: a lock that is not waited for needs no second one.
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(&server).expect("the server is there");
            pass_on(client, server, &mut seen, eval);
        }
    });
    address
}

fn pass_on(mut client: TcpStream, mut server: TcpStream, seen: &mut usize, swallowed: usize) {
    let mut buffer = [0; 8192];
    // Each request is one write, and so is each answer.
    while let Ok(length @ 1..) = client.read(&mut buffer) {
        server.write_all(&buffer[..length]).expect("is sent");
        if buffer[..length].windows(4).any(|word| word == b"EVAL") {
            *seen += 1;
        }
        let answer = server.read(&mut buffer).expect("answers");
        if *seen == swallowed {
            *seen += 1;
            let _ = client.shutdown(Shutdown::Both);
            return;
        }
        client.write_all(&buffer[..answer]).expect("is sent");
    }
}
