//! The kinds of faults: their names, and at which depth they exist. How each is done lives elsewhere.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::plan::{Assumptions, Depth};

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal,)*) => {
        /// What can go wrong in a simulation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Kind { $($(#[$doc])* $kind,)* }

        impl Kind {
            /// All of them, in the order of reports.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// As it is written on the command line and in reports.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }
        }
    };
}

kinds! {
    /// A request or a reply takes 5 ms and more.
    Delay = "delay",
    /// A request does not arrive.
    LostRequest = "lost-request",
    /// A request is carried out, its reply does not arrive.
    LostReply = "lost-reply",
    /// A request arrives twice, the second time perhaps much later.
    Duplicate = "duplicate",
    /// A connection breaks.
    Disconnect = "disconnect",
    /// A request arrives after its connection was given up: perhaps behind what the next one brought.
    LateArrival = "late-arrival",
    /// Nothing passes between a client and a node.
    Partition = "partition",
    /// Nothing passes one way.
    OneWayPartition = "one-way-partition",
    /// Everything between a client and a node waits, and is delivered in the end.
    Hold = "hold",
    /// A node takes commands in and runs none of them, until it thaws.
    Freeze = "freeze",
    /// A node restarts with nothing.
    CrashEmpty = "crash-empty",
    /// A node restarts with all it had.
    CrashIntact = "crash-intact",
    /// A node restarts without its last few changes.
    CrashRolledBack = "crash-rolled-back",
    /// A node forgets all keys, and goes on: FLUSHALL.
    Flush = "flush",
    /// A majority does so at once.
    MajorityFlush = "majority-flush",
    /// A node's clock jumps: back, or forward where it holds no lock and is in no quarantine.
    ClockJump = "clock-jump",
    /// A node's clock runs at another rate: slower, or faster by less than the drift.
    ClockRate = "clock-rate",
    /// A node answers with errors for a while.
    ErrorReply = "error-reply",
    /// A node forgets its scripts.
    ScriptFlush = "script-flush",
    /// All tasks of a client stop for a while, and its clock runs on.
    ClientPause = "client-pause",
    /// A client's process ends.
    ClientDeath = "client-death",
    /// A future of the library is dropped before it is done.
    Cancel = "cancel",
    /// A guard is dropped instead of released.
    GuardDrop = "guard-drop",
    /// A node's clock gains far more than the drift.
    ClockBeyondDrift = "clock-beyond-drift",
    /// All tasks of a client stop for a while, and its clock with them.
    ClientSuspend = "client-suspend",
    /// Somebody who knows nothing of locks deletes or overwrites a key.
    ForeignWrite = "foreign-write",
}

/// What a kind of fault happens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// What passes between a client and a node.
    Wire,
    Node,
    Majority,
    Client,
    /// It happens by itself.
    Worker,
}

impl Kind {
    pub(super) fn place(self) -> Place {
        match self {
            Self::Delay
            | Self::LostRequest
            | Self::LostReply
            | Self::Duplicate
            | Self::Disconnect
            | Self::LateArrival
            | Self::Partition
            | Self::OneWayPartition
            | Self::Hold => Place::Wire,
            Self::Freeze
            | Self::CrashEmpty
            | Self::CrashIntact
            | Self::CrashRolledBack
            | Self::ClockJump
            | Self::ClockRate
            | Self::ErrorReply
            | Self::ScriptFlush
            | Self::ClockBeyondDrift
            | Self::Flush
            | Self::ForeignWrite => Place::Node,
            Self::ClientPause | Self::ClientDeath | Self::ClientSuspend => Place::Client,
            Self::Cancel | Self::GuardDrop => Place::Worker,
            Self::MajorityFlush => Place::Majority,
        }
    }

    /// Whether it exists there.
    #[must_use]
    pub fn exists(self, depth: Depth, assumptions: Assumptions) -> bool {
        match self {
            Self::ClockBeyondDrift | Self::ClientSuspend | Self::ForeignWrite => {
                assumptions == Assumptions::Broken
            }
            // A stream of bytes repeats nothing.
            Self::Duplicate => depth == Depth::Node,
            _ => true,
        }
    }

    /// Whether exclusion may break after it.
    pub(super) fn breaks_assumptions(self) -> bool {
        !self.exists(Depth::Node, Assumptions::Kept)
    }

    /// Those that exist there.
    pub fn all(depth: Depth, assumptions: Assumptions) -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(move |kind| kind.exists(depth, assumptions))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name).ok_or_else(|| {
            let all: Vec<_> = Self::ALL.iter().map(|kind| kind.name()).collect();
            format!("no fault is called '{name}'; there are {}", all.join(", "))
        })
    }
}

/// A set of kinds of faults; written as names with commas, or `none`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults(BTreeSet<Kind>);

impl Faults {
    /// Whether this kind is in it.
    #[must_use]
    pub fn contains(&self, kind: Kind) -> bool {
        self.0.contains(&kind)
    }

    /// Its kinds, in the order of reports.
    pub fn iter(&self) -> impl Iterator<Item = Kind> {
        self.0.iter().copied()
    }

    /// The same without one kind.
    #[must_use]
    pub fn without(&self, kind: Kind) -> Self {
        Self(self.0.iter().copied().filter(|other| *other != kind).collect())
    }

    /// Those that are in both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self(self.0.intersection(&other.0).copied().collect())
    }
}

impl FromIterator<Kind> for Faults {
    fn from_iter<T: IntoIterator<Item = Kind>>(kinds: T) -> Self {
        Self(kinds.into_iter().collect())
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        let names: Vec<_> = self.0.iter().map(|kind| kind.name()).collect();
        f.write_str(&names.join(","))
    }
}

impl FromStr for Faults {
    type Err = String;

    fn from_str(names: &str) -> Result<Self, String> {
        if names == "none" {
            return Ok(Self::default());
        }
        names.split(',').map(str::parse).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_read_as_it_is_written() {
        let all: Faults = Kind::ALL.iter().copied().collect();
        for set in [all.clone(), Faults::default(), all.without(Kind::Freeze)] {
            assert_eq!(set.to_string().parse(), Ok(set));
        }
        assert!("freeze,thaw".parse::<Faults>().unwrap_err().contains("'thaw'"));
    }
}
