//! Nothing happens: what the other steps are compared with.

use std::time::Duration;

use tokio::time::Instant;

use super::{linger, went_on};
use crate::{error::Result, script::Seen, stage::Stage};

pub(super) async fn play(stage: &mut Stage, time: Duration) -> Result<Seen> {
    let (begun, since) = (Instant::now(), stage.clock.now());
    linger(begun, time).await;
    Ok(went_on(stage, since))
}
