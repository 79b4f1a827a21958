//! The same program and the same data with Diesel's `SqliteConnection`, in memory, and with ours, on a node on this
//! machine. What ours takes longer is HTTP, JSON, the Raft log and the server, too.

use criterion::{Criterion, criterion_group, criterion_main};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel_rqlite::RqliteConnection;
use diesel_rqlite_tests::Rqlited;

diesel::table! {
    rows { id -> Integer, name -> Text, size -> BigInt, weight -> Double, }
}

const TABLE: &str = "CREATE TABLE rows (id INTEGER PRIMARY KEY, name TEXT NOT NULL, size BIGINT NOT NULL, weight REAL NOT NULL)";
const FILL: &str =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
    INSERT INTO rows SELECT i, 'the name of row ' || i, i * 1000003, i / 7.0 FROM n";

#[derive(Insertable, Queryable, Selectable)]
#[diesel(table_name = rows)]
struct Row {
    id: i32,
    name: String,
    size: i64,
    weight: f64,
}

fn new_rows() -> Vec<Row> {
    let row = |id| Row {
        id,
        name: format!("the name of row {id}"),
        size: i64::from(id) * 1_000_003,
        weight: f64::from(id) / 7.0,
    };
    (200_001..=210_000).map(row).collect()
}

macro_rules! bench {
    ($criterion:expr, $name:literal, $conn:expr) => {{
        let conn = $conn;
        conn.batch_execute(TABLE).expect("creates");
        conn.batch_execute(FILL).expect("fills");
        let mut group = $criterion.benchmark_group($name);
        group.sample_size(10);
        group.bench_function("load 100,000 rows of 4", |bencher| {
            bencher.iter(|| {
                let loaded: Vec<Row> = rows::table
                    .select(Row::as_select())
                    .load(conn)
                    .expect("loads");
                assert_eq!(loaded.len(), 100_000);
            });
        });
        group.bench_function("select by key", |bencher| {
            bencher.iter(|| {
                rows::table
                    .find(77_777)
                    .select(Row::as_select())
                    .first(conn)
                    .expect("is there")
            });
        });
        let new = new_rows();
        group.bench_function("insert and delete 10,000 rows of 4", |bencher| {
            bencher.iter(|| {
                let inserted = diesel::insert_into(rows::table).values(&new).execute(conn);
                assert_eq!(inserted, Ok(10_000));
                diesel::delete(rows::table.filter(rows::id.gt(200_000)))
                    .execute(conn)
                    .expect("deletes");
            });
        });
        group.finish();
    }};
}

fn beside_sqlite(criterion: &mut Criterion) {
    let mut sqlite = SqliteConnection::establish(":memory:").expect("opens");
    bench!(criterion, "SQLite", &mut sqlite);
    let node = Rqlited::start();
    let mut rqlite = RqliteConnection::establish(&node.url()).expect("connects");
    bench!(criterion, "rqlite", &mut rqlite);
}

criterion_group!(benches, beside_sqlite);
criterion_main!(benches);
