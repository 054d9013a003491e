//! The table of commands: name, arity and what it may touch. What they do lives in the files below.

mod expiry;
mod keys;
mod server;
mod session;
mod text;
mod transaction;

pub(crate) use self::transaction::Transaction;

use super::reply::Reply;
use super::script::split;
use super::server::Server;
use super::session::Session;
use super::tracking::Touch;
use super::view::{Args, Outcome, View, lossy};

/// What a command needs, and so who may call it.
#[derive(Clone, Copy)]
pub(crate) enum Run {
    /// Reads keys.
    Read(fn(&mut View<'_>, &Args) -> Outcome),
    /// Changes keys, or may.
    Write(fn(&mut View<'_>, &Args) -> Outcome),
    /// Touches no key.
    Plain(fn(&mut View<'_>, &Args) -> Outcome),
    /// Touches the connection or the node, and is refused inside scripts.
    Session(fn(&mut Server, &mut Session, &Args) -> Outcome),
    /// Runs a script: touches keys and is refused inside scripts.
    Script(fn(&mut Server, &mut Session, &Args) -> Outcome),
}

pub(crate) struct Command {
    pub(crate) name: &'static str,
    /// The number of words with the name; negative: at least so many.
    arity: isize,
    pub(crate) run: Run,
}

use Run::{Plain, Read, Script, Write};

const fn cmd(name: &'static str, arity: isize, run: Run) -> Command {
    Command { name, arity, run }
}

#[rustfmt::skip]
const COMMANDS: &[Command] = &[
    cmd("auth", -2, Run::Session(session::auth)),
    cmd("client", -2, Run::Session(session::client)),
    cmd("command", -1, Run::Session(server::command)),
    cmd("dbsize", 1, Read(keys::dbsize)),
    cmd("del", -2, Write(keys::del)),
    cmd("delex", 4, Write(text::delex)),
    cmd("delifeq", 3, Write(text::delifeq)),
    cmd("discard", 1, Run::Session(transaction::discard)),
    cmd("echo", 2, Plain(server::echo)),
    cmd("eval", -3, Script(Server::eval)),
    cmd("evalsha", -3, Script(Server::evalsha)),
    cmd("exec", 1, Run::Session(transaction::exec)),
    cmd("exists", -2, Read(keys::exists)),
    cmd("expire", -3, Write(expiry::expire)),
    cmd("flushall", -1, Write(keys::flushall)),
    cmd("flushdb", -1, Write(keys::flushdb)),
    cmd("get", 2, Read(text::get)),
    cmd("getrange", 4, Read(text::getrange)),
    cmd("getset", 3, Write(text::getset)),
    cmd("hello", -1, Run::Session(session::hello)),
    cmd("incr", 2, Write(text::incr)),
    cmd("info", -1, Plain(server::info)),
    cmd("keys", 2, Read(keys::keys)),
    cmd("lpush", -3, Write(text::lpush)),
    cmd("multi", 1, Run::Session(transaction::multi)),
    cmd("persist", 2, Write(expiry::persist)),
    cmd("pexpire", -3, Write(expiry::pexpire)),
    cmd("ping", -1, Plain(server::ping)),
    cmd("pttl", 2, Read(expiry::pttl)),
    cmd("quit", -1, Run::Session(session::quit)),
    cmd("scan", -2, Read(keys::scan)),
    cmd("script", -2, Run::Session(Server::script)),
    cmd("select", 2, Plain(server::select)),
    cmd("set", -3, Write(text::set)),
    cmd("setnx", 3, Write(text::setnx)),
    cmd("time", 1, Plain(server::time)),
    cmd("ttl", 2, Read(expiry::ttl)),
    cmd("type", 2, Read(keys::type_)),
];

/// Commands that some servers have and others have not.
const OPTIONAL: [&str; 2] = ["delex", "delifeq"];

impl Command {
    /// The command of this name, if a server that has `native` of the optional ones knows it.
    pub(crate) fn named(name: &[u8], native: Option<&str>) -> Option<&'static Self> {
        let named = COMMANDS.iter().find(|c| name.eq_ignore_ascii_case(c.name.as_bytes()))?;
        (!OPTIONAL.contains(&named.name) || native == Some(named.name)).then_some(named)
    }

    /// That, if it has the right number of arguments.
    pub(crate) fn find(args: &Args, native: Option<&str>) -> Result<&'static Self, String> {
        let found = Self::named(&args[0], native);
        match found {
            None => Err(unknown(args)),
            Some(command) if !command.accepts(args.len()) => {
                Err(format!("ERR wrong number of arguments for '{}' command", command.name))
            }
            Some(command) => Ok(command),
        }
    }

    fn accepts(&self, words: usize) -> bool {
        match usize::try_from(self.arity) {
            Ok(exactly) => words == exactly,
            Err(_) => words >= self.arity.unsigned_abs(),
        }
    }

    /// May be sent by a client that has not given its password.
    pub(crate) fn needs_no_password(&self) -> bool {
        ["auth", "hello", "quit"].contains(&self.name)
    }

    pub(crate) fn touches_keys(&self) -> bool {
        matches!(self.run, Read(_) | Write(_) | Script(_))
    }

    /// Runs it with no more than a view, as a script does.
    pub(crate) fn run_in(&self, view: &mut View<'_>, args: &Args) -> Outcome {
        match self.run {
            Read(run) => {
                let outcome = run(view, args);
                view.touches.push(Touch::Read);
                outcome
            }
            Write(_) if view.is_read_only => {
                Err("READONLY You can't write against a read only replica.".to_owned())
            }
            Write(run) | Plain(run) => run(view, args),
            Run::Session(_) | Script(_) => {
                Err("ERR This Redis command is not allowed from script".to_owned())
            }
        }
    }
}

/// Runs a command on behalf of a script.
pub(crate) fn run_in_script(view: &mut View<'_>, args: &Args) -> Reply {
    let known = COMMANDS.iter().find(|c| args[0].eq_ignore_ascii_case(c.name.as_bytes()));
    match known {
        None => Reply::error("ERR Unknown Redis command called from script"),
        Some(command) if !command.accepts(args.len()) => {
            Reply::error("ERR Wrong number of args calling Redis command from script")
        }
        Some(command) => command.run_in(view, args).unwrap_or_else(Reply::Error),
    }
}

/// The keys that a command or a script counts as reading, once it reads anything: of a script all those that it names.
pub(crate) fn keys_read(args: &Args) -> &Args {
    let [name, rest @ ..] = args else { return &[] };
    match name.to_ascii_lowercase().as_slice() {
        b"get" | b"pttl" | b"ttl" | b"type" | b"exists" => rest,
        b"getrange" => rest.get(..1).unwrap_or_default(),
        b"eval" | b"evalsha" => split(args).map_or(&[], |(keys, _)| keys),
        _ => &[],
    }
}

pub(crate) fn unknown(args: &Args) -> String {
    let shown: String = args[1..].iter().map(|arg| format!("'{}' ", lossy(arg))).collect();
    format!("ERR unknown command '{}', with args beginning with: {shown}", lossy(&args[0]))
}

/// The error of a container command such as CLIENT.
fn unknown_subcommand(args: &Args) -> String {
    let container = lossy(&args[0]).to_uppercase();
    format!("ERR unknown subcommand '{}'. Try {container} HELP.", lossy(&args[1]))
}

pub(crate) fn subcommand_error(args: &Args) -> Outcome {
    Err(unknown_subcommand(args))
}
