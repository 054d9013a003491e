//! The clock of a server is set. Played on embedded nodes: others have the clock of this machine.

use futures::future::LocalBoxFuture;
use quorlock_testkit::embedded::ClockJump;

use super::Hazard;
use crate::error::{Error, Result};
use crate::stage::{LASTS, Needs, ServerClock, Stage};
use crate::verdict::Verdict;

pub(super) struct StepOfTheServer;

impl Hazard for StepOfTheServer {
    fn name(&self) -> &'static str {
        "server-clock"
    }

    fn title(&self) -> &'static str {
        "the clock of a server is set forward by more than the TTL"
    }

    fn needs(&self) -> Needs {
        Needs { server_clock: ServerClock::IsSet, ..LASTS }
    }

    fn play<'a>(&'a self, stage: &'a Stage) -> LocalBoxFuture<'a, Result<Verdict>> {
        Box::pin(async move {
            let (mut first, mut second) = (stage.client("A").await?, stage.client("B").await?);
            first.acquire().await?;
            let node = stage.node(stage.primary());
            let embedded =
                node.embedded().ok_or_else(|| Error::Scene("an embedded node".to_owned()))?;
            embedded.jump_clock(2 * stage.ttl(), ClockJump::Forward);
            stage.story.note(format!("the clock of {} is set forward", node.name()));
            if !second.acquire().await? {
                return Ok(Verdict::Safe("B is denied".to_owned()));
            }
            Ok(stage.clash(&first, &second))
        })
    }
}
