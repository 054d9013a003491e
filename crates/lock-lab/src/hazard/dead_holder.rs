//! The holder dies, and others go on asking.

use futures::future::LocalBoxFuture;

use super::{Hazard, runs_out, wait_for_the_dead};
use crate::error::{Error, Result};
use crate::recipe::About;
use crate::stage::{Needs, Stage};
use crate::verdict::Verdict;

pub(super) struct DeadHolder;

impl Hazard for DeadHolder {
    fn name(&self) -> &'static str {
        "dead-holder"
    }

    fn title(&self) -> &'static str {
        "the holder dies, and others go on asking"
    }

    fn needs(&self, about: &About) -> Needs {
        runs_out(about)
    }

    fn play<'a>(&'a self, stage: &'a Stage) -> LocalBoxFuture<'a, Result<Verdict>> {
        Box::pin(async move {
            let mut holder = stage.client("A").await?;
            if !holder.acquire().await? {
                return Err(Error::Scene("A gets a free lock".to_owned()));
            }
            holder.die();
            wait_for_the_dead(stage).await
        })
    }
}
