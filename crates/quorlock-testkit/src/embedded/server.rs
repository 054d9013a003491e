//! The node's whole state and its event loop: commands come in, run one after the other, replies go out.
//! Sockets and tasks are not here.

use std::collections::{BTreeMap, VecDeque};
use std::sync::LazyLock;
use std::time::Duration;

use quorlock::seam::text;

use super::changes::Changes;
use super::clock::NodeClock;
use super::command::{Command, Run, keys_read, unknown};
use super::facts::{Facts, Role};
use super::keyspace::{Entry, Keyspace, Value};
use super::reply::Reply;
use super::script::Scripts;
use super::session::Session;
use super::tracking::Touch;
use super::transport::{Client, Port};
use super::view::{Args, Outcome, View, lossy};

/// The script, as it is called.
static RELEASE_TOGETHER: LazyLock<Vec<u8>> = LazyLock::new(|| {
    sha1_smol::Sha1::from(text::RELEASE_TOGETHER).digest().to_string().into_bytes()
});

/// Enough to tell the story of a test, and bounded.
const LOG_LIMIT: usize = 4096;

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) clock: NodeClock,
    pub(crate) facts: Facts,
    pub(crate) keyspace: Keyspace,
    /// Kept only where somebody asked for it: it costs a copy of all keys per command.
    pub(crate) changes: Option<Changes>,
    /// Keys that a client changed or deleted although its command did not name what they held; kept where it was asked for.
    pub(crate) touched_others: Option<Vec<String>>,
    pub(crate) scripts: Scripts,
    pub(crate) clients: BTreeMap<Key, Client>,
    /// What was done to keys and no connection was told of yet.
    pub(crate) touches: Vec<Touch>,
    pub(crate) port: Option<Port>,
    pub(crate) state: State,
    /// What came in while the node was frozen, over all connections, in the order of arrival.
    pending: VecDeque<Event>,
    pub(crate) failing: Option<String>,
    pub(crate) refuses_kill: bool,
    pub(crate) refuses_tracking: bool,
    pub(crate) knows_resp2_only: bool,
    /// The name of its own compare-and-delete, if it has one.
    pub(crate) native: Option<&'static str>,
    pub(crate) refuses_native: bool,
    pub(crate) delay: Duration,
    pub(crate) password: Option<String>,
    pub(crate) tally: Tally,
    boots: u64,
    replication_ids: u64,
    last_client: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Running,
    Frozen,
    Down,
}

/// A connection: the boot it belongs to and its client id, since ids start again after a restart.
pub(crate) type Key = (u64, i64);

#[derive(Debug)]
enum Event {
    Command(Key, Vec<Vec<u8>>),
    HungUp(Key),
}

/// What clients did so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) accepted: u64,
    pub(crate) commands: u64,
    pub(crate) answered: u64,
    /// How often several locks were given back by one command.
    pub(crate) together: u64,
    pub(crate) log: VecDeque<String>,
}

impl Server {
    pub(crate) fn new(name: String, clock: NodeClock) -> Self {
        let mut server = Self {
            name,
            facts: Facts::of_a_server(),
            clock,
            keyspace: Keyspace::default(),
            changes: None,
            touched_others: None,
            scripts: Scripts::default(),
            clients: BTreeMap::new(),
            touches: Vec::new(),
            port: None,
            state: State::Down,
            pending: VecDeque::new(),
            failing: None,
            refuses_kill: false,
            refuses_tracking: false,
            knows_resp2_only: false,
            native: None,
            refuses_native: false,
            delay: Duration::ZERO,
            password: None,
            tally: Tally::default(),
            boots: 0,
            replication_ids: 0,
            last_client: 0,
        };
        server.boot();
        server
    }

    /// A new process: new run id, client ids from 1, no scripts. What is on disk stays.
    pub(crate) fn boot(&mut self) {
        self.boots += 1;
        let seed = format!("{} boot {}", self.name, self.boots);
        self.facts.run_id = sha1_smol::Sha1::from(seed).digest().to_string();
        self.draw_replication_id();
        self.facts.second_replication_id = "0".repeat(40);
        self.facts.started_us = self.clock.now_us();
        self.last_client = 0;
        self.state = State::Running;
    }

    /// As a server does when it may hold data of another one from now on.
    pub(crate) fn draw_replication_id(&mut self) {
        self.replication_ids += 1;
        let seed = format!("{} replication {}", self.name, self.replication_ids);
        self.facts.replication_id = sha1_smol::Sha1::from(seed).digest().to_string();
    }

    /// The process is gone, with everything that only it knew.
    pub(crate) fn die(&mut self) {
        self.state = State::Down;
        if let Some(port) = &mut self.port {
            port.close();
        }
        for client in std::mem::take(&mut self.clients).into_values() {
            client.reset();
        }
        self.pending.clear();
        self.touches.clear();
        self.scripts = Scripts::default();
    }

    /// What was forgotten on purpose does not come back.
    pub(crate) fn forget_changes(&mut self) {
        if let Some(changes) = &mut self.changes {
            changes.clear();
        }
    }

    pub(crate) fn next_client(&mut self) -> Key {
        self.last_client += 1;
        self.tally.accepted += 1;
        (self.boots, self.last_client)
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.clock.now_us() / 1000
    }

    pub(crate) fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// A command has arrived from a client.
    pub(crate) fn received(&mut self, client: Key, args: Vec<Vec<u8>>) {
        if args.is_empty() || !self.clients.contains_key(&client) {
            return;
        }
        self.tally.note(&args);
        match self.state {
            State::Running => self.serve(client, &args),
            State::Frozen => self.pending.push_back(Event::Command(client, args)),
            State::Down => {}
        }
    }

    /// A client has closed its connection. A frozen node does not notice: what it sent before still runs.
    pub(crate) fn hung_up(&mut self, client: Key) {
        if let Some(client) = self.clients.get_mut(&client) {
            client.open = false;
        }
        match self.state {
            State::Frozen => self.pending.push_back(Event::HungUp(client)),
            _ => self.finish(client),
        }
    }

    /// Runs what came in while the node was frozen.
    pub(crate) fn thaw(&mut self) {
        self.state = State::Running;
        self.tell();
        while let Some(event) = self.pending.pop_front() {
            match event {
                Event::Command(client, args) => self.serve(client, &args),
                Event::HungUp(client) => self.finish(client),
            }
        }
    }

    /// Lets the replies go out, then the connection ends.
    fn finish(&mut self, client: Key) {
        if let Some(client) = self.clients.get_mut(&client) {
            client.finish();
        }
    }

    /// Ends the connection with this client id, and with it what it sent and was not run.
    pub(crate) fn kill(&mut self, id: i64) -> bool {
        self.forget((self.boots, id))
    }

    pub(crate) fn forget(&mut self, client: Key) -> bool {
        self.clients.remove(&client).is_some()
    }

    fn serve(&mut self, key: Key, args: &Args) {
        if self.changes.is_some() {
            // So that no change of the command is one that time has made.
            self.notice_expired();
        }
        let Some(client) = self.clients.get(&key) else { return };
        let mut session = client.session.clone();
        if session.leaving {
            return;
        }
        let watched = self.keys_of_others(&session, args);
        let reply = self.execute_noting(&mut session, args);
        self.note_touched(&session, watched);
        if released_together(args).is_some() && !matches!(reply, Reply::Error(_)) {
            self.tally.together += 1;
        }
        let pushes = session.follow(&self.touches, keys_read(args));
        if !args[0].eq_ignore_ascii_case(b"client") {
            session.tracking.cache_no_more();
        }
        let delay = self.delay;
        let Some(client) = self.clients.get_mut(&key) else { return };
        client.answer(reply.encode(session.protocol), delay);
        // Of what it did itself a connection is told behind the reply.
        client.answer(pushes, delay);
        let leaving = session.leaving;
        client.session = session;
        self.tally.answered += 1;
        self.tell_all_but(Some(key));
        if leaving {
            self.finish(key);
        }
    }

    /// The keys among the arguments that hold a text which is not; of releases that go together, which is not that of one of them.
    fn keys_of_others(&mut self, session: &Session, args: &Args) -> Vec<(Vec<u8>, Entry)> {
        if self.touched_others.is_none() || session.observer {
            return Vec::new();
        }
        let mut view = self.view(session);
        let keys = args.iter().filter_map(|key| Some((key.clone(), view.entry(key)?.clone())));
        let is_named = |(key, entry): &(Vec<u8>, Entry)| {
            let Value::Text(text) = &entry.value else { return false };
            match released_together(args) {
                Some(mut locks) => locks.any(|(of, token)| of == key && token == text),
                None => args.contains(text),
            }
        };
        keys.filter(|held| !is_named(held)).collect()
    }

    fn note_touched(&mut self, session: &Session, watched: Vec<(Vec<u8>, Entry)>) {
        for (key, before) in watched {
            if self.view(session).entry(&key).as_deref() != Some(&before)
                && let Some(touched) = &mut self.touched_others
            {
                touched.push(lossy(&key));
            }
        }
    }

    /// So that [`Changes`] knows what the command changed.
    fn execute_noting(&mut self, session: &mut Session, args: &Args) -> Reply {
        if self.changes.is_none() {
            return self.execute(session, args);
        }
        let before = self.keyspace.clone();
        let reply = self.execute(session, args);
        if let Some(changes) = &mut self.changes {
            changes.note(before, &self.keyspace);
        }
        reply
    }

    pub(crate) fn execute(&mut self, session: &mut Session, args: &Args) -> Reply {
        self.try_execute(session, args).unwrap_or_else(Reply::Error)
    }

    fn try_execute(&mut self, session: &mut Session, args: &Args) -> Outcome {
        let command = Command::find(args, self.native);
        if let Some(transaction) = &mut session.transaction
            && let Some(queued) = transaction.queue(&command, args)
        {
            return queued;
        }
        let command = command?;
        if self.knows_resp2_only && command.name == "hello" {
            return Err(unknown(args));
        }
        if !session.authenticated && !command.needs_no_password() {
            return Err("NOAUTH Authentication required.".to_owned());
        }
        if self.refuses_native && self.native == Some(command.name) && !session.observer {
            let name = command.name;
            return Err(format!(
                "NOPERM User limited has no permissions to run the '{name}' command"
            ));
        }
        if let Some(line) = &self.failing
            && command.touches_keys()
            && !session.observer
        {
            return Err(line.clone());
        }
        if let Run::Session(run) | Run::Script(run) = command.run {
            return run(self, session, args);
        }
        let mut view = self.view(session);
        let outcome = command.run_in(&mut view, args);
        session.db = view.db;
        outcome
    }

    fn view(&mut self, session: &Session) -> View<'_> {
        self.stage(session).1
    }

    /// The script engine, and the world that a script of this session sees.
    pub(crate) fn stage(&mut self, session: &Session) -> (&mut Scripts, View<'_>) {
        let now_us = self.clock.now_us();
        let (keyspace, touches) = (&mut self.keyspace, &mut self.touches);
        let is_read_only = self.facts.role == Role::Replica && !session.observer;
        let (facts, db) = (&self.facts, session.db);
        let view = View { keyspace, touches, facts, is_read_only, db, now_us };
        (&mut self.scripts, view)
    }

    pub(crate) fn list_clients(&self, asking: &Session) -> String {
        let line = |client: &Client| {
            // The one that asks may have changed since its session was stored.
            let session = if client.session.id == asking.id { asking } else { &client.session };
            format!(
                "id={} addr={} name={} db={} resp={}\n",
                session.id,
                client.peer,
                lossy(&session.name),
                session.db,
                session.protocol.number()
            )
        };
        self.clients.values().map(line).collect()
    }
}

/// Keys and tokens of releases that go together, if this is that: behind the command, the script and their number.
fn released_together(args: &Args) -> Option<impl Iterator<Item = (&Vec<u8>, &Vec<u8>)>> {
    let is_it = args.get(1) == Some(&*RELEASE_TOGETHER);
    let (keys, tokens) = args.get(3..).filter(|_| is_it)?.split_at_checked((args.len() - 3) / 2)?;
    Some(keys.iter().zip(tokens))
}

impl Tally {
    fn note(&mut self, args: &Args) {
        self.commands += 1;
        if self.log.len() == LOG_LIMIT {
            self.log.pop_front();
        }
        let words: Vec<String> = args.iter().map(|arg| lossy(arg)).collect();
        self.log.push_back(words.join(" "));
    }
}
