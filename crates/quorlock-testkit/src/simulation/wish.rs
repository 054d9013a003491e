//! What a worker wants of one lock, drawn: which resources, how it asks, how long it holds, how it ends. Asks nobody.

use std::time::Duration;

use super::dice::Dice;
use super::fault::Kind;
use super::plan::Plan;

/// One lock from the first thought to the last.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) think: Duration,
    pub(super) resources: Vec<String>,
    pub(super) ttl: Duration,
    pub(super) asking: Asking,
    pub(super) keeper: bool,
    pub(super) fenced: bool,
    pub(super) max_hold: Option<Duration>,
    /// Drops the request after so long.
    pub(super) cancel: Option<Duration>,
    pub(super) acts: Vec<(Duration, Act)>,
    /// Whether it goes on with them after the lock is lost.
    pub(super) carries_on: bool,
    /// Whether it hears of the loss before it looks at what else has happened at the same moment.
    pub(super) listens_first: bool,
    pub(super) ending: Ending,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asking {
    Once,
    /// For so long.
    Waiting(Duration),
}

/// What is done with a held lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Nothing,
    /// With this TTL or its own; dropped after so long, if at all.
    Extend(Option<Duration>, Option<Duration>),
}

/// How a held lock ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Release,
    /// Dropped after so long.
    ReleaseCancelled(Duration),
    Drop,
    /// Handed over, and taken up again after so long; then released.
    HandOver(Duration),
}

impl Wish {
    /// Whether it wants a fencing token: drawn apart.
    pub(super) fn fenced(self, dice: &mut Dice) -> Self {
        Self { fenced: dice.chance(0.5), ..self }
    }

    pub(super) fn draw(plan: &Plan, ttls: &[Duration], dice: &mut Dice) -> Self {
        let ttl = dice.pick(ttls).unwrap_or(Duration::from_secs(1));
        let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        let resources = resources(plan, dice);
        let asking = match dice.chance(0.4) {
            true => Asking::Once,
            false => Asking::Waiting(dice.millis(0, 4_000)),
        };
        let can_cancel = plan.has(Kind::Cancel);
        let cancel =
            |dice: &mut Dice| (can_cancel && dice.chance(0.25)).then(|| dice.millis(0, 60));
        let request = cancel(dice);
        // Some hold for longer than the TTL, so that they have to be extended.
        let longest = (ttl_ms * 2).clamp(20, 3_000);
        let acts = (0..1 + dice.below(3))
            .map(|_| {
                let act = match dice.below(6) {
                    0 => Act::Extend(None, cancel(dice)),
                    1 => Act::Extend(dice.pick(ttls), cancel(dice)),
                    _ => Act::Nothing,
                };
                (dice.millis(0, longest / 2), act)
            })
            .collect();
        let ending = match dice.below(4) {
            0 if plan.has(Kind::GuardDrop) => Ending::Drop,
            1 if can_cancel => Ending::ReleaseCancelled(dice.millis(0, 20)),
            2 if dice.chance(0.5) => Ending::HandOver(dice.millis(0, ttl_ms.min(2_000))),
            _ => Ending::Release,
        };
        Self {
            think: dice.millis(0, 400),
            resources,
            ttl,
            asking,
            keeper: dice.chance(0.7),
            fenced: false,
            max_hold: dice.chance(0.1).then(|| dice.millis(1, longest)),
            cancel: request,
            acts,
            carries_on: dice.chance(0.2),
            listens_first: dice.chance(0.6),
            ending,
        }
    }
}

/// One resource mostly, a set of them else.
fn resources(plan: &Plan, dice: &mut Dice) -> Vec<String> {
    let name = |number: usize| format!("r{number}");
    if plan.resources > 1 && dice.chance(0.3) {
        let mut set: Vec<_> = (0..plan.resources).filter(|_| dice.chance(0.7)).map(name).collect();
        if set.is_empty() {
            set.push(name(0));
        }
        return set;
    }
    vec![name(dice.below(plan.resources))]
}
