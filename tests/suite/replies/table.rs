//! The table of what a node can answer to an acquire, and what that means. What follows from it is checked in `replies.rs`.

use quorlock::NodeErrorKind::{self, Disconnected, Misconfigured, NoAnswer, Refused, Unclear};

use self::Class::{Denied, Granted, NotApplied, Unknown};
use crate::fake_node::Manner::{self, Closes, Hangs, Huge, Says, Spells};

/// What an answer says of the question.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Class {
    /// The node holds the lock: the only one that counts.
    Granted,
    /// Somebody else holds it.
    Denied,
    /// Nothing was done, so nothing has to be given back.
    NotApplied(NodeErrorKind),
    /// Nobody knows, so it has to be given back. Told as one of these.
    Unknown(&'static [NodeErrorKind]),
}

/// One answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// Said where a test fails; also the name of the lock.
    pub(crate) name: &'static str,
    pub(crate) manner: Manner,
    pub(crate) class: Class,
    /// What the error has to repeat of it.
    pub(crate) says: &'static str,
}

impl Row {
    /// Whether nothing shows that the node has answered but that its time is over.
    pub(crate) fn is_silence(&self) -> bool {
        matches!(self.manner, Hangs(_))
    }

    /// Whether the connection cannot be used any more.
    pub(crate) fn breaks_the_connection(&self) -> bool {
        matches!(self.class, Unknown([NoAnswer | Disconnected]))
    }

    /// Whether it can be used on.
    pub(crate) fn keeps_the_connection(&self) -> bool {
        !matches!(self.class, Unknown([NoAnswer | Disconnected] | [_, _, ..]))
    }
}

const fn refused(name: &'static str, line: &'static [u8], says: &'static str) -> Row {
    Row { name, manner: Says(line), class: NotApplied(Refused), says }
}

const fn misconfigured(name: &'static str, line: &'static [u8], says: &'static str) -> Row {
    Row { name, manner: Says(line), class: NotApplied(Misconfigured), says }
}

const fn unclear(name: &'static str, bytes: &'static [u8], says: &'static str) -> Row {
    Row { name, manner: Says(bytes), class: Unknown(&[Unclear]), says }
}

const fn broken(name: &'static str, manner: Manner) -> Row {
    Row { name, manner, class: Unknown(&[Disconnected]), says: "disconnected before it answered" }
}

const fn silent(name: &'static str, half: &'static [u8]) -> Row {
    let says = "no answer within the time limit";
    Row { name, manner: Hangs(half), class: Unknown(&[NoAnswer]), says }
}

/// Every answer to `SET key token NX PX ttl`.
pub(crate) const TABLE: &[Row] = &[
    Row { name: "granted", manner: Says(b"+OK\r\n"), class: Granted, says: "" },
    Row { name: "granted byte by byte", manner: Spells(b"+OK\r\n"), class: Granted, says: "" },
    Row { name: "denied", manner: Says(b"$-1\r\n"), class: Denied, says: "" },
    Row { name: "denied byte by byte", manner: Spells(b"$-1\r\n"), class: Denied, says: "" },
    Row { name: "denied in the newer protocol", manner: Says(b"_\r\n"), class: Denied, says: "" },
    refused("oom", b"-OOM command not allowed when used memory > 'maxmemory'.\r\n", "OOM command"),
    Row {
        name: "oom byte by byte",
        manner: Spells(b"-OOM command not allowed.\r\n"),
        class: NotApplied(Refused),
        says: "OOM command not allowed",
    },
    refused("readonly", b"-READONLY You can't write against a read only replica.\r\n", "READONLY"),
    refused("loading", b"-LOADING Redis is loading the dataset in memory\r\n", "LOADING Redis"),
    refused("misconf", b"-MISCONF Redis is configured to save RDB snapshots\r\n", "MISCONF Redis"),
    refused("busy", b"-BUSY Redis is busy running a script.\r\n", "BUSY Redis"),
    refused("noreplicas", b"-NOREPLICAS Not enough good replicas to write.\r\n", "NOREPLICAS Not"),
    refused("masterdown", b"-MASTERDOWN Link with MASTER is down\r\n", "MASTERDOWN Link"),
    refused("tryagain", b"-TRYAGAIN Multiple keys request during rehashing\r\n", "TRYAGAIN Mul"),
    refused("noscript", b"-NOSCRIPT No matching script. Please use EVAL.\r\n", "NOSCRIPT No"),
    refused("wrongtype", b"-WRONGTYPE Operation against a key\r\n", "WRONGTYPE Operation"),
    refused("max clients", b"-ERR max number of clients reached\r\n", "max number of clients"),
    misconfigured("noauth", b"-NOAUTH Authentication required.\r\n", "NOAUTH Authentication"),
    misconfigured("noperm", b"-NOPERM this user has no permissions\r\n", "NOPERM this user"),
    misconfigured("wrongpass", b"-WRONGPASS invalid username-password pair\r\n", "WRONGPASS inv"),
    misconfigured("moved", b"-MOVED 866 10.0.0.9:6379\r\n", "MOVED 866 10.0.0.9:6379"),
    misconfigured("ask", b"-ASK 866 10.0.0.9:6379\r\n", "ASK 866 10.0.0.9:6379"),
    misconfigured(
        "crossslot",
        b"-CROSSSLOT Keys don't hash to the same slot\r\n",
        "CROSSSLOT Keys",
    ),
    misconfigured("clusterdown", b"-CLUSTERDOWN Hash slot not served\r\n", "CLUSTERDOWN Hash"),
    misconfigured(
        "unknown command",
        b"-ERR unknown command 'SET', with args beginning with: 'a' '{token}' 'NX' \r\n",
        "unknown command 'SET'",
    ),
    unclear("an error that repeats the token", b"-ERR what is {token} to you\r\n", "what is ..."),
    unclear(
        "an error that repeats the token where it is too long to be told",
        b"-ERR 1234567890123456789012345678901234567890123456789012345678901234567890123456789012\
          345678901234567890123456789012345678901234567890 {token}\r\n",
        "ERR 1234567890",
    ),
    unclear("a code that is new", b"-NEWCODE of another time\r\n", "NEWCODE of another time"),
    unclear(
        "an error inside of a script",
        b"-OOM command not allowed script: abc, on @user_script:7.\r\n",
        "OOM command not allowed script: abc",
    ),
    unclear("a number", b":1\r\n", "a number"),
    unclear("another status", b"+QUEUED\r\n", "a status"),
    unclear("the right word as a string", b"$2\r\nOK\r\n", "a string"),
    unclear("the right word in a list", b"*1\r\n+OK\r\n", "a list"),
    unclear("the token as a string", b"$69\r\n{token}\r\n", "a string"),
    unclear("the token as a status", b"+{token}\r\n", "a status"),
    unclear("the token in a list", b"*2\r\n+OK\r\n$69\r\n{token}\r\n", "a list"),
    Row {
        name: "a string of 64 MiB",
        manner: Huge(64 << 20),
        // Read to its end, or not.
        class: Unknown(&[Unclear, Disconnected]),
        says: "",
    },
    broken("another protocol", Says(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")),
    broken("random bytes", Says(b"\xff\xfe\x00\x80garbage\r\n\r\n")),
    broken("a length that is no number", Says(b"$many\r\n")),
    broken("the token as a length", Says(b"${token}\r\n")),
    broken("the token as a number", Says(b":{token}\r\n")),
    broken("the token as a decimal number", Says(b",{token}\r\n")),
    broken("the token as nothing that there is", Says(b"?{token}\r\n")),
    broken("half a reply and the end", Closes(b"+O")),
    broken("half a string and the end", Closes(b"$100\r\nhalf")),
    broken("the end", Closes(b"")),
    silent("half a reply and silence", b"+O"),
    silent("a whole reply but its last byte", b"+OK\r"),
    silent("half a string and silence", b"$100\r\nhalf"),
    silent("silence", b""),
];
