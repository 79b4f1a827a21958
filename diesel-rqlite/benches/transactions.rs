//! What a transaction of two reads, two updates and an insert costs: in each mode, under each lock, and as bare HTTP.
//!
//! `cargo bench --bench transactions --features redis`; `RQLITED=…` picks the server. The number of requests to rqlite
//! is part of each name.

#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel_rqlite::{
    RedisLock, RqliteConnection, RqliteLock, ThreadLock, TransactionBuilder, ValkeyLock,
};
use diesel_rqlite_tests::{RedisServer, Rqlited, ValkeyServer};

diesel::table! {
    accounts {
        id -> Integer,
        balance -> BigInt,
    }
}

diesel::table! {
    transfers {
        id -> Integer,
        amount -> BigInt,
    }
}

const SCHEMA: &str = "CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL); \
     CREATE TABLE transfers (id INTEGER PRIMARY KEY, amount INTEGER NOT NULL); \
     INSERT INTO accounts VALUES (1, 1000), (2, 1000)";

fn transfer(conn: &mut RqliteConnection) -> QueryResult<usize> {
    let balance = |conn: &mut RqliteConnection, id: i32| {
        let account = accounts::table.find(id).select(accounts::balance);
        account.first::<i64>(conn)
    };
    let (from, to) = (balance(conn, 1)?, balance(conn, 2)?);
    for (id, balance) in [(1, from - 1), (2, to + 1)] {
        diesel::update(accounts::table.find(id))
            .set(accounts::balance.eq(balance))
            .execute(conn)?;
    }
    diesel::insert_into(transfers::table)
        .values(transfers::amount.eq(1))
        .execute(conn)
}

type Builder<'a> = TransactionBuilder<'a, RqliteConnection>;
type Built = for<'a> fn(Builder<'a>) -> Builder<'a>;
type Group<'c> = BenchmarkGroup<'c, criterion::measurement::WallTime>;

fn measure(
    group: &mut Group<'_>,
    conn: &mut RqliteConnection,
    name: &str,
    build: impl for<'a> Fn(Builder<'a>) -> Builder<'a>,
) {
    // What is made or learnt once.
    build(conn.build_transaction()).run(transfer).unwrap();
    let before = conn.http_requests();
    build(conn.build_transaction()).run(transfer).unwrap();
    let requests = conn.http_requests() - before;
    group.bench_function(format!("{name}, {requests} requests"), |bencher| {
        bencher.iter(|| build(conn.build_transaction()).run(transfer).unwrap());
    });
}

fn bare(group: &mut Group<'_>, node: &Rqlited) {
    let agent = ureq::Agent::new_with_defaults();
    let post = |path: &str, body: &str| {
        let url = format!("http://{}{path}", node.address());
        let mut answer = agent
            .post(url)
            .header("content-type", "application/json")
            .send(body)
            .unwrap();
        let answer = answer.body_mut().read_to_string().unwrap();
        assert!(!answer.contains("error"), "{answer}");
    };
    group.bench_function("bare HTTP, nothing guarded, 3 requests", |bencher| {
        bencher.iter(|| {
            for id in [1, 2] {
                let read = format!(r#"[["SELECT balance FROM accounts WHERE id = ?", {id}]]"#);
                post("/db/query?level=linearizable", &read);
            }
            post(
                "/db/execute?transaction",
                r#"[["UPDATE accounts SET balance = ? WHERE id = ?", 1, 1],
                ["UPDATE accounts SET balance = ? WHERE id = ?", 2, 2],
                ["INSERT INTO transfers (amount) VALUES (?)", 1]]"#,
            );
        });
    });
}

fn transactions(criterion: &mut Criterion) {
    let node = Rqlited::start();
    let mut conn = RqliteConnection::establish(&node.url()).unwrap();
    conn.batch_execute(SCHEMA).unwrap();
    let (redis, valkey) = (RedisServer::start(), ValkeyServer::start());
    let mut group = criterion.benchmark_group("read, read, update, update, insert");
    bare(&mut group, &node);
    let modes: [(&str, Built); 3] = [
        ("interactive", |builder| builder.interactive()),
        ("eager", |builder| builder.eager()),
        ("deferred", |builder| builder.deferred()),
    ];
    for (name, build) in modes {
        measure(&mut group, &mut conn, name, build);
    }
    measure(
        &mut group,
        &mut conn,
        "interactive, exactly once",
        |builder| builder.exactly_once(),
    );
    let (thread, rqlite) = (ThreadLock::new("a"), RqliteLock::new("a"));
    let redis = RedisLock::new(&redis.url(), "a").unwrap();
    let valkey = ValkeyLock::new(&valkey.url(), "a").unwrap();
    for (name, build) in [modes[0], modes[2]] {
        let named = |lock: &str| format!("{name}, {lock}");
        measure(&mut group, &mut conn, &named("ThreadLock"), |builder| {
            build(builder).lock(&thread)
        });
        measure(&mut group, &mut conn, &named("RqliteLock"), |builder| {
            build(builder).lock(&rqlite)
        });
        measure(&mut group, &mut conn, &named("RedisLock"), |builder| {
            build(builder).lock(&redis)
        });
        measure(&mut group, &mut conn, &named("ValkeyLock"), |builder| {
            build(builder).lock(&valkey)
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(30)
        .warm_up_time(std::time::Duration::from_millis(500))
        .measurement_time(std::time::Duration::from_secs(2));
    targets = transactions
}
criterion_main!(benches);
