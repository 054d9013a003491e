//! What has been put on a line and not been taken yet, in the order of the commands. Sends nothing.
//!
//! Only those that may go together, as releases do, are kept back: until all that is there is taken, or something is put that
//! has to stay behind them, or there are as many as may be. Then they are one command.

use std::collections::VecDeque;

use futures::channel::oneshot;
use redis::{Cmd, RedisResult, Value};

use super::answers::MOST_NUMBERS;

/// What is kept of the room that a burst took, once the connection is at rest: bytes to be sent, and answers that are waited
/// for.
pub(super) const KEPT_BYTES: usize = 64 << 10;
pub(super) const KEPT_ANSWERS: usize = 256;
/// The most that go together: what is said of each is still known by heart, and a server does nothing else while it runs a
/// script.
pub(super) const MOST_TOGETHER: usize = MOST_NUMBERS;

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

/// What has been put.
pub(super) struct Queue<Q> {
    /// What is to be sent.
    out: Vec<u8>,
    /// Who waits for the answers to that, in the order of the commands.
    waiting: VecDeque<Waiting<Q>>,
    /// What goes together behind that, as far as it has come.
    together: Vec<Q>,
    /// Theirs.
    marks: u64,
    room: Room,
    is_over: bool,
}

/// How much room there is for what is sent, and for who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    /// As much as is kept.
    Usual,
    /// As much as a burst has taken. The next one may follow in a moment: whoever gives it back in between has memory mapped
    /// anew hundreds of times a second.
    Large,
    /// The same, and it is to be given back.
    TooLarge,
}

/// Who waits for an answer.
pub(super) enum Waiting<Q> {
    Answer(oneshot::Sender<RedisResult<Value>>),
    Question(Q),
    /// So many questions, which come next, for one answer.
    Together(usize),
}

impl<Q: Put> Queue<Q> {
    pub(super) fn new() -> Self {
        Self {
            out: Vec::new(),
            waiting: VecDeque::new(),
            together: Vec::new(),
            marks: 0,
            room: Room::Usual,
            is_over: false,
        }
    }

    /// Nothing is to be sent.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.out.is_empty() && self.together.is_empty()
    }

    /// Nothing can be put any more.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    #[inline]
    pub(super) fn put(&mut self, question: Q) {
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

    /// Puts a command that is no question.
    pub(super) fn put_command(
        &mut self,
        command: &Cmd,
        answered: oneshot::Sender<RedisResult<Value>>,
    ) {
        self.close_together();
        command.write_packed_command(&mut self.out);
        self.waiting.push_back(Waiting::Answer(answered));
    }

    /// What has come to go together goes as it is: whatever is put from now on is behind it.
    pub(super) fn close_together(&mut self) {
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

    /// Hands over all that has been put, if there is any: into `sending`, which is empty, and behind those who are `waiting`.
    #[inline]
    pub(super) fn hand_over(
        &mut self,
        sending: &mut Vec<u8>,
        waiting: &mut VecDeque<Waiting<Q>>,
    ) -> bool {
        if self.room == Room::TooLarge {
            self.give_back(sending, waiting);
        }
        if self.is_empty() {
            return false;
        }
        self.close_together();
        std::mem::swap(sending, &mut self.out);
        if waiting.is_empty() {
            std::mem::swap(waiting, &mut self.waiting);
        } else {
            waiting.append(&mut self.waiting);
        }
        self.note_room(sending, waiting);
        true
    }

    /// The room that a burst has taken, but for what is in use.
    #[cold]
    fn give_back(&mut self, sending: &mut Vec<u8>, waiting: &mut VecDeque<Waiting<Q>>) {
        [&mut *sending, &mut self.out].into_iter().for_each(|bytes| bytes.shrink_to(KEPT_BYTES));
        [&mut *waiting, &mut self.waiting].into_iter().for_each(|all| all.shrink_to(KEPT_ANSWERS));
        self.room = Room::Usual;
        self.note_room(sending, waiting);
    }

    fn note_room(&mut self, sending: &Vec<u8>, waiting: &VecDeque<Waiting<Q>>) {
        if sending.capacity() > KEPT_BYTES || waiting.capacity() > KEPT_ANSWERS {
            self.room = Room::Large;
        }
    }

    /// There is no more room than is kept.
    pub(super) fn is_usual(&self) -> bool {
        self.room == Room::Usual
    }

    /// What a burst has taken is to be given back, by whoever takes what there is.
    pub(super) fn rest(&mut self) {
        if self.room == Room::Large {
            self.room = Room::TooLarge;
        }
    }

    /// From now on nothing can be put. Returns who waits.
    pub(super) fn end(&mut self) -> VecDeque<Waiting<Q>> {
        self.is_over = true;
        self.out = Vec::new();
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.extend(std::mem::take(&mut self.together).into_iter().map(Waiting::Question));
        waiting
    }
}
