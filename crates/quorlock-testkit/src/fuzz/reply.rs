//! A reply: what it means is worked out a second time, from its first bytes, and has to be what the library says.

use std::cmp;

use quorlock::seam::fuzz::{Read, Way, first_answer, replies};
use quorlock::seam::{Reply, Verb};

/// What a reply is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Granted,
    Counted,
    Denied,
    Kept,
    Missing,
    HeldByAnother,
    Released,
    Failed,
}

pub(super) fn check(bytes: &[u8]) -> Result<(), String> {
    for read in replies(bytes).map_err(|error| error.to_string())? {
        let Read { verb, fenced, way, reply } = read;
        let expected = match way {
            Way::Natively => expected_natively(bytes),
            Way::Together => expected_together(bytes),
            Way::Alone if fenced && verb == Verb::Acquire => expected_counted(bytes),
            Way::Alone => expected(verb, bytes),
        };
        let found = match &reply {
            Some(reply) => meaning(reply),
            // Asked again in another form: no more than a failure, but only where the node said so.
            None if way != Way::Alone => Meaning::Failed,
            None if contains(bytes, b"NOSCRIPT") => Meaning::Failed,
            None => return Err(format!("{verb:?}: the text is sent without a NOSCRIPT")),
        };
        if found != expected {
            return Err(format!("{verb:?}: taken for {found:?}, but it is {expected:?}"));
        }
    }
    pieces_say_the_same(bytes)
}

fn meaning(reply: &Reply) -> Meaning {
    match reply {
        Reply::Granted => Meaning::Granted,
        Reply::Counted(_) => Meaning::Counted,
        Reply::Denied => Meaning::Denied,
        Reply::Kept { .. } => Meaning::Kept,
        Reply::Missing => Meaning::Missing,
        Reply::HeldByAnother => Meaning::HeldByAnother,
        Reply::Released { .. } => Meaning::Released,
        Reply::Failed(_) => Meaning::Failed,
    }
}

/// Everything that is an answer, written out. Whatever is not here is a failure.
fn expected(verb: Verb, bytes: &[u8]) -> Meaning {
    let Some((kind, line, rest)) = first_line(bytes) else { return Meaning::Failed };
    match (verb, kind, number(line)) {
        (Verb::Acquire, b'+', _) if line == "OK" => Meaning::Granted,
        (Verb::Acquire, b'_', _) => Meaning::Denied,
        (Verb::Acquire, b'$' | b'*' | b'~', Some(..0)) => Meaning::Denied,
        (Verb::Certify | Verb::Repair, b':', Some(1)) => Meaning::Granted,
        (Verb::Certify | Verb::Repair, b':', Some(0)) => Meaning::Denied,
        (Verb::Extend, b'*', Some(2)) => match numbers::<2>(rest) {
            Some([1, found]) if found >= 0 => Meaning::Kept,
            Some([0, _]) => Meaning::Missing,
            Some([-1, _]) => Meaning::HeldByAnother,
            _ => Meaning::Failed,
        },
        (Verb::Release | Verb::Undo, b':', Some(1)) => Meaning::Released,
        (Verb::Release | Verb::Undo, b'*', Some(3)) => match numbers::<3>(rest) {
            Some(all) if all.iter().all(|number: &i64| *number >= 0) => Meaning::Released,
            _ => Meaning::Failed,
        },
        _ => Meaning::Failed,
    }
}

/// The same for an acquire with fencing: a counter begins at 1, and a number tells whether the holder was counted as proposed.
fn expected_counted(bytes: &[u8]) -> Meaning {
    match first_line(bytes) {
        Some((b':', line, _)) if number(line) == Some(1) => Meaning::Counted,
        Some((b':', line, _)) if number(line) == Some(0) => Meaning::Denied,
        Some((b'*', line, rest)) if number(line) == Some(2) => match numbers::<2>(rest) {
            Some([1, counter]) if counter > 0 => Meaning::Counted,
            Some([0, _]) => Meaning::Denied,
            _ => Meaning::Failed,
        },
        _ => Meaning::Failed,
    }
}

/// The same for a server's own compare-and-delete: 1 is all that it has to say; at 0 it is asked again, by script.
fn expected_natively(bytes: &[u8]) -> Meaning {
    match first_line(bytes) {
        Some((b':', line, _)) if number(line) == Some(1) => Meaning::Released,
        _ => Meaning::Failed,
    }
}

/// The same for one of the releases that go together: it is deleted, or gone, or another's. At anything else it is asked again.
fn expected_together(bytes: &[u8]) -> Meaning {
    match first_line(bytes) {
        Some((b':', line, _)) if matches!(number(line), Some(0..=2)) => Meaning::Released,
        _ => Meaning::Failed,
    }
}

/// The kind of a value, its first line, and what is behind it.
fn first_line(bytes: &[u8]) -> Option<(u8, &str, &[u8])> {
    let (kind, rest) = bytes.split_first()?;
    let end = rest.windows(2).position(|two| two == b"\r\n")?;
    Some((*kind, std::str::from_utf8(&rest[..end]).ok()?, &rest[end + 2..]))
}

/// The driver takes blanks around a number, a plus and leading zeros, and so do we.
fn number(line: &str) -> Option<i64> {
    line.trim().parse().ok()
}

fn numbers<const N: usize>(mut bytes: &[u8]) -> Option<[i64; N]> {
    let mut numbers = [0; N];
    for place in &mut numbers {
        let (b':', line, rest) = first_line(bytes)? else { return None };
        (*place, bytes) = (number(line)?, rest);
    }
    Some(numbers)
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

/// A network delivers as it likes: what a connection hears is the same, in whatever pieces it arrives, and where it is a value as
/// a whole, it is that. What is none as a whole may still be one on a connection: a stray line feed in front of an element, for one.
fn pieces_say_the_same(bytes: &[u8]) -> Result<(), String> {
    let size = cmp::max(1 + bytes.len() % 7, bytes.len() / 64);
    let Ok(whole) = redis::parse_redis_value(bytes) else { return Ok(()) };
    for size in [bytes.len(), size] {
        let heard = first_answer(bytes, size);
        // By their text: a value that is no number is not equal to itself.
        if format!("{heard:?}") != format!("Some({whole:?})") {
            return Err(format!("{whole:?} as a whole, but {heard:?} in pieces of {size}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A flaw of the driver (redis 1.8.1, its parser is combine 4.6.9): a byte that begins no value is skipped where a piece
    /// ends right behind it, and what follows is read as a value. A connection does not show it such pieces.
    #[test]
    fn a_stray_byte_ends_a_connection_in_whatever_pieces_it_comes() {
        for stray in [&b"x+OK\r\n"[..], b"\n+OK\r\n", b"*1\r\nx+OK\r\n"] {
            for size in 1..=stray.len() {
                assert_eq!(first_answer(stray, size), None, "{size}");
            }
        }
    }

    #[test]
    fn an_oracle_knows_a_grant_from_what_looks_like_one() {
        let acquire = |bytes: &str| expected(Verb::Acquire, bytes.as_bytes());
        assert_eq!(acquire("+OK\r\n"), Meaning::Granted);
        for other in
            [":1\r\n", "+OK", "+ok\r\n", "$2\r\nOK\r\n", ":2\r\n", "*1\r\n+OK\r\n", "+OK \r\n", ""]
        {
            assert_eq!(acquire(other), Meaning::Failed, "{other:?}");
        }
        assert_eq!(expected(Verb::Repair, b"+OK\r\n"), Meaning::Failed);
        assert_eq!(expected(Verb::Extend, b"*2\r\n:1\r\n:9\r\n"), Meaning::Kept);
        assert_eq!(expected(Verb::Extend, b"*2\r\n:1\r\n"), Meaning::Failed);
        assert_eq!(expected(Verb::Extend, b"*2\r\n:1\r\n:-1\r\n"), Meaning::Failed);
    }
}
