//! The clocks of two clients differ.

use futures::future::LocalBoxFuture;

use super::Hazard;
use crate::error::Result;
use crate::recipe::{About, Ends};
use crate::stage::Stage;
use crate::verdict::Verdict;

pub(super) struct ClientClocks;

impl Hazard for ClientClocks {
    fn name(&self) -> &'static str {
        "client-clocks"
    }

    fn title(&self) -> &'static str {
        "the clock of one client is ahead by more than the TTL"
    }

    fn excuse(&self, about: &About) -> Option<&'static str> {
        (about.ends == Ends::Expiry).then_some("no client's time of day decides who holds it")
    }

    fn play<'a>(&'a self, stage: &'a Stage) -> LocalBoxFuture<'a, Result<Verdict>> {
        Box::pin(async move {
            let ahead = 2 * stage.ttl();
            let mut holder = stage.client("A").await?;
            let mut fast = stage.client_with("B", stage.ttl(), ahead).await?;
            stage.story.note(format!("B's clock is {} s ahead of A's", ahead.as_secs()));
            stage.until_held(&mut holder).await?;
            if !fast.acquire().await? {
                return Ok(Verdict::Safe("B is denied".to_owned()));
            }
            Ok(stage.clash(&holder, &fast))
        })
    }
}
