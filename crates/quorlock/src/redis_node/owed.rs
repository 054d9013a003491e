//! Releases that a node has not confirmed: kept until it does. Sends nothing.
//!
//! Not only until their keys must have expired: a command that waits in the buffers of a frozen node sets its key when the
//! node thaws, for a full TTL from then.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::node::Question;
use crate::validity::later;

/// The most releases that one node is owed; beyond it the oldest is forgotten.
const MAX_OWED: usize = 4096;
/// Redis keeps a key for up to a millisecond more than its TTL (safety.md H36); clocks run apart a little.
pub(super) const SLACK: Duration = Duration::from_millis(100);

/// What one node is owed, oldest first.
#[derive(Debug, Default)]
pub(super) struct Owed {
    entries: BTreeMap<u64, (Arc<Question>, Instant)>,
    next: u64,
}

impl Owed {
    /// Notes a release before it is sent. Returns its number, and whether another had to be forgotten for it before its
    /// time.
    pub(super) fn add(&mut self, release: Arc<Question>, now: Instant) -> (u64, bool) {
        let number = self.next;
        self.next += 1;
        let expires = later(later(now, release.ttl), SLACK);
        let forgotten =
            (self.entries.len() >= MAX_OWED).then(|| self.entries.pop_first()).flatten();
        self.entries.insert(number, (release, expires));
        (number, forgotten.is_some_and(|(_, (_, expires))| expires > now))
    }

    /// The node has confirmed it.
    pub(super) fn settle(&mut self, number: u64) {
        self.entries.remove(&number);
    }

    /// What has to be sent on a new connection, in order.
    pub(super) fn due(&self) -> Vec<(u64, Arc<Question>)> {
        self.entries.iter().map(|(number, (release, _))| (*number, Arc::clone(release))).collect()
    }

    /// How many of them may still have a key on a node that has not been frozen since.
    pub(super) fn count(&self, now: Instant) -> usize {
        self.entries.values().filter(|(_, expires)| *expires > now).count()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::clock::{Clock, SystemClock};
    use crate::node::Verb;
    use crate::resources::Keys;
    use crate::token::Token;

    fn release(ttl_millis: u64) -> Arc<Question> {
        Arc::new(Question {
            verb: Verb::Release,
            keys: Keys::parse("a".into(), "").unwrap(),
            token: Arc::new(Token::new(Uuid::nil(), [0; 16])),
            ttl: Duration::from_millis(ttl_millis),
        })
    }

    fn numbers(owed: &Owed) -> Vec<u64> {
        owed.due().iter().map(|(number, _)| *number).collect()
    }

    #[test]
    fn a_release_is_owed_until_it_is_settled_however_long_that_takes() {
        let (mut owed, now) = (Owed::default(), SystemClock.now());
        let (short, _) = owed.add(release(10), now);
        let (long, _) = owed.add(release(60_000), now);
        assert_eq!(owed.count(now), 2);
        assert_eq!(owed.count(now + Duration::from_millis(10) + SLACK), 1);
        assert_eq!(numbers(&owed), [short, long]);
        owed.settle(long);
        assert_eq!(numbers(&owed), [short]);
    }

    #[test]
    fn the_oldest_is_forgotten_beyond_the_bound() {
        let (mut owed, now) = (Owed::default(), SystemClock.now());
        for _ in 0..MAX_OWED {
            assert!(!owed.add(release(60_000), now).1);
        }
        let (newest, forgot) = owed.add(release(60_000), now);
        assert!(forgot);
        assert_eq!(owed.count(now), MAX_OWED);
        assert_eq!(numbers(&owed).last(), Some(&newest));
        let much_later = now + Duration::from_secs(120);
        assert!(!owed.add(release(60_000), much_later).1, "what it forgets had expired");
    }
}
