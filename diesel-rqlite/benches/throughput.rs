//! What the crate costs beside a bare HTTP client that sends and receives the same bytes.
//!
//! `cargo bench --bench throughput`; `RQLITED=…` picks the server. Each task is measured twice: through
//! Diesel, and by a bare ureq client that posts the very body Diesel posted and reads the answer to its end.

#![allow(missing_docs, clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel_rqlite::RqliteConnection;
use diesel_rqlite_tests::Rqlited;

diesel::table! {
    items {
        id -> BigInt,
        name -> Text,
        price -> Double,
        note -> Nullable<Text>,
    }
}

#[derive(Clone, Insertable)]
#[diesel(table_name = items)]
struct NewItem {
    name: String,
    price: f64,
    note: Option<String>,
}

#[derive(Queryable, Selectable)]
#[allow(dead_code)]
struct Item {
    id: i64,
    name: String,
    price: f64,
    note: Option<String>,
}

const BATCH: usize = 10_000;
/// As in the query of `load`.
const ROWS: usize = 100_000;

fn new_items(count: usize) -> Vec<NewItem> {
    (0..count)
        .map(|n| NewItem {
            name: format!("item number {n}"),
            price: n as f64 * 0.37,
            note: (n % 3 == 0).then(|| "in stock".to_owned()),
        })
        .collect()
}

/// The body and path of one request, as Diesel sent it.
struct Recorded {
    path: String,
    body: Vec<u8>,
}

/// Runs something on a connection whose requests pass a recorder, and returns the last of them.
fn record(node: &Rqlited, run: impl FnOnce(&mut RqliteConnection)) -> Recorded {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let to = node.address();
    let (sender, recorded) = mpsc::channel();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let mut client = client;
            let mut server = TcpStream::connect(&to).unwrap();
            let mut replies = server.try_clone().unwrap();
            let mut back = client.try_clone().unwrap();
            thread::spawn(move || std::io::copy(&mut replies, &mut back));
            while let Some((path, body, raw)) = read_request(&mut client) {
                let _ = sender.send(Recorded { path, body });
                if server.write_all(&raw).is_err() {
                    break;
                }
            }
        }
    });
    let mut conn =
        RqliteConnection::establish(&format!("rqlite://127.0.0.1:{port}?level=weak")).unwrap();
    run(&mut conn);
    recorded.try_iter().last().unwrap()
}

fn read_request(stream: &mut TcpStream) -> Option<(String, Vec<u8>, Vec<u8>)> {
    let mut raw = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let head = raw.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(head) = head {
            let text = String::from_utf8_lossy(&raw[..head]).into_owned();
            let length = text.to_ascii_lowercase();
            let length: usize = length
                .split("content-length: ")
                .nth(1)?
                .lines()
                .next()?
                .parse()
                .ok()?;
            if raw.len() >= head + 4 + length {
                let path = text.split(' ').nth(1)?.to_owned();
                return Some((path, raw[head + 4..].to_vec(), raw));
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(count) => raw.extend_from_slice(&buffer[..count]),
        }
    }
}

/// Posts the same bytes and reads the answer.
fn bare(agent: &ureq::Agent, node: &Rqlited, recorded: &Recorded) -> usize {
    let url = format!("{}{}", node.http_url(), recorded.path);
    let mut response = agent
        .post(url)
        .content_type("application/json")
        .send(&recorded.body[..])
        .unwrap();
    response
        .body_mut()
        .with_config()
        .limit(u64::MAX)
        .read_to_vec()
        .unwrap()
        .len()
}

fn benches(criterion: &mut Criterion) {
    let node = Rqlited::start();
    let agent: ureq::Agent = ureq::Agent::config_builder().proxy(None).build().into();
    let mut conn = RqliteConnection::establish(&format!("{}?level=weak", node.url())).unwrap();
    conn.batch_execute(
        "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price REAL NOT NULL, note TEXT)",
    )
    .unwrap();
    let one = new_items(1).remove(0);
    let insert_one = |conn: &mut RqliteConnection| {
        diesel::insert_into(items::table)
            .values(&one)
            .execute(conn)
            .unwrap();
    };
    let batch = new_items(BATCH);
    let insert_batch = |conn: &mut RqliteConnection| {
        diesel::insert_into(items::table)
            .values(&batch)
            .execute(conn)
            .unwrap();
    };
    let uniform: Vec<_> = batch
        .iter()
        .map(|item| {
            (
                items::name.eq(&item.name),
                items::price.eq(item.price),
                items::note.eq(&item.note),
            )
        })
        .collect();
    let insert_uniform = |conn: &mut RqliteConnection| {
        diesel::insert_into(items::table)
            .values(&uniform)
            .execute(conn)
            .unwrap();
    };
    let select_one = |conn: &mut RqliteConnection| {
        items::table
            .find(77)
            .select(Item::as_select())
            .first::<Item>(conn)
            .unwrap();
    };
    let load = |conn: &mut RqliteConnection| {
        let rows = items::table
            .select(Item::as_select())
            .limit(100_000)
            .load::<Item>(conn)
            .unwrap();
        assert_eq!(rows.len(), ROWS);
    };
    let fill = |conn: &mut RqliteConnection| {
        diesel::delete(items::table).execute(conn).unwrap();
        for _ in 0..ROWS / BATCH {
            insert_batch(conn);
        }
    };

    compare(
        criterion,
        "insert one row",
        1,
        &node,
        &agent,
        &mut conn,
        insert_one,
    );
    compare(
        criterion,
        "insert 10,000 structs, a third with a note",
        BATCH,
        &node,
        &agent,
        &mut conn,
        insert_batch,
    );
    compare(
        criterion,
        "insert 10,000 uniform rows",
        BATCH,
        &node,
        &agent,
        &mut conn,
        insert_uniform,
    );
    fill(&mut conn);
    compare(
        criterion,
        "select one row by key",
        1,
        &node,
        &agent,
        &mut conn,
        select_one,
    );
    compare(
        criterion,
        "load 100,000 rows of 4 columns",
        ROWS,
        &node,
        &agent,
        &mut conn,
        load,
    );
}

fn compare(
    criterion: &mut Criterion,
    name: &str,
    rows: usize,
    node: &Rqlited,
    agent: &ureq::Agent,
    conn: &mut RqliteConnection,
    run: impl Fn(&mut RqliteConnection),
) {
    let recorded = record(node, &run);
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(rows as u64));
    if rows > 1 {
        group.sample_size(10);
    }
    group.bench_function("diesel", |bencher| bencher.iter(|| run(conn)));
    group.bench_function("bare ureq", |bencher| {
        bencher.iter(|| bare(agent, node, &recorded))
    });
    group.finish();
}

criterion_group!(throughput, benches);
criterion_main!(throughput);
