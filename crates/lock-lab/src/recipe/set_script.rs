//! Recipe 9: `SET NX EX`, released by a script that compares and deletes. Seed 003 (the right release).

use futures::future::BoxFuture;

use super::{About, Answer, Ends, Recipe, Servers, Waits, set_del::set};
use crate::error::Result;
use crate::seat::Seat;

/// As it stands in the seed, with the key and the value as arguments.
const COMPARE_AND_DELETE: &str = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end";

pub(super) const ABOUT: About = About {
    number: 9,
    name: "set-script",
    title: "SET NX EX; released by a compare-and-delete script",
    seed: "003 (the right release)",
    servers: Servers::One,
    ends: Ends::Expiry,
    waits: Waits::NoLoop,
    client: |seat| Box::new(SetScript(seat)),
};

/// Deletes the key where it still holds the client's value.
pub(super) async fn compare_and_delete(seat: &Seat) -> Result<()> {
    let words = ["EVAL", COMPARE_AND_DELETE, "1", seat.key(), seat.name()];
    seat.ask::<i64>(&words).await.map(drop)
}

pub(super) struct SetScript(pub(super) Seat);

impl Recipe for SetScript {
    fn acquire(&mut self) -> BoxFuture<'_, Result<Answer>> {
        Box::pin(set(&self.0))
    }

    fn release(&mut self) -> BoxFuture<'_, Result<()>> {
        Box::pin(compare_and_delete(&self.0))
    }
}
