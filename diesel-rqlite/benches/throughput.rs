//! What the crate costs beside a bare HTTP client that sends and receives the same bytes.
//!
//! `cargo bench --bench throughput`; `RQLITED=…` picks the server. Each task is measured twice: through
//! Diesel, and by a bare ureq client that posts the very body Diesel posted and reads the answer to its end.

#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel_rqlite::RqliteConnection;
use diesel_rqlite_tests::Rqlited;

use support::{BATCH, Item, ROWS, SCHEMA, bare, items, new_items, record};

fn benches(criterion: &mut Criterion) {
    let node = Rqlited::start();
    let agent: ureq::Agent = ureq::Agent::config_builder().proxy(None).build().into();
    let mut conn = RqliteConnection::establish(&format!("{}?level=weak", node.url())).unwrap();
    conn.batch_execute(SCHEMA).unwrap();
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
