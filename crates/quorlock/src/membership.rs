//! Which nodes belong together: the set of names that every client of a resource has to agree on (A6, safety.md H4), as it
//! stands in the marker of each node. Asks nobody.

use std::fmt;
use std::time::Duration;

use crate::invalid::InvalidInput;

/// The longest name of a node, in bytes.
pub(crate) const MAX_NODE_NAME_BYTES: usize = 255;

/// The names of all nodes, sorted.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Membership(Vec<String>);

impl Membership {
    /// # Errors
    ///
    /// An empty name, one that is too long, or two that are the same.
    pub(crate) fn new(names: impl IntoIterator<Item = String>) -> Result<Self, InvalidInput> {
        let mut names: Vec<String> = names.into_iter().collect();
        if let Some(name) = names.iter().find(|name| !is_name(name)) {
            return Err(InvalidInput::NodeName { name: name.clone() });
        }
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(InvalidInput::DuplicateNode { node: pair[0].clone() }),
            None => Ok(Self(names)),
        }
    }
}

fn is_name(name: &str) -> bool {
    (1..=MAX_NODE_NAME_BYTES).contains(&name.len())
}

/// As it stands in a marker: names behind one another, without blanks or commas in them.
impl fmt::Display for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, name) in self.0.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { "," })?;
            for char in name.chars() {
                match char {
                    char if ",%".contains(char) || char.is_whitespace() || char.is_control() => {
                        let mut bytes = [0; 4];
                        for byte in char.encode_utf8(&mut bytes).bytes() {
                            write!(f, "%{byte:02X}")?;
                        }
                    }
                    char => write!(f, "{char}")?,
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a client asserts of its nodes when it joins one: enough to write the marker, and to compare it.
#[derive(Clone, Debug)]
pub(crate) struct Assertion {
    /// The key of the marker.
    pub(crate) marker: String,
    pub(crate) nodes: Membership,
    /// No lock lasts for longer, so a node that knows of no lock for so long has forgotten none.
    pub(crate) max_ttl: Duration,
    pub(crate) durability: Durability,
    pub(crate) eviction: Eviction,
}

/// What becomes of a node's keys when it restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Some of them may be gone, whatever else is there: every restart needs a quarantine (safety.md H8).
    MayForget,
    /// A marker that is still there proves that all locks are, too: the operator's word (`appendfsync always`).
    AllOrNothing,
}

/// Whether a node may vote whose server can throw locks away to make room (safety.md H9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Eviction {
    /// It may; it is told.
    Told,
    Refused,
}

/// How the keys of markers begin.
pub const MARKERS: &str = "quorlock:marker:";

/// The key of the marker on every node. Locks behind different prefixes know nothing of one another.
pub(crate) fn marker_of(prefix: &str) -> String {
    format!("{MARKERS}{prefix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str]) -> Membership {
        Membership::new(names.iter().map(|name| (*name).to_owned())).unwrap()
    }

    #[test]
    fn the_order_of_the_nodes_does_not_matter_and_their_names_do() {
        assert_eq!(of(&["b", "a"]), of(&["a", "b"]));
        assert_ne!(of(&["a", "b"]), of(&["a", "b", "c"]));
        assert_eq!(of(&["b:1/0", "a:1/0"]).to_string(), "a:1/0,b:1/0");
    }

    #[test]
    fn no_resource_can_be_a_marker() {
        assert!(MARKERS.starts_with(crate::resources::RESERVED_PREFIX));
    }

    #[test]
    fn no_name_can_be_taken_for_two() {
        assert_eq!(
            of(&["a,b", "/run/my redis/0", "x%2C"]).to_string(),
            "/run/my%20redis/0,a%2Cb,x%252C"
        );
        assert_ne!(of(&["x 03"]).to_string(), of(&["x\u{2003}"]).to_string());
    }

    #[test]
    fn a_name_is_neither_empty_nor_endless_nor_given_twice() {
        let names = |names: &[&str]| Membership::new(names.iter().map(|name| (*name).to_owned()));
        assert!(matches!(names(&["a", ""]), Err(InvalidInput::NodeName { .. })));
        assert!(matches!(names(&[&"x".repeat(256)]), Err(InvalidInput::NodeName { .. })));
        assert!(matches!(names(&["a", "a"]), Err(InvalidInput::DuplicateNode { .. })));
    }

    #[test]
    fn every_prefix_has_a_marker_of_its_own() {
        assert_eq!(marker_of(""), "quorlock:marker:");
        assert_eq!(marker_of("app/"), "quorlock:marker:app/");
        assert_eq!(format!("{:?}", of(&["b", "a"])), "a,b");
    }
}
