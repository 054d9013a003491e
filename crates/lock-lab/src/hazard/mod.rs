//! The hazards: one file each, and the list of them. Each is an order of events that is forced, not hoped for.

mod by_hand;
mod client_clocks;
mod crash;
mod dead_holder;
mod failover;
mod getset_overwrites;
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
use crate::recipe::About;
use crate::stage::{Needs, ServerClock, Stage};
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
    fn needs(&self) -> Needs {
        RUNS_OUT
    }

    /// Plays it.
    fn play<'a>(&'a self, stage: &'a Stage) -> LocalBoxFuture<'a, Result<Verdict>>;
}

/// For what has to run out.
const RUNS_OUT: Needs = Needs { ttl: Duration::from_secs(2), server_clock: ServerClock::Runs };

/// All of them, in the order of the matrix.
pub static HAZARDS: [&dyn Hazard; 15] = [
    &crash::Crash,
    &dead_holder::DeadHolder,
    &outlived::Outlived,
    &stale_delete::StaleDelete,
    &two_cleaners::TwoCleaners,
    &getset_overwrites::GetsetOverwrites,
    &client_clocks::ClientClocks,
    &server_clock::StepOfTheServer,
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
    use crate::recipe::{Ends, Servers};

    let mut next = stage.client("B").await?;
    if next.acquire().await? {
        return Ok(Verdict::Safe("B gets it at once".to_owned()));
    }
    if stage.about.servers != Servers::Five && stage.about.ends == Ends::Expiry {
        let before = stage.ttl_left().await?;
        stage.story.note(format!("PTTL {}: {before}", crate::stage::KEY));
        if before == -1 {
            return Ok(Verdict::Blocked("the key has no end, and its owner is dead".to_owned()));
        }
        let pause = Duration::from_millis(500);
        stage.pass(pause).await;
        if next.acquire().await? {
            return Ok(Verdict::Safe("B gets it when it has expired".to_owned()));
        }
        let after = stage.ttl_left().await?;
        stage.story.note(format!("PTTL {}: {after}", crate::stage::KEY));
        // Half of the pause: no server is as late as that.
        if after > before - i64::try_from(pause.as_millis() / 2).unwrap_or(i64::MAX) {
            let why = "each try of B gives the dead one's key a new end: whoever asks more often than the TTL never gets it";
            return Ok(Verdict::Blocked(why.to_owned()));
        }
    }
    stage.outlast().await?;
    stage.until_held(&mut next).await?;
    Ok(Verdict::Safe("B gets it when the time of the dead one is over".to_owned()))
}
