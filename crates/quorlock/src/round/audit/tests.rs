//! Extends of nodes whose clocks may have run off, under paused time: whose vote counts, and who is told.

use std::sync::Mutex;
use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::error::NodeError;
use crate::event::{Audience, Observer};
use crate::node::Verb;
use crate::round::{Kept, NotKept, extend, repair};
use crate::scripted::{Scripted, after, nodes, terms, token};
use crate::sync::lock;

use super::*;

const MS: Duration = Duration::from_millis(1);

/// What was told: which node, and what was missing.
#[derive(Debug, Default)]
struct Anomalies(Mutex<Vec<(String, Duration)>>);

impl Observer for Anomalies {
    fn observe(&self, event: &Event) {
        if let Event::ClockAnomaly { node, resources, missing } = event {
            assert_eq!(*resources, "a".into());
            lock(&self.0).push((node.to_string(), *missing));
        }
    }
}

/// Nodes that have acknowledged a lease just now.
struct Scene {
    nodes: Arc<Nodes>,
    scripted: Vec<Arc<Scripted>>,
    baselines: Arc<Baselines>,
    told: Arc<Anomalies>,
}

impl Scene {
    fn of(count: usize) -> Self {
        let (mut nodes, scripted) = nodes(count);
        let told = Arc::<Anomalies>::default();
        let observer: Arc<dyn Observer> = Arc::clone(&told) as _;
        Arc::get_mut(&mut nodes).unwrap().audience = Audience::new(observer);
        let backed = terms().validity.deadline(SystemClock.now());
        let baselines = Arc::new(Baselines::new((0..count).map(|_| Some(backed))));
        Self { nodes, scripted, baselines, told }
    }

    /// What these find left of their keys, from now on.
    fn find(&self, which: impl IntoIterator<Item = usize>, ms: u64) {
        for index in which {
            self.scripted[index].plan(Verb::Extend, [after(0, kept(ms))]);
        }
    }

    async fn extend(&self) -> Result<Kept, NotKept> {
        let now = SystemClock.now();
        let old = now + terms().validity.length();
        extend(&self.nodes, &terms(), &token(), &self.baselines, now, old).await
    }

    fn repair(&self, kept: Kept) {
        repair(&self.nodes, &terms(), &token(), kept, |_| {});
    }

    fn told(&self) -> Vec<(String, Duration)> {
        std::mem::take(&mut *lock(&self.told.0))
    }
}

fn kept(ms: u64) -> Reply {
    Reply::Kept { found: Duration::from_millis(ms) }
}

async fn pass(ms: u64) {
    tokio::time::advance(Duration::from_millis(ms)).await;
}

fn kinds(errors: &[NodeError]) -> Vec<NodeErrorKind> {
    errors.iter().map(NodeError::kind).collect()
}

#[tokio::test(start_paused = true)]
async fn a_minority_whose_clocks_ran_ahead_is_named_and_the_others_extend() {
    let scene = Scene::of(5);
    pass(300).await;
    scene.find(0..2, 200);
    scene.find(2..5, 700);
    scene.extend().await.unwrap();
    // Of a second, 12 ms are drift and one is rounding.
    let missing = 487 * MS;
    assert_eq!(scene.told(), [("node-0".to_owned(), missing), ("node-1".to_owned(), missing)]);
}

#[tokio::test(start_paused = true)]
async fn a_majority_whose_clocks_ran_ahead_does_not_extend_and_is_not_gone() {
    for gone in 0..=2 {
        let scene = Scene::of(5);
        pass(300).await;
        scene.find(0..3, 200);
        for node in &scene.scripted[3..3 + gone] {
            node.plan(Verb::Extend, [after(0, Reply::Missing)]);
        }
        let Err(NotKept::NoQuorum(errors)) = scene.extend().await else {
            panic!("{gone} are gone")
        };
        let (ahead, others) = errors.split_at(3);
        assert_eq!(kinds(ahead), [NodeErrorKind::ClockRanAhead; 3]);
        assert_eq!(kinds(others), vec![NodeErrorKind::KeyGone; gone]);
        assert!(errors[0].to_string().contains("look at the clock"), "{}", errors[0]);
    }
}

#[tokio::test(start_paused = true)]
async fn at_the_edge_a_vote_counts_and_a_millisecond_below_it_is_void() {
    for (found, votes) in [(687, true), (686, false)] {
        let scene = Scene::of(1);
        pass(300).await;
        scene.find([0], found);
        assert_eq!(scene.extend().await.is_ok(), votes, "{found} ms");
        assert_eq!(scene.told().is_empty(), votes);
    }
}

#[tokio::test(start_paused = true)]
async fn however_late_an_answer_is_read_its_node_is_not_accused() {
    let scene = Scene::of(1);
    for late in [0, 20, 45] {
        pass(300).await;
        scene.scripted[0].plan(Verb::Extend, [after(late, kept(700 - 12))]);
        scene.extend().await.unwrap();
        // What it found was true when it was asked, and the next set began then.
        pass(700 - late).await;
        scene.find([0], 300);
        scene.extend().await.unwrap();
    }
    assert_eq!(scene.told(), []);
}

#[tokio::test(start_paused = true)]
async fn without_a_baseline_there_is_no_verdict() {
    let scene = Scene::of(3);
    (0..3).for_each(|index| scene.baselines.set(index, None));
    scene.find(0..3, 0);
    scene.extend().await.unwrap();
    assert_eq!(scene.told(), []);
    // But from now on there is one.
    pass(100).await;
    assert!(matches!(scene.extend().await, Err(NotKept::NoQuorum(_))));
}

#[tokio::test(start_paused = true)]
async fn after_a_void_vote_a_node_is_measured_by_what_it_has_set_then() {
    let scene = Scene::of(1);
    pass(300).await;
    scene.find([0], 200);
    assert!(scene.extend().await.is_err());
    pass(50).await;
    scene.find([0], 950);
    scene.extend().await.unwrap();
    assert_eq!(scene.told().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_lasted_longer_than_what_was_asked_for_is_measured_by_that() {
    let scene = Scene::of(1);
    scene.find([0], 60_000);
    scene.extend().await.unwrap();
    pass(500).await;
    scene.find([0], 50_000);
    assert!(scene.extend().await.is_err());
    // Of a minute, 602 ms are drift.
    assert_eq!(scene.told(), [("node-0".to_owned(), 8_897 * MS)]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_too_late_for_a_vote_tells_of_its_clock_too() {
    let scene = Scene::of(3);
    pass(300).await;
    scene.find(0..2, 700);
    scene.scripted[2].plan(Verb::Extend, [after(5, kept(200))]);
    let kept = scene.extend().await.unwrap();
    scene.repair(kept);
    tokio::time::sleep(6 * MS).await;
    assert_eq!(scene.told(), [("node-2".to_owned(), 482 * MS)]);
}

#[tokio::test(start_paused = true)]
async fn what_was_acknowledged_after_an_extend_was_sent_is_not_held_against_its_answer() {
    let scene = Scene::of(1);
    pass(300).await;
    scene.scripted[0].plan(Verb::Extend, [after(10, kept(700))]);
    let extend = scene.extend();
    let backed = terms().validity.deadline(SystemClock.now() + 5 * MS);
    let other = async {
        tokio::time::sleep(5 * MS).await;
        scene.baselines.set(0, Some(backed));
    };
    let (kept, ()) = tokio::join!(extend, other);
    kept.unwrap();
    assert_eq!(scene.told(), []);
}

#[tokio::test(start_paused = true)]
async fn whoever_did_not_keep_it_backs_nothing_until_it_is_repaired() {
    let scene = Scene::of(5);
    pass(300).await;
    scene.find(2..5, 700);
    let denied = after(0, Reply::Denied);
    scene.scripted[0].plan(Verb::Extend, [after(0, Reply::Missing)]);
    scene.scripted[0].plan(Verb::Repair, [denied]);
    scene.scripted[1].plan(Verb::Extend, [after(0, Reply::Missing)]);
    let backed = Some(terms().validity.deadline(SystemClock.now()));
    let kept = scene.extend().await.unwrap();
    assert_eq!(*scene.baselines.copy(), [None, None, backed, backed, backed]);
    pass(20).await;
    let repaired = Some(terms().validity.deadline(SystemClock.now()));
    scene.repair(kept);
    tokio::time::sleep(MS).await;
    assert_eq!(*scene.baselines.copy(), [None, repaired, backed, backed, backed]);
    scene.scripted[2].plan(Verb::Extend, [after(0, Reply::Failed(NodeErrorKind::Down.into()))]);
    scene.scripted[3].plan(Verb::Extend, [None]);
    drop(scene.extend().await);
    let now = scene.baselines.copy();
    assert_eq!((now[2], now[3]), (None, backed), "silence takes nothing back");
}
