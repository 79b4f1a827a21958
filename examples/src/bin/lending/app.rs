//! The library: the same on both databases.

use std::io::Write as _;

use chrono::{Days, NaiveDateTime, Utc};
use diesel::dsl::{count_star, now};
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};

use super::database::{self, Connection};
use super::models::{Book, Loan, Member, NewBook};
use super::schema::{books, loans, members};

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Books a member may have at one time.
const AT_ONCE: i64 = 2;
/// Days for which a book is lent.
const TERM: u64 = 28;

const HELP: &str = "\
buy TITLE AUTHOR      a new book
join NAME             a new member, or one who comes back
leave NAME            a member leaves, and keeps no books
lend TITLE NAME       [YYYY-MM-DD] lends a book, today or then
return TITLE          takes it back
overdue               who should bring something back
report                everything";

/// One command.
pub(crate) fn run(connection: &mut Connection, arguments: &[String]) -> Result<(), Failure> {
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let said = command(connection, &arguments)?;
    writeln!(std::io::stdout(), "{said}")?;
    Ok(())
}

/// Some commands, and what must come of them.
pub(crate) fn tour(connection: &mut Connection) -> Result<(), Failure> {
    for (line, wanted) in [
        ("buy Emma Austen", "Emma is here"),
        ("buy Emma Austen", "Emma was here already"),
        ("buy Ulysses Joyce", "Ulysses is here"),
        ("buy Momo Ende", "Momo is here"),
        ("join Ann", "Ann is a member"),
        ("join Bob", "Bob is a member"),
        ("lend Emma Ann 2020-02-01", "Ann has Emma"),
        ("lend Emma Bob", "Emma is lent already"),
        ("lend Ulysses Ann", "Ann has Ulysses"),
        ("lend Momo Ann", "Ann has 2 books already"),
        ("overdue", "Emma: Ann, since 2020-02-29"),
        ("return Emma", "Emma is back"),
        ("return Emma", "Emma was not lent"),
        ("lend Momo Ann", "Ann has Momo"),
        ("leave Ann", "Ann has left, with 2 books taken back"),
        ("lend Momo Ann", "Ann is no member"),
        ("lend Odyssey Bob", "there is no Odyssey"),
    ] {
        let words: Vec<_> = line.split(' ').collect();
        let said = command(connection, &words)?;
        writeln!(std::io::stdout(), "{line:<26} {said}")?;
        if said != wanted {
            return Err(format!("`{line}` should say: {wanted}").into());
        }
    }
    run(connection, &["report".to_owned()])
}

pub(crate) fn command(connection: &mut Connection, arguments: &[&str]) -> Result<String, Failure> {
    Ok(match arguments {
        ["buy", title, author] => buy(connection, title, author)?,
        ["join", name] => join(connection, name)?,
        ["leave", name] => leave(connection, name)?,
        ["lend", title, name] => lend(connection, title, name, None)?,
        ["lend", title, name, day] => {
            let at = format!("{day} 12:00:00");
            let at = NaiveDateTime::parse_from_str(&at, "%Y-%m-%d %H:%M:%S")?;
            lend(connection, title, name, Some(at))?
        }
        ["return", title] => take_back(connection, title)?,
        ["overdue"] => overdue(connection)?,
        ["report"] => report(connection)?,
        _ => HELP.to_owned(),
    })
}

fn buy(connection: &mut Connection, title: &str, author: &str) -> QueryResult<String> {
    let book = NewBook { title, author };
    let bought = diesel::insert_into(books::table)
        .values(&book)
        .on_conflict_do_nothing()
        .execute(connection)?;
    Ok(match bought {
        0 => format!("{title} was here already"),
        _ => format!("{title} is here"),
    })
}

fn join(connection: &mut Connection, name: &str) -> QueryResult<String> {
    let member: Member = diesel::insert_into(members::table)
        .values(members::name.eq(name))
        .on_conflict(members::name)
        .do_update()
        .set(members::active.eq(true))
        .returning(Member::as_returning())
        .get_result(connection)?;
    Ok(format!("{} is a member", member.name))
}

fn leave(connection: &mut Connection, name: &str) -> QueryResult<String> {
    database::transaction(connection, |connection| {
        let Some(member) = member(connection, name)? else {
            return Ok(format!("{name} is no member"));
        };
        let taken =
            diesel::update(Loan::belonging_to(&member).filter(loans::returned_at.is_null()))
                .set(loans::returned_at.eq(now.nullable()))
                .execute(connection)?;
        diesel::update(&member)
            .set(members::active.eq(false))
            .execute(connection)?;
        Ok(format!("{name} has left, with {taken} books taken back"))
    })
}

fn lend(
    connection: &mut Connection,
    title: &str,
    name: &str,
    at: Option<NaiveDateTime>,
) -> QueryResult<String> {
    let lent = database::transaction(connection, |connection| {
        let Some(book) = book(connection, title)? else {
            return Ok(format!("there is no {title}"));
        };
        let Some(member) = member(connection, name)? else {
            return Ok(format!("{name} is no member"));
        };
        let has: i64 = Loan::belonging_to(&member)
            .filter(loans::returned_at.is_null())
            .count()
            .get_result(connection)?;
        if has >= AT_ONCE {
            return Ok(format!("{name} has {has} books already"));
        }
        let loan = (loans::book_id.eq(book.id), loans::member_id.eq(member.id));
        let insert = diesel::insert_into(loans::table);
        match at {
            Some(at) => insert
                .values((loan, loans::lent_at.eq(at)))
                .execute(connection)?,
            // Not the DEFAULT of the column, which every node of a cluster would make for itself.
            None => insert
                .values((loan, loans::lent_at.eq(now)))
                .execute(connection)?,
        };
        Ok(format!("{name} has {title}"))
    });
    match lent {
        Err(Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => {
            Ok(format!("{title} is lent already"))
        }
        lent => lent,
    }
}

fn take_back(connection: &mut Connection, title: &str) -> QueryResult<String> {
    let of_title = books::table
        .filter(books::title.eq(title))
        .select(books::id);
    let open = loans::table
        .filter(loans::book_id.eq_any(of_title))
        .filter(loans::returned_at.is_null());
    let back = diesel::update(open)
        .set(loans::returned_at.eq(now.nullable()))
        .execute(connection)?;
    Ok(match back {
        0 => format!("{title} was not lent"),
        _ => format!("{title} is back"),
    })
}

fn overdue(connection: &mut Connection) -> QueryResult<String> {
    let latest = Utc::now().naive_utc() - Days::new(TERM);
    let open: Vec<(Loan, Book, Member)> = loans::table
        .inner_join(books::table)
        .inner_join(members::table)
        .filter(loans::returned_at.is_null())
        .filter(loans::lent_at.lt(latest))
        .order((loans::lent_at, loans::id))
        .select((Loan::as_select(), Book::as_select(), Member::as_select()))
        .load(connection)?;
    let lines = open.iter().map(|(loan, book, member)| {
        let due = loan.lent_at.date() + Days::new(TERM);
        format!("{}: {}, since {due}", book.title, member.name)
    });
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

fn report(connection: &mut Connection) -> QueryResult<String> {
    let times: Vec<(i32, i64)> = loans::table
        .group_by(loans::book_id)
        .select((loans::book_id, count_star()))
        .load(connection)?;
    let all: Vec<Book> = books::table
        .order(books::title)
        .select(Book::as_select())
        .load(connection)?;
    let mut lines = Vec::new();
    for book in &all {
        let lent = times.iter().find(|(id, _)| *id == book.id);
        let lent = lent.map_or(0, |(_, times)| *times);
        lines.push(format!(
            "{} by {}: lent {lent} times",
            book.title, book.author
        ));
    }
    let people: Vec<Member> = members::table
        .order(members::name)
        .select(Member::as_select())
        .load(connection)?;
    let lent = Loan::belonging_to(&people)
        .select(Loan::as_select())
        .load(connection)?
        .grouped_by(&people);
    for (member, loans) in people.iter().zip(lent) {
        let open = loans.iter().filter(|loan| loan.returned_at.is_none());
        let open = open.filter_map(|loan| all.iter().find(|book| book.id == loan.book_id));
        let open: Vec<_> = open.map(|book| book.title.as_str()).collect();
        let state = if member.active { "member" } else { "left" };
        lines.push(format!("{} ({state}): {}", member.name, open.join(", ")));
    }
    Ok(lines.join("\n"))
}

fn book(connection: &mut Connection, title: &str) -> QueryResult<Option<Book>> {
    books::table
        .filter(books::title.eq(title))
        .select(Book::as_select())
        .first(connection)
        .optional()
}

fn member(connection: &mut Connection, name: &str) -> QueryResult<Option<Member>> {
    members::table
        .filter(members::name.eq(name))
        .filter(members::active)
        .select(Member::as_select())
        .first(connection)
        .optional()
}
