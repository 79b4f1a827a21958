//! What a program does with Diesel, whatever its connection is.

/// One operation: `$await` is `await` for an asynchronous connection, `$async` is `async`.
macro_rules! diesel_operation {
    ($conn:expr, $kind:expr, $operation:expr, $items:expr $(, $async:tt $await:tt)?) => {{
        use crate::schema::{BATCH, Item, ROWS, items};
        use crate::task::Kind;
        let (one, other) = (
            crate::clients::key($operation),
            crate::clients::key($operation + 1),
        );
        let items: &[crate::schema::NewItem] = $items;
        match $kind {
            Kind::Insert => {
                let insert = diesel::insert_into(items::table).values(&items[0]);
                insert.execute($conn)$(.$await)?.expect("inserts");
            }
            Kind::Select => {
                let select = items::table.find(one).select(Item::as_select());
                let _item: Item = select.first($conn)$(.$await)?.expect("is there");
            }
            Kind::Batch => {
                let insert = diesel::insert_into(items::table).values(items);
                assert_eq!(insert.execute($conn)$(.$await)?, Ok(BATCH));
            }
            Kind::Load => {
                let rows = items::table.select(Item::as_select()).limit(ROWS as i64);
                let rows: Vec<Item> = rows.load($conn)$(.$await)?.expect("loads");
                assert_eq!(rows.len(), ROWS);
            }
            Kind::Transaction => {
                let done = $conn.transaction($($async)? |conn| {
                    for id in [one, other] {
                        let select = items::table.find(id).select(Item::as_select());
                        let _item: Item = select.first(conn)$(.$await)??;
                    }
                    for id in [one, other] {
                        let update = diesel::update(items::table.find(id));
                        let update = update.set(items::price.eq(items::price + 1.0));
                        update.execute(conn)$(.$await)??;
                    }
                    let insert = diesel::insert_into(items::table).values(&items[0]);
                    insert.execute(conn)$(.$await)?
                });
                assert_eq!(done$(.$await)?, Ok(1));
            }
        }
    }};
}
pub(super) use diesel_operation;
