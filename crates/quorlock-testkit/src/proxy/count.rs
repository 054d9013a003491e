//! Counts whole RESP frames in a stream of bytes, RESP2 and RESP3 alike. It keeps no contents.

/// An incremental counter for one direction of one connection.
#[derive(Debug, Default)]
pub(crate) struct FrameCounter {
    line: Vec<u8>,
    /// Bytes of a blob (and its line end) still to come.
    skip: u64,
    /// Values still to come until the present frame is whole; 0 between frames.
    open: u64,
    /// The present frame was sent without being asked for.
    push: bool,
    /// Not RESP: nothing more is counted.
    lost: bool,
}

impl FrameCounter {
    /// Takes the next bytes; says how many frames became whole. Pushes do not count: nobody asked.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> u64 {
        let mut whole = 0;
        while !bytes.is_empty() && !self.lost {
            if self.skip > 0 {
                let n = self.skip.min(bytes.len() as u64);
                self.skip -= n;
                bytes = &bytes[usize::try_from(n).expect("at most the slice's length")..];
            } else if let Some(end) = bytes.iter().position(|&b| b == b'\n') {
                self.line.extend_from_slice(&bytes[..end]);
                bytes = &bytes[end + 1..];
                self.take_line();
            } else {
                self.line.extend_from_slice(bytes);
                return whole;
            }
            if self.skip == 0 && self.open == 0 && !self.lost {
                whole += u64::from(!self.push);
                self.push = false;
            }
        }
        whole
    }

    fn take_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let (Some(kind), length) = (line.first(), length(&line)) else {
            self.lost = true;
            return;
        };
        if self.open == 0 {
            self.open = 1;
            self.push = *kind == b'>';
        }
        self.open -= 1;
        match (kind, length) {
            (b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(', _) | (b'$' | b'*', None) => {}
            (b'$' | b'=' | b'!', Some(n)) => self.skip = n + 2,
            (b'*' | b'~' | b'>', Some(n)) => self.open += n,
            (b'%', Some(n)) => self.open += 2 * n,
            // An attribute belongs to the value behind it.
            (b'|', Some(n)) => self.open += 2 * n + 1,
            _ => self.lost = true,
        }
    }
}

/// The length in a header line; none for a null (`$-1`, `*-1`).
fn length(line: &[u8]) -> Option<u64> {
    std::str::from_utf8(line.get(1..)?).ok()?.trim_end().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_counted_however_the_bytes_are_cut() {
        let bytes = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n+OK\r\n$-1\r\n*-1\r\n%1\r\n+a\r\n*2\r\n:1\r\n:2\r\n$0\r\n\r\n*0\r\n";
        for size in 1..bytes.len() {
            let mut counter = FrameCounter::default();
            let counted: u64 = bytes.chunks(size).map(|chunk| counter.feed(chunk)).sum();
            assert_eq!(counted, 7, "in chunks of {size}");
        }
    }

    #[test]
    fn a_push_is_no_reply() {
        assert_eq!(
            FrameCounter::default().feed(b">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n+PONG\r\n"),
            1
        );
    }

    #[test]
    fn an_unfinished_frame_does_not_count() {
        assert_eq!(FrameCounter::default().feed(b"$5\r\nhello\r"), 0);
        assert_eq!(FrameCounter::default().feed(b"*2\r\n+one\r\n"), 0);
    }
}
