//! One connection's bytes: commands go out in the order in which they were put, answers come in and go to whoever waits for
//! them, in the same order. Knows no question and no node; when a connection is opened and given up is `connection.rs`'s.
//!
//! Only those that may go together, as releases do, are kept back: until the driver takes what is there, or something is put that
//! has to stay behind them, or there are as many as may be. Then they are one command.
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

use super::answers::{Answers, MOST_NUMBERS};
use super::meter::Metered;
use crate::crowd::Crowd;
use crate::sync::lock;

/// What is kept of the room that a burst took, once it is over: bytes to be sent, and answers that are waited for.
const KEPT_BYTES: usize = 64 << 10;
pub(super) const KEPT_ANSWERS: usize = 256;
/// The most that go together: what is said of each is still known by heart, and a server does nothing else while it runs a
/// script.
const MOST_TOGETHER: usize = MOST_NUMBERS;

/// What is put on a line, and comes back with its answer.
pub(super) trait Put: Sized {
    /// Adds its command.
    fn pack(&self, out: &mut Vec<u8>);

    /// Whether one command may ask several of these.
    fn may_go_together(&self) -> bool;

    /// There is no other that it could go with.
    fn goes_alone(&mut self);

    /// Adds the one command that asks all of them, in their order: its answer is a list of theirs, or 1 for each, or an error.
    fn pack_together(those: &[Self], out: &mut Vec<u8>);

    /// Whether the order of the two matters.
    fn meets(&self, other: &Self) -> bool;

    /// Bits: two that share none do not meet.
    fn marks(&self) -> u64;
}

/// Where commands are put. `Q` is what comes back with an answer, where it is not waited for.
pub(super) struct Line<Q> {
    queue: Mutex<Queue<Q>>,
    /// Of whoever reads and writes.
    driver: AtomicWaker,
}

struct Queue<Q> {
    /// What is to be sent.
    out: Vec<u8>,
    /// Who waits for the answers to that, in the order of the commands.
    waiting: VecDeque<Waiting<Q>>,
    /// What goes together behind that, as far as it has come.
    together: Vec<Q>,
    /// Theirs.
    marks: u64,
    is_over: bool,
}

enum Waiting<Q> {
    Answer(oneshot::Sender<RedisResult<Value>>),
    Question(Q),
    /// So many questions, which come next, for one answer.
    Together(usize),
}

impl<Q: Put> Queue<Q> {
    fn is_empty(&self) -> bool {
        self.out.is_empty() && self.together.is_empty()
    }

    fn put(&mut self, question: Q) {
        if question.may_go_together() {
            self.marks |= question.marks();
            self.together.push(question);
            if self.together.len() == MOST_TOGETHER {
                self.close_together();
            }
            return;
        }
        if self.marks & question.marks() != 0
            && self.together.iter().any(|earlier| question.meets(earlier))
        {
            self.close_together();
        }
        self.put_alone(question);
    }

    fn put_alone(&mut self, question: Q) {
        question.pack(&mut self.out);
        self.waiting.push_back(Waiting::Question(question));
    }

    /// What has come to go together goes as it is: whatever is put from now on is behind it.
    fn close_together(&mut self) {
        self.marks = 0;
        if self.together.len() > 1 {
            Q::pack_together(&self.together, &mut self.out);
            self.waiting.push_back(Waiting::Together(self.together.len()));
            self.waiting.extend(self.together.drain(..).map(Waiting::Question));
        } else if let Some(mut one) = self.together.pop() {
            one.goes_alone();
            self.put_alone(one);
        }
    }
}

impl<Q: Put> Line<Q> {
    /// Puts `question`, with which its answer comes. Given back where the connection has ended.
    pub(super) fn put(&self, question: Q) -> Result<(), Q> {
        let mut queue = lock(&self.queue);
        if queue.is_over {
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
            queue.close_together();
            let put = commands.iter().map(|command| {
                let (answered, answer) = oneshot::channel();
                if !queue.is_over {
                    command.write_packed_command(&mut queue.out);
                    queue.waiting.push_back(Waiting::Answer(answered));
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

    /// From now on nothing can be put. Returns who waits.
    fn end(&self) -> VecDeque<Waiting<Q>> {
        let mut queue = lock(&self.queue);
        queue.is_over = true;
        queue.out = Vec::new();
        let mut waiting = std::mem::take(&mut queue.waiting);
        waiting.extend(std::mem::take(&mut queue.together).into_iter().map(Waiting::Question));
        waiting
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
        let queue = Queue {
            out: Vec::new(),
            waiting: VecDeque::new(),
            together: Vec::new(),
            marks: 0,
            is_over: false,
        };
        let line = Arc::new(Line { queue: Mutex::new(queue), driver: AtomicWaker::new() });
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

    /// The same. Where answers have come, whoever polls is woken by what comes next all the same.
    pub(super) fn poll_answers(
        &mut self,
        cx: &mut Context<'_>,
        hear: &mut impl FnMut(Q, RedisResult<Value>),
    ) -> Poll<RedisResult<()>> {
        if self.waiting.is_empty() {
            give_back(&mut self.waiting);
        }
        // Before the queue is looked at, so that nothing that is put after that is missed.
        self.line.driver.register(cx.waker());
        if !self.crowd.holds_back(|| self.has_output(), cx.waker()) {
            self.write(cx);
        }
        let mut is_heard = false;
        let end = loop {
            match self.heard.poll_next(&mut self.wire, cx) {
                Poll::Pending if !is_heard => return Poll::Pending,
                Poll::Pending => {
                    self.crowd.hear();
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Ok(Value::Push { kind, data })) => {
                    (self.unasked)(PushInfo { kind, data });
                }
                Poll::Ready(Ok(value)) => match self.waiting.pop_front() {
                    Some(Waiting::Question(question)) => {
                        is_heard = true;
                        hear(question, Ok(value));
                    }
                    Some(Waiting::Together(count)) => {
                        is_heard = true;
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
        self.sending.shrink_to(KEPT_BYTES);
        self.sent = 0;
        let mut queue = lock(&self.line.queue);
        queue.close_together();
        if queue.out.is_empty() {
            return false;
        }
        std::mem::swap(&mut self.sending, &mut queue.out);
        if self.waiting.is_empty() {
            std::mem::swap(&mut self.waiting, &mut queue.waiting);
        } else {
            self.waiting.append(&mut queue.waiting);
        }
        give_back(&mut queue.waiting);
        true
    }
}

/// What is beyond that which is kept, of a queue that is empty.
fn give_back<T>(queue: &mut VecDeque<T>) {
    if queue.capacity() > KEPT_ANSWERS {
        queue.shrink_to(KEPT_ANSWERS);
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
