//! By an asynchronous connection: what `blocking` does, with `.await`.

// Not `diesel::prelude::*`: its `RunQueryDsl` and `SaveChangesDsl` are those of blocking connections.
use diesel::dsl::sum;
use diesel::result::Error;
use diesel::upsert::excluded;
use diesel::{
    BelongingToDsl, ExpressionMethods, GroupedBy, QueryDsl, QueryResult, SelectableHelper,
};
use diesel_async::{AsyncConnection, RunQueryDsl, SaveChangesDsl};
use diesel_rqlite::{AsyncRqliteConnection, RqliteConfig};

use super::{
    AUTHORS, Author, Book, Failure, NewAuthor, NewBook, books, orm_authors, orm_books, titles,
};

#[tokio::main]
pub(crate) async fn run(config: &RqliteConfig) -> Result<(), Failure> {
    let mut conn = config.connect_async().await?;
    let authors = insert(&mut conn).await?;
    associate(&mut conn, &authors).await?;
    join(&mut conn).await?;
    save_changes(&mut conn, &authors[1]).await?;
    upsert(&mut conn, &authors).await?;
    nest_transactions(&mut conn).await?;
    delete_with_children(&mut conn, &authors[1]).await?;
    Ok(())
}

/// RETURNING brings the rows back with the ids they were given, in the same request.
async fn insert(conn: &mut AsyncRqliteConnection) -> QueryResult<Vec<Author>> {
    let mut authors = diesel::insert_into(orm_authors::table)
        .values(&AUTHORS)
        .returning(Author::as_returning())
        .get_results(conn)
        .await?;
    // RETURNING promises no order.
    authors.sort_by_key(|author| author.id);
    let inserted = diesel::insert_into(orm_books::table)
        .values(&books(&authors))
        .execute(conn)
        .await?;
    assert_eq!(
        (authors[0].name.as_str(), authors[1].id, inserted),
        ("Mary Shelley", 2, 3)
    );
    println!("  inserted {} authors and {inserted} books", authors.len());
    Ok(authors)
}

/// Two queries for any number of parents: never one for each.
async fn associate(conn: &mut AsyncRqliteConnection, authors: &[Author]) -> QueryResult<()> {
    let books = Book::belonging_to(authors)
        .order(orm_books::id)
        .select(Book::as_select())
        .load(conn)
        .await?
        .grouped_by(authors);
    assert_eq!(
        titles(&books),
        [vec!["Frankenstein"], vec!["Solaris", "The Cyberiad"]]
    );
    println!("  each author's books: {:?}", titles(&books));
    Ok(())
}

async fn join(conn: &mut AsyncRqliteConnection) -> QueryResult<()> {
    let pairs: Vec<(Author, Book)> = orm_authors::table
        .inner_join(orm_books::table)
        .filter(orm_books::copies.ge(3))
        .order(orm_books::title)
        .select((Author::as_select(), Book::as_select()))
        .load(conn)
        .await?;
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
async fn save_changes(conn: &mut AsyncRqliteConnection, lem: &Author) -> QueryResult<()> {
    let requests = conn.http_requests();
    let changed = Author {
        email: Some("lem@example.org".to_owned()),
        ..lem.clone()
    };
    let saved: Author = changed.save_changes(conn).await?;
    assert_eq!((&saved, conn.http_requests() - requests), (&changed, 1));

    let gone = Author { id: 99, ..changed };
    let outcome = gone.save_changes::<Author>(conn).await;
    assert_eq!(outcome, Err(Error::NotFound));
    println!("  saved changes of {}", saved.name);
    Ok(())
}

/// Inserts what is new, and changes what is there, by one statement: nobody can come in between.
async fn upsert(conn: &mut AsyncRqliteConnection, authors: &[Author]) -> QueryResult<()> {
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
        .execute(conn)
        .await?;
    let solaris: i32 = orm_books::table
        .filter(orm_books::title.eq("Solaris"))
        .select(orm_books::copies)
        .first(conn)
        .await?;
    let all: Option<i64> = orm_books::table
        .select(sum(orm_books::copies))
        .first(conn)
        .await?;
    assert_eq!((solaris, all), (15, Some(3 + 15 + 2 + 10)));

    let ignored = diesel::insert_into(orm_authors::table)
        .values(&AUTHORS)
        .on_conflict_do_nothing()
        .execute(conn)
        .await?;
    assert_eq!(ignored, 0);
    println!("  upserted: {solaris} copies of Solaris");
    Ok(())
}

/// The inner one is undone alone; the outer one is applied as a whole, by one request.
async fn nest_transactions(conn: &mut AsyncRqliteConnection) -> QueryResult<()> {
    let kept = conn
        .transaction(async |conn| {
            let author = NewAuthor {
                name: "Ursula K. Le Guin",
                email: None,
            };
            let author = diesel::insert_into(orm_authors::table)
                .values(&author)
                .returning(Author::as_returning())
                .get_result(conn)
                .await?;
            let inner = conn
                .transaction(async |conn| {
                    diesel::delete(orm_books::table).execute(conn).await?;
                    Err::<(), _>(Error::RollbackTransaction)
                })
                .await;
            assert_eq!(inner, Err(Error::RollbackTransaction));
            let book = NewBook {
                author_id: author.id,
                title: "The Dispossessed",
                copies: 1,
            };
            diesel::insert_into(orm_books::table)
                .values(&book)
                .execute(conn)
                .await?;
            orm_books::table.count().get_result::<i64>(conn).await
        })
        .await?;
    let found: i64 = orm_books::table.count().get_result(conn).await?;
    assert_eq!((kept, found), (5, 5));
    println!("  nested transactions: {found} books are kept");
    Ok(())
}

async fn delete_with_children(
    conn: &mut AsyncRqliteConnection,
    author: &Author,
) -> QueryResult<()> {
    let (books, authors) = conn
        .transaction(async |conn| {
            let books = diesel::delete(Book::belonging_to(author))
                .execute(conn)
                .await?;
            let authors = diesel::delete(author).execute(conn).await?;
            QueryResult::Ok((books, authors))
        })
        .await?;
    assert_eq!((books, authors), (3, 1));
    println!("  deleted an author with {books} books");
    Ok(())
}
