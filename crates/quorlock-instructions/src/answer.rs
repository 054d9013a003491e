//! What a node answers: always that all is well. Keeps no keys, so it is no server for anything but counting. Its work is not
//! counted; see `off_the_books`.

use quorlock::seam::text;
use redis::Script;

/// Every client says it alike, and a node only has to repeat it.
const MARKER: &str = "1 run:replid 0 60000 nodes";

/// The pattern by which callgrind stops counting at the beginning of `off_the_books`, and goes on at its end.
pub const OFF_THE_BOOKS: &str = "*::off_the_books*";

/// A node, as far as it tells itself from others.
#[derive(Debug)]
pub(crate) struct Answers {
    number: usize,
    join: String,
    extend: String,
}

impl Answers {
    pub(crate) fn new(number: usize) -> Self {
        let hash = |text| Script::new(text).get_hash().to_owned();
        Self { number, join: hash(text::JOIN), extend: hash(text::EXTEND) }
    }

    /// What is said to these commands, all of them whole, in RESP3.
    pub(crate) fn to(&self, commands: &[u8]) -> Vec<u8> {
        let mut words = Words(commands);
        let mut said = String::new();
        while let Some(command) = words.command() {
            said.push_str(&self.to_one(&command));
        }
        said.into_bytes()
    }

    fn to_one(&self, command: &[&str]) -> String {
        match command {
            ["HELLO", ..] => "%1\r\n$5\r\nproto\r\n:3\r\n".to_owned(),
            ["CLIENT", "ID"] => ":1\r\n".to_owned(),
            ["INFO", ..] => bulk(&format!("run_id:{}\r\n", self.number)),
            ["COMMAND", "INFO", names @ ..] => {
                format!("*{}\r\n{}", names.len(), "_\r\n".repeat(names.len()))
            }
            ["GET", _] => bulk(MARKER),
            ["EVALSHA", hash, keys, rest @ ..] => self.to_script(hash, keys, rest),
            ["CLIENT" | "SCRIPT" | "SET" | "PING", ..] => "+OK\r\n".to_owned(),
            _ => "-ERR unknown command\r\n".to_owned(),
        }
    }

    fn to_script(&self, hash: &str, keys: &str, rest: &[&str]) -> String {
        let run_id = self.number.to_string();
        match rest {
            _ if hash == self.join => {
                let said = ["joined", &run_id, "noeviction", "0", MARKER].map(bulk).concat();
                format!("*6\r\n{said}:0\r\n")
            }
            // More than could be missed.
            _ if hash == self.extend => "*2\r\n:1\r\n:60000\r\n".to_owned(),
            // A fenced acquire is taken as it was proposed, as if no clock were behind. A release of a set is the one that tells how much it found; the rest says that it was done.
            _ if keys == "3" && rest.len() == 4 => "*3\r\n:3\r\n:0\r\n:0\r\n".to_owned(),
            _ => ":1\r\n".to_owned(),
        }
    }
}

/// The same, not counted: callgrind is told so by this function's name, which must not vanish into whoever calls it.
#[inline(never)]
pub(crate) fn off_the_books(answers: &Answers, commands: &[u8], said: &mut Vec<u8>) {
    said.extend(answers.to(commands));
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

/// The words of commands in RESP.
struct Words<'a>(&'a [u8]);

impl<'a> Words<'a> {
    /// The next command, if it is whole.
    fn command(&mut self) -> Option<Vec<&'a str>> {
        let words = self.number(b'*')?;
        (0..words).map(|_| self.word()).collect()
    }

    fn word(&mut self) -> Option<&'a str> {
        let length = self.number(b'$')?;
        let (word, rest) = self.0.split_at_checked(length)?;
        self.0 = rest.strip_prefix(b"\r\n")?;
        std::str::from_utf8(word).ok()
    }

    fn number(&mut self, kind: u8) -> Option<usize> {
        let rest = self.0.strip_prefix(&[kind])?;
        let end = rest.iter().position(|byte| *byte == b'\r')?;
        let number = std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
        self.0 = rest[end..].strip_prefix(b"\r\n")?;
        Some(number)
    }
}
