//! Servers restart empty: of five, a majority, one after the other.

use futures::future::LocalBoxFuture;

use super::Hazard;
use crate::error::Result;
use crate::recipe::Servers;
use crate::stage::{LASTS, Needs, Stage};
use crate::verdict::Verdict;

pub(super) struct Restart;

impl Hazard for Restart {
    fn name(&self) -> &'static str {
        "restart"
    }

    fn title(&self) -> &'static str {
        "the server restarts empty; of five, a majority does"
    }

    fn needs(&self) -> Needs {
        LASTS
    }

    fn play<'a>(&'a self, stage: &'a Stage) -> LocalBoxFuture<'a, Result<Verdict>> {
        Box::pin(async move {
            let mut first = stage.client("A").await?;
            first.acquire().await?;
            let all = if stage.about.servers == Servers::Five { 3 } else { 1 };
            for node in &stage.nodes()[..all] {
                node.bounce().await?;
                stage.story.note(format!("{} restarts, empty", node.name()));
            }
            let mut second = stage.client("B").await?;
            if !second.acquire().await? {
                let why = "nodes that may have forgotten do not vote until every lock that they may have forgotten is over";
                return Ok(Verdict::Safe(why.to_owned()));
            }
            Ok(stage.clash(&first, &second))
        })
    }
}
