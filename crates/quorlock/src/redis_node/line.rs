//! One connection's bytes: commands go out in the order in which they were put, answers come in and go to whoever waits for
//! them, in the same order. Knows no question and no node; when a connection is opened and given up is `connection.rs`'s.
//!
//! Whoever asks only leaves his bytes here. One task reads and writes for all connections of a handle (`one_task.rs`), each
//! time all that has been left since the last.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures::channel::oneshot;
use futures::future::join_all;
use futures::task::AtomicWaker;
use redis::{Cmd, PushInfo, RedisError, RedisResult, Value};
use tokio::io::AsyncWrite;
use tokio::sync::Notify;

use super::answers::Answers;
use super::meter::Metered;
use super::queue::{KEPT_ANSWERS, MOST_TOGETHER, Put, Queue, Waiting};
use crate::crowd::Crowd;
use crate::sync::lock;

/// The least that are heard at one go, where there are more. With what the last answer may tell, they need no more room than is
/// kept, until the connection ends.
pub(super) const MANY_HEARD: usize = KEPT_ANSWERS - MOST_TOGETHER;

/// Where commands are put. `Q` is what comes back with an answer, where it is not waited for.
pub(super) struct Line<Q> {
    queue: Mutex<Queue<Q>>,
    /// Of whoever reads and writes.
    driver: AtomicWaker,
    /// A burst has taken much room.
    grown: Notify,
}

impl<Q: Put> Line<Q> {
    /// Puts `question`, with which its answer comes. Given back where the connection has ended.
    pub(super) fn put(&self, question: Q) -> Result<(), Q> {
        let mut queue = lock(&self.queue);
        if queue.is_over() {
            return Err(question);
        }
        let is_first = queue.is_empty();
        queue.put(question);
        drop(queue);
        // Whoever put the first has woken the driver, or is about to: all that is there is sent together.
        if is_first {
            self.driver.wake();
        }
        Ok(())
    }

    /// Sends one command and waits for its answer.
    pub(super) async fn ask(&self, command: Cmd) -> RedisResult<Value> {
        let mut answers = self.ask_all(&[command]).await;
        answers.pop().unwrap_or_else(|| Err(broken()))
    }

    /// Sends commands with nothing between them, and waits for their answers.
    pub(super) async fn ask_all(&self, commands: &[Cmd]) -> Vec<RedisResult<Value>> {
        let answers: Vec<_> = {
            let mut queue = lock(&self.queue);
            let put = commands.iter().map(|command| {
                let (answered, answer) = oneshot::channel();
                if !queue.is_over() {
                    queue.put_command(command, answered);
                }
                answer
            });
            put.collect()
        };
        self.driver.wake();
        let heard =
            answers.into_iter().map(async |answer| answer.await.unwrap_or_else(|_| Err(broken())));
        join_all(heard).await.into_iter().map(|answer| answer?.extract_error()).collect()
    }

    /// Whatever is put from now on is behind all that has been put.
    pub(super) fn close_together(&self) {
        lock(&self.queue).close_together();
    }

    /// Resolves when a burst has taken more room than is kept, here or where releases are noted. Nothing is missed when it is
    /// dropped.
    pub(super) async fn grown(&self) {
        self.grown.notified().await;
    }

    /// Tells whoever waits for it.
    pub(super) fn has_grown(&self) {
        self.grown.notify_one();
    }

    /// Nothing is under way: what a burst has taken is to be given back, and the driver is woken for it. Whether it has been.
    pub(super) fn rest(&self) -> bool {
        let mut queue = lock(&self.queue);
        if queue.is_usual() {
            return true;
        }
        queue.rest();
        drop(queue);
        self.driver.wake();
        false
    }

    /// From now on nothing can be put. Returns who waits.
    fn end(&self) -> VecDeque<Waiting<Q>> {
        lock(&self.queue).end()
    }
}

fn broken() -> RedisError {
    io::Error::from(io::ErrorKind::BrokenPipe).into()
}

/// Reads and writes. The connection is closed when it is dropped; then everybody who waits is told that it has broken.
pub(super) struct Driver<Q: Put> {
    wire: Metered,
    line: Arc<Line<Q>>,
    heard: Answers,
    /// What is being sent, and how much of it has been.
    sending: Vec<u8>,
    sent: usize,
    /// Who waits for the answers to what was taken from the line, in the order of the commands.
    waiting: VecDeque<Waiting<Q>>,
    is_flushed: bool,
    /// The peer takes nothing more. What it has said before is still to be read.
    is_deaf: bool,
    crowd: Crowd,
    unasked: Box<dyn Fn(PushInfo) + Send>,
}

impl<Q: Put> Driver<Q> {
    /// A connection on which nothing has been asked; what its server says unasked goes to `unasked`.
    pub(super) fn new(
        wire: Metered,
        crowd: Crowd,
        unasked: impl Fn(PushInfo) + Send + 'static,
    ) -> (Arc<Line<Q>>, Self) {
        let (driver, grown) = (AtomicWaker::new(), Notify::new());
        let line = Arc::new(Line { queue: Mutex::new(Queue::new()), driver, grown });
        let driver = Self {
            wire,
            line: Arc::clone(&line),
            heard: Answers::new(),
            sending: Vec::new(),
            sent: 0,
            waiting: VecDeque::new(),
            is_flushed: true,
            is_deaf: false,
            crowd,
            unasked: Box::new(unasked),
        };
        (line, driver)
    }

    /// Reads and writes until answers to questions have come, which `hear` hears.
    ///
    /// # Errors
    ///
    /// The connection has ended. Whoever waited has been told: `hear` has heard it of the rest of the questions as well.
    pub(super) async fn answers(
        &mut self,
        mut hear: impl FnMut(Q, RedisResult<Value>),
    ) -> RedisResult<()> {
        poll_fn(|cx| self.poll_answers(cx, &mut hear)).await
    }

    /// The same. Where answers have come, whoever polls is woken by what comes next all the same, but where many have: then more
    /// may be there.
    pub(super) fn poll_answers(
        &mut self,
        cx: &mut Context<'_>,
        hear: &mut impl FnMut(Q, RedisResult<Value>),
    ) -> Poll<RedisResult<()>> {
        // Before the queue is looked at, so that nothing that is put after that is missed.
        self.line.driver.register(cx.waker());
        if !self.crowd.holds_back(|| self.has_output(), cx.waker()) {
            self.write(cx);
        }
        let mut heard = 0;
        let end = loop {
            if heard >= MANY_HEARD {
                self.crowd.hear();
                return Poll::Ready(Ok(()));
            }
            match self.heard.poll_next(&mut self.wire, cx) {
                Poll::Pending if heard == 0 => return Poll::Pending,
                Poll::Pending => {
                    self.crowd.hear();
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Ok(Value::Push { kind, data })) => {
                    (self.unasked)(PushInfo { kind, data });
                }
                Poll::Ready(Ok(value)) => match self.waiting.pop_front() {
                    Some(Waiting::Question(question)) => {
                        heard += 1;
                        hear(question, Ok(value));
                    }
                    Some(Waiting::Together(count)) => {
                        heard += count;
                        self.answer_together(count, value, hear);
                    }
                    // Nobody may wait for it any more.
                    Some(Waiting::Answer(waiter)) => drop(waiter.send(Ok(value))),
                    None => break unasked(),
                },
                Poll::Ready(Err(error)) => break error,
            }
        };
        let never_sent = self.line.end();
        for waiting in self.waiting.drain(..).chain(never_sent) {
            match waiting {
                Waiting::Question(question) => hear(question, Err(end.clone())),
                Waiting::Answer(waiter) => drop(waiter.send(Err(end.clone()))),
                // Each for itself.
                Waiting::Together(_) => {}
            }
        }
        Poll::Ready(Err(end))
    }

    /// What has come for the next `count` questions.
    fn answer_together(
        &mut self,
        count: usize,
        value: Value,
        hear: &mut impl FnMut(Q, RedisResult<Value>),
    ) {
        let (parts, same) = match value {
            Value::Array(parts) if parts.len() == count => (parts, Value::Nil),
            same @ (Value::Int(1) | Value::ServerError(_)) => (Vec::new(), same),
            // That answers none of them.
            _ => (Vec::new(), Value::Nil),
        };
        let mut parts = parts.into_iter();
        for waiting in self.waiting.drain(..count) {
            if let Waiting::Question(question) = waiting {
                hear(question, Ok(parts.next().unwrap_or_else(|| same.clone())));
            }
        }
    }

    fn has_output(&self) -> bool {
        self.sent < self.sending.len() || !self.is_flushed || !lock(&self.line.queue).is_empty()
    }

    /// Sends what is there, as far as the peer takes it.
    fn write(&mut self, cx: &mut Context<'_>) {
        while !self.is_deaf && (self.sent < self.sending.len() || self.take()) {
            match Pin::new(&mut self.wire).poll_write(cx, &self.sending[self.sent..]) {
                Poll::Pending => return,
                Poll::Ready(Ok(0) | Err(_)) => self.is_deaf = true,
                Poll::Ready(Ok(written)) => {
                    self.sent += written;
                    self.is_flushed = false;
                }
            }
        }
        if !self.is_flushed && !self.is_deaf {
            match Pin::new(&mut self.wire).poll_flush(cx) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => self.is_flushed = true,
                Poll::Ready(Err(_)) => self.is_deaf = true,
            }
        }
    }

    /// What has been left on the line is to be sent now, if there is any.
    fn take(&mut self) -> bool {
        self.sending.clear();
        self.sent = 0;
        let mut queue = lock(&self.line.queue);
        let was_usual = queue.is_usual();
        let is_some = queue.hand_over(&mut self.sending, &mut self.waiting);
        let has_grown = was_usual && !queue.is_usual();
        drop(queue);
        if has_grown {
            self.line.has_grown();
        }
        is_some
    }
}

impl<Q: Put> Drop for Driver<Q> {
    fn drop(&mut self) {
        drop(self.line.end());
    }
}

fn unasked() -> RedisError {
    io::Error::new(io::ErrorKind::InvalidData, "it answered what nobody has asked").into()
}

#[cfg(test)]
mod tests;
