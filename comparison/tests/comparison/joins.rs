//! Several tables: joins, aliases, subqueries and compounds.

use diesel::dsl::{count_star, exists, max, not};
use diesel::prelude::*;
use diesel::query_dsl::positional_order_dsl::PositionalOrderDsl;

use crate::kit::{Person, people, pets, same, toys};

same! {
    fn inner_and_left_joins(conn, shown) {
        shown.add(people::table.inner_join(pets::table).select((people::name, pets::name)).order(pets::id).load::<(String, String)>(conn));
        let joined = people::table.left_join(pets::table).order((people::id, pets::id));
        shown.add(joined.select((people::name, pets::name.nullable())).load::<(String, Option<String>)>(conn));
        shown.add(joined.load::<(Person, Option<(i32, i32, String)>)>(conn));
        let on = pets::table.on(pets::owner_id.eq(people::id).and(pets::name.like("T%")));
        shown.add(people::table.left_join(on).order(people::id).select((people::id, pets::id.nullable())).load::<(i32, Option<i32>)>(conn));
        shown.add(pets::table.inner_join(people::table).filter(people::name.eq("Ann")).order(pets::id).select(pets::all_columns)
            .load::<(i32, i32, String)>(conn));
    }

    fn joins_of_three_tables(conn, shown) {
        let joined = people::table.inner_join(pets::table.inner_join(toys::table));
        shown.add(joined.order(toys::id).select((people::name, pets::name, toys::label)).load::<(String, String, Option<String>)>(conn));
        let joined = people::table.left_join(pets::table.left_join(toys::table)).order((people::id, pets::id, toys::id));
        shown.add(joined.select((people::id, pets::id.nullable(), toys::id.nullable())).load::<(i32, Option<i32>, Option<i32>)>(conn));
        let joined = toys::table.inner_join(pets::table.inner_join(people::table)).filter(people::id.eq(1));
        shown.add(joined.select(toys::id).order(toys::id.desc()).load::<i32>(conn));
    }

    fn joins_that_are_boxed(conn, shown) {
        let mut query = people::table.left_join(pets::table).select((people::name, pets::name.nullable())).into_boxed();
        query = query.filter(pets::name.is_null()).or_filter(people::id.eq(3));
        shown.add(query.order(people::id).load::<(String, Option<String>)>(conn));
    }

    fn aliases(conn, shown) {
        let (others, animals) = diesel::alias!(people as others, pets as animals);
        let pairs = people::table.inner_join(others.on(others.field(people::id).gt(people::id)));
        shown.add(pairs.order((people::id, others.field(people::id))).select((people::name, others.field(people::name)))
            .load::<(String, String)>(conn));
        shown.add(others.filter(others.field(people::age).is_null()).select(others.fields((people::id, people::name)))
            .load::<(i32, String)>(conn));
        let same_owner = pets::table.inner_join(animals.on(
            animals.field(pets::owner_id).eq(pets::owner_id).and(animals.field(pets::id).ne(pets::id))));
        shown.add(same_owner.order(pets::id).select((pets::name, animals.field(pets::name))).load::<(String, String)>(conn));
    }

    fn subqueries(conn, shown) {
        let owned = pets::table.filter(pets::owner_id.eq(people::id));
        shown.add(people::table.filter(exists(owned)).order(people::id).select(people::id).load::<i32>(conn));
        shown.add(people::table.filter(not(exists(owned))).order(people::id).select(people::id).load::<i32>(conn));
        shown.add(people::table.order(people::id).select((people::id, exists(owned))).load::<(i32, bool)>(conn));
        shown.add(diesel::select(exists(people::table.filter(people::id.eq(1)))).get_result::<bool>(conn));
        shown.add(diesel::select(not(exists(people::table.filter(people::id.eq(9))))).get_result::<bool>(conn));
        let others = diesel::alias!(people as others);
        let oldest = others.select(max(others.field(people::age))).single_value();
        shown.add(people::table.filter(people::age.eq(oldest)).select(people::name).load::<String>(conn));
        let count = pets::table.filter(pets::owner_id.eq(people::id)).select(count_star()).single_value();
        shown.add(people::table.order(people::id).select((people::id, count)).load::<(i32, Option<i64>)>(conn));
        let by_pets = pets::table.filter(pets::name.ne("Ivy")).select(pets::owner_id).into_boxed();
        shown.add(people::table.filter(people::id.eq_any(by_pets)).select(people::id).load::<i32>(conn));
    }

    fn compounds(conn, shown) {
        let names = || people::table.select(people::name);
        let pet_names = || pets::table.select(pets::name);
        shown.add(names().union(pet_names()).positional_order_by(1).load::<String>(conn));
        shown.add(names().union_all(names()).positional_order_by(1).load::<String>(conn));
        shown.add(people::table.select(people::id).intersect(pets::table.select(pets::owner_id)).positional_order_by(1).load::<i32>(conn));
        shown.add(people::table.select(people::id).except(pets::table.select(pets::owner_id)).load::<i32>(conn));
        shown.add(names().union(pet_names()).positional_order_by(1).limit(2).offset(1).load::<String>(conn));
        let limited = names().order(people::name.desc()).limit(1).union_all(pet_names().order(pets::name).limit(1));
        shown.add(limited.positional_order_by(1).load::<String>(conn));
        let three = names().union(pet_names()).union_all(names().filter(people::id.eq(1)));
        shown.add(three.positional_order_by(1).load::<String>(conn));
        let rows = people::table.select((people::id, people::name)).union(pets::table.select((pets::id, pets::name)));
        shown.add(rows.positional_order_by((1, 2)).load::<(i32, String)>(conn));
    }
}
