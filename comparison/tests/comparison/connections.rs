//! Connections in other hands: several backends behind one type, pools, schemas known at run time.

use diesel::connection::SimpleConnection;
use diesel::deserialize::{self, FromSql};
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, Pool};
use diesel::sql_types::{BigInt, Binary, Double, Integer, Text};
use diesel_dynamic_schema::dynamic_value::{Any, DynamicRow, NamedField};
use diesel_rqlite::{Rqlite, RqliteConnection, RqliteType, RqliteValue};
use diesel_rqlite_tests::Rqlited;

use crate::kit::{NewPerson, Person, SCHEMA, Shown, people, pets, same};

/// SQLite in development, rqlite in production. rqlite first: it refuses the URLs of others, SQLite makes a file.
#[derive(diesel::MultiConnection)]
// There are two of them.
#[allow(clippy::large_enum_variant)]
enum Database {
    Rqlite(RqliteConnection),
    Sqlite(SqliteConnection),
}

fn program(conn: &mut Database, shown: &mut Shown) {
    conn.batch_execute(SCHEMA).expect("creates");
    let new = NewPerson {
        name: "Dee",
        age: Some(1),
        active: None,
    };
    shown.add(
        diesel::insert_into(people::table)
            .values(&new)
            .execute(conn),
    );
    shown.add(
        diesel::insert_into(people::table)
            .values(people::name.eq("Ann"))
            .execute(conn),
    );
    shown.add(
        people::table
            .order(people::id)
            .select(Person::as_select())
            .load(conn),
    );
    let joined = people::table.left_join(pets::table);
    shown.add(
        joined
            .order((people::id, pets::id))
            .select((people::name, pets::name.nullable()))
            .load::<(String, Option<String>)>(conn),
    );
    shown.add(
        people::table
            .filter(people::name.like("%n%").and(people::id.eq_any([1, 2])))
            .limit(1)
            .into_boxed()
            .select(people::id)
            .load::<i32>(conn),
    );
    shown.add(
        diesel::update(people::table.find(1))
            .set(people::age.eq(people::age + 1))
            .execute(conn),
    );
    shown.add(conn.transaction(|conn| diesel::delete(pets::table).execute(conn)));
    shown.add(
        diesel::sql_query("UPDATE people SET active = ? WHERE id = 1")
            .bind::<Integer, _>(0)
            .execute(conn),
    );
    shown.add(people::table.find(99).first::<Person>(conn));
}

#[test]
fn two_backends_in_one_type() {
    // Compiled along with Diesel's connection is a SQLite that enforces foreign keys.
    let node = Rqlited::builder().foreign_keys().start();
    let (mut reference, mut ours) = (Shown::default(), Shown::default());
    let mut sqlite = Database::establish(":memory:").expect("opens");
    assert!(matches!(sqlite, Database::Sqlite(_)));
    program(&mut sqlite, &mut reference);
    let mut rqlite = Database::establish(&node.url()).expect("connects");
    assert!(matches!(rqlite, Database::Rqlite(_)));
    program(&mut rqlite, &mut ours);
    Shown::compare(&ours, &reference);
}

#[test]
fn pools_of_connections() {
    macro_rules! pooled {
        ($connection:ty, $url:expr, $shown:ident) => {{
            let manager = ConnectionManager::<$connection>::new($url);
            let pool = Pool::builder()
                .max_size(1)
                .test_on_check_out(true)
                .build(manager)
                .expect("connects");
            let conn = &mut *pool.get().expect("is handed out");
            conn.batch_execute(SCHEMA).expect("creates");
            $shown.add(people::table.order(people::id).load::<Person>(conn));
            $shown.add(conn.transaction(|conn| {
                diesel::update(people::table.find(1))
                    .set(people::age.eq(9))
                    .execute(conn)?;
                Err::<(), _>(diesel::result::Error::RollbackTransaction)
            }));
            drop(
                pool.get_timeout(std::time::Duration::from_millis(1))
                    .map(|_| ())
                    .expect_err("there is only one"),
            );
            $shown.add(
                people::table
                    .find(1)
                    .select(people::age)
                    .first::<Option<i32>>(conn),
            );
        }};
    }
    let node = Rqlited::start();
    let (mut reference, mut ours) = (Shown::default(), Shown::default());
    pooled!(diesel::SqliteConnection, ":memory:", reference);
    pooled!(RqliteConnection, node.url(), ours);
    Shown::compare(&ours, &reference);
}

/// Any value of SQLite.
#[derive(Debug, PartialEq)]
#[allow(dead_code)]
pub(crate) enum Dynamic {
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

impl FromSql<Any, diesel::sqlite::Sqlite> for Dynamic {
    fn from_sql(value: diesel::sqlite::SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
        use diesel::sqlite::{Sqlite, SqliteType};
        match value.value_type() {
            Some(SqliteType::Long) => {
                FromSql::<BigInt, Sqlite>::from_sql(value).map(Dynamic::Integer)
            }
            Some(SqliteType::Double) => {
                FromSql::<Double, Sqlite>::from_sql(value).map(Dynamic::Real)
            }
            Some(SqliteType::Text) => FromSql::<Text, Sqlite>::from_sql(value).map(Dynamic::Text),
            Some(SqliteType::Binary) => {
                FromSql::<Binary, Sqlite>::from_sql(value).map(Dynamic::Blob)
            }
            _ => Err("a value of no storage class".into()),
        }
    }
}

impl FromSql<Any, Rqlite> for Dynamic {
    fn from_sql(value: RqliteValue<'_>) -> deserialize::Result<Self> {
        match value.value_type() {
            Some(RqliteType::Long) => {
                FromSql::<BigInt, Rqlite>::from_sql(value).map(Dynamic::Integer)
            }
            Some(RqliteType::Double) => {
                FromSql::<Double, Rqlite>::from_sql(value).map(Dynamic::Real)
            }
            Some(RqliteType::Text) => FromSql::<Text, Rqlite>::from_sql(value).map(Dynamic::Text),
            Some(RqliteType::Binary) => {
                FromSql::<Binary, Rqlite>::from_sql(value).map(Dynamic::Blob)
            }
            _ => Err("a value of no storage class".into()),
        }
    }
}

same! {
    fn schemas_known_at_run_time(conn, shown) {
        use diesel_dynamic_schema::DynamicSelectClause;
        let people = diesel_dynamic_schema::table("people");
        let (id, name) = (people.column::<Integer, _>("id"), people.column::<Text, _>("name"));
        shown.add(people.select((id, name)).filter(name.ne("Bob")).order(id).load::<(i32, String)>(conn));
        shown.add(people.select(id).filter(id.eq_any([1, 2])).into_boxed().order(id).limit(1).load::<i32>(conn));
        let mut some: DynamicSelectClause<'_, own::Backend, _> = DynamicSelectClause::new();
        some.add_field(id);
        some.add_field(people.column::<diesel::sql_types::Nullable<Double>, _>("height"));
        some.add_field(people.column::<Text, _>("name"));
        some.add_field(people.column::<diesel::sql_types::Nullable<Binary>, _>("photo"));
        some.add_field(people.column::<diesel::sql_types::Nullable<Text>, _>("born"));
        some.add_field(people.column::<diesel::sql_types::Bool, _>("active"));
        shown.add(people.select(some).order(id).load::<DynamicRow<NamedField<Option<Dynamic>>>>(conn));
    }

    fn rows_known_at_run_time(conn, shown) {
        conn.batch_execute("CREATE TABLE anything (a, b REAL, c DATETIME, d BOOLEAN);
            INSERT INTO anything VALUES (1, 1, '2020-01-01', 1), (1.0, 2.5, 7, 'x'), ('1', NULL, x'00', 2), (x'31', 'y', NULL, 0), (-3.0, 4.0, 5e15, 0.5)")
            .expect("creates");
        shown.add(diesel::sql_query("SELECT * FROM anything ORDER BY rowid").load::<DynamicRow<NamedField<Option<Dynamic>>>>(conn));
        shown.add(diesel::sql_query("SELECT rowid + 0.5, 'a', 1.0, x'ff', b FROM anything WHERE b IS NOT NULL").load::<DynamicRow<Dynamic>>(conn));
        shown.add(diesel::sql_query("UPDATE anything SET b = 7 WHERE a = 1 AND c > 8 RETURNING a, b, b + 0.5 AS c").load::<DynamicRow<Option<Dynamic>>>(conn));
        shown.add(diesel::sql_query("SELECT * FROM anything ORDER BY rowid").load::<DynamicRow<Option<Dynamic>>>(conn));
    }
}
