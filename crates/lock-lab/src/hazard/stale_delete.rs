//! A holder that is late deletes the lock of the next one.

use futures::future::LocalBoxFuture;

use super::{Hazard, runs_out};
use crate::error::Result;
use crate::recipe::About;
use crate::stage::{Needs, Stage};
use crate::verdict::Verdict;

pub(super) struct StaleDelete;

impl Hazard for StaleDelete {
    fn name(&self) -> &'static str {
        "stale-delete"
    }

    fn title(&self) -> &'static str {
        "the holder is paused right before it deletes its key, for longer than the TTL"
    }

    fn needs(&self, about: &About) -> Needs {
        runs_out(about)
    }

    fn play<'a>(&'a self, stage: &'a Stage) -> LocalBoxFuture<'a, Result<Verdict>> {
        Box::pin(async move {
            let mut first = stage.client("A").await?;
            let (mut second, mut third) = (stage.client("B").await?, stage.client("C").await?);
            stage.until_held(&mut first).await?;
            first.release_until_delete().await?;
            stage.outlast().await?;
            stage.until_held(&mut second).await?;
            first.go_on_and_delete().await?;
            if !third.acquire().await? {
                return Ok(Verdict::Safe(
                    "A deletes only what is its own, so B keeps its lock".to_owned(),
                ));
            }
            Ok(stage.clash(&second, &third))
        })
    }
}
