//! A stream that ends when the server sends far more than it was asked for: the parser keeps an answer until it is
//! whole, and one without end would be kept without end (promise G7). Knows no protocol.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::wire::Wire;

/// The most that may come without anything being asked. All answers of the lock's commands are a few bytes, those of a
/// handshake a few kilobytes.
const MOST: usize = 4 << 20;
/// What may come for each byte that was sent.
const FOR_EACH_BYTE: usize = 64;

/// Counts what may still come.
pub(super) struct Metered {
    wire: Box<dyn Wire>,
    credit: usize,
}

impl Metered {
    pub(super) fn new(wire: Box<dyn Wire>) -> Self {
        Self { wire, credit: MOST }
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.wire).poll_read(cx, buf);
        let came = buf.filled().len() - before;
        match self.credit.checked_sub(came) {
            Some(left) => {
                self.credit = left;
                read
            }
            None => Poll::Ready(Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "it sent far more than it was asked for",
            ))),
        }
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.wire).poll_write(cx, buf);
        if let Poll::Ready(Ok(bytes)) = &written {
            self.credit = MOST.min(self.credit.saturating_add(bytes.saturating_mul(FOR_EACH_BYTE)));
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    /// What is read of so many bytes that a server sends.
    async fn read(
        metered: &mut Metered,
        server: &mut (impl AsyncWrite + Unpin),
        count: usize,
    ) -> io::Result<usize> {
        let bytes = vec![b'x'; count];
        let mut sink = vec![0; count];
        let (sent, read) = tokio::join!(server.write_all(&bytes), metered.read_exact(&mut sink));
        sent?;
        read
    }

    #[tokio::test]
    async fn what_nobody_asked_for_ends_the_stream_and_answers_do_not() {
        let (mut server, client) = duplex(MOST);
        let mut metered = Metered::new(Box::new(client));
        assert_eq!(read(&mut metered, &mut server, MOST).await.unwrap(), MOST);
        // What is asked may be answered.
        metered.write_all(b"0123456789").await.unwrap();
        let answer = 10 * FOR_EACH_BYTE;
        assert_eq!(read(&mut metered, &mut server, answer).await.unwrap(), answer);
        let error = read(&mut metered, &mut server, 1).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
