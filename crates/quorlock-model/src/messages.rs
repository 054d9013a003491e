//! What is under way between an attempt and a node. A request stays under way until its node runs it, which may be at any
//! time, or never; so a lost one, and one that its node denies, is one that stays.

/// What one attempt has asked of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Asked {
    /// The acquire, and the certify that may follow on it.
    pub acquire: Acquire,
    /// The extend of the round that goes on.
    pub extend: Extend,
    /// Whether a repair is under way.
    pub repair: bool,
}

/// How far an acquire has come at one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Acquire {
    /// Not asked, or no longer of interest.
    #[default]
    Not,
    /// Under way.
    Asked,
    /// Granted, and counted as this.
    Granted(u8),
    /// Granted and counted as this; a certify is under way.
    Certifying(u8),
    /// The node certifies the token.
    Certified,
}

/// How far an extend has come at one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Extend {
    /// Not asked, or no longer of interest.
    #[default]
    Not,
    /// Under way.
    Asked,
    /// The node said that it keeps the key.
    Kept,
    /// The node said that the key is missing.
    Missing,
}
