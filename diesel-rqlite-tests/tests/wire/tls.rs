//! Whom a connection trusts, and what it shows of itself, on both connections.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use diesel_rqlite::{Forwarding, RqliteConfig};
use diesel_rqlite_tests::{ClientCertificate, Cluster, Rqlited};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::any::{KINDS, KINDS_AND_RUNTIMES, message};
use crate::server::{GREETING, not_found, read};

fn config(node: &Rqlited) -> RqliteConfig {
    let address = node.address();
    let port = address
        .rsplit(':')
        .next()
        .and_then(|port| port.parse().ok());
    RqliteConfig::new("localhost", port.expect("a port")).tls()
}

fn trusting(node: &Rqlited) -> RqliteConfig {
    config(node).ca_certificates(node.ca_certificate_pem().expect("has TLS"))
}

/// As `openssl req -x509` makes it, which most have: an authority's, and without the node's name.
#[test]
fn exactly_the_certificate_that_is_given_is_trusted() {
    let node = Rqlited::builder().authority_tls().start();
    let other = Rqlited::builder().authority_tls().start();
    let pem = node.ca_certificate_pem().expect("has TLS");
    for kind in KINDS {
        let mut conn = kind.connect(&trusting(&node)).expect("connects");
        assert_eq!(conn.values("SELECT 7 AS value"), Ok(vec![7]));
        // Another node's, made in the same way, with the same names.
        let refused = message(kind.connect(&config(&other).ca_certificates(pem)));
        assert!(refused.contains("certificate"), "{kind:?}: {refused}");
        // None of the authorities of the web.
        let refused = message(kind.connect(&config(&node)));
        assert!(refused.contains("certificate"), "{kind:?}: {refused}");
    }
}

#[test]
fn file_holds_the_certificates_of_several_nodes() {
    let nodes = [
        Rqlited::builder().authority_tls().start(),
        Rqlited::builder().tls().start(),
    ];
    let all: Vec<_> = nodes
        .iter()
        .filter_map(Rqlited::ca_certificate_pem)
        .collect();
    for node in &nodes {
        for kind in KINDS {
            let config = config(node).ca_certificates(all.concat());
            let mut conn = kind.connect(&config).expect("connects");
            assert_eq!(conn.values("SELECT 7 AS value"), Ok(vec![7]));
        }
    }
}

#[test]
fn client_shows_its_certificate() {
    let client = ClientCertificate::create();
    let stranger = ClientCertificate::create();
    let node = Rqlited::builder().client_certificate(&client).start();
    for kind in KINDS {
        let shown = trusting(&node).client_certificate(&*client.certificate, &*client.key);
        let mut conn = kind.connect(&shown).expect("connects");
        assert_eq!(conn.values("SELECT 7 AS value"), Ok(vec![7]));

        let refused = message(kind.connect(&trusting(&node)));
        assert!(
            refused.contains("asks for a client certificate"),
            "{kind:?}: {refused}"
        );
        let shown = trusting(&node).client_certificate(&*stranger.certificate, &*stranger.key);
        kind.connect(&shown).map(|_| ()).expect_err("is a stranger");
        let mixed = trusting(&node).client_certificate(&*client.certificate, &*stranger.key);
        let refused = message(kind.connect(&mixed));
        assert!(
            refused.contains("client certificate"),
            "{kind:?}: {refused}"
        );
        let none = trusting(&node).client_certificate(&*client.certificate, "not a key");
        let refused = message(kind.connect(&none));
        assert!(
            refused.contains("client key: no private key"),
            "{kind:?}: {refused}"
        );
    }
}

#[test]
fn client_certificate_of_a_url_is_in_files() {
    let client = ClientCertificate::create();
    let node = Rqlited::builder().client_certificate(&client).start();
    let ca = node.ca_certificate().expect("has TLS");
    let directory = ca.parent().expect("is in a directory");
    let (certificate, key) = (directory.join("client.pem"), directory.join("client.key"));
    std::fs::write(&certificate, &client.certificate).expect("writes");
    std::fs::write(&key, &client.key).expect("writes");
    let url = format!("{}?ca_cert={}", node.url(), ca.display());
    let both = format!(
        "{url}&client_cert={}&client_key={}",
        certificate.display(),
        key.display()
    );
    for kind in KINDS {
        let mut conn = kind.connect_url(&both).expect("connects");
        assert_eq!(conn.values("SELECT 7 AS value"), Ok(vec![7]));
        let half = format!("{url}&client_cert={}", certificate.display());
        assert!(
            message(kind.connect_url(&half)).contains("client_key"),
            "{kind:?}"
        );
    }
}

#[test]
fn configuration_of_rustls_is_used_as_it_is() {
    use rustls::pki_types::CertificateDer;

    let node = Rqlited::builder().tls().start();
    let pem = node.ca_certificate_pem().expect("has TLS");
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(pem.as_bytes()).expect("is PEM"))
        .expect("is a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12]);
    let builder = builder.expect("TLS 1.2").with_root_certificates(roots);
    let mut custom = builder.with_no_client_auth();
    custom.alpn_protocols = vec![b"h2".to_vec()];
    for kind in KINDS {
        let config = config(&node).tls_config(Arc::new(custom.clone()));
        let mut conn = kind.connect(&config).expect("connects");
        assert_eq!(conn.values("SELECT 7 AS value"), Ok(vec![7]));
    }
}

/// No test: it has a machine of its own, as far as that is in the environment.
#[test]
fn connects_where_the_system_trusts_the_node() {
    let Ok(url) = std::env::var("TRUSTED_BY_THE_SYSTEM") else {
        return;
    };
    for kind in KINDS {
        let roots = format!("{url}?roots=system");
        let mut conn = kind.connect_url(&roots).expect("connects");
        assert_eq!(conn.values("SELECT 7 AS value"), Ok(vec![7]));
        let config = url.parse::<RqliteConfig>().expect("a URL").system_roots();
        kind.connect(&config).map(|_| ()).expect("connects");
        for roots in ["", "?roots=web"] {
            let refused = message(kind.connect_url(&format!("{url}{roots}")));
            assert!(refused.contains("certificate"), "{kind:?}: {refused}");
        }
    }
}

#[test]
fn roots_of_the_system_can_be_chosen() {
    let node = Rqlited::builder().tls().start();
    // What this machine trusts is not what the tests made.
    for kind in KINDS {
        let refused = message(kind.connect(&config(&node).system_roots()));
        assert!(refused.contains("certificate"), "{kind:?}: {refused}");
    }
    let child = std::process::Command::new(std::env::current_exe().expect("is a file"))
        .args(["--exact", "tls::connects_where_the_system_trusts_the_node"])
        .env("TRUSTED_BY_THE_SYSTEM", node.url())
        .env("SSL_CERT_FILE", node.ca_certificate().expect("has TLS"))
        .output()
        .expect("starts");
    assert!(child.status.success(), "{child:?}");
    assert!("rqlites://h?roots=none".parse::<RqliteConfig>().is_err());
}

/// A connection to a node that does not lead.
fn follower(cluster: &Cluster, place: usize) -> RqliteConfig {
    let address = cluster.address(place);
    let port = address.rsplit(':').next().expect("a port");
    let config = RqliteConfig::new("127.0.0.1", port.parse().expect("a port"));
    config.tls().ca_certificates(cluster.ca_certificates())
}

/// What follows another node's word goes there with the same certificate, and trusts the same.
#[test]
fn leader_is_reached_by_tls_and_with_the_certificate() {
    let client = ClientCertificate::create();
    let builders = [
        Cluster::builder().tls(),
        Cluster::builder().client_certificate(&client),
    ];
    for builder in builders {
        let cluster = builder.patient().start(2);
        let other = 1 - cluster.leader();
        for kind in KINDS {
            for (forwarding, discovery) in [
                (Forwarding::Never, false),
                (Forwarding::Never, true),
                (Forwarding::Always, true),
            ] {
                let config = follower(&cluster, other).forwarding(forwarding);
                let config = config.discovery(discovery);
                let shown = config
                    .clone()
                    .client_certificate(&*client.certificate, &*client.key);
                let mut conn = kind.connect(&shown).expect("connects");
                let created = conn.execute("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY)");
                created.expect("creates");
                let inserted = conn.execute("INSERT INTO t DEFAULT VALUES");
                assert_eq!(inserted, Ok(1), "{kind:?} {forwarding:?} {discovery}");
                // The follower's certificate says nothing about the leader.
                let pem = cluster.node(other).ca_certificate_pem();
                let one = shown.ca_certificates(pem.expect("has TLS"));
                if forwarding == Forwarding::Never {
                    let one = one.leader_timeout(Duration::from_millis(100));
                    let refused = message(kind.connect(&one));
                    assert!(refused.contains("certificate"), "{kind:?}: {refused}");
                }
            }
        }
    }
}

/// What a server does behind its answer to a write.
#[derive(Clone, Copy, Debug)]
enum Behind {
    Nothing,
    /// It says that nothing more comes, and leaves the socket as it is.
    End,
    /// It answers once more.
    Answer,
}

const WRITTEN: &str = r#"{"results":[{"rows_affected":1}]}"#;
const WRITTEN_TWICE: &str = r#"{"results":[{"rows_affected":2}]}"#;

fn answer(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// What it does is in one packet with the answer, in a record of its own. `blanks` are in the answer.
fn serve(
    client: TcpStream,
    config: Arc<ServerConfig>,
    behind: Behind,
    blanks: usize,
) -> io::Result<()> {
    let server = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(server, client);
    while let Some(request) = read(&mut stream) {
        let is_write = request.starts_with("POST /db/execute");
        let text = match request.starts_with("GET ") {
            true => not_found(),
            false if is_write => answer(&WRITTEN.replace('[', &format!("[{:blanks$}", ""))),
            false => answer(GREETING),
        };
        let (server, mut packet) = (&mut stream.conn, Vec::new());
        server.writer().write_all(text.as_bytes())?;
        match behind {
            Behind::Answer if is_write => {
                server.writer().flush()?;
                server
                    .writer()
                    .write_all(answer(WRITTEN_TWICE).as_bytes())?;
            }
            Behind::End if is_write => server.send_close_notify(),
            _ => {}
        }
        while server.wants_write() {
            server.write_tls(&mut packet)?;
        }
        stream.sock.write_all(&packet)?;
        if matches!(behind, Behind::End) && is_write {
            // Until the client closes it.
            while stream.sock.read(&mut [0; 1000])? > 0 {}
            return Ok(());
        }
    }
    Ok(())
}

/// A false server that does this with each connection, and how to reach it.
pub(crate) fn secure(
    serve: impl Fn(TcpStream, Arc<ServerConfig>) -> io::Result<()> + Send + Sync + 'static,
) -> RqliteConfig {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("is made");
    let key = PrivateKeyDer::from_pem_slice(made.signing_key.serialize_pem().as_bytes());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.expect("a key"));
    let config = Arc::new(config.expect("a certificate"));
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("binds");
    let port = listener.local_addr().expect("is bound").port();
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (config, serve) = (Arc::clone(&config), Arc::clone(&serve));
            thread::spawn(move || serve(client, config));
        }
    });
    RqliteConfig::new("localhost", port)
        .tls()
        .ca_certificates(made.cert.pem())
        .request_timeout(Duration::from_secs(2))
}

#[test]
fn connection_that_has_ended_or_says_too_much_is_not_used_again() {
    for behind in [Behind::Nothing, Behind::End, Behind::Answer] {
        let config = secure(move |client, config| serve(client, config, behind, 0));
        for kind in KINDS_AND_RUNTIMES {
            let mut conn = kind.connect(&config).expect("connects");
            for _ in 0..3 {
                assert_eq!(conn.execute("DELETE FROM t"), Ok(1), "{behind:?} {kind:?}");
            }
        }
    }
}

/// TLS is read in pieces, and the second answer may be in another one than the first.
#[test]
fn answer_in_the_next_piece_is_not_the_next_answer() {
    for blanks in (3600..4200).step_by(50).chain([8000, 12_000]) {
        let behind = Behind::Answer;
        let config = secure(move |client, config| serve(client, config, behind, blanks));
        for kind in KINDS_AND_RUNTIMES {
            let mut conn = kind.connect(&config).expect("connects");
            for _ in 0..2 {
                assert_eq!(conn.execute("DELETE FROM t"), Ok(1), "{blanks} {kind:?}");
            }
        }
    }
}
