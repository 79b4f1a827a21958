//! A proxy in front of a node that loses requests and answers.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// What happens to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Pass,
    /// It is passed on, but the client gets this instead of the answer, and the connection is closed.
    Answer(&'static [u8]),
    /// It is not passed on; the connection is closed.
    Lose,
    /// The same, but it is kept, to be passed on by [`Proxy::deliver`].
    Keep,
    /// It is kept, and the client waits for its answer as long as it lives.
    Hold,
    /// It is passed on, and the client waits for its answer as long as it lives.
    HoldAnswer,
    /// It is passed on, but only so many bytes of the answer come, and the connection is closed.
    Cut(usize),
    /// The same, but what is missing comes after [`Proxy::release`].
    Part(usize),
    /// The same, but [`Proxy::release`] closes the connection.
    PartThenCut(usize),
}

pub(crate) struct Proxy {
    pub(crate) address: String,
    to: String,
    connections: Arc<AtomicUsize>,
    kept: Arc<Mutex<Vec<Vec<u8>>>>,
    held: Receiver<()>,
    /// Whether parts of answers go on.
    released: Arc<(Mutex<bool>, Condvar)>,
}

impl Proxy {
    /// `fate` is told the number of the request, counted from 1, and its text.
    pub(crate) fn start(
        to: String,
        fate: impl Fn(usize, &str) -> Fate + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("binds");
        let address = listener.local_addr().expect("is bound").to_string();
        let connections = Arc::<AtomicUsize>::default();
        let kept = Arc::default();
        let (hold, held) = channel();
        let released = Arc::<(Mutex<bool>, Condvar)>::default();
        let proxy = Proxy {
            address,
            to: to.clone(),
            connections: Arc::clone(&connections),
            kept: Arc::clone(&kept),
            held,
            released: Arc::clone(&released),
        };
        let fate = Arc::new(fate);
        let requests = Arc::new(Mutex::new(0));
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                connections.fetch_add(1, Ordering::Relaxed);
                let (to, fate) = (to.clone(), Arc::clone(&fate));
                let (requests, kept) = (Arc::clone(&requests), Arc::clone(&kept));
                let (hold, released) = (hold.clone(), Arc::clone(&released));
                thread::spawn(move || {
                    serve(client, &to, &*fate, &requests, &kept, &hold, &released);
                });
            }
        });
        proxy
    }

    pub(crate) fn url(&self) -> String {
        format!("rqlite://{}", self.address)
    }

    /// How many there were.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Whether a client waits for an answer that won't come, now or within this time.
    pub(crate) fn holds_within(&self, time: Duration) -> bool {
        self.held.recv_timeout(time).is_ok()
    }

    /// Goes on with the answers of which parts have come, from now on.
    pub(crate) fn release(&self) {
        let (released, all) = &*self.released;
        *released.lock().expect("no panic") = true;
        all.notify_all();
    }

    /// Passes on what was kept, late. Returns the answers.
    pub(crate) fn deliver(&self) -> Vec<String> {
        let kept = std::mem::take(&mut *self.kept.lock().expect("no panic"));
        let answers = kept.iter().filter_map(|request| forward(&self.to, request));
        answers
            .map(|answer| String::from_utf8_lossy(&answer).into_owned())
            .collect()
    }
}

fn serve(
    mut client: TcpStream,
    to: &str,
    fate: &impl Fn(usize, &str) -> Fate,
    requests: &Mutex<usize>,
    kept: &Mutex<Vec<Vec<u8>>>,
    hold: &Sender<()>,
    released: &(Mutex<bool>, Condvar),
) {
    while let Some(request) = read_message(&mut client) {
        // What the client asks about the cluster, whenever it wants to, is none of the test's requests.
        if request.starts_with(b"GET ") {
            match forward(to, &request) {
                Some(answer) if client.write_all(&answer).is_ok() => continue,
                _ => return,
            }
        }
        let number = {
            let mut requests = requests.lock().expect("no panic");
            *requests += 1;
            *requests
        };
        match fate(number, &String::from_utf8_lossy(&request)) {
            Fate::Pass => match forward(to, &request) {
                Some(answer) if client.write_all(&answer).is_ok() => {}
                _ => return,
            },
            Fate::Answer(answer) => {
                forward(to, &request);
                let _ = client.write_all(answer);
                return;
            }
            fate @ (Fate::Cut(length) | Fate::Part(length) | Fate::PartThenCut(length)) => {
                let answer = forward(to, &request).unwrap_or_default();
                let (part, rest) = answer.split_at(length.min(answer.len()));
                if client.write_all(part).is_err() || matches!(fate, Fate::Cut(_)) {
                    return;
                }
                let (released, all) = released;
                let released = released.lock().expect("no panic");
                drop(all.wait_while(released, |released| !*released));
                if matches!(fate, Fate::PartThenCut(_)) || client.write_all(rest).is_err() {
                    return;
                }
            }
            Fate::Lose => return,
            Fate::Keep => {
                kept.lock().expect("no panic").push(request);
                return;
            }
            fate @ (Fate::Hold | Fate::HoldAnswer) => {
                if fate == Fate::Hold {
                    kept.lock().expect("no panic").push(request);
                } else {
                    forward(to, &request);
                }
                // Nobody listens if the test is over.
                let _ = hold.send(());
                let _ = client.read(&mut [0]);
                return;
            }
        }
    }
}

/// What a node answers to a request.
pub(crate) fn forward(to: &str, request: &[u8]) -> Option<Vec<u8>> {
    let mut server = TcpStream::connect(to).ok()?;
    server.write_all(request).ok()?;
    read_message(&mut server)
}

/// One HTTP message, by its Content-Length or in chunks.
pub(crate) fn read_message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut message = Vec::new();
    let head = loop {
        let end = message.windows(4).position(|window| window == b"\r\n\r\n");
        match end {
            Some(end) => break end + 4,
            None if read_some(stream, &mut message) => {}
            None => return None,
        }
    };
    let text = String::from_utf8_lossy(&message[..head]).to_ascii_lowercase();
    let is_chunked = text.contains("transfer-encoding: chunked");
    let length = text.split("content-length: ").nth(1);
    let length: usize = length
        .and_then(|rest| rest.lines().next()?.trim().parse().ok())
        .unwrap_or(0);
    let is_whole = |message: &[u8]| match is_chunked {
        true => message.ends_with(b"\r\n0\r\n\r\n"),
        false => message.len() >= head + length,
    };
    while !is_whole(&message) {
        if !read_some(stream, &mut message) {
            return None;
        }
    }
    Some(message)
}

/// Whether there was something.
fn read_some(stream: &mut TcpStream, message: &mut Vec<u8>) -> bool {
    let mut buffer = [0; 4096];
    match stream.read(&mut buffer) {
        Ok(0) | Err(_) => false,
        Ok(count) => {
            message.extend_from_slice(&buffer[..count]);
            true
        }
    }
}
