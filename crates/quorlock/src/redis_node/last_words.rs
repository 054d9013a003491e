//! A stream on which nothing is missed of what a server says that does not listen: one that is full says so and closes, before
//! it was asked anything. Knows no protocol.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::wire::Wire;

/// Is read only when something was written, since the driver throws away what is no answer. Takes what the peer will not
/// read any more, so that whoever writes goes on to read: what was said last, and the end.
pub(super) struct LastWords<W> {
    wire: W,
    is_asked: bool,
    reader: Option<Waker>,
}

impl<W: Wire> LastWords<W> {
    pub(super) fn new(wire: W) -> Self {
        Self { wire, is_asked: false, reader: None }
    }
}

impl<W: Wire> AsyncRead for LastWords<W> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.is_asked {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Pin::new(&mut self.wire).poll_read(cx, buf)
    }
}

impl<W: Wire> AsyncWrite for LastWords<W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.is_asked = true;
        self.reader.take().into_iter().for_each(Waker::wake);
        let written = Pin::new(&mut self.wire).poll_write(cx, buf);
        written.map(|written| unless_hung_up(written, buf.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(cx).map(|flushed| unless_hung_up(flushed, ()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(cx)
    }
}

/// Where the peer has hung up, reading ends too, but first gives what came before.
fn unless_hung_up<T>(result: io::Result<T>, as_if: T) -> io::Result<T> {
    match result {
        Err(error) if is_hung_up(error.kind()) => Ok(as_if),
        other => other,
    }
}

fn is_hung_up(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn what_a_server_says_before_it_hangs_up_is_heard_whatever_is_still_written() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut plain = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        // What it has not read makes its end a reset, and writing fail.
        plain.write_all(b"hello").await.unwrap();
        server.readable().await.unwrap();
        server.write_all(b"full").await.unwrap();
        drop(server);
        while plain.write_all(b"hello").await.is_ok() {
            tokio::task::yield_now().await;
        }

        let (mut read, mut write) = tokio::io::split(LastWords::new(plain));
        let mut said = [0; 4];
        let mut reading = Box::pin(read.read_exact(&mut said));
        assert!(reading.as_mut().now_or_never().is_none(), "nothing was asked yet");
        write.write_all(b"hello").await.unwrap();
        write.flush().await.unwrap();
        reading.await.unwrap();
        assert_eq!(&said, b"full");
        let end = read.read(&mut said).await;
        assert!(
            end.as_ref().map_or_else(|error| is_hung_up(error.kind()), |read| *read == 0),
            "{end:?}"
        );
    }
}
