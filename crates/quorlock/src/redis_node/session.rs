//! Opening one connection: stream, login, and who both ends are. What is asked on it, and when it ends, is `mod.rs`'s; what
//! is said at the login, `login.rs`'s; how the node is joined, `join.rs`'s.

use std::convert::Infallible;
use std::sync::Arc;

use futures::future::{BoxFuture, Either, join_all, select};
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, ProtocolVersion, PushInfo, RedisConnectionInfo, RedisResult, Value,
};

use super::Shared;
use super::join::{Joined, Watch};
use super::last_words::LastWords;
use super::login::{as_whom, ask, log_in, read, words};
use super::meter::Metered;
use super::refusal::failure;
use super::wire::Abort;
use crate::error::{Failure, NodeErrorKind};
use crate::script::{self, Delete};

/// The driver's queue (`mod.rs`, invariant 4); it takes memory only for what is in it.
const NEVER_FULL: usize = 1 << 24;

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
    pub(super) watch: Arc<Watch>,
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
    let older = login.clone().set_protocol(ProtocolVersion::RESP2);
    if login.protocol() == ProtocolVersion::RESP2 {
        return meet(node, Stream::older(node, abort).await?, &older, previous).await;
    }
    match Stream::newer(node, &login, abort.clone()).await? {
        // The driver has greeted it, and said who we are.
        Ok(stream) => {
            let rest = RedisConnectionInfo::default()
                .set_protocol(ProtocolVersion::RESP3)
                .set_db(login.db());
            meet(node, stream, &rest, previous).await
        }
        // It does not know the newer protocol, or does not let us in: what it says in the older one is told.
        Err(_) => meet(node, Stream::older(node, abort).await?, &older, previous).await,
    }
}

/// A connection on which nothing was asked yet.
struct Stream {
    connection: MultiplexedConnection,
    driver: BoxFuture<'static, ()>,
    watch: Arc<Watch>,
}

impl Stream {
    /// In the protocol in which a server tells of changes. It has to be greeted by the driver, or it would not listen; that
    /// it is not greeted back is the inner error.
    async fn newer(
        node: &Shared,
        login: &RedisConnectionInfo,
        abort: Abort,
    ) -> Result<Result<Self, Failure>, Failure> {
        let watch = Arc::new(Watch::new(ProtocolVersion::RESP3));
        let heard = Arc::clone(&watch);
        let config = config().set_push_sender(move |push: PushInfo| {
            heard.hear(&push);
            Ok::<(), Infallible>(())
        });
        // No more than the greeting: of what is said to the rest the driver keeps too little.
        let greeting = login.clone().set_db(0).set_skip_set_lib_name();
        let wire = Metered::new(connect(node, abort).await?);
        let opened = MultiplexedConnection::new_with_config(&greeting, wire, config).await;
        Ok(opened.map_err(failure).map(|(connection, driver)| Self {
            connection,
            driver: Box::pin(driver),
            watch,
        }))
    }

    /// In the older one.
    async fn older(node: &Shared, abort: Abort) -> Result<Self, Failure> {
        let wire = LastWords::new(Metered::new(connect(node, abort).await?));
        let quiet = RedisConnectionInfo::default().set_skip_set_lib_name();
        let opened = MultiplexedConnection::new_with_config(&quiet, wire, config()).await;
        let (connection, driver) = opened.map_err(failure)?;
        let watch = Arc::new(Watch::new(ProtocolVersion::RESP2));
        Ok(Self { connection, driver: Box::pin(driver), watch })
    }
}

async fn connect(node: &Shared, abort: Abort) -> Result<Box<dyn super::Wire>, Failure> {
    let wire = node.connector.connect(node.address.server.clone(), abort).await;
    wire.map_err(|error| Failure::with_source(NodeErrorKind::Down, error))
}

/// The rounds have time limits of their own; the driver's would only leave a reply unread.
fn config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_response_timeout(None)
        .set_connection_timeout(None)
        .set_pipeline_buffer_size(NEVER_FULL)
}

/// Logs in with what is left to say, and learns who both ends are.
async fn meet(
    node: &Shared,
    stream: Stream,
    login: &RedisConnectionInfo,
    previous: Option<&Identity>,
) -> Result<Opened, Failure> {
    let Stream { connection, driver, watch } = stream;
    let met = Box::pin(async {
        log_in(&connection, login).await?;
        let introduced = introduce(connection.clone(), &node.client_name, previous).await;
        let joined = match &node.joining {
            None => None,
            Some(joining) => Some(joining.join(&connection, &watch, || node.clock.now()).await),
        };
        Ok((introduced, joined))
    });
    let ((introduced, joined), driver) = match select(driver, met).await {
        // What was said before the end is an answer by now, and so is the end.
        Either::Left(((), met)) => {
            let said: Result<_, Failure> = met.await;
            return Err(said.err().unwrap_or_else(|| NodeErrorKind::Disconnected.into()));
        }
        Either::Right((met, driver)) => (met?, driver),
    };
    let Introduced { identity, old_left, native } = introduced;
    Ok(Opened { connection, driver, identity, old_left, native, watch, joined })
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
        words(&[&["COMMAND", "INFO"], &Delete::ALL.map(Delete::name)[..]].concat()),
    ];
    commands.extend(script::texts().map(|text| words(&["SCRIPT", "LOAD", text])));
    let answers = join_all(commands.into_iter().map(|cmd| ask(&connection, cmd))).await;
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
            read::<i64>(&ask(&connection, kill).await).is_none()
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
