//! Questions as commands: the scripts, their hashes, and which question needs which. Replies live in `redis_node`.

use std::cell::RefCell;
use std::sync::{Arc, LazyLock};
use std::thread::LocalKey;
use std::time::Duration;

use redis::{Cmd, Script};

use crate::fencing::{counter_of, retention};
use crate::membership::{Assertion, Durability};
use crate::node::{Fence, Mode, Question, Verb};
use crate::token::Token;

static ACQUIRE: LazyLock<Lua> = LazyLock::new(|| Lua::new(text::ACQUIRE));
static ACQUIRE_FENCED: LazyLock<Lua> = LazyLock::new(|| Lua::new(text::ACQUIRE_FENCED));
static CERTIFY: LazyLock<Lua> = LazyLock::new(|| Lua::new(text::CERTIFY));
static EXTEND: LazyLock<Lua> = LazyLock::new(|| Lua::new(text::EXTEND));
static REPAIR: LazyLock<Lua> = LazyLock::new(|| Lua::new(text::REPAIR));
static RELEASE: LazyLock<Lua> = LazyLock::new(|| Lua::new(text::RELEASE));
static RELEASE_TOGETHER: LazyLock<Lua> = LazyLock::new(|| Lua::new(text::RELEASE_TOGETHER));
static JOIN: LazyLock<Lua> = LazyLock::new(|| Lua::new(text::JOIN));

/// The scripts as they are sent.
pub mod text {
    macro_rules! comparing {
        ($file:literal) => {
            concat!(include_str!("lua/common.lua"), include_str!($file))
        };
    }

    /// Takes every key, or none.
    pub const ACQUIRE: &str = include_str!("lua/acquire.lua");
    /// The same, with fence counters.
    pub const ACQUIRE_FENCED: &str =
        concat!(include_str!("lua/acquire_fenced_one.lua"), comparing!("lua/acquire_fenced.lua"));
    /// Raises fence counters.
    pub const CERTIFY: &str = comparing!("lua/certify.lua");
    /// Prolongs every key, or none.
    pub const EXTEND: &str = comparing!("lua/extend.lua");
    /// Sets again what a node has lost.
    pub const REPAIR: &str = comparing!("lua/repair.lua");
    /// Compares and deletes.
    pub const RELEASE: &str =
        concat!(include_str!("lua/release_one.lua"), comparing!("lua/release.lua"));
    /// The same for several locks.
    pub const RELEASE_TOGETHER: &str = include_str!("lua/release_together.lua");
    /// Looks at the node before it votes, and writes its marker.
    pub const JOIN: &str = include_str!("lua/join.lua");
    /// Makes a brand-new node vote at once.
    pub const BOOTSTRAP: &str = include_str!("lua/bootstrap.lua");
}

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
pub(crate) fn texts() -> [&'static str; 8] {
    use text::{ACQUIRE, ACQUIRE_FENCED, CERTIFY, EXTEND, JOIN, RELEASE, RELEASE_TOGETHER, REPAIR};
    [ACQUIRE, ACQUIRE_FENCED, CERTIFY, EXTEND, REPAIR, RELEASE, RELEASE_TOGETHER, JOIN]
}

/// The marker, to be compared by every acquire: where the connection is not told of its changes.
#[derive(Clone, Debug)]
pub(crate) struct Compared {
    pub(crate) marker: String,
    pub(crate) value: String,
}

/// `EVALSHA`, or with [`Form::Text`] `EVAL`, of the script that joins a node.
pub(crate) fn join(form: Form, assertion: &Assertion) -> Cmd {
    let mut eval = Cmd::new();
    call(&mut eval, &JOIN, form);
    let durable = match assertion.durability {
        Durability::MayForget => "",
        Durability::AllOrNothing => "durable",
    };
    named(&mut eval, assertion).arg(durable);
    eval
}

/// `EVAL` of the script that makes a brand-new node vote, on its database number `db`.
pub(crate) fn bootstrap(mode: Mode, assertion: &Assertion, db: i64) -> Cmd {
    let mut eval = Cmd::new();
    eval.arg("EVAL").arg(text::BOOTSTRAP);
    named(&mut eval, assertion).arg(db).arg(if mode == Mode::Look { "look" } else { "" });
    eval
}

fn named<'a>(eval: &'a mut Cmd, assertion: &Assertion) -> &'a mut Cmd {
    let max_ttl = millis(assertion.max_ttl);
    eval.arg(1).arg(&assertion.marker).arg(assertion.nodes.to_string()).arg(max_ttl)
}

fn call(cmd: &mut Cmd, script: &Lua, form: Form) {
    if form == Form::Text {
        cmd.arg("EVAL").arg(script.text);
    } else {
        cmd.arg("EVALSHA").arg(&script.hash);
    }
}

/// Whole ones; no TTL and no retention has more than fit.
fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

thread_local! {
    /// Where each thread puts its commands together: two allocations less for each.
    static BUILDER: RefCell<Cmd> = RefCell::new(Cmd::new());
    static TOGETHER: RefCell<Together> = RefCell::default();
}

/// The script that asks `question`; one resource is acquired without, unless it is fenced or the marker is `compared`.
fn lua(question: &Question, compared: Option<&Compared>) -> Option<&'static Lua> {
    match question.verb {
        Verb::Acquire if question.fence.is_some() => Some(&ACQUIRE_FENCED),
        Verb::Acquire if question.keys.as_slice().len() == 1 && compared.is_none() => None,
        Verb::Acquire => Some(&ACQUIRE),
        Verb::Certify => Some(&CERTIFY),
        Verb::Extend => Some(&EXTEND),
        Verb::Repair => Some(&REPAIR),
        Verb::Release | Verb::Undo => Some(&RELEASE),
    }
}

/// Whether the answer to `question` is that of a script.
pub(crate) fn is_by_script(question: &Question, compared: Option<&Compared>) -> bool {
    lua(question, compared).is_some()
}

/// How a question is put to the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The server's own compare-and-delete: a plain release, where the server has such a command.
    Native(Delete),
    /// `EVALSHA` for all plain releases that go out at once; for one alone it is [`Form::Hash`].
    Together,
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
    pub(crate) const ALL: [Self; 2] = [Self::Delex, Self::Delifeq];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Delex => "DELEX",
            Self::Delifeq => "DELIFEQ",
        }
    }
}

impl Form {
    /// The form in which plain releases are put first, on a server with `native`.
    pub(crate) fn plain_release(native: Option<Delete>) -> Self {
        native.map_or(Self::Together, Self::Native)
    }

    /// The form in which `question` is put first, where plain releases are in that one.
    pub(crate) fn first(question: &Question, plain_release: Self) -> Self {
        if is_plain_release(question) { plain_release } else { Self::Hash }
    }

    /// The form for a node that did nothing in this one.
    pub(crate) fn next(self) -> Self {
        match self {
            Self::Native(_) | Self::Together => Self::Hash,
            Self::Hash | Self::Text => Self::Text,
        }
    }

    /// The form of plain releases on a server that refuses this one.
    pub(crate) fn instead(self) -> Self {
        if self.is_native() { Self::Together } else { Self::Hash }
    }

    /// The form for one that is asked by itself.
    pub(crate) fn alone(self) -> Self {
        if self == Self::Together { Self::Hash } else { self }
    }

    pub(crate) fn is_native(self) -> bool {
        matches!(self, Self::Native(_))
    }
}

/// Whether it is that of a held lock on one resource, without fencing.
fn is_plain_release(question: &Question) -> bool {
    question.verb == Verb::Release && question.keys().len() == 1 && question.fence.is_none()
}

fn sets_a_ttl(verb: Verb) -> bool {
    matches!(verb, Verb::Acquire | Verb::Extend | Verb::Repair)
}

/// Whether a node that says `NOSCRIPT` to this can be sent the text.
pub(crate) fn has_text(question: &Question, form: Form, compared: Option<&Compared>) -> bool {
    form == Form::Hash && is_by_script(question, compared)
}

/// The one command that asks `question`; an acquire, only where the marker is as `compared`.
fn write(cmd: &mut Cmd, question: &Question, form: Form, compared: Option<&Compared>) {
    let token = &question.token.bytes()[..];
    if let Form::Native(delete) = form {
        cmd.arg(delete.name()).arg(question.keys());
        if delete == Delete::Delex {
            cmd.arg("IFEQ");
        }
        cmd.arg(token);
        return;
    }
    let ttl = millis(question.ttl);
    let compared = compared.filter(|_| question.verb == Verb::Acquire);
    let Some(script) = lua(question, compared) else {
        cmd.arg("SET").arg(question.keys.as_slice()).arg(token).arg("NX").arg("PX").arg(ttl);
        return;
    };
    call(cmd, script, form);
    let keys = question.keys.as_slice();
    let counters: Vec<String> = match question.fence {
        Some(_) => keys.iter().map(|key| counter_of(key)).collect(),
        None => Vec::new(),
    };
    let marker = compared.map(|compared| &compared.marker);
    cmd.arg(keys.len() + counters.len() + usize::from(marker.is_some()));
    cmd.arg(keys).arg(counters).arg(marker).arg(token);
    if sets_a_ttl(question.verb) {
        cmd.arg(ttl);
    }
    match question.fence {
        None => {}
        Some(Fence::Count(number) | Fence::Lift(number)) => {
            cmd.arg(number);
        }
        Some(Fence::Raise { granted, to }) => {
            cmd.arg(granted).arg(to);
        }
    }
    if question.fence.is_some() {
        cmd.arg(millis(retention(question.ttl)));
    }
    cmd.arg(compared.map(|compared| &compared.value));
}

/// Adds the same to `out` as bytes: packed once for all nodes, but for those whose form is not the usual one.
pub(crate) fn pack(
    question: &Question,
    form: Form,
    compared: Option<&Compared>,
    out: &mut Vec<u8>,
) {
    let write = |cmd: &mut Cmd| {
        cmd.clear();
        write(cmd, question, form, compared);
        cmd.get_packed_command()
    };
    match (form, compared) {
        (Form::Hash, None) => {
            out.extend_from_slice(question.packed.get_or_pack(|| with_own(&BUILDER, write)));
        }
        _ => out.extend_from_slice(&with_own(&BUILDER, write)),
    }
}

/// Adds the one command that asks `releases` together, all of them plain: packed once for all nodes that are asked for the same
/// ones, one after the other, on one thread.
pub(crate) fn pack_together<'a>(
    releases: impl ExactSizeIterator<Item = &'a Question> + Clone,
    out: &mut Vec<u8>,
) {
    let pack = |last: &mut Together| out.extend_from_slice(last.bytes_of(releases.clone()));
    with_own(&TOGETHER, pack);
}

/// What is kept of the room for it.
const KEPT_BYTES: usize = 16 << 10;

/// The command of the releases that went together last.
#[derive(Default)]
struct Together {
    /// Theirs, in order: a token is that of one lock, so of one key.
    tokens: Vec<Arc<Token>>,
    /// Of the same, once they are noted.
    bytes: Vec<u8>,
}

impl Together {
    fn bytes_of<'a>(
        &mut self,
        releases: impl ExactSizeIterator<Item = &'a Question> + Clone,
    ) -> &[u8] {
        let tokens = || releases.clone().map(|release| &release.token);
        let is_it = releases.len() == self.tokens.len()
            && self.tokens.iter().zip(tokens()).all(|(one, other)| Arc::ptr_eq(one, other));
        if !is_it {
            self.tokens.clear();
            self.bytes.clear();
            self.bytes.shrink_to(KEPT_BYTES);
            with_own(&BUILDER, |cmd| {
                cmd.clear();
                call(cmd, &RELEASE_TOGETHER, Form::Together);
                cmd.arg(releases.len());
                for release in releases.clone() {
                    cmd.arg(release.keys());
                }
                for token in tokens() {
                    cmd.arg(&token.bytes()[..]);
                }
                cmd.write_packed_command(&mut self.bytes);
            });
            self.tokens.extend(tokens().map(Arc::clone));
        }
        &self.bytes
    }
}

/// With what is this thread's own.
fn with_own<T: Default, R>(
    own: &'static LocalKey<RefCell<T>>,
    mut work: impl FnMut(&mut T) -> R,
) -> R {
    // A guard may be dropped by a thread that ends, when there is none any more.
    own.try_with(|own| work(&mut own.borrow_mut())).unwrap_or_else(|_| work(&mut T::default()))
}

#[cfg(test)]
mod tests;
