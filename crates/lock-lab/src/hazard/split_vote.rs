//! Several clients have a part of the nodes each, and none a majority.

use futures::future::LocalBoxFuture;

use super::{Hazard, herd::counted};
use crate::error::Result;
use crate::recipe::{About, Servers};
use crate::stage::{KEY, Stage};
use crate::verdict::Verdict;

/// Who has which node.
const OTHERS: [(usize, &str); 4] = [(0, "B"), (1, "B"), (2, "C"), (3, "C")];

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

    fn play<'a>(&'a self, stage: &'a Stage) -> LocalBoxFuture<'a, Result<Verdict>> {
        Box::pin(async move {
            for (index, owner) in OTHERS {
                let _: String =
                    stage.ask(index, &["SET", KEY, owner, "PX", &ttl_ms(stage)]).await?;
            }
            stage.story.note("B has node-0 and node-1, C has node-2 and node-3");
            let mut client = stage.client("A").await?;
            if client.acquire().await? {
                return Ok(Verdict::Unsafe("A holds it with a vote of five".to_owned()));
            }
            let gone = async || {
                // The question and the release behind it.
                let is_asked = counted(stage.node(4), stage.about.number).await? >= 2;
                Ok(is_asked && stage.ask::<u8>(4, &["EXISTS", KEY]).await? == 0)
            };
            stage.until("A leaves nothing where it got a vote", gone).await?;
            stage.story.note("node-4 has no key of A");
            for (index, _) in OTHERS {
                let _: i64 = stage.ask(index, &["DEL", KEY]).await?;
            }
            stage.story.note("B and C give theirs back");
            stage.until_held(&mut client).await?;
            Ok(Verdict::Safe(
                "nobody holds it, A leaves no key behind, and has it as soon as the others have given theirs back".to_owned(),
            ))
        })
    }
}

fn ttl_ms(stage: &Stage) -> String {
    stage.ttl().as_millis().to_string()
}
