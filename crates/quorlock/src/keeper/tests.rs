//! A held lease under paused time: when it is extended, when its loss is told, and that it never comes back.

use std::ops::Deref;

use futures::FutureExt;

use super::*;
use crate::clock::{Clock, SystemClock};
use crate::entropy::Entropy;
use crate::error::{LostReason, NodeErrorKind};
use crate::fan_out::Nodes;
use crate::lease::Terms;
use crate::node::{NodeSet, Reply, Verb};
use crate::round::Won;
use crate::scripted::{KEPT, Scripted, acquire, after, nodes, terms, token};
use crate::validity::Validity;

pub(super) const MS: Duration = Duration::from_millis(1);
/// `max(5 ms, ttl / 100)` for the TTL of these tests: written out, so that the formula is checked and not repeated.
const NOTICE: Duration = Duration::from_millis(10);

/// A lease, its place with its keeper, and that.
struct Holding {
    kept: Kept,
    _keeper: Keeper,
}

impl Deref for Holding {
    type Target = Held;

    fn deref(&self) -> &Held {
        &self.kept.held
    }
}

pub(super) fn keeper(nodes: &Nodes) -> Keeper {
    Keeper::new(Arc::clone(&nodes.clock), Arc::clone(&nodes.spawner))
}

fn kept(nodes: &Nodes, held: Held, keeping: Keeping) -> Holding {
    let keeper = keeper(nodes);
    Holding { kept: keeper.keep(Arc::new(held), keeping, SystemClock.now()), _keeper: keeper }
}

pub(super) async fn held(nodes: &Arc<Nodes>, terms: Terms, max_hold: Option<Duration>) -> Held {
    let won = acquire(nodes, &terms, token(), SystemClock.now()).await.unwrap();
    Held::new(nodes, terms, won, max_hold, &Arc::new(Entropy::seeded(1)))
}

async fn hold(nodes: &Arc<Nodes>, max_hold: Option<Duration>, keeping: Keeping) -> Holding {
    kept(nodes, held(nodes, terms(), max_hold).await, keeping)
}

pub(super) fn silence(nodes: &[Arc<Scripted>]) {
    nodes.iter().for_each(|node| node.plan(Verb::Extend, [None]));
}

pub(super) fn extends(node: &Scripted) -> usize {
    node.asked().iter().filter(|verb| **verb == Verb::Extend).count()
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_kept_for_many_ttls_at_a_third_of_the_ttl_each() {
    let (nodes, scripted) = nodes(5);
    let held = hold(&nodes, None, Keeping::Extended).await;
    tokio::time::sleep(terms().validity.ttl() * 20).await;
    assert!(held.life.is_valid());
    let count = extends(&scripted[0]);
    assert!((60..=67).contains(&count), "{count} extends in 20 TTLs");
}

#[tokio::test(start_paused = true)]
async fn g5_loss_is_told_before_the_validity_ends_whatever_the_nodes_do() {
    for moment in 0..100 {
        let (nodes, scripted) = nodes(5);
        let held = hold(&nodes, None, Keeping::Extended).await;
        tokio::time::sleep(moment * 23 * MS).await;
        silence(&scripted[..3]);
        let lost = held.life.ended();
        let until = async {
            loop {
                let until = held.life.held_until().unwrap();
                SystemClock.sleep_until(until - NOTICE).await;
                if held.life.held_until().is_none_or(|now| now == until) {
                    return until;
                }
            }
        };
        let (reason, until) = tokio::join!(lost, until);
        assert_eq!(reason, LostReason::Expired);
        assert_eq!(SystemClock.now(), until - NOTICE, "moment {moment}");
        assert!(!held.life.is_valid());
    }
}

/// Who waits for the loss has a timer of his own. Observers, and the token, have the keeper's.
#[tokio::test(start_paused = true)]
async fn g5_the_loss_is_told_while_an_extend_is_under_way_also_where_nobody_waits_for_it() {
    let (nodes, scripted) = nodes(3);
    let patient = Terms { time_limit: terms().validity.ttl(), ..terms() };
    let held = kept(&nodes, held(&nodes, patient, None).await, Keeping::Extended);
    silence(&scripted);
    let until = held.life.held_until().unwrap();
    tokio::time::sleep(until - NOTICE - MS - SystemClock.now()).await;
    assert_eq!((extends(&scripted[0]), held.life.held_until()), (1, Some(until)));
    tokio::time::sleep(2 * MS).await;
    assert_eq!(held.life.held_until(), None);
}

#[tokio::test(start_paused = true)]
async fn a_lease_without_a_keeper_lasts_one_ttl() {
    let (nodes, scripted) = nodes(3);
    let held = hold(&nodes, None, Keeping::OneTtl).await;
    let until = held.life.held_until().unwrap();
    assert_eq!(held.life.ended().await, LostReason::Expired);
    assert_eq!(SystemClock.now(), until - NOTICE);
    assert_eq!(extends(&scripted[0]), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lease_ends_at_its_maximum_hold_time() {
    let (nodes, _scripted) = nodes(3);
    let begun = SystemClock.now();
    let held = hold(&nodes, Some(3_500 * MS), Keeping::Extended).await;
    assert_eq!(held.life.ended().await, LostReason::MaxHold);
    assert_eq!(SystemClock.now(), begun + 3_495 * MS);
}

#[tokio::test(start_paused = true)]
async fn a_failed_extend_harms_nothing_and_is_tried_again_until_it_works() {
    let (nodes, scripted) = nodes(3);
    let held = hold(&nodes, None, Keeping::Extended).await;
    let until = held.life.held_until();
    silence(&scripted[..2]);
    tokio::time::sleep(600 * MS).await;
    assert_eq!(held.life.held_until(), until);
    assert!(held.life.is_valid());
    assert!(extends(&scripted[0]) >= 2);
    scripted[..2].iter().for_each(|node| node.plan(Verb::Extend, [after(0, KEPT)]));
    tokio::time::sleep(300 * MS).await;
    assert!(held.life.held_until() > until);
}

#[tokio::test(start_paused = true)]
async fn after_a_failed_extend_several_tries_fit_in_before_the_deadline() {
    let (nodes, scripted) = nodes(3);
    let held = hold(&nodes, None, Keeping::Extended).await;
    let refused = || after(0, Reply::Failed(NodeErrorKind::Refused.into()));
    scripted.iter().for_each(|node| node.plan(Verb::Extend, [refused()]));
    assert_eq!(held.life.ended().await, LostReason::Expired);
    // From a third of the second to its end, each 25 to 50 ms after the one before.
    let count = extends(&scripted[0]);
    assert!((13..=28).contains(&count), "{count} extends");
}

#[tokio::test(start_paused = true)]
async fn a_shorter_extend_asks_for_what_is_left_and_a_release_knows_the_longest() {
    let (nodes, scripted) = nodes(3);
    let held = hold(&nodes, None, Keeping::OneTtl).await;
    let until = held.life.held_until().unwrap();
    let of = |ms| Validity::new(ms * MS, 0.01).unwrap();
    held.extend(of(100)).await.unwrap();
    let moved = held.life.held_until().unwrap() - until;
    assert!(moved < 2 * MS, "{moved:?}");
    // What is left now, drift included: a node that is repaired holds it for as long.
    let asked = scripted[0].last().unwrap().ttl();
    assert!(
        asked >= terms().validity.ttl() && asked < terms().validity.ttl() + 2 * MS,
        "{asked:?}"
    );
    held.extend(of(4_000)).await.unwrap();
    assert_eq!(scripted[0].last().unwrap().ttl(), 4_000 * MS);
    drop(held.release());
    assert_eq!(scripted[0].last().unwrap().verb(), Verb::Release);
    assert_eq!(scripted[0].last().unwrap().ttl(), 4_000 * MS);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_for_a_lease_whose_deadline_has_passed() {
    let (nodes, scripted) = nodes(3);
    let held = held(&nodes, terms(), None).await;
    // Without a keeper, nobody has told of the end.
    SystemClock.sleep_until(held.life.held_until().unwrap()).await;
    let extended = held.extend(terms().validity).await;
    assert!(matches!(extended, Err(Error::Lost { reason: LostReason::Expired, .. })));
    assert_eq!(extends(&scripted[0]), 0);
}

#[tokio::test(start_paused = true)]
async fn a_majority_that_is_proven_gone_ends_the_lease_at_once() {
    let (nodes, scripted) = nodes(5);
    let held = hold(&nodes, None, Keeping::Extended).await;
    scripted[..3].iter().for_each(|node| node.plan(Verb::Extend, [after(0, Reply::Missing)]));
    let begun = SystemClock.now();
    assert_eq!(held.life.ended().await, LostReason::MajorityGone);
    assert!(SystemClock.now() - begun <= terms().validity.extend_after());
    assert!(scripted.iter().all(|node| !node.asked().contains(&Verb::Repair)));
    let lost = held.extend(terms().validity).await;
    assert!(matches!(lost, Err(Error::Lost { reason: LostReason::MajorityGone, .. })));
}

#[tokio::test(start_paused = true)]
async fn g6_an_extend_answered_after_the_deadline_revives_nothing() {
    let (nodes, scripted) = nodes(3);
    let held = hold(&nodes, None, Keeping::OneTtl).await;
    scripted.iter().for_each(|node| node.plan(Verb::Extend, [after(40, KEPT)]));
    let until = held.life.held_until().unwrap();
    SystemClock.sleep_until(until - 20 * MS).await;
    let extended = held.extend(terms().validity).await;
    assert!(matches!(extended, Err(Error::Lost { .. })), "{extended:?}");
    tokio::time::sleep(100 * MS).await;
    assert!(!held.life.is_valid());
    assert_eq!(held.life.held_until(), None);
}

/// How many extends it takes where every node has too little left, of a lease that these granted by the verdict.
async fn extends_after(granted: NodeSet) -> usize {
    let (nodes, scripted) = nodes(3);
    let found = 100 * MS;
    scripted.iter().for_each(|node| node.plan(Verb::Extend, [after(0, Reply::Kept { found })]));
    let won = acquire(&nodes, &terms(), token(), SystemClock.now()).await.unwrap();
    let won = Won { granted, ..won };
    let held = Held::new(&nodes, terms(), won, None, &Arc::new(Entropy::seeded(1)));
    tokio::time::sleep(300 * MS).await;
    let until = held.life.held_until();
    while held.extend(terms().validity).await.is_err() {
        assert_eq!(held.life.held_until(), until, "the old deadline stands");
        scripted.iter().for_each(|node| node.plan(Verb::Extend, [after(0, KEPT)]));
    }
    assert!(held.life.held_until() > until);
    extends(&scripted[0])
}

#[tokio::test(start_paused = true)]
async fn the_first_extend_is_measured_by_the_acquire_where_that_was_granted_in_time() {
    assert_eq!(extends_after(NodeSet::first(3)).await, 2);
    assert_eq!(extends_after(NodeSet::first(2)).await, 2);
    assert_eq!(extends_after(NodeSet::first(1)).await, 1);
    // As of a lease that was taken up.
    assert_eq!(extends_after(NodeSet::EMPTY).await, 1);
}

#[tokio::test(start_paused = true)]
async fn an_acquire_tells_who_had_granted_by_its_verdict() {
    let (nodes, scripted) = nodes(5);
    scripted[1].plan(Verb::Acquire, [after(0, Reply::Denied)]);
    scripted[4].plan(Verb::Acquire, [after(30, Reply::Granted)]);
    let won = acquire(&nodes, &terms(), token(), SystemClock.now()).await.unwrap();
    assert_eq!(won.granted, NodeSet::first(4).without(1));
}

#[tokio::test(start_paused = true)]
async fn an_extend_that_a_refusing_majority_answers_keeps_the_old_deadline() {
    let (nodes, scripted) = nodes(3);
    let held = hold(&nodes, None, Keeping::OneTtl).await;
    let refused = || after(0, Reply::Failed(NodeErrorKind::Refused.into()));
    scripted[..2].iter().for_each(|node| node.plan(Verb::Extend, [refused()]));
    let until = held.life.held_until();
    let extended = held.extend(terms().validity).await;
    assert!(matches!(extended, Err(Error::NoQuorum { .. })));
    assert_eq!(held.life.held_until(), until);
}

#[tokio::test(start_paused = true)]
async fn the_keeper_ends_with_the_release_and_sends_nothing_after_it() {
    let (nodes, scripted) = nodes(3);
    let held = hold(&nodes, None, Keeping::Extended).await;
    let ended = held.life.ended();
    let (was, releasing) = held.release();
    assert!(was.is_ok());
    assert!(releasing.report().await.is_confirmed());
    assert_eq!(ended.now_or_never(), Some(LostReason::Released));
    held.kept.let_go();
    assert_eq!(Arc::strong_count(&held.kept.held), 1, "the keeper has let go of it");
    tokio::time::sleep(5_000 * MS).await;
    assert!(scripted.iter().all(|node| node.asked().last() == Some(&Verb::Release)));
}
