//! This crate's blocking connection, one for each thread.

use diesel::prelude::*;
use diesel_rqlite::RqliteConnection;

use super::diesel_operation::diesel_operation;
use super::{Client, in_threads, own_name, own_options};
use crate::schema::{BATCH, NewItem, new_items};
use crate::server::Server;
use crate::task::Task;

pub struct Blocking {
    url: String,
    coalescing: bool,
    conns: Vec<RqliteConnection>,
    items: Vec<NewItem>,
}

impl Blocking {
    pub fn new(server: &Server, coalescing: bool) -> Self {
        Blocking {
            url: server.url(own_options(coalescing)),
            coalescing,
            conns: Vec::new(),
            items: new_items(BATCH),
        }
    }
}

impl Client for Blocking {
    fn name(&self) -> String {
        own_name("blocking", self.coalescing)
    }

    fn run(&mut self, task: &Task) -> bool {
        let (url, items) = (&self.url, &self.items);
        let connect = || RqliteConnection::establish(url).expect("connects");
        in_threads(task, &mut self.conns, connect, |conn, operation| {
            diesel_operation!(conn, task.kind, operation, items);
        });
        true
    }
}
