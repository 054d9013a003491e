//! The answers in what a server sends. The usual ones are known by heart; all others are the parser's.

use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use redis::{Parser, RedisResult, Value};
use tokio::io::{AsyncRead, ReadBuf};

/// What is read at one go.
const ROOM: usize = 8 << 10;
/// An answer of more lines is a long one; that of a handshake has a few dozen.
const MOST_LINES: usize = 256;

/// What nearly all answers are, as they are sent: a lock was taken or is somebody's, so many keys were deleted.
const USUAL: [(&[u8], Value); 5] = [
    (b"+OK\r\n", Value::Okay),
    (b":1\r\n", Value::Int(1)),
    (b"_\r\n", Value::Nil),
    (b"$-1\r\n", Value::Nil),
    (b":0\r\n", Value::Int(0)),
];

/// Takes answers out of a stream, one after the other.
///
/// The parser does not tell how much it keeps of what it was given. Every answer ends with a line, so it is given one line
/// at a time, and keeps nothing but what belongs to the answer that it is in. On a connection that has brought a long answer it
/// is given all from then on.
pub(super) struct Answers {
    bytes: Box<[u8]>,
    from: usize,
    to: usize,
    parser: Parser,
    /// How many lines of an answer the parser has that is not whole.
    lines: usize,
}

impl Answers {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; ROOM].into(), from: 0, to: 0, parser: Parser::new(), lines: 0 }
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
            let mut into = ReadBuf::new(&mut self.bytes);
            ready!(Pin::new(&mut *wire).poll_read(cx, &mut into))?;
            (self.from, self.to) = (0, into.filled().len());
            if self.to == 0 {
                return Poll::Ready(Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()));
            }
        }
    }

    /// The next answer in what has been read.
    fn next(&mut self) -> Option<RedisResult<Value>> {
        loop {
            let rest = &self.bytes[self.from..self.to];
            if self.lines == 0
                && let Some((sent, answer)) = USUAL.iter().find(|usual| rest.starts_with(usual.0))
            {
                self.from += sent.len();
                return Some(Ok(answer.clone()));
            }
            let is_long = self.lines >= MOST_LINES;
            if rest.is_empty() && !is_long {
                return None;
            }
            let end = if is_long { rest.len() } else { end_of(rest, self.lines == 0) };
            let mut piece = Piece { rest: &rest[..end], is_out: false };
            let parsed = self.parser.parse_value(&mut piece);
            let is_out = piece.is_out;
            self.from += end - piece.rest.len();
            match parsed {
                Err(_) if is_out && is_long => return None,
                Err(_) if is_out => self.lines += 1,
                parsed => {
                    self.lines = if is_long { self.lines } else { 0 };
                    return Some(parsed);
                }
            }
        }
    }
}

/// How much of `rest` belongs to the answer that it begins with, or goes on with, as far as a look tells.
fn end_of(rest: &[u8], is_beginning: bool) -> usize {
    let lines = match rest {
        // So many follow, of a line each at least.
        [b'*', count @ b'0'..=b'9', b'\r', ..] if is_beginning => 1 + usize::from(count - b'0'),
        _ => 1,
    };
    let mut ends = rest.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    ends.nth(lines - 1).map_or(rest.len(), |(at, _)| at + 1)
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
