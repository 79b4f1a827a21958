use std::fmt::{Debug, Display};
use std::str::FromStr;

use super::*;
use crate::protocol::head::Heads;
use crate::protocol::request::{Endpoint, Exchange, Statements};
use crate::word::UnknownWord;

fn parse(url: &str) -> RqliteConfig {
    url.parse().expect(url)
}

fn error(url: &str) -> String {
    url.parse::<RqliteConfig>().expect_err(url).to_string()
}

fn bases(config: &RqliteConfig) -> Vec<String> {
    config.nodes()
}

#[test]
fn schemes_ports_and_prefixes() {
    for (url, base) in [
        ("rqlite://h", "http://h:4001"),
        ("rqlites://h", "https://h:4001"),
        ("rqlite://h:5/", "http://h:5"),
        ("http://h", "http://h:80"),
        ("https://h/a/b/", "https://h:443/a/b"),
        ("rqlite://[::1]:4001", "http://[::1]:4001"),
    ] {
        assert_eq!(bases(&parse(url)), [base], "{url}");
    }
}

#[test]
fn builder_says_what_urls_say() {
    let built = RqliteConfig::new("::1", 4001).node("b", 5).tls();
    assert_eq!(bases(&built), ["https://[::1]:4001", "https://b:5"]);
    assert_eq!(built, parse("rqlites://[::1]?nodes=b:5"));
    let stale = RqliteConfig::new("h", 1).freshness(Duration::from_secs(1));
    assert!(
        stale
            .connect()
            .is_err_and(|error| error.to_string().contains("level `none`"))
    );
}

#[test]
fn builder_refuses_what_urls_refuse() {
    let build = || RqliteConfig::new("h", 1);
    for (option, built) in [
        ("connect_timeout", build().connect_timeout(Duration::ZERO)),
        ("request_timeout", build().request_timeout(Duration::ZERO)),
        ("db_timeout", build().db_timeout(Duration::ZERO)),
    ] {
        let wanted = format!("option `{option}` is not more than nothing");
        assert_eq!(error(&format!("rqlite://h?{option}=0s")), wanted);
        let checked = built.check().map_err(|error| error.to_string());
        assert_eq!(checked, Err(wanted.clone()));
        let connected = built.connect().err().map(|error| error.to_string());
        assert!(
            connected.is_some_and(|error| error.contains(&wanted)),
            "{option}"
        );
    }
    // Nothing is a time that makes sense here.
    for (option, built) in [
        ("leader_timeout", build().leader_timeout(Duration::ZERO)),
        (
            "slow_query_threshold",
            build().slow_query_threshold(Duration::ZERO),
        ),
        (
            "level=none&freshness",
            build()
                .read_consistency(ReadConsistency::None)
                .freshness(Duration::ZERO),
        ),
    ] {
        assert_eq!(parse(&format!("rqlite://h:1?{option}=0s")), built);
        assert!(built.check().is_ok(), "{option}");
    }
}

#[test]
fn options() {
    let config = parse(
        "rqlite://a?level=none&freshness=1s&freshness_strict=true&nodes=b:4003,c,[::1]&connect_timeout=500ms\
         &request_timeout=1m&leader_timeout=0s&transaction=deferred&coalesce_writes=true",
    );
    assert_eq!(
        bases(&config),
        [
            "http://a:4001",
            "http://b:4003",
            "http://c:4001",
            "http://[::1]:4001"
        ]
    );
    assert_eq!(config.level, ReadConsistency::None);
    assert_eq!(config.freshness, Some(Duration::from_secs(1)));
    assert_eq!(config.connect_timeout, Duration::from_millis(500));
    assert_eq!(config.request_timeout, Duration::from_secs(60));
    assert!(config.coalesce_writes && !parse("rqlite://a").coalesce_writes);
}

#[test]
fn what_is_shown_and_slow() {
    let shy = parse("rqlite://h");
    assert_eq!(shy.observing, observe::Options::default());
    assert!(!shy.settings().timings);
    let url = "rqlite://h?slow_query_threshold=0ms&trace_literals=true&trace_parameters=true";
    let config = RqliteConfig::new("h", 4001);
    let config = config.slow_query_threshold(Duration::ZERO);
    let config = config.trace_literals(true).trace_parameters(true);
    assert_eq!(parse(url), config);
    assert!(config.settings().timings);
    assert_ne!(shy, config);
}

#[test]
fn errors_name_what_is_wrong() {
    for (url, wanted) in [
        ("rqlite://h?levl=weak", "`levl`"),
        ("rqlite://h?level=Weak", "`level`"),
        ("rqlite://h?request_timeout=5", "`request_timeout`"),
        ("rqlite://h?request_timeout=0s", "more than nothing"),
        ("rqlite://h?transaction=psychic", "`transaction`"),
        ("rqlite://h?coalesce_writes=1", "`coalesce_writes`"),
        (
            "rqlite://h?coalesce_writes=true&db_timeout=1s",
            "`db_timeout`",
        ),
        ("rqlite://h?nodes=a:b", "`nodes`"),
        ("rqlite://h?nodes=u:secret@h:x", "%40"),
        (
            "rqlite://h?slow_query_threshold=1",
            "`slow_query_threshold`",
        ),
        ("rqlite://h?trace_literals=yes", "`trace_literals`"),
        ("rqlite://h?trace_parameters=1", "`trace_parameters`"),
        ("rqlite://h?freshness=1s", "level `none`"),
        ("rqlite://h?ca_cert=/does/not/exist", "/does/not/exist"),
        ("postgres://h", "`postgres`"),
        ("file.db", "not a URL"),
        ("rqlite:///x", "host"),
        ("rqlite://h#x", "fragment"),
    ] {
        assert!(error(url).contains(wanted), "{url}: {}", error(url));
    }
    let foreign = "mysql://h".parse::<RqliteConfig>();
    assert!(foreign.is_err_and(|error| error.is_foreign_scheme()));
}

#[test]
fn passwords_are_decoded_and_never_shown() {
    let config = parse("rqlite://us%40er:s%23cret%2F@h");
    assert_eq!(
        config.credentials,
        Some(Credentials::new("us@er", "s#cret/"))
    );
    let shown = format!("{config:?} {}", error("rqlite://u:hunter2@h?x=1"));
    assert!(
        !shown.contains("s#cret") && !shown.contains("hunter2"),
        "{shown}"
    );
    let request = Exchange::new(
        Endpoint::Query { transaction: false },
        Statements::default(),
    );
    let mut heads = Heads::default();
    let head = heads.of(&http::Method::POST, "http://h/db/query".to_owned());
    let request = request.headed(head.expect("valid"), &config.settings());
    let mut head = Vec::new();
    request.write_head(&mut head);
    let head = String::from_utf8_lossy(&head);
    assert!(
        head.contains("authorization: Basic dXNAZXI6cyNjcmV0Lw==\r\n"),
        "{head}"
    );
    assert!(!format!("{request:?}").contains("dXNAZXI6"));
}

#[cfg(feature = "redis")]
#[test]
fn locks_of_servers_are_named_by_urls() {
    for lock in [
        "redis://cache?name=accounts",
        "rediss://cache:6380/3?name=accounts",
        "valkey://:secret%40cache?name=accounts",
        "redis://cache?name=accounts%26lease=0s%26retry_interval=0s",
        "valkeys%3A%2F%2Fu%3Asec%2540ret%40cache%3A1%2F0%3Fname%3Daccounts%26lease%3D5s%26timeout%3D0s%26retry_interval%3D5ms%26prefix%3Db",
    ] {
        let url = format!("rqlite://h?lock={lock}&level=weak");
        let config = parse(&url);
        let shown = format!("{config:?} {}", redacted(&url));
        assert!(shown.contains("locking: \"accounts\""), "{shown}");
        assert!(!shown.contains("sec"), "{shown}");
        assert_eq!(config.level, ReadConsistency::Weak);
    }
    for (lock, wanted) in [
        ("redis://cache", "name"),
        ("redis://cache?name=", "name"),
        ("redis://:hunter2%40cache/x?name=a", "`lock`"),
        ("redis://:hunter2%40[::1?name=a", "`lock`"),
        ("redis://:hunter2%40cache?name=a%23insecure", "`lock`"),
        ("redis://cache?name=a%26lease=hunter2", "`lock: lease`"),
        ("redis://cache?name=a%26lesae=hunter2", "`lock: lesae`"),
        ("redis:hunter2", "`lock`"),
        ("memcached://hunter2?name=a", "`lock`"),
    ] {
        let error = error(&format!("rqlite://h?lock={lock}"));
        assert!(error.contains(wanted), "{lock}: {error}");
        assert!(!error.contains("hunter2"), "{lock}: {error}");
    }
}

#[cfg(not(feature = "redis"))]
#[test]
fn locks_of_servers_need_their_feature() {
    for scheme in ["redis", "rediss", "valkey", "valkeys"] {
        let error = error(&format!(
            "rqlite://h?lock={scheme}://:hunter2%40cache?name=a"
        ));
        assert!(
            error.contains("feature `redis`") && !error.contains("hunter2"),
            "{error}"
        );
    }
}

/// The option that switches off the safety of transactions exists only for this workspace's own
/// tests.
#[cfg(not(feature = "guards-off-for-tests"))]
#[test]
fn guards_can_not_be_switched_off() {
    assert_eq!(error("rqlite://h?guards=off"), "unknown option `guards`");
}

/// Checks that each word stands for one value, in both directions and in a URL. Anything else is
/// refused, with an error that names all words.
fn agree<T>(option: &str, values: &[T], configured: impl Fn(T) -> RqliteConfig)
where
    T: Copy + Debug + Display + PartialEq + FromStr<Err = UnknownWord>,
{
    let error = "psychic".parse::<T>().expect_err("no such word");
    let words: Vec<_> = values.iter().map(T::to_string).collect();
    assert_eq!(error.known(), words);
    for (value, word) in values.iter().zip(&words) {
        assert_eq!(word.parse(), Ok(*value));
        let url = format!("rqlite://h?{option}={word}");
        assert_eq!(url.parse::<RqliteConfig>().expect(&url), configured(*value));
        assert_eq!(word.to_uppercase().parse::<T>(), Err(error.clone()));
    }
    let url = format!("rqlite://h?{option}=psychic");
    let refused = url.parse::<RqliteConfig>().expect_err(&url).to_string();
    assert_eq!(refused, format!("option `{option}`: {error}"));
    for word in &words {
        assert!(refused.contains(word), "{refused}");
    }
    assert!(!refused.contains("psychic"), "{refused}");
}

#[test]
fn words_of_urls_are_those_of_display_and_from_str() {
    let config = || RqliteConfig::new("h", 4001);
    let levels = [
        ReadConsistency::None,
        ReadConsistency::Weak,
        ReadConsistency::Linearizable,
        ReadConsistency::Strong,
        ReadConsistency::Auto,
    ];
    agree("level", &levels, |level| config().read_consistency(level));
    let modes = [
        TransactionMode::Interactive,
        TransactionMode::Eager,
        TransactionMode::Deferred,
    ];
    agree("transaction", &modes, |mode| {
        config().transaction_mode(mode)
    });
    let forwardings = [Forwarding::Auto, Forwarding::Always, Forwarding::Never];
    agree("forwarding", &forwardings, |forwarding| {
        config().forwarding(forwarding)
    });
}

#[test]
fn words_are_padded() {
    assert_eq!(format!("{:>6}|", ReadConsistency::Weak), "  weak|");
}

/// The names in the table of options that users read.
fn documented() -> Vec<&'static str> {
    let lines = include_str!("mod.rs").lines();
    let rows = lines.filter_map(|line| line.strip_prefix("/// | `"));
    let names = rows.filter_map(|row| row.split_once(" | "));
    names
        .flat_map(|(names, _)| names.split(", "))
        .map(|name| name.trim_matches('`'))
        .collect()
}

#[test]
fn options_are_those_of_the_documentation() {
    let documented = documented();
    assert!(documented.len() > 20, "{documented:?}");
    for name in &documented {
        let outcome = format!("rqlite://h?{name}=!").parse::<RqliteConfig>();
        let message = outcome.expect_err(name).to_string();
        assert!(!message.contains("unknown option"), "{message}");
    }
    let (_, arms) = include_str!("option.rs")
        .split_once("match key {")
        .expect("is there");
    let (arms, _) = arms.split_once("_ => return").expect("is there");
    let names = arms
        .lines()
        .filter_map(|line| line.strip_prefix("            \""))
        .filter_map(|line| line.split('"').next());
    // Not documented. It serves to see what goes wrong without guards.
    let names: Vec<_> = names.filter(|name| *name != "guards").collect();
    assert_eq!(names.len(), documented.len());
    for name in names {
        assert!(documented.contains(&name), "{name} is not documented");
    }
}
