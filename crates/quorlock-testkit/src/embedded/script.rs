//! EVAL, EVALSHA and SCRIPT: Lua 5.1 with the server's conversions and error texts. Scripts are run as given.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

use mlua::chunk::ChunkMode;
use mlua::{Function, Lua, LuaOptions, LuaString, MultiValue, StdLib, Table, Value};

use super::command::{run_in_script, subcommand_error};
use super::reply::Reply;
use super::server::Server;
use super::session::Session;
use super::view::{Args, Outcome, SYNTAX, View, integer, lossy};

/// Makes Lua call the script by the name that the server uses in errors.
const CHUNK: &str = "@user_script";

const SHA_LENGTH: usize = 40;

/// More texts than this are compiled again when they are needed.
const MOST_COMPILED: usize = 256;

thread_local! {
    /// Scripts see nothing of one another, so all nodes of a thread share an interpreter: starting one takes longer than
    /// most tests.
    static ENGINE: RefCell<Engine> = RefCell::new(Engine::start());
}

/// The script cache of a node: texts by their names.
#[derive(Default)]
pub(crate) struct Scripts {
    texts: BTreeMap<String, Vec<u8>>,
}

struct Engine {
    lua: Lua,
    /// See `prelude.lua`.
    run: Function,
    compiled: BTreeMap<String, Function>,
}

impl fmt::Debug for Scripts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.texts.keys()).finish()
    }
}

impl Server {
    pub(crate) fn eval(&mut self, session: &mut Session, args: &Args) -> Outcome {
        let (keys, argv) = split(args)?;
        let (scripts, mut view) = self.stage(session);
        let sha = scripts.load(&args[1])?;
        Ok(scripts.run(&sha, keys, argv, &mut view))
    }

    pub(crate) fn evalsha(&mut self, session: &mut Session, args: &Args) -> Outcome {
        let missing = || "NOSCRIPT No matching script. Please use EVAL.".to_owned();
        let sha = lossy(&args[1]).to_lowercase();
        if sha.len() != SHA_LENGTH {
            return Err(missing());
        }
        let (keys, argv) = split(args)?;
        let (scripts, mut view) = self.stage(session);
        if !scripts.texts.contains_key(&sha) {
            return Err(missing());
        }
        Ok(scripts.run(&sha, keys, argv, &mut view))
    }

    pub(crate) fn script(&mut self, _: &mut Session, args: &Args) -> Outcome {
        match (args[1].to_ascii_uppercase().as_slice(), &args[2..]) {
            (b"LOAD", [body]) => self.scripts.load(body).map(Reply::bulk),
            (b"EXISTS", shas @ [_, ..]) => {
                let known =
                    |sha: &Vec<u8>| self.scripts.texts.contains_key(&lossy(sha).to_lowercase());
                Ok(Reply::Array(shas.iter().map(|sha| Reply::Int(i64::from(known(sha)))).collect()))
            }
            (b"FLUSH", how) => {
                let known =
                    |word: &Vec<u8>| ["sync", "async"].contains(&&*lossy(word).to_lowercase());
                if how.len() > 1 || !how.iter().all(known) {
                    return Err("ERR SCRIPT FLUSH only support SYNC|ASYNC option".to_owned());
                }
                self.scripts.flush();
                Ok(Reply::ok())
            }
            (b"LOAD" | b"EXISTS", _) => Err(SYNTAX.to_owned()),
            _ => subcommand_error(args),
        }
    }
}

/// The keys and the other arguments of EVAL.
pub(crate) fn split(args: &Args) -> Result<(&Args, &Args), String> {
    let given = &args[3..];
    let count = integer(&args[2])?;
    let count = usize::try_from(count).map_err(|_| "ERR Number of keys can't be negative")?;
    if count > given.len() {
        return Err("ERR Number of keys can't be greater than number of args".to_owned());
    }
    Ok(given.split_at(count))
}

impl Scripts {
    pub(crate) fn flush(&mut self) {
        self.texts.clear();
    }

    /// Notes a script that can be compiled; gives its name.
    fn load(&mut self, text: &[u8]) -> Result<String, String> {
        let sha = sha1_smol::Sha1::from(text).digest().to_string();
        if !self.texts.contains_key(&sha) {
            let compiled = ENGINE.with_borrow_mut(|engine| engine.compile(&sha, text).map(drop));
            compiled.map_err(|error| compile_error(&error))?;
            self.texts.insert(sha.clone(), text.to_vec());
        }
        Ok(sha)
    }

    fn run(&self, sha: &str, keys: &Args, argv: &Args, view: &mut View<'_>) -> Reply {
        let ended = ENGINE.with_borrow_mut(|engine| {
            let script = engine.compile(sha, &self.texts[sha])?;
            engine.run(&script, keys, argv, view)
        });
        match ended {
            Ok(Ended::Well(reply)) => reply,
            Ok(Ended::Badly { text, line }) => {
                Reply::Error(format!("{text} script: {sha}, on @user_script:{line}."))
            }
            Err(error) => Reply::Error(format!("ERR {error}")),
        }
    }
}

fn compile_error(error: &mlua::Error) -> String {
    let text = match error {
        mlua::Error::SyntaxError { message, .. } => message.clone(),
        other => other.to_string(),
    };
    format!("ERR Error compiling script (new function): {text}")
}

enum Ended {
    Well(Reply),
    Badly { text: String, line: usize },
}

impl Engine {
    fn start() -> Self {
        Self::try_start().expect("the interpreter and its prelude are built in")
    }

    fn try_start() -> mlua::Result<Self> {
        let libraries = StdLib::STRING | StdLib::TABLE | StdLib::MATH;
        let lua = Lua::new_with(libraries, LuaOptions::default())?;
        let line = lua.create_function(|lua, ()| Ok(line_of_script(lua)))?;
        let sha1 = lua.create_function(|_, text: LuaString| {
            Ok(sha1_smol::Sha1::from(text.as_bytes().as_ref()).digest().to_string())
        })?;
        let raised = lua.create_function(|_, problem: Value| Ok(raised(&problem)))?;
        let prelude = lua.load(include_str!("prelude.lua")).set_name("=prelude");
        let run = prelude.call((line, sha1, lua.create_function(raising)?, raised))?;
        Ok(Self { lua, run, compiled: BTreeMap::new() })
    }

    fn compile(&mut self, sha: &str, text: &[u8]) -> mlua::Result<Function> {
        if let Some(function) = self.compiled.get(sha) {
            return Ok(function.clone());
        }
        let chunk = self.lua.load(text).set_name(CHUNK).set_mode(ChunkMode::Text);
        let function = chunk.into_function()?;
        if self.compiled.len() == MOST_COMPILED {
            self.compiled.clear();
        }
        self.compiled.insert(sha.to_owned(), function.clone());
        Ok(function)
    }

    fn run(
        &self,
        script: &Function,
        keys: &Args,
        argv: &Args,
        view: &mut View<'_>,
    ) -> mlua::Result<Ended> {
        let strings = |words: &Args| {
            let strings = words.iter().map(|word| self.lua.create_string(word));
            self.lua.create_sequence_from(strings.collect::<mlua::Result<Vec<_>>>()?)
        };
        let (keys, argv) = (strings(keys)?, strings(argv)?);
        let ended: MultiValue = self.lua.scope(|scope| {
            let commands = scope.create_function_mut(|lua, words: Vec<LuaString>| {
                let words: Vec<Vec<u8>> =
                    words.iter().map(|word| word.as_bytes().to_vec()).collect();
                to_lua(lua, run_in_script(view, &words))
            })?;
            self.run.call((commands, script, keys, argv))
        })?;
        match ended.into_vec().as_slice() {
            [Value::Boolean(true)] => Ok(Ended::Well(Reply::Nil)),
            [Value::Boolean(true), value] => Ok(Ended::Well(from_lua(value)?)),
            [_, text, line] => {
                let line = line.as_usize().unwrap_or_default();
                Ok(Ended::Badly { text: text.to_string()?, line })
            }
            _ => Err(mlua::Error::runtime("the prelude returns two or three values")),
        }
    }
}

/// The innermost line of the user's script on the stack.
fn line_of_script(lua: &Lua) -> usize {
    let line = |level| {
        lua.inspect_stack(level, |frame| {
            let own = frame.source().source.is_some_and(|source| source == CHUNK);
            own.then(|| frame.current_line()).flatten()
        })
    };
    (0..).map_while(line).flatten().next().unwrap_or_default()
}

/// An error reply on its way through Lua.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Raised(String);

fn raising(lua: &Lua, ask: Function) -> mlua::Result<Function> {
    lua.create_function(move |_, words: MultiValue| {
        let reply: Value = ask.call(words)?;
        match &reply {
            Value::Table(table) => match table.raw_get::<Option<String>>("err")? {
                Some(line) => Err(mlua::Error::external(Raised(line))),
                None => Ok(reply),
            },
            _ => Ok(reply),
        }
    })
}

fn raised(problem: &Value) -> Option<String> {
    let Value::Error(error) = problem else { return None };
    error.chain().find_map(|cause| cause.downcast_ref::<Raised>()).map(|raised| raised.0.clone())
}

fn to_lua(lua: &Lua, reply: Reply) -> mlua::Result<Value> {
    let field = |name, text: String| {
        let table = lua.create_table()?;
        table.raw_set(name, text)?;
        Ok(Value::Table(table))
    };
    match reply {
        Reply::Nil => Ok(Value::Boolean(false)),
        // A number of Lua 5.1 is a double, here and in the server.
        Reply::Int(number) => Ok(Value::Number(number as f64)),
        Reply::Bulk(bytes) => Ok(Value::String(lua.create_string(bytes)?)),
        Reply::Verbatim(text) => Ok(Value::String(lua.create_string(text)?)),
        Reply::Status(text) => field("ok", text),
        Reply::Error(line) => field("err", line),
        Reply::Array(items) => {
            let items = items.into_iter().map(|item| to_lua(lua, item));
            let items: Vec<Value> = items.collect::<mlua::Result<_>>()?;
            Ok(Value::Table(lua.create_sequence_from(items)?))
        }
        Reply::Map(_) => Err(mlua::Error::runtime("scripts speak RESP2, which has no maps")),
    }
}

fn from_lua(value: &Value) -> mlua::Result<Reply> {
    Ok(match value {
        Value::String(text) => Reply::Bulk(text.as_bytes().to_vec()),
        Value::Integer(number) => Reply::Int(*number),
        Value::Number(number) => Reply::Int(truncated(*number)),
        Value::Boolean(true) => Reply::Int(1),
        Value::Table(table) => table_to_reply(table)?,
        _ => Reply::Nil,
    })
}

fn table_to_reply(table: &Table) -> mlua::Result<Reply> {
    if let Some(line) = table.raw_get::<Option<LuaString>>("err")? {
        return Ok(Reply::Error(lossy(&line.as_bytes())));
    }
    if let Some(text) = table.raw_get::<Option<LuaString>>("ok")? {
        return Ok(Reply::Status(lossy(&text.as_bytes())));
    }
    let mut items = Vec::new();
    for index in 1.. {
        match table.raw_get::<Value>(index)? {
            Value::Nil => break,
            value => items.push(from_lua(&value)?),
        }
    }
    Ok(Reply::Array(items))
}

/// As the server's C does it: what does not fit becomes the smallest number.
fn truncated(number: f64) -> i64 {
    let fits = number >= i64::MIN as f64 && number < i64::MAX as f64;
    if fits { number as i64 } else { i64::MIN }
}
