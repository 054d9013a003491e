//! Releases that a node has not confirmed: kept until it does. Sends nothing.
//!
//! Not only until their keys must have expired: a command that waits in the buffers of a frozen node sets its key when the
//! node thaws, for a full TTL from then.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::node::Inbox;
use crate::validity::later;

/// The most commands other than releases that wait for the answer of one node.
pub(super) const MAX_UNANSWERED: u64 = 8192;
/// The most releases that one node is owed; beyond it the oldest is forgotten. Twice what may wait for its answer when a
/// node freezes: all of it has to be released.
const MAX_OWED: usize = 2 * MAX_UNANSWERED as usize;
/// Redis keeps a key for up to a millisecond more than its TTL (safety.md H36); clocks run apart a little.
pub(super) const SLACK: Duration = Duration::from_millis(100);

/// What is kept of the room that a burst took, once it is over, and how many gaps are let be.
const KEPT: usize = 256;

/// What one node is owed, oldest first. Nearly all of it is settled in the order in which it was noted.
#[derive(Debug, Default)]
pub(super) struct Owed {
    /// By number. What was settled before its time leaves a gap.
    entries: VecDeque<(u64, Option<Entry>)>,
    /// How many are none.
    gaps: usize,
    next: u64,
}

#[derive(Debug)]
struct Entry {
    release: Arc<Inbox>,
    /// From when on its keys may be there for a TTL.
    since: Instant,
    /// The node has said no to it.
    is_refused: bool,
}

/// What becomes of a release that a node has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Debt {
    /// Its keys may be there: it is sent again.
    Open,
    /// They are gone, or must have expired, or it was settled before.
    Over,
    /// The node is owed too many.
    Forgotten,
}

impl Entry {
    /// When its keys must have expired on a node that runs.
    fn expires(&self) -> Instant {
        later(later(self.since, self.release.question().ttl), SLACK)
    }
}

impl Owed {
    /// Notes a release before it is sent. Returns its number.
    pub(super) fn add(&mut self, release: Arc<Inbox>) -> u64 {
        let number = self.next;
        self.next += 1;
        let since = release.question().asked;
        let entry = Entry { release, since, is_refused: false };
        self.entries.push_back((number, Some(entry)));
        number
    }

    fn place(&self, number: u64) -> Option<usize> {
        // Nearly always, since nothing before it is missing.
        let (first, _) = self.entries.front()?;
        let guess = usize::try_from(number.checked_sub(*first)?).ok()?;
        if self.entries.get(guess).is_some_and(|(there, _)| *there == number) {
            return Some(guess);
        }
        self.entries.binary_search_by_key(&number, |(number, _)| *number).ok()
    }

    fn get(&self, number: u64) -> Option<&Entry> {
        self.entries.get(self.place(number)?)?.1.as_ref()
    }

    fn all(&self) -> impl Iterator<Item = (u64, &Entry)> {
        self.entries.iter().filter_map(|(number, entry)| Some((*number, entry.as_ref()?)))
    }

    fn len(&self) -> usize {
        self.entries.len() - self.gaps
    }

    /// The node has confirmed it.
    pub(super) fn settle(&mut self, number: u64) {
        let entry = self.place(number).and_then(|place| self.entries.get_mut(place));
        if entry.is_some_and(|(_, entry)| entry.take().is_some()) {
            self.gaps += 1;
        }
        while self.entries.front().is_some_and(|(_, entry)| entry.is_none()) {
            self.entries.pop_front();
            self.gaps -= 1;
        }
        if self.gaps > KEPT.max(self.len()) {
            self.close_gaps();
        }
    }

    /// There is more room than is kept.
    pub(super) fn is_large(&self) -> bool {
        self.entries.capacity() > KEPT
    }

    /// Gives back what a burst has taken, if it is not in use. Whether it has.
    pub(super) fn rest(&mut self) -> bool {
        self.close_gaps();
        if self.entries.len() <= KEPT {
            self.entries.shrink_to(KEPT);
        }
        !self.is_large()
    }

    fn close_gaps(&mut self) {
        self.entries.retain(|(_, entry)| entry.is_some());
        self.gaps = 0;
    }

    /// The node has confirmed it, and its keys may be set again for a TTL: it is sent once more after that.
    pub(super) fn renew(&mut self, number: u64, now: Instant) -> Debt {
        let is_beyond = self.len() > MAX_OWED;
        let place = self.place(number);
        let Some((_, Some(entry))) = place.and_then(|place| self.entries.get_mut(place)) else {
            return Debt::Over;
        };
        if is_beyond {
            self.settle(number);
            return Debt::Forgotten;
        }
        entry.since = later(now, entry.release.question().ttl);
        Debt::Open
    }

    /// What it is, if it is still owed.
    pub(super) fn release(&self, number: u64) -> Option<Arc<Inbox>> {
        self.get(number).map(|entry| Arc::clone(&entry.release))
    }

    /// The node has said no to it, after which nothing sets its keys that was sent before `last`, which is now or later.
    pub(super) fn refuse(&mut self, number: u64, last: Instant, now: Instant) -> Debt {
        let place = self.place(number);
        let Some((_, Some(entry))) = place.and_then(|place| self.entries.get_mut(place)) else {
            return Debt::Over;
        };
        // Once: a node that had stood still may have set the keys just before.
        if !std::mem::replace(&mut entry.is_refused, true) {
            entry.since = entry.since.max(last);
        }
        let debt = match entry.expires() > now {
            false => Debt::Over,
            // Of those whose answers are not on their way, this one is at hand.
            true if self.len() > MAX_OWED => Debt::Forgotten,
            true => Debt::Open,
        };
        if debt != Debt::Open {
            self.settle(number);
        }
        debt
    }

    /// Forgets what is beyond the bound: first what has expired, then the oldest. Returns how many of the latter.
    ///
    /// For a node that cannot be reached: what is on its way on a living connection has its answer coming.
    pub(super) fn trim(&mut self, now: Instant) -> usize {
        if self.len() <= MAX_OWED {
            return 0;
        }
        self.entries.retain(|(_, entry)| entry.as_ref().is_some_and(|entry| entry.expires() > now));
        self.gaps = 0;
        let excess = self.entries.len().saturating_sub(MAX_OWED);
        self.entries.drain(..excess);
        excess
    }

    /// What has to be sent on a new connection, in order.
    pub(super) fn due(&self) -> Vec<(u64, Arc<Inbox>)> {
        self.all().map(|(number, entry)| (number, Arc::clone(&entry.release))).collect()
    }

    /// How many of them may still have a key on a node that runs.
    pub(super) fn count(&self, now: Instant) -> usize {
        self.all().filter(|(_, entry)| entry.expires() > now).count()
    }

    /// When the first of those has expired.
    pub(super) fn next_expiry(&self, now: Instant) -> Option<Instant> {
        self.all().map(|(_, entry)| entry.expires()).filter(|expires| *expires > now).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, SystemClock};
    use crate::node::{Question, Verb, Wake};
    use crate::scripted::question;

    fn release(ttl_millis: u64, asked: Instant) -> Arc<Inbox> {
        let ttl = Duration::from_millis(ttl_millis);
        let release = Question { ttl, asked, ..question(Verb::Release) };
        Arc::new(Inbox::new(release, 1, Wake::Each))
    }

    fn numbers(owed: &Owed) -> Vec<u64> {
        owed.due().iter().map(|(number, _)| *number).collect()
    }

    #[test]
    fn a_release_is_owed_until_it_is_settled_however_long_that_takes() {
        let (mut owed, now) = (Owed::default(), SystemClock.now());
        let short = owed.add(release(10, now));
        let long = owed.add(release(60_000, now));
        let expiry = now + Duration::from_millis(10) + SLACK;
        assert_eq!((owed.count(now), owed.next_expiry(now)), (2, Some(expiry)));
        assert_eq!(owed.count(expiry), 1);
        assert_eq!(numbers(&owed), [short, long]);
        owed.settle(long);
        assert_eq!(numbers(&owed), [short]);
        assert_eq!(owed.next_expiry(expiry), None);
    }

    #[test]
    fn beyond_the_bound_what_has_expired_is_forgotten_first_and_then_the_oldest() {
        let (mut owed, now) = (Owed::default(), SystemClock.now());
        let first = owed.add(release(60_000, now));
        let expired = owed.add(release(10, now));
        let rest: Vec<_> = (2..=MAX_OWED).map(|_| owed.add(release(60_000, now))).collect();
        assert_eq!(owed.trim(now + Duration::from_secs(1)), 0);
        assert!(!numbers(&owed).contains(&expired));
        let newest = owed.add(release(60_000, now));
        assert_eq!(owed.trim(now), 1);
        assert!(!numbers(&owed).contains(&first));
        assert_eq!(numbers(&owed).first(), rest.first());
        assert_eq!(numbers(&owed).last(), Some(&newest));
    }

    #[test]
    fn the_gaps_that_are_left_behind_an_old_release_are_closed() {
        let (mut owed, now) = (Owed::default(), SystemClock.now());
        let oldest = owed.add(release(60_000, now));
        let mut last = oldest;
        for _ in 0..10 * KEPT {
            let settled = owed.add(release(10, now));
            last = owed.add(release(10, now));
            owed.settle(settled);
            owed.settle(last);
        }
        assert!(owed.entries.len() <= 2 * KEPT, "{}", owed.entries.len());
        assert_eq!((numbers(&owed), owed.len()), (vec![oldest], 1));
        let newest = owed.add(release(10, now));
        owed.settle(last);
        owed.settle(oldest);
        assert_eq!((numbers(&owed), owed.len()), (vec![newest], 1));
    }

    #[test]
    fn the_room_of_a_burst_goes_when_the_connection_is_at_rest() {
        let (mut owed, now) = (Owed::default(), SystemClock.now());
        let all: Vec<_> = (0..2 * KEPT).map(|_| owed.add(release(60_000, now))).collect();
        assert!(!owed.rest(), "it is in use");
        let (last, others) = all.split_last().unwrap();
        others.iter().for_each(|number| owed.settle(*number));
        assert!(owed.is_large(), "another burst may follow");
        assert!(owed.rest() && !owed.is_large());
        assert_eq!(numbers(&owed), [*last]);
    }

    #[test]
    fn what_is_sent_once_more_stays_owed_for_as_long() {
        let (mut owed, now) = (Owed::default(), SystemClock.now());
        let number = owed.add(release(10, now));
        let soon = now + Duration::from_millis(9);
        assert_eq!(owed.renew(number, soon), Debt::Open);
        assert_eq!(owed.count(soon + Duration::from_millis(11) + SLACK), 1);
    }

    #[test]
    fn beyond_the_bound_what_is_confirmed_is_not_sent_once_more() {
        let (mut owed, now) = (Owed::default(), SystemClock.now());
        let all: Vec<_> = (0..=MAX_OWED).map(|_| owed.add(release(60_000, now))).collect();
        assert_eq!(owed.renew(all[7], now), Debt::Forgotten);
        assert_eq!(owed.renew(all[7], now), Debt::Over, "it is settled");
        assert_eq!(owed.renew(all[8], now), Debt::Open);
        assert_eq!(owed.len(), MAX_OWED);
    }

    #[test]
    fn what_is_refused_is_owed_for_as_long_as_its_keys_may_be_there_from_the_first_refusal_on() {
        let (mut owed, now) = (Owed::default(), SystemClock.now());
        let number = owed.add(release(10, now));
        // It had stood still, and has done what came before just now.
        let thawed = now + Duration::from_secs(60);
        assert_eq!(owed.refuse(number, thawed, thawed), Debt::Open);
        let soon = thawed + Duration::from_millis(9) + SLACK;
        assert_eq!(owed.refuse(number, soon, soon), Debt::Open, "counted from the first time");
        assert!(owed.release(number).is_some());
        let over = thawed + Duration::from_millis(10) + SLACK;
        assert_eq!(owed.refuse(number, over, over), Debt::Over);
        assert_eq!(owed.refuse(number, over, over), Debt::Over, "once more");
        assert_eq!(owed.len(), 0);
    }

    #[test]
    fn beyond_the_bound_what_is_refused_is_forgotten_and_not_what_is_on_its_way() {
        let (mut owed, now) = (Owed::default(), SystemClock.now());
        let oldest = owed.add(release(60_000, now));
        let rest: Vec<_> = (0..MAX_OWED).map(|_| owed.add(release(60_000, now))).collect();
        assert_eq!(owed.refuse(rest[7], now, now), Debt::Forgotten);
        assert!(owed.release(oldest).is_some() && owed.release(rest[7]).is_none());
        assert_eq!(owed.refuse(rest[8], now, now), Debt::Open);
        assert_eq!(owed.len(), MAX_OWED);
    }
}
