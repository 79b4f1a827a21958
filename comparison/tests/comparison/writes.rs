//! INSERT, UPDATE, DELETE, and RETURNING.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use crate::kit::{NewPerson, Person, people, pets, same, toys};

const TWO: [NewPerson<'static>; 2] = [
    NewPerson {
        name: "Dee",
        age: Some(1),
        active: Some(true),
    },
    NewPerson {
        name: "Eve",
        age: Some(2),
        active: Some(false),
    },
];

/// Each leaves out other columns, which then have their defaults.
const MIXED: [NewPerson<'static>; 3] = [
    NewPerson {
        name: "Dee",
        age: Some(1),
        active: None,
    },
    NewPerson {
        name: "Eve",
        age: None,
        active: Some(false),
    },
    NewPerson {
        name: "Fay",
        age: None,
        active: None,
    },
];

#[derive(Insertable)]
#[diesel(table_name = toys, treat_none_as_default_value = false)]
struct NewToy {
    pet_id: i32,
    label: Option<&'static str>,
}

const TOYS: [NewToy; 2] = [
    NewToy {
        pet_id: 1,
        label: Some("rope"),
    },
    NewToy {
        pet_id: 2,
        label: None,
    },
];

macro_rules! all_people {
    ($conn:ident, $shown:ident) => {
        $shown.add(
            people::table
                .order(people::id)
                .select(Person::as_select())
                .load($conn),
        )
    };
}

same! {
    fn single_inserts(conn, shown) {
        shown.add(diesel::insert_into(people::table).values(people::name.eq("Dee")).execute(conn));
        shown.add(diesel::insert_into(people::table).values((people::name.eq("Eve"), people::age.eq(Some(3)))).execute(conn));
        shown.add(diesel::insert_into(people::table).values(&MIXED[2]).execute(conn));
        shown.add(diesel::insert_into(people::table).values((people::name.eq("Gus"), people::photo.eq(None::<Vec<u8>>))).execute(conn));
        let empty: Option<diesel::dsl::Eq<people::active, bool>> = None;
        shown.add(diesel::insert_into(people::table).values((people::name.eq("Hal"), empty)).execute(conn));
        shown.add(people::table.insert_into(people::table).into_columns(people::all_columns).execute(conn));
        all_people!(conn, shown);
    }

    fn inserts_of_default_values(conn, shown) {
        conn.batch_execute("CREATE TABLE d (id INTEGER PRIMARY KEY, a TEXT DEFAULT 'x')").expect("creates");
        diesel::table! { d { id -> Integer, a -> Text, } }
        shown.add(diesel::insert_into(d::table).default_values().execute(conn));
        shown.add(diesel::insert_into(d::table).default_values().get_result::<(i32, String)>(conn));
    }

    fn batch_inserts(conn, shown) {
        shown.add(diesel::insert_into(people::table).values(&TWO).execute(conn));
        shown.add(diesel::delete(people::table.filter(people::id.gt(3))).execute(conn));
        shown.add(diesel::insert_into(people::table).values(&MIXED[..]).execute(conn));
        shown.add(diesel::insert_into(people::table).values(&MIXED[..0]).execute(conn));
        shown.add(diesel::insert_into(people::table).values(Vec::<NewPerson<'_>>::new()).execute(conn));
        shown.add(diesel::insert_into(toys::table).values(&TOYS).execute(conn));
        shown.add(diesel::insert_into(toys::table).values(vec![(toys::pet_id.eq(1), toys::label.eq("a")), (toys::pet_id.eq(2), toys::label.eq("b"))])
            .execute(conn));
        shown.add(diesel::insert_into(toys::table).values([toys::pet_id.eq(1), toys::pet_id.eq(3)]).execute(conn));
        // The whole batch, or nothing of it.
        shown.add(diesel::insert_into(people::table).values([people::name.eq("Ida"), people::name.eq("Ann")]).execute(conn));
        shown.add(diesel::insert_into(people::table).values(&MIXED).execute(conn));
        all_people!(conn, shown);
        shown.add(toys::table.order(toys::id).load::<(i32, i32, Option<String>)>(conn));
    }

    fn inserts_or_ignores_and_replaces(conn, shown) {
        shown.add(diesel::insert_or_ignore_into(people::table).values(people::name.eq("Ann")).execute(conn));
        shown.add(diesel::insert_or_ignore_into(people::table).values([people::name.eq("Ann"), people::name.eq("Dee")]).execute(conn));
        shown.add(diesel::insert_or_ignore_into(people::table).values(&MIXED).execute(conn));
        shown.add(diesel::insert_or_ignore_into(people::table).values(people::name.eq("nobody")).execute(conn));
        shown.add(diesel::replace_into(people::table).values((people::id.eq(2), people::name.eq("Bea"))).execute(conn));
        shown.add(diesel::replace_into(toys::table).values(&vec![(toys::id.eq(1), toys::pet_id.eq(2)), (toys::id.eq(9), toys::pet_id.eq(3))]).execute(conn));
        all_people!(conn, shown);
        shown.add(toys::table.order(toys::id).load::<(i32, i32, Option<String>)>(conn));
    }

    fn inserts_of_selected_rows(conn, shown) {
        let owners = people::table.select((people::id, people::name)).filter(people::active);
        shown.add(diesel::insert_into(pets::table).values(owners).into_columns((pets::owner_id, pets::name)).execute(conn));
        shown.add(owners.insert_into(pets::table).into_columns((pets::owner_id, pets::name)).execute(conn));
        let boxed = people::table.select((people::id, people::name)).filter(people::id.lt(3)).into_boxed();
        shown.add(boxed.insert_into(pets::table).into_columns((pets::owner_id, pets::name)).execute(conn));
        shown.add(pets::table.order(pets::id).load::<(i32, i32, String)>(conn));
    }

    fn updates(conn, shown) {
        shown.add(diesel::update(people::table).set(people::active.eq(false)).execute(conn));
        shown.add(diesel::update(people::table.find(1)).set((people::age.eq(people::age + 1), people::name.eq("Anna"))).execute(conn));
        shown.add(diesel::update(people::table.filter(people::age.is_not_null())).set(people::age.eq(people::age * 2)).execute(conn));
        shown.add(diesel::update(people::table.find(99)).set(people::age.eq(1)).execute(conn));
        shown.add(diesel::update(people::table).filter(people::id.eq(2)).filter(people::active).set(people::age.eq(5)).execute(conn));
        shown.add(diesel::update(people::table).set(people::photo.eq(None::<Vec<u8>>)).into_boxed().filter(people::id.eq(1)).execute(conn));
        let ivy = pets::table.filter(pets::name.eq("Ivy")).select(pets::owner_id);
        shown.add(diesel::update(people::table.filter(people::id.eq_any(ivy))).set(people::height.eq(3.5)).execute(conn));
        shown.add(diesel::update(people::table.find(3)).set(people::name.eq("Anna")).execute(conn));
        let nothing: Option<diesel::dsl::Eq<people::active, bool>> = None;
        shown.add(diesel::update(people::table).set(nothing).execute(conn));
        all_people!(conn, shown);
    }

    fn changesets(conn, shown) {
        #[derive(AsChangeset)]
        #[diesel(table_name = people)]
        struct Change { age: Option<i32>, name: Option<&'static str> }
        #[derive(AsChangeset)]
        #[diesel(table_name = people, treat_none_as_null = true)]
        struct Reset { age: Option<i32>, height: Option<f64> }
        shown.add(diesel::update(people::table.find(1)).set(Change { age: None, name: Some("Anya") }).execute(conn));
        shown.add(diesel::update(people::table.find(3)).set(Reset { age: None, height: Some(1.0) }).execute(conn));
        shown.add(diesel::update(people::table.find(3)).set(Change { age: None, name: None }).execute(conn));
        let mut person = people::table.find(1).select(Person::as_select()).first(conn).expect("is there");
        person.name = "Anne".to_owned();
        shown.add(person.save_changes::<Person>(conn));
        person.id = 77;
        shown.add(person.save_changes::<Person>(conn));
        let bob = people::table.find(2).select(Person::as_select()).first(conn).expect("is there");
        shown.add(diesel::update(&bob).set(people::age.eq(9)).execute(conn));
        all_people!(conn, shown);
    }

    fn deletes(conn, shown) {
        shown.add(diesel::delete(toys::table.find(1)).execute(conn));
        shown.add(diesel::delete(toys::table).filter(toys::label.is_null()).execute(conn));
        shown.add(diesel::delete(toys::table).into_boxed().filter(toys::id.gt(100)).execute(conn));
        shown.add(diesel::delete(people::table.find(1)).execute(conn));
        let homeless = diesel::dsl::not(diesel::dsl::exists(pets::table.filter(pets::owner_id.eq(people::id))));
        shown.add(diesel::delete(people::table.filter(homeless)).execute(conn));
        shown.add(diesel::delete(toys::table).execute(conn));
        shown.add(toys::table.count().get_result::<i64>(conn));
        all_people!(conn, shown);
    }

    fn returned_rows(conn, shown) {
        shown.add(diesel::insert_into(people::table).values(&MIXED[1]).returning(Person::as_returning()).get_result(conn));
        shown.add(diesel::insert_into(people::table).values(&MIXED[0]).get_result::<Person>(conn));
        shown.add(diesel::insert_into(people::table).values(&MIXED[0]).get_result::<Person>(conn));
        shown.add(diesel::insert_into(people::table).values(&MIXED[2]).returning(people::id).get_results::<i32>(conn));
        let cleared = diesel::update(people::table.find(1)).set(people::photo.eq(None::<Vec<u8>>));
        shown.add(cleared.returning((people::photo, people::born, people::age + 1))
            .get_result::<(Option<Vec<u8>>, Option<chrono::NaiveDateTime>, Option<i32>)>(conn));
        shown.add(diesel::update(people::table.find(99)).set(people::age.eq(1)).returning(people::id).get_result::<i32>(conn));
        shown.add(diesel::update(people::table.find(99)).set(people::age.eq(1)).returning(people::id).get_results::<i32>(conn));
        shown.add(diesel::delete(toys::table.find(3)).returning(toys::label).get_results::<Option<String>>(conn));
        shown.add(diesel::delete(toys::table).returning(toys::id).execute(conn));
        shown.add(diesel::insert_or_ignore_into(people::table).values(people::name.eq("Ann")).returning(people::id).get_results::<i32>(conn));
        shown.add(diesel::replace_into(toys::table).values((toys::id.eq(1), toys::pet_id.eq(2))).returning(toys::all_columns)
            .get_result::<(i32, i32, Option<String>)>(conn));
        let copied = people::table.select((people::id, people::name)).filter(people::id.eq(1));
        shown.add(diesel::insert_into(pets::table).values(copied).into_columns((pets::owner_id, pets::name))
            .returning(pets::all_columns).get_results::<(i32, i32, String)>(conn));
    }

    fn returned_rows_as_structs(conn, shown) {
        shown.add(diesel::update(people::table.filter(people::active)).set(people::height.eq(0.1)).returning(Person::as_returning())
            .get_results(conn).map(|mut rows| { rows.sort_by_key(|row: &Person| row.id); rows }));
        shown.add(diesel::delete(toys::table.filter(toys::id.lt(3))).get_results::<(i32, i32, Option<String>)>(conn)
            .map(|mut rows| { rows.sort(); rows }));
    }
}
