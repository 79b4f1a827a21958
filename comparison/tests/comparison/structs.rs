//! What Diesel's derives make of structs, enums and newtypes.

use diesel::backend::Backend;
use diesel::connection::SimpleConnection;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::prelude::*;
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::{Integer, Text};

use crate::kit::{Person, people, pets, same, toys};

#[derive(Debug, PartialEq, Queryable, Selectable, Identifiable, Associations)]
#[diesel(belongs_to(Person, foreign_key = owner_id), table_name = pets)]
struct Pet {
    id: i32,
    owner_id: i32,
    name: String,
}

#[derive(Debug, PartialEq, Queryable, Selectable, Identifiable, Associations)]
#[diesel(belongs_to(Pet), table_name = toys)]
struct Toy {
    id: i32,
    pet_id: i32,
    label: Option<String>,
}

/// A struct in a struct, by columns of its own.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = people)]
#[allow(dead_code)]
struct Card {
    name: String,
    #[diesel(embed)]
    body: Body,
}

#[derive(Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = people)]
#[allow(dead_code)]
struct Body {
    age: Option<i32>,
    height: Option<f64>,
}

#[derive(Insertable)]
#[diesel(table_name = people)]
struct NewCard {
    name: Name,
    #[diesel(embed)]
    body: Body,
}

/// Rows of a join.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = people)]
#[allow(dead_code)]
struct Owner {
    #[diesel(select_expression = people::name.concat("!"))]
    loud: String,
    #[diesel(embed)]
    pet: Option<Pet>,
}

#[derive(Debug, HasQuery)]
#[diesel(table_name = people)]
#[diesel(base_query = people::table.filter(people::active).order(people::id.desc()))]
#[allow(dead_code)]
struct ActivePerson {
    id: i32,
    name: Name,
}

/// A newtype, in every backend that has strings.
#[derive(Clone, Debug, PartialEq, AsExpression, FromSqlRow)]
#[diesel(sql_type = Text)]
struct Name(String);

impl<DB: Backend> FromSql<Text, DB> for Name
where
    String: FromSql<Text, DB>,
{
    fn from_sql(value: DB::RawValue<'_>) -> deserialize::Result<Self> {
        String::from_sql(value).map(Name)
    }
}

impl<DB: Backend> ToSql<Text, DB> for Name
where
    str: ToSql<Text, DB>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
        self.0.as_str().to_sql(out)
    }
}

/// An enum, stored as a number.
#[derive(Clone, Copy, Debug, PartialEq, AsExpression, FromSqlRow)]
#[diesel(sql_type = Integer)]
enum Size {
    Small = 1,
    Large = 2,
}

impl<DB: Backend> FromSql<Integer, DB> for Size
where
    i32: FromSql<Integer, DB>,
{
    fn from_sql(value: DB::RawValue<'_>) -> deserialize::Result<Self> {
        match i32::from_sql(value)? {
            1 => Ok(Size::Small),
            2 => Ok(Size::Large),
            other => Err(format!("{other} is no size").into()),
        }
    }
}

impl<DB: Backend> ToSql<Integer, DB> for Size
where
    i32: ToSql<Integer, DB>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
        match self {
            Size::Small => 1.to_sql(out),
            Size::Large => 2.to_sql(out),
        }
    }
}

diesel::table! {
    boxes { id -> Integer, size -> Integer, spare -> Nullable<Integer>, }
}

#[derive(Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = boxes)]
#[allow(dead_code)]
struct Package {
    size: Size,
    spare: Option<Size>,
    #[diesel(deserialize_as = i32, serialize_as = i32)]
    id: i32,
}

same! {
    fn children_and_their_parents(conn, shown) {
        let people = people::table.order(people::id).select(Person::as_select()).load(conn).expect("loads");
        let pets = Pet::belonging_to(&people).select(Pet::as_select()).order(pets::id).load(conn).expect("loads");
        let toys = Toy::belonging_to(&pets).select(Toy::as_select()).order(toys::id).load(conn).expect("loads");
        let toys = toys.grouped_by(&pets);
        let families: Vec<Vec<(Pet, Vec<Toy>)>> = pets.into_iter().zip(toys).grouped_by(&people);
        shown.text(&families);
        shown.add(Pet::belonging_to(&people[0]).filter(pets::name.like("R%")).select(Pet::as_select()).load(conn));
        shown.add(Pet::belonging_to(&people[1]).select(Pet::as_select()).first(conn));
        shown.add(Pet::belonging_to(&people[0]).count().get_result::<i64>(conn));
        shown.add(Pet::belonging_to(&people).inner_join(toys::table).select((Pet::as_select(), Toy::as_select())).order(toys::id)
            .load::<(Pet, Toy)>(conn));
    }

    fn embedded_structs(conn, shown) {
        shown.add(people::table.order(people::id).select(Card::as_select()).load(conn));
        shown.add(people::table.left_join(pets::table).order((people::id, pets::id)).select(Owner::as_select()).load(conn));
        let new = NewCard { name: Name("Dee".to_owned()), body: Body { age: Some(3), height: None } };
        shown.add(diesel::insert_into(people::table).values(new).returning(Card::as_returning()).get_result(conn));
        shown.add(people::table.inner_join(pets::table).order(pets::id).select((Card::as_select(), Pet::as_select())).load::<(Card, Pet)>(conn));
    }

    fn queries_of_structs(conn, shown) {
        shown.add(ActivePerson::query().load(conn));
        shown.add(ActivePerson::query().filter(people::name.eq(Name("Ann".to_owned()))).first(conn));
        shown.add(ActivePerson::query().limit(1).get_result(conn));
    }

    fn newtypes_and_enums(conn, shown) {
        conn.batch_execute("CREATE TABLE boxes (id INTEGER PRIMARY KEY, size INTEGER NOT NULL, spare INTEGER)").expect("creates");
        shown.add(diesel::insert_into(boxes::table).values(Package { size: Size::Large, spare: None, id: 5 }).execute(conn));
        shown.add(diesel::insert_into(boxes::table).values((boxes::size.eq(Size::Small), boxes::spare.eq(Some(Size::Large)))).execute(conn));
        shown.add(boxes::table.order(boxes::id).select(Package::as_select()).load(conn));
        shown.add(boxes::table.filter(boxes::size.eq_any([Size::Small, Size::Large])).count().get_result::<i64>(conn));
        shown.add(diesel::sql_query("UPDATE boxes SET size = 3").execute(conn));
        shown.add(boxes::table.select(boxes::size).load::<Size>(conn));
        shown.add(people::table.filter(people::name.eq(Name("Cid".to_owned()))).select(people::name).load::<Name>(conn));
    }
}
