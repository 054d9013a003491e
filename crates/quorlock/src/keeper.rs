//! The task that extends a lease while its guard lives (others say watchdog). Whether the lease still holds is decided
//! by its lifetime, whose deadline timer runs beside the extends and waits for none of them (promise G5).

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::held::Held;
use crate::retry::jittered;
use crate::validity::later;

/// Whether a lease is extended while its guard lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeping {
    Extended,
    OneTtl,
}

/// Runs until the lease ends.
pub(crate) async fn keep(held: Arc<Held>, keeping: Keeping) {
    if keeping == Keeping::Extended {
        extend_on(&held).await;
    }
    held.life.ended().await;
}

/// Extends at a third of the TTL after each success, after a failure again soon; until the lease ends, or no extend can move
/// its deadline any more.
async fn extend_on(held: &Held) {
    let validity = held.terms().validity;
    let interval = validity.extend_after();
    let mut next = soon(held, interval - interval / 10, interval);
    // Between extends one timer does for the next of them and for the deadline.
    while held.life.ended_by(next).await.is_none() && !held.life.is_at_hold_end() {
        let extended = tokio::select! {
            biased;
            _ = held.life.ended() => return,
            // Boxed: a keeper rests nearly all the time, and would hold room for a round all the while.
            extended = Box::pin(held.extend(validity)) => extended,
        };
        next = match extended {
            Ok(()) => soon(held, interval - interval / 10, interval),
            Err(Error::Lost { .. }) => return,
            Err(_) => soon(held, retry_after(validity.ttl()) / 2, retry_after(validity.ttl())),
        };
    }
}

/// A fortieth to a twentieth of the TTL, so that several tries fit in before the deadline.
fn retry_after(ttl: Duration) -> Duration {
    (ttl / 20).max(Duration::from_millis(1))
}

fn soon(held: &Held, low: Duration, high: Duration) -> Instant {
    later(held.now(), jittered(low, high, &held.entropy))
}

#[cfg(test)]
mod tests;
