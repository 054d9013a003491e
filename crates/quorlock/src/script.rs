//! Questions as commands: the scripts, their hashes, and which question needs which. Replies live in `redis_node`.

use std::sync::LazyLock;

use redis::{Cmd, Script};

use crate::node::{Question, Verb};

static ACQUIRE: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("lua/acquire.lua")));
static EXTEND: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("lua/extend.lua")));
static REPAIR: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("lua/repair.lua")));
static RELEASE: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("lua/release.lua")));

struct Lua {
    text: &'static str,
    hash: String,
}

impl Lua {
    fn new(text: &'static str) -> Self {
        Self { text, hash: Script::new(text).get_hash().to_owned() }
    }
}

/// The texts of all scripts, to be loaded on every new connection so that `EVALSHA` finds them.
pub(crate) fn texts() -> [&'static str; 4] {
    [ACQUIRE.text, EXTEND.text, REPAIR.text, RELEASE.text]
}

/// The script that asks `question`; one resource is acquired without.
fn lua(question: &Question) -> Option<&'static Lua> {
    match question.verb {
        Verb::Acquire if question.keys.as_slice().len() == 1 => None,
        Verb::Acquire => Some(&ACQUIRE),
        Verb::Extend => Some(&EXTEND),
        Verb::Repair => Some(&REPAIR),
        Verb::Release | Verb::Undo => Some(&RELEASE),
    }
}

/// Whether the answer to `question` is that of a script.
pub(crate) fn is_by_script(question: &Question) -> bool {
    lua(question).is_some()
}

/// How a question is put to the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The server's own compare-and-delete: a release of one resource, where the server has such a command.
    Native(Delete),
    /// `EVALSHA`: the node is expected to know it. For an acquire of one resource, `SET NX`.
    Hash,
    /// `EVAL`: the node said `NOSCRIPT`; this loads it too.
    Text,
}

/// A server's own compare-and-delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delete {
    /// `DELEX key IFEQ token`: Redis since 8.4.
    Delex,
    /// `DELIFEQ key token`: Valkey since 9.0.
    Delifeq,
}

impl Delete {
    /// All of them, in the order of [`COMMANDS`](Self::COMMANDS).
    pub(crate) const ALL: [Self; 2] = [Self::Delex, Self::Delifeq];
    /// What a server is asked about, to see which it has.
    pub(crate) const COMMANDS: [&str; 2] = ["DELEX", "DELIFEQ"];
}

impl Form {
    /// The form in which `question` is put first, on a server with `native`.
    pub(crate) fn first(question: &Question, native: Option<Delete>) -> Self {
        match native {
            Some(delete) if question.verb == Verb::Release && question.keys().len() == 1 => {
                Self::Native(delete)
            }
            _ => Self::Hash,
        }
    }

    /// The form for a node that did nothing in this one.
    pub(crate) fn next(self) -> Self {
        match self {
            Self::Native(_) => Self::Hash,
            Self::Hash | Self::Text => Self::Text,
        }
    }

    pub(crate) fn is_native(self) -> bool {
        matches!(self, Self::Native(_))
    }
}

/// Whether a node that says `NOSCRIPT` to this can be sent the text.
pub(crate) fn has_text(question: &Question, form: Form) -> bool {
    form == Form::Hash && lua(question).is_some()
}

/// The one command that asks `question`.
pub(crate) fn command(question: &Question, form: Form) -> Cmd {
    let token = question.token.as_str();
    if let Form::Native(delete) = form {
        let mut command = Cmd::with_capacity(4, 64 + token.len());
        match delete {
            Delete::Delex => command.arg("DELEX").arg(question.keys()).arg("IFEQ").arg(token),
            Delete::Delifeq => command.arg("DELIFEQ").arg(question.keys()).arg(token),
        };
        return command;
    }
    let ttl = question.ttl.as_millis().to_string();
    let Some(script) = lua(question) else {
        let mut set = Cmd::with_capacity(6, 64 + token.len());
        set.arg("SET").arg(question.keys.as_slice()).arg(token).arg("NX").arg("PX").arg(ttl);
        return set;
    };
    let mut eval = Cmd::new();
    match form {
        Form::Text => eval.arg("EVAL").arg(script.text),
        Form::Hash | Form::Native(_) => eval.arg("EVALSHA").arg(&script.hash),
    };
    eval.arg(question.keys.as_slice().len()).arg(question.keys.as_slice()).arg(token);
    if !question.is_release() {
        eval.arg(ttl);
    }
    eval
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::resources::Keys;
    use crate::token::Token;

    fn ask(verb: Verb, resources: &[&str]) -> Question {
        Question {
            verb,
            keys: Keys::parse(resources.into(), "").unwrap(),
            token: Arc::new(Token::new(Uuid::nil(), [1; 16])),
            ttl: Duration::from_secs(10),
            time_limit: Duration::from_millis(500),
        }
    }

    fn words(question: &Question, form: Form) -> Vec<String> {
        let cmd = command(question, form);
        let packed = String::from_utf8(cmd.get_packed_command()).unwrap();
        packed.split("\r\n").skip(2).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn one_resource_is_taken_by_the_published_command() {
        let question = ask(Verb::Acquire, &["a"]);
        let token = question.token.as_str().to_owned();
        assert_eq!(words(&question, Form::Hash), ["SET", "a", &token, "NX", "PX", "10000"]);
    }

    #[test]
    fn several_resources_are_taken_by_one_script_call() {
        let words = words(&ask(Verb::Acquire, &["b", "a"]), Form::Hash);
        assert_eq!(words[0], "EVALSHA");
        assert_eq!(words[2..5], ["2", "a", "b"]);
        assert_eq!(words.last().unwrap(), "10000");
    }

    #[test]
    fn a_release_carries_no_ttl() {
        let question = ask(Verb::Release, &["a"]);
        assert_eq!(words(&question, Form::Hash).last().unwrap(), question.token.as_str());
    }

    #[test]
    fn a_held_lock_on_one_resource_is_released_natively_where_the_server_can() {
        let question = ask(Verb::Release, &["a"]);
        let token = question.token.as_str().to_owned();
        let form = |delete| Form::first(&question, Some(delete));
        assert_eq!(words(&question, form(Delete::Delex)), ["DELEX", "a", "IFEQ", &token]);
        assert_eq!(words(&question, form(Delete::Delifeq)), ["DELIFEQ", "a", &token]);
        assert_eq!(form(Delete::Delex).next(), Form::Hash);
        let native = Some(Delete::Delex);
        assert_eq!(Form::first(&ask(Verb::Release, &["a", "b"]), native), Form::Hash);
        assert_eq!(Form::first(&ask(Verb::Undo, &["a"]), native), Form::Hash);
        assert_eq!(Form::first(&question, None), Form::Hash);
    }

    #[test]
    fn a_node_that_does_not_know_a_script_is_sent_its_text() {
        let cmd = command(&ask(Verb::Extend, &["a"]), Form::Text);
        let packed = String::from_utf8(cmd.get_packed_command()).unwrap();
        assert!(packed.contains("EVAL") && packed.contains("PEXPIRE"));
        assert!(!packed.contains("EVALSHA"));
    }
}
