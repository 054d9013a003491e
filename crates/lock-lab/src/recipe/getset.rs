//! Recipe 5: `SETNX` with a time stamp, `GET` and `GETSET` where it is over. Seed 000. In 002 (`Lock`) and 003 (second wrong way) the
//! comparisons differ a little, and the release of 002 is a bare `DEL`.

use futures::future::BoxFuture;

use super::{About, Answer, Ends, Recipe, Servers, Waits};
use crate::error::Result;
use crate::seat::Seat;

pub(super) const ABOUT: About = About {
    number: 5,
    name: "getset",
    title: "SETNX with a time stamp, GET and GETSET when it is over; released by DEL while in time",
    seed: "000; much the same: 002 (Lock), 003 (second wrong way)",
    servers: Servers::One,
    ends: Ends::TimeStamp,
    // The short form at the end of seed 000: `continue`, and nothing else.
    waits: Waits::Spins,
    client: |seat| Box::new(GetSet { seat, lockout: 0 }),
};

struct GetSet {
    seat: Seat,
    /// When its own lock is over, in seconds since 1970.
    lockout: u64,
}

impl Recipe for GetSet {
    fn acquire(&mut self) -> BoxFuture<'_, Result<Answer>> {
        Box::pin(async {
            self.lockout = self.seat.now() + self.seat.ttl().as_secs();
            let (key, stamp) = (self.seat.key(), self.lockout.to_string());
            if self.seat.ask::<i64>(&["SETNX", key, &stamp]).await? == 1 {
                return Ok(Answer::Held);
            }
            // As in the seed, where nothing is less than any time.
            let found: Option<u64> = self.seat.ask(&["GET", key]).await?;
            if found.unwrap_or(0) >= self.seat.now() {
                return Ok(false.into());
            }
            let old: Option<u64> = self.seat.ask(&["GETSET", key, &stamp]).await?;
            Ok((old.unwrap_or(0) < self.seat.now()).into())
        })
    }

    fn release(&mut self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            // Seed 000 looks at its clock first. Seed 002 does not even do that.
            if self.lockout >= self.seat.now() {
                let _: i64 = self.seat.ask(&["DEL", self.seat.key()]).await?;
            }
            Ok(())
        })
    }
}
