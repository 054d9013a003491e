//! Connections of a node: its port, the two tasks of each client, and decoding. Commands are not run here.

use std::io;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use redis_protocol::resp2::decode;
use redis_protocol::resp2::types::OwnedFrame;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use super::reply::{Protocol, Reply};
use super::server::{Key, Server, State};
use super::session::Session;
use crate::proxy::listen::{self, Listening};
use crate::proxy::wire::{Stream, Wire, lock};

pub(crate) type Shared = Arc<Mutex<Server>>;

/// The TCP port of a node: its own for as long as the node lives, open or not.
#[derive(Debug)]
pub(crate) struct Port {
    port: listen::Port,
    listening: Option<Listening>,
}

impl Port {
    pub(crate) fn open(server: &Shared) -> io::Result<Self> {
        let (port, listening) = listen::Port::open(admitter(server))?;
        Ok(Self { port, listening: Some(listening) })
    }

    pub(crate) fn reopen(&mut self, server: &Shared) -> io::Result<()> {
        self.listening = Some(self.port.listen(admitter(server))?);
        Ok(())
    }

    pub(crate) fn close(&mut self) {
        self.listening = None;
    }

    pub(crate) fn number(&self) -> u16 {
        self.port.addr().port()
    }
}

/// Holds the node weakly: its port is part of it.
fn admitter(server: &Shared) -> impl Fn(TcpStream) + Send + 'static {
    let server: Weak<_> = Arc::downgrade(server);
    move |stream| {
        let peer = stream.peer_addr().map_or_else(|_| "gone".to_owned(), |addr| addr.to_string());
        if let Some(server) = server.upgrade() {
            admit(&server, Stream::Tcp(stream), peer);
        }
    }
}

/// Takes a new client in; says whether anybody is there.
pub(crate) fn admit(server: &Shared, stream: Stream, peer: String) -> bool {
    let wire = Wire::new(stream);
    let mut node = lock(server);
    if node.state == State::Down {
        wire.reset();
        return false;
    }
    let key = node.next_client();
    let (outbox, replies) = mpsc::unbounded_channel();
    let reader = tokio::spawn(read(Arc::clone(server), key, wire.clone())).abort_handle();
    let writer = tokio::spawn(write(Arc::clone(server), key, wire.clone(), replies)).abort_handle();
    let authenticated = node.password().is_none();
    let session = Session { id: key.1, authenticated, ..Session::default() };
    let tasks = [reader, writer];
    let client = Client { session, peer, wire, outbox: Some(outbox), open: true, tasks };
    node.clients.insert(key, client);
    true
}

type Outgoing = (Instant, Vec<u8>);

/// One connection. Dropping it closes it and ends its tasks.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) session: Session,
    pub(crate) peer: String,
    wire: Wire,
    outbox: Option<mpsc::UnboundedSender<Outgoing>>,
    /// Not closed by the client.
    pub(crate) open: bool,
    tasks: [AbortHandle; 2],
}

impl Client {
    /// Sends what follows on what was sent before.
    pub(crate) fn answer(&self, bytes: Vec<u8>, delay: Duration) {
        if let Some(outbox) = &self.outbox
            && !bytes.is_empty()
        {
            // The writer is gone only where the client is.
            let _ = outbox.send((Instant::now() + delay, bytes));
        }
    }

    /// No more replies; the writer ends the connection behind the last one.
    pub(crate) fn finish(&mut self) {
        self.outbox = None;
    }

    pub(crate) fn reset(self) {
        self.wire.reset();
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        self.wire.close();
    }
}

async fn read(server: Shared, key: Key, wire: Wire) {
    let mut buf = vec![0; 16 << 10];
    let mut bytes = Vec::new();
    loop {
        match wire.read(&mut buf).await {
            Ok(0) | Err(_) => return lock(&server).hung_up(key),
            Ok(n) => bytes.extend_from_slice(&buf[..n]),
        }
        if take_commands(&server, key, &mut bytes).is_err() {
            return lock(&server).refuse_nonsense(key);
        }
    }
}

struct NotACommand;

/// Hands over every whole command and leaves the rest.
fn take_commands(server: &Shared, key: Key, bytes: &mut Vec<u8>) -> Result<(), NotACommand> {
    let mut taken = 0;
    while let Some((frame, length)) = decode::decode(&bytes[taken..]).map_err(|_| NotACommand)? {
        lock(server).received(key, words(frame)?);
        taken += length;
    }
    bytes.drain(..taken);
    Ok(())
}

/// A command is a list of strings of bytes.
fn words(frame: OwnedFrame) -> Result<Vec<Vec<u8>>, NotACommand> {
    let OwnedFrame::Array(items) = frame else { return Err(NotACommand) };
    let word = |item| match item {
        OwnedFrame::BulkString(word) => Ok(word),
        _ => Err(NotACommand),
    };
    items.into_iter().map(word).collect()
}

impl Server {
    fn refuse_nonsense(&mut self, key: Key) {
        if let Some(client) = self.clients.get_mut(&key) {
            let error = Reply::error("ERR Protocol error: expected an array of bulk strings");
            client.answer(error.encode(Protocol::Resp2), Duration::ZERO);
            client.finish();
        }
    }
}

async fn write(
    server: Shared,
    key: Key,
    wire: Wire,
    mut replies: mpsc::UnboundedReceiver<Outgoing>,
) {
    let mut batch = Vec::new();
    while replies.recv_many(&mut batch, 256).await > 0 {
        if send(&wire, &mut batch).await.is_err() {
            break;
        }
    }
    // Also where the client is gone and the reader has not noticed yet.
    lock(&server).forget(key);
}

/// Writes replies in order, each when it is due; those that are due together go out together.
async fn send(wire: &Wire, batch: &mut Vec<Outgoing>) -> io::Result<()> {
    let mut bytes = Vec::new();
    for (due, reply) in batch.drain(..) {
        if due > Instant::now() {
            wire.write_all(&std::mem::take(&mut bytes)).await?;
            sleep_until(due).await;
        }
        bytes.extend(reply);
    }
    wire.write_all(&bytes).await
}
