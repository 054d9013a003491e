//! The owner's value: who asks, and a secret that is new for every attempt. Comparing it is the nodes' work.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use uuid::Uuid;
use uuid::fmt::{Hyphenated, Simple};

/// Of a token, in bytes, with the colon.
const LENGTH: usize = Hyphenated::LENGTH + 1 + Simple::LENGTH;

/// What a lock key holds: the client's UUID, so that an operator finds the holder, and 128 random bits.
///
/// New for every attempt (safety.md H1): a release of an earlier attempt that comes late finds nothing of its own.
/// Once *retired*, no node sends a command that sets a key to it: nothing that sets may be queued behind a release.
pub(crate) struct Token {
    client: Uuid,
    secret: Uuid,
    retired: AtomicBool,
}

impl Token {
    pub(crate) fn new(client: Uuid, secret: [u8; 16]) -> Self {
        Self { client, secret: Uuid::from_bytes(secret), retired: AtomicBool::new(false) }
    }

    /// One that was made elsewhere; `None` if it is none.
    #[cfg(feature = "serde")]
    pub(crate) fn parse(value: &str) -> Option<Self> {
        let (client, secret) = value.split_once(':')?;
        let [client, secret] = [client, secret].map(Uuid::try_parse);
        let token = Self::new(client.ok()?, secret.ok()?.into_bytes());
        // A UUID can be written in several ways; a key is compared with one of them.
        (token.text() == value).then_some(token)
    }

    /// The same value, to be set and extended once more by whoever holds it next.
    pub(crate) fn again(&self) -> Self {
        Self::new(self.client, self.secret.into_bytes())
    }

    /// As the nodes hold it.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    pub(crate) fn bytes(&self) -> [u8; LENGTH] {
        let mut bytes = [b':'; LENGTH];
        self.client.hyphenated().encode_lower(&mut bytes[..Hyphenated::LENGTH]);
        self.secret.simple().encode_lower(&mut bytes[Hyphenated::LENGTH + 1..]);
        bytes
    }

    /// From here on no key is set to this token. Final.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::SeqCst)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("client", &self.client).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_retired_once_and_for_all() {
        let token = Token::new(Uuid::nil(), [0; 16]);
        assert!(!token.is_retired());
        token.retire();
        token.retire();
        assert!(token.is_retired());
    }

    #[test]
    fn debug_shows_the_client_and_never_the_secret() {
        let client = Uuid::from_u128(0xc11e47);
        let token = Token::new(client, [0xab; 16]);
        let shown = format!("{token:?}");
        assert!(shown.contains(&client.to_string()));
        assert!(!shown.contains("abab"));
        assert_eq!(token.text(), format!("{client}:{}", "ab".repeat(16)));
    }

    #[cfg(feature = "serde")]
    #[test]
    fn only_what_a_token_was_written_as_is_read_as_one() {
        let token = Token::new(Uuid::from_u128(0xc11e47), [0xab; 16]);
        let read = Token::parse(&token.text()).unwrap();
        assert_eq!((read.text(), read.client), (token.text(), token.client));
        let client = token.client;
        for text in [
            String::new(),
            client.to_string(),
            format!("{client}:"),
            format!("{client}:{}", "ab".repeat(15)),
            format!("{client}:{}", "ab".repeat(17)),
            format!("{client}:{}", "xy".repeat(16)),
            format!("nobody:{}", "ab".repeat(16)),
        ] {
            assert!(Token::parse(&text).is_none(), "{text}");
        }
    }
}
