//! By a blocking connection.

use diesel::dsl::sum;
use diesel::prelude::*;
use diesel::result::Error;
use diesel::upsert::excluded;
use diesel_rqlite::{RqliteConfig, RqliteConnection};

use super::{
    AUTHORS, Author, Book, Failure, NewAuthor, NewBook, books, orm_authors, orm_books, titles,
};

pub(crate) fn run(config: &RqliteConfig) -> Result<(), Failure> {
    let mut conn = config.connect()?;
    let authors = insert(&mut conn)?;
    associate(&mut conn, &authors)?;
    join(&mut conn)?;
    save_changes(&mut conn, &authors[1])?;
    upsert(&mut conn, &authors)?;
    nest_transactions(&mut conn)?;
    delete_with_children(&mut conn, &authors[1])?;
    Ok(())
}

/// RETURNING brings the rows back with the ids they were given, in the same request.
fn insert(conn: &mut RqliteConnection) -> QueryResult<Vec<Author>> {
    let mut authors = diesel::insert_into(orm_authors::table)
        .values(&AUTHORS)
        .returning(Author::as_returning())
        .get_results(conn)?;
    // RETURNING promises no order.
    authors.sort_by_key(|author| author.id);
    let inserted = diesel::insert_into(orm_books::table)
        .values(&books(&authors))
        .execute(conn)?;
    assert_eq!(
        (authors[0].name.as_str(), authors[1].id, inserted),
        ("Mary Shelley", 2, 3)
    );
    println!("  inserted {} authors and {inserted} books", authors.len());
    Ok(authors)
}

/// Two queries for any number of parents: never one for each.
fn associate(conn: &mut RqliteConnection, authors: &[Author]) -> QueryResult<()> {
    let books = Book::belonging_to(authors)
        .order(orm_books::id)
        .select(Book::as_select())
        .load(conn)?
        .grouped_by(authors);
    assert_eq!(
        titles(&books),
        [vec!["Frankenstein"], vec!["Solaris", "The Cyberiad"]]
    );
    println!("  each author's books: {:?}", titles(&books));
    Ok(())
}

fn join(conn: &mut RqliteConnection) -> QueryResult<()> {
    let pairs: Vec<(Author, Book)> = orm_authors::table
        .inner_join(orm_books::table)
        .filter(orm_books::copies.ge(3))
        .order(orm_books::title)
        .select((Author::as_select(), Book::as_select()))
        .load(conn)?;
    let found: Vec<_> = pairs
        .iter()
        .map(|(author, book)| (author.name.as_str(), book.title.as_str(), book.copies))
        .collect();
    assert_eq!(
        found,
        [
            ("Mary Shelley", "Frankenstein", 3),
            ("Stanisław Lem", "Solaris", 5)
        ]
    );
    println!("  joined: {found:?}");
    Ok(())
}

/// Writes all fields, and reads the row back; both are one request.
fn save_changes(conn: &mut RqliteConnection, lem: &Author) -> QueryResult<()> {
    let requests = conn.http_requests();
    let changed = Author {
        email: Some("lem@example.org".to_owned()),
        ..lem.clone()
    };
    let saved: Author = changed.save_changes(conn)?;
    assert_eq!((&saved, conn.http_requests() - requests), (&changed, 1));

    let gone = Author { id: 99, ..changed };
    let outcome = gone.save_changes::<Author>(conn);
    assert_eq!(outcome, Err(Error::NotFound));
    println!("  saved changes of {}", saved.name);
    Ok(())
}

/// Inserts what is new, and changes what is there, by one statement: nobody can come in between.
fn upsert(conn: &mut RqliteConnection, authors: &[Author]) -> QueryResult<()> {
    let bought = |title| NewBook {
        author_id: authors[1].id,
        title,
        copies: 10,
    };
    diesel::insert_into(orm_books::table)
        .values(&[bought("Solaris"), bought("Fiasco")])
        .on_conflict((orm_books::author_id, orm_books::title))
        .do_update()
        .set(orm_books::copies.eq(orm_books::copies + excluded(orm_books::copies)))
        .execute(conn)?;
    let solaris: i32 = orm_books::table
        .filter(orm_books::title.eq("Solaris"))
        .select(orm_books::copies)
        .first(conn)?;
    let all: Option<i64> = orm_books::table
        .select(sum(orm_books::copies))
        .first(conn)?;
    assert_eq!((solaris, all), (15, Some(3 + 15 + 2 + 10)));

    let ignored = diesel::insert_into(orm_authors::table)
        .values(&AUTHORS)
        .on_conflict_do_nothing()
        .execute(conn)?;
    assert_eq!(ignored, 0);
    println!("  upserted: {solaris} copies of Solaris");
    Ok(())
}

/// The inner one is undone alone; the outer one is applied as a whole, by one request.
fn nest_transactions(conn: &mut RqliteConnection) -> QueryResult<()> {
    let kept = conn.transaction(|conn| {
        let author = NewAuthor {
            name: "Ursula K. Le Guin",
            email: None,
        };
        let author = diesel::insert_into(orm_authors::table)
            .values(&author)
            .returning(Author::as_returning())
            .get_result(conn)?;
        let inner = conn.transaction(|conn| {
            diesel::delete(orm_books::table).execute(conn)?;
            Err::<(), _>(Error::RollbackTransaction)
        });
        assert_eq!(inner, Err(Error::RollbackTransaction));
        let book = NewBook {
            author_id: author.id,
            title: "The Dispossessed",
            copies: 1,
        };
        diesel::insert_into(orm_books::table)
            .values(&book)
            .execute(conn)?;
        orm_books::table.count().get_result::<i64>(conn)
    })?;
    let found: i64 = orm_books::table.count().get_result(conn)?;
    assert_eq!((kept, found), (5, 5));
    println!("  nested transactions: {found} books are kept");
    Ok(())
}

fn delete_with_children(conn: &mut RqliteConnection, author: &Author) -> QueryResult<()> {
    let (books, authors) = conn.transaction(|conn| {
        let books = diesel::delete(Book::belonging_to(author)).execute(conn)?;
        let authors = diesel::delete(author).execute(conn)?;
        QueryResult::Ok((books, authors))
    })?;
    assert_eq!((books, authors), (3, 1));
    println!("  deleted an author with {books} books");
    Ok(())
}
