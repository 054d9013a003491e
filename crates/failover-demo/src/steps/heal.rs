//! Every node comes back: the frozen ones with what they knew, the dead ones empty.

use std::time::Duration;

use tokio::time::Instant;

use super::{linger, went_on};
use crate::{error::Result, options::TTL, script::Seen, stage::Stage};

/// Within which the lock is available again: leases that nobody could give back run out, and connections come back.
const BACK_WITHIN: Duration = TTL.saturating_mul(2);

pub(super) async fn play(stage: &mut Stage, time: Duration) -> Result<Seen> {
    let begun = Instant::now();
    stage.nodes.heal().await?;
    let back = match stage.until_acquired(BACK_WITHIN).await {
        Ok(back) => back,
        Err(error) => return Ok(Seen::Otherwise(error.to_string())),
    };
    let since = stage.clock.now();
    linger(begun, time).await;
    let back = format!("the lock was taken {} ms after the last node came back", back.as_millis());
    // With little time left there is nothing more to see.
    if stage.clock.now() - since < TTL / 2 {
        return Ok(Seen::AsExpected(back));
    }
    Ok(match went_on(stage, since) {
        Seen::AsExpected(text) => Seen::AsExpected(format!("{back}; {text}")),
        other => other,
    })
}
