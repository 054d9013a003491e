//! A replica takes the place of its primary before it has heard of the lock.

use futures::future::LocalBoxFuture;
use quorlock_testkit::Backend;

use super::Hazard;
use crate::error::Result;
use crate::recipe::{About, Servers};
use crate::stage::Stage;
use crate::verdict::Verdict;

pub(super) struct Failover;

impl Hazard for Failover {
    fn name(&self) -> &'static str {
        "failover"
    }

    fn title(&self) -> &'static str {
        "a replica takes over, and has not heard of the lock"
    }

    fn excuse(&self, about: &About) -> Option<&'static str> {
        match about.servers {
            Servers::One => Some("it has no replica: without its server there is no lock at all"),
            Servers::WithReplica => None,
            Servers::Five => {
                Some("its nodes have no replicas; `restart` has nodes that lost their data")
            }
        }
    }

    fn play<'a>(&'a self, stage: &'a Stage) -> LocalBoxFuture<'a, Result<Verdict>> {
        Box::pin(async move {
            if stage.backend() == Backend::Embedded {
                let why = "embedded nodes have no replicas: needs real servers";
                return Ok(Verdict::NotApplicable(why.to_owned()));
            }
            let mut first = stage.client("A").await?;
            let _: String = stage.ask(1, &["REPLICAOF", "NO", "ONE"]).await?;
            stage.story.note(
                "node-1, the replica, is promoted: who watches cannot reach node-0. A still can",
            );
            stage.until_held(&mut first).await?;
            stage.node(0).crash().await?;
            stage.fail_over();
            stage.story.note("node-0 is gone; clients are sent to node-1");
            let mut second = stage.client("B").await?;
            if !second.acquire().await? {
                return Ok(Verdict::Safe("B is denied".to_owned()));
            }
            Ok(stage.clash(&first, &second))
        })
    }
}
