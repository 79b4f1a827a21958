//! By a blocking connection.

use diesel::dsl::{count_star, max, min, sum};
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};
use diesel::sql_types::{Integer, Text};
use diesel_rqlite::{RqliteConfig, RqliteConnection};

use super::basic_people::dsl::*;
use super::{Failure, MATHEMATICIANS, NewPerson, Person};

pub(crate) fn run(config: &RqliteConfig) -> Result<(), Failure> {
    // The same as `RqliteConnection::establish(url)`.
    let mut conn = config.connect()?;
    insert_by_position(&mut conn)?;
    insert_by_name(&mut conn)?;
    insert_a_batch(&mut conn)?;
    query(&mut conn)?;
    update_and_delete(&mut conn)?;
    aggregate(&mut conn)?;
    page(&mut conn)?;
    transact(&mut conn)?;
    Ok(())
}

fn insert_by_position(conn: &mut RqliteConnection) -> QueryResult<()> {
    // The first value is for the first `?`. Values are never part of the text.
    let inserted =
        diesel::sql_query("INSERT INTO basic_people (name, city, born) VALUES (?, ?, ?)")
            .bind::<Text, _>("Ada")
            .bind::<Text, _>("London")
            .bind::<Integer, _>(1815)
            .execute(conn)?;
    assert_eq!(inserted, 1);
    println!("  inserted a row by positions");
    Ok(())
}

fn insert_by_name(conn: &mut RqliteConnection) -> QueryResult<()> {
    // There are no `:name` placeholders in Diesel: the names are those of columns, or of a struct's fields,
    // and the compiler knows them.
    let given: i32 = diesel::insert_into(basic_people)
        .values((name.eq("Grace"), city.eq("New York"), born.eq(1906)))
        .returning(id)
        .get_result(conn)?;
    let inserted = diesel::insert_into(basic_people)
        .values(NewPerson {
            name: "Edsger",
            city: "Rotterdam",
            born: Some(1930),
        })
        .execute(conn)?;
    assert_eq!((given, inserted), (2, 1));
    println!("  inserted two by names, the first got id {given}");
    Ok(())
}

fn insert_a_batch(conn: &mut RqliteConnection) -> QueryResult<()> {
    let requests = conn.http_requests();
    let inserted = diesel::insert_into(basic_people)
        .values(&MATHEMATICIANS)
        .execute(conn)?;
    let requests = conn.http_requests() - requests;
    assert_eq!((inserted, requests), (4, 1));
    println!("  inserted {inserted} with one request");

    // All of it or nothing: the second one is there already, so the first one is not inserted either.
    let both = [
        (name.eq("Alan"), city.eq("London")),
        (name.eq("Ada"), city.eq("Paris")),
    ];
    let outcome = diesel::insert_into(basic_people)
        .values(&both)
        .execute(conn);
    let Err(Error::DatabaseError(DatabaseErrorKind::UniqueViolation, reason)) = outcome else {
        panic!("a name was accepted twice: {outcome:?}");
    };
    assert_eq!(reason.column_name(), Some("name"));
    assert_eq!(basic_people.count().get_result::<i64>(conn)?, 7);
    println!(
        "  a batch with one bad row inserted none: {}",
        reason.message()
    );
    Ok(())
}

fn query(conn: &mut RqliteConnection) -> QueryResult<()> {
    let moderns = basic_people
        .filter(born.ge(1900))
        .order(born)
        .select(Person::as_select())
        .load(conn)?;
    let names: Vec<_> = moderns.iter().map(|person| &person.name).collect();
    assert_eq!(names, ["Grace", "Edsger"]);

    let hypatia = basic_people
        .filter(name.eq("Hypatia"))
        .select(Person::as_select())
        .first(conn)?;
    assert_eq!(hypatia.born, None);

    let nobody: Option<i32> = basic_people
        .filter(name.eq("Nobody"))
        .select(id)
        .first(conn)
        .optional()?;
    assert_eq!(nobody, None);

    let in_sql: Vec<Person> =
        diesel::sql_query("SELECT name, born FROM basic_people WHERE city = ?")
            .bind::<Text, _>("London")
            .load(conn)?;
    let ada = Person {
        name: "Ada".to_owned(),
        born: Some(1815),
    };
    assert_eq!(in_sql, [ada]);
    println!(
        "  queried: {} and {} were born after 1900",
        names[0], names[1]
    );
    Ok(())
}

fn update_and_delete(conn: &mut RqliteConnection) -> QueryResult<()> {
    let updated = diesel::update(basic_people.filter(name.eq("Emmy")))
        .set(city.eq("Göttingen"))
        .execute(conn)?;
    let deleted = diesel::delete(basic_people.filter(born.is_null())).execute(conn)?;
    let emmys: String = basic_people
        .filter(name.eq("Emmy"))
        .select(city)
        .first(conn)?;
    assert_eq!((updated, deleted, emmys.as_str()), (1, 1, "Göttingen"));
    println!("  updated {updated} row and deleted {deleted}");
    Ok(())
}

fn aggregate(conn: &mut RqliteConnection) -> QueryResult<()> {
    let (count, first, last, total): (i64, Option<i32>, Option<i32>, Option<i64>) = basic_people
        .select((count_star(), min(born), max(born), sum(born)))
        .first(conn)?;
    assert_eq!((count, first, last), (6, Some(1777), Some(1930)));
    assert_eq!(total, Some(1815 + 1906 + 1930 + 1882 + 1850 + 1777));

    let in_cities: Vec<(String, i64)> = basic_people
        .group_by(city)
        .having(count_star().gt(0))
        .select((city, count_star()))
        .order(city)
        .limit(2)
        .load(conn)?;
    assert_eq!(
        in_cities,
        [("Brunswick".to_owned(), 1), ("Göttingen".to_owned(), 1)]
    );
    println!("  aggregated: {count} people, in cities {in_cities:?} and more");
    Ok(())
}

fn page(conn: &mut RqliteConnection) -> QueryResult<()> {
    let second: Vec<String> = basic_people
        .select(name)
        .order(name)
        .limit(2)
        .offset(2)
        .load(conn)?;
    assert_eq!(second, ["Edsger", "Emmy"]);

    // By the last row that was seen: as fast on the last page as on the first, and rows that come or go
    // in between shift nothing.
    let mut pages = Vec::new();
    let mut seen = String::new();
    loop {
        let page: Vec<String> = basic_people
            .select(name)
            .filter(name.gt(&seen))
            .order(name)
            .limit(4)
            .load(conn)?;
        let Some(last) = page.last() else { break };
        seen.clone_from(last);
        pages.push(page.len());
    }
    assert_eq!(pages, [4, 2]);
    println!("  paged: {pages:?} rows");
    Ok(())
}

fn transact(conn: &mut RqliteConnection) -> QueryResult<()> {
    let outcome = conn.transaction(|conn| {
        diesel::delete(basic_people).execute(conn)?;
        // Its own writes are seen inside, and by nobody else.
        assert_eq!(basic_people.count().get_result::<i64>(conn)?, 0);
        Err::<(), _>(Error::RollbackTransaction)
    });
    assert_eq!(outcome, Err(Error::RollbackTransaction));
    assert_eq!(basic_people.count().get_result::<i64>(conn)?, 6);
    println!("  rolled back: all are still there");
    Ok(())
}
