//! The stream under a line: how a stream to a server is opened and closed. A seam: tests bring pipes.

use std::fmt;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};

use super::address::Server;
use crate::clock::{Clock, SystemClock};
use crate::validity::later;

/// How long a silent peer goes unprobed, and how long sent bytes may stay unacknowledged.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// What an address has to answer before the next one is tried beside it.
const HEAD_START: Duration = Duration::from_millis(250);

/// A stream of bytes to a server.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Wire for T {}

/// Opens streams.
pub trait Connector: fmt::Debug + Send + Sync + 'static {
    /// Opens a stream to `server`; once `abort` is set, closing it discards what the peer has not acknowledged.
    fn connect(
        &self,
        server: Server,
        abort: Abort,
    ) -> BoxFuture<'static, io::Result<Box<dyn Wire>>>;
}

/// Whether a stream is to be closed with linger 0: a command that is still under way on a connection that was given up
/// must not arrive behind what a newer connection sends (safety.md H5).
#[derive(Clone, Debug, Default)]
pub struct Abort(Arc<AtomicBool>);

impl Abort {
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Sockets of the operating system.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sockets {
    #[cfg(feature = "tls")]
    pub(crate) certificates: super::tls::Certificates,
}

impl Connector for Sockets {
    fn connect(
        &self,
        server: Server,
        abort: Abort,
    ) -> BoxFuture<'static, io::Result<Box<dyn Wire>>> {
        #[cfg(feature = "tls")]
        let certificates = self.certificates.clone();
        Box::pin(async move {
            match server {
                Server::Tcp { host, port } => {
                    Ok(Box::new(TcpWire::open(&host, port, abort).await?) as Box<dyn Wire>)
                }
                #[cfg(feature = "tls")]
                Server::Tls { host, port } => {
                    let tcp = TcpWire::open(&host, port, abort).await?;
                    Ok(Box::new(super::tls::wrap(&host, tcp, certificates).await?) as Box<dyn Wire>)
                }
                #[cfg(unix)]
                Server::Unix { path } => {
                    Ok(Box::new(tokio::net::UnixStream::connect(path).await?) as Box<dyn Wire>)
                }
                #[allow(unreachable_patterns, reason = "which kinds are left depends on features")]
                other => {
                    let what = format!("{other:?} is not supported by this build");
                    Err(io::Error::new(io::ErrorKind::Unsupported, what))
                }
            }
        })
    }
}

/// Connects to one of a name's addresses, the first ones first. One that is silent does not stand in the way of the next
/// (RFC 8305).
async fn dial(mut addresses: impl Iterator<Item = SocketAddr>) -> io::Result<TcpStream> {
    let mut dialled = FuturesUnordered::new();
    let mut error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        let next = addresses.next();
        let head_start = match next {
            Some(_) => SystemClock.sleep_until(later(SystemClock.now(), HEAD_START)),
            None => Box::pin(pending()),
        };
        dialled.extend(next.map(TcpStream::connect));
        tokio::select! {
            biased;
            outcome = dialled.next() => match outcome {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(why)) => error = why,
                None => return Err(error),
            },
            () = head_start => {}
        }
    }
}

/// A TCP stream that can be told to vanish.
pub(super) struct TcpWire {
    stream: TcpStream,
    abort: Abort,
}

impl TcpWire {
    async fn open(host: &str, port: u16, abort: Abort) -> io::Result<Self> {
        let stream = dial(lookup_host((host, port)).await?).await?;
        stream.set_nodelay(true)?;
        let socket = SockRef::from(&stream);
        socket.set_tcp_keepalive(
            &TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE),
        )?;
        #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
        socket.set_tcp_user_timeout(Some(KEEPALIVE))?;
        Ok(Self { stream, abort })
    }
}

impl Drop for TcpWire {
    fn drop(&mut self) {
        if self.abort.is_set() {
            // Best effort: where it fails, the next connection kills this one by its id.
            drop(SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)));
        }
    }
}

impl AsyncRead for TcpWire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for TcpWire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_stream_waits_for_nothing_and_notices_when_its_peer_is_gone() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let wire = TcpWire::open("127.0.0.1", port, Abort::default()).await.unwrap();
        let socket = SockRef::from(&wire.stream);
        assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
        #[cfg(target_os = "linux")]
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(KEEPALIVE));
    }

    /// What the peer reads when the stream is dropped.
    async fn end_of_a_stream(abort: bool) -> io::Result<usize> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let given_up = Abort::default();
        let server = Server::Tcp { host: "127.0.0.1".to_owned(), port };
        let wire = Sockets::default().connect(server, given_up.clone()).await?;
        let (mut peer, _) = listener.accept().await?;
        if abort {
            given_up.set();
        }
        drop(wire);
        peer.read(&mut [0; 8]).await
    }

    /// A server that answers nobody: its queue is full. (Elsewhere that is refused.)
    #[cfg(target_os = "linux")]
    async fn silent() -> (socket2::Socket, Vec<TcpStream>, SocketAddr) {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let socket = socket.expect("there are sockets");
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        socket.bind(&any.into()).expect("there are ports");
        socket.listen(0).expect("it listens");
        let address = socket.local_addr().ok().and_then(|it| it.as_socket()).expect("it has one");
        let mut queued = Vec::new();
        while let Ok(stream) = tokio::time::timeout(HEAD_START, TcpStream::connect(address)).await {
            queued.push(stream.expect("it is queued"));
        }
        (socket, queued, address)
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn an_address_that_is_silent_or_refuses_does_not_stand_in_the_way_of_the_next() {
        let (_socket, _queued, silent) = silent().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        let refusing = {
            let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
            gone.local_addr().unwrap()
        };
        for first in [silent, refusing] {
            // The system itself gives up after two minutes.
            let dialled = tokio::time::timeout(KEEPALIVE, dial([first, good].into_iter())).await;
            let stream = dialled.expect("the next one is tried beside it").unwrap();
            assert_eq!(stream.peer_addr().unwrap(), good);
        }
        let error = dial([refusing; 2].into_iter()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(dial([].into_iter()).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn a_stream_that_is_given_up_is_reset_and_any_other_is_closed() {
        assert_eq!(end_of_a_stream(false).await.unwrap(), 0);
        let error = end_of_a_stream(true).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
}
