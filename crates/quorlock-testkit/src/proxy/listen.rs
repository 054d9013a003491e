//! Listening on loopback: a socket that stops at once when its owner is dropped, and a port that stays ours
//! in between. What happens to a connection is the caller's business.

use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::AbortHandle;

use super::wire::lock;

const BACKLOG: u32 = 1024;
/// A process that another thread is just starting has a copy of the old listener, until it runs its own program.
const LET_GO_WITHIN: Duration = Duration::from_secs(2);

/// A loopback port that nobody else gets while this lives, listened on or not: a bound socket that never
/// listens stands beside the one that does. A connection to it is refused by the system.
#[derive(Debug)]
pub(crate) struct Port {
    addr: SocketAddr,
    /// None where the system allows one socket per port only.
    _placeholder: Option<TcpSocket>,
}

impl Port {
    /// Finds a free port and starts listening on it.
    pub(crate) fn open(
        on_accept: impl Fn(TcpStream) + Send + 'static,
    ) -> io::Result<(Self, Listening)> {
        let placeholder = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let addr = placeholder.local_addr()?;
        let (socket, placeholder) = match bind(addr) {
            Ok(socket) => (socket, Some(placeholder)),
            Err(_) => (placeholder, None),
        };
        let listening = Listening::start(socket.listen(BACKLOG)?, on_accept);
        Ok((Self { addr, _placeholder: placeholder }, listening))
    }

    /// Listens again, after the last [`Listening`] was dropped.
    pub(crate) fn listen(
        &self,
        on_accept: impl Fn(TcpStream) + Send + 'static,
    ) -> io::Result<Listening> {
        let end = std::time::Instant::now() + LET_GO_WITHIN;
        loop {
            match bind(self.addr).and_then(|socket| socket.listen(BACKLOG)) {
                Err(error)
                    if error.kind() == io::ErrorKind::AddrInUse
                        && std::time::Instant::now() < end =>
                {
                    std::thread::sleep(Duration::from_millis(1));
                }
                listener => return Ok(Listening::start(listener?, on_accept)),
            }
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }
}

fn bind(addr: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    Ok(socket)
}

/// A listening socket and the task that accepts. Dropping it closes the socket before `drop` returns.
#[derive(Debug)]
pub(crate) struct Listening {
    socket: Arc<Mutex<Option<TcpListener>>>,
    task: AbortHandle,
}

impl Listening {
    fn start(listener: TcpListener, on_accept: impl Fn(TcpStream) + Send + 'static) -> Self {
        let socket = Arc::new(Mutex::new(Some(listener)));
        let task = tokio::spawn(accept(Arc::clone(&socket), on_accept)).abort_handle();
        Self { socket, task }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
        drop(lock(&self.socket).take());
    }
}

async fn accept(socket: Arc<Mutex<Option<TcpListener>>>, on_accept: impl Fn(TcpStream)) {
    loop {
        let accepted = poll_fn(|cx| match lock(&socket).as_ref() {
            Some(listener) => listener.poll_accept(cx).map(Some),
            None => Poll::Ready(None),
        });
        match accepted.await {
            Some(Ok((stream, _))) => on_accept(stream),
            // No file handles left, most likely: that does not pass by asking again at once.
            Some(Err(_)) => tokio::time::sleep(Duration::from_millis(10)).await,
            None => return,
        }
    }
}
