//! Names of resources behind a prefix: refused, or as many keys as there are names, each within its bounds.

use std::collections::BTreeSet;

use quorlock::seam::fuzz::keys;

/// As in the documentation of `InvalidInput`: bytes of a key, names in a lock, and what no name may begin with.
const MOST: (usize, usize, &str) = (1024, 64, "quorlock:");

/// The first line is the prefix, the others are names.
pub(super) fn check(text: &str) -> Result<(), String> {
    let (prefix, names) = text.split_once('\n').unwrap_or(("", text));
    let names: Vec<_> = names.split('\n').collect();
    let unique: BTreeSet<_> = names.iter().copied().collect();
    let (bytes, count, reserved) = MOST;
    let good = |name: &&str| {
        let key = format!("{prefix}{name}");
        !name.is_empty()
            && key.len() <= bytes
            && !name.starts_with(reserved)
            && !key.starts_with(reserved)
    };
    let good = unique.len() <= count && unique.iter().all(good);
    match keys(&names, prefix) {
        Ok(_) if !good => Err("taken, but not in order".to_owned()),
        Err(error) if good => Err(format!("refused, but in order: {error}")),
        Ok(keys) => {
            let expected: Vec<_> = unique.iter().map(|name| format!("{prefix}{name}")).collect();
            (keys == expected).then_some(()).ok_or_else(|| format!("keys {keys:?}"))
        }
        Err(_) => Ok(()),
    }
}
