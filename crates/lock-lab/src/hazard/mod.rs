//! The hazards: one file each, and the list of them. Each is an order of events that is forced, not hoped for.

mod by_hand;
mod client_clocks;
mod crash;
mod dead_holder;
mod failover;
mod getset_overwrites;
mod given_back;
mod herd;
mod late_write;
mod outlived;
mod restart;
mod server_clock;
mod spinning;
mod split_vote;
mod stale_delete;
mod two_cleaners;

pub(crate) use self::herd::commands;

use std::time::Duration;

use futures::future::LocalBoxFuture;

use crate::error::Result;
use crate::recipe::{About, Ends, Servers};
use crate::stage::{KEY, LASTS, Needs, ServerClock, Stage};
use crate::verdict::Verdict;

/// What can happen to a lock.
pub trait Hazard: Sync {
    /// Its name on the command line.
    fn name(&self) -> &'static str;

    /// What happens, in words.
    fn title(&self) -> &'static str;

    /// Why it cannot happen to that recipe, if so.
    fn excuse(&self, _about: &About) -> Option<&'static str> {
        None
    }

    /// What its stage is.
    fn needs(&self, _about: &About) -> Needs {
        LASTS
    }

    /// Plays it.
    fn play<'a>(&'a self, stage: &'a Stage) -> LocalBoxFuture<'a, Result<Verdict>>;
}

/// For locks that have to run out in real time: those of five nodes.
const RUNS_OUT: Needs = Needs { ttl: Duration::from_secs(2), server_clock: ServerClock::Runs };

/// For hazards in which a lock has to run out: of one server the time is set.
fn runs_out(about: &About) -> Needs {
    if about.servers == Servers::Five { RUNS_OUT } else { LASTS }
}

/// Of five.
const MAJORITY: usize = 3;

/// All of them, in the order of the matrix.
pub static HAZARDS: [&dyn Hazard; 17] = [
    &crash::Crash,
    &dead_holder::DeadHolder,
    &outlived::Outlived,
    &stale_delete::StaleDelete,
    &two_cleaners::TwoCleaners,
    &getset_overwrites::GetsetOverwrites,
    &given_back::GivenBack,
    &client_clocks::ClientClocks,
    &server_clock::StepOfOne,
    &server_clock::StepOfMany,
    &failover::Failover,
    &restart::Restart,
    &late_write::LateWrite,
    &by_hand::ByHand,
    &split_vote::SplitVote,
    &herd::Herd,
    &spinning::Spinning,
];

/// The one with that name.
pub fn named(word: &str) -> Option<&'static dyn Hazard> {
    HAZARDS.iter().copied().find(|hazard| hazard.name() == word)
}

/// Has somebody poll for a lock whose holder is dead, and says whether it ever gets it.
async fn wait_for_the_dead(stage: &Stage) -> Result<Verdict> {
    let mut next = stage.client("B").await?;
    if next.acquire().await? {
        return Ok(Verdict::Safe("B gets it at once".to_owned()));
    }
    if stage.about.servers != Servers::Five && stage.about.ends == Ends::Expiry {
        if left(stage).await? == -1 {
            return Ok(Verdict::Blocked("the key has no end, and its owner is dead".to_owned()));
        }
        stage.pass(stage.ttl() / 2).await?;
        let before = left(stage).await?;
        next.acquire().await?;
        if left(stage).await? > before {
            let why = "each try of B gives the dead one's key a new end: as long as somebody asks more often than the TTL, nobody gets it";
            return Ok(Verdict::Blocked(why.to_owned()));
        }
    }
    stage.outlast().await?;
    stage.until_held(&mut next).await?;
    Ok(Verdict::Safe("B gets it when the time of the dead one is over".to_owned()))
}

/// What is left of the key's life, told.
async fn left(stage: &Stage) -> Result<i64> {
    let left = stage.ttl_left().await?;
    // In tenths of a second, so that a story is the same each time.
    let shown =
        if left < 0 { left.to_string() } else { format!("{:.1} s", (left as f64) / 1000.0) };
    stage.story.note(format!("PTTL {KEY}: {shown}"));
    Ok(left)
}
