//! What operations cost that no machine changes: requests, bytes sent, and allocations of the thread that asks.
//!
//! The bounds are what was measured, and a little more: an operation that crosses one has become dearer for every user.

#[path = "../integration/proxy.rs"]
#[allow(dead_code)]
mod proxy;

use std::error::Error;
use std::sync::{Arc, Mutex};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, Pool};
use diesel_rqlite::RqliteConnection;
use diesel_rqlite_tests::Rqlited;

use proxy::{Fate, Proxy};

diesel::table! {
    items {
        id -> BigInt,
        name -> Text,
        price -> Double,
        note -> Nullable<Text>,
    }
}

#[derive(Queryable, Selectable)]
#[allow(dead_code)]
struct Item {
    id: i64,
    name: String,
    price: f64,
    note: Option<String>,
}

const SCHEMA: &str = "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price REAL NOT NULL, note TEXT);
    INSERT INTO items VALUES (1, 'one', 1.5, NULL), (2, 'two', 2.25, 'in stock')";

/// A node, and what is sent to it.
struct Node {
    _node: Rqlited,
    url: String,
    sent: Arc<Mutex<Vec<usize>>>,
}

/// What an operation cost.
#[derive(Debug)]
struct Cost {
    requests: usize,
    bytes: usize,
    allocations: u64,
}

impl Node {
    fn start() -> Self {
        let node = Rqlited::start();
        let sent = Arc::<Mutex<Vec<usize>>>::default();
        let log = Arc::clone(&sent);
        let proxy = Proxy::start(node.address(), move |_, text| {
            log.lock().expect("is not poisoned").push(text.len());
            Fate::Pass
        });
        let url = format!("rqlite://{}?level=weak&discovery=false", proxy.address);
        let mut conn = RqliteConnection::establish(&url).expect("connects");
        conn.batch_execute(SCHEMA).expect("creates");
        Node {
            _node: node,
            url,
            sent,
        }
    }

    /// What an operation costs that has been done before.
    fn cost<T>(&self, mut operation: impl FnMut() -> QueryResult<T>) -> QueryResult<Cost> {
        for _ in 0..3 {
            operation()?;
        }
        self.sent.lock().expect("is not poisoned").clear();
        let mut outcome = Ok(());
        let counted = allocation_counter::measure(|| outcome = operation().map(|_| ()));
        outcome?;
        let sent = self.sent.lock().expect("is not poisoned");
        Ok(Cost {
            requests: sent.len(),
            bytes: sent.iter().sum(),
            allocations: counted.count_total,
        })
    }
}

fn find(conn: &mut RqliteConnection, id: i64) -> QueryResult<Item> {
    items::table.find(id).select(Item::as_select()).first(conn)
}

#[track_caller]
fn assert_at_most(cost: &Cost, requests: usize, bytes: usize, allocations: u64) {
    assert_eq!(cost.requests, requests, "{cost:?}");
    assert!(cost.bytes <= bytes, "{cost:?}");
    assert!(cost.allocations <= allocations, "{cost:?}");
}

#[test]
fn point_read() -> Result<(), Box<dyn Error>> {
    let node = Node::start();
    let conn = &mut RqliteConnection::establish(&node.url)?;
    let cost = node.cost(|| find(conn, 2))?;
    assert_at_most(&cost, 1, 360, 45);
    Ok(())
}

#[test]
fn insert_and_update() -> Result<(), Box<dyn Error>> {
    let node = Node::start();
    let conn = &mut RqliteConnection::establish(&node.url)?;
    let values = (
        items::name.eq("new"),
        items::price.eq(0.5),
        items::note.eq("no"),
    );
    let insert = node.cost(|| {
        diesel::insert_into(items::table)
            .values(&values)
            .execute(conn)
    })?;
    assert_at_most(&insert, 1, 300, 45);
    let update = node.cost(|| {
        diesel::update(items::table.find(1))
            .set(items::price.eq(items::price + 1.0))
            .execute(conn)
    })?;
    assert_at_most(&update, 1, 360, 54);
    Ok(())
}

/// Of a long answer, some pieces are held at a time.
#[test]
fn memory_of_a_long_answer() -> Result<(), Box<dyn Error>> {
    const ROWS: usize = 50_000;
    let node = Rqlited::start();
    let conn = &mut RqliteConnection::establish(&node.url())?;
    conn.batch_execute(SCHEMA)?;
    conn.batch_execute(
        "DELETE FROM items; INSERT INTO items
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000)
         SELECT i, printf('%0200d', i), i / 2.0, NULL FROM n",
    )?;
    for _ in 0..2 {
        let mut rows = Ok(0);
        let counted = allocation_counter::measure(|| {
            let items = items::table.select(Item::as_select());
            rows = items
                .load_iter::<Item, _>(conn)
                .and_then(|mut items| items.try_fold(0, |count, item| item.map(|_| count + 1)));
        });
        assert_eq!(rows?, ROWS);
        // The answer has more than 10 million bytes.
        assert!(counted.bytes_max < 1_000_000, "{counted:?}");
    }
    Ok(())
}

/// A thousand rows more cost no allocation for each.
#[test]
fn load() -> Result<(), Box<dyn Error>> {
    let node = Node::start();
    let conn = &mut RqliteConnection::establish(&node.url)?;
    let rows: Vec<_> = (0..1000).map(|_| items::price.eq(0.5)).collect();
    let rows: Vec<_> = rows
        .into_iter()
        .map(|price| (price, items::name.eq("")))
        .collect();
    diesel::insert_into(items::table)
        .values(&rows)
        .execute(conn)?;
    let cost = node.cost(|| {
        items::table
            .select((items::id, items::price))
            .load::<(i64, f64)>(conn)
    })?;
    assert_at_most(&cost, 1, 280, 60);
    Ok(())
}

#[test]
fn transaction_of_two_reads_and_three_writes() -> Result<(), Box<dyn Error>> {
    let node = Node::start();
    let conn = &mut RqliteConnection::establish(&node.url)?;
    let values = (items::name.eq("new"), items::price.eq(0.5));
    let cost = node.cost(|| {
        conn.transaction(|conn| {
            for id in [1, 2] {
                find(conn, id)?;
            }
            for id in [1, 2] {
                diesel::update(items::table.find(id))
                    .set(items::price.eq(items::price + 1.0))
                    .execute(conn)?;
            }
            diesel::insert_into(items::table)
                .values(&values)
                .execute(conn)
        })
    })?;
    assert_at_most(&cost, 3, 2600, 405);
    Ok(())
}

#[test]
fn connection_from_a_pool() -> Result<(), Box<dyn Error>> {
    let node = Node::start();
    let pool = Pool::builder()
        .max_size(1)
        .build(ConnectionManager::<RqliteConnection>::new(&node.url))?;
    let cost = node.cost(|| {
        drop(pool.get().expect("is there"));
        Ok(())
    })?;
    assert_at_most(&cost, 0, 0, 10);
    Ok(())
}
