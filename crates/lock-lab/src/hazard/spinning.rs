//! What a waiter does between two tries: how many commands one waiter sends in a second, to one server.

use std::time::Duration;

use futures::future::LocalBoxFuture;

use super::{Hazard, herd::commands};
use crate::error::Result;
use crate::recipe::{About, Waits};
use crate::stage::Stage;
use crate::verdict::Verdict;

const SECOND: Duration = Duration::from_secs(1);

pub(super) struct Spinning;

impl Hazard for Spinning {
    fn name(&self) -> &'static str {
        "spinning"
    }

    fn title(&self) -> &'static str {
        "one waits: commands a second to each server, at most"
    }

    fn excuse(&self, about: &About) -> Option<&'static str> {
        (about.waits == Waits::NoLoop).then_some("its seed has no loop")
    }

    fn play<'a>(&'a self, stage: &'a Stage) -> LocalBoxFuture<'a, Result<Verdict>> {
        Box::pin(async move {
            let (mut holder, mut waiter) = (stage.client("A").await?, stage.client("B").await?);
            stage.until_held(&mut holder).await?;
            waiter.acquire().await?;
            let per_try = waiter.seat().sent();
            match stage.about.waits {
                Waits::NoLoop => Ok(Verdict::NotApplicable("its seed has no loop".to_owned())),
                Waits::Spins => {
                    let why = format!(
                        "it does not rest at all: {per_try} commands a try, as many tries as the wire takes"
                    );
                    Ok(Verdict::NoRest(why))
                }
                Waits::Sleeps(rest) => {
                    let tries =
                        u64::try_from(SECOND.as_millis() / rest.as_millis()).unwrap_or(u64::MAX);
                    let why =
                        format!("{per_try} commands a try, and a rest of {} ms", rest.as_millis());
                    Ok(Verdict::Counted(per_try * tries, why))
                }
                Waits::ByItself => {
                    let before = commands(stage, [&waiter]).await?;
                    waiter.wait(SECOND).await?;
                    let all = commands(stage, [&waiter]).await? - before;
                    let each = all / u64::try_from(stage.nodes().len()).unwrap_or(u64::MAX);
                    Ok(Verdict::Counted(
                        each,
                        "counted over a second, at five nodes with what A's keeper sends"
                            .to_owned(),
                    ))
                }
            }
        })
    }
}
