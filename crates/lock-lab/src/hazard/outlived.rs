//! The work takes longer than the TTL.

use futures::future::LocalBoxFuture;

use super::{Hazard, runs_out};
use crate::error::Result;
use crate::recipe::About;
use crate::stage::{Needs, Stage};
use crate::verdict::Verdict;

pub(super) struct Outlived;

impl Hazard for Outlived {
    fn name(&self) -> &'static str {
        "outlived"
    }

    fn title(&self) -> &'static str {
        "the holder works for longer than the TTL"
    }

    fn needs(&self, about: &About) -> Needs {
        runs_out(about)
    }

    fn play<'a>(&'a self, stage: &'a Stage) -> LocalBoxFuture<'a, Result<Verdict>> {
        Box::pin(async move {
            let (mut first, mut second) = (stage.client("A").await?, stage.client("B").await?);
            stage.until_held(&mut first).await?;
            stage.outlast().await?;
            if !second.acquire().await? {
                return Ok(Verdict::Safe("A's lock is extended for as long as A works".to_owned()));
            }
            Ok(stage.clash(&first, &second))
        })
    }
}
