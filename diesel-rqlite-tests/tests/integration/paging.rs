//! A table is walked by its key, whatever others do to it meanwhile.

use diesel::prelude::*;
use diesel_rqlite::Pages;

use super::database::Database;

diesel::table! {
    t (id) {
        id -> Integer,
        name -> Text,
    }
}

const SCHEMA: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
    INSERT INTO t WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)
    SELECT i, printf('%02d', 21 - i) FROM n";

#[test]
fn each_row_is_seen_once() {
    let mut database = Database::with(SCHEMA);
    // 20 is a multiple of 1, 4 and 20.
    for size in [1, 3, 4, 7, 20, 21] {
        let mut pages = Pages::new(t::table.select(t::id), t::id, size);
        let (mut seen, mut sizes) = (Vec::new(), Vec::new());
        while let Some(page) = pages.next(&mut *database, |id: &i32| *id).expect("loads") {
            sizes.push(page.len());
            seen.extend(page);
        }
        assert_eq!(seen, (1..=20).collect::<Vec<_>>());
        assert!(sizes.iter().all(|rows| (1..=size as usize).contains(rows)));
        let again = pages.next(&mut *database, |id: &i32| *id);
        assert_eq!(again.expect("loads"), None, "the end stays the end");
    }
    let mut none = Pages::new(t::table.filter(t::id.gt(99)), t::id, 5);
    let page = none.next(&mut *database, |row: &(i32, String)| row.0);
    assert_eq!(page.expect("loads"), None);
}

#[test]
fn what_others_change_shifts_no_row() {
    let mut database = Database::with(SCHEMA);
    let mut another = database.another();
    let query = t::table.filter(t::id.ne(10));
    let mut pages = Pages::new(query, t::name, 5);
    let mut seen = Vec::new();
    while let Some(page) = pages
        .next(&mut *database, |row: &(i32, String)| row.1.clone())
        .expect("loads")
    {
        // With OFFSET, the rows of the next page would move up.
        let ids: Vec<_> = page.iter().map(|row| row.0).collect();
        diesel::delete(t::table.filter(t::id.eq_any(&ids)))
            .execute(&mut another)
            .expect("deletes");
        seen.extend(ids);
    }
    seen.sort_unstable();
    assert_eq!(seen, (1..=20).filter(|id| *id != 10).collect::<Vec<_>>());
}

#[test]
fn walk_goes_on_behind_a_key() {
    let mut database = Database::with(SCHEMA);
    let mut pages = Pages::new(t::table.select(t::id), t::id, 50).behind(17);
    let page = pages.next(&mut *database, |id: &i32| *id).expect("loads");
    assert_eq!(page, Some(vec![18, 19, 20]));
}
