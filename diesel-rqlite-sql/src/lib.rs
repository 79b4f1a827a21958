//! The SQL parser of diesel-rqlite. It turns a text into one value, [`Parsed`], which everything else uses.
//!
//! The parser decides whether replicas stay equal, and whether a user gets the right rows. These decisions are made
//! in one place, by tokens, never by substring. Nothing here does I/O except [`Statements`], which splits the text of
//! a reader.
//!
//! This crate is a part of [diesel-rqlite](https://docs.rs/diesel-rqlite) and of its command line tool, and changes
//! with them. It makes no promise to other users.
//!
//! The crate has a parser of its own because the published parsers of SQLite's dialect build C programs on the user's
//! machine or follow a dialect of their own. Also, SQL that SQLite understands and those parsers do not must still be
//! sent.

#![warn(missing_docs)]

mod answer;
mod columns;
mod control;
mod default;
mod error;
mod functions;
mod hazard;
mod item;
mod key;
mod keyword;
mod parse;
mod parsed;
mod pin;
mod purpose;
mod refuse;
mod rewrite;
mod scan;
mod shown;
mod stream;
mod token;
mod volatile;

pub use self::columns::{ColumnChange, ColumnDefault};
pub use self::control::Control;
pub use self::error::{Position, SqlError};
pub use self::functions::{Classes, Function, function_named, functions};
pub use self::hazard::ReplicaHazard;
pub use self::item::Item;
pub use self::key::ByKey;
pub use self::keyword::Keyword;
pub use self::parse::{fragment, parse};
pub use self::parsed::{
    Created, Decisive, DroppedTable, Form, InsertRows, Parsed, unescaped, unquoted,
};
pub use self::pin::{Entropy, pins, timestamp};
pub use self::purpose::Purpose;
pub use self::refuse::{Pragma, Setting, check_temporary};
pub use self::rewrite::Pin;
pub use self::scan::Scan;
pub use self::shown::Literals;
pub use self::stream::{Split, Splitter, Statements, StreamError, TextError};
#[cfg(feature = "counted")]
pub use self::token::count;
pub use self::token::{Token, TokenKind, tokens};
pub use self::volatile::{Comma, Found, OF_ZONE, Volatile, find, is_of_zone, is_subsecond};
