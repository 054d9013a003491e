//! Those who wait for one lock on one handle, in the order in which they came: the first asks the nodes, and the others wait for
//! their turn, or ask now and then. What the handle knows of others who want it is kept beside them (`contention.rs`).

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::contention::Contention;
use crate::resources::Keys;
use crate::sync::lock;

/// With so many locks on record, those that nobody waits for and that tell nothing any more are forgotten.
const TIDY_FROM: usize = 64;

/// All of a handle.
#[derive(Default)]
pub(crate) struct Waiters {
    queues: Mutex<Queues>,
    /// How many there are: none where nothing is contended, which is what costs nothing.
    count: AtomicUsize,
}

#[derive(Default)]
struct Queues {
    all: BTreeMap<Arc<[String]>, Queue>,
    /// How many there were left when they were tidied last.
    tidied: usize,
}

/// For one set of resources.
#[derive(Default)]
struct Queue {
    waiting: VecDeque<(u64, Arc<Notify>)>,
    last: u64,
    contention: Contention,
    /// The node that said first that it is held.
    nearest: usize,
}

impl Queue {
    fn rank_of(&self, number: u64) -> Option<usize> {
        // They are numbered as they come.
        self.waiting.binary_search_by_key(&number, |(number, _)| *number).ok()
    }

    /// Those whose part changes when one leaves that `place`: the first, and who is the next to ask in his stead.
    fn called_from(&self, place: usize) -> Vec<Arc<Notify>> {
        self.waiting.iter().take(2).skip(place).map(|(_, bell)| Arc::clone(bell)).collect()
    }

    fn is_over(&self, now: Instant) -> bool {
        self.waiting.is_empty() && self.contention.is_over(now)
    }
}

impl Waiters {
    /// Whether a newcomer goes to the end of the queue, and does not ask first.
    pub(crate) fn is_contended(&self, keys: &Keys, now: Instant, slot: Duration) -> bool {
        self.find(keys, now, |queue| {
            !queue.waiting.is_empty() || queue.contention.is_expected(now, slot)
        })
        .unwrap_or(false)
    }

    /// This handle has it. What time it is, is only asked where somebody wants to know.
    pub(crate) fn won(&self, keys: &Keys, clock: impl FnOnce() -> Instant) {
        if self.count.load(Ordering::Relaxed) > 0 {
            let now = clock();
            self.find(keys, now, |queue| queue.contention.won(now));
        }
    }

    /// What is known of one lock. Nothing, where all of it is out of date.
    fn find<T>(&self, keys: &Keys, now: Instant, see: impl FnOnce(&mut Queue) -> T) -> Option<T> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut queues = lock(&self.queues);
        let queue = queues.all.get_mut(keys.as_slice())?;
        if !queue.is_over(now) {
            return Some(see(queue));
        }
        queues.all.remove(keys.as_slice());
        self.count.store(queues.all.len(), Ordering::Relaxed);
        None
    }

    /// Goes to the end of the queue.
    pub(crate) fn join(&self, keys: &Keys, now: Instant) -> Waiter<'_> {
        let bell = Arc::new(Notify::new());
        let mut queues = lock(&self.queues);
        if queues.all.len() >= TIDY_FROM.max(2 * queues.tidied) {
            queues.all.retain(|_, queue| !queue.is_over(now));
            queues.tidied = queues.all.len();
        }
        let queue = queues.all.entry(keys.shared()).or_default();
        queue.last += 1;
        let number = queue.last;
        queue.waiting.push_back((number, Arc::clone(&bell)));
        self.count.store(queues.all.len(), Ordering::Relaxed);
        Waiter { waiters: self, keys: keys.clone(), number, bell }
    }

    /// Calls everybody: the handle is closed.
    pub(crate) fn call_all(&self) {
        let queues = lock(&self.queues);
        let waiting = queues.all.values().flat_map(|queue| &queue.waiting);
        let bells: Vec<_> = waiting.map(|(_, bell)| Arc::clone(bell)).collect();
        drop(queues);
        ring(bells);
    }
}

/// Without any lock: whoever is woken may do anything.
fn ring(bells: impl IntoIterator<Item = Arc<Notify>>) {
    bells.into_iter().for_each(|bell| bell.notify_one());
}

impl fmt::Debug for Waiters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiters").field("count", &self.count).finish_non_exhaustive()
    }
}

/// Where somebody who waits stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rank {
    /// He asks the nodes.
    First,
    /// So many places behind: he asks now and then, should those before him not be polled, and more seldom the farther he is.
    Behind(u32),
}

/// One who waits. When it is dropped, whoever comes forward by that is called.
pub(crate) struct Waiter<'a> {
    waiters: &'a Waiters,
    keys: Keys,
    number: u64,
    bell: Arc<Notify>,
}

impl Waiter<'_> {
    pub(crate) fn rank(&self) -> Rank {
        self.with(|queue| match queue.rank_of(self.number) {
            Some(0) => Rank::First,
            place => Rank::Behind(place.and_then(|place| u32::try_from(place).ok()).unwrap_or(1)),
        })
    }

    /// Resolves when its place may have changed, or the handle is closed, since the last time that this resolved.
    pub(crate) async fn called(&self) {
        self.bell.notified().await;
    }

    /// What is known of others who want it.
    pub(crate) fn contention<T>(&self, know: impl FnOnce(&mut Contention) -> T) -> T {
        self.with(|queue| know(&mut queue.contention))
    }

    /// The node that said first that it is held, to anybody in this queue.
    pub(crate) fn nearest(&self) -> usize {
        self.with(|queue| queue.nearest)
    }

    /// This node tells, or was the first that denied it.
    pub(crate) fn listens_to(&self, node: usize) {
        self.with(|queue| queue.nearest = node);
    }

    fn with<T>(&self, see: impl FnOnce(&mut Queue) -> T) -> T {
        // It is there as long as this is.
        see(lock(&self.waiters.queues).all.entry(self.keys.shared()).or_default())
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut queues = lock(&self.waiters.queues);
        let Some(queue) = queues.all.get_mut(self.keys.as_slice()) else { return };
        let place = queue.rank_of(self.number);
        let called = place.map_or_else(Vec::new, |place| {
            queue.waiting.remove(place);
            queue.called_from(place)
        });
        if queue.waiting.is_empty() && queue.contention.is_unknown() {
            queues.all.remove(self.keys.as_slice());
            self.waiters.count.store(queues.all.len(), Ordering::Relaxed);
        }
        drop(queues);
        ring(called);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::clock::{Clock, SystemClock};
    use crate::contention::{Holder, Told};

    const MS: Duration = Duration::from_millis(1);

    fn keys(name: &str) -> Keys {
        Keys::parse(name.into(), "").unwrap()
    }

    #[test]
    fn they_come_forward_in_the_order_in_which_they_came() {
        use Rank::{Behind, First};
        let (waiters, now) = (Waiters::default(), SystemClock.now());
        let [one, two, three, four] = std::array::from_fn(|_| waiters.join(&keys("a"), now));
        let other = waiters.join(&keys("b"), now);
        let seen = |waiter: &Waiter<'_>| (waiter.rank(), waiter.called().now_or_never().is_some());
        assert_eq!([&one, &two].map(seen), [(First, false), (Behind(1), false)]);
        assert_eq!([&three, &four].map(seen), [(Behind(2), false), (Behind(3), false)]);
        drop(two);
        assert_eq!(seen(&one), (First, false), "nothing has changed for him");
        assert_eq!([&three, &four].map(seen), [(Behind(1), true), (Behind(2), false)]);
        drop(one);
        assert_eq!([&three, &four].map(seen), [(First, true), (Behind(1), true)]);
        drop(three);
        assert_eq!([&four, &other].map(seen), [(First, true), (First, false)]);
    }

    #[test]
    fn nothing_is_left_of_those_who_are_gone() {
        let (waiters, now) = (Waiters::default(), SystemClock.now());
        for name in ["a", "b"] {
            let waiter = waiters.join(&keys(name), now);
            assert!(waiters.is_contended(&keys(name), now, MS));
            drop(waiter);
            assert!(!waiters.is_contended(&keys(name), now, MS));
        }
        assert_eq!(waiters.count.load(Ordering::Relaxed), 0);
        assert!(lock(&waiters.queues).all.is_empty());
    }

    #[test]
    fn who_else_wants_it_is_kept_for_a_while() {
        let (waiters, now) = (Waiters::default(), SystemClock.now());
        let later = |span| crate::validity::later(now, span);
        for index in 0..2 * TIDY_FROM {
            let waiter = waiters.join(&keys(&index.to_string()), now);
            waiter.contention(|contention| {
                contention.held(Some(Holder::of_value(b"another")), Told::NotYet);
                contention.won(now);
            });
        }
        assert!(waiters.is_contended(&keys("7"), later(5 * MS), MS));
        waiters.won(&keys("7"), || later(5 * MS));
        assert!(!waiters.is_contended(&keys("7"), later(5 * MS), MS), "it has it this moment");
        assert_eq!(lock(&waiters.queues).all.len(), 2 * TIDY_FROM);
        drop(waiters.join(&keys("new"), later(Duration::from_secs(120))));
        assert!(lock(&waiters.queues).all.is_empty());
    }
}
