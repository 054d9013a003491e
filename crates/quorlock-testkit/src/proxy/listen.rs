//! Listening on loopback: a socket that stops at once when its owner is dropped, and a port that stays ours
//! in between. What happens to a connection is the caller's business.

use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::AbortHandle;

use super::wire::lock;

const BACKLOG: u32 = 1024;

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
        Ok(Listening::start(bind(self.addr)?.listen(BACKLOG)?, on_accept))
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

/// A listening socket and the task that accepts. Once `drop` has returned, connections are refused.
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
        if let Some(listener) = lock(&self.socket).take() {
            // A process that another thread is just starting has a copy of the socket until it runs its own
            // program: closing ours does not end it. Where the system cannot do this, it says so, and closing is all.
            let _ = SockRef::from(&listener).shutdown(Shutdown::Both);
        }
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::ErrorKind;
    use std::os::fd::AsFd;

    use super::*;

    #[tokio::test]
    async fn a_copy_of_the_socket_keeps_nothing_open() {
        let (port, listening) = Port::open(drop).unwrap();
        let copy = lock(&listening.socket).as_ref().unwrap().as_fd().try_clone_to_owned().unwrap();
        drop(listening);
        let refused = std::net::TcpStream::connect(port.addr()).expect_err("nobody listens");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        let again = port.listen(drop).unwrap();
        TcpStream::connect(port.addr()).await.unwrap();
        drop((again, copy));
    }
}
