//! A lease as data on its way from one process to another. Talks to no node.

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::fencing::FencingToken;
use crate::resources::Resources;
use crate::token::Token;

/// A held lock that nobody keeps: what another process needs to take it up with
/// [`Redlock::take_up`](crate::Redlock::take_up), or to give it back with [`Redlock::give_back`](crate::Redlock::give_back).
/// Made by [`Guard::into_lease`](crate::Guard::into_lease).
///
/// With the feature `serde` it can be written and read. It carries the owner's token: whoever reads it can end the
/// lock, or hold it. Take it up once: whoever has a second copy and takes that up holds the same lock too, and nobody
/// can tell.
///
/// What the old process has sent and a node has not yet read may still set a key there after the new one has released
/// it: such a key lasts for a TTL at most.
///
/// Its deadline travels as wall time, so the clocks of both machines have to agree as far as the deadline is to be believed;
/// whether the lock is still held is asked of the nodes.
#[must_use = "nobody keeps the lock any more: take it up, give it back, or let it expire"]
pub struct Lease {
    pub(crate) resources: Resources,
    pub(crate) token: Token,
    pub(crate) ttl: Duration,
    pub(crate) until: SystemTime,
    /// The longest TTL that any key was set to: what is given back is owed for as long.
    pub(crate) lasts: Duration,
    /// The end of its maximum hold time goes along.
    pub(crate) hold_until: Option<SystemTime>,
    /// Where it has one.
    pub(crate) fencing: Option<FencingToken>,
}

impl Lease {
    /// What is locked.
    pub fn resources(&self) -> &Resources {
        &self.resources
    }

    /// The TTL with which it is taken up.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// When it is over if nobody takes it up, by the wall clock of the machine that let go of it.
    pub fn valid_until(&self) -> SystemTime {
        self.until
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resources, ttl, until, .. } = self;
        f.debug_struct("Lease")
            .field("resources", resources)
            .field("ttl", ttl)
            .field("until", until)
            .finish_non_exhaustive()
    }
}

/// How a lease is written.
#[cfg(feature = "serde")]
mod written {
    use std::time::{Duration, SystemTime};

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    use super::Lease;
    use crate::fencing::FencingToken;
    use crate::resources::Resources;
    use crate::token::Token;

    /// Grows with every change that an older reader would misread.
    const VERSION: u32 = 1;

    #[derive(Deserialize, Serialize)]
    struct Written {
        version: u32,
        resources: Vec<String>,
        token: String,
        ttl_ms: u64,
        lasts_ms: u64,
        /// Since 1970, as the next.
        until_ms: u64,
        hold_until_ms: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fencing: Option<u64>,
    }

    impl Serialize for Lease {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let written = Written {
                version: VERSION,
                resources: self.resources.names().map(str::to_owned).collect(),
                token: self.token.text(),
                ttl_ms: millis(self.ttl),
                lasts_ms: millis(self.lasts),
                until_ms: since_1970(self.until),
                hold_until_ms: self.hold_until.map(since_1970),
                fencing: self.fencing.map(FencingToken::get),
            };
            written.serialize(serializer)
        }
    }

    impl<'de> Deserialize<'de> for Lease {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let written = Written::deserialize(deserializer)?;
            if written.version != VERSION {
                let why = format_args!("a lease of version {}", written.version);
                return Err(de::Error::custom(why));
            }
            let token = Token::parse(&written.token);
            Ok(Self {
                resources: Resources::from(written.resources),
                token: token.ok_or_else(|| de::Error::custom("a lease without a token"))?,
                ttl: Duration::from_millis(written.ttl_ms),
                lasts: Duration::from_millis(written.lasts_ms),
                until: time_of_day(written.until_ms)?,
                hold_until: written.hold_until_ms.map(time_of_day).transpose()?,
                fencing: written.fencing.map(fencing).transpose()?,
            })
        }
    }

    fn fencing<E: de::Error>(number: u64) -> Result<FencingToken, E> {
        FencingToken::new(number).ok_or_else(|| E::custom("a lease with no fencing token's number"))
    }

    fn since_1970(instant: SystemTime) -> u64 {
        millis(instant.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
    }

    fn time_of_day<E: de::Error>(since_1970_ms: u64) -> Result<SystemTime, E> {
        let instant = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(since_1970_ms));
        instant.ok_or_else(|| E::custom("a lease without an end"))
    }

    fn millis(span: Duration) -> u64 {
        u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    #[cfg(feature = "serde")]
    mod written {

        use uuid::Uuid;

        use std::time::{Duration, SystemTime};

        use crate::handover::Lease;
        use crate::token::Token;

        fn lease() -> Lease {
            let token = Token::new(Uuid::nil(), [7; 16]);
            let until = SystemTime::UNIX_EPOCH + Duration::from_millis(1_234);
            Lease {
                resources: ["a", "b"].into(),
                token,
                ttl: Duration::from_secs(5),
                lasts: Duration::from_secs(9),
                until,
                hold_until: Some(until),
                fencing: None,
            }
        }

        #[test]
        fn a_lease_is_read_as_it_was_written_and_shows_no_token() {
            let (lease, json) = (lease(), serde_json::to_string(&lease()).unwrap());
            let read: Lease = serde_json::from_str(&json).unwrap();
            assert_eq!(read.resources(), lease.resources());
            assert_eq!((read.ttl(), read.valid_until()), (lease.ttl(), lease.valid_until()));
            assert_eq!(read.token.text(), lease.token.text());
            assert_eq!((read.hold_until, read.lasts), (lease.hold_until, lease.lasts));
            assert!(!format!("{read:?}").contains("0707"), "{read:?}");
        }

        /// What another version has written.
        #[test]
        fn a_lease_is_written_as_ever() {
            let token = format!("00000000-0000-0000-0000-000000000000:{}", "07".repeat(16));
            let plain = format!(
                r#"{{"version":1,"resources":["a","b"],"token":"{token}","ttl_ms":5000,"lasts_ms":9000,"until_ms":1234,"hold_until_ms":1234}}"#
            );
            assert_eq!(serde_json::to_string(&lease()).unwrap(), plain);
            let fenced = plain.replace("1234}", r#"1234,"fencing":7}"#);
            let read: Lease = serde_json::from_str(&fenced).unwrap();
            assert_eq!(read.fencing.map(crate::FencingToken::get), Some(7));
            assert_eq!(serde_json::to_string(&read).unwrap(), fenced);
        }

        #[test]
        fn what_is_no_lease_is_not_read_as_one() {
            let json = serde_json::to_string(&lease()).unwrap();
            let broken = [
                json.replace("\"version\":1", "\"version\":2"),
                json.replace(":0707", ":07"),
                json.replace("\"until_ms\":1234", "\"until_ms\":\"soon\""),
                json.replace("\"token\"", "\"tok\""),
                "{}".to_owned(),
            ];
            for json in broken {
                assert!(serde_json::from_str::<Lease>(&json).is_err(), "{json}");
            }
        }
    }
}
