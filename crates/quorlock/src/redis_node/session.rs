//! Opening one connection: stream, login, and who both ends are. What is asked on it, and when it ends, is `mod.rs`'s; what
//! is said at the login, `login.rs`'s; how the node is joined, `join.rs`'s.

use std::sync::Arc;

use redis::{ProtocolVersion, RedisConnectionInfo, RedisResult, Value};

use super::Shared;
use super::asked::{NodeDriver, NodeLine};
use super::join::{Joined, Place};
use super::line::Driver;
use super::login::{as_whom, log_in, read, words};
use super::marker::{Ear, Watch};
use super::meter::Metered;
use super::wire::Abort;
use crate::error::{Failure, NodeErrorKind};
use crate::script::{self, Delete};

/// A connection that has logged in and is ready for questions.
pub(super) struct Opened {
    pub(super) place: Place,
    /// Does the reading and writing; the connection is closed when it is dropped.
    pub(super) driver: NodeDriver,
    pub(super) identity: Identity,
    /// The connection before this one may still deliver commands.
    pub(super) old_left: bool,
    /// The server's own compare-and-delete, if it has one.
    pub(super) native: Option<Delete>,
    /// Where nodes are joined.
    pub(super) joined: Option<Joined>,
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
    let login = as_whom(node).await?;
    match meet(node, previous, abort.clone(), &login).await {
        // Some hang up at a greeting that they do not know.
        Err(failure)
            if failure.kind() == NodeErrorKind::Disconnected
                && login.protocol() == ProtocolVersion::RESP3 =>
        {
            let older = login.set_protocol(ProtocolVersion::RESP2);
            // What it said at first says more of why.
            meet(node, previous, abort, &older).await.map_err(|_| failure)
        }
        met => met,
    }
}

/// Connects and logs in.
async fn meet(
    node: &Shared,
    previous: Option<&Identity>,
    abort: Abort,
    login: &RedisConnectionInfo,
) -> Result<Opened, Failure> {
    let wire = node.connector.connect(node.address.server.clone(), abort).await;
    let wire = wire.map_err(|error| Failure::with_source(NodeErrorKind::Down, error))?;
    let marker = node.joining.as_ref().map(|joining| joining.assertion.marker.clone());
    let watch = Arc::new(Watch::new(marker));
    let ear = Ear(Arc::clone(&watch));
    let (line, mut driver) =
        Driver::new(Metered::new(wire), node.crowd.clone(), move |push| ear.hear(&push));
    let mut met = Box::pin(async {
        let protocol = log_in(&line, login).await?;
        let introduced = introduce(&line, &node.client_name, previous).await;
        let place = Place { line: Arc::clone(&line), watch, protocol };
        let joined = match &node.joining {
            None => None,
            Some(joining) => Some(joining.join(&place, || node.clock.now()).await),
        };
        Ok((place, introduced, joined))
    });
    let (place, introduced, joined) = tokio::select! {
        biased;
        // Asks before anything is read: a server that is full says so unasked, and hangs up.
        met = &mut met => met?,
        _ = driver.answers(|_, _| ()) => {
            // What was said before the end is an answer by now, and so is the end.
            let said: Result<_, Failure> = met.await;
            return Err(said.err().unwrap_or_else(|| NodeErrorKind::Disconnected.into()));
        }
    };
    let Introduced { identity, old_left, native } = introduced;
    Ok(Opened { place, driver, identity, old_left, native, joined })
}

/// Names the connection, loads the scripts, learns who both ends are, and kills the old connection where it is the same
/// server process: client ids start again after a restart (safety.md H5).
async fn introduce(line: &NodeLine, client_name: &str, previous: Option<&Identity>) -> Introduced {
    let mut commands = vec![
        words(&["CLIENT", "SETNAME", client_name]),
        words(&["INFO", "server"]),
        words(&["CLIENT", "ID"]),
        words(&[&["COMMAND", "INFO"], &Delete::ALL.map(Delete::name)[..]].concat()),
    ];
    commands.extend(script::texts().map(|text| words(&["SCRIPT", "LOAD", text])));
    let answers = line.ask_all(&commands).await;
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
            read::<i64>(&line.ask(kill).await).is_none()
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
