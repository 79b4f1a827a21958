//! Groups, aggregates and window functions.

use chrono::NaiveDateTime;
use diesel::dsl::{
    avg, count, count_star, cume_dist, dense_rank, first_value, lag, last_value, lead, max, min,
    nth_value, ntile, percent_rank, rank, row_number, sum,
};
use diesel::prelude::*;
use diesel::sql_types::{Integer, Nullable};

use crate::kit::{people, pets, same};

same! {
    fn aggregates_of_all_rows(conn, shown) {
        shown.add(people::table.select(count_star()).first::<i64>(conn));
        shown.add(people::table.select(count(people::age)).first::<i64>(conn));
        shown.add(pets::table.select(count(pets::owner_id).aggregate_distinct()).first::<i64>(conn));
        shown.add(people::table.select((sum(people::age), sum(people::height))).first::<(Option<i64>, Option<f64>)>(conn));
        shown.add(people::table.select(avg(people::height)).first::<Option<f64>>(conn));
        shown.add(people::table.select((min(people::name), max(people::born))).first::<(Option<String>, Option<NaiveDateTime>)>(conn));
        shown.add(people::table.filter(people::id.lt(0)).select((max(people::age), sum(people::age), count_star()))
            .first::<(Option<i32>, Option<i64>, i64)>(conn));
    }

    fn groups(conn, shown) {
        let counts = people::table.inner_join(pets::table).group_by(people::name).order(people::name);
        shown.add(counts.select((people::name, count_star())).load::<(String, i64)>(conn));
        shown.add(people::table.group_by(people::active).having(count(people::id).gt(1))
            .select((people::active, count(people::id), max(people::age))).load::<(bool, i64, Option<i32>)>(conn));
        shown.add(people::table.left_join(pets::table).group_by((people::id, people::name)).order(people::id)
            .select((people::name, count(pets::id.nullable()))).load::<(String, i64)>(conn));
        shown.add(pets::table.group_by(pets::owner_id).select(pets::owner_id)
            .order(count(pets::id).desc()).load::<i32>(conn));
        let crowded = pets::table.group_by(pets::owner_id).having(count_star().gt(1)).select(pets::owner_id);
        shown.add(people::table.filter(people::id.eq_any(crowded)).select(people::name).load::<String>(conn));
    }

    fn filtered_distinct_and_sorted_aggregates(conn, shown) {
        diesel::define_sql_function! {
            #[aggregate]
            fn group_concat(text: diesel::sql_types::Text, separator: diesel::sql_types::Text) -> diesel::sql_types::Text;
        }
        shown.add(people::table.select(count(people::age).aggregate_distinct()).first::<i64>(conn));
        shown.add(people::table.select(sum(people::height).aggregate_filter(people::active)).first::<Option<f64>>(conn));
        shown.add(people::table.select((count(people::id).aggregate_filter(people::name.gt("B")), count_star())).first::<(i64, i64)>(conn));
        shown.add(pets::table.select(group_concat(pets::name, "+").aggregate_order(pets::name.desc())).first::<String>(conn));
        shown.add(pets::table.select(group_concat(pets::name, "+").aggregate_order(pets::name).aggregate_filter(pets::id.ne(2)))
            .first::<String>(conn));
    }

    fn windows(conn, shown) {
        let numbers = (row_number().window_order(people::name.desc()), rank().partition_by(people::active).window_order(people::id));
        shown.add(people::table.order(people::id).select(numbers).load::<(i64, i64)>(conn));
        shown.add(pets::table.order(pets::id).select((pets::id, count_star().over(), count(pets::id).partition_by(pets::owner_id)))
            .load::<(i32, i64, i64)>(conn));
        shown.add(pets::table.order(pets::id).select((
            dense_rank().window_order(pets::owner_id),
            percent_rank().window_order(pets::owner_id),
            cume_dist().window_order(pets::owner_id),
            ntile(2).window_order(pets::id),
        )).load::<(i64, f64, f64, i32)>(conn));
        shown.add(people::table.order(people::id).select(row_number().partition_by(people::active).partition_by(people::age)
            .window_order(people::id)).load::<i64>(conn));
        shown.add(people::table.order(people::id).select(sum(people::age).window_filter(people::active).window_order(people::id))
            .load::<Option<i64>>(conn));
    }

    fn values_of_other_rows(conn, shown) {
        shown.add(pets::table.order(pets::id).select((
            lag(pets::name).window_order(pets::id),
            lead(pets::name).window_order(pets::id),
        )).load::<(Option<String>, Option<String>)>(conn));
        shown.add(pets::table.order(pets::id).select((
            first_value(pets::name).window_order(pets::id),
            last_value(pets::name).partition_by(pets::owner_id),
            nth_value(pets::name, 2).window_order(pets::id),
        )).load::<(String, String, Option<String>)>(conn));
        let two_back = diesel::dsl::lag_with_offset(pets::id, 2).window_order(pets::id);
        shown.add(pets::table.order(pets::id).select(two_back).load::<Option<i32>>(conn));
        let or_zero = diesel::dsl::lead_with_offset_and_default::<Integer, Integer, _, _, _>(pets::id, 1, 0).window_order(pets::id);
        shown.add(pets::table.order(pets::id).select(or_zero).load::<i32>(conn));
    }

    fn frames(conn, shown) {
        use diesel::dsl::frame;
        let sums = |shown: &mut crate::kit::Shown, outcome: QueryResult<Vec<Option<i64>>>| shown.add(outcome);
        sums(shown, people::table.order(people::id).select(sum(people::id).window_order(people::id)
            .frame_by(frame::Rows.frame_start_with(1.preceding()))).load(conn));
        sums(shown, people::table.order(people::id).select(sum(people::id).window_order(people::id)
            .frame_by(frame::Rows.frame_between(frame::UnboundedPreceding, frame::CurrentRow))).load(conn));
        sums(shown, people::table.order(people::id).select(sum(people::id).window_order(people::id)
            .frame_by(frame::Rows.frame_between(1.preceding(), 1.following()))).load(conn));
        sums(shown, people::table.order(people::id).select(sum(people::id).window_order(people::active)
            .frame_by(frame::Groups.frame_start_with(frame::UnboundedPreceding))).load(conn));
        sums(shown, people::table.order(people::id).select(sum(people::id).window_order(people::active)
            .frame_by(frame::Range.frame_start_with(frame::CurrentRow))).load(conn));
        sums(shown, people::table.order(people::id).select(sum(people::id).window_order(people::id)
            .frame_by(frame::Rows.frame_start_with_exclusion(frame::UnboundedPreceding, frame::ExcludeCurrentRow))).load(conn));
        sums(shown, people::table.order(people::id).select(sum(people::id).window_order(people::active)
            .frame_by(frame::Groups.frame_between_with_exclusion(1.preceding(), 1.following(), frame::ExcludeTies))).load(conn));
        shown.add(diesel::select(None::<i32>.into_sql::<Nullable<Integer>>()).get_result::<Option<i32>>(conn));
    }
}
