//! Recipe 11: recipe 9 on a primary whose replica takes its place. What a hosted Redis with failover is.

use super::{About, Ends, Servers, Waits, set_script::SetScript};

pub(super) const ABOUT: About = About {
    number: 11,
    name: "replica",
    title: "recipe 9 on a primary with a replica",
    seed: "none: what hosted servers are",
    servers: Servers::WithReplica,
    ends: Ends::Expiry,
    waits: Waits::NoLoop,
    client: |seat| Box::new(SetScript(seat)),
};
