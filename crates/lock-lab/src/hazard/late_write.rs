//! A holder is paused between its last look at the lock and its write, for longer than its lock lasts.

use futures::future::LocalBoxFuture;

use super::{Hazard, runs_out};
use crate::error::Result;
use crate::recipe::About;
use crate::stage::{Needs, Stage};
use crate::verdict::Verdict;

pub(super) struct LateWrite;

impl Hazard for LateWrite {
    fn name(&self) -> &'static str {
        "late-write"
    }

    fn title(&self) -> &'static str {
        "the holder is paused for longer than its lock lasts, and then writes"
    }

    fn needs(&self, about: &About) -> Needs {
        runs_out(about)
    }

    fn play<'a>(&'a self, stage: &'a Stage) -> LocalBoxFuture<'a, Result<Verdict>> {
        Box::pin(async move {
            let (mut first, mut second) = (stage.client("A").await?, stage.client("B").await?);
            stage.until_held(&mut first).await?;
            first.stall();
            stage.outlast().await?;
            stage.until_held(&mut second).await?;
            second.write();
            first.wake();
            // Behind its last look: whatever it would see now, it does not look.
            let accepted = first.write();
            if !first.holds() {
                stage.story.note("A's guard says that the lock is lost; nobody has asked it");
            }
            Ok(match accepted {
                true => Verdict::Unsafe(
                    "A's write comes after B's, from a lock that is over: no lock can prevent that"
                        .to_owned(),
                ),
                false => Verdict::StoreKept(
                    "the store refuses A's write: its token is smaller than B's".to_owned(),
                ),
            })
        })
    }
}
