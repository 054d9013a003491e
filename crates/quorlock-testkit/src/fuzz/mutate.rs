//! One input made from others, at random: bytes, numbers, pieces, nesting. Knows nothing of what the bytes mean.

use rand::rngs::StdRng;
use rand::{Rng, RngExt};

use super::corpus::NESTS;

/// No input is longer.
const LONGEST: usize = 64 * 1024;
/// Most inputs are small: they say as much, and many more of them can be tried. One in so many is drawn from all.
const LARGE_ONE_IN: u32 = 500;
const SMALL: usize = 1024;

const NUMBERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "-2",
    "3",
    "+1",
    "01",
    " 1",
    "1 ",
    "64",
    "100",
    "101",
    "4096",
    "65535",
    "65536",
    "2147483647",
    "2147483648",
    "-2147483648",
    "4294967295",
    "4294967296",
    "999999999999",
    "4611686018427387903",
    "4611686018427387904",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1e9",
    "0x1",
    "",
];

const WORDS: &[&str] = &[
    "\r\n",
    "\r",
    "\n",
    "\0",
    "OK",
    "+OK\r\n",
    ":1\r\n",
    ":0\r\n",
    "*2\r\n",
    "$-1\r\n",
    "_\r\n",
    "-",
    "NOSCRIPT ",
    "%",
    "~",
    ">",
    "|",
    "!",
    "=",
    "(",
    "#t\r\n",
    ",",
    "S3CRET",
    "@",
    ":",
    "/",
    "//",
    "?",
    "#",
    "[",
    "]",
    "%40",
    "%00",
    ".",
    "?pass=S3CRET",
    "quorlock:",
    "\u{e4}",
    "\u{FFFD}",
];

pub(super) fn mutated(corpus: &[Vec<u8>], rng: &mut StdRng) -> Vec<u8> {
    let mut input = drawn(corpus, rng).to_vec();
    for _ in 0..rng.random_range(1..=6) {
        change(&mut input, corpus, rng);
        input.truncate(LONGEST);
    }
    input
}

fn drawn<'a>(corpus: &'a [Vec<u8>], rng: &mut StdRng) -> &'a [u8] {
    let large = rng.random_ratio(1, LARGE_ONE_IN);
    loop {
        let one = &corpus[rng.random_range(0..corpus.len())];
        if large || one.len() <= SMALL {
            return one;
        }
    }
}

fn change(input: &mut Vec<u8>, corpus: &[Vec<u8>], rng: &mut StdRng) {
    match rng.random_range(0..10) {
        0 => with_byte(input, rng, |byte, rng| *byte ^= 1 << rng.random_range(0..8)),
        1 => with_byte(input, rng, |byte, rng| *byte = rng.random()),
        2 => {
            let word = word(WORDS, rng);
            insert(input, word, rng);
        }
        3 => other_number(input, rng),
        4 => drop(input.drain(range(input.len(), rng))),
        5 => {
            let piece = input[range(input.len(), rng)].to_vec();
            insert(input, &piece, rng);
        }
        6 => {
            let other = drawn(corpus, rng);
            let piece = other[range(other.len(), rng)].to_vec();
            insert(input, &piece, rng);
        }
        7 => input.truncate(rng.random_range(0..=input.len())),
        8 => nest(input, rng),
        _ => input.extend_from_slice(drawn(corpus, rng)),
    }
}

fn with_byte(input: &mut [u8], rng: &mut StdRng, change: impl FnOnce(&mut u8, &mut StdRng)) {
    if !input.is_empty() {
        let at = rng.random_range(0..input.len());
        change(&mut input[at], rng);
    }
}

fn insert(input: &mut Vec<u8>, piece: &[u8], rng: &mut StdRng) {
    let at = rng.random_range(0..=input.len());
    input.splice(at..at, piece.iter().copied());
}

fn word<'a>(words: &[&'a str], rng: &mut StdRng) -> &'a [u8] {
    words[rng.random_range(0..words.len())].as_bytes()
}

fn range(length: usize, rng: &mut StdRng) -> std::ops::Range<usize> {
    let (a, b) = (rng.random_range(0..=length), rng.random_range(0..=length));
    a.min(b)..a.max(b)
}

/// Puts another number into the place of one: lengths, counts, ports.
fn other_number(input: &mut Vec<u8>, rng: &mut StdRng) {
    let is_digit = |at: &usize| input[*at].is_ascii_digit();
    let starts: Vec<_> = (0..input.len().min(SMALL))
        .filter(|at| is_digit(at) && (*at == 0 || !is_digit(&(at - 1))))
        .collect();
    if starts.is_empty() {
        return;
    }
    let start = starts[rng.random_range(0..starts.len())];
    let length = input[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    input.splice(start..start + length, word(NUMBERS, rng).iter().copied());
}

/// Puts it inside of others: mostly a few, at times as many as there is room for.
fn nest(input: &mut Vec<u8>, rng: &mut StdRng) {
    let nest = word(NESTS, rng);
    let most = match rng.next_u32() % 100 {
        0 => LONGEST / nest.len(),
        1..10 => 120,
        _ => 4,
    };
    let front = nest.repeat(rng.random_range(1..=most));
    input.splice(0..0, front);
}
