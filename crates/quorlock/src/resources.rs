//! What is locked: a sorted, unique set of names, parsed into the keys that stand for them. No commands here.

use std::fmt;
use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

use crate::invalid::InvalidInput;

/// Keys that begin so are quorlock's own (fence counters, markers); a resource may not.
pub(crate) const RESERVED_PREFIX: &str = "quorlock:";
/// The longest key, prefix included, in bytes.
pub(crate) const MAX_KEY_BYTES: usize = 1024;
/// The largest number of resources in one lock.
pub(crate) const MAX_RESOURCES: usize = 64;

/// The names that one lock covers: one or several, sorted and unique.
///
/// Made from a name or a list of names; every method that takes resources takes `impl Into<Resources>`.
/// A lock on several resources is all or nothing on each node, and two locks whose sets overlap exclude each other.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Resources(Arc<[String]>);

impl Resources {
    /// The names in order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    fn collect<T: Into<String>>(names: impl IntoIterator<Item = T>) -> Self {
        let mut names: Vec<String> = names.into_iter().map(Into::into).collect();
        names.sort_unstable();
        names.dedup();
        Self(names.into())
    }
}

impl fmt::Debug for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter()).finish()
    }
}

impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, name) in self.0.iter().enumerate() {
            write!(f, "{}`{}`", if i == 0 { "" } else { ", " }, name.escape_debug())?;
        }
        Ok(())
    }
}

impl From<&str> for Resources {
    fn from(name: &str) -> Self {
        Self(Arc::new([name.to_owned()]))
    }
}

impl From<String> for Resources {
    fn from(name: String) -> Self {
        Self(Arc::new([name]))
    }
}

impl From<&String> for Resources {
    fn from(name: &String) -> Self {
        Self::from(name.as_str())
    }
}

impl<T: Into<String>, const N: usize> From<[T; N]> for Resources {
    fn from(names: [T; N]) -> Self {
        Self::collect(names)
    }
}

impl<T: Into<String>> From<Vec<T>> for Resources {
    fn from(names: Vec<T>) -> Self {
        Self::collect(names)
    }
}

impl<T: AsRef<str>> From<&[T]> for Resources {
    fn from(names: &[T]) -> Self {
        Self::collect(names.iter().map(AsRef::as_ref))
    }
}

/// The lock keys of a set of resources: never empty, never too many, each within bounds.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    resources: Resources,
    keys: Arc<[String]>,
    marks: u64,
}

impl Keys {
    /// Puts `prefix` before every name.
    ///
    /// # Errors
    ///
    /// No resource, too many, an empty name, a key that is too long or begins with the reserved prefix.
    pub(crate) fn parse(resources: Resources, prefix: &str) -> Result<Self, InvalidInput> {
        match resources.0.len() {
            0 => return Err(InvalidInput::NoResources),
            count if count > MAX_RESOURCES => return Err(InvalidInput::TooManyResources { count }),
            _ => {}
        }
        let keys = if prefix.is_empty() {
            Arc::clone(&resources.0)
        } else {
            resources.0.iter().map(|name| format!("{prefix}{name}")).collect()
        };
        for (name, key) in resources.0.iter().zip(keys.iter()) {
            check(name, key)?;
        }
        let marks = keys.iter().fold(0, |marks, key| marks | mark(key));
        Ok(Self { resources, keys, marks })
    }

    pub(crate) fn resources(&self) -> &Resources {
        &self.resources
    }

    pub(crate) fn shared(&self) -> Arc<[String]> {
        Arc::clone(&self.keys)
    }

    pub(crate) fn as_slice(&self) -> &[String] {
        &self.keys
    }

    /// A bit for each key: two sets that share no bit share no key.
    pub(crate) fn marks(&self) -> u64 {
        self.marks
    }

    /// Whether they share a key.
    pub(crate) fn meet(&self, others: &Self) -> bool {
        self.marks & others.marks != 0 && self.keys.iter().any(|key| others.keys.contains(key))
    }
}

fn mark(key: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(key.as_bytes());
    1 << (hasher.finish() % u64::from(u64::BITS))
}

fn check(name: &str, key: &str) -> Result<(), InvalidInput> {
    if name.is_empty() {
        return Err(InvalidInput::EmptyKey);
    }
    if key.len() > MAX_KEY_BYTES {
        return Err(InvalidInput::KeyTooLong { bytes: key.len() });
    }
    // Checked on the name too: a prefix is no way around it once the prefix is changed.
    if key.starts_with(RESERVED_PREFIX) || name.starts_with(RESERVED_PREFIX) {
        return Err(InvalidInput::ReservedPrefix { resource: name.to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sets_meet_where_they_share_a_key_whatever_their_marks() {
        let names: Vec<String> = (0..200).map(|number| number.to_string()).collect();
        let sets: Vec<Keys> =
            names.windows(2).map(|two| Keys::parse(two.into(), "").unwrap()).collect();
        for (i, one) in sets.iter().enumerate() {
            for (j, other) in sets.iter().enumerate() {
                assert_eq!(one.meet(other), i.abs_diff(j) <= 1, "{one:?} {other:?}");
                assert!(!one.meet(other) || one.marks() & other.marks() != 0);
            }
        }
    }

    fn keys(resources: impl Into<Resources>) -> Result<Vec<String>, InvalidInput> {
        Keys::parse(resources.into(), "").map(|keys| keys.as_slice().to_vec())
    }

    #[test]
    fn a_set_is_sorted_and_unique() {
        assert_eq!(keys(["b", "a", "b"]).unwrap(), ["a", "b"]);
        assert_eq!(Resources::from(vec!["x", "y"]), Resources::from(["y", "x"]));
    }

    #[test]
    fn a_set_reads_as_its_names() {
        let set = Resources::from(["b", "a\n"]);
        assert_eq!(set.to_string(), "`a\\n`, `b`");
        assert_eq!(format!("{set:?}"), r#"{"a\n", "b"}"#);
    }

    #[test]
    fn the_key_is_the_name_behind_the_prefix() {
        let keys = Keys::parse("invoice:42".into(), "shop/").unwrap();
        assert_eq!(keys.as_slice(), ["shop/invoice:42"]);
    }

    #[test]
    fn what_cannot_be_a_key_is_refused() {
        assert!(matches!(keys(Vec::<String>::new()), Err(InvalidInput::NoResources)));
        assert!(matches!(keys(""), Err(InvalidInput::EmptyKey)));
        assert!(matches!(keys(["a", ""]), Err(InvalidInput::EmptyKey)));
        assert!(keys("x".repeat(MAX_KEY_BYTES)).is_ok());
        assert!(matches!(keys("x".repeat(1025)), Err(InvalidInput::KeyTooLong { bytes: 1025 })));
        assert!(matches!(keys("quorlock:x"), Err(InvalidInput::ReservedPrefix { .. })));
        let many = |n: usize| (0..n).map(|i| i.to_string()).collect::<Vec<_>>();
        assert!(keys(many(MAX_RESOURCES)).is_ok());
        assert!(matches!(keys(many(65)), Err(InvalidInput::TooManyResources { count: 65 })));
    }

    #[test]
    fn the_prefix_counts_towards_the_bounds() {
        let long = Keys::parse("x".repeat(1020).into(), "12345");
        assert!(matches!(long, Err(InvalidInput::KeyTooLong { bytes: 1025 })));
        let reserved = Keys::parse("lock:x".into(), "quor");
        assert!(matches!(reserved, Err(InvalidInput::ReservedPrefix { .. })));
    }
}
