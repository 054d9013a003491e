//! Durations as whole nanoseconds: exact, and short in a line. For serde's `with`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::Error};

pub(super) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    u64::try_from(time.as_nanos())
        .map_err(|_| S::Error::custom("a time of more than 584 years"))?
        .serialize(to)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    u64::deserialize(from).map(Duration::from_nanos)
}
