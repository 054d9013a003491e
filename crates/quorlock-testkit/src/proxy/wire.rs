//! One end of a connection, TCP or in memory, that can be closed or reset from outside at any moment.
//! It knows no protocol and starts no tasks.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::TcpStream;

/// Locks, also after a panic elsewhere: the test that panicked has failed already.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The two kinds of connections.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Pipe(DuplexStream),
}

impl Stream {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Pipe(pipe) => Pin::new(pipe).poll_read(cx, buf),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Self::Pipe(pipe) => Pin::new(pipe).poll_write(cx, bytes),
        }
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Pipe(pipe) => Pin::new(pipe).poll_shutdown(cx),
        }
    }
}

/// A shared slot for a stream. An empty slot reads as closed and refuses to write.
///
/// A task that waits on a wire is not woken when the slot is emptied: whoever empties it ends the task.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wire(Arc<Mutex<Option<Stream>>>);

impl Wire {
    pub(crate) fn new(stream: Stream) -> Self {
        let wire = Self::default();
        wire.fill(stream);
        wire
    }

    pub(crate) fn fill(&self, stream: Stream) {
        if let Stream::Tcp(tcp) = &stream {
            // Without it a fault's timing would be blurred by Nagle's; a socket that is gone needs none.
            let _ = tcp.set_nodelay(true);
        }
        *lock(&self.0) = Some(stream);
    }

    pub(crate) async fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        poll_fn(|cx| {
            let mut slot = lock(&self.0);
            let Some(stream) = slot.as_mut() else { return Poll::Ready(Ok(0)) };
            let mut buf = ReadBuf::new(buf);
            ready!(stream.poll_read(cx, &mut buf))?;
            Poll::Ready(Ok(buf.filled().len()))
        })
        .await
    }

    pub(crate) async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        poll_fn(|cx| match lock(&self.0).as_mut() {
            Some(stream) => stream.poll_write(cx, bytes),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        })
        .await
    }

    pub(crate) async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.write(bytes).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                n => bytes = &bytes[n..],
            }
        }
        Ok(())
    }

    /// Tells the other side that nothing more will come; reading goes on.
    pub(crate) async fn end_writing(&self) {
        // An error means that the other side is gone already.
        let _ = poll_fn(|cx| match lock(&self.0).as_mut() {
            Some(stream) => stream.poll_shutdown(cx),
            None => Poll::Ready(Ok(())),
        })
        .await;
    }

    /// Closes in good order.
    pub(crate) fn close(&self) {
        drop(lock(&self.0).take());
    }

    /// Closes with RST. A pipe knows no RST: it just ends.
    pub(crate) fn reset(&self) {
        if let Some(Stream::Tcp(tcp)) = lock(&self.0).take() {
            reset(&tcp);
        }
    }
}

/// Makes the coming close of this socket a RST.
pub(crate) fn reset(tcp: &TcpStream) {
    // An error means that the connection is over already: then there is nothing to reset.
    let _ = socket2::SockRef::from(tcp).set_linger(Some(Duration::ZERO));
}
