//! INSERT … ON CONFLICT.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel::upsert::excluded;

use crate::kit::{NewPerson, Person, people, same};

diesel::table! {
    places { id -> Integer, country -> Text, city -> Text, people -> Integer, }
}

const PLACES: &str = "CREATE TABLE places (id INTEGER PRIMARY KEY, country TEXT NOT NULL, city TEXT NOT NULL,
    people INTEGER NOT NULL, UNIQUE (country, city)); CREATE UNIQUE INDEX lower_city ON places (lower(city));
    INSERT INTO places VALUES (1, 'fr', 'Paris', 100)";

macro_rules! all_people {
    ($conn:ident, $shown:ident) => {
        $shown.add(
            people::table
                .order(people::id)
                .select((people::id, people::name, people::age))
                .load::<(i32, String, Option<i32>)>($conn),
        )
    };
}

same! {
    fn conflicts_that_do_nothing(conn, shown) {
        let ann = || (people::name.eq("Ann"), people::age.eq(1));
        shown.add(diesel::insert_into(people::table).values(ann()).on_conflict_do_nothing().execute(conn));
        shown.add(diesel::insert_into(people::table).values(ann()).on_conflict(people::name).do_nothing().execute(conn));
        shown.add(diesel::insert_into(people::table).values(ann()).on_conflict(people::id).do_nothing().execute(conn));
        shown.add(diesel::insert_into(people::table).values(&NewPerson { name: "Dee", age: None, active: None })
            .on_conflict(people::name).do_nothing().execute(conn));
        shown.add(diesel::insert_into(people::table).values(ann()).on_conflict_do_nothing().returning(people::id).get_results::<i32>(conn));
        all_people!(conn, shown);
    }

    fn conflicts_that_update(conn, shown) {
        use diesel::query_dsl::methods::FilterDsl;
        let ann = || (people::name.eq("Ann"), people::age.eq(41));
        let upsert = diesel::insert_into(people::table).values(ann()).on_conflict(people::name).do_update()
            .set(people::age.eq(excluded(people::age)));
        shown.add(upsert.returning((people::id, people::age)).get_results::<(i32, Option<i32>)>(conn));
        shown.add(diesel::insert_into(people::table).values(ann()).on_conflict(people::name).do_update()
            .set((people::age.eq(people::age + excluded(people::age)), people::height.eq(1.0))).execute(conn));
        shown.add(diesel::insert_into(people::table).values(ann()).on_conflict(people::name).do_update()
            .set(people::age.eq(7)).filter(people::age.lt(50)).execute(conn));
        shown.add(diesel::insert_into(people::table).values(ann()).on_conflict(people::name).do_update()
            .set(people::age.eq(8)).filter(people::age.gt(50)).get_result::<Person>(conn));
        let bob = people::table.find(2).select(Person::as_select()).first(conn).expect("is there");
        let changed = Person { name: "Bobby".to_owned(), ..bob };
        shown.add(diesel::insert_into(people::table).values((people::id.eq(2), people::name.eq("x"))).on_conflict(people::id).do_update()
            .set(&changed).execute(conn));
        shown.add(diesel::insert_into(people::table).values((people::id.eq(9), people::name.eq("Ann"))).on_conflict(people::id).do_update()
            .set(people::age.eq(1)).execute(conn));
        all_people!(conn, shown);
    }

    fn conflicts_of_several_columns(conn, shown) {
        conn.batch_execute(PLACES).expect("creates");
        let paris = || (places::country.eq("fr"), places::city.eq("Paris"), places::people.eq(5));
        shown.add(diesel::insert_into(places::table).values(paris()).on_conflict((places::country, places::city)).do_update()
            .set(places::people.eq(places::people + excluded(places::people))).execute(conn));
        shown.add(diesel::insert_into(places::table).values(paris()).on_conflict(diesel::dsl::sql::<Text>("(lower(city))")).do_update()
            .set(places::city.eq("PARIS")).execute(conn));
        shown.add(diesel::insert_into(places::table).values(paris()).on_conflict(places::people).do_nothing().execute(conn));
        shown.add(places::table.load::<(i32, String, String, i32)>(conn));
    }
}

/// Diesel's own conflict clause for selected rows is for its own backends only.
#[test]
fn conflicts_of_selected_rows() {
    use diesel_rqlite::RqliteInsertSelectDsl;
    let (mut sqlite, (_node, mut rqlite)) = (crate::kit::sqlite(), crate::kit::rqlite());
    diesel::table! { archive (id) { id -> Integer, title -> Text, } }
    const ARCHIVE: &str = "CREATE TABLE archive (id INTEGER PRIMARY KEY, title TEXT NOT NULL); INSERT INTO archive VALUES (1, 'old')";
    sqlite.batch_execute(ARCHIVE).expect("creates");
    rqlite.batch_execute(ARCHIVE).expect("creates");
    let rows = || {
        people::table
            .filter(people::id.lt(3))
            .select((people::id, people::name))
    };
    let columns = (archive::id, archive::title);
    let update = || archive::title.eq(excluded(archive::title));

    let reference = diesel::insert_into(archive::table)
        .values(rows())
        .into_columns(columns)
        .on_conflict(archive::id)
        .do_nothing()
        .execute(&mut sqlite);
    let ours = diesel::insert_into(archive::table)
        .values(rows().into_rows_of(columns))
        .on_conflict(archive::id)
        .do_nothing()
        .execute(&mut rqlite);
    assert_eq!(ours, reference);
    let reference = diesel::insert_into(archive::table)
        .values(rows())
        .into_columns(columns)
        .on_conflict(archive::id)
        .do_update()
        .set(update())
        .execute(&mut sqlite);
    let ours = diesel::insert_into(archive::table)
        .values(rows().into_rows_of(columns))
        .on_conflict(archive::id)
        .do_update()
        .set(update())
        .execute(&mut rqlite);
    assert_eq!(ours, reference);
    let reference = diesel::insert_into(archive::table)
        .values(rows().into_boxed())
        .into_columns(columns)
        .on_conflict_do_nothing()
        .execute(&mut sqlite);
    let ours = diesel::insert_into(archive::table)
        .values(rows().into_boxed().into_rows_of(columns))
        .on_conflict_do_nothing()
        .execute(&mut rqlite);
    assert_eq!(ours, reference);
    let all = archive::table.order(archive::id);
    assert_eq!(
        all.load::<(i32, String)>(&mut rqlite),
        all.load::<(i32, String)>(&mut sqlite)
    );
}
