//! Fencing tokens: numbers that grow with every successive holder of a resource, and the rule that makes one certain.
//! Asks no node, reads no clock.

use std::fmt;
use std::time::{Duration, SystemTime};

/// A number that is larger for every later holder of the same resource (promise G2): a store that refuses writes with a
/// smaller one than it has seen is safe from holders that do not know yet that they have lost the lock.
///
/// No clock takes part in that order, so it holds also where the lock itself was held twice: `docs/fencing.md` in the
/// repository has what it needs, and what the store has to do. At most 2^53, so it fits into every database's integers.
///
/// # Examples
///
/// A store in memory:
///
/// ```
/// use quorlock::FencingToken;
///
/// #[derive(Default)]
/// struct Store {
///     highest: Option<FencingToken>,
///     value: String,
/// }
///
/// impl Store {
///     /// Says whether it was written. Compares and writes in one step: behind a mutex, or in a task of its own.
///     fn write(&mut self, value: &str, token: FencingToken) -> bool {
///         if self.highest.is_some_and(|highest| token < highest) {
///             return false;
///         }
///         self.highest = Some(token);
///         value.clone_into(&mut self.value);
///         true
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FencingToken(u64);

impl FencingToken {
    #[cfg(feature = "serde")]
    pub(crate) fn new(number: u64) -> Option<Self> {
        // As far as a node's scripts can count.
        (1..1 << 53).contains(&number).then_some(Self(number))
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether a lock has a fencing token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fencing {
    /// It has none, and needs none.
    Off,
    /// It is to get one, that so many nodes certify.
    Wanted { certify_on: usize },
    /// It has this one.
    Has(FencingToken),
}

impl Fencing {
    pub(crate) fn token(self) -> Option<FencingToken> {
        match self {
            Self::Has(token) => Some(token),
            Self::Off | Self::Wanted { .. } => None,
        }
    }

    /// How many nodes have to grant: any two quorums share a node, and more share as many as may forget in between.
    pub(crate) fn needed(self, quorum: usize) -> usize {
        match self {
            Self::Wanted { certify_on } => certify_on.max(quorum),
            Self::Off | Self::Has(_) => quorum,
        }
    }
}

/// How long a node keeps a counter that nobody asks for: far longer than anybody could still write late.
const RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a counter beside a key with this TTL is kept.
pub(crate) fn retention(ttl: Duration) -> Duration {
    RETENTION.max(ttl.saturating_mul(2))
}

/// The least that an attempt asks to be counted as: the time of day in microseconds. It only saves the second round, since
/// it is above every counter in nearly all cases; the order does not rest on it.
pub(crate) fn proposal(wall: SystemTime) -> u64 {
    let since_1970 = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_micros()).unwrap_or_default()
}

/// The key of the counter beside a lock key.
pub(crate) fn counter_of(key: &str) -> String {
    format!("{}fence:{key}", crate::resources::RESERVED_PREFIX)
}

/// What the nodes that granted an attempt have counted it as.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters(Vec<(usize, u64)>);

impl Counters {
    pub(crate) fn note(&mut self, node: usize, counter: u64) {
        self.0.push((node, counter));
    }

    /// The fencing token that a quorum of them makes: above that of every holder before, of whose quorum one was among them.
    pub(crate) fn highest(&self) -> Option<FencingToken> {
        self.0.iter().map(|(_, counter)| *counter).max().map(FencingToken)
    }

    /// Those that have counted less: they have to be raised before they certify it.
    pub(crate) fn below(&self, token: FencingToken) -> impl Iterator<Item = (usize, u64)> {
        self.0.iter().copied().filter(move |(_, counter)| *counter < token.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_the_highest_counter_and_the_others_have_to_be_raised() {
        let mut counters = Counters::default();
        assert_eq!(counters.highest(), None);
        [(0, 7), (2, 9), (3, 7)].iter().for_each(|(node, counter)| counters.note(*node, *counter));
        let token = counters.highest().unwrap();
        assert_eq!((token.get(), token.to_string()), (9, "9".to_owned()));
        assert_eq!(counters.below(token).collect::<Vec<_>>(), [(0, 7), (3, 7)]);
    }

    #[test]
    fn as_many_nodes_as_are_asked_for_have_to_grant_and_never_less_than_a_quorum() {
        let needed = |certify_on| Fencing::Wanted { certify_on }.needed(3);
        assert_eq!([needed(1), needed(3), needed(5)], [3, 3, 5]);
        assert_eq!(Fencing::Off.needed(3), 3);
    }

    #[test]
    fn a_counter_outlives_its_lock() {
        assert_eq!(retention(Duration::from_secs(10)), RETENTION);
        let days = Duration::from_secs(10 * 24 * 60 * 60);
        assert!(retention(days) > days);
    }

    #[test]
    fn a_proposal_grows_with_the_time_of_day() {
        let at = |us| proposal(SystemTime::UNIX_EPOCH + Duration::from_micros(us));
        assert_eq!([at(0), at(7)], [0, 7]);
    }

    #[test]
    fn only_a_lock_that_has_a_token_shows_one() {
        let token = FencingToken(7);
        assert_eq!(Fencing::Has(token).token(), Some(token));
        assert_eq!(Fencing::Wanted { certify_on: 3 }.token(), None);
        assert_eq!(Fencing::Off.token(), None);
    }
}
