//! Recipe 10: recipe 9 with a loop that tries, sleeps a random while, and gives up after a time limit. Seed 002 (`TryLock`), whose
//! own attempt is recipe 5.

use std::time::Duration;

use super::{About, Ends, Servers, Waits, set_script::SetScript};

pub(super) const ABOUT: About = About {
    number: 10,
    name: "try-lock",
    title: "recipe 9, tried again every 100 ms up to a time limit",
    seed: "002 (TryLock)",
    servers: Servers::One,
    ends: Ends::Expiry,
    waits: Waits::Sleeps(Duration::from_millis(100)),
    client: |seat| Box::new(SetScript(seat)),
};
