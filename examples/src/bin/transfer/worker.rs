//! One worker: a transfer after the other, each until it is done.

use std::cell::Cell;
use std::thread;
use std::time::Duration;

use diesel::result::{DatabaseErrorKind as Kind, Error};
use diesel_rqlite::{RqliteConfig, RqliteConnection};
use diesel_rqlite_examples::{Failure, Server};
use nix::sys::signal::{Signal, raise};

use crate::bank::{self, Done};
use crate::event::Event;
use crate::options::{Options, Trouble};

/// Set for who takes the place of a worker that died: it has no trouble.
pub(crate) const IN_PLACE: &str = "TRANSFER_IN_PLACE";

/// No transfer needs that many.
const ATTEMPTS: u32 = 500;

pub(crate) fn run(options: &Options, worker: u32) -> Result<(), Failure> {
    let config: RqliteConfig = Server::rqlite()?.url().parse()?;
    let lock_server = options.lock.server()?;
    let config = options
        .lock
        .configure(config, lock_server.as_ref(), options.lease)?;
    let mut conn = config.connect()?;
    let is_first = std::env::var_os(IN_PLACE).is_none();
    let trouble = Cell::new(options.trouble(worker).filter(|_| is_first));
    for transfer in 0..options.transfers {
        let id = i64::from(worker * options.transfers + transfer);
        match options.unguarded {
            true => do_unguarded(&mut conn, id)?,
            false => do_until_done(&mut conn, id, &trouble)?,
        }
    }
    Ok(())
}

fn do_unguarded(conn: &mut RqliteConnection, id: i64) -> Result<(), Failure> {
    say(Event::Attempt);
    bank::transfer_unguarded(conn, id)?;
    say(Event::Committed);
    Ok(())
}

/// `build_transaction().retries(n)` does that for conflicts; here each is told, and lost answers are survived, too.
fn do_until_done(
    conn: &mut RqliteConnection,
    id: i64,
    trouble: &Cell<Option<Trouble>>,
) -> Result<(), Failure> {
    for _ in 0..ATTEMPTS {
        say(Event::Attempt);
        let event = match bank::transfer(conn, id, || get_into(trouble.take())) {
            Ok(Done::Now) => Event::Committed,
            Ok(Done::Before) => Event::Found,
            Err(error) => what_failed(error)?,
        };
        say(event);
        let longest = match event {
            Event::Committed | Event::Found => return Ok(()),
            Event::NotSent => 200,
            _ => 20,
        };
        // Of random length, so that those who met do not meet again.
        thread::sleep(Duration::from_millis(fastrand::u64(1..=longest)));
    }
    Err(format!("transfer {id} was not done after {ATTEMPTS} attempts").into())
}

/// All of these may be tried again; others are mistakes of ours.
fn what_failed(error: Error) -> Result<Event, Error> {
    match error {
        Error::DatabaseError(Kind::SerializationFailure, reason) => {
            match reason.message().starts_with("lock ") {
                true => Ok(Event::LockLost),
                false => Ok(Event::Conflict),
            }
        }
        // It may have been applied, or still be. The transfer's number in the log will tell. A transaction without
        // such a number is settled by `build_transaction().exactly_once()`.
        Error::DatabaseError(Kind::ClosedConnection, _) => Ok(Event::Unknown),
        Error::DatabaseError(Kind::UnableToSendCommand, _) => Ok(Event::NotSent),
        other => Err(other),
    }
}

fn get_into(trouble: Option<Trouble>) {
    let signal = match trouble {
        None => return,
        Some(Trouble::Dies) => Signal::SIGKILL,
        Some(Trouble::Stops) => {
            say(Event::Stopped);
            Signal::SIGSTOP
        }
    };
    raise(signal).expect("these two can't be refused");
}

fn say(event: Event) {
    println!("{event:?}");
}
