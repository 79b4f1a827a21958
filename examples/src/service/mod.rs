//! Accounts and transfers between them as a REST service: all of it but the framework.
//!
//! | request | answers |
//! |---|---|
//! | `POST /accounts` | 201; 409 where the owner has one; 422 |
//! | `GET /accounts` | 200 |
//! | `GET /accounts/1` | 200; 404 |
//! | `POST /transfers` | 201; 404; 409 where others were faster again and again, or the id is that of another; 422 |
//! | `GET /health` | 200 where the database answers in time; 503 |
//! | `GET /metrics` | 200, for Prometheus |
//!
//! To all but the last: 503 where nothing was done and may be later; 504 where nobody knows. The body of an error says
//! `"applied": "no"` or `"applied": "unknown"`.

pub mod bank;
mod database;
mod error;
mod load;
mod options;
mod schema;
mod seen;

pub use self::database::{
    Connection, Connections, POOL_SIZE, config, connection, health, migrate, pool,
};
pub use self::error::{Answer, Problem, ServiceError};
pub use self::load::Load;
pub use self::options::Options;
pub use self::seen::{Numbers, watch};
