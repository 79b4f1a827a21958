//! The listening socket, which determines how new connections are treated.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{Backlog, Shutdown, listen, shutdown};

use super::state::{Entrance, Shared, State};

/// The number of connections that may wait to be accepted.
const QUEUE: i32 = 128;

/// The interval between checks of a socket that does not listen yet, or no longer listens.
const SHORT: Duration = Duration::from_millis(1);

/// The time after which a connection on loopback that has not succeeded never will.
const LOST: Duration = Duration::from_millis(50);

pub(super) struct Door {
    pub(super) address: SocketAddr,
    listener: TcpListener,
    entrance: Mutex<Entrance>,
}

impl Door {
    pub(super) fn closed() -> io::Result<Self> {
        let listener = bind()?;
        listener.set_nonblocking(true)?;
        let door = Door {
            address: listener.local_addr()?,
            listener,
            entrance: Mutex::new(Entrance::Open),
        };
        door.refuse();
        *door.lock() = Entrance::Refused;
        Ok(door)
    }

    /// Waits until somebody connects, or the socket is closed.
    pub(super) fn wait(&self) {
        let mut polled = [PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)];
        let is_ready = poll(&mut polled, PollTimeout::NONE).is_ok();
        if !is_ready || polled[0].revents() != Some(PollFlags::POLLIN) {
            // The socket soon changes to the requested state.
            thread::sleep(SHORT);
        }
    }

    /// Accepts a connection, if its client is still there.
    pub(super) fn accept(&self) -> Option<(TcpStream, SocketAddr)> {
        self.listener.accept().ok()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Entrance> {
        self.entrance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and then the treatment of new connections.
    pub(super) fn change(&self, shared: &Shared, change: impl FnOnce(&mut State)) {
        let mut entrance = self.lock();
        shared.change(change);
        let wanted = shared.lock().entrance();
        if wanted != *entrance {
            match wanted {
                Entrance::Open => self.listen(QUEUE),
                Entrance::Refused => self.refuse(),
                Entrance::Silent => self.fall_silent(),
            }
            *entrance = wanted;
        }
    }

    fn listen(&self, queue: i32) {
        let queue = Backlog::new(queue).expect("is within bounds");
        listen(&self.listener, queue).expect("the socket is bound");
    }

    /// Refuses connections. A socket that is bound and does not listen keeps its port. Threads that wait for it are
    /// woken.
    fn refuse(&self) {
        shutdown(self.listener.as_raw_fd(), Shutdown::Read).expect("the socket listens");
    }

    /// Stops answering packets: the queue is full of connections that nobody accepts. They stay in the queue even
    /// when their clients close them.
    fn fall_silent(&self) {
        self.listen(0);
        while TcpStream::connect_timeout(&self.address, LOST).is_ok() {}
    }
}

/// Binds the socket to an explicit port. A port that the system chose would be lost when the socket stops listening.
fn bind() -> io::Result<TcpListener> {
    loop {
        let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
        match TcpListener::bind(address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            outcome => return outcome,
        }
    }
}
