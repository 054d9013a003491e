//! The steps of the script, in order, and what several of them do.

mod clean_up;
mod cut_off;
mod freeze_one;
mod heal;
mod healthy;
mod kill_two;
mod lose_majority;
mod majority_gone;
mod repairs;
mod restart_two;
mod rolling_restart;

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::{
    holding::Holding,
    record::Record,
    script::{AVAILABLE_WITHIN, Seen, Step},
    stage::Stage,
};

/// All steps.
pub(crate) const STEPS: [Step; 9] = [
    Step {
        name: "all nodes are healthy",
        expected: "the workers take turns without a break longer than 2.5 s (a TTL is 2 s)",
        share: 2,
        play: |stage, time| Box::pin(healthy::play(stage, time)),
    },
    Step {
        name: "freeze one node",
        expected: "the workers go on taking turns without a break longer than 2.5 s (a TTL is 2 s)",
        share: 3,
        play: |stage, time| Box::pin(freeze_one::play(stage, time)),
    },
    Step {
        name: "kill two nodes",
        expected: "the workers go on taking turns without a break longer than 2.5 s (a TTL is 2 s)",
        share: 2,
        play: |stage, time| Box::pin(kill_two::play(stage, time)),
    },
    Step {
        name: "lose the majority",
        expected: "a holder hears \"lost\" before its validity ends; an acquire fails within its limit and says why; \
                   nobody gets the lock",
        share: 4,
        play: |stage, time| Box::pin(lose_majority::play(stage, time)),
    },
    Step {
        name: "heal all nodes",
        expected: "the workers get the lock again within two TTLs (4 s), and go on",
        share: 3,
        play: |stage, time| Box::pin(heal::play(stage, time)),
    },
    Step {
        name: "rolling restart under one guard",
        expected: "one guard is held while all nodes restart in turn, and each gets its key again; the workers go on",
        share: 6,
        play: |stage, time| Box::pin(rolling_restart::play(stage, time)),
    },
    Step {
        name: "restart two nodes in a row",
        expected: "a guard is kept and has its key everywhere again; the restarted nodes do not vote, and a rival never gets \
                   the lock; the workers go on",
        share: 4,
        play: |stage, time| Box::pin(restart_two::play(stage, time)),
    },
    Step {
        name: "cut a client off",
        expected: "it hears \"lost\" before its validity ends, and gets no quorum; the workers go on; healed, it gets the lock \
                   again",
        share: 6,
        play: |stage, time| Box::pin(cut_off::play(stage, time)),
    },
    Step {
        name: "end the workers",
        expected: "no key of ours is left on any node",
        share: 0,
        play: |stage, _| Box::pin(clean_up::play(stage)),
    },
];

/// Lets the workers work until a step's time is over.
async fn linger(begun: Instant, time: Duration) {
    sleep_until(begun + time).await;
}

/// Gives a lock back. Nodes that did not answer in time are owed the release; whether they got it is seen at the end.
async fn give_back(holding: Holding<'_, Record>) -> Result<(), quorlock::Error> {
    holding.release().await.map(drop)
}

/// What was seen of the workers since then, where the lock had to be available.
fn went_on(stage: &Stage, since: Duration) -> Seen {
    let taken = stage.holds().iter().filter(|hold| hold.from >= since).count();
    let longest = stage.unavailable_since(since);
    let fits = (taken > 0 && longest <= AVAILABLE_WITHIN).into();
    Seen::judged(fits, format!("{taken} turns, the longest break took {} ms", longest.as_millis()))
}
