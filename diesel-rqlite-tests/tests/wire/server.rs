//! A false server, for answers that a real one never gives.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::thread;

/// What the server answers.
pub(crate) enum Reply {
    /// With status 200.
    Json(String),
    /// All of it.
    Http(String),
    /// One of these after the other, each in a packet of its own. It is said when all are written. What ends with
    /// `{close}` ends the connection.
    Parts(Vec<String>, Sender<()>),
    /// Whatever this does with the connection, which is closed then.
    Stream(Box<dyn FnOnce(&mut TcpStream) + Send>),
}

pub(crate) struct FalseServer {
    pub(crate) address: String,
    seen: Arc<Mutex<Vec<String>>>,
}

const CLOSE: &str = "{close}";

/// An answer to what a connection asks when it is made.
pub(crate) const GREETING: &str = r#"{"results":[{"columns":["a"],"types":["text"]}],"time":0.1}"#;

impl FalseServer {
    /// The answer to each request, by its text: the first lines, the headers, and the body.
    pub(crate) fn start(answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("binds");
        let address = listener.local_addr().expect("is bound").to_string();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let (answer, kept) = (Arc::new(answer), Arc::clone(&seen));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (answer, seen) = (Arc::clone(&answer), Arc::clone(&kept));
                thread::spawn(move || serve(client, &*answer, &seen));
            }
        });
        FalseServer { address, seen }
    }

    /// One that greets, and then answers every request but those about the cluster with this.
    pub(crate) fn answering(body: &str) -> Self {
        let body = body.to_owned();
        let greeted = std::sync::atomic::AtomicBool::new(false);
        Self::start(move |request| {
            if request.starts_with("GET ") {
                return Reply::Http(not_found());
            }
            match greeted.swap(true, std::sync::atomic::Ordering::SeqCst) {
                false => Reply::Json(GREETING.to_owned()),
                true => Reply::Json(body.clone()),
            }
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("rqlite://{}?level=weak&leader_timeout=300ms", self.address)
    }

    /// The requests that have come.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("no panic").clone()
    }
}

pub(crate) fn not_found() -> String {
    "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned()
}

pub(crate) fn redirect(location: &str) -> String {
    format!("HTTP/1.1 301 Moved Permanently\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
}

fn serve(mut client: TcpStream, answer: &impl Fn(&str) -> Reply, seen: &Mutex<Vec<String>>) {
    let _ = client.set_nodelay(true);
    while let Some(request) = read(&mut client) {
        seen.lock().expect("no panic").push(request.clone());
        let text = match answer(&request) {
            Reply::Json(body) => format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ),
            Reply::Http(text) => text,
            Reply::Parts(parts, written) => {
                let mut goes_on = true;
                for part in parts {
                    goes_on = !part.ends_with(CLOSE);
                    let part = part.trim_end_matches(CLOSE);
                    if client.write_all(part.as_bytes()).is_err() {
                        return;
                    }
                    thread::sleep(std::time::Duration::from_millis(20));
                }
                // Nobody listens if the test is over.
                let _ = written.send(());
                match goes_on {
                    true => continue,
                    false => return,
                }
            }
            Reply::Stream(run) => return run(&mut client),
        };
        if client.write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

/// A request.
pub(crate) fn read(client: &mut impl Read) -> Option<String> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.trim().parse().ok())?
            });
            if body.len() >= length.unwrap_or(0) {
                return Some(text);
            }
        }
        match client.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}
