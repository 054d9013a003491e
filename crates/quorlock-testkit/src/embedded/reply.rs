//! What a node answers, and its bytes in RESP2 and RESP3. Which command answers what is not known here.

use redis_protocol::resp2::types::{OwnedFrame as Resp2, Resp2Frame};
use redis_protocol::resp3::types::{
    FrameMap, OwnedFrame as Resp3, Resp3Frame, VerbatimStringFormat,
};

/// The answer to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// No value.
    Nil,
    /// A status such as `OK`.
    Status(String),
    /// An error line, its code first.
    Error(String),
    /// A number.
    Int(i64),
    /// A string of bytes.
    Bulk(Vec<u8>),
    /// A text for people to read: told apart from a string of bytes in RESP3 only.
    Verbatim(String),
    /// A list.
    Array(Vec<Self>),
    /// Names and values: a map in RESP3, a flat list in RESP2.
    Map(Vec<(String, Self)>),
}

/// The version of the protocol that a connection speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Protocol {
    #[default]
    Resp2,
    Resp3,
}

impl Protocol {
    pub(crate) fn number(self) -> i64 {
        match self {
            Self::Resp2 => 2,
            Self::Resp3 => 3,
        }
    }
}

impl Reply {
    /// The text of a status, a string of bytes or a verbatim text; none for anything else, and where the bytes are no text.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Status(text) | Self::Verbatim(text) => Some(text),
            Self::Bulk(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// The number, where it is one.
    pub fn int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    pub(crate) fn ok() -> Self {
        Self::Status("OK".to_owned())
    }

    pub(crate) fn error(line: impl Into<String>) -> Self {
        Self::Error(line.into())
    }

    pub(crate) fn bulk(text: impl Into<Vec<u8>>) -> Self {
        Self::Bulk(text.into())
    }

    pub(crate) fn encode(self, protocol: Protocol) -> Vec<u8> {
        let (mut bytes, written);
        match protocol {
            Protocol::Resp2 => {
                let frame = self.into_resp2();
                bytes = vec![0; frame.encode_len(false)];
                written = redis_protocol::resp2::encode::encode(&mut bytes, &frame, false);
            }
            Protocol::Resp3 => {
                let frame = self.into_resp3();
                bytes = vec![0; frame.encode_len(false)];
                written =
                    redis_protocol::resp3::encode::complete::encode(&mut bytes, &frame, false);
            }
        }
        bytes.truncate(written.expect("the buffer has the length that the encoder asked for"));
        bytes
    }

    fn into_resp2(self) -> Resp2 {
        match self {
            Self::Nil => Resp2::Null,
            Self::Status(text) => Resp2::SimpleString(text.into_bytes()),
            Self::Error(line) => Resp2::Error(one_line(&line)),
            Self::Int(number) => Resp2::Integer(number),
            Self::Bulk(bytes) => Resp2::BulkString(bytes),
            Self::Verbatim(text) => Resp2::BulkString(text.into_bytes()),
            Self::Array(items) => Resp2::Array(items.into_iter().map(Self::into_resp2).collect()),
            Self::Map(pairs) => Resp2::Array(
                pairs
                    .into_iter()
                    .flat_map(|(name, value)| [Self::bulk(name), value])
                    .map(Self::into_resp2)
                    .collect(),
            ),
        }
    }

    fn into_resp3(self) -> Resp3 {
        let attributes = None;
        match self {
            Self::Nil => Resp3::Null,
            Self::Status(text) => Resp3::SimpleString { data: text.into_bytes(), attributes },
            Self::Error(line) => Resp3::SimpleError { data: one_line(&line), attributes },
            Self::Int(data) => Resp3::Number { data, attributes },
            Self::Bulk(data) => Resp3::BlobString { data, attributes },
            Self::Verbatim(text) => {
                let format = VerbatimStringFormat::Text;
                Resp3::VerbatimString { data: text.into_bytes(), format, attributes }
            }
            Self::Array(items) => {
                let data = items.into_iter().map(Self::into_resp3).collect();
                Resp3::Array { data, attributes }
            }
            Self::Map(pairs) => {
                let data: FrameMap<Resp3, Resp3> = pairs
                    .into_iter()
                    .map(|(name, value)| (Self::bulk(name).into_resp3(), value.into_resp3()))
                    .collect();
                Resp3::Map { data, attributes }
            }
        }
    }
}

/// An error is one line on the wire, whatever a script put into it.
fn one_line(text: &str) -> String {
    text.replace(['\r', '\n'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_protocols_have_their_own_nulls_maps_and_texts() {
        let text = || Reply::Verbatim("a:1\r\n".to_owned());
        assert_eq!(text().encode(Protocol::Resp2), b"$5\r\na:1\r\n\r\n");
        assert_eq!(text().encode(Protocol::Resp3), b"=9\r\ntxt:a:1\r\n\r\n");
        let map = || Reply::Map(vec![("a".to_owned(), Reply::Nil)]);
        assert_eq!(map().encode(Protocol::Resp2), b"*2\r\n$1\r\na\r\n$-1\r\n");
        assert_eq!(map().encode(Protocol::Resp3), b"%1\r\n$1\r\na\r\n_\r\n");
    }

    #[test]
    fn everything_else_reads_the_same_in_both() {
        let reply = Reply::Array(vec![
            Reply::ok(),
            Reply::error("ERR two\r\nlines"),
            Reply::Int(-7),
            Reply::bulk(""),
            Reply::Array(vec![]),
        ]);
        let bytes = b"*5\r\n+OK\r\n-ERR two  lines\r\n:-7\r\n$0\r\n\r\n*0\r\n";
        assert_eq!(reply.clone().encode(Protocol::Resp2), bytes);
        assert_eq!(reply.encode(Protocol::Resp3), bytes);
    }
}
