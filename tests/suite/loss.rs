//! Loss is told in time (promise G5): exactly so in paused time, whatever happens to the nodes, and not a moment too
//! early. On real nodes and in real time it is measured in `loss_in_real_time.rs`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::join_all;
use quorlock::{Error, Event, Guard, LostReason, Redlock};
use quorlock_testkit::embedded::{EmbeddedNode, PipeNet};
use quorlock_testkit::proxy::Direction;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::support::{Dice, Events, TTL, margin, pipes};

const MS: Duration = Duration::from_millis(1);
/// Whatever never comes is not waited for.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn g5_loss_is_told_exactly_at_its_notice_for_100_seeds_of_moments_and_faults() {
    for seed in 0..100 {
        let mut dice = Dice::new(seed);
        let (stage, guard) = Stage::set(&mut dice).await;
        let until = dice.below(3 * TTL);
        let watch = Watch::on(&guard);
        let work = timeout(PATIENCE, guard.run(watch.work()));
        let fate = async {
            sleep(until).await;
            let count = 3 + dice.up_to(3);
            stage.break_some(&mut dice, count);
            last_deadline(&guard).await
        };
        let (ran, reason, deadline) = tokio::join!(work, watch.told(&guard), fate);
        let notice = deadline - margin(TTL);
        let what = format!("seed {seed}, {until:?} after the acquire: {:?}", stage.log());
        assert_eq!(reason, LostReason::Expired, "{what}");
        assert_eq!(watch.lost_at(), Some(notice), "{what}");
        assert_eq!(watch.dropped_at(), Some(notice), "{what}");
        let ran = ran.expect("the work is dropped");
        assert!(matches!(ran, Err(Error::Lost { reason: LostReason::Expired, .. })), "{what}");
        assert_stays_lost(&guard, &stage).await;
    }
}

#[tokio::test(start_paused = true)]
async fn g5_nothing_is_told_while_a_majority_is_healthy() {
    for seed in 0..50 {
        let mut dice = Dice::new(seed);
        let (stage, guard) = Stage::set(&mut dice).await;
        let watch = Watch::on(&guard);
        let fate = async {
            sleep(dice.below(TTL)).await;
            let count = dice.up_to(3);
            stage.break_some(&mut dice, count);
            sleep(4 * TTL).await;
        };
        tokio::select! {
            biased;
            reason = guard.lost() => panic!("seed {seed}: {reason}, with {:?}", stage.log()),
            ran = guard.run(watch.work()) => panic!("seed {seed}: {ran:?}, with {:?}", stage.log()),
            () = fate => {}
        }
        assert!(guard.is_valid(), "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn g5_loss_is_told_in_time_while_an_extend_is_in_flight_and_unanswered() {
    let (nodes, net, builder) = pipes(5);
    // No time limit ends the extend before the deadline does.
    let redlock = builder.time_limit(5 * TTL).build().unwrap();
    let guard = redlock.lock("r").await.unwrap();
    let deadline = guard.valid_until().unwrap();
    nodes[..3].iter().for_each(|node| net.hold(&node.name()));
    let own = async {
        sleep(TTL / 10).await;
        guard.extend().await
    };
    let told = async {
        let reason = lost(&guard).await;
        (reason, Instant::now())
    };
    let (extended, (reason, at)) = tokio::join!(own, told);
    assert!(nodes[..3].iter().all(|node| net.relay(&node.name()).unanswered() > 0));
    assert_eq!((reason, at), (LostReason::Expired, Instant::from(deadline) - margin(TTL)));
    assert!(matches!(extended, Err(Error::Lost { .. })), "{extended:?}");
}

#[tokio::test(start_paused = true)]
async fn g5_a_majority_that_is_proven_gone_is_told_at_the_next_extend() {
    let (nodes, _net, builder) = pipes(5);
    let redlock = builder.build().unwrap();
    let guard = redlock.lock("r").await.unwrap();
    sleep(TTL / 10).await;
    nodes[..3].iter().for_each(EmbeddedNode::wipe);
    let deadline = guard.valid_until().unwrap();
    assert_eq!(lost(&guard).await, LostReason::MajorityGone);
    // A third of the TTL is when the keeper asks; it does not wait for the deadline.
    assert!(Instant::now() < Instant::from(deadline) - TTL / 2);
    assert!(!guard.is_valid());
}

#[tokio::test(start_paused = true)]
async fn g5_the_maximum_hold_time_ends_a_healthy_lock_in_time() {
    let (_nodes, _net, builder) = pipes(5);
    let events = Events::default();
    let redlock = builder.observer(events.clone()).build().unwrap();
    let begun = Instant::now();
    let guard = redlock.lock("r").max_hold(3 * TTL).await.unwrap();
    let watch = Watch::on(&guard);
    let (ran, reason) =
        tokio::join!(timeout(PATIENCE, guard.run(watch.work())), watch.told(&guard));
    assert_eq!(reason, LostReason::MaxHold);
    let (end, told_at) = (begun + 3 * TTL, watch.lost_at().expect("told"));
    assert!((end - margin(TTL)..=end - 5 * MS).contains(&told_at), "{:?} too early", end - told_at);
    assert_eq!(watch.dropped_at(), watch.lost_at());
    assert!(matches!(ran, Ok(Err(Error::Lost { reason: LostReason::MaxHold, .. }))));
    assert!(!guard.is_valid());
    assert_eq!(losses(&events), [LostReason::MaxHold]);
}

#[tokio::test(start_paused = true)]
async fn g5_without_a_keeper_and_with_a_tiny_ttl_loss_is_told_before_the_end() {
    let (_nodes, _net, builder) = pipes(5);
    let redlock = builder.build().unwrap();
    // Below 4 ms the validity ends before a timer of whole milliseconds can fire.
    for ttl in [4, 5, 8, 20, 100, 499, 500, 501, 10_000].map(|ms| ms * MS) {
        let guard = redlock.lock("r").ttl(ttl).without_keeper().await.unwrap();
        let deadline = Instant::from(guard.valid_until().unwrap());
        assert_eq!(lost(&guard).await, LostReason::Expired);
        assert!(Instant::now() < deadline, "TTL {ttl:?}");
        // Where the validity leaves room for it, by the promised margin; the timer counts whole milliseconds.
        if ttl >= 20 * MS {
            assert!(deadline - Instant::now() > margin(ttl) - MS, "TTL {ttl:?}");
        }
        drop(guard);
    }
}

#[tokio::test(start_paused = true)]
async fn every_waiter_is_told_and_the_event_is_told_once() {
    let (nodes, _net, builder) = pipes(5);
    let events = Events::default();
    let redlock = builder.observer(events.clone()).build().unwrap();
    let guard = redlock.lock("r").await.unwrap();
    let waiters = join_all((0..10).map(|_| tokio::spawn(guard.lost())));
    nodes[..3].iter().for_each(EmbeddedNode::pause);
    let told = waiters.await;
    assert!(told.into_iter().all(|reason| reason.unwrap() == LostReason::Expired));
    assert_eq!(guard.lost().now_or_never(), Some(LostReason::Expired), "also who asks late");
    drop(guard);
    sleep(2 * TTL).await;
    assert_eq!(losses(&events), [LostReason::Expired]);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_the_loss_ends_with_the_release_and_with_the_drop_of_the_guard() {
    let (_nodes, _net, builder) = pipes(5);
    let events = Events::default();
    let redlock = builder.observer(events.clone()).build().unwrap();
    let guard = redlock.lock("r").await.unwrap();
    let lost = tokio::spawn(guard.lost());
    guard.release().await.unwrap();
    assert_eq!(lost.await.unwrap(), LostReason::Released);

    let guard = redlock.lock("r").await.unwrap();
    let lost = guard.lost();
    drop(guard);
    assert_eq!(
        lost.await,
        LostReason::Released,
        "it outlives its guard, and was never polled before"
    );
    assert_eq!(losses(&events), [], "a release is no loss");
}

#[tokio::test(start_paused = true)]
async fn a_loss_stays_a_loss_for_a_waiter_that_hears_of_it_after_the_guard_is_gone() {
    let (nodes, _net, builder) = pipes(5);
    let redlock = builder.build().unwrap();
    let guard = redlock.lock("r").await.unwrap();
    let late = guard.lost();
    nodes[..3].iter().for_each(EmbeddedNode::pause);
    assert_eq!(lost(&guard).await, LostReason::Expired);
    drop(guard);
    assert_eq!(late.await, LostReason::Expired);
}

async fn lost(guard: &Guard) -> LostReason {
    timeout(PATIENCE, guard.lost()).await.expect("the loss is told")
}

fn losses(events: &Events) -> Vec<LostReason> {
    let reason = |event| match event {
        Event::Lost { reason, .. } => Some(reason),
        _ => None,
    };
    events.all().into_iter().filter_map(reason).collect()
}

/// The deadline that no extend has moved any more, a moment before its notice.
async fn last_deadline(guard: &Guard) -> Instant {
    loop {
        let until = guard.valid_until().expect("not lost before its notice");
        sleep_until(Instant::from(until) - margin(TTL) - MS).await;
        if guard.valid_until() == Some(until) {
            return until.into();
        }
    }
}

/// Lost is final, also when all nodes are back, the key with them.
async fn assert_stays_lost(guard: &Guard, stage: &Stage) {
    assert!(!guard.is_valid());
    stage.heal();
    sleep(TTL / 4).await;
    assert!(matches!(guard.extend().await, Err(Error::Lost { .. })));
    assert!(matches!(guard.run(async {}).await, Err(Error::Lost { .. })));
    assert!(!guard.is_valid());
    assert_eq!((guard.valid_for(), guard.valid_until()), (Duration::ZERO, None));
}

/// Five nodes behind wires of different lengths, so that a fault can strike while an extend is in flight.
struct Stage {
    nodes: Vec<EmbeddedNode>,
    net: PipeNet,
    _redlock: Redlock,
    faults: RefCell<Vec<String>>,
}

impl Stage {
    async fn set(dice: &mut Dice) -> (Self, Guard) {
        let (nodes, net, builder) = pipes(5);
        for node in &nodes {
            net.relay(&node.name()).slow(dice.below(30 * MS));
        }
        let redlock = builder.seed(dice.draw()).build().expect("the settings are good");
        let guard = redlock.lock("r").await.expect("nothing is broken yet");
        (Self { nodes, net, _redlock: redlock, faults: RefCell::default() }, guard)
    }

    /// Breaks this many nodes, each in a way of its own.
    fn break_some(&self, dice: &mut Dice, count: usize) {
        let first = dice.up_to(self.nodes.len());
        for i in 0..count {
            let node = &self.nodes[(first + i) % self.nodes.len()];
            let wire = self.net.relay(&node.name());
            let name = match dice.up_to(6) {
                0 => (node.pause(), "pause").1,
                1 => (node.crash(), "crash").1,
                2 => (wire.partition(), "partition").1,
                3 => (wire.partition_oneway(Direction::Requests), "requests lost").1,
                4 => (wire.partition_oneway(Direction::Replies), "replies lost").1,
                _ => (wire.hold(), "hold").1,
            };
            self.faults.borrow_mut().push(format!("{name} {}", node.name()));
        }
    }

    fn heal(&self) {
        for node in &self.nodes {
            node.resume();
            node.restart().expect("a pipe needs no port");
            self.net.repair(&node.name());
        }
    }

    fn log(&self) -> Vec<String> {
        self.faults.borrow().clone()
    }
}

/// When a holder heard of the loss, and when its work was dropped.
#[derive(Default)]
struct Watch {
    lost_at: Cell<Option<Instant>>,
    dropped_at: Rc<Cell<Option<Instant>>>,
}

impl Watch {
    fn on(guard: &Guard) -> Self {
        assert!(guard.is_valid());
        Self::default()
    }

    async fn told(&self, guard: &Guard) -> LostReason {
        let reason = lost(guard).await;
        self.lost_at.set(Some(Instant::now()));
        reason
    }

    /// Work without an end.
    fn work(&self) -> impl Future<Output = ()> + use<> {
        let flag = DropFlag(Rc::clone(&self.dropped_at));
        async move {
            let _flag = flag;
            std::future::pending().await
        }
    }

    fn lost_at(&self) -> Option<Instant> {
        self.lost_at.get()
    }

    fn dropped_at(&self) -> Option<Instant> {
        self.dropped_at.get()
    }
}

struct DropFlag(Rc<Cell<Option<Instant>>>);

impl Drop for DropFlag {
    fn drop(&mut self) {
        self.0.set(Some(Instant::now()));
    }
}
