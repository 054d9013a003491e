//! The login of a connection: as whom, in which database and protocol, and what the node says to it. What comes before and
//! behind it is `session.rs`'s.

use std::error::Error as StdError;
use std::sync::Arc;

use futures::channel::oneshot;
use futures::future::BoxFuture;
use redis::{Cmd, FromRedisValue, ProtocolVersion, RedisConnectionInfo, RedisResult, Value};

use super::Shared;
use super::asked::NodeLine;
use super::refusal::login_failure;
use super::reply::unexpected;
use crate::error::{Failure, NodeErrorKind};

/// Tells the user and the password for a node; see [`Builder::credentials`](crate::Builder::credentials).
pub(crate) type AskCredentials = Arc<
    dyn Fn(&str) -> BoxFuture<'static, Result<(String, String), Box<dyn StdError + Send + Sync>>>
        + Send
        + Sync,
>;

/// As whom: what the URL says, or whoever is asked anew for every connection.
pub(super) async fn as_whom(node: &Shared) -> Result<RedisConnectionInfo, Failure> {
    let login = node.address.login.clone();
    let Some(ask) = &node.credentials else { return Ok(login) };
    // It is foreign code, and all nodes are served by one task: in one of its own it may take its time, or panic.
    let (mut told, asked) = oneshot::channel();
    let (ask, name) = (Arc::clone(ask), Arc::clone(&node.name));
    node.spawner.spawn(Box::pin(async move {
        let answer = tokio::select! {
            biased;
            answer = ask(&name) => answer,
            // It took longer than a connection may.
            () = told.cancellation() => return,
        };
        drop(told.send(answer));
    }));
    let asked = asked.await.unwrap_or_else(|_| Err("asking for credentials panicked".into()));
    let (user, password) =
        asked.map_err(|error| Failure::with_source(NodeErrorKind::Down, error))?;
    let login = match user.as_str() {
        "" if login.username().is_none() => login,
        "" => login.set_username("default"),
        user => login.set_username(user),
    };
    Ok(login.set_password(password))
}

/// Sends all of it at once, and nothing else before it is answered. Returns which protocol is spoken from then on: the newer
/// one, where it is wanted and the node knows it.
///
/// # Errors
///
/// What the node said to the first command that it refused, or how the connection broke. Never with the password.
pub(super) async fn log_in(
    line: &NodeLine,
    login: &RedisConnectionInfo,
) -> Result<ProtocolVersion, Failure> {
    let (needed, password) = (needed(login), login.password().unwrap_or_default());
    let commands: Vec<_> = needed.iter().cloned().chain(wanted(login)).collect();
    let answers = line.ask_all(&commands).await;
    let (mut spoken, mut refused) = (ProtocolVersion::RESP2, None);
    for (index, answer) in answers.into_iter().enumerate() {
        let failure = match answer.map_err(|error| login_failure(error, password)) {
            Ok(Value::Okay) => continue,
            // Only who greets back speaks the newer one.
            Ok(Value::Map(_)) => {
                spoken = ProtocolVersion::RESP3;
                continue;
            }
            Ok(other) => unexpected(&other),
            // A password before the server asks for one: it takes any, and says so.
            Err(failure) if needs_no_password(&failure) => continue,
            Err(failure) => failure,
        };
        if index < needed.len() {
            return Err(failure);
        }
        match failure.kind() {
            // One that is full says so to the first command, whichever it is, and hangs up.
            NodeErrorKind::Disconnected => return Err(refused.unwrap_or(failure)),
            NodeErrorKind::Refused => refused = refused.or(Some(failure)),
            // It need not know the command, nor we have the right to it.
            _ => {}
        }
    }
    Ok(spoken)
}

/// What a server without a password says to one: since 6.0, and before.
fn needs_no_password(failure: &Failure) -> bool {
    let said = failure.reason();
    ["without any password configured", "but no password is set"]
        .iter()
        .any(|end| said.contains(end))
}

/// What has to be accepted.
fn needed(login: &RedisConnectionInfo) -> Vec<Cmd> {
    let credentials = login.password().map(|password| (login.username(), password));
    let mut commands = Vec::new();
    match credentials {
        Some((Some(user), password)) => commands.push(words(&["AUTH", user, password])),
        Some((None, password)) => commands.push(words(&["AUTH", password])),
        None => {}
    }
    if login.db() != 0 {
        commands.push(words(&["SELECT", &login.db().to_string()]));
    }
    commands
}

/// What need not: the newer protocol, and what `CLIENT LIST` shows of us.
fn wanted(login: &RedisConnectionInfo) -> Vec<Cmd> {
    let newer = (login.protocol() == ProtocolVersion::RESP3).then(|| words(&["HELLO", "3"]));
    newer.into_iter().chain(shown()).collect()
}

/// What `CLIENT LIST` shows of us, on servers that know it.
fn shown() -> [Cmd; 2] {
    [("LIB-NAME", env!("CARGO_PKG_NAME")), ("LIB-VER", env!("CARGO_PKG_VERSION"))]
        .map(|(what, value)| words(&["CLIENT", "SETINFO", what, value]))
}

pub(super) fn words(words: &[&str]) -> Cmd {
    let mut command = Cmd::new();
    words.iter().for_each(|word| {
        command.arg(*word);
    });
    command
}

/// What a node does not want to say (no right, an old version) is left out.
pub(super) fn read<T: FromRedisValue>(answer: &RedisResult<Value>) -> Option<T> {
    answer.as_ref().ok().and_then(|value| T::from_redis_value_ref(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(login: RedisConnectionInfo) -> Vec<String> {
        let packed = |command: &Cmd| String::from_utf8(command.get_packed_command()).unwrap();
        let words =
            |packed: &String| packed.split("\r\n").skip(2).step_by(2).collect::<Vec<_>>().join(" ");
        needed(&login).iter().map(packed).map(|packed| words(&packed)).collect()
    }

    #[test]
    fn only_what_is_needed_has_to_be_accepted() {
        let login = RedisConnectionInfo::default;
        assert_eq!(said(login()), [""; 0]);
        assert_eq!(said(login().set_password("p")), ["AUTH p"]);
        assert_eq!(said(login().set_username("u").set_password("p")), ["AUTH u p"]);
        assert_eq!(said(login().set_password("p").set_db(3)), ["AUTH p", "SELECT 3"]);
    }
}
