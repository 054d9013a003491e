//! Releases that have to be sent once more on the connection that is up, and when. It ends with the connection: the next one
//! begins with all that is owed. Pure: takes the time, sends nothing.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// By time; a release is its number.
#[derive(Debug, Default)]
pub(super) struct Again(BinaryHeap<Reverse<(Instant, u64)>>);

impl Again {
    /// Notes that `number` is sent once more at `at`. Whether that is before all others.
    pub(super) fn add(&mut self, at: Instant, number: u64) -> bool {
        let is_next = self.next().is_none_or(|next| at < next);
        self.0.push(Reverse((at, number)));
        is_next
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes what is due, in the order of time. A burst's room goes with it.
    pub(super) fn due(&mut self, now: Instant) -> Vec<u64> {
        let mut due = Vec::new();
        while self.next().is_some_and(|next| next <= now) {
            due.extend(self.0.pop().map(|Reverse((_, number))| number));
        }
        if self.0.is_empty() {
            self.0 = BinaryHeap::new();
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::{Clock, SystemClock};

    #[test]
    fn what_is_due_is_taken_by_its_time_and_once() {
        let (mut again, now) = (Again::default(), SystemClock.now());
        let at = |millis| now + Duration::from_millis(millis);
        assert_eq!((again.next(), again.due(now)), (None, vec![]));
        assert!(again.add(at(20), 1), "there is no other");
        assert!(!again.add(at(20), 0) && !again.add(at(30), 2));
        assert!(again.add(at(10), 3));
        assert_eq!(again.next(), Some(at(10)));
        assert!(again.due(at(9)).is_empty());
        assert_eq!(again.due(at(20)), [3, 0, 1]);
        assert!(again.due(at(20)).is_empty());
        assert_eq!((again.due(at(60)), again.next()), (vec![2], None));
    }
}
