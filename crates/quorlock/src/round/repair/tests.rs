//! What is done about nodes that have lost an extended lease, or say so late, under paused time.

use std::sync::Mutex;
use std::time::Duration;

use futures::future::BoxFuture;

use super::*;
use crate::audit::Baselines;
use crate::clock::{Clock, Spawner, SystemClock};
use crate::event::{Audience, Observer};
use crate::round::extend;
use crate::scripted::{KEPT, after, nodes, terms, token};
use crate::sync::lock;
use crate::validity::later;

const MS: Duration = Duration::from_millis(1);

/// An extend that a quorum has kept, of nodes that have acknowledged nothing before.
async fn extended(nodes: &Arc<Nodes>) -> Kept {
    let unknown = Arc::new(Baselines::new((0..nodes.len()).map(|_| None)));
    let now = SystemClock.now();
    let old = later(now, 900 * MS);
    extend(nodes, &terms(), &token(), &unknown, now, old).await.expect("a quorum keeps it")
}

#[tokio::test(start_paused = true)]
async fn g6_repair_follows_a_proven_majority_and_reaches_nodes_that_answer_late() {
    let (nodes, scripted) = nodes(5);
    scripted[0].plan(Verb::Extend, [after(0, Reply::Missing)]);
    scripted[4].plan(Verb::Extend, [after(300, Reply::Missing)]);
    let kept = extended(&nodes).await;
    assert!(scripted.iter().all(|node| !node.asked().contains(&Verb::Repair)));
    repair(&nodes, &terms(), &token(), kept, |_| {});
    assert!(scripted[0].asked().contains(&Verb::Repair));
    tokio::time::sleep(301 * MS).await;
    assert!(scripted[4].asked().contains(&Verb::Repair));
    assert!((1..4).all(|i| !scripted[i].asked().contains(&Verb::Repair)));
}

#[tokio::test(start_paused = true)]
async fn stragglers_that_are_only_followed_for_repairs_make_no_crowd() {
    let (nodes, scripted) = nodes(5);
    scripted[4].plan(Verb::Extend, [after(300, KEPT)]);
    let kept = extended(&nodes).await;
    repair(&nodes, &terms(), &token(), kept, |_| {});
    // With one that waits there would be two.
    nodes.crowd.enter();
    nodes.crowd.begin_turn();
    assert!(!nodes.crowd.holds_back(|| true, std::task::Waker::noop()));
    nodes.crowd.enter();
    nodes.crowd.begin_turn();
    assert!(nodes.crowd.holds_back(|| true, std::task::Waker::noop()), "two that wait do");
}

#[tokio::test(start_paused = true)]
async fn g6_no_node_is_repaired_once_the_extended_lease_is_over() {
    let (nodes, scripted) = nodes(3);
    scripted[2].plan(Verb::Extend, [after(988, Reply::Missing)]);
    let kept = extended(&nodes).await;
    repair(&nodes, &terms(), &token(), kept, |_| {});
    tokio::time::sleep(2_000 * MS).await;
    assert_eq!(scripted[2].asked(), [Verb::Extend]);
}

/// Starts nothing.
#[derive(Debug)]
struct NoTasks;

impl Spawner for NoTasks {
    fn spawn(&self, _: BoxFuture<'static, ()>) {
        panic!("a task was started");
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_late_takes_no_task_and_keeps_no_nodes_that_nobody_else_needs() {
    let (nodes, scripted) = nodes(5);
    scripted[4].plan(Verb::Extend, [after(300, Reply::Missing)]);
    let nodes = Arc::new(Nodes { spawner: Arc::new(NoTasks), ..Arc::into_inner(nodes).unwrap() });
    let kept = extended(&nodes).await;
    repair(&nodes, &terms(), &token(), kept, |_| {});
    assert!(Arc::into_inner(nodes).is_some(), "an answer that is out needs them");
    tokio::time::sleep(301 * MS).await;
    assert_eq!(scripted[4].asked(), [Verb::Extend]);
}

/// Panics when it is told of a repair, after it has noted of which node.
#[derive(Debug, Default)]
struct Panics(Mutex<Vec<String>>);

impl Observer for Panics {
    fn observe(&self, event: &Event) {
        if let Event::Repaired { node, .. } = event {
            lock(&self.0).push(node.to_string());
            panic!("on purpose");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_that_panics_over_a_repair_ends_nothing_else() {
    let (nodes, scripted) = nodes(5);
    scripted[..2].iter().for_each(|node| node.plan(Verb::Extend, [after(0, Reply::Missing)]));
    let told = Arc::<Panics>::default();
    let audience = Audience::new(Arc::clone(&told) as Arc<dyn Observer>);
    let nodes = Arc::new(Nodes { audience, ..Arc::into_inner(nodes).unwrap() });
    let kept = extended(&nodes).await;
    // Who reads the answers would end here otherwise.
    repair(&nodes, &terms(), &token(), kept, |_| {});
    assert_eq!(*lock(&told.0), ["node-0", "node-1"]);
}
