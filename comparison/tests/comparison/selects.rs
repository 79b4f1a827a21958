//! SELECT from one table: what is chosen, filtered, sorted and cut.

use diesel::prelude::*;
use diesel::sql_types::{Integer, Text};

use crate::kit::{Person, people, pets, same};

same! {
    fn all_and_some_columns(conn, shown) {
        shown.add(people::table.order(people::id).load::<Person>(conn));
        shown.add(people::table.order(people::id).select(Person::as_select()).load(conn));
        shown.add(people::table.order(people::id).select((people::name, people::id * 2 + 1)).load::<(String, i32)>(conn));
        shown.add(people::table.select(people::active).distinct().order(people::active).load::<bool>(conn));
        shown.add(people::table.count().get_result::<i64>(conn));
        shown.add(diesel::select((1.into_sql::<Integer>(), "a".into_sql::<Text>())).get_result::<(i32, String)>(conn));
    }

    fn found_and_not_found(conn, shown) {
        let find = |id| people::table.find(id).select(people::name);
        shown.add(find(2).first::<String>(conn));
        shown.add(find(9).first::<String>(conn));
        shown.add(find(9).first::<String>(conn).optional());
        shown.add(find(9).get_result::<String>(conn));
        shown.add(find(9).load::<String>(conn));
        shown.add(people::table.select(people::name).order(people::id).get_result::<String>(conn));
    }

    fn filters(conn, shown) {
        macro_rules! ids {
            ($condition:expr) => {
                shown.add(people::table.filter($condition).order(people::id).select(people::id).load::<i32>(conn))
            };
        }
        ids!(people::name.eq("Ann"));
        ids!(people::name.ne("Ann"));
        ids!(people::age.eq(40));
        ids!(people::age.ne(40));
        ids!(people::age.eq(None::<i32>));
        ids!(people::age.gt(25));
        ids!(people::age.ge(25));
        ids!(people::age.lt(40));
        ids!(people::age.le(40));
        ids!(people::age.is_null());
        ids!(people::age.is_not_null());
        ids!(people::age.between(20, 30));
        ids!(people::age.not_between(20, 30));
        ids!(people::name.like("%n%"));
        ids!(people::name.not_like("%N%"));
        ids!(people::name.like("A\\_%").escape('\\'));
        ids!(people::name.like("%!%%").escape('!'));
        ids!(people::active);
        ids!(diesel::dsl::not(people::active));
        ids!(people::active.eq(false).or(people::name.eq("Cid")));
        ids!(people::active.and(people::age.gt(30).is_not_null()).and(people::id.gt(1)));
        ids!(people::photo.eq(Vec::<u8>::new()));
        ids!(people::photo.eq(vec![0_u8, 255]));
        ids!(people::height.gt(1.75));
        ids!(people::born.lt(chrono::NaiveDate::from_ymd_opt(1990, 1, 1).and_then(|day| day.and_hms_opt(0, 0, 0)).expect("a date")));
        ids!(people::name.concat("!").eq("Bob!"));
        ids!((people::id + 1).eq(3));
        ids!((people::id - 1).eq(people::id / 2));
        ids!((people::age * 2).gt(60));
    }

    fn filters_by_lists(conn, shown) {
        macro_rules! ids {
            ($condition:expr) => {
                shown.add(people::table.filter($condition).order(people::id).select(people::id).load::<i32>(conn))
            };
        }
        ids!(people::id.eq_any(vec![1, 3]));
        ids!(people::id.eq_any([1, 3]));
        ids!(people::id.eq_any(&[2][..]));
        ids!(people::id.eq_any(Vec::<i32>::new()));
        ids!(people::id.ne_all(vec![1]));
        ids!(people::id.ne_all(Vec::<i32>::new()));
        ids!(people::age.eq_any(vec![Some(25), None]));
        ids!(people::name.eq_any(["Ann", "it's", "x'41'"]));
        ids!(people::id.eq_any(pets::table.select(pets::owner_id)));
        ids!(people::id.ne_all(pets::table.select(pets::owner_id)));
        ids!(people::id.eq_any(0..3000));
    }

    fn several_filters(conn, shown) {
        let query = people::table.filter(people::active).filter(people::age.gt(30)).or_filter(people::id.eq(2));
        shown.add(query.order(people::id).select(people::id).load::<i32>(conn));
        let query = people::table.filter(people::active).filter(people::age.gt(30).or(people::age.lt(30)));
        shown.add(query.order(people::id).select(people::id).load::<i32>(conn));
    }

    fn orders(conn, shown) {
        shown.add(people::table.order(people::age.asc()).select(people::age).load::<Option<i32>>(conn));
        shown.add(people::table.order(people::age.desc()).select(people::age).load::<Option<i32>>(conn));
        shown.add(people::table.order((people::active.desc(), people::name.desc())).select(people::name).load::<String>(conn));
        shown.add(people::table.order(people::active).then_order_by(people::id.desc()).select(people::id).load::<i32>(conn));
        shown.add(people::table.order(people::name).order(people::id.desc()).select(people::id).load::<i32>(conn));
    }

    fn limits_and_offsets(conn, shown) {
        let ids = people::table.order(people::id).select(people::id);
        shown.add(ids.limit(2).load::<i32>(conn));
        shown.add(ids.offset(1).load::<i32>(conn));
        shown.add(ids.limit(1).offset(1).load::<i32>(conn));
        shown.add(ids.limit(0).load::<i32>(conn));
        shown.add(ids.limit(-1).load::<i32>(conn));
        shown.add(ids.offset(7).load::<i32>(conn));
        shown.add(ids.limit(i64::MAX).offset(1).load::<i32>(conn));
    }

    fn boxed_queries(conn, shown) {
        let ids = || people::table.order(people::id).select(people::id).into_boxed();
        shown.add(ids().load::<i32>(conn));
        shown.add(ids().limit(1).load::<i32>(conn));
        shown.add(ids().offset(1).load::<i32>(conn));
        shown.add(ids().limit(1).offset(1).load::<i32>(conn));
        shown.add(people::table.select(people::id).order(people::id).limit(2).into_boxed().load::<i32>(conn));
        shown.add(people::table.select(people::id).order(people::id).offset(2).into_boxed().load::<i32>(conn));
        shown.add(people::table.select(people::id).order(people::id).limit(1).offset(2).into_boxed().load::<i32>(conn));
        let mut boxed = people::table.select(people::name).into_boxed();
        for word in ["A", "C"] {
            boxed = boxed.or_filter(people::name.like(format!("{word}%")));
        }
        shown.add(boxed.order(people::id).limit(5).load::<String>(conn));
        shown.add(people::table.group_by(people::active).select((people::active, diesel::dsl::count_star()))
            .into_boxed().order(people::active).load::<(bool, i64)>(conn));
    }

    fn boxed_conditions(conn, shown) {
        use diesel::expression::BoxableExpression;
        use diesel::sql_types::Bool;
        type Condition = Box<dyn BoxableExpression<people::table, own::Backend, SqlType = Bool>>;
        let conditions: [Condition; 3] = [
            Box::new(people::name.eq("Ann")),
            Box::new(people::id.gt(1).and(people::active)),
            Box::new(diesel::dsl::not(people::id.eq_any([1, 2]))),
        ];
        for condition in conditions {
            shown.add(people::table.filter(condition).order(people::id).select(people::id).load::<i32>(conn));
        }
    }

    fn rows_one_by_one(conn, shown) {
        let rows = people::table.order(people::id).select(people::name).load_iter::<String, diesel::connection::DefaultLoadingMode>(conn);
        let rows = rows.map(|rows| rows.collect::<QueryResult<Vec<_>>>());
        shown.add(rows.and_then(|rows| rows));
    }
}
