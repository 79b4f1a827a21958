//! A server in front of a node that is gone, or stalls, at a request of the test's choice.

use std::io::Write;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use crate::proxy::{forward, read_message};

/// What happens to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Pass,
    /// It is not passed on, and this is its answer.
    With(&'static [u8]),
    /// It is answered, but before that all other connections are closed, and nobody listens any more.
    Last,
    /// The same, with this answer. The node does not get the request.
    LastWith(&'static [u8]),
    /// Of the answer, the head comes and one byte of the body. The rest comes after [`Front::release`]. Without that,
    /// the connection is closed when a client has waited far too long.
    Stall,
}

/// The answer of a node that knows no leader.
pub(crate) const NO_LEADER: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 17\r\n\r\nleader not found\n";

/// How long a client waits that waits too long.
const FAR_TOO_LONG: Duration = Duration::from_secs(20);

pub(crate) struct Front {
    pub(crate) address: String,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    now: Mutex<Now>,
    changed: Condvar,
}

#[derive(Default)]
struct Now {
    is_closing: bool,
    is_closed: bool,
    is_released: bool,
    streams: Vec<TcpStream>,
}

impl State {
    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().expect("no panic")
    }

    fn change(&self, change: impl FnOnce(&mut Now)) {
        change(&mut self.now());
        self.changed.notify_all();
    }

    fn wait_while(&self, is_so: impl FnMut(&mut Now) -> bool) {
        let waited = self
            .changed
            .wait_timeout_while(self.now(), FAR_TOO_LONG, is_so);
        drop(waited.expect("no panic"));
    }

    /// Returns when nobody listens, and no other connection is open.
    fn close(&self, address: &str) {
        self.change(|now| now.is_closing = true);
        // The thread that accepts connections has to notice.
        let _ = TcpStream::connect(address);
        self.wait_while(|now| !now.is_closed);
    }
}

impl Front {
    /// `act` is told the text of each request.
    pub(crate) fn start(to: String, act: impl Fn(&str) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("binds");
        let address = listener.local_addr().expect("is bound").to_string();
        let state = Arc::<State>::default();
        let front = Front {
            address: address.clone(),
            state: Arc::clone(&state),
        };
        let act = Arc::new(act);
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                if state.now().is_closing {
                    break;
                }
                let other = client.try_clone().expect("is open");
                state.now().streams.push(other);
                let (to, address) = (to.clone(), address.clone());
                let (state, act) = (Arc::clone(&state), Arc::clone(&act));
                thread::spawn(move || serve(client, &to, &address, &state, &*act));
            }
            drop(listener);
            state.change(|now| now.is_closed = true);
        });
        front
    }

    /// Lets what was held back come, from now on.
    pub(crate) fn release(&self) {
        self.state.change(|now| now.is_released = true);
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.release();
        self.state.close(&self.address);
    }
}

fn serve(
    mut client: TcpStream,
    to: &str,
    address: &str,
    state: &State,
    act: &impl Fn(&str) -> Act,
) {
    while let Some(request) = read_message(&mut client) {
        let act = act(&String::from_utf8_lossy(&request));
        let answer = match act {
            Act::With(answer) | Act::LastWith(answer) => Some(answer.to_vec()),
            Act::Pass | Act::Last | Act::Stall => forward(to, &request),
        };
        let Some(answer) = answer else { return };
        match act {
            Act::Pass | Act::With(_) if client.write_all(&answer).is_ok() => {}
            Act::Pass | Act::With(_) => return,
            Act::Last | Act::LastWith(_) => {
                state.close(address);
                let own = client.peer_addr().ok();
                for stream in std::mem::take(&mut state.now().streams) {
                    if stream.peer_addr().ok() != own {
                        let _ = stream.shutdown(Shutdown::Both);
                    }
                }
                let _ = client.write_all(&answer);
                let _ = client.shutdown(Shutdown::Both);
                return;
            }
            Act::Stall => {
                let head = answer.windows(4).position(|window| window == b"\r\n\r\n");
                let length = head.map_or(0, |head| head + 5).min(answer.len());
                let (part, rest) = answer.split_at(length);
                let begun = client.write_all(part);
                state.wait_while(|now| !now.is_released);
                let is_released = state.now().is_released;
                if begun.is_err() || !is_released || client.write_all(rest).is_err() {
                    let _ = client.shutdown(Shutdown::Both);
                    return;
                }
            }
        }
    }
}
