//! Somebody deletes the lock's key, by hand or by a script that tidies up: of five nodes, on a majority (assumption A4).

use futures::future::LocalBoxFuture;

use super::Hazard;
use crate::error::Result;
use crate::recipe::Servers;
use crate::stage::{KEY, Stage};
use crate::verdict::Verdict;

pub(super) struct ByHand;

impl Hazard for ByHand {
    fn name(&self) -> &'static str {
        "by-hand"
    }

    fn title(&self) -> &'static str {
        "an operator deletes the key; of five nodes, on a majority"
    }

    fn play<'a>(&'a self, stage: &'a Stage) -> LocalBoxFuture<'a, Result<Verdict>> {
        Box::pin(async move {
            let (mut first, mut second) = (stage.client("A").await?, stage.client("B").await?);
            stage.until_held(&mut first).await?;
            let all = if stage.about.servers == Servers::Five { super::MAJORITY } else { 1 };
            stage.until_spread(all).await?;
            for index in 0..all {
                let _: i64 = stage.ask(index, &["DEL", KEY]).await?;
                stage.story.note(format!("an operator: DEL {KEY} on {}", stage.node(index).name()));
            }
            if !second.acquire().await? {
                return Ok(Verdict::Safe("B is denied".to_owned()));
            }
            Ok(stage.clash(&first, &second))
        })
    }
}
