//! Transactions as Diesel's own connection has them. How ours differ is in their own documentation.

use diesel::prelude::*;
use diesel::result::Error;

use crate::kit::{people, same, toys};

macro_rules! names {
    ($conn:ident, $shown:ident) => {
        $shown.add(
            people::table
                .order(people::id)
                .select((people::name, people::age))
                .load::<(String, Option<i32>)>($conn),
        )
    };
}

same! {
    fn commits_and_rollbacks(conn, shown) {
        let committed = conn.transaction(|conn| {
            diesel::insert_into(people::table).values(people::name.eq("Dee")).execute(conn)?;
            let inner = conn.transaction(|conn| {
                diesel::delete(toys::table).execute(conn)?;
                Err::<(), _>(Error::RollbackTransaction)
            });
            assert_eq!(inner, Err(Error::RollbackTransaction));
            diesel::update(people::table.find(1)).set(people::age.eq(7)).execute(conn)?;
            Ok::<_, Error>("done")
        });
        shown.add(committed);
        let rolled_back = conn.transaction(|conn| {
            diesel::delete(toys::table).execute(conn)?;
            Err::<(), _>(Error::RollbackTransaction)
        });
        shown.add(rolled_back);
        let failed = conn.transaction(|conn| {
            diesel::insert_into(people::table).values(people::name.eq("Fay")).execute(conn)?;
            diesel::insert_into(people::table).values(people::name.eq("Ann")).execute(conn)
        });
        shown.add(failed);
        names!(conn, shown);
        shown.add(toys::table.count().get_result::<i64>(conn));
    }

    fn what_a_transaction_sees(conn, shown) {
        let seen = conn.transaction(|conn| {
            let id: i32 = diesel::insert_into(people::table).values(people::name.eq("Dee")).returning(people::id).get_result(conn)?;
            let changed = diesel::update(people::table.find(id)).set(people::age.eq(1)).execute(conn)?;
            let all = people::table.order(people::id).select(people::name).load::<String>(conn)?;
            Ok::<_, Error>((id, changed, all))
        });
        shown.add(seen);
        names!(conn, shown);
    }

    fn transactions_for_tests(conn, shown) {
        shown.text(conn.test_transaction::<_, Error, _>(|conn| {
            diesel::delete(toys::table).execute(conn)?;
            toys::table.count().get_result::<i64>(conn)
        }));
        shown.add(conn.immediate_transaction(|conn| diesel::delete(toys::table.find(1)).execute(conn)));
        shown.add(conn.exclusive_transaction(|conn| diesel::delete(toys::table.find(2)).execute(conn)));
        shown.add(conn.begin_test_transaction());
        shown.add(diesel::delete(toys::table).execute(conn));
        shown.add(toys::table.count().get_result::<i64>(conn));
    }
}
