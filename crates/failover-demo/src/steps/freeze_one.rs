//! One node takes commands and answers none, then wakes up.

use std::time::Duration;

use tokio::time::Instant;

use super::{linger, went_on};
use crate::{error::Result, script::Seen, stage::Stage};

pub(super) async fn play(stage: &mut Stage, time: Duration) -> Result<Seen> {
    if let Some(reason) = stage.nodes.why_not_freeze() {
        return Ok(Seen::Skipped(reason));
    }
    if stage.nodes.count() == stage.nodes.quorum() {
        return Ok(Seen::Skipped("it takes all nodes to hold a lock".to_owned()));
    }
    let (begun, since) = (Instant::now(), stage.clock.now());
    stage.nodes.freeze(0, time).await?;
    linger(begun, time).await;
    let seen = went_on(stage, since);
    stage.nodes.heal().await?;
    Ok(seen)
}
