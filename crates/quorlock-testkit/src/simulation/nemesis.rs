//! Draws faults and does them, one after the other and several at a time, until it is told to heal. Within the assumptions
//! of the promises it keeps to their rules: what a node may forget, and how far its clock may run off.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::census::{Counting, Whom};
use super::dice::Dice;
use super::fault::{Kind, Place};
use super::field::{Failing, Field, Flow, Memory};
use super::plan::Plan;
use super::record::Record;
use super::run::worker_name;
use super::tasks::{ClockIs, Phase, Process};
use crate::embedded::ClockJump;
use crate::proxy::wire::lock;

/// As an outcome: a node forgot a lock, and was there again before that would have expired.
const BACK_WITHIN_TTL: &str = "back within a TTL";
/// For an operation to strike at.
const PATIENCE: Duration = Duration::from_millis(500);
/// The most that a node's clock may gain: the library's default drift, without the milliseconds that are for rounding.
pub(super) const MOST_GAIN: f64 = 1.01;

#[derive(Clone)]
pub(super) struct Nemesis {
    pub(super) plan: Arc<Plan>,
    pub(super) field: Arc<dyn Field>,
    pub(super) processes: Vec<Process>,
    pub(super) record: Record,
    pub(super) counting: Counting,
    pub(super) marks: Arc<Mutex<Marks>>,
}

/// What it has to remember.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// How far each node's clock was moved, in milliseconds.
    moved: BTreeMap<usize, i64>,
    /// How often each lasting fault has struck at each place: the end of one is not the end of the next.
    turns: BTreeMap<(Lasting, usize, usize), u64>,
    /// When an assumption was broken first.
    broken_at: Option<Duration>,
}

/// A fault that lasts, and that another of its kind at the same place prolongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Lasting {
    Cut,
    ErrorReply,
}

/// What a fault strikes.
#[derive(Clone, Copy)]
struct Target {
    client: usize,
    node: usize,
    length: Duration,
}

/// For how long, if it struck; zero for what happens in a moment or stays.
type Length = Option<Duration>;

impl Nemesis {
    pub(super) async fn run(self) {
        // What workers do by themselves, and the fates of single messages, are drawn elsewhere.
        let kinds: Vec<Kind> = self.plan.faults.iter().filter(|kind| self.is_mine(*kind)).collect();
        let mut dice = self.plan.dice("nemesis");
        let pace = dice.millis(20, 2_000);
        while !kinds.is_empty() {
            sleep(pace.mul_f64(dice.within(0.0, 2.0))).await;
            let mut client = dice.below(self.plan.clients);
            // Much goes wrong only in the few milliseconds of a round.
            if dice.chance(0.6) {
                let next = self.counting.next_operation();
                client = timeout(PATIENCE, next).await.unwrap_or(client);
                sleep(dice.millis(0, 6)).await;
            }
            if let Some(kind) = dice.pick(&kinds) {
                self.strike(kind, client, &mut dice);
            }
        }
    }

    fn is_mine(&self, kind: Kind) -> bool {
        use Kind::{Cancel, Delay, Duplicate, GuardDrop, LateArrival, LostReply, LostRequest};
        match kind {
            Cancel | GuardDrop | Duplicate => false,
            // Bytes on a wire have no fate of their own: there the weather of the wire changes.
            Delay | LateArrival | LostReply | LostRequest => self.field.has_weather(),
            _ => true,
        }
    }

    fn strike(&self, kind: Kind, client: usize, dice: &mut Dice) {
        let at =
            Target { client, node: dice.below(self.plan.nodes), length: dice.millis(1, 4_000) };
        let struck = match kind.place() {
            Place::Wire => self.strike_wire(kind, at, dice),
            Place::Node => self.strike_node(kind, at, dice),
            Place::Client => self.strike_client(kind, at, dice),
            Place::Majority => {
                let flushed = (0..=self.plan.nodes / 2).filter(|node| self.flush(*node)).count();
                (flushed > 0).then_some(Duration::ZERO)
            }
            Place::Worker => None,
        };
        if let Some(length) = struck {
            let whom = match kind.place() {
                Place::Wire | Place::Client => Whom::Client(client),
                Place::Node | Place::Majority | Place::Worker => Whom::All,
            };
            self.counting.struck(kind, whom);
            if kind == Kind::ClientDeath {
                self.counting.died(client);
            }
            if kind.breaks_assumptions() {
                lock(&self.marks).broken_at.get_or_insert_with(|| self.record.now());
            }
            let place = match kind.place() {
                Place::Wire => format!(" between c{client} and n{}", at.node),
                Place::Node => format!(" of n{}", at.node),
                Place::Client => format!(" of c{client}"),
                Place::Majority | Place::Worker => String::new(),
            };
            let length = match length.as_millis() {
                0 => String::new(),
                millis => format!(" for {millis} ms"),
            };
            self.record.note(format!("{kind}{place}{length}"));
        }
    }

    fn strike_wire(&self, kind: Kind, at: Target, dice: &mut Dice) -> Length {
        if self.processes[at.client].phase() == Phase::Dead {
            return None;
        }
        match kind {
            Kind::Disconnect => self.field.disconnect(at.client, at.node).then_some(Duration::ZERO),
            Kind::Partition => self.cut(at, Flow::IsLost, Flow::IsLost),
            Kind::OneWayPartition if dice.chance(0.5) => self.cut(at, Flow::IsLost, Flow::Passes),
            Kind::OneWayPartition => self.cut(at, Flow::Passes, Flow::IsLost),
            Kind::Hold => self.cut(at, Flow::Waits, Flow::Waits),
            weather => {
                let struck = self.field.weather(weather, at.client, at.node, at.length);
                struck.then_some(at.length)
            }
        }
    }

    fn strike_node(&self, kind: Kind, at: Target, dice: &mut Dice) -> Length {
        let Target { node, length, .. } = at;
        match kind {
            Kind::Freeze => return self.freeze(at),
            Kind::CrashEmpty => return self.crash(at, Memory::Empty),
            Kind::CrashIntact => return self.crash(at, Memory::Intact),
            Kind::CrashRolledBack => {
                return self.crash(at, Memory::RolledBack(1 + dice.below(4)));
            }
            Kind::ErrorReply | Kind::ScriptFlush if self.field.is_down(node) => return None,
            Kind::ErrorReply => {
                self.field.fail(node, Failing::Yes);
                self.last((Lasting::ErrorReply, 0, node), length, move |field| {
                    field.fail(node, Failing::No);
                });
                return Some(length);
            }
            Kind::ClockJump => return self.jump(node, dice),
            Kind::ForeignWrite => return self.meddle(node, dice),
            Kind::ClockRate => self.field.set_clock_rate(node, dice.within(0.5, MOST_GAIN)),
            Kind::ScriptFlush => self.field.flush_scripts(node),
            Kind::Flush => return self.flush(node).then_some(Duration::ZERO),
            Kind::ClockBeyondDrift => {
                self.move_clock(node, dice.millis(1, 60_000), ClockJump::Forward);
                self.field.set_clock_rate(node, dice.within(1.02, 3.0));
            }
            _ => return None,
        }
        Some(Duration::ZERO)
    }

    fn strike_client(&self, kind: Kind, at: Target, dice: &mut Dice) -> Length {
        match kind {
            Kind::ClientPause => self.pause(at, ClockIs::Running),
            Kind::ClientSuspend => self.pause(at, ClockIs::Stopped),
            Kind::ClientDeath => self.kill(at.client, dice),
            _ => None,
        }
    }

    /// Does something to the field after a while.
    fn later(&self, after: Duration, heal: impl FnOnce(&dyn Field) + Send + 'static) {
        let field = Arc::clone(&self.field);
        drop(tokio::spawn(async move {
            sleep(after).await;
            heal(&*field);
        }));
    }

    /// Ends a fault after a while, unless another of its kind has taken its place.
    fn last(
        &self,
        place: (Lasting, usize, usize),
        length: Duration,
        heal: impl FnOnce(&dyn Field) + Send + 'static,
    ) {
        let turn = {
            let marks = &mut *lock(&self.marks);
            let turn = marks.turns.entry(place).or_default();
            *turn += 1;
            *turn
        };
        let marks = Arc::clone(&self.marks);
        self.later(length, move |field| {
            if lock(&marks).turns.get(&place) == Some(&turn) {
                heal(field);
            }
        });
    }

    /// Says whether there was something to forget.
    fn flush(&self, node: usize) -> bool {
        let kept = self.field.keys(node);
        let held = !kept.is_empty();
        self.field.wipe(node);
        self.record.forgot(node, kept);
        held
    }

    fn cut(&self, at: Target, requests: Flow, replies: Flow) -> Length {
        let Target { client, node, length } = at;
        self.field.cut(client, node, requests, replies);
        self.last((Lasting::Cut, client, node), length, move |field| {
            field.cut(client, node, Flow::Passes, Flow::Passes);
        });
        Some(length)
    }

    fn freeze(&self, at: Target) -> Length {
        let Target { node, length, .. } = at;
        let struck = self.field.freeze(node);
        if struck {
            self.later(length, move |field| field.thaw(node));
        }
        struck.then_some(length)
    }

    fn crash(&self, at: Target, memory: Memory) -> Length {
        let Target { node, length, .. } = at;
        let kept = self.field.keys(node);
        let struck = self.field.crash(node, memory);
        if struck {
            let longest = kept.iter().map(|key| key.left).max().unwrap_or_default();
            if memory != Memory::Intact && longest > length {
                self.counting.ended(BACK_WITHIN_TTL);
            }
            self.record.forgot(node, kept);
            self.later(length, move |field| field.restart(node));
        }
        struck.then_some(length)
    }

    /// Back by any time; forward, which lets keys and quarantines end, only where there are none.
    fn jump(&self, node: usize, dice: &mut Dice) -> Length {
        let by = dice.millis(1, 60_000);
        if dice.chance(0.5) {
            self.move_clock(node, by, ClockJump::Backward);
            return Some(Duration::ZERO);
        }
        let harmless = self.field.keys(node).is_empty() && self.field.abstains_for(node).is_zero();
        if harmless {
            self.move_clock(node, by, ClockJump::Forward);
        }
        harmless.then_some(Duration::ZERO)
    }

    fn move_clock(&self, node: usize, by: Duration, direction: ClockJump) {
        let millis = i64::try_from(by.as_millis()).unwrap_or_default();
        *lock(&self.marks).moved.entry(node).or_default() += match direction {
            ClockJump::Forward => millis,
            ClockJump::Backward => -millis,
        };
        self.field.jump_clock(node, by, direction);
    }

    fn meddle(&self, node: usize, dice: &mut Dice) -> Length {
        let key = self.field.keys(node).pop()?;
        let with = dice.chance(0.5).then(|| dice.millis(1, 2_000));
        self.field.meddle(node, &key.key, with);
        Some(Duration::ZERO)
    }

    fn pause(&self, at: Target, clock: ClockIs) -> Length {
        let Target { client, length, .. } = at;
        let struck = self.processes[client].pause(clock);
        if struck {
            let nemesis = self.clone();
            self.later(length, move |_| nemesis.resume(client));
        }
        struck.then_some(length)
    }

    fn resume(&self, client: usize) {
        if let Some(since) = self.processes[client].resume() {
            self.record.stood_still(client, since);
        }
        self.field.client_resumed(client);
    }

    /// Never the last one.
    fn kill(&self, client: usize, dice: &mut Dice) -> Length {
        let alive = self.processes.iter().filter(|process| process.phase() != Phase::Dead).count();
        let process = &self.processes[client];
        // A death is for ever, so it is rare.
        if process.phase() == Phase::Dead || alive < 2 || !dice.chance(0.3) {
            return None;
        }
        let since = process.kill().map(|since| self.record.offset(since));
        self.field.client_died(client);
        let workers = (0..self.plan.workers).map(|number| worker_name(client, number));
        self.record.died(client, workers, since);
        Some(Duration::ZERO)
    }

    /// When an assumption was broken first, if one was.
    pub(super) fn broken_at(&self) -> Option<Duration> {
        lock(&self.marks).broken_at
    }

    /// The clocks of the nodes run again.
    pub(super) fn run_clocks(&self) {
        (0..self.plan.nodes).for_each(|node| self.field.set_clock_rate(node, 1.0));
    }

    /// Ends every fault. Clocks show again what they would have shown, and stand still from now on: so nothing expires,
    /// and what is not there later was deleted.
    pub(super) fn heal(&self) {
        self.record.healed();
        self.field.calm();
        for node in 0..self.plan.nodes {
            self.field.thaw(node);
            self.field.restart(node);
            self.field.fail(node, Failing::No);
            let moved = lock(&self.marks).moved.remove(&node).unwrap_or_default();
            let by = Duration::from_millis(moved.unsigned_abs());
            let back = if moved > 0 { ClockJump::Backward } else { ClockJump::Forward };
            self.field.jump_clock(node, by, back);
            self.field.set_clock_rate(node, 1.0);
            self.field.stop_clock(node);
            for client in 0..self.plan.clients {
                self.field.cut(client, node, Flow::Passes, Flow::Passes);
            }
        }
        (0..self.plan.clients).for_each(|client| self.resume(client));
    }
}
