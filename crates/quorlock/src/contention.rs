//! How handles that want the same lock keep out of each other's way. They know of each other only what a node says of the
//! holder, so each takes a place by itself. Pure: takes the time, returns what to do.
//!
//! A release is told to all who listen. Whoever is at place 0 asks at once; all others hold back for as many slots as their
//! place, look, and come nearer by one where somebody else has it by then. Whoever had the lock goes behind all whom he saw
//! hold it. Whoever asked in vain did so together with others of the same place, and goes back at random.

use std::time::{Duration, Instant};

/// Timers of the runtime fire at whole milliseconds: two who hold back by less than that are told apart by luck.
const SHORTEST_SLOT: Duration = Duration::from_millis(1);
/// So often a lock has to be got without anybody in the way until nobody is expected any more.
const CALM: u32 = 16;
/// Who has not had it for so long expects nobody any more either.
const MEMORY: Duration = Duration::from_secs(60);
/// The most places that one collision costs, as a power of two.
const FARTHEST: u32 = 3;
/// More are not told apart: nobody holds back for longer.
const MOST: u32 = 64;

/// Who holds a lock, as far as its key tells: the part before the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder(Vec<u8>);

impl Holder {
    /// Of the value of a lock key, the client's UUID; of what another library writes, as much.
    pub fn of_value(value: &[u8]) -> Self {
        Self(value.iter().copied().take(uuid::fmt::Hyphenated::LENGTH).collect())
    }
}

/// How long one place holds back: what an acquire takes, since sooner nobody can see that it was taken.
pub(crate) fn slot(pace: Duration) -> Duration {
    pace.max(SHORTEST_SLOT)
}

/// Whether somebody who waits was told of a release since he looked last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Yes,
    NotYet,
}

/// Where one handle stands among all that want one lock.
#[derive(Debug, Default)]
pub(crate) struct Contention {
    place: u32,
    /// How often it was asked for in vain, less what was lost since to those who were nearer.
    collisions: u32,
    /// That was so the last time.
    is_denied: bool,
    /// Other holders that were seen since it was had.
    rivals: Vec<Holder>,
    /// How many of them there are: they are let go first.
    expected: u32,
    calm: u32,
    won: Option<Instant>,
    /// Whether the place is still that of who has just had it.
    is_fresh: bool,
    /// It went behind those whom it has seen, and nobody was seen to have it since.
    is_behind: bool,
}

impl Contention {
    /// Whether somebody else is expected to wait for it. Whoever holds it for less than a slot gives no way: handing it over
    /// would take longer than what it is for.
    pub(crate) fn is_expected(&self, now: Instant, slot: Duration) -> bool {
        let since = self.won.map(|won| now.saturating_duration_since(won));
        self.expected > 0 && since.is_some_and(|since| (slot..MEMORY).contains(&since))
    }

    /// Whether all that it knows is out of date.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.is_unknown() || self.won.is_none_or(|won| now.saturating_duration_since(won) >= MEMORY)
    }

    /// Whether it knows nothing.
    pub(crate) fn is_unknown(&self) -> bool {
        self.expected == 0
    }

    /// How long to hold back before the next look, now that it is free, or may be.
    pub(crate) fn give_way(&mut self, now: Instant, slot: Duration) -> Duration {
        // Not as long as this handle may still have it.
        if self.is_fresh && self.is_expected(now, slot) {
            (self.is_fresh, self.is_behind) = (false, true);
            self.place = self.expected;
        }
        slot.saturating_mul(self.place)
    }

    /// Whether to look before asking, also where nothing is held back: the last question was in vain.
    pub(crate) fn doubts(&self) -> bool {
        self.collisions > 0
    }

    /// It was free, was asked for, and denied: several asked, or one was sooner.
    pub(crate) fn denied(&mut self) {
        self.is_denied = true;
    }

    /// It is free, or was a moment ago. `unit`: at random, from 0 to below 1.
    pub(crate) fn free(&mut self, unit: f64) {
        if !std::mem::take(&mut self.is_denied) {
            return;
        }
        self.collisions = (self.collisions + 1).min(FARTHEST);
        // Two, if nobody else is there: they may share the nodes between them for ever. No farther than there are others to let by.
        let others = u32::try_from(self.rivals.len()).unwrap_or(MOST).max(2);
        let back = f64::from(others.min(1 << self.collisions)) * unit;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is 0 to 7")]
        let back = back as u32;
        self.place = (self.place + back).min(MOST);
    }

    /// It is held `by` another handle, or, where that is nobody, by this one. `told`: of a release before.
    pub(crate) fn held(&mut self, by: Option<Holder>, told: Told) {
        if told == Told::Yes {
            self.collisions = self.collisions.saturating_sub(1);
        }
        let Some(by) = by else { return };
        let is_later = std::mem::take(&mut self.is_behind) || told == Told::Yes || self.is_denied;
        if is_later {
            self.place = self.place.saturating_sub(1);
        }
        if self.rivals.len() < MOST as usize && !self.rivals.contains(&by) {
            self.rivals.push(by);
        }
    }

    /// This handle has it.
    pub(crate) fn won(&mut self, now: Instant) {
        let seen = u32::try_from(self.rivals.len()).unwrap_or(MOST);
        self.rivals = Vec::new();
        (self.calm, self.expected) = match seen {
            0 if self.calm + 1 >= CALM => (0, 0),
            0 => (self.calm + 1, self.expected.div_ceil(2)),
            // Quickly up, slowly down: one wait may have seen few of many.
            _ => (0, seen.max(self.expected - self.expected.saturating_sub(seen).div_ceil(4))),
        };
        (self.place, self.collisions, self.is_denied) = (0, 0, false);
        (self.won, self.is_fresh) = (Some(now), true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, SystemClock};
    use crate::validity::later;

    const MS: Duration = Duration::from_millis(1);

    fn holder(number: u8) -> Holder {
        Holder::of_value(&[number; 69])
    }

    /// Who has had it at `now` and saw `rivals` others hold it before.
    fn after(rivals: u8, now: Instant) -> Contention {
        let mut contention = Contention::default();
        (0..rivals).for_each(|rival| contention.held(Some(holder(rival)), Told::NotYet));
        contention.won(now);
        contention
    }

    #[test]
    fn whoever_had_it_goes_behind_all_whom_he_saw_hold_it() {
        let now = SystemClock.now();
        let mut contention = after(3, now);
        assert!(contention.is_expected(later(now, 5 * MS), MS));
        assert_eq!(contention.give_way(later(now, 5 * MS), MS), 3 * MS);
        let another = || Some(holder(9));
        contention.held(None, Told::Yes);
        assert_eq!(contention.give_way(later(now, 9 * MS), MS), 3 * MS, "it is his handle's");
        contention.held(another(), Told::NotYet);
        assert_eq!(contention.give_way(later(now, 9 * MS), MS), 2 * MS, "one had it since");
        contention.held(another(), Told::NotYet);
        assert_eq!(contention.give_way(now, MS), 2 * MS, "he still has");
        (0..5).for_each(|_| contention.held(another(), Told::Yes));
        assert_eq!(contention.give_way(now, MS), Duration::ZERO);
    }

    #[test]
    fn one_holder_is_counted_once_whatever_his_secrets() {
        let now = SystemClock.now();
        let value = |secret: u8| [&[b'a'; 36][..], &[secret; 33]].concat();
        let mut contention = Contention::default();
        (0..9).for_each(|secret| {
            contention.held(Some(Holder::of_value(&value(secret))), Told::NotYet)
        });
        contention.won(now);
        assert_eq!(contention.give_way(later(now, 5 * MS), MS), MS);
        assert_eq!(Holder::of_value(b"short"), Holder::of_value(b"short"));
    }

    #[test]
    fn whoever_holds_it_for_less_than_a_slot_gives_no_way() {
        let now = SystemClock.now();
        let mut contention = after(3, now);
        assert!(!contention.is_expected(now, MS) && !contention.is_over(now));
        assert_eq!(contention.give_way(now, MS), Duration::ZERO);
        assert_eq!(contention.give_way(later(now, MS), MS), 3 * MS, "who is next in the handle");
    }

    #[test]
    fn who_asks_in_vain_goes_back_at_random_and_farther_each_time_but_no_farther_than_others_are() {
        let now = SystemClock.now();
        let places = |rivals: u8, units: [f64; 5]| {
            let mut contention = Contention::default();
            (0..rivals).for_each(|rival| contention.held(Some(holder(rival)), Told::NotYet));
            units.map(|unit| {
                contention.denied();
                contention.free(unit);
                contention.free(0.99);
                contention.give_way(now, MS)
            })
        };
        let slots = |slots: [u32; 5]| slots.map(|slots| slots * MS);
        assert_eq!(places(9, [0.0, 0.99, 0.99, 0.99, 0.99]), slots([0, 3, 10, 17, 24]));
        assert_eq!(places(3, [0.99; 5]), slots([1, 3, 5, 7, 9]));
        assert_eq!(places(0, [0.99, 0.0, 0.49, 0.5, 0.99]), slots([1, 1, 1, 2, 3]));
    }

    #[test]
    fn nobody_goes_back_for_ever() {
        let (now, mut contention) = (SystemClock.now(), Contention::default());
        for _ in 0..100 {
            contention.denied();
            contention.free(0.99);
        }
        assert_eq!(contention.give_way(now, MS), MOST * MS);
        let mut crowded = after(255, now);
        assert_eq!(crowded.give_way(later(now, MS), MS), MOST * MS);
    }

    #[test]
    fn who_is_not_seen_any_more_is_forgotten() {
        let now = SystemClock.now();
        let mut contention = after(8, now);
        let mut expected = Vec::new();
        while !contention.is_over(now) {
            expected.push(contention.expected);
            contention.won(now);
        }
        assert_eq!(expected[..4], [8, 4, 2, 1]);
        assert_eq!(expected.len(), CALM as usize);
        assert!(after(8, now).is_over(later(now, MEMORY)), "long ago");
        assert!(!after(8, now).is_expected(later(now, MEMORY), MS));
        let mut fewer = after(9, now);
        fewer.held(Some(holder(1)), Told::NotYet);
        fewer.won(now);
        assert_eq!(fewer.expected, 7, "slowly down");
    }

    /// Handles that hold for ten slots each: who gets it how often, and how many slots it is free in between.
    fn compete(handles: usize, holds: usize) -> (Vec<usize>, usize) {
        let (start, slot) = (SystemClock.now(), MS);
        let mut all: Vec<_> = (0..handles).map(|_| Contention::default()).collect();
        let (mut counts, mut idle, mut now) = (vec![0; handles], 0, start);
        let mut dice = (0..)
            .map(|draw: u32| f64::from(draw.wrapping_mul(2_654_435_761) >> 8) / f64::from(1 << 24));
        for _ in 0..holds {
            let winner = loop {
                let places: Vec<_> =
                    all.iter_mut().map(|one| one.give_way(now, slot).as_millis()).collect();
                let least = *places.iter().min().unwrap();
                let asking: Vec<_> = (0..handles).filter(|i| places[*i] == least).collect();
                now = later(now, slot * u32::try_from(least).unwrap());
                idle += usize::try_from(least).unwrap();
                // Of up to three one has a majority mostly; of more, nobody.
                let winner = (asking.len() <= 3)
                    .then(|| asking[counts.iter().sum::<usize>() % asking.len()]);
                for index in asking.iter().filter(|index| Some(**index) != winner) {
                    all[*index].denied();
                }
                if let Some(winner) = winner {
                    all[winner].won(now);
                    counts[winner] += 1;
                    break winner;
                }
                now = later(now, slot / 2);
                for index in asking {
                    all[index].free(dice.next().unwrap());
                }
            };
            now = later(now, 10 * slot);
            for (_, one) in all.iter_mut().enumerate().filter(|(index, _)| *index != winner) {
                let told = if one.is_denied { Told::NotYet } else { Told::Yes };
                one.held(Some(holder(u8::try_from(winner).unwrap())), told);
                one.free(dice.next().unwrap());
            }
        }
        (counts, idle)
    }

    #[test]
    fn two_take_turns_and_many_all_get_it() {
        let (counts, idle) = compete(2, 100);
        assert!(counts.iter().all(|count| (45..=55).contains(count)), "{counts:?}");
        assert!(idle < 20, "{idle}");
        let (counts, idle) = compete(32, 3_200);
        assert!(counts.iter().all(|count| (40..=200).contains(count)), "{counts:?}");
        assert!(idle < 3_200, "{idle} slots free in 3,200 holds");
    }
}
