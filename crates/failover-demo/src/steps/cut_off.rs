//! One client is cut off from a majority of the nodes while it holds what the workers want; nothing is wrong with the nodes.

use std::time::Duration;

use quorlock_testkit::proxy::Proxy;
use tokio::time::Instant;

use super::{give_back, linger, majority_gone, repairs::TAKEN_WITHIN, went_on};
use crate::{
    error::Result,
    options::TTL,
    reach::Reach,
    script::{AVAILABLE_WITHIN, Seen},
    stage::{LEDGER, Stage},
};

/// How long it may take to get the lock again: connections that were being opened are given up after two seconds, and
/// opened anew within another.
const BACK_WITHIN: Duration = TTL.saturating_mul(3);

pub(super) async fn play(stage: &mut Stage, time: Duration) -> Result<Seen> {
    if let Some(reason) = stage.nodes.why_not_kill() {
        return Ok(Seen::Skipped(reason));
    }
    let (begun, since) = (Instant::now(), stage.clock.now());
    let proxies = stage.nodes.proxies().await?;
    let urls = proxies.iter().map(Proxy::url).collect();
    let redlock = Reach { urls, ..stage.reach.clone() }.handle()?;
    let mut holder = stage.client_on("cut-off", redlock.clone());
    let mut asker = stage.client_on("cut-off-asker", redlock.clone());
    let mut holding = holder.lock(LEDGER, TAKEN_WITHIN).await?;
    let majority = &proxies[..stage.nodes.quorum()];
    majority.iter().for_each(|proxy| proxy.partition());
    let heard = majority_gone::listen(&mut holding, &mut asker).await;
    // It reaches a minority: the others are owed a release.
    holding.release().await.ok();
    let went_on = match stage.until_acquired(AVAILABLE_WITHIN).await {
        Ok(_) => went_on(stage, since),
        Err(error) => Seen::Otherwise(error.to_string()),
    };
    majority.iter().for_each(|proxy| proxy.repair());
    let healed = Instant::now();
    let back = match holder.lock(LEDGER, BACK_WITHIN).await {
        Ok(holding) => {
            let back = healed.elapsed();
            give_back(holding).await?;
            back
        }
        Err(error) => return Ok(Seen::Otherwise(format!("healed, it got no lock: {error}"))),
    };
    redlock.close(BACK_WITHIN).await?;
    linger(begun, time).await;
    Ok(match (heard.judge(), went_on) {
        (Seen::AsExpected(heard), Seen::AsExpected(went_on)) => Seen::AsExpected(format!(
            "{heard}; {went_on}; healed, it got the lock again after {} ms",
            back.as_millis()
        )),
        (Seen::AsExpected(_), otherwise) | (otherwise, _) => otherwise,
    })
}
