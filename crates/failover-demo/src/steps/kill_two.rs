//! As many nodes die as can be spared: two of five. They stay dead until the step that heals.

use std::time::Duration;

use tokio::time::Instant;

use super::{linger, went_on};
use crate::{error::Result, script::Seen, stage::Stage};

pub(super) async fn play(stage: &mut Stage, time: Duration) -> Result<Seen> {
    if let Some(reason) = stage.nodes.why_not_kill() {
        return Ok(Seen::Skipped(reason));
    }
    let (begun, since) = (Instant::now(), stage.clock.now());
    for index in stage.nodes.quorum()..stage.nodes.count() {
        stage.nodes.kill(index).await?;
    }
    linger(begun, time).await;
    Ok(went_on(stage, since))
}
