//! The clock of a server is set, or those of a majority. Played on embedded nodes: others have the clock of this machine.

use futures::future::LocalBoxFuture;
use quorlock_testkit::embedded::ClockJump;

use super::Hazard;
use crate::error::{Error, Result};
use crate::recipe::{About, Servers};
use crate::stage::{LASTS, Needs, ServerClock, Stage};
use crate::verdict::Verdict;

const NEEDS: Needs = Needs { server_clock: ServerClock::IsSet, ..LASTS };

pub(super) struct StepOfOne;

impl Hazard for StepOfOne {
    fn name(&self) -> &'static str {
        "server-clock"
    }

    fn title(&self) -> &'static str {
        "the clock of a server, of five one, is set forward by more than the TTL"
    }

    fn needs(&self, _about: &About) -> Needs {
        NEEDS
    }

    fn play<'a>(&'a self, stage: &'a Stage) -> LocalBoxFuture<'a, Result<Verdict>> {
        Box::pin(step(stage, 1))
    }
}

pub(super) struct StepOfMany;

impl Hazard for StepOfMany {
    fn name(&self) -> &'static str {
        "server-clocks"
    }

    fn title(&self) -> &'static str {
        "the clocks of a majority are set forward alike by more than the TTL"
    }

    fn excuse(&self, about: &About) -> Option<&'static str> {
        (about.servers != Servers::Five).then_some("it asks one server: see `server-clock`")
    }

    fn needs(&self, _about: &About) -> Needs {
        NEEDS
    }

    fn play<'a>(&'a self, stage: &'a Stage) -> LocalBoxFuture<'a, Result<Verdict>> {
        Box::pin(step(stage, super::MAJORITY))
    }
}

/// Sets the clocks of the first servers.
async fn step(stage: &Stage, servers: usize) -> Result<Verdict> {
    let (mut first, mut second) = (stage.client("A").await?, stage.client("B").await?);
    stage.until_held(&mut first).await?;
    stage.until_spread(servers).await?;
    for node in &stage.nodes()[..servers] {
        let embedded =
            node.embedded().ok_or_else(|| Error::Scene("an embedded node".to_owned()))?;
        embedded.jump_clock(2 * stage.ttl(), ClockJump::Forward);
        stage.story.note(format!("the clock of {} is set forward", node.name()));
    }
    if !second.acquire().await? {
        return Ok(Verdict::Safe("B is denied".to_owned()));
    }
    Ok(stage.clash(&first, &second))
}
