//! Replies, URLs and names as they come from outside, read by the library's own readers. For fuzzing only: nothing in the
//! library uses it.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::address::parse_all;
use super::reply::{self, Answer};
use crate::invalid::InvalidInput;
use crate::node::{Question, Reply, Verb};
use crate::resources::{Keys, Resources};
use crate::script::Form;
use crate::token::Token;

/// What a node's bytes mean as the answer to each question, by hash and by text. `None` where the script's text would be
/// sent instead.
///
/// # Errors
///
/// None: the question is about a name that is in order.
pub fn replies(bytes: &[u8]) -> Result<Vec<(Verb, Option<Reply>)>, InvalidInput> {
    let keys = Keys::parse("a".into(), "")?;
    let token = Arc::new(Token::new(Uuid::nil(), [0; 16]));
    let (ttl, time_limit) = (Duration::from_secs(1), Duration::from_millis(50));
    let answer = redis::parse_redis_value(bytes);
    let verbs = [Verb::Acquire, Verb::Extend, Verb::Repair, Verb::Release];
    let asked = verbs.into_iter().flat_map(|verb| [(verb, Form::Hash), (verb, Form::Text)]);
    let read = asked.map(|(verb, form)| {
        let (keys, token) = (keys.clone(), Arc::clone(&token));
        let question = Question { verb, keys, token, ttl, time_limit };
        match reply::read(&question, form, answer.clone()) {
            Answer::Reply(reply) => (verb, Some(reply)),
            Answer::NoScript => (verb, None),
        }
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
