//! Random texts for all code that parses external input: answers, lists of nodes, `Location`, URLs, SQL.
//!
//! No nightly compiler is needed. A test tries some thousands of texts. A long run, which repeats the test with other
//! random numbers, is started by
//!
//! ```sh
//! DIESEL_RQLITE_FUZZ_SECONDS=3600 cargo test --release -p diesel-rqlite --lib --all-features fuzz -- --nocapture
//! ```
//!
//! A panic prints the text. So does a text that takes too long.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use cpu_time::ThreadTime;
use diesel_rqlite_sql::{Control, Entropy, ReplicaHazard, SqlError, parse};

use crate::config::{RqliteConfig, redacted};
use crate::protocol::encoding::Encoding;
use crate::protocol::message::{ErrorBody, RequestError, StatementError};
use crate::protocol::pieces::Pieces;
use crate::protocol::response::{Answer, StatementResult};
use crate::protocol::rows::Rows;
use crate::protocol::survey::{Survey, redirect_target};
use crate::statement::{Place, Plan, Query, Wanted};

/// The number of texts of each kind that a test tries.
const TEXTS: u64 = 10_000;
/// The longest time for a text. It is processor time, because the machine may be busy with other work.
const LIMIT: Duration = Duration::from_secs(1);
const SECONDS: &str = "DIESEL_RQLITE_FUZZ_SECONDS";

const ANSWERS: &[&str] = &[
    r#"{"results":[{"columns":["a","b"],"types":["text",""],"values":[["t41",-1.5e3],[null,[1,2]]]},{"rows_affected":3},{"error":"x"}],"time":0.1}"#,
    r#"{"results":[{"columns":["c","a"],"types":["text","real"],"values":[["ib",9223372036854775807],["rt","b00ff"],["n",null]]}]}"#,
    r#"{"results":[],"error":"leadership lost while committing log"}"#,
    r#"{"results":[{"last_insert_id":1,"rows_affected":18446744073709551615}],"sequence_number":7}"#,
    "{\"results\":[{\"columns\":[\"\u{fffd}\"],\"types\":[\"datetime\"],\"values\":[[\"\\ud800\"]]}]}",
];
const NODES: &[&str] = &[
    r#"{"1":{"id":"1","api_addr":"http://a:4001","addr":"a:4002","voter":true,"reachable":true,"leader":true},"2":{"id":"2","reachable":false}}"#,
    r#"{"nodes":[{"id":"1","api_addr":"https://[::1]:4001/p","voter":false,"leader":true}]}"#,
    r#""node-1""#,
];
const LOCATIONS: &[&str] = &[
    "http://b:4003/db/query?redirect",
    "https://u:p@[::1]:5/p/db/query#x",
    "/q/db/query?x",
    "//b:1/db/query",
    "../../db/query",
    "http:\\\\b\\db\\query",
];
const URLS: &[&str] = &[
    "rqlite://user:pass%40word@host:4001/prefix?level=weak&nodes=a:1,[::1]:2,c&freshness=5m",
    "rqlites://[::1]:4001?transaction=eager&lock=rqlite:name&exactly_once=true&max_answer=1G",
    "http://bücher.example?connect_timeout=500ms&leader_timeout=0s&prefer=h:1",
    "https://u@h/?level=none&freshness=1s&freshness_strict=true&forwarding=auto&discovery=false&roots=web",
];
const SQL: &[&str] = &[
    "WITH x(a, b) AS (SELECT 1, 'a''b') INSERT INTO t(a, b) SELECT random(), ?1 FROM x ON CONFLICT(a) DO UPDATE SET b = excluded.b RETURNING *, a AS \"b\"",
    "SELECT a, count(*) OVER (PARTITION BY b ORDER BY c) FROM t AS u LEFT JOIN v USING (a) WHERE a IN (?, :b, @c, $d) ORDER BY 1 LIMIT 5, 6",
    "CREATE TRIGGER r AFTER INSERT ON t BEGIN UPDATE t SET a = CASE WHEN 1 THEN 2 END; SELECT RAISE(IGNORE); END; BEGIN; COMMIT",
    "UPDATE t SET d = date('now', '+1 day'), r = randomblob(8) WHERE [a b] = `c` AND x'00ff' IS NOT NULL -- end",
    "/* c */ PRAGMA foreign_keys = ON; SAVEPOINT \"a\"; ROLLBACK TO a; VACUUM; EXPLAIN QUERY PLAN DELETE FROM t; \u{b}\u{0}",
    "INSERT OR IGNORE INTO t VALUES (1, 2.5e-3, 0x1F, NULL), (?, ?, strftime('%s'), CURRENT_TIMESTAMP)",
];

/// The pieces from which texts are made.
const PIECES: &[&str] = &[
    "\"",
    "'",
    "`",
    "[",
    "]",
    "{",
    "}",
    "(",
    ")",
    ",",
    ":",
    ";",
    "?",
    "#",
    "@",
    "/",
    "\\",
    "%",
    "%2",
    "%00",
    "%ff",
    "\0",
    "\n",
    "\u{feff}",
    "é",
    "\u{1f600}",
    "null",
    "-0",
    "1e999",
    "99999999999999999999",
    "--",
    "/*",
    "*/",
    "results",
    "error",
    "columns",
    "values",
    "SELECT ",
    "RETURNING ",
    "FROM ",
    "BEGIN ",
    "END ",
    "http://",
    "rqlite://",
    "db/query",
    "[[[[[[[[",
    "((((((((",
    "{\"a\":",
    "CASE ",
];

/// An xorshift64* generator.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap_or_default() % limit.max(1)
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// Returns one of these texts with some changes.
    fn text(&mut self, from: &[&str]) -> Vec<u8> {
        let mut text = self.pick(from).as_bytes().to_vec();
        for _ in 0..=self.below(6) {
            let place = self.below(text.len() + 1);
            let end = (place + self.below(12)).min(text.len());
            match self.below(6) {
                0 => drop(text.drain(place..end)),
                1 => drop(text.splice(place..place, self.pick(PIECES).bytes())),
                2 => drop(text.splice(place..end, self.pick(PIECES).bytes())),
                3 => {
                    let again = text[place..end].repeat(1 + self.below(20));
                    text.splice(place..place, again);
                }
                4 => {
                    let other = self.pick(from).as_bytes();
                    let begin = self.below(other.len());
                    text.splice(place..end, other[begin..].iter().copied());
                }
                _ => {
                    if let Some(byte) = text.get_mut(place) {
                        *byte = self.next().to_le_bytes()[0];
                    }
                }
            }
        }
        text
    }
}

fn seconds() -> Option<Duration> {
    let seconds = std::env::var(SECONDS).ok()?;
    Some(Duration::from_secs(
        seconds.parse().expect("a number of seconds"),
    ))
}

fn run(name: &str, from: &[&str], read: impl Fn(&mut Random, &[u8])) {
    let began = Instant::now();
    let time = seconds();
    let seed = match time {
        None => 1,
        Some(_) => getrandom::u64().expect("is random") | 1,
    };
    let mut random = Random(seed);
    let (mut texts, mut slowest) = (0_u64, Duration::ZERO);
    while time.map_or(texts < TEXTS, |time| began.elapsed() < time) {
        let text = random.text(from);
        let started = ThreadTime::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| read(&mut random, &text)));
        let took = started.elapsed();
        let shown = String::from_utf8_lossy(&text).into_owned();
        assert!(outcome.is_ok(), "{name} {seed}: panics: {shown:?}");
        assert!(took < LIMIT, "{name} {seed}: {took:?}: {shown:?}");
        texts += 1;
        slowest = slowest.max(took);
    }
    if time.is_some() {
        #[allow(clippy::print_stdout)]
        {
            println!("{name}: {texts} texts from seed {seed}, the slowest {slowest:?}");
        }
    }
}

#[test]
fn answers() {
    const ENCODINGS: [Encoding; 9] = [
        Encoding::Plain,
        Encoding::Integer,
        Encoding::Text,
        Encoding::Tagged,
        Encoding::Compared,
        Encoding::TaggedText,
        Encoding::Classes,
        Encoding::Classed,
        Encoding::Real,
    ];
    run("answers", ANSWERS, |random, text| {
        let mut encodings = Vec::new();
        for _ in 0..random.below(3) {
            let columns = random.below(4);
            encodings.push(
                (0..columns)
                    .map(|_| *random.pick(&ENCODINGS))
                    .collect::<Vec<_>>(),
            );
        }
        let Ok(answer) = Answer::parse(text, &encodings) else {
            return;
        };
        let _ = (answer.fits(random.below(4)), answer.first_failure());
        if let Some(error) = &answer.error {
            let _ = (
                RequestError::of(error).is_not_applied(),
                ErrorBody::of(error),
            );
        }
        for result in answer.results {
            match result {
                StatementResult::Failed(message) => {
                    let _ = StatementError(&message).constraint();
                }
                StatementResult::Rows(rows) => {
                    let _ = rows.may_be_converted();
                    let mut rows = rows.with_whole_reals();
                    for row in 0..rows.len() {
                        for column in 0..rows.width() {
                            let _ = rows.value(row, column);
                        }
                    }
                    rows.drop_last_column();
                }
                StatementResult::Executed { .. } => {}
            }
        }
    });
}

/// Whatever the pieces are in which an answer comes, it has the same rows, or is an error.
#[test]
fn answers_in_pieces() {
    let values = |rows: &Rows| -> Vec<String> {
        let value = |row, column| format!("{:?}", rows.value(row, column));
        let row = |row| (0..rows.width()).map(move |column| value(row, column));
        (0..rows.len()).flat_map(row).collect()
    };
    run("answers in pieces", ANSWERS, |random, text| {
        let Some(head) = text.windows(9).position(|bytes| bytes == b"\"values\":") else {
            return;
        };
        let first = (head + 10 + random.below(9)).min(text.len());
        let Some(mut pieces) = Pieces::begin(&text[..first], &[]) else {
            return;
        };
        let mut found = pieces.rows().map(|rows| values(&rows));
        let mut rest = &text[first..];
        while let Ok(all) = &mut found
            && !rest.is_empty()
        {
            let piece = rest.split_off(..1 + random.below(rest.len().min(20)));
            pieces.bytes().extend_from_slice(piece.unwrap_or_default());
            match pieces.rows() {
                Ok(rows) => all.extend(values(&rows)),
                Err(error) => found = Err(error),
            }
        }
        let found = found.and_then(|found| pieces.end().map(|()| found)).ok();
        let whole = Answer::parse(text, &[]).ok();
        let whole = whole.filter(|answer| answer.error.is_none() && answer.results.len() == 1);
        let whole = whole.and_then(|mut answer| answer.results.pop());
        let whole = match &whole {
            Some(StatementResult::Rows(rows)) => Some(values(rows)),
            _ => None,
        };
        assert_eq!(found, whole);
    });
}

#[test]
fn lists_of_nodes() {
    run("nodes", NODES, |random, text| {
        let mut survey = Survey::new("http://a:4001".to_owned(), None);
        for _ in 0..4 {
            if survey.ask().is_none() {
                break;
            }
            let status = *random.pick(&[200_u16, 200, 200, 301, 401, 404, 500, 503]);
            let mut response = http::Response::new(Bytes::copy_from_slice(text));
            *response.status_mut() = http::StatusCode::from_u16(status).expect("a status");
            survey.heard(&response);
        }
        let _ = survey.view();
    });
}

#[test]
fn locations() {
    run("locations", LOCATIONS, |random, text| {
        let text = String::from_utf8_lossy(text);
        let asked = *random.pick(&["http://a:4001", "https://[::1]:4001/p", "http://a:1/p/q"]);
        if let Some(base) = redirect_target(asked, &text, "/db/query") {
            assert!(!base.contains('@'), "{base}");
            // It must be possible to make a request from it.
            let request = http::Request::get(format!("{base}/db/query")).body(());
            assert!(request.is_ok(), "{base}");
        }
    });
}

#[test]
fn urls() {
    run("urls", URLS, |_, text| {
        let text = String::from_utf8_lossy(text);
        // These options make the parser read files.
        if text.contains("_cert") || text.contains("_key") {
            return;
        }
        match text.parse::<RqliteConfig>() {
            Ok(config) => {
                let shown = url::Url::parse(&redacted(&text)).expect("is still a URL");
                assert!(
                    shown.password().is_none_or(|shown| shown == "***"),
                    "{shown}"
                );
                let _ = (format!("{config:?}"), config.settings().settle_timeout());
                for node in config.nodes() {
                    assert!(!node.contains('@'), "{node}");
                }
            }
            Err(error) => assert!(!error.to_string().contains("%40word"), "{error}"),
        }
    });
}

/// A source that always returns the same time and the same random number.
struct Fixed;

impl Entropy for Fixed {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }

    fn random(&mut self) -> Result<u64, SqlError> {
        Ok(7)
    }
}

#[test]
fn sql() {
    run("sql", SQL, |random, text| {
        let text = String::from_utf8_lossy(text);
        if let Ok(found) = parse(&text) {
            for parsed in &found {
                let _ = (Control::of(parsed), parsed.check(), parsed.position());
            }
        }
        let place = *random.pick(&[Place::Alone, Place::Transaction]);
        let wanted = *random.pick(&[Wanted::Count, Wanted::Rows(None)]);
        if let Ok(query) = Query::parse(&text) {
            let _ = Plan::new(query, Vec::new(), wanted, place, &mut Fixed);
        }
        let _ = ReplicaHazard::find(&text);
    });
}
