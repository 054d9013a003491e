//! Which nodes are asked to raise their counters, and which of them count; against nodes that answer as told, under paused
//! time.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::error::NodeErrorKind;
use crate::fan_out::Nodes;
use crate::fencing::Fencing;
use crate::lease::Terms;
use crate::node::{Fence, Reply, Verb};
use crate::round::{Missed, Won};
use crate::scripted::{Plan, Scripted, acquire, after, nodes, terms, token};

const MS: Duration = Duration::from_millis(1);

fn counted(counter: u64) -> Plan {
    after(0, Reply::Counted(counter))
}

fn fenced(certify_on: usize) -> Terms {
    Terms { fencing: Fencing::Wanted { certify_on }, ..terms() }
}

/// Nodes that count an attempt so.
fn counting(counters: &[u64]) -> (Arc<Nodes>, Vec<Arc<Scripted>>) {
    let (nodes, scripted) = nodes(counters.len());
    for (node, counter) in scripted.iter().zip(counters) {
        node.plan(Verb::Acquire, [counted(*counter)]);
    }
    (nodes, scripted)
}

async fn attempt(nodes: &Arc<Nodes>) -> Result<Won, Missed> {
    acquire(nodes, &fenced(nodes.quorum()), token(), SystemClock.now()).await
}

fn number(won: &Won) -> u64 {
    won.fencing.expect("it was asked for").get()
}

/// From where to where each node was asked to raise its counters.
fn raises(scripted: &[Arc<Scripted>]) -> Vec<Option<(u64, u64)>> {
    let raise = |node: &Arc<Scripted>| {
        let asked = node.questions.lock().unwrap();
        asked.iter().find_map(|question| match question.fence {
            Some(Fence::Raise { granted, to }) => Some((granted, to)),
            _ => None,
        })
    };
    scripted.iter().map(raise).collect()
}

#[tokio::test(start_paused = true)]
async fn g2_nodes_that_count_alike_certify_in_one_round() {
    let (nodes, scripted) = counting(&[7, 7, 7, 9, 9]);
    let won = attempt(&nodes).await.unwrap();
    assert_eq!((number(&won), won.rounds), (7, 1));
    assert_eq!(raises(&scripted), [None; 5]);
}

#[tokio::test(start_paused = true)]
async fn g2_nodes_below_the_highest_are_raised_from_what_they_granted() {
    let (nodes, scripted) = counting(&[7, 9, 8, 0, 0]);
    scripted[3..].iter().for_each(|node| node.plan(Verb::Acquire, [None]));
    let won = attempt(&nodes).await.unwrap();
    assert_eq!((number(&won), won.rounds, won.votes), (9, 2, 3));
    assert_eq!(raises(&scripted), [Some((7, 9)), None, Some((8, 9)), None, None]);
}

#[tokio::test(start_paused = true)]
async fn g2_a_round_is_lost_where_raising_is_denied_and_everything_is_given_back() {
    let (nodes, scripted) = counting(&[7, 9, 8]);
    scripted[0].plan(Verb::Certify, [after(0, Reply::Denied)]);
    scripted[2].plan(Verb::Certify, [after(0, Reply::Denied)]);
    let missed = attempt(&nodes).await;
    assert!(matches!(missed, Err(Missed::Denied { .. })), "{missed:?}");
    assert!(scripted.iter().all(|node| node.asked().last() == Some(&Verb::Undo)));
}

#[tokio::test(start_paused = true)]
async fn g2_a_late_grant_is_counted_raised_or_left_out_by_where_it_stands() {
    // One of three does not certify; of the late ones the first stands higher, the second is raised or alike.
    for late in [7, 9] {
        let (nodes, scripted) = counting(&[7, 9, 7, 11, late]);
        scripted[0].plan(Verb::Certify, [None]);
        scripted[2].plan(Verb::Certify, [after(5, Reply::Granted)]);
        scripted[3].plan(Verb::Acquire, [after(1, Reply::Counted(11))]);
        scripted[4].plan(Verb::Acquire, [after(2, Reply::Counted(late))]);
        let begun = SystemClock.now();
        let won = attempt(&nodes).await.unwrap();
        assert_eq!((number(&won), won.rounds), (9, 2));
        assert_eq!(SystemClock.now() - begun, 5 * MS, "the one that stands higher is no vote");
        let raised = (late < 9).then_some((late, 9));
        assert_eq!(raises(&scripted)[3..], [None, raised]);
    }
}

#[tokio::test(start_paused = true)]
async fn g7_a_round_that_nobody_certifies_ends_at_its_time_limit() {
    let (nodes, scripted) = counting(&[7, 9, 8]);
    scripted.iter().for_each(|node| node.plan(Verb::Certify, [None]));
    let begun = SystemClock.now();
    let Err(Missed::NoQuorum(failures)) = attempt(&nodes).await else { panic!("it was won") };
    assert_eq!(SystemClock.now() - begun, terms().time_limit);
    let kinds: Vec<_> = failures.iter().map(|failure| failure.kind()).collect();
    assert_eq!(kinds, [NodeErrorKind::NoAnswer; 2], "the third has certified it");
}

#[tokio::test(start_paused = true)]
async fn g1_a_token_that_is_certified_after_the_deadline_is_too_late() {
    let (nodes, scripted) = counting(&[7, 9, 8]);
    let patient = Terms { time_limit: Duration::from_secs(5), ..fenced(2) };
    scripted.iter().for_each(|node| node.plan(Verb::Certify, [after(2_000, Reply::Granted)]));
    let missed = acquire(&nodes, &patient, token(), SystemClock.now()).await;
    assert!(missed.is_err(), "{missed:?}");
    assert!(scripted.iter().all(|node| node.asked().last() == Some(&Verb::Undo)));
}

#[tokio::test(start_paused = true)]
async fn as_many_nodes_certify_as_are_asked_for() {
    let (nodes, scripted) = counting(&[7, 7, 7, 9, 7]);
    scripted[3].plan(Verb::Acquire, [after(3, Reply::Counted(9))]);
    scripted[4].plan(Verb::Acquire, [after(4, Reply::Counted(7))]);
    let won = acquire(&nodes, &fenced(4), token(), SystemClock.now()).await.unwrap();
    assert_eq!((number(&won), won.rounds, won.votes), (9, 2, 4));
    // Two that are away are two too many.
    scripted[..2].iter().for_each(|node| node.plan(Verb::Acquire, [after(0, down())]));
    let missed = acquire(&nodes, &fenced(4), token(), SystemClock.now()).await;
    assert!(matches!(missed, Err(Missed::NoQuorum(_))), "{missed:?}");
}

fn down() -> Reply {
    Reply::Failed(NodeErrorKind::Down.into())
}

#[tokio::test(start_paused = true)]
async fn a_grant_without_a_counter_is_none_and_so_is_a_counter_that_nobody_asked_for() {
    let (nodes, _) = nodes(3);
    assert!(matches!(attempt(&nodes).await, Err(Missed::NoQuorum(_))), "granted, not counted");
    let (nodes, _) = counting(&[7, 7, 7]);
    let missed = acquire(&nodes, &terms(), token(), SystemClock.now()).await;
    assert!(matches!(missed, Err(Missed::NoQuorum(_))), "{missed:?}");
}
