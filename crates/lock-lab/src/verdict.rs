//! What a recipe is worth against a hazard.

use std::fmt;

/// How a recipe fared.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// At most one holder.
    Safe(String),
    /// The lock had two holders or a lock of no worth, but the store refused the late write: its token was too small.
    StoreKept(String),
    /// Two hold it at once, or a write came through that should not have.
    Unsafe(String),
    /// Nobody gets it, as long as others keep asking.
    Blocked(String),
    /// Who waits asks as fast as the wire allows.
    NoRest(String),
    /// So many commands; what is too many depends on who pays.
    Counted(u64, String),
    /// The hazard cannot happen to this recipe.
    NotApplicable(String),
}

impl Verdict {
    /// One word, as it stands in the matrix.
    pub fn word(&self) -> String {
        match self {
            Self::Safe(_) => "safe".to_owned(),
            Self::StoreKept(_) => "store kept".to_owned(),
            Self::Unsafe(_) => "UNSAFE".to_owned(),
            Self::Blocked(_) => "BLOCKED".to_owned(),
            Self::NoRest(_) => "no rest".to_owned(),
            Self::Counted(commands, _) => commands.to_string(),
            Self::NotApplicable(_) => "n/a".to_owned(),
        }
    }

    /// The reason, in a sentence.
    pub fn why(&self) -> &str {
        match self {
            Self::Safe(why)
            | Self::StoreKept(why)
            | Self::Unsafe(why)
            | Self::Blocked(why)
            | Self::NoRest(why)
            | Self::Counted(_, why)
            | Self::NotApplicable(why) => why,
        }
    }

    /// Whether the recipe broke.
    pub fn is_bad(&self) -> bool {
        matches!(self, Self::Unsafe(_) | Self::Blocked(_))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.word(), self.why())
    }
}
