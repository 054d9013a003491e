//! The rounds against nodes that answer as told, under paused time: when they decide, and what they leave.

use std::time::Duration;

use futures::FutureExt;

use super::*;
use crate::clock::{Clock, SystemClock};
use crate::scripted::{KEPT, Scripted, acquire, after, nodes, terms, token};

const MS: Duration = Duration::from_millis(1);

async fn attempt(nodes: &Arc<Nodes>) -> Result<Won, Missed> {
    acquire(nodes, &terms(), token(), SystemClock.now()).await
}

/// Waits for answers beyond the validity.
fn patient() -> Terms {
    Terms { time_limit: Duration::from_secs(5), ..terms() }
}

fn down() -> Reply {
    Reply::Failed(NodeErrorKind::Down.into())
}

fn releases(node: &Scripted) -> usize {
    node.asked().iter().filter(|verb| verb.is_release()).count()
}

#[tokio::test(start_paused = true)]
async fn g3_a_silent_minority_costs_no_waiting() {
    for silent in 0..=2 {
        let (nodes, scripted) = nodes(5);
        scripted[..silent].iter().for_each(|node| node.plan(Verb::Acquire, [None]));
        let begun = SystemClock.now();
        let won = attempt(&nodes).await.unwrap();
        assert_eq!(SystemClock.now(), begun, "{silent} silent nodes");
        assert_eq!(won.votes, 3);
    }
}

#[tokio::test(start_paused = true)]
async fn the_margin_is_how_many_nodes_more_could_have_failed() {
    // Silence is no failure yet, a denial is one.
    for (failed, silent) in [(0, 2), (1, 1), (2, 0)] {
        let (nodes, scripted) = nodes(5);
        let replies = [Reply::Denied, down()];
        scripted[..failed].iter().zip(replies).for_each(|(node, reply)| {
            node.plan(Verb::Acquire, [after(0, reply)]);
        });
        scripted[5 - silent..].iter().for_each(|node| node.plan(Verb::Acquire, [None]));
        let won = attempt(&nodes).await.unwrap();
        assert_eq!((won.votes, won.margin), (3, 2 - failed));
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_round_is_lost_at_once_and_given_back_on_every_node() {
    for count in 1..=6 {
        let (nodes, scripted) = nodes(count);
        let spare = count - nodes.quorum();
        let (denying, silent) = scripted.split_at(spare + 1);
        denying.iter().for_each(|node| node.plan(Verb::Acquire, [after(0, Reply::Denied)]));
        silent.iter().for_each(|node| node.plan(Verb::Acquire, [None]));
        let begun = SystemClock.now();
        assert!(matches!(attempt(&nodes).await, Err(Missed::Denied { .. })), "{count} nodes");
        assert_eq!(SystemClock.now(), begun);
        assert!(scripted.iter().all(|node| releases(node) == 1), "{count} nodes");
    }
}

#[tokio::test(start_paused = true)]
async fn how_long_a_denial_took_is_known_where_votes_decided_it() {
    let (nodes, scripted) = nodes(3);
    scripted[0].plan(Verb::Acquire, [after(7, Reply::Denied)]);
    scripted[1].plan(Verb::Acquire, [after(7, Reply::Denied)]);
    scripted[2].plan(Verb::Acquire, [None]);
    let missed = attempt(&nodes).await;
    assert!(matches!(missed, Err(Missed::Denied { took: Some(took), .. }) if took == 7 * MS));
    // One said no, one went along, one said nothing until the end of the time.
    scripted[1].plan(Verb::Acquire, [after(7, Reply::Granted)]);
    let missed = attempt(&nodes).await;
    assert!(matches!(missed, Err(Missed::Denied { took: None, .. })), "{missed:?}");
}

#[tokio::test(start_paused = true)]
async fn half_of_an_even_number_of_nodes_settles_as_denied() {
    for count in [2, 4, 6] {
        let (nodes, scripted) = nodes(count);
        for node in &scripted[..count / 2] {
            node.plan(Verb::Acquire, [after(0, Reply::Denied)]);
        }
        assert!(matches!(attempt(&nodes).await, Err(Missed::Denied { .. })));
        assert!(scripted.iter().all(|node| releases(node) == 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_round_without_answers_ends_at_its_time_limit_and_says_who_was_silent() {
    let (nodes, scripted) = nodes(5);
    scripted[1..4].iter().for_each(|node| node.plan(Verb::Acquire, [None]));
    let begun = SystemClock.now();
    let Err(Missed::NoQuorum(errors)) = attempt(&nodes).await else { panic!("no quorum is there") };
    assert_eq!(SystemClock.now() - begun, terms().time_limit);
    let silent: Vec<_> = errors.iter().map(|e| (e.node().to_owned(), e.kind())).collect();
    let expected = ["node-1", "node-2", "node-3"].map(|n| (n.to_owned(), NodeErrorKind::NoAnswer));
    assert_eq!(silent, expected);
    assert!(scripted.iter().all(|node| releases(node) == 1));
}

#[tokio::test(start_paused = true)]
async fn a_node_to_which_nothing_was_sent_is_sent_no_release() {
    let (nodes, scripted) = nodes(3);
    scripted[0].plan(Verb::Acquire, [after(0, down())]);
    scripted[1].plan(Verb::Acquire, [after(0, down())]);
    assert!(matches!(attempt(&nodes).await, Err(Missed::NoQuorum(_))));
    assert_eq!(scripted.iter().map(|node| releases(node)).collect::<Vec<_>>(), [0, 0, 1]);
}

#[tokio::test(start_paused = true)]
async fn replies_that_come_after_the_deadline_make_no_lease() {
    let (nodes, scripted) = nodes(3);
    let validity = u64::try_from(terms().validity.length().as_millis()).unwrap();
    scripted.iter().for_each(|node| node.plan(Verb::Acquire, [after(validity, Reply::Granted)]));
    let missed = acquire(&nodes, &patient(), token(), SystemClock.now()).await;
    assert!(matches!(missed, Err(Missed::TooLate { .. } | Missed::NoQuorum(_))), "{missed:?}");
    assert!(scripted.iter().all(|node| releases(node) == 1));
}

/// A client that is stopped between the question and its look at the answers, which wait in its buffers.
#[tokio::test(start_paused = true)]
async fn a_client_stalled_past_its_deadline_makes_no_lease_of_grants_that_wait_for_it() {
    let (nodes, scripted) = nodes(3);
    scripted.iter().for_each(|node| node.plan(Verb::Acquire, [after(1, Reply::Granted)]));
    let terms = patient();
    let mut round = Box::pin(acquire(&nodes, &terms, token(), SystemClock.now()));
    assert!((&mut round).now_or_never().is_none());
    tokio::time::advance(terms.validity.length()).await;
    // The answers are read before the round looks.
    tokio::task::yield_now().await;
    let missed = round.await;
    assert!(matches!(missed, Err(Missed::TooLate { .. })), "{missed:?}");
    assert!(scripted.iter().all(|node| releases(node) == 1));
}

#[tokio::test(start_paused = true)]
async fn g4_an_acquire_dropped_at_any_await_is_given_back() {
    for polls in 0..6 {
        let (nodes, scripted) = nodes(5);
        for (i, node) in scripted.iter().enumerate() {
            node.plan(Verb::Acquire, [after(i as u64, Reply::Granted)]);
        }
        let terms = terms();
        let mut round = Box::pin(acquire(&nodes, &terms, token(), SystemClock.now()));
        let mut done = false;
        for _ in 0..polls {
            done |= (&mut round).now_or_never().is_some();
            if done {
                break;
            }
            tokio::time::advance(MS).await;
        }
        drop(round);
        let expected = usize::from(polls > 0 && !done);
        let seen: Vec<_> = scripted.iter().map(|node| releases(node)).collect();
        assert_eq!(seen, [expected; 5], "after {polls} polls");
    }
}

/// Of nodes that have acknowledged nothing so far.
fn unknown(nodes: &Nodes) -> Arc<Baselines> {
    Arc::new(Baselines::new((0..nodes.len()).map(|_| None)))
}

async fn extended(nodes: &Arc<Nodes>) -> Result<Kept, NotKept> {
    let deadline = later(SystemClock.now(), terms().validity.length());
    extend(nodes, &terms(), &token(), &unknown(nodes), SystemClock.now(), deadline).await
}

#[tokio::test(start_paused = true)]
async fn an_extend_is_won_by_a_quorum_that_kept_it() {
    let (nodes, scripted) = nodes(5);
    scripted[..2].iter().for_each(|node| node.plan(Verb::Extend, [after(0, Reply::Missing)]));
    assert!(extended(&nodes).await.is_ok());
    scripted[..3].iter().for_each(|node| node.plan(Verb::Extend, [after(0, Reply::Missing)]));
    assert!(matches!(extended(&nodes).await, Err(NotKept::MajorityGone)));
}

#[tokio::test(start_paused = true)]
async fn an_extend_that_cannot_be_decided_says_nothing_about_the_lease() {
    let (nodes, scripted) = nodes(5);
    scripted[..2].iter().for_each(|node| node.plan(Verb::Extend, [after(0, Reply::Missing)]));
    scripted[2].plan(Verb::Extend, [None]);
    assert!(matches!(extended(&nodes).await, Err(NotKept::NoQuorum(errors)) if errors.len() == 3));
}

#[tokio::test(start_paused = true)]
async fn an_extend_ends_as_soon_as_the_majority_is_proven_gone() {
    let (nodes, scripted) = nodes(5);
    scripted[..3].iter().for_each(|node| node.plan(Verb::Extend, [after(0, Reply::Missing)]));
    scripted[3..].iter().for_each(|node| node.plan(Verb::Extend, [None]));
    let begun = SystemClock.now();
    assert!(matches!(extended(&nodes).await, Err(NotKept::MajorityGone)));
    assert_eq!(SystemClock.now(), begun);
}

#[tokio::test(start_paused = true)]
async fn an_extend_that_cannot_be_won_still_hears_whether_the_majority_is_gone() {
    let (nodes, scripted) = nodes(5);
    scripted[0].plan(Verb::Extend, [after(0, down())]);
    scripted[1..3].iter().for_each(|node| node.plan(Verb::Extend, [after(0, Reply::Missing)]));
    scripted[3].plan(Verb::Extend, [after(20, Reply::Missing)]);
    scripted[4].plan(Verb::Extend, [None]);
    let begun = SystemClock.now();
    assert!(matches!(extended(&nodes).await, Err(NotKept::MajorityGone)));
    assert_eq!(SystemClock.now() - begun, 20 * MS);
}

#[tokio::test(start_paused = true)]
async fn g6_an_extend_ends_at_the_old_deadline() {
    let (nodes, scripted) = nodes(3);
    scripted.iter().for_each(|node| node.plan(Verb::Extend, [after(20, KEPT)]));
    let begun = SystemClock.now();
    let (token, unknown) = (token(), unknown(&nodes));
    let kept = extend(&nodes, &terms(), &token, &unknown, begun, begun + 10 * MS).await;
    assert!(matches!(kept, Err(NotKept::NoQuorum(_))));
    assert_eq!(SystemClock.now() - begun, 10 * MS);
}

#[tokio::test(start_paused = true)]
async fn a_release_returns_when_a_quorum_has_answered_and_reports_each_node() {
    let (nodes, scripted) = nodes(5);
    let gone = Reply::Released { deleted: 0, others: 0, foreign: 0 };
    let others = Reply::Released { deleted: 0, others: 1, foreign: 0 };
    scripted[0].plan(Verb::Release, [after(0, gone)]);
    scripted[1].plan(Verb::Release, [after(0, others)]);
    scripted[3].plan(Verb::Release, [None]);
    scripted[4].plan(Verb::Release, [None]);
    let (token, all) = (token(), nodes.all());
    let asked = release(&nodes, &terms(), &token, terms().validity.ttl(), all, SystemClock.now());
    assert!(token.is_retired());
    assert_eq!(scripted[0].last().unwrap().ttl(), terms().validity.ttl());
    let begun = SystemClock.now();
    let report =
        released(&nodes, &terms(), asked, all, SystemClock.now() + terms().time_limit).await;
    assert_eq!(SystemClock.now(), begun);
    assert_eq!(
        report.to_string(),
        "node-0: already gone; node-1: held by somebody else; node-2: deleted; \
         node-3: not answered yet; node-4: not answered yet"
    );
    assert_eq!(report.deleted(), 1);
    assert!(report.is_confirmed());
}

#[tokio::test(start_paused = true)]
async fn a_release_says_for_how_long_the_keys_may_be_there() {
    let (nodes, scripted) = nodes(3);
    let longest = 3 * terms().validity.ttl();
    drop(release(&nodes, &terms(), &token(), longest, nodes.all(), SystemClock.now()));
    assert!(scripted.iter().all(|node| node.last().unwrap().ttl() == longest));
}

#[tokio::test(start_paused = true)]
async fn a_release_that_too_few_nodes_answer_ends_at_its_time_limit() {
    let (nodes, scripted) = nodes(3);
    scripted[..2].iter().for_each(|node| node.plan(Verb::Release, [None]));
    let (token, all) = (token(), nodes.all());
    let asked = release(&nodes, &terms(), &token, terms().validity.ttl(), all, SystemClock.now());
    let begun = SystemClock.now();
    let report =
        released(&nodes, &terms(), asked, all, SystemClock.now() + terms().time_limit).await;
    assert_eq!(SystemClock.now() - begun, terms().time_limit);
    assert!(!report.is_confirmed(), "{report}");
    assert_eq!(report.deleted(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_is_hopeless_once_nodes_that_refuse_for_good_leave_too_few() {
    for refusing in 0..=3 {
        let (nodes, scripted) = nodes(5);
        scripted.iter().for_each(|node| node.plan(Verb::Acquire, [after(0, down())]));
        for node in &scripted[..refusing] {
            let refused = Reply::Failed(NodeErrorKind::Misconfigured.into());
            node.plan(Verb::Acquire, [after(0, refused)]);
        }
        let missed = attempt(&nodes).await.unwrap_err();
        assert_eq!(missed.is_final(3, &nodes), refusing == 3, "{refusing} of 5, 3 needed");
    }
    let denied = Missed::Denied { took: None, undone: None, by: None };
    assert!(!denied.is_final(3, &nodes(5).0));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_will_give_back_is_told_where_it_leaves_too_few_nodes() {
    for count in 0..=3 {
        let (nodes, scripted) = nodes(5);
        scripted.iter().for_each(|node| node.plan(Verb::Acquire, [after(0, Reply::Denied)]));
        for node in &scripted[..count] {
            let found = Reply::Released { deleted: 0, others: 1, foreign: 1 };
            node.plan(Verb::Undo, [after(0, found)]);
        }
        let Err(Missed::Denied { undone: Some(undone), .. }) = attempt(&nodes).await else {
            panic!("all deny")
        };
        let end = SystemClock.now() + 50 * MS;
        let told = foreign(&nodes, 3, undone, end).await.map(|errors| errors.len());
        assert_eq!(told, (count == 3).then_some(3), "{count} of 5, 3 needed");
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_is_asked_for_a_counter_where_a_token_is_wanted() {
    let (nodes, scripted) = nodes(3);
    let wanted = Terms { fencing: Fencing::Wanted { certify_on: 2 }, ..terms() };
    scripted.iter().for_each(|node| node.plan(Verb::Acquire, [after(0, Reply::Counted(7))]));
    let won = acquire(&nodes, &wanted, token(), SystemClock.now()).await.unwrap();
    assert_eq!(won.fencing.map(FencingToken::get), Some(7));
    assert!(scripted.iter().all(|node| node.last().is_some_and(|asked| asked.fence.is_some())));
}
