//! Nodes behind pipes: what is written is answered at the next look, as by a server that is near. What is answered lives in
//! `answer.rs`.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures::future::{BoxFuture, ready};
use quorlock::seam::{Abort, Connector, Server, Wire};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::answer::{Answers, off_the_books};

/// Opens pipes to nodes, each of which is another one.
#[derive(Debug, Default)]
pub(crate) struct Nodes {
    opened: AtomicUsize,
    is_counting: Arc<AtomicBool>,
}

impl Nodes {
    /// From now on instructions are counted.
    pub(crate) fn count(&self) {
        self.is_counting.store(true, Ordering::Relaxed);
    }
}

impl Connector for Nodes {
    fn connect(&self, _: Server, _: Abort) -> BoxFuture<'static, io::Result<Box<dyn Wire>>> {
        let pipe = Pipe {
            answers: Answers::new(self.opened.fetch_add(1, Ordering::Relaxed)),
            is_counting: Arc::clone(&self.is_counting),
            said: Vec::new(),
            is_on_its_way: false,
        };
        Box::pin(ready(Ok(Box::new(pipe) as Box<dyn Wire>)))
    }
}

struct Pipe {
    answers: Answers,
    is_counting: Arc<AtomicBool>,
    /// What is to be read.
    said: Vec<u8>,
    /// It is not there yet when it is looked at for the first time: no server answers that fast.
    is_on_its_way: bool,
}

impl AsyncRead for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Whoever writes is who reads, so he need not be woken when he waits for what he has not asked.
        if self.said.is_empty() {
            return Poll::Pending;
        }
        if std::mem::take(&mut self.is_on_its_way) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let read = self.said.len().min(into.remaining());
        into.put_slice(&self.said[..read]);
        self.said.drain(..read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        commands: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { answers, is_counting, said, is_on_its_way } = &mut *self;
        *is_on_its_way = true;
        // The one that is not counted turns the counting round: before it has begun, that would begin it.
        if is_counting.load(Ordering::Relaxed) {
            off_the_books(answers, commands, said);
        } else {
            said.extend(answers.to(commands));
        }
        Poll::Ready(Ok(commands.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
