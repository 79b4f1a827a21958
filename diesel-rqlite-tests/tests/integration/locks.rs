//! Locks in Valkey and Redis: one holder at a time, whatever happens to it or to the server.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ::redis::cluster::ClusterClient;
use ::redis::{Client, TlsCertificates};
use diesel_rqlite::{Lock, LockError, LockGuard, RedisLock, ValkeyLock};
use diesel_rqlite_tests::{RedisServer, ValkeyCluster, ValkeyServer};

use crate::lock_sites::{KEY, Settings, lock, on_each_server, swallow_answer};

/// For what must end soon: far above what it takes, far below a lock's own default of half a minute.
const SOON: Duration = Duration::from_secs(10);

fn seconds(seconds: f32) -> Duration {
    Duration::from_secs_f32(seconds)
}

fn waiting(timeout: Duration) -> Settings {
    Settings {
        timeout,
        ..Settings::default()
    }
}

fn leased(lease: Duration) -> Settings {
    Settings {
        lease,
        ..Settings::default()
    }
}

fn number(held: &dyn LockGuard) -> i64 {
    held.fence().expect("has a fence").number
}

fn token(held: &dyn LockGuard) -> String {
    held.fence().expect("has a fence").owner
}

fn refused(lock: &dyn Lock) -> LockError {
    lock.acquire().err().expect("can't be held")
}

on_each_server! {
    fn one_holder_at_a_time_and_fences_rise(site) {
        // Two processes with two threads each, so to speak.
        let locks = [site.lock(Settings::default()), site.lock(Settings::default())];
        let (counter, fences) = (AtomicU32::new(0), Mutex::new(Vec::new()));
        thread::scope(|scope| {
            for worker in 0..4 {
                let (lock, counter, fences) = (&locks[worker % 2], &counter, &fences);
                scope.spawn(move || {
                    for _ in 0..25 {
                        let held = lock.acquire().expect("in the end");
                        // Not one step: another holder would be overwritten.
                        let seen = counter.load(Ordering::SeqCst);
                        thread::sleep(Duration::from_micros(300));
                        counter.store(seen + 1, Ordering::SeqCst);
                        fences.lock().expect("no panic").push(number(&*held));
                        held.check().expect("still held");
                        held.release().expect("still held");
                    }
                });
            }
        });
        assert_eq!(counter.into_inner(), 100);
        let fences = fences.into_inner().expect("no panic");
        assert!(fences.is_sorted_by(|earlier, later| earlier < later), "{fences:?}");
    }

    fn lost_data_is_noticed_and_fences_go_on_rising(site) {
        let (lock, other) = (site.lock(leased(seconds(1.0))), site.lock(Settings::default()));
        let held = lock.acquire().expect("free");
        site.server.command(&["FLUSHALL"]);
        let next = other.acquire().expect("free");
        assert!(number(&*next) > number(&*held));
        let deadline = Instant::now() + SOON;
        while held.check().is_ok() {
            assert!(Instant::now() < deadline, "not noticed");
            thread::sleep(Duration::from_millis(5));
        }
        assert!(held.check().is_err_and(|error| error.is_lost()));
        assert!(held.release().is_err_and(|error| error.is_lost()));
        assert_eq!(site.holder(), token(&*next));
        next.check().expect("is another one");
        next.release().expect("is another one");
        assert_eq!(site.holder(), "");
    }

    fn timeout_names_the_lock_and_is_kept(site) {
        let held = site.lock(Settings::default()).acquire().expect("free");
        let began = Instant::now();
        let error = refused(&*site.lock(waiting(seconds(0.3))));
        assert!(began.elapsed() >= seconds(0.3) && began.elapsed() < SOON);
        assert!(error.is_timeout() && error.to_string().contains("`accounts`"), "{error}");
        assert!(refused(&*site.lock(waiting(Duration::ZERO))).is_timeout());
        drop(held);
        site.lock(waiting(Duration::ZERO)).acquire().expect("free again");
    }

    fn threads_that_share_a_lock_wait_no_longer_than_its_timeout(site) {
        let lock = site.lock(waiting(seconds(0.3)));
        let _held = lock.acquire().expect("free");
        let began = Instant::now();
        assert!(refused(&*lock).is_timeout());
        assert!(began.elapsed() >= seconds(0.3) && began.elapsed() < SOON);
    }

    fn renewal_keeps_a_lock_longer_than_its_lease(site) {
        let held = site.lock(leased(seconds(1.5))).acquire().expect("free");
        assert!(refused(&*site.lock(waiting(seconds(3.5)))).is_timeout());
        held.check().expect("still held");
        held.release().expect("still held");
    }

    fn holder_that_was_stopped_has_lost_it_and_does_not_free_it(site) {
        let program = env::current_exe().expect("is a file");
        let mut process = Command::new(program)
            .args(["--exact", "locks::holder_in_another_process", "--nocapture"])
            .env("HOLD_LOCK_OF", site.kind)
            .env("HOLD_LOCK_AT", &site.url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        let mut said = BufReader::new(process.stdout.take().expect("is piped")).lines();
        let mut next = |word: &str| loop {
            let line = said.next().expect("goes on").expect("is text");
            if let Some((_, rest)) = line.split_once(word) {
                return rest.to_owned();
            }
        };
        let first: i64 = next("fence ").parse().expect("a number");
        let signal = |name: &str| {
            let pid = process.id().to_string();
            assert!(Command::new("kill").args([name, &pid]).status().expect("runs").success());
        };
        signal("-STOP");
        let held = site.lock(Settings::default()).acquire().expect("its lease ends");
        assert!(number(&*held) > first);
        signal("-CONT");
        drop(process.stdin.take());
        assert_eq!(next("check "), "lost");
        assert_eq!(next("release "), "lost");
        assert!(process.wait().expect("ends").success());
        assert_eq!(site.holder(), token(&*held));
        held.check().expect("still held");
        held.release().expect("still held");
    }

    fn server_that_is_down_is_an_error_and_one_that_is_back_is_used(mut site) {
        let lock = site.lock(waiting(seconds(0.5)));
        lock.acquire().expect("free").release().expect("held");
        site.server.kill();
        let began = Instant::now();
        let error = refused(&*lock);
        assert!(began.elapsed() >= seconds(0.5) && began.elapsed() < SOON);
        assert!(!error.is_timeout() && !error.is_lost(), "{error}");
        assert!(error.to_string().contains(&site.server.address()), "{error}");
        assert!(error.to_string().contains("refused"), "{error}");
        site.server.restart();
        let lock = site.lock(Settings::default());
        lock.acquire().expect("is back").release().expect("held");
    }

    fn closed_connections_are_opened_again(site) {
        let lock = site.lock(waiting(Duration::ZERO));
        for _ in 0..3 {
            let held = lock.acquire().expect("free");
            site.server.command(&["CLIENT", "KILL", "TYPE", "normal"]);
            held.release().expect("held");
            assert_eq!(site.holder(), "");
            site.server.command(&["CLIENT", "KILL", "TYPE", "normal"]);
        }
    }

    fn server_that_does_not_answer_is_an_error_in_time(site) {
        let lock = site.lock(leased(seconds(3.0)));
        let held = lock.acquire().expect("free");
        // What it asks for is granted when the server goes on, to nobody: its lease has to end, too.
        let impatient = site.lock(Settings { lease: seconds(1.0), timeout: seconds(0.5) });
        site.server.pause();
        let began = Instant::now();
        let error = refused(&*impatient);
        assert!(began.elapsed() >= seconds(0.5) && began.elapsed() < SOON);
        assert!(!error.is_timeout() && !error.is_lost(), "{error}");
        assert!(error.to_string().contains("no answer"), "{error}");
        let deadline = Instant::now() + SOON;
        while held.check().is_ok() {
            assert!(Instant::now() < deadline, "held for good");
            thread::sleep(Duration::from_millis(5));
        }
        let began = Instant::now();
        let error = held.release().expect_err("nobody answers");
        assert!(began.elapsed() < SOON && !error.is_lost(), "{error}");
        site.server.resume();
        lock.acquire().expect("the lease ends").release().expect("held");
    }

    fn dropping_ends_in_time_if_nobody_answers(site) {
        let held = site.lock(leased(seconds(3.0))).acquire().expect("free");
        site.server.pause();
        let began = Instant::now();
        drop(held);
        assert!(began.elapsed() < SOON);
        site.server.resume();
    }

    fn dropping_gives_it_back(site) {
        drop(site.lock(Settings::default()).acquire().expect("free"));
        // That of a task does it in the background.
        let began = Instant::now();
        while !site.holder().is_empty() {
            assert!(began.elapsed() < SOON);
        }
    }

    fn busy_server_is_waited_for(site) {
        site.server.command(&["CONFIG", "SET", "lua-time-limit", "1"]);
        let lock = site.lock(Settings::default());
        // Connected before.
        lock.acquire().expect("free").release().expect("held");
        let mut stream = TcpStream::connect(site.server.address()).expect("is there");
        stream.write_all(b"EVAL \"while true do end\" 0\r\n").expect("is sent");
        thread::scope(|scope| {
            let deadline = Instant::now() + SOON;
            while site.server.try_command(&["GET", KEY]).is_ok() {
                assert!(Instant::now() < deadline, "never busy");
            }
            let waits = scope.spawn(|| lock.acquire().expect("in the end"));
            let error = refused(&*site.lock(waiting(seconds(0.3))));
            let ended = site.server.try_command(&["SCRIPT", "KILL"]);
            assert!(!error.is_timeout() && error.to_string().to_lowercase().contains("busy"), "{error}");
            ended.expect("is killed");
            waits.join().expect("no panic").release().expect("held");
        });
    }

    fn uncontended_it_is_two_round_trips(site) {
        let lock = site.lock(Settings::default());
        lock.acquire().expect("free").release().expect("held");
        site.server.command(&["CONFIG", "RESETSTAT"]);
        for _ in 0..10 {
            lock.acquire().expect("free").release().expect("held");
        }
        let stats = site.server.command(&["INFO", "commandstats"]);
        assert!(stats.contains("cmdstat_eval:calls=20,"), "{stats}");
        for command in ["auth", "client", "cluster", "hello", "ping", "script"] {
            assert!(!stats.contains(&format!("cmdstat_{command}")), "{stats}");
        }
    }
}

/// No test: what `holder_that_was_stopped…` runs as a process of its own.
#[test]
#[allow(clippy::print_stdout)]
fn holder_in_another_process() {
    let (Ok(kind), Ok(url)) = (env::var("HOLD_LOCK_OF"), env::var("HOLD_LOCK_AT")) else {
        return;
    };
    let held = lock(&kind, &url, leased(seconds(0.5)));
    let held = held.acquire().expect("free");
    println!("\nfence {}", number(&*held));
    std::io::stdin()
        .read_line(&mut String::new())
        .expect("ends");
    let outcome = |outcome: Result<(), LockError>| match outcome {
        Err(error) if error.is_lost() => "lost".to_owned(),
        other => format!("{other:?}"),
    };
    println!("check {}", outcome(held.check()));
    println!("release {}", outcome(held.release()));
}

#[test]
fn lost_answers_are_asked_for_again() {
    for eval in [1, 2] {
        let server = ValkeyServer::start();
        let url = format!("valkey://{}", swallow_answer(server.address(), eval));
        let lock = lock("valkey", &url, waiting(seconds(5.0)));
        let held = lock.acquire().expect("is granted to the same token");
        let last = server.command(&["GET", &format!("{KEY}:fence")]);
        assert_eq!(
            number(&*held).to_string(),
            last,
            "one acquisition, one fence"
        );
        held.release().expect("was held");
        assert_eq!(server.command(&["EXISTS", KEY]), "0");
    }
}

#[test]
fn each_node_of_a_cluster_holds_locks() {
    let cluster = ValkeyCluster::start();
    let url = cluster.node(1).url();
    for name in 0..20 {
        let lock = ValkeyLock::cluster([url.as_str()], name.to_string()).expect("a URL");
        let held = lock.acquire().expect("free");
        let other = ValkeyLock::cluster([url.as_str()], name.to_string()).expect("a URL");
        assert!(refused(&other.timeout(Duration::ZERO)).is_timeout());
        held.release().expect("held");
    }
    for place in 0..3 {
        assert_ne!(cluster.node(place).command(&["DBSIZE"]), "0", "{place}");
    }
}

#[test]
fn wrong_passwords_are_told_at_once_and_not_shown() {
    const PASSWORD: &str = "hunter2";
    let valkey = ValkeyServer::builder().password("right").start();
    let redis = RedisServer::builder().password("right").start();
    let cluster = ValkeyServer::builder()
        .password("right")
        .cluster_enabled()
        .start();
    let sites = [
        (
            "valkey",
            valkey.url(),
            valkey.url_of(&format!(":{PASSWORD}@")),
        ),
        ("redis", redis.url(), redis.url_of(&format!(":{PASSWORD}@"))),
        (
            "valkey_cluster",
            cluster.url(),
            cluster.url_of(&format!(":{PASSWORD}@")),
        ),
    ];
    for (kind, right, wrong) in sites {
        let began = Instant::now();
        let error = refused(&*lock(kind, &wrong, Settings::default()));
        let text = format!("{error} {error:?}");
        assert!(began.elapsed() < SOON, "{kind}: {text}");
        assert!(
            !text.contains(PASSWORD) && text.contains("authentication"),
            "{kind}: {text}"
        );
        let held = lock(kind, &right, Settings::default())
            .acquire()
            .expect(kind);
        held.release().expect(kind);
    }
    let none = valkey.url_of("");
    let error = refused(&*lock("valkey", &none, Settings::default()));
    assert!(error.to_string().contains("NOAUTH"), "{error}");
}

#[test]
fn users_of_an_acl_need_few_permissions() {
    let server = ValkeyServer::builder().user("admin", "secret").start();
    server.command(&[
        "ACL", "SETUSER", "locker", "on", ">p@ss", "~test:*", "-@all", "+eval", "+get", "+set",
        "+del", "+pexpire", "+pttl", "+time",
    ]);
    let url = server.url_of("locker:p%40ss@");
    let settings = leased(seconds(1.5));
    let held = lock("valkey", &url, settings).acquire().expect("permitted");
    // Long enough to be renewed.
    assert!(refused(&*lock("valkey", &url, waiting(seconds(3.0)))).is_timeout());
    held.release().expect("held");
    let other = ValkeyLock::new(&url, "accounts").expect("a URL");
    let error = refused(&other.prefix("elsewhere:"));
    assert!(error.to_string().contains("permission"), "{error}");
}

#[test]
fn databases_are_apart() {
    let server = RedisServer::start();
    let second = format!("{}/2", server.url());
    let held = lock("redis", &second, Settings::default())
        .acquire()
        .expect("free");
    assert_eq!(server.command(&["DBSIZE"]), "0");
    assert!(server.command(&["INFO", "keyspace"]).contains("db2:keys=2"));
    lock("redis", &server.url(), waiting(Duration::ZERO))
        .acquire()
        .expect("is another lock");
    assert!(refused(&*lock("redis", &second, waiting(Duration::ZERO))).is_timeout());
    held.release().expect("held");
}

#[test]
fn tls_trusts_the_roots_of_the_web_or_of_the_client() {
    let server = RedisServer::builder().password("secret").tls().start();
    let trusted = TlsCertificates {
        client_tls: None,
        root_cert: server
            .ca_certificate_pem()
            .map(|pem| pem.as_bytes().to_vec()),
    };
    let began = Instant::now();
    let error = refused(&RedisLock::new(&server.url(), "accounts").expect("a URL"));
    assert!(
        began.elapsed() < SOON && error.to_string().contains("certificate"),
        "{error}"
    );
    let client = Client::build_with_tls(server.url(), trusted.clone()).expect("a certificate");
    for _ in 0..2 {
        let lock = RedisLock::with_client(client.clone(), "accounts");
        lock.acquire().expect("trusted").release().expect("held");
    }

    let server = ValkeyServer::builder().tls().start();
    assert!(server.url().starts_with("valkeys://"));
    let trusted = TlsCertificates {
        client_tls: None,
        root_cert: server
            .ca_certificate_pem()
            .map(|pem| pem.as_bytes().to_vec()),
    };
    let client = Client::build_with_tls(server.url(), trusted).expect("a certificate");
    let held = ValkeyLock::with_client(client, "accounts")
        .acquire()
        .expect("trusted");
    held.release().expect("held");
}

#[test]
fn clients_of_clusters_can_be_brought() {
    let server = ValkeyServer::builder().cluster_enabled().start();
    let client = ClusterClient::new([server.url()]).expect("a URL");
    let lock = ValkeyLock::with_cluster_client(client, "accounts").timeout(seconds(1.5));
    lock.acquire().expect("free").release().expect("held");
    server.pause();
    // It would retry for half a minute by itself.
    let began = Instant::now();
    let error = refused(&lock);
    assert!(began.elapsed() < SOON && !error.is_timeout(), "{error}");
    server.resume();
}
