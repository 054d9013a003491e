//! Many leases with one keeper, under paused time.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt;
use futures::future::BoxFuture;

use super::*;
use crate::clock::{Clock, Spawner, SystemClock, TokioSpawner};
use crate::event::{Audience, Event, Observer};
use crate::fan_out::Nodes;
use crate::keeper::tests::{MS, extends, held, keeper, silence};
use crate::keeper::{Keeper, Keeping};
use crate::lease::Terms;
use crate::scripted::{nodes, terms};
use crate::validity::Validity;

#[tokio::test(start_paused = true)]
async fn many_leases_are_kept_by_one_task_that_ends_with_the_last_of_them() {
    let (nodes, scripted) = nodes(3);
    let spawner = Arc::new(Counting::default());
    let keeper = Keeper::new(Arc::clone(&nodes.clock), Arc::clone(&spawner) as Arc<dyn Spawner>);
    let mut all = Vec::new();
    for _ in 0..200 {
        let held = Arc::new(held(&nodes, terms(), None).await);
        all.push(keeper.keep(held, Keeping::Extended, SystemClock.now()));
    }
    tokio::time::sleep(terms().validity.ttl() * 3).await;
    assert!(all.iter().all(|kept| kept.held.life.is_valid()));
    let each = extends(&scripted[0]) as f64 / 200.0;
    assert!((9.0..=10.5).contains(&each), "{each} extends each in 3 TTLs");
    drop(keeper);
    // The keeper, and a task that does nothing: see `Keeper::keep`.
    assert_eq!(spawner.counts(), [2, 1]);
    all.truncate(1);
    tokio::time::sleep(terms().validity.ttl() * 3).await;
    assert!(all[0].held.life.is_valid(), "also after the keeper was dropped");
    all.clear();
    tokio::time::sleep(MS).await;
    assert_eq!(spawner.counts(), [2, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_due_sooner_than_those_before_it_is_kept_too() {
    let (nodes, _scripted) = nodes(3);
    let keeper = keeper(&nodes);
    let long = Terms { validity: Validity::new(3_600_000 * MS, 0.01).unwrap(), ..terms() };
    for terms in [long, terms()] {
        let held = Arc::new(held(&nodes, terms, None).await);
        let kept = keeper.keep(held, Keeping::Extended, SystemClock.now());
        tokio::time::sleep(2_000 * MS).await;
        assert!(kept.held.life.is_valid());
        // Left behind for as long as it lasts.
        std::mem::forget(kept);
    }
}

#[tokio::test(start_paused = true)]
async fn leases_that_are_held_one_after_the_other_do_not_wake_the_keeper_each() {
    let (nodes, _scripted) = nodes(3);
    let spawner = Arc::new(Counting::default());
    let keeper = Keeper::new(Arc::clone(&nodes.clock), Arc::clone(&spawner) as Arc<dyn Spawner>);
    for _ in 0..100 {
        let held = Arc::new(held(&nodes, terms(), None).await);
        drop(keeper.keep(held, Keeping::Extended, SystemClock.now()));
        tokio::task::yield_now().await;
    }
    // A task that does nothing comes with each time that he is woken: the first time, and as often as one is due sooner than
    // all before it, which is five times of a hundred.
    assert!(spawner.counts()[0] < 20, "{:?}", spawner.counts());
    let last = Arc::new(held(&nodes, terms(), None).await);
    let kept = keeper.keep(last, Keeping::Extended, SystemClock.now());
    tokio::time::sleep(terms().validity.ttl() * 3).await;
    assert!(kept.held.life.is_valid(), "and keeps what comes after them");
}

#[tokio::test(start_paused = true)]
async fn those_that_are_nearly_due_go_out_with_the_first() {
    let (nodes, _) = nodes(3);
    let roster = Roster::new(None);
    let mut all = Vec::new();
    for _ in 0..200 {
        let held = Arc::new(held(&nodes, terms(), None).await);
        // A third of a second, of which a 32nd is ten milliseconds.
        roster.add(&held, Some(held.now() + (100 + all.len() as u32) * MS));
        all.push(held);
    }
    let begun = SystemClock.now();
    assert_eq!(roster.due(begun + 99 * MS).len(), 0);
    assert_eq!(roster.due(begun + 100 * MS).len(), 11);
    assert_eq!(roster.due(begun + 100 * MS).len(), 0, "once");
    assert_eq!(roster.due(begun + 210 * MS).len(), 110, "and all that are due");
    assert_eq!(roster.due(begun + 300 * MS).len(), 79);
}

/// Counts the tasks that begin, and those that end.
#[derive(Debug, Default)]
struct Counting {
    spawner: TokioSpawner,
    begun: AtomicUsize,
    ended: Arc<AtomicUsize>,
}

impl Counting {
    fn counts(&self) -> [usize; 2] {
        [&self.begun, &*self.ended].map(|count| count.load(Ordering::SeqCst))
    }
}

impl Spawner for Counting {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let ended = Arc::clone(&self.ended);
        self.spawner.spawn(Box::pin(task.map(move |()| {
            ended.fetch_add(1, Ordering::SeqCst);
        })));
    }
}

/// Panics when it is told of an extend, a failure to extend, or a loss.
#[derive(Debug)]
struct Panics;

impl Observer for Panics {
    fn observe(&self, event: &Event) {
        use Event::{ExtendFailed, Extended, Lost};
        let is_of_extends = matches!(event, Extended { .. } | ExtendFailed { .. } | Lost { .. });
        assert!(!is_of_extends, "on purpose");
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_that_panics_over_a_lease_leaves_it_and_the_others_kept() {
    let (calm, _) = nodes(3);
    let (nodes, scripted) = nodes(3);
    let audience = Audience::new(Arc::new(Panics));
    let nodes = Arc::new(Nodes { audience, ..Arc::into_inner(nodes).unwrap() });
    let keeper = keeper(&nodes);
    let keep = async |nodes, terms| {
        let held = Arc::new(held(nodes, terms, None).await);
        keeper.keep(held, Keeping::Extended, SystemClock.now())
    };
    let panics = keep(&nodes, terms()).await;
    let other = keep(&calm, terms()).await;
    tokio::time::sleep(terms().validity.ttl() * 3).await;
    assert!(panics.held.life.is_valid(), "it was told of extends");
    silence(&scripted);
    tokio::time::sleep(terms().validity.ttl() * 3).await;
    assert!(!panics.held.life.is_valid() && panics.held.life.held_until().is_none());
    assert!(other.held.life.is_valid());
}

#[test]
fn each_runtime_keeps_the_leases_that_were_taken_on_it() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let spawner = Arc::new(TokioSpawner::default());
    let keeper = Keeper::new(Arc::new(SystemClock), spawner);
    let keep = async || {
        let (nodes, _scripted) = nodes(3);
        let held = Arc::new(held(&nodes, terms(), None).await);
        keeper.keep(held, Keeping::Extended, SystemClock.now())
    };
    let (passing, home) = (runtime(), runtime());
    let gone = passing.block_on(keep());
    let stays = home.block_on(keep());
    assert_eq!(lock(&keeper.rosters).len(), 2);
    drop(passing);
    assert_eq!(Arc::strong_count(&gone.held), 1, "nobody keeps it");
    assert_eq!(Arc::strong_count(&stays.held), 2);
    drop(gone);
    let last = runtime().block_on(keep());
    assert_eq!(lock(&keeper.rosters).len(), 2, "that of the runtime that has ended is forgotten");
    drop((last, stays));
}
