//! Several clients have a part of the nodes each, and none a majority.

use std::time::Duration;

use futures::future::LocalBoxFuture;

use super::Hazard;
use crate::error::Result;
use crate::recipe::{About, Servers};
use crate::stage::{KEY, LASTS, Needs, Stage};
use crate::verdict::Verdict;

/// How long the others' keys live if they do not give them back.
const OTHERS: Duration = Duration::from_millis(500);

pub(super) struct SplitVote;

impl Hazard for SplitVote {
    fn name(&self) -> &'static str {
        "split-vote"
    }

    fn title(&self) -> &'static str {
        "others have two nodes each of five, nobody a majority"
    }

    fn excuse(&self, about: &About) -> Option<&'static str> {
        (about.servers != Servers::Five).then_some("one server has one vote")
    }

    fn needs(&self) -> Needs {
        LASTS
    }

    fn play<'a>(&'a self, stage: &'a Stage) -> LocalBoxFuture<'a, Result<Verdict>> {
        Box::pin(async move {
            let px = OTHERS.as_millis().to_string();
            for (index, owner) in [(0, "B"), (1, "B"), (2, "C"), (3, "C")] {
                let _: String = stage.ask(index, &["SET", KEY, owner, "PX", &px]).await?;
            }
            stage.story.note("B has node-0 and node-1, C has node-2 and node-3");
            let mut client = stage.client("A").await?;
            if client.acquire().await? {
                return Ok(Verdict::Unsafe("A holds it with a vote of five".to_owned()));
            }
            let gone = async || Ok(stage.ask::<u8>(4, &["EXISTS", KEY]).await? == 0);
            stage.until("A leaves nothing where it got a vote", gone).await?;
            stage.story.note("node-4 has no key of A");
            stage.until_held(&mut client).await?;
            Ok(Verdict::Safe(
                "nobody holds it, nobody leaves a key behind, and the next try gets it".to_owned(),
            ))
        })
    }
}
