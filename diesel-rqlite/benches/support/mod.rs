//! What the benchmarks insert and load, and the bytes that go over the wire for it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;

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
pub(crate) struct NewItem {
    pub(crate) name: String,
    pub(crate) price: f64,
    pub(crate) note: Option<String>,
}

#[derive(Queryable, Selectable)]
#[allow(dead_code)]
pub(crate) struct Item {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) price: f64,
    pub(crate) note: Option<String>,
}

pub(crate) const SCHEMA: &str = "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price REAL NOT NULL, note TEXT)";

pub(crate) const BATCH: usize = 10_000;
/// As in the query of `load`.
pub(crate) const ROWS: usize = 100_000;

pub(crate) fn new_items(count: usize) -> Vec<NewItem> {
    (0..count)
        .map(|n| NewItem {
            name: format!("item number {n}"),
            price: n as f64 * 0.37,
            note: (n % 3 == 0).then(|| "in stock".to_owned()),
        })
        .collect()
}

/// The body and path of one request, as Diesel sent it.
pub(crate) struct Recorded {
    pub(crate) path: String,
    pub(crate) body: Vec<u8>,
}

/// Runs something on a connection whose requests pass a recorder, and returns the last of them.
pub(crate) fn record(node: &Rqlited, run: impl FnOnce(&mut RqliteConnection)) -> Recorded {
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
pub(crate) fn bare(agent: &ureq::Agent, node: &Rqlited, recorded: &Recorded) -> usize {
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
