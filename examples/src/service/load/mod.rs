//! Many clients at once, and whether everything they were told is so.
#![allow(clippy::print_stdout)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use diesel_async::RunQueryDsl;
use diesel_rqlite::RqliteConfig;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use self::client::Client;
use self::process::Service;
use self::schema::Schema;
use super::bank::{self, Account, Transfer};
use super::schema::bank_transfers;
use crate::Failure;

mod client;
mod process;
mod schema;

const ACCOUNTS: i32 = 256;
const CENTS: i64 = 100_000;

/// How often a client sends a transfer that was answered by "try again".
const TRIES: u32 = 20;

/// How long a client waits that soon loses patience, in milliseconds: sometimes until its transfer is made.
const PATIENCE: std::ops::Range<u64> = 0..50;

/// How much.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Those that send at the same time.
    pub clients: u32,
    /// Of all clients together: half of them transfers, half of them looks at an account.
    pub requests: u32,
}

impl Default for Load {
    fn default() -> Self {
        Load {
            clients: 32,
            requests: 4000,
        }
    }
}

impl Load {
    /// Puts it on this very program, in a process of its own that is asked to end under it, and compares what clients
    /// were told with what is in the database at `url`.
    ///
    /// # Errors
    ///
    /// When the database has data of the service already; when the service fails.
    ///
    /// # Panics
    ///
    /// When a write was lost, or done twice.
    pub fn run(self, url: &str) -> Result<(), Failure> {
        let config = super::config(url)?;
        let _schema = Schema::create(&config)?;
        self.put_on(&config, url)
    }

    #[tokio::main]
    async fn put_on(&self, config: &RqliteConfig, url: &str) -> Result<(), Failure> {
        let service = Service::start(url).await?;
        let client = Client::new(service.address());
        open_accounts(&client).await?;
        let began = Instant::now();
        let mut told = work(&client, self).await?;
        let took = began.elapsed();
        report(self, &told, took, &client.page("/metrics").await?);
        told.merge(work_until_shutdown(&client, self, service).await?);
        check(config, &told).await
    }
}

/// What clients were told.
#[derive(Debug, Default)]
struct Told {
    /// How long each request took, by what it was.
    times: BTreeMap<&'static str, Vec<Duration>>,
    /// How often each status came.
    statuses: BTreeMap<u16, u32>,
    /// How often a client did not wait for the answer.
    gone_away: u32,
    /// How often none came.
    unanswered: u32,
    sent: Vec<Transfer>,
    /// The ids of those that were acknowledged.
    made: BTreeSet<String>,
}

impl Told {
    fn note(&mut self, request: &'static str, began: Instant, status: u16) {
        self.times.entry(request).or_default().push(began.elapsed());
        *self.statuses.entry(status).or_default() += 1;
    }

    fn merge(&mut self, other: Told) {
        for (request, times) in other.times {
            self.times.entry(request).or_default().extend(times);
        }
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        self.gone_away += other.gone_away;
        self.unanswered += other.unanswered;
        self.sent.extend(other.sent);
        self.made.extend(other.made);
    }
}

/// Each owner opens an account twice, at the same time: one of both must be told that there is one.
async fn open_accounts(client: &Client) -> Result<(), Failure> {
    let mut requests = JoinSet::new();
    for owner in (0..ACCOUNTS).chain(0..ACCOUNTS) {
        let client = client.clone();
        let body = json!({ "owner": format!("owner {owner}"), "cents": CENTS });
        requests.spawn(async move { client.post("/accounts", body).await });
    }
    let mut statuses = BTreeMap::new();
    while let Some(status) = requests.join_next().await {
        *statuses.entry(status??).or_default() += 1;
    }
    assert_eq!(statuses, BTreeMap::from([(201, ACCOUNTS), (409, ACCOUNTS)]));
    assert_eq!(client.get("/accounts/0").await?, 404);
    Ok(())
}

async fn work(client: &Client, load: &Load) -> Result<Told, Failure> {
    let mut clients = JoinSet::new();
    let rounds = load.requests / load.clients / 2;
    for number in 0..load.clients {
        clients.spawn(work_as(client.clone(), number, rounds));
    }
    let mut told = Told::default();
    while let Some(outcome) = clients.join_next().await {
        told.merge(outcome??);
    }
    Ok(told)
}

async fn work_as(client: Client, number: u32, rounds: u32) -> Result<Told, Failure> {
    let mut told = Told::default();
    for round in 0..rounds {
        let account = format!("/accounts/{}", fastrand::i32(1..=ACCOUNTS));
        ask(&client, &account, None, &mut told).await?;

        let transfer = any_transfer(format!("{number}-{round}"));
        match round % 10 {
            3 => send_twice(&client, &transfer, &mut told).await?,
            7 => send_impatiently(&client, &transfer, &mut told).await?,
            _ => send(&client, &transfer, &mut told).await?,
        }
        told.sent.push(transfer);
    }
    Ok(told)
}

fn any_transfer(id: String) -> Transfer {
    let source = fastrand::i32(1..=ACCOUNTS);
    let target = (source + fastrand::i32(0..ACCOUNTS - 1)) % ACCOUNTS + 1;
    Transfer {
        id,
        source,
        target,
        cents: fastrand::i64(1..=100),
    }
}

async fn send(client: &Client, transfer: &Transfer, told: &mut Told) -> Result<(), Failure> {
    ask(client, "/transfers", Some(json!(transfer)), told).await?;
    told.made.insert(transfer.id.clone());
    Ok(())
}

/// Until it is done: what says "try again" may be sent again, and by the same id so may what says "not known", and what was
/// not answered, since a service closes what it takes for idle at the moment when a request comes.
async fn ask(
    client: &Client,
    path: &str,
    body: Option<Value>,
    told: &mut Told,
) -> Result<(), Failure> {
    let request = match body {
        Some(_) => "POST transfer",
        None => "GET account",
    };
    for _ in 0..TRIES {
        let began = Instant::now();
        let answer = match body.clone() {
            Some(body) => client.post(path, body).await,
            None => client.get(path).await,
        };
        match answer {
            Ok(status) => {
                told.note(request, began, status);
                match status {
                    200 | 201 => return Ok(()),
                    409 | 503 | 504 => {}
                    other => return Err(format!("{request} was answered by {other}").into()),
                }
            }
            Err(_) => told.unanswered += 1,
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(format!("{request} was not done").into())
}

/// Both at one time, as by a proxy that lost patience. It is one transfer.
async fn send_twice(client: &Client, transfer: &Transfer, told: &mut Told) -> Result<(), Failure> {
    let mut other = Told::default();
    tokio::try_join!(
        send(client, transfer, told),
        send(client, transfer, &mut other)
    )?;
    told.merge(other);
    Ok(())
}

/// Goes away in the middle, in which case the service drops what it does, and comes back.
async fn send_impatiently(
    client: &Client,
    transfer: &Transfer,
    told: &mut Told,
) -> Result<(), Failure> {
    let patience = Duration::from_millis(fastrand::u64(PATIENCE));
    let sending = client.post("/transfers", json!(transfer));
    match tokio::time::timeout(patience, sending).await {
        Ok(_) => {}
        Err(_) => told.gone_away += 1,
    }
    send(client, transfer, told).await
}

/// With the first answer, the service is told to end: to what it has begun, it owes an answer.
async fn work_until_shutdown(
    client: &Client,
    load: &Load,
    service: Service,
) -> Result<Told, Failure> {
    let mut told = Told::default();
    let mut requests = JoinSet::new();
    for number in 0..load.clients {
        let transfer = any_transfer(format!("last-{number}"));
        told.sent.push(transfer.clone());
        let client = client.clone();
        requests.spawn(async move {
            let outcome = client.post("/transfers", json!(transfer)).await;
            (transfer.id, outcome)
        });
    }
    let mut has_answered = false;
    while let Some(answer) = requests.join_next().await {
        // Without an answer, it may have been made or not.
        if let (id, Ok(201)) = answer? {
            told.made.insert(id);
        }
        if !has_answered {
            service.ask_to_end()?;
        }
        has_answered = true;
    }
    service.ended().await?;
    println!(
        "{} transfers were acknowledged while it shut down",
        told.made.len()
    );
    Ok(told)
}

fn report(load: &Load, told: &Told, took: Duration, metrics: &str) {
    let count: usize = told.times.values().map(Vec::len).sum();
    println!(
        "{count} requests by {} clients in {:.1} s: {:.0} requests/s",
        load.clients,
        took.as_secs_f64(),
        count as f64 / took.as_secs_f64()
    );
    println!("\nmilliseconds   requests     50 %     95 %     99 %      max");
    for (request, times) in &told.times {
        let mut times = times.clone();
        times.sort();
        let of = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1000.0;
        println!(
            "{request:<14} {:>8} {:>8.1} {:>8.1} {:>8.1} {:>8.1}",
            times.len(),
            of(50),
            of(95),
            of(99),
            of(100)
        );
    }
    let statuses = told.statuses.iter();
    let statuses: Vec<_> = statuses
        .map(|(status, count)| format!("{status}: {count}"))
        .collect();
    println!(
        "\nanswers        {}; not waited for: {}; none: {}",
        statuses.join(", "),
        told.gone_away,
        told.unanswered
    );
    let seen = |name: &str| counted(metrics, name);
    println!(
        "database       {} operations by {} requests; {} commits, {} conflicts, {} rolled back",
        seen("operations"),
        seen("requests"),
        seen("commits"),
        seen("conflicts"),
        seen("rollbacks")
    );
}

/// A counter of diesel-rqlite, on the page for Prometheus. What has never been counted is not on it.
fn counted(page: &str, name: &str) -> u64 {
    let name = format!("diesel_rqlite_{name}_total ");
    let mut values = page.lines().filter_map(|line| line.strip_prefix(&name));
    values
        .next()
        .and_then(|value| value.parse().ok())
        .unwrap_or(0)
}

/// The database itself is asked.
async fn check(config: &RqliteConfig, told: &Told) -> Result<(), Failure> {
    let mut conn = config.connect_async().await?;
    let logged: Vec<Transfer> = bank_transfers::table.load(&mut conn).await?;
    let accounts = bank::accounts(&mut conn).await?;

    let ids: BTreeSet<_> = logged.iter().map(|transfer| transfer.id.clone()).collect();
    let lost: Vec<_> = told.made.difference(&ids).collect();
    assert!(lost.is_empty(), "acknowledged, and not there: {lost:?}");
    let foreign: Vec<_> = logged
        .iter()
        .filter(|row| !told.sent.contains(row))
        .collect();
    assert!(foreign.is_empty(), "there, and never sent: {foreign:?}");

    let mut balances: BTreeMap<i32, i64> = (1..=ACCOUNTS).map(|id| (id, CENTS)).collect();
    for transfer in &logged {
        *balances.entry(transfer.source).or_default() -= transfer.cents;
        *balances.entry(transfer.target).or_default() += transfer.cents;
    }
    let found = |account: &Account| (account.id, account.cents);
    let found: BTreeMap<_, _> = accounts.iter().map(found).collect();
    assert_eq!(found, balances, "a transfer was lost, or done twice");
    println!(
        "{} transfers acknowledged, {} in the database: none was lost, none done twice",
        told.made.len(),
        logged.len()
    );
    Ok(())
}
