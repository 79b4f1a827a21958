//! SQLite's own tokenizer, asked through the messages of its parser.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::Error;

/// Nothing may stand behind it but a semicolon, so that the message names the token that does.
/// No blank at its end: a run of blanks may hold more than one alone.
const BEFORE: &str = "ROLLBACK TO SAVEPOINT [s]";

pub(crate) struct Sqlite(SqliteConnection);

/// What a text begins with, behind blanks and comments.
#[derive(Debug, PartialEq)]
pub(crate) enum Next {
    Token(String),
    /// What SQLite refuses, whatever stands around it.
    NoToken,
    /// A semicolon, or nothing.
    End,
}

impl Sqlite {
    pub(crate) fn open() -> Self {
        Sqlite(SqliteConnection::establish(":memory:").expect("opens"))
    }

    pub(crate) fn next(&mut self, text: &str) -> Next {
        let said = self.message(&format!("{BEFORE}{text}"));
        if said.starts_with("unrecognized token: ") {
            return Next::NoToken;
        }
        if said == "no such savepoint: s" {
            return Next::End;
        }
        let token = said
            .strip_prefix("near \"")
            .and_then(|rest| rest.strip_suffix("\": syntax error"));
        Next::Token(
            token
                .unwrap_or_else(|| panic!("{text:?}: {said}"))
                .to_owned(),
        )
    }

    /// Another number, or a dot. Where we see one number, it is no SQL all the same.
    pub(crate) fn no_sql_behind_a_number(&mut self, behind: &str) -> bool {
        let digit = |sign: char| sign == '.' || sign.is_ascii_digit();
        match self.next(behind) {
            Next::Token(token) => token.starts_with(digit),
            Next::NoToken => true,
            Next::End => false,
        }
    }

    /// Whether the token is a placeholder, which a view must not have.
    pub(crate) fn is_variable(&mut self, token: &str) -> bool {
        let said = self.message(&format!("CREATE TEMP VIEW v AS SELECT {token}"));
        if said.is_empty() {
            self.0.batch_execute("DROP VIEW v").expect("is there");
        }
        said == "parameters are not allowed in views" || said.starts_with("variable number must be")
    }

    /// Of what the text is refused for.
    pub(crate) fn message(&mut self, sql: &str) -> String {
        match self.0.batch_execute(sql) {
            Ok(()) => String::new(),
            Err(Error::DatabaseError(_, information)) => information.message().to_owned(),
            Err(error) => panic!("{sql:?}: {error:?}"),
        }
    }
}
