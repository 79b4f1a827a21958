//! `test_transaction` of both connections: the error of a write is that of its statement.

use diesel::Connection;
use diesel::result::Error;
use diesel_async::AsyncConnection;
use diesel_rqlite::{AsyncRqliteConnection, RqliteConnection};
use diesel_rqlite_tests::Rqlited;

use crate::asynchronous::block_on;
use crate::support::assert_kind;

const INSERT: &str = "INSERT INTO t VALUES (1)";

fn node() -> Rqlited {
    let node = Rqlited::start();
    let mut connection = RqliteConnection::establish(&node.url()).expect("connects");
    let create = diesel::sql_query("CREATE TABLE t (id INTEGER PRIMARY KEY)");
    diesel::RunQueryDsl::execute(create, &mut connection).expect("creates");
    node
}

#[test]
fn errors_are_those_of_their_statements() {
    let node = node();
    let mut connection = RqliteConnection::establish(&node.url()).expect("connects");
    let insert = |connection: &mut RqliteConnection| {
        diesel::RunQueryDsl::execute(diesel::sql_query(INSERT), connection)
    };
    for _ in 0..2 {
        let doubled = connection.test_transaction(|connection| {
            insert(connection)?;
            // One inside of another is as that one is.
            let doubled =
                connection.test_transaction(|connection| Ok::<_, Error>(insert(connection)));
            Ok::<_, Error>(doubled)
        });
        assert_kind!(doubled, UniqueViolation);
    }
    // What follows is as the configuration says.
    let later = connection.transaction(|connection| {
        insert(connection)?;
        let doubled = insert(connection);
        Ok::<_, Error>(doubled)
    });
    assert_kind!(later, UniqueViolation);
}

#[test]
fn errors_are_those_of_their_statements_asynchronously() {
    let node = node();
    let doubled = block_on(async {
        let mut connection = AsyncRqliteConnection::establish(&node.url()).await?;
        let doubled = connection
            .test_transaction(async |connection: &mut AsyncRqliteConnection| {
                diesel_async::RunQueryDsl::execute(diesel::sql_query(INSERT), connection).await?;
                Ok::<_, Error>(
                    diesel_async::RunQueryDsl::execute(diesel::sql_query(INSERT), connection).await,
                )
            })
            .await;
        Ok::<_, diesel::ConnectionError>(doubled)
    });
    assert_kind!(doubled.expect("connects"), UniqueViolation);
}
