//! SQL that SQLite understands: what its documentation describes, clause by clause, what Diesel makes of queries, and
//! the SQL files of this project.

use std::fs;
use std::path::Path;

use diesel::dsl::{count_star, exists, not};
use diesel::prelude::*;
use diesel::sqlite::Sqlite;
use diesel_rqlite::Rqlite;

diesel::table! {
    people (id) {
        id -> Integer,
        name -> Text,
        age -> Nullable<Integer>,
        photo -> Nullable<Binary>,
    }
}

diesel::table! {
    #[sql_name = "order"]
    orders (id) {
        id -> Integer,
        person_id -> Integer,
        #[sql_name = "group \"by\""]
        group_by -> Text,
    }
}

diesel::allow_tables_to_appear_in_same_query!(people, orders);

/// The statements of `corpus.sql`, one after the other. All of them are valid, in this order.
pub(crate) fn statements() -> Vec<&'static str> {
    include_str!("corpus.sql")
        .split("\n%%\n")
        .map(str::trim_end)
        .collect()
}

pub(crate) fn corpus() -> Vec<String> {
    let mut all: Vec<_> = statements().into_iter().map(str::to_owned).collect();
    // As one text.
    all.push(all.join("\n;\n"));
    all.extend(of_diesel());
    files(
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")),
        &mut all,
    );
    all
}

fn files(directory: &Path, all: &mut Vec<String>) {
    for entry in fs::read_dir(directory).expect("is there").flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() {
            if name != "target" && name != ".git" {
                files(&path, all);
            }
        } else if path.extension().is_some_and(|extension| extension == "sql")
            && name != "corpus.sql"
        {
            all.push(fs::read_to_string(&path).expect("is text"));
        }
    }
}

/// Each query as both backends write it, without the values that `debug_query` adds.
macro_rules! written {
    ($($query:expr),* $(,)?) => {
        [$(
            diesel::debug_query::<Sqlite, _>(&$query).to_string(),
            diesel::debug_query::<Rqlite, _>(&$query).to_string(),
        )*]
    };
}

pub(crate) fn of_diesel() -> Vec<String> {
    use diesel::dsl::sql;
    use diesel::sql_types::{Bool, Text};
    let person = (
        people::name.eq("Ann"),
        people::age.eq(Some(7)),
        people::photo.eq(Some(vec![0_u8, 1])),
    );
    let with_binds = written![
        people::table.select(people::all_columns),
        people::table.find(1),
        people::table
            .select(people::name)
            .distinct()
            .order((people::age.desc(), people::id.asc())),
        people::table
            .filter(people::name.like("A%").escape('!'))
            .limit(3)
            .offset(4),
        people::table
            .filter(people::age.is_null().or(people::id.eq_any([1, 2, 3])))
            .select(count_star()),
        people::table.filter(people::age.between(1, 2).and(not(people::name.eq("x")))),
        people::table
            .inner_join(orders::table.on(orders::person_id.eq(people::id)))
            .select((people::name, orders::group_by)),
        people::table
            .left_join(orders::table.on(orders::person_id.eq(people::id)))
            .select(orders::id.nullable()),
        people::table.filter(exists(
            orders::table.filter(orders::person_id.eq(people::id))
        )),
        people::table.filter(people::id.eq_any(orders::table.select(orders::person_id))),
        people::table
            .group_by(people::name)
            .having(diesel::dsl::max(people::age).gt(1))
            .select(people::name),
        people::table
            .select(people::name)
            .union(orders::table.select(orders::group_by)),
        people::table.filter(sql::<Bool>("name = ").bind::<Text, _>("it's")),
        diesel::insert_into(people::table).values(person.clone()),
        diesel::insert_into(people::table).default_values(),
        diesel::insert_or_ignore_into(people::table).values(person.clone()),
        diesel::replace_into(people::table).values(person.clone()),
        diesel::update(people::table.find(1)).set(people::name.eq("x")),
        diesel::update(people::table).set((
            people::age.eq(people::age + 1),
            people::name.eq(people::name.concat("x"))
        )),
        diesel::delete(orders::table.filter(orders::group_by.ne("x"))),
        diesel::delete(people::table),
    ];
    with_binds
        .into_iter()
        .map(|text| {
            text.split(" -- binds:")
                .next()
                .expect("is there")
                .to_owned()
        })
        .collect()
}
