//! Having a server tell when a lock's keys change, for those who wait for it. What they do then is `waiting.rs`'s.

use std::time::Duration;

use redis::{Cmd, RedisResult, Value};

use super::join::Place;
use super::login::{read, words};
use crate::contention::Holder;
use crate::node::{Found, Listening};

/// The server is to tell of changes, but not of all that is read.
const ON: [&str; 4] = ["CLIENT", "TRACKING", "ON", "OPTIN"];
/// Of what is read next it is: of its next change, once.
const NEXT: [&str; 3] = ["CLIENT", "CACHING", "YES"];

/// The last byte of what tells who holds a key: no secret is read, and no more of what is no lock's.
const HOLDER: &str = "35";

/// Whether the server has been told to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Telling {
    /// When the node was joined.
    Asked,
    NotAsked,
}

/// Looks, and listens from before that on: nothing that happens after the look is missed.
pub(super) async fn listen(place: Place, keys: Vec<String>, telling: Telling) -> Option<Listening> {
    let first = (telling == Telling::NotAsked).then(|| words(&ON));
    let looks = keys
        .iter()
        .flat_map(|key| [&NEXT[..], &["GETRANGE", key, "0", HOLDER], &["PTTL", key]].map(words));
    let commands: Vec<Cmd> = first.into_iter().chain(looks).collect();
    let ahead = commands.len() - 3 * keys.len();
    let listener = place.watch.listeners().join(keys);
    let answers = place.line.ask_all(&commands).await;
    if answers.iter().any(is_refused) {
        place.watch.note_mute();
    }
    let found = answers[ahead..].chunks(3).map(found).collect::<Option<Vec<_>>>()?;
    let found = found.into_iter().fold(Found::Free, longest);
    Some(Listening { found, changed: Box::pin(listener.changed()) })
}

/// Whether it will be so for all of this connection: no right to it, or no such command.
fn is_refused(answer: &RedisResult<Value>) -> bool {
    answer.as_ref().is_err_and(|error| matches!(error.code(), Some("NOPERM" | "ERR")))
}

/// What was answered of one key.
fn found(answers: &[RedisResult<Value>]) -> Option<Found> {
    let [next, value, left] = answers else { return None };
    next.as_ref().ok()?;
    let Ok(Value::BulkString(value)) = value else {
        // No right to, or no text: a foreign key, of which the rounds tell.
        return None;
    };
    // -2: there is none, or no more; -1: it has no expiry.
    let left = match read::<i64>(left)? {
        -2 => return Some(Found::Free),
        millis => {
            u64::try_from(millis).ok().map(|millis| Duration::from_millis(millis.saturating_add(1)))
        }
    };
    Some(Found::Held { by: Holder::of_value(value), left })
}

/// The one that will be there for longer.
fn longest(one: Found, another: Found) -> Found {
    match (&one, &another) {
        (Found::Free, _) | (Found::Held { left: Some(_), .. }, Found::Held { left: None, .. }) => {
            another
        }
        (Found::Held { left: Some(one_left), .. }, Found::Held { left: Some(other), .. })
            if other > one_left =>
        {
            another
        }
        _ => one,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_of_several_keys_is_what_lasts_longest() {
        let held = |by: &str, left: i64| {
            found(&[Ok(Value::Okay), Ok(Value::BulkString(by.into())), Ok(Value::Int(left))])
                .unwrap()
        };
        let free = held("", -2);
        assert_eq!(free, Found::Free);
        let of = |by: &str, left| Found::Held { by: Holder::of_value(by.as_bytes()), left };
        let all = [free.clone(), held("a", 5), held("b", 9), free];
        assert_eq!(
            all.into_iter().fold(Found::Free, longest),
            of("b", Some(Duration::from_millis(10)))
        );
        assert_eq!(longest(held("a", 5), held("b", -1)), of("b", None));
        assert_eq!(longest(held("b", -1), held("a", 5)), of("b", None));
    }

    #[test]
    fn a_server_that_does_not_tell_or_holds_something_else_is_not_listened_to() {
        let value = || Ok(Value::BulkString(b"a".to_vec()));
        let refused = || Err(std::io::Error::other("refused").into());
        assert!(found(&[refused(), value(), Ok(Value::Int(5))]).is_none());
        assert!(found(&[Ok(Value::Okay), refused(), Ok(Value::Int(5))]).is_none());
        assert!(found(&[Ok(Value::Okay), value(), refused()]).is_none());
        assert!(found(&[Ok(Value::Okay), value(), Ok(Value::Int(5))]).is_some());
    }
}
