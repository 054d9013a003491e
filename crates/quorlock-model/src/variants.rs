//! Every variant by name: what it is played in, which rules it breaks, and what has to come out. No checking.

use crate::change;
use crate::model::{ABOVE_EARLIER, EXCLUSIVE, IN_ORDER, NOT_BROUGHT_BACK, Quorlock, UNIQUE};
use crate::nodes::NodeSet;
use crate::rules::{Certify, Quarantine, Rules, World};

/// One thing to check.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    /// How it is called.
    pub name: &'static str,
    /// What it is, in a line.
    pub says: &'static str,
    /// Where.
    pub world: World,
    /// By which rules.
    pub rules: Rules,
    /// What has to come out.
    pub expected: Expected,
    /// How long it takes.
    pub size: Size,
}

/// What a variant is there to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Every promise holds in every state, and every witness is reached.
    Holds,
    /// This promise is broken.
    Breaks(&'static str),
}

/// How long a variant takes, on a machine with nothing else to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// A second at most: a test checks it.
    Small,
    /// Less than a minute.
    Medium,
    /// Longer: only where it is asked for.
    Long,
}

impl Variant {
    /// One in which everything has to hold.
    pub const fn holds(name: &'static str, says: &'static str, world: World, rules: Rules) -> Self {
        Self { name, says, world, rules, expected: Expected::Holds, size: Size::Small }
    }

    /// One in which this has to be broken.
    pub const fn breaks(
        promise: &'static str,
        name: &'static str,
        says: &'static str,
        world: World,
        rules: Rules,
    ) -> Self {
        Self { name, says, world, rules, expected: Expected::Breaks(promise), size: Size::Small }
    }

    /// One that takes this long.
    #[must_use]
    pub const fn sized(self, size: Size) -> Self {
        Self { size, ..self }
    }

    /// The model of it. Where something has to be broken, nodes keep their names, so that the trace can be read.
    pub fn model(&self) -> Quorlock {
        let Self { world, rules, .. } = *self;
        match self.expected {
            Expected::Holds => {
                Quorlock { world, rules, only: None, is_sorted: world.memberships.len() == 1 }
            }
            Expected::Breaks(promise) => {
                Quorlock { world, rules, only: Some(promise), is_sorted: false }
            }
        }
    }
}

/// Three nodes.
pub const THREE: NodeSet = NodeSet::of(&[1, 2, 3]);
const FIVE: NodeSet = NodeSet::of(&[1, 2, 3, 4, 5]);

/// Tokens, without any clock.
const TOKENS: World = World {
    memberships: &[THREE],
    clients: &[&[0], &[0]],
    ttl: None,
    fenced: Some(2),
    proposals: &[0],
    extends: 0,
    restarts: 0,
    change: None,
};
/// Leases, with a clock that ticks for all at once.
pub const LEASES: World = World { ttl: Some(2), fenced: None, extends: 1, ..TOKENS };
/// The least of a lease: nothing is extended.
pub const BRIEF: World = World { ttl: Some(1), extends: 0, ..LEASES };
const RIGHT: Rules = Rules::RIGHT;

/// All of them.
pub fn all() -> Vec<Variant> {
    [tokens(), wrong_tokens(), leases(), wrong_leases(), other_nodes(), change::variants()].concat()
}

fn tokens() -> Vec<Variant> {
    let holds = |name, says, world| Variant::holds(name, says, world, RIGHT);
    vec![
        holds("tokens", "3 nodes, 2 attempts", TOKENS),
        holds(
            "tokens-proposed",
            "the same, each attempt with any clock",
            World { proposals: &[0, 3, 6], ..TOKENS },
        )
        .sized(Size::Medium),
        holds(
            "tokens-2-forgotten",
            "3 of 3 certify, 2 counters are lost",
            World { fenced: Some(3), restarts: 2, ..TOKENS },
        ),
        holds(
            "tokens-5-nodes",
            "5 nodes, 2 attempts",
            World { memberships: &[FIVE], fenced: Some(3), ..TOKENS },
        )
        .sized(Size::Medium),
        holds("tokens-3", "3 nodes, 3 attempts", World { clients: &[&[0], &[0], &[0]], ..TOKENS })
            .sized(Size::Long),
    ]
}

fn wrong_tokens() -> Vec<Variant> {
    let certify = |certify| Rules { certify, ..RIGHT };
    vec![
        Variant::breaks(
            ABOVE_EARLIER,
            "one-forgotten",
            "2 of 3 certify, 1 counter is lost",
            World { restarts: 1, ..TOKENS },
            RIGHT,
        ),
        Variant::breaks(
            UNIQUE,
            "raised-whoever-holds",
            "no ownership guard: a certify raises unconditionally",
            TOKENS,
            certify(Certify::Always),
        ),
        Variant::breaks(
            UNIQUE,
            "highest-without-certifying",
            "the highest counter is the token, nothing is raised",
            TOKENS,
            certify(Certify::Never),
        ),
    ]
}

fn leases() -> Vec<Variant> {
    let holds = |name, says, world| Variant::holds(name, says, world, RIGHT);
    vec![
        holds("leases", "3 nodes, 2 attempts", LEASES),
        holds("leases-restart", "the same, 1 restart", World { restarts: 1, ..LEASES }),
        holds("leases-restarts", "the same, 3 restarts", World { restarts: 3, ..LEASES })
            .sized(Size::Medium),
        holds("leases-3", "3 attempts", World { clients: &[&[0], &[0], &[0]], ..LEASES })
            .sized(Size::Medium),
        holds("leases-fenced", "with tokens", World { fenced: Some(2), ..LEASES }),
    ]
}

fn wrong_leases() -> Vec<Variant> {
    let restart = World { restarts: 1, ..LEASES };
    let quarantine = |quarantine| Rules { quarantine, ..RIGHT };
    vec![
        Variant::breaks(
            IN_ORDER,
            "extend-after-the-deadline",
            "an extend counts after the old deadline",
            LEASES,
            Rules { extend_in_time: false, ..RIGHT },
        ),
        Variant::breaks(
            NOT_BROUGHT_BACK,
            "repair-without-majority",
            "what is missing is set again at once, and counts",
            World { restarts: 2, ..LEASES },
            Rules { repair_proven: false, ..RIGHT },
        ),
        Variant::breaks(
            EXCLUSIVE,
            "no-quarantine",
            "a node that restarted votes at once",
            restart,
            quarantine(Quarantine::Off),
        ),
        Variant::breaks(
            EXCLUSIVE,
            "quarantine-in-clients",
            "only clients that saw the restart know of it",
            restart,
            quarantine(Quarantine::InClients),
        ),
    ]
}

/// Clients of 3 nodes beside clients of 5, of which those are 3.
fn other_nodes() -> Vec<Variant> {
    let among = |base| World { memberships: &[THREE, FIVE], clients: &[&[0, 1], &[0, 1]], ..base };
    vec![
        Variant::holds("other-nodes", "clients of 3 nodes, or of 5", among(LEASES), RIGHT)
            .sized(Size::Medium),
        Variant::breaks(
            EXCLUSIVE,
            "other-nodes-unmarked",
            "the same, and no node looks at its marker",
            among(BRIEF),
            Rules { fingerprint: false, ..RIGHT },
        )
        .sized(Size::Medium),
        Variant::breaks(
            EXCLUSIVE,
            "other-nodes-restart",
            "the same with markers, and a node restarts: it takes on what the first to come has",
            World { restarts: 1, ..among(BRIEF) },
            RIGHT,
        )
        .sized(Size::Medium),
    ]
}
