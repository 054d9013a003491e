//! The lock is given back while somebody looks whether it is over.

use futures::future::LocalBoxFuture;

use super::Hazard;
use crate::error::Result;
use crate::recipe::{About, Ends};
use crate::stage::Stage;
use crate::verdict::Verdict;

pub(super) struct GivenBack;

impl Hazard for GivenBack {
    fn name(&self) -> &'static str {
        "given-back"
    }

    fn title(&self) -> &'static str {
        "the lock is given back between another's SETNX and its GET, and a third one takes it"
    }

    fn excuse(&self, about: &About) -> Option<&'static str> {
        (about.ends == Ends::Expiry).then_some("nobody looks whether another's lock is over")
    }

    fn play<'a>(&'a self, stage: &'a Stage) -> LocalBoxFuture<'a, Result<Verdict>> {
        Box::pin(async move {
            let (mut first, mut slow) = (stage.client("A").await?, stage.client("B").await?);
            let mut next = stage.client("C").await?;
            stage.until_held(&mut first).await?;
            slow.acquire_until(|words| words[0] == "GET").await?;
            first.release().await?;
            slow.go_on_until(|words| matches!(words[0], "DEL" | "GETSET")).await?;
            stage.until_held(&mut next).await?;
            if !slow.go_on().await? {
                return Ok(Verdict::Safe("B sees what C wrote, and steps back".to_owned()));
            }
            Ok(stage.clash(&next, &slow))
        })
    }
}
