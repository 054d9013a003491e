//! Random bytes for everything that the library reads from outside, and what must be true of whatever it makes of them.
//!
//! [`Target::check`] is shared by the driver (`--bin fuzz`, which runs on any compiler) and by the targets of `cargo fuzz`
//! (the folder `fuzz` of the repository).

mod corpus;
mod mutate;
mod names;
mod reply;
mod url;

use std::fmt;
use std::str::FromStr;

use rand::SeedableRng;
use rand::rngs::StdRng;

/// What is fed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The bytes of a node's reply: the driver's parser, then our reading of each answer.
    Reply,
    /// A node's URL.
    Url,
    /// A prefix and the names of resources.
    Names,
}

impl Target {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Reply, Self::Url, Self::Names];

    /// Feeds one input.
    ///
    /// # Errors
    ///
    /// What is wrong with what was made of it.
    pub fn check(self, input: &[u8]) -> Result<(), String> {
        match self {
            Self::Reply => reply::check(input),
            Self::Url => url::check(&String::from_utf8_lossy(input)),
            Self::Names => names::check(&String::from_utf8_lossy(input)),
        }
    }

    /// Inputs as they are met in life, and those known to be nasty.
    pub fn corpus(self) -> Vec<Vec<u8>> {
        match self {
            Self::Reply => corpus::replies(),
            Self::Url => corpus::urls(),
            Self::Names => corpus::names(),
        }
    }

    /// The input of this number: the same for the same seed, corpus and number, whichever were tried before.
    pub fn input(self, corpus: &[Vec<u8>], seed: u64, number: u64) -> Vec<u8> {
        // The corpus itself comes first, as it is.
        if let Some(whole) = usize::try_from(number).ok().and_then(|place| corpus.get(place)) {
            return whole.clone();
        }
        let mut rng = StdRng::seed_from_u64(seed.rotate_left(32) ^ number);
        mutate::mutated(corpus, &mut rng)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reply => "reply",
            Self::Url => "url",
            Self::Names => "names",
        })
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|target| target.to_string() == name);
        found.ok_or_else(|| format!("'{name}' is none of reply, url, names"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_and_a_thousand_inputs_after_it_are_read_as_they_should() {
        for target in Target::ALL {
            let corpus = target.corpus();
            let count = u64::try_from(corpus.len()).unwrap() + 1000;
            for number in 0..count {
                let input = target.input(&corpus, 0, number);
                assert_eq!(target.check(&input), Ok(()), "{target} {number}");
            }
        }
    }

    #[test]
    fn an_input_is_drawn_from_its_seed_and_number_alone() {
        let corpus = Target::Reply.corpus();
        let draw = |seed, number| Target::Reply.input(&corpus, seed, number);
        assert_eq!(draw(1, 5000), draw(1, 5000));
        assert_ne!(draw(1, 5000), draw(2, 5000));
        assert_ne!(draw(1, 5000), draw(1, 5001));
    }
}
