//! Replies, URLs and names as they come from outside, read by the library's own readers. For fuzzing only: nothing in the
//! library uses it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use redis::Value;
use tokio::io::{AsyncRead, ReadBuf};
use uuid::Uuid;

use super::address::parse_all;
use super::answers::Answers;
use super::reply::{self, Answer};
use crate::clock::{Clock, SystemClock};
use crate::invalid::InvalidInput;
use crate::node::{Fence, Packed, Question, Reply, Verb};
use crate::resources::{Keys, Resources};
use crate::script::{Delete, Form};
use crate::token::Token;

/// A node's bytes, read as the answer to one question.
#[derive(Debug)]
pub struct Read {
    /// What was asked.
    pub verb: Verb,
    /// Whether with a fence counter.
    pub fenced: bool,
    /// How it was put.
    pub way: Way,
    /// What they mean; `None` where the question would be put in another form.
    pub reply: Option<Reply>,
}

/// How a question is put to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By itself, as all nodes understand it.
    Alone,
    /// By the server's own command for it.
    Natively,
    /// With others.
    Together,
}

impl From<Form> for Way {
    fn from(form: Form) -> Self {
        match form {
            Form::Native(_) => Self::Natively,
            Form::Together => Self::Together,
            Form::Hash | Form::Text => Self::Alone,
        }
    }
}

/// What a node's bytes mean as the answer to each question on one resource, in every form.
///
/// # Errors
///
/// None: the question is about a name that is in order.
pub fn replies(bytes: &[u8]) -> Result<Vec<Read>, InvalidInput> {
    let keys = Keys::parse("a".into(), "")?;
    let token = Arc::new(Token::new(Uuid::nil(), [0; 16]));
    let now = SystemClock.now();
    let (ttl, time_limit) = (Duration::from_secs(1), Duration::from_millis(50));
    let answer = redis::parse_redis_value(bytes);
    let plain = [Verb::Acquire, Verb::Extend, Verb::Repair, Verb::Release, Verb::Undo];
    let plain = plain.map(|verb| (verb, None));
    let fenced = [
        (Verb::Acquire, Some(Fence::Count(1))),
        (Verb::Certify, Some(Fence::Raise { granted: 1, to: 2 })),
    ];
    let asked = plain.into_iter().chain(fenced);
    let asked = asked.flat_map(|verb| [(verb, Form::Hash), (verb, Form::Text)]);
    let releases = [Form::Native(Delete::Delifeq), Form::Together];
    let asked = asked.chain(releases.map(|form| ((Verb::Release, None), form)));
    let read = asked.map(|((verb, fence), form)| {
        let (keys, token) = (keys.clone(), Arc::clone(&token));
        let question = Question {
            verb,
            keys,
            token,
            ttl,
            fence,
            time_limit,
            asked: now,
            packed: Packed::default(),
        };
        let reply = match reply::read(&question, form, None, answer.clone()) {
            Answer::Reply(reply) => Some(reply),
            Answer::OtherForm | Answer::NotInThisForm => None,
        };
        Read { verb, fenced: fence.is_some(), way: form.into(), reply }
    });
    Ok(read.collect())
}

/// The name of the node behind a URL.
///
/// # Errors
///
/// It cannot be read.
pub fn url(url: &str) -> Result<String, InvalidInput> {
    let all = parse_all(&[url.to_owned()])?;
    Ok(all.iter().map(super::Address::name).collect())
}

/// The keys of a set of names.
///
/// # Errors
///
/// One of them is no name, or there are too few or too many.
pub fn keys(names: &[&str], prefix: &str) -> Result<Vec<String>, InvalidInput> {
    Ok(Keys::parse(Resources::from(names), prefix)?.as_slice().to_vec())
}

/// The first answer in `bytes` as a connection hears it, when they come in pieces of `size`, if there is one.
pub fn first_answer(bytes: &[u8], size: usize) -> Option<Value> {
    let mut coming = Coming { rest: bytes, size: size.max(1), is_quiet: true };
    let mut answers = Answers::new();
    loop {
        if let Poll::Ready(answer) =
            answers.poll_next(&mut coming, &mut Context::from_waker(Waker::noop()))
        {
            return answer.ok();
        }
    }
}

/// What has come of a stream. Nothing does every second time that it is looked at.
struct Coming<'a> {
    rest: &'a [u8],
    size: usize,
    is_quiet: bool,
}

impl AsyncRead for Coming<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.is_quiet = !self.is_quiet;
        if self.is_quiet {
            return Poll::Pending;
        }
        let (piece, rest) =
            self.rest.split_at(self.size.min(into.remaining()).min(self.rest.len()));
        into.put_slice(piece);
        self.rest = rest;
        Poll::Ready(Ok(()))
    }
}
