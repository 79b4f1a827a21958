//! The listening socket: what those meet who connect.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{Backlog, Shutdown, listen, shutdown};

use super::state::{Entrance, Shared, State};

/// As many as may wait to be accepted.
const QUEUE: i32 = 128;

/// Between looks at a socket that does not listen yet, or no more.
const SHORT: Duration = Duration::from_millis(1);

/// Who has not got through on loopback by then, won't.
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

    /// Waits until somebody connects, or it is closed.
    pub(super) fn wait(&self) {
        let mut polled = [PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)];
        let is_ready = poll(&mut polled, PollTimeout::NONE).is_ok();
        if !is_ready || polled[0].revents() != Some(PollFlags::POLLIN) {
            // It follows what is wanted in a moment.
            thread::sleep(SHORT);
        }
    }

    /// Who is at the door, if anybody is still there.
    pub(super) fn accept(&self) -> Option<(TcpStream, SocketAddr)> {
        self.listener.accept().ok()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Entrance> {
        self.entrance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is to happen, and then what new connections meet.
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

    /// A socket that is bound and does not listen keeps its port. Who waits for it is woken.
    fn refuse(&self) {
        shutdown(self.listener.as_raw_fd(), Shutdown::Read).expect("the socket listens");
    }

    /// No packet gets an answer while the queue is full of those that nobody accepts. That they are closed again leaves
    /// them where they are.
    fn fall_silent(&self) {
        self.listen(0);
        while TcpStream::connect_timeout(&self.address, LOST).is_ok() {}
    }
}

/// The port must be named: one that the system chose would be lost when the socket does not listen.
fn bind() -> io::Result<TcpListener> {
    loop {
        let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
        match TcpListener::bind(address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            outcome => return outcome,
        }
    }
}
