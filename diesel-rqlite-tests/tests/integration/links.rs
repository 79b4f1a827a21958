//! The kit's links do what they say, and a cluster behind them feels it.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use diesel_rqlite_tests::{Cluster, Flow, Link};

/// Long enough for anything on loopback to arrive, if it does.
const NEVER: Duration = Duration::from_millis(300);
const SOON: Duration = Duration::from_secs(10);

/// A server that sends back what it hears, and its number before it.
struct Echo(String);

impl Echo {
    fn start(name: &'static [u8]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("binds");
        let address = listener.local_addr().expect("is bound").to_string();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                thread::spawn(move || echo(client, name));
            }
        });
        Echo(address)
    }
}

fn echo(mut client: TcpStream, name: &[u8]) {
    let mut buffer = [0; 64];
    while let Ok(length @ 1..) = client.read(&mut buffer) {
        let _ = client.write_all(name);
        let _ = client.write_all(&buffer[..length]);
    }
}

fn connect(link: &Link) -> std::io::Result<TcpStream> {
    let address: SocketAddr = link.address().parse().expect("an address");
    TcpStream::connect_timeout(&address, NEVER)
}

fn connected(link: &Link) -> TcpStream {
    connect(link).expect("connects")
}

fn say(mut stream: &TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).expect("is sent");
}

/// What comes within a time: nothing, if it ends with nothing.
fn hear(mut stream: &TcpStream, length: usize, within: Duration) -> std::io::Result<String> {
    stream.set_read_timeout(Some(within)).expect("is set");
    let mut heard = vec![0; length];
    stream.read_exact(&mut heard)?;
    Ok(String::from_utf8_lossy(&heard).into_owned())
}

fn assert_silent(stream: &TcpStream) {
    let heard = hear(stream, 1, NEVER).expect_err("nothing is heard");
    let is_silence = matches!(heard.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
    assert!(is_silence, "{heard}");
}

fn assert_closed(stream: &TcpStream) {
    let heard = hear(stream, 1, SOON).expect_err("nothing is heard");
    let kinds = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset];
    assert!(kinds.contains(&heard.kind()), "{heard}");
}

fn assert_echoes(stream: &TcpStream, text: &str) {
    say(stream, text);
    assert_eq!(hear(stream, text.len(), SOON).expect("is heard"), text);
}

#[test]
fn what_is_sent_on_a_cut_link_arrives_when_it_is_healed_and_nobody_connects_meanwhile() {
    let server = Echo::start(b"");
    let link = Link::start(&server.0);
    for (forth, back) in [
        (Flow::Cut, Flow::Cut),
        (Flow::Cut, Flow::Open),
        (Flow::Open, Flow::Cut),
    ] {
        let before = connected(&link);
        assert_echoes(&before, "one");
        link.set(forth, back);
        say(&before, "two");
        assert_silent(&before);
        let refused = connect(&link).expect_err("no packet comes back");
        assert_eq!(refused.kind(), ErrorKind::TimedOut, "{refused}");
        link.heal();
        assert_eq!(hear(&before, 3, SOON).expect("is heard"), "two");
        assert_echoes(&connected(&link), "three");
    }
    // Those who gave up connecting have never been heard of.
    let deadline = Instant::now() + SOON;
    while link.connections() > 0 {
        assert!(Instant::now() < deadline, "{} left", link.connections());
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn mute_link_passes_on_and_brings_nothing_back() {
    let server = Echo::start(b"");
    let link = Link::start(&server.0);
    let before = connected(&link);
    assert_echoes(&before, "one");
    link.mute();
    let new = connected(&link);
    for stream in [&before, &new] {
        say(stream, "two");
        assert_silent(stream);
    }
    link.heal();
    // What was lost does not come; a stream with a hole would be worse than none.
    assert_closed(&before);
    assert_closed(&new);
    assert_echoes(&connected(&link), "three");
}

#[test]
fn refusing_link_is_like_a_server_that_is_not_there() {
    let server = Echo::start(b"");
    let link = Link::start(&server.0);
    let before = connected(&link);
    assert_echoes(&before, "one");
    link.refuse();
    assert_closed(&before);
    let refused = connect(&link).expect_err("nobody listens");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "{refused}");
    link.cut();
    let silent = connect(&link).expect_err("no packet comes back");
    assert_eq!(silent.kind(), ErrorKind::TimedOut, "{silent}");
    link.refuse();
    let refused = connect(&link).expect_err("nobody listens");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "{refused}");
    link.heal();
    assert_echoes(&connected(&link), "two");
}

#[test]
fn half_open_connections_are_silent_and_new_ones_work() {
    let server = Echo::start(b"");
    let link = Link::start(&server.0);
    let before = connected(&link);
    assert_echoes(&before, "one");
    link.half_open();
    say(&before, "two");
    assert_silent(&before);
    assert_echoes(&connected(&link), "three");
    link.heal();
    assert_closed(&before);
}

#[test]
fn slow_link_takes_its_time_in_each_direction() {
    let server = Echo::start(b"");
    let link = Link::start(&server.0);
    let stream = connected(&link);
    assert_echoes(&stream, "one");
    let delay = Duration::from_millis(150);
    for (forth, back, least) in [
        (Flow::Slow(delay), Flow::Open, delay),
        (Flow::Open, Flow::Slow(delay), delay),
        (Flow::Slow(delay), Flow::Slow(delay), 2 * delay),
    ] {
        link.set(forth, back);
        let began = Instant::now();
        assert_echoes(&stream, "two");
        assert!(began.elapsed() >= least, "{:?}", began.elapsed());
    }
    link.heal();
    assert_echoes(&stream, "three");
}

#[test]
fn balancer_goes_round_and_passes_over_who_refuses() {
    let servers = [Echo::start(b"1"), Echo::start(b"2"), Echo::start(b"3")];
    let links: Vec<_> = servers
        .iter()
        .map(|server| Link::start(&server.0))
        .collect();
    let addresses: Vec<_> = links.iter().map(Link::address).collect();
    let balancer = Link::balancing(addresses.iter().map(String::as_str));
    let ask = || {
        let stream = connected(&balancer);
        say(&stream, "x");
        hear(&stream, 2, SOON).expect("is heard")
    };
    let mut answers = [ask(), ask(), ask()];
    answers.sort();
    assert_eq!(answers, ["1x", "2x", "3x"]);
    links[1].refuse();
    for _ in 0..6 {
        assert_ne!(ask(), "2x");
    }
}

/// Whether a write to a node succeeds, with a little time.
fn writes(address: &str) -> bool {
    let body = r#"["CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY)"]"#;
    let answer = post(address, "/db/execute?redirect", body);
    answer.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200") && answer.contains("[{}]"))
}

fn get(address: &str, path: &str) -> std::io::Result<String> {
    let address: SocketAddr = address.parse().expect("an address");
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn post(address: &str, path: &str, body: &str) -> std::io::Result<String> {
    let address: SocketAddr = address.parse().expect("an address");
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let length = body.len();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "not so in time: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn assert_heals(cluster: &Cluster) {
    cluster.heal();
    let leader = cluster.leader();
    wait_until("the leader writes", || writes(&cluster.address(leader)));
    for place in 0..cluster.count() {
        wait_until("every node reads what the others know", || {
            let strong = "/db/query?level=strong";
            let read = post(&cluster.address(place), strong, r#"["SELECT 1"]"#);
            read.is_ok_and(|answer| answer.contains("values"))
        });
    }
}

#[test]
fn leader_cut_off_from_its_followers_is_replaced_and_comes_back() {
    let cluster = Cluster::builder().links().start(3);
    let old = cluster.leader();
    cluster.cut_off_from_peers(old);
    let new = cluster.next_leader(old);
    wait_until("the new leader writes", || writes(&cluster.address(new)));
    // Clients reach the old one, which can do nothing for them.
    assert!(!writes(&cluster.address(old)));
    let ready = post(&cluster.address(old), "/nodes", "");
    assert!(ready.is_ok(), "{ready:?}");
    assert_heals(&cluster);
}

#[test]
fn leader_cut_off_from_everybody_is_replaced_and_comes_back() {
    let cluster = Cluster::builder().links().start(3);
    let old = cluster.leader();
    cluster.cut_off(old);
    let new = cluster.next_leader(old);
    wait_until("the new leader writes", || writes(&cluster.address(new)));
    let silent = post(&cluster.address(old), "/nodes", "").expect_err("no packet comes back");
    assert_eq!(silent.kind(), ErrorKind::TimedOut, "{silent}");
    assert_heals(&cluster);
}

#[test]
fn leader_that_clients_do_not_reach_goes_on_leading() {
    let cluster = Cluster::builder().links().start(3);
    let leader = cluster.leader();
    cluster.client_link(leader).cut();
    assert!(!writes(&cluster.address(leader)));
    assert_eq!(cluster.leader(), leader);
    // Redirected to where nobody gets through.
    let follower = (leader + 1) % 3;
    let answer = post(
        &cluster.address(follower),
        "/db/execute?redirect",
        r#"["SELECT 1"]"#,
    );
    let answer = answer.expect("answers");
    assert!(answer.contains(&cluster.address(leader)), "{answer}");
    assert_heals(&cluster);
}

#[test]
fn one_follower_cut_off_from_the_leader_only_is_no_matter() {
    let cluster = Cluster::builder().links().start(3);
    let leader = cluster.leader();
    let (near, far) = ((leader + 1) % 3, (leader + 2) % 3);
    cluster.between(leader, far).cut();
    cluster.between(far, leader).cut();
    // It may ask for an election, which the other one may grant.
    let leader = cluster.leader();
    wait_until("a leader writes", || writes(&cluster.address(leader)));
    assert_heals(&cluster);
    cluster.between(near, far).refuse();
    assert_heals(&cluster);
}

#[test]
fn killed_and_hung_leaders_are_replaced_and_come_back() {
    let mut cluster = Cluster::builder().links().start(3);
    let killed = cluster.leader();
    cluster.node_mut(killed).kill();
    // Its link is as dead as it is.
    let refused = post(&cluster.address(killed), "/nodes", "").expect_err("nobody is there");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "{refused}");
    cluster.next_leader(killed);
    cluster.node_mut(killed).restart();
    assert_heals(&cluster);
    let hung = cluster.leader();
    cluster.node(hung).pause();
    let silent = post(&cluster.address(hung), "/nodes", "").expect_err("it hangs");
    assert_eq!(silent.kind(), ErrorKind::WouldBlock, "{silent}");
    let new = cluster.next_leader(hung);
    wait_until("the new leader writes", || writes(&cluster.address(new)));
    cluster.node(hung).resume();
    assert_heals(&cluster);
}

#[test]
fn read_only_node_joins_behind_links_and_writes_nothing() {
    let mut cluster = Cluster::builder().links().start(3);
    cluster.add_read_only();
    let nodes = get(&cluster.address(0), "/nodes?nonvoters").expect("answers");
    assert!(nodes.contains("\"voter\":false"), "{nodes}");
    let old = cluster.leader();
    cluster.cut_off_from_peers(old);
    cluster.next_leader(old);
    assert_heals(&cluster);
}

#[test]
fn nodes_name_themselves_where_no_client_finds_them() {
    let cluster = Cluster::builder().unreachable_advertised().start(3);
    let addresses = cluster.addresses();
    let balancer = Link::balancing(addresses.iter().map(String::as_str));
    let mut redirected = 0;
    for _ in 0..3 {
        let answer = post(
            &balancer.address(),
            "/db/execute?redirect",
            r#"["SELECT 1"]"#,
        );
        let answer = answer.expect("answers");
        if answer.starts_with("HTTP/1.1 301") {
            assert!(answer.contains(".invalid:4001"), "{answer}");
            redirected += 1;
        }
    }
    assert_eq!(redirected, 2, "one of three leads");
    // They forward if they are let.
    for _ in 0..3 {
        let body = r#"["CREATE TABLE IF NOT EXISTS t (id)"]"#;
        let answer = post(&balancer.address(), "/db/execute", body).expect("answers");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}
