//! Servers restart empty: of five, a majority, one after the other.

use futures::future::LocalBoxFuture;

use super::Hazard;
use crate::error::Result;
use crate::recipe::Servers;
use crate::stage::Stage;
use crate::verdict::Verdict;

pub(super) struct Restart;

impl Hazard for Restart {
    fn name(&self) -> &'static str {
        "restart"
    }

    fn title(&self) -> &'static str {
        "the server restarts empty; of five, a majority does"
    }

    fn play<'a>(&'a self, stage: &'a Stage) -> LocalBoxFuture<'a, Result<Verdict>> {
        Box::pin(async move {
            let mut first = stage.client("A").await?;
            stage.until_held(&mut first).await?;
            let all = if stage.about.servers == Servers::Five { super::MAJORITY } else { 1 };
            // All before any is back: a node that is back alone gets A's key again.
            for node in &stage.nodes()[..all] {
                node.crash().await?;
                stage.story.note(format!("{} crashes", node.name()));
            }
            for node in &stage.nodes()[..all] {
                node.restart().await?;
                stage.story.note(format!("{} is back, empty", node.name()));
            }
            let mut second = stage.client("B").await?;
            if !second.acquire().await? {
                let why = "nodes that may have forgotten do not vote until every lock that they may have forgotten is over; A hears at its next \
                           extend that a majority has forgotten its own";
                return Ok(Verdict::Safe(why.to_owned()));
            }
            Ok(stage.clash(&first, &second))
        })
    }
}
