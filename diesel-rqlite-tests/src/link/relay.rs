//! Accepts connections and forwards their bytes.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::door::Door;
use super::state::{Passage, Shared, Way};

/// The timeout for connecting. The server is on this machine: it answers at once, or it is a link that is cut.
const CONNECT: Duration = Duration::from_secs(1);

pub(super) fn accept(
    shared: &Arc<Shared>,
    door: &Door,
    source: &dyn Fn(SocketAddr, SocketAddr) -> Option<usize>,
) {
    while shared.wait_to_accept() {
        door.wait();
        let Some((client, from)) = shared.accept_if_open(|| door.accept()) else {
            continue;
        };
        let Some(wire) = source(from, door.address) else {
            continue;
        };
        let shared = Arc::clone(shared);
        // If a connection fails, its ends report it.
        thread::spawn(move || serve(&shared, wire, client));
    }
}

fn serve(shared: &Arc<Shared>, wire: usize, client: TcpStream) -> Option<()> {
    let number = shared.arrived(wire, client.try_clone().ok()?)?;
    let outcome = relay(shared, number, client);
    shared.ended(number);
    outcome
}

fn relay(shared: &Arc<Shared>, number: u64, client: TcpStream) -> Option<()> {
    let (targets, was_cut) = shared.handshake(number)?;
    if was_cut && has_hung_up(&client) {
        // The server would never have received the connection.
        return None;
    }
    let mut connected = targets
        .iter()
        .map(|target| TcpStream::connect_timeout(target, CONNECT));
    let server = connected.find_map(Result::ok)?;
    if !shared.connected(number, server.try_clone().ok()?) {
        return None;
    }
    client.set_nodelay(true).ok()?;
    server.set_nodelay(true).ok()?;
    let (from, to) = (server.try_clone().ok()?, client.try_clone().ok()?);
    let shared_back = Arc::clone(shared);
    let back = thread::spawn(move || pump(&shared_back, number, Way::Back, from, to));
    pump(shared, number, Way::Forth, client, server);
    back.join().ok()
}

/// The event that no more bytes will come, even if some are still waiting to be read.
#[cfg(target_os = "linux")]
const END: PollFlags = PollFlags::from_bits_retain(nix::libc::POLLRDHUP);
#[cfg(not(target_os = "linux"))]
const END: PollFlags = PollFlags::POLLHUP;

fn has_hung_up(client: &TcpStream) -> bool {
    let mut polled = [PollFd::new(client.as_fd(), END)];
    poll(&mut polled, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

/// Forwards the bytes of one direction, and the end of the stream.
fn pump(shared: &Shared, number: u64, way: Way, mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut buffer);
        match shared.pass(number, way) {
            Passage::End => return,
            Passage::Swallow if matches!(length, Ok(1..)) => continue,
            // The end of the stream is lost like the bytes.
            Passage::Swallow => return,
            Passage::Deliver => {}
        }
        let passed_on = match length {
            Ok(0) => {
                let _ = to.shutdown(Shutdown::Write);
                return;
            }
            Ok(length) => to.write_all(&buffer[..length]),
            Err(error) => Err(error),
        };
        if passed_on.is_err() {
            let _ = to.shutdown(Shutdown::Both);
            // If one end is gone, this is reported in the opposite direction.
            let other = match way {
                Way::Forth => Way::Back,
                Way::Back => Way::Forth,
            };
            if shared.pass(number, other) == Passage::Deliver {
                let _ = from.shutdown(Shutdown::Both);
            }
            return;
        }
    }
}
