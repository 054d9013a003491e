//! Counts that are pinned, and how far others may be from them. Counts nothing, reads and writes no files.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// How far a count may be from its pin, in percent of it: compilers' minor versions and random hash seeds need some room, a loop
/// too many more.
const TOLERANCE: u64 = 5;

/// The instructions of each benchmark, and whose they are.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Pins {
    /// The compiler, which has as much a say in it as the source has.
    pub(crate) by: String,
    pub(crate) counts: BTreeMap<String, u64>,
}

impl Pins {
    /// What is wrong with these counts.
    pub(crate) fn complaints(&self, found: &Self) -> Vec<String> {
        let gone = self.counts.keys().filter(|name| !found.counts.contains_key(*name));
        let gone = gone.map(|name| format!("{name}: pinned, but not counted"));
        let counted = found.counts.iter().filter_map(|(name, &count)| {
            let Some(&pin) = self.counts.get(name) else {
                return Some(format!("{name}: {count} instructions, and no pin"));
            };
            let (room, way) = (pin * TOLERANCE / 100, change(pin, count));
            match count {
                _ if count > pin + room => Some(format!("{way}, which is too many")),
                _ if count + room < pin => {
                    Some(format!("{way}: pin the gain, or it is lost again"))
                }
                _ => None,
            }
            .map(|what| format!("{name}: {pin} instructions expected, {count} found, {what}"))
        });
        gone.chain(counted).collect()
    }

    /// A row for each count.
    pub(crate) fn table(&self, found: &Self) -> String {
        let row = |(name, &count): (&String, &u64)| {
            let way = self.counts.get(name).map(|&pin| change(pin, count)).unwrap_or_default();
            format!("{name:24} {count:9} {way:>8}\n")
        };
        found.counts.iter().map(row).collect()
    }
}

fn change(pin: u64, count: u64) -> String {
    format!("{:+.2}%", (count as f64 / pin as f64 - 1.0) * 100.0)
}

impl FromStr for Pins {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut pins = Self::default();
        for line in text.lines() {
            if let Some(by) = line.strip_prefix("# ") {
                by.clone_into(&mut pins.by);
                continue;
            }
            let (name, count) = line.split_once(' ').ok_or_else(|| format!("no pin: {line}"))?;
            let count = count.parse().map_err(|_| format!("no count: {line}"))?;
            pins.counts.insert(name.to_owned(), count);
        }
        Ok(pins)
    }
}

impl fmt::Display for Pins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# {}", self.by)?;
        self.counts.iter().try_for_each(|(name, count)| writeln!(f, "{name} {count}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pins(counts: &[(&str, u64)]) -> Pins {
        let counts = counts.iter().map(|&(name, count)| (name.to_owned(), count)).collect();
        Pins { by: "rustc 1".to_owned(), counts }
    }

    #[test]
    fn what_is_further_away_than_the_tolerance_is_complained_about_whichever_way() {
        let pinned = pins(&[("a", 1000)]);
        for near in [950, 1000, 1050] {
            assert_eq!(pinned.complaints(&pins(&[("a", near)])), [""; 0]);
        }
        let says = |count| pinned.complaints(&pins(&[("a", count)])).concat();
        assert_eq!(
            says(1051),
            "a: 1000 instructions expected, 1051 found, +5.10%, which is too many"
        );
        assert!(says(949).ends_with("-5.10%: pin the gain, or it is lost again"));
    }

    #[test]
    fn every_count_has_a_pin_and_every_pin_a_count() {
        let complaints = pins(&[("a", 1), ("b", 2)]).complaints(&pins(&[("b", 2), ("c", 3)]));
        assert_eq!(complaints, ["a: pinned, but not counted", "c: 3 instructions, and no pin"]);
    }

    #[test]
    fn what_is_written_is_read_and_anything_else_refused() {
        let pinned = pins(&[("a", 1), ("b.c", 2)]);
        assert_eq!(pinned.to_string().parse(), Ok(pinned));
        assert!("a".parse::<Pins>().is_err() && "a b".parse::<Pins>().is_err());
    }
}
