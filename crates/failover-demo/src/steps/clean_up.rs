//! The workers end, everything is given back, and the nodes are searched for what is left.

use crate::{error::Result, script::Seen, stage::Stage};

pub(super) async fn play(stage: &mut Stage) -> Result<Seen> {
    let nodes = stage.nodes.count();
    let left = stage.close().await?;
    let names: Vec<String> =
        left.iter().map(|key| format!("{} on {}", key.key, key.node)).collect();
    Ok(if names.is_empty() {
        Seen::AsExpected(format!("none of {nodes} nodes has a key"))
    } else {
        Seen::Otherwise(names.join(", "))
    })
}
