//! Opening one connection: stream, login, and who both ends are. What is asked on it, and when it ends, is `mod.rs`'s.

use std::error::Error as StdError;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::{BoxFuture, Either, join_all, select};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, FromRedisValue, RedisConnectionInfo, RedisResult, Value};

use super::Shared;
use super::meter::Metered;
use super::reply::failure;
use super::wire::Abort;
use crate::error::{Failure, NodeErrorKind};
use crate::script::{self, Delete};

/// The driver's queue (`mod.rs`, invariant 4); it takes memory only for what is in it.
const NEVER_FULL: usize = 1 << 24;

/// Tells the user and the password for a node; see [`Builder::credentials`](crate::Builder::credentials).
pub(crate) type AskCredentials = Arc<
    dyn Fn(&str) -> BoxFuture<'static, Result<(String, String), Box<dyn StdError + Send + Sync>>>
        + Send
        + Sync,
>;

/// A connection that has logged in and is ready for questions.
pub(super) struct Opened {
    pub(super) connection: MultiplexedConnection,
    /// Does the reading and writing; the connection is closed when it is dropped.
    pub(super) driver: BoxFuture<'static, ()>,
    pub(super) identity: Identity,
    /// The connection before this one may still deliver commands.
    pub(super) old_left: bool,
    /// The server's own compare-and-delete, if it has one.
    pub(super) native: Option<Delete>,
}

/// Who served a connection, and as what: enough to close it from a later one.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    run_id: Option<String>,
    client: Option<i64>,
}

/// Opens a connection and makes sure that `previous` delivers nothing any more.
///
/// # Errors
///
/// The stream, the login, or a handshake that broke off.
pub(super) async fn open(
    node: &Shared,
    previous: Option<&Identity>,
    abort: Abort,
) -> Result<Opened, Failure> {
    let wire = node.connector.connect(node.address.server.clone(), abort).await;
    let wire = wire.map_err(|error| Failure::with_source(NodeErrorKind::Down, error))?;
    let wire = Metered::new(wire);
    // The rounds have time limits of their own; the driver's would only leave a reply unread.
    let config = AsyncConnectionConfig::new()
        .set_response_timeout(None)
        .set_connection_timeout(None)
        .set_pipeline_buffer_size(NEVER_FULL);
    let login = login(node).await?;
    let opened = MultiplexedConnection::new_with_config(&login, wire, config).await;
    let (connection, driver) = opened.map_err(failure)?;
    let driver: BoxFuture<'static, ()> = Box::pin(driver);

    let introduced = Box::pin(introduce(connection.clone(), &node.client_name, previous));
    match select(driver, introduced).await {
        Either::Left(_) => Err(NodeErrorKind::Disconnected.into()),
        Either::Right((Introduced { identity, old_left, native }, driver)) => {
            Ok(Opened { connection, driver, identity, old_left, native })
        }
    }
}

/// As whom: what the URL says, or whoever is asked anew for every connection.
async fn login(node: &Shared) -> Result<RedisConnectionInfo, Failure> {
    let login = node.address.login.clone();
    let Some(ask) = &node.credentials else { return Ok(login) };
    // It is foreign code, and who waits for a connection waits for it: a panic must not end the task that connects.
    let asked = AssertUnwindSafe(async { ask(&node.name).await }).catch_unwind().await;
    let asked = asked.unwrap_or_else(|_| Err("asking for credentials panicked".into()));
    let (user, password) =
        asked.map_err(|error| Failure::with_source(NodeErrorKind::Down, error))?;
    let login = match user.as_str() {
        "" if login.username().is_none() => login,
        "" => login.set_username("default"),
        user => login.set_username(user),
    };
    Ok(login.set_password(password))
}

/// Names the connection, loads the scripts, learns who both ends are, and kills the old connection where it is the same
/// server process: client ids start again after a restart (safety.md H5).
async fn introduce(
    connection: MultiplexedConnection,
    client_name: &str,
    previous: Option<&Identity>,
) -> Introduced {
    let mut commands = vec![
        words(&["CLIENT", "SETNAME", client_name]),
        words(&["INFO", "server"]),
        words(&["CLIENT", "ID"]),
        words(&["COMMAND", "INFO", Delete::COMMANDS[0], Delete::COMMANDS[1]]),
    ];
    commands.extend(script::texts().map(|text| words(&["SCRIPT", "LOAD", text])));
    let answers = join_all(commands.iter().map(|cmd| ask(&connection, cmd))).await;
    let identity = Identity {
        run_id: read::<String>(&answers[1]).and_then(|info| run_id(&info)),
        client: read(&answers[2]),
    };
    let old_left = match previous {
        None => false,
        Some(Identity { run_id: Some(old), .. })
            if identity.run_id.as_ref().is_some_and(|new| new != old) =>
        {
            false
        }
        Some(Identity { client: Some(old), .. }) if identity.run_id.is_some() => {
            let kill = words(&["CLIENT", "KILL", "ID", &old.to_string()]);
            read::<i64>(&ask(&connection, &kill).await).is_none()
        }
        Some(_) => true,
    };
    Introduced { identity, old_left, native: native(&answers[3]) }
}

/// What both ends know of each other.
struct Introduced {
    identity: Identity,
    old_left: bool,
    native: Option<Delete>,
}

/// Which of the commands the server has: versions tell nothing, since servers count them differently.
fn native(answer: &RedisResult<Value>) -> Option<Delete> {
    let Ok(Value::Array(infos)) = answer else { return None };
    let known = Delete::ALL.into_iter().zip(infos);
    known.into_iter().find(|(_, info)| matches!(info, Value::Array(_))).map(|(delete, _)| delete)
}

async fn ask(connection: &MultiplexedConnection, cmd: &Cmd) -> RedisResult<Value> {
    connection.clone().send_packed_command(cmd).await?.extract_error()
}

/// What a node does not want to say (no right, an old version) is left out.
fn read<T: FromRedisValue>(answer: &RedisResult<Value>) -> Option<T> {
    answer.as_ref().ok().and_then(|value| T::from_redis_value_ref(value).ok())
}

fn words(words: &[&str]) -> Cmd {
    let mut cmd = Cmd::new();
    words.iter().for_each(|word| {
        cmd.arg(*word);
    });
    cmd
}

fn run_id(info: &str) -> Option<String> {
    info.lines().find_map(|line| line.strip_prefix("run_id:")).map(|id| id.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_run_id_is_found_in_info() {
        assert_eq!(run_id("# Server\r\nrun_id:0a1b\r\ntcp_port:1\r\n").as_deref(), Some("0a1b"));
        assert_eq!(run_id("# Server\r\n"), None);
    }
}
