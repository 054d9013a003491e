//! The answers in what a server sends. The usual ones are known by heart; all others are the parser's.

use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use redis::{Parser, RedisError, RedisResult, Value};
use tokio::io::{AsyncRead, ReadBuf};

/// What is read at one go, and the longest line that is waited for until it is whole.
const ROOM: usize = 8 << 10;
/// An answer that takes more pieces is a long one: a line each, as a rule, and that of a handshake has a few dozen.
const MOST_PIECES: usize = 256;
/// An array of more is not known by heart.
pub(super) const MOST_NUMBERS: usize = 64;

/// What nearly all answers are: a lock was taken or is somebody's; so many keys were deleted; so much was left of one, which is
/// told by a few numbers, or by one for each of several locks. With how many bytes it has.
fn usual(sent: &[u8]) -> Option<(usize, Value)> {
    match sent {
        [b'+', b'O', b'K', b'\r', b'\n', ..] => Some((5, Value::Okay)),
        [b':', ..] => number(b':', sent).map(|(length, number)| (length, Value::Int(number))),
        [b'*', ..] => {
            let (mut length, count) = members(sent)?;
            let mut numbers = Vec::with_capacity(count);
            for _ in 0..count {
                let (more, one) = number(b':', &sent[length..])?;
                numbers.push(Value::Int(one));
                length += more;
            }
            Some((length, Value::Array(numbers)))
        }
        [b'_', b'\r', b'\n', ..] => Some((3, Value::Nil)),
        [b'$', b'-', b'1', b'\r', b'\n', ..] => Some((5, Value::Nil)),
        _ => None,
    }
}

/// How many there are in an array that is not too long to be known by heart, behind how many bytes.
fn members(sent: &[u8]) -> Option<(usize, usize)> {
    let (length, count) = number(b'*', sent)?;
    let count = usize::try_from(count).ok()?;
    (1..=MOST_NUMBERS).contains(&count).then_some((length, count))
}

/// One that has no sign and is too short to be too large.
fn number(kind: u8, sent: &[u8]) -> Option<(usize, i64)> {
    let rest = sent.strip_prefix(&[kind])?;
    let digits = &rest[..rest.iter().take_while(|byte| byte.is_ascii_digit()).count()];
    let is_whole = rest[digits.len()..].starts_with(b"\r\n");
    (is_whole && (1..=18).contains(&digits.len())).then(|| {
        let number = digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0'));
        (digits.len() + 3, number)
    })
}

/// What an answer may begin with.
const KINDS: &[u8] = b"+-:$*%|~_,#!=(>";

/// Takes answers out of a stream, one after the other.
///
/// The parser does not tell how much it keeps of what it was given, and skips a byte that begins nothing where that is the last one.
/// Every answer ends with a line, so it is given whole lines, and no more of them than belong to the answer that it is in. On
/// a connection that has brought a long answer it is given all from then on.
pub(super) struct Answers {
    bytes: Box<[u8]>,
    from: usize,
    to: usize,
    parser: Parser,
    /// How many pieces of an answer the parser has that is not whole.
    pieces: usize,
}

impl Answers {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; ROOM].into(), from: 0, to: 0, parser: Parser::new(), pieces: 0 }
    }

    /// The next answer that comes on `wire`.
    pub(super) fn poll_next(
        &mut self,
        wire: &mut (impl AsyncRead + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<RedisResult<Value>> {
        loop {
            if let Some(answer) = self.next() {
                return Poll::Ready(answer);
            }
            if self.from > 0 {
                self.bytes.copy_within(self.from..self.to, 0);
                (self.from, self.to) = (0, self.to - self.from);
            }
            let mut into = ReadBuf::new(&mut self.bytes[self.to..]);
            ready!(Pin::new(&mut *wire).poll_read(cx, &mut into))?;
            let came = into.filled().len();
            if came == 0 {
                return Poll::Ready(Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()));
            }
            self.to += came;
        }
    }

    /// The next answer in what has been read.
    fn next(&mut self) -> Option<RedisResult<Value>> {
        loop {
            let is_long = self.pieces >= MOST_PIECES;
            // Of a long one the parser may have the rest.
            if self.from == self.to && !is_long {
                return None;
            }
            let rest = &self.bytes[self.from..self.to];
            let is_beginning = self.pieces == 0;
            if is_beginning && let Some((length, answer)) = usual(rest) {
                self.from += length;
                return Some(Ok(answer));
            }
            if is_beginning && rest.first().is_some_and(|kind| !KINDS.contains(kind)) {
                return Some(Err(nothing()));
            }
            let end = if is_long { rest.len() } else { end_of(rest, is_beginning)? };
            let mut piece = Piece { rest: &rest[..end], is_out: false };
            let parsed = self.parser.parse_value(&mut piece);
            let is_out = piece.is_out;
            self.from += end - piece.rest.len();
            match parsed {
                Err(_) if is_out && is_long => return None,
                Err(_) if is_out => self.pieces += 1,
                parsed => {
                    self.pieces = if is_long { self.pieces } else { 0 };
                    return Some(parsed);
                }
            }
        }
    }
}

fn nothing() -> RedisError {
    io::Error::new(io::ErrorKind::InvalidData, "this begins no answer").into()
}

/// How much of `rest` is whole, and belongs to the answer that it begins with, or goes on with, as far as a look tells.
fn end_of(rest: &[u8], is_beginning: bool) -> Option<usize> {
    let lines = match rest {
        // So many follow, of a line each at least.
        [b'*', ..] if is_beginning => 1 + members(rest).map_or(0, |(_, count)| count),
        _ => 1,
    };
    let ends = rest.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    let whole = ends.take(lines).last().map(|(at, _)| at + 1);
    // There is no room for the end of this line.
    whole.or_else(|| (rest.len() == ROOM).then_some(ROOM))
}

/// What the parser is given.
struct Piece<'a> {
    rest: &'a [u8],
    /// It wanted more than there is.
    is_out: bool,
}

impl Read for &mut Piece<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            self.is_out = true;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.rest.read(into)
    }
}

#[cfg(test)]
mod tests;
