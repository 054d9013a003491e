//! Waiting until the keeper of a guard has given a node its key again. Nothing is done to a node here.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::{
    error::Result,
    options::TTL,
    stage::{LOOK_EVERY, Stage},
};

/// How long taking a guard may take.
pub(super) const TAKEN_WITHIN: Duration = Duration::from_secs(5);
/// How long the keeper may take. It extends at a third of the TTL.
const REPAIRED_WITHIN: Duration = TTL.saturating_mul(3);

/// Waits until every node holds the guard's key, and says its value.
pub(super) async fn until_everywhere(stage: &Stage, resource: &str) -> Result<String> {
    let mut token = None;
    for index in 0..stage.nodes.count() {
        token = Some(until_kept(stage, index, resource, token.as_deref()).await?.0);
    }
    Ok(token.unwrap_or_default())
}

/// Waits until a node holds the guard's key, with that value if one is given. Says which value, and how long it took.
pub(super) async fn until_kept(
    stage: &Stage,
    index: usize,
    resource: &str,
    token: Option<&str>,
) -> Result<(String, Duration)> {
    let begun = Instant::now();
    while begun.elapsed() < REPAIRED_WITHIN {
        match stage.nodes.value(index, &stage.reach.key(resource)).await? {
            Some(other) if token.is_some_and(|token| token != other) => {
                return Err(format!("node-{index} has the key of another lease").into());
            }
            Some(value) => return Ok((value, begun.elapsed())),
            None => sleep(LOOK_EVERY).await,
        }
    }
    Err(format!("node-{index} did not have the guard's key within {REPAIRED_WITHIN:?}").into())
}
