//! Whatever a node answers to an acquire: only a grant counts, the error says which node said what, and all but what was not
//! done is given back (safety.md H26). Real servers that say so are in `real_replies.rs`.

mod table;

use std::fmt::{Debug, Write};
use std::time::Duration;

use quorlock::{Error, Guard, NodeErrorKind, Redlock};
use quorlock_testkit::Cluster;
use tokio::time::Instant;

use self::table::{Class, Row, TABLE};
use crate::fake_node::{FakeNode, Manner, PASSWORD, Scope, Verb};
use crate::support::{BOUND, Events, MINUTE, cluster_in_plain, connected, eventually};

/// How long a silent node is waited for.
const LIMIT: Duration = Duration::from_millis(250);

/// Five nodes, some of them fakes, the others a cluster's; and a handle that is connected with all of them.
struct Stage {
    fakes: Vec<FakeNode>,
    redlock: Redlock,
    events: Events,
    /// All that was said or shown.
    told: String,
}

impl Stage {
    /// As many fakes as make five with the others.
    async fn new(others: &Cluster, limit: Duration) -> Self {
        Self::speaking("", others, limit).await
    }

    async fn speaking(protocol: &str, others: &Cluster, limit: Duration) -> Self {
        let fakes = FakeNode::start_some(5 - others.len()).await;
        let urls = fakes.iter().map(FakeNode::url).chain(others.urls());
        let urls = urls.map(|url| format!("{url}{protocol}"));
        let builder = Redlock::builder(urls).without_quarantine().ttl(MINUTE).time_limit(limit);
        let mut told = format!("{builder:?}");
        let (redlock, events) = connected(builder, 5).await;
        told += &format!("{redlock:?}");
        Self { fakes, redlock, events, told }
    }

    async fn of(row: &Row, others: &Cluster) -> Self {
        let stage = Self::new(others, if row.is_silence() { LIMIT } else { BOUND }).await;
        stage.answers(Scope::Acquires, row.manner);
        stage
    }

    fn answers(&self, scope: Scope, manner: Manner) {
        self.fakes.iter().for_each(|fake| fake.answers(scope, manner));
    }

    fn counts(&self, verb: Verb, key: &str) -> Vec<usize> {
        self.fakes.iter().map(|fake| fake.count(verb, key)).collect()
    }

    fn tell(&mut self, what: &impl Debug) {
        write!(self.told, "{what:?}").expect("memory does not fail");
    }

    /// Every fake failed in one of these ways, and the error says so, by its name.
    #[track_caller]
    fn assert_blamed(&mut self, name: &str, error: &Error, kinds: &[NodeErrorKind], says: &str) {
        let Error::NoQuorum { failures, .. } = error else { panic!("{name}: {error:?}") };
        let message = error.to_string();
        for fake in &self.fakes {
            let failure = failures.iter().find(|failure| failure.node() == fake.name());
            let failure = failure.unwrap_or_else(|| panic!("{name}: not named in {message}"));
            let (kind, said) = (failure.kind(), failure.to_string());
            assert!(kinds.contains(&kind), "{name}: {kind:?}: {said}");
            assert!(said.starts_with(&format!("{}: {kind}", fake.name())), "{name}: {said}");
            assert!(said.contains(says), "{name}: {said}");
            assert!(message.contains(&said), "{name}: {message}");
        }
        self.tell(error);
        self.told += &message;
    }

    /// Waits until every fake, which answers well now, is asked again.
    async fn until_used_again(&self, name: &str) {
        eventually(&format!("{name}: used again"), async || {
            drop(self.redlock.try_lock("again").await);
            self.counts(Verb::Acquire, "again").iter().all(|count| *count > 0)
        })
        .await;
    }

    /// Every release is confirmed, and nothing has told a secret.
    async fn end(mut self, name: &str) -> Vec<FakeNode> {
        let closed = self.redlock.close(BOUND).await;
        closed.unwrap_or_else(|error| panic!("{name}: {error}"));
        let events = self.events.all();
        self.tell(&events);
        assert!(!self.told.contains(PASSWORD), "{name}: a password is told: {}", self.told);
        for heard in self.fakes.iter().flat_map(FakeNode::heard) {
            let (_, secret) = heard.token.split_once(':').expect("a token has two parts");
            // Not a part of it either.
            assert!(!self.told.contains(&secret[..8]), "{name}: a token is told: {}", self.told);
        }
        self.fakes
    }
}

#[tokio::test]
async fn what_a_majority_answers_is_a_lock_only_where_it_grants_and_is_told_with_its_nodes() {
    let others = cluster_in_plain(2).await;
    for row in TABLE {
        let mut stage = Stage::of(row, &others).await;
        let outcome = stage.redlock.try_lock(row.name).await;
        assert_outcome(row, &mut stage, outcome);
        stage.answers(Scope::Acquires, Manner::Well);
        stage.until_used_again(row.name).await;
        let fakes = stage.end(row.name).await;
        for fake in &fakes {
            let releases = fake.count(Verb::Release, row.name);
            let expected = !matches!(row.class, Class::NotApplied(_));
            assert_eq!(releases > 0, expected, "{}: {releases} releases", row.name);
            let connections = fake.accepted();
            let attempts = fake.count(Verb::Acquire, row.name);
            assert!(attempts == 1 && releases <= 1 || row.breaks_the_connection(), "{}", row.name);
            assert!(connections == 1 || !row.keeps_the_connection(), "{}: replaced", row.name);
            assert!(connections > 1 || !row.breaks_the_connection(), "{}: not replaced", row.name);
        }
    }
}

#[track_caller]
fn assert_outcome(row: &Row, stage: &mut Stage, outcome: Result<Option<Guard>, Error>) {
    let name = row.name;
    match (row.class, outcome) {
        (Class::Granted, Ok(Some(_))) | (Class::Denied, Ok(None)) => {}
        (Class::NotApplied(kind), Err(error)) => {
            stage.assert_blamed(name, &error, &[kind], row.says);
        }
        (Class::Unknown(kinds), Err(error)) => {
            stage.assert_blamed(name, &error, kinds, row.says);
        }
        (class, outcome) => panic!("{name} is {class:?}: {outcome:?}"),
    }
}

#[tokio::test]
async fn what_a_minority_answers_keeps_nobody_from_the_lock_and_is_given_back() {
    let others = cluster_in_plain(3).await;
    for row in TABLE {
        let stage = Stage::of(row, &others).await;
        let had = stage.redlock.lock(row.name).wait_for(BOUND).await;
        let guard = had.unwrap_or_else(|error| panic!("{}: {error}", row.name));
        // Whatever they said: three have to agree from now on too.
        guard.extend().await.unwrap_or_else(|error| panic!("{}: {error}", row.name));
        stage.answers(Scope::Acquires, Manner::Well);
        let report = guard.release().await;
        let deleted = report.unwrap_or_else(|error| panic!("{}: {error}", row.name)).deleted();
        assert!(deleted > 0, "{}", row.name);
        stage.until_used_again(row.name).await;
        let fakes = stage.end(row.name).await;
        let is_left = !matches!(row.class, Class::NotApplied(_));
        for fake in fakes.iter().filter(|_| is_left) {
            assert!(fake.count(Verb::Release, row.name) > 0, "{}: not given back", row.name);
        }
    }
    for node in others.nodes() {
        assert_eq!(node.keys().await.unwrap(), Vec::<String>::new());
    }
}

/// A limit that is long where it must not be waited for, and short where it must.
#[tokio::test]
async fn a_majority_that_refuses_for_good_is_not_waited_for_and_any_other_is_to_the_limit() {
    let others = cluster_in_plain(2).await;
    for row in TABLE {
        let mut stage = Stage::of(row, &others).await;
        let is_final = matches!(row.class, Class::NotApplied(NodeErrorKind::Misconfigured));
        let limit = if is_final { 10 * MINUTE } else { LIMIT / 5 };
        let begun = Instant::now();
        let outcome = stage.redlock.lock(row.name).wait_for(limit).await;
        let took = begun.elapsed();
        match (row.class, outcome) {
            (Class::Granted, Ok(_)) => {}
            (Class::Denied, Err(Error::Held { waited, .. })) => {
                assert!(waited >= limit, "{}: {waited:?}", row.name);
            }
            (Class::NotApplied(_) | Class::Unknown(_), Err(error)) if is_final => {
                assert!(took < limit, "{}: {took:?}", row.name);
                assert_eq!(stage.counts(Verb::Acquire, row.name), [1; 3], "{}", row.name);
                assert!(error.to_string().contains(row.says), "{}: {error}", row.name);
                stage.tell(&error);
            }
            (Class::NotApplied(_) | Class::Unknown(_), Err(error)) => {
                assert!(took >= limit, "{}: {took:?}", row.name);
                assert!(matches!(error, Error::NoQuorum { .. }), "{}: {error}", row.name);
                stage.tell(&error);
            }
            (class, outcome) => panic!("{} is {class:?}: {outcome:?}", row.name),
        }
        stage.answers(Scope::Acquires, Manner::Well);
        stage.end(row.name).await;
    }
}

#[tokio::test]
async fn answers_mean_the_same_in_the_newer_protocol() {
    let others = cluster_in_plain(2).await;
    for row in TABLE.iter().filter(|row| !row.is_silence()) {
        let mut stage = Stage::speaking("/?protocol=resp3", &others, BOUND).await;
        stage.answers(Scope::Acquires, row.manner);
        let outcome = stage.redlock.try_lock(row.name).await;
        assert_outcome(row, &mut stage, outcome);
        stage.answers(Scope::Acquires, Manner::Well);
        stage.end(row.name).await;
    }
}

/// What a set of locks is answered: not by `SET`, but by a script.
#[tokio::test]
async fn what_a_script_answers_is_a_lock_only_where_it_grants() {
    use NodeErrorKind::{Refused, Unclear};
    let said_inside = "OOM command not allowed script: abc";
    let table: [(&'static [u8], Result<bool, NodeErrorKind>, &str); 9] = [
        (b":1\r\n", Ok(true), ""),
        (b":0\r\n", Ok(false), ""),
        (b"+OK\r\n", Err(Unclear), "a status"),
        (b":2\r\n", Err(Unclear), "a number"),
        (b":-1\r\n", Err(Unclear), "a number"),
        (b"$-1\r\n", Err(Unclear), "nil"),
        (b"*1\r\n:1\r\n", Err(Unclear), "a list"),
        (
            b"-OOM command not allowed script: abc, on @user_script:7.\r\n",
            Err(Unclear),
            said_inside,
        ),
        // To the hash and to the text.
        (b"-NOSCRIPT No matching script.\r\n", Err(Refused), "NOSCRIPT No matching"),
    ];
    let others = cluster_in_plain(2).await;
    for (bytes, expected, says) in table {
        let mut stage = Stage::new(&others, BOUND).await;
        let name = bytes.escape_ascii().to_string();
        stage.answers(Scope::Acquires, Manner::Says(bytes));
        let outcome = stage.redlock.try_lock([name.as_str(), "~"]).await;
        match (expected, outcome) {
            (Ok(granted), Ok(guard)) if guard.is_some() == granted => {}
            (Err(kind), Err(error)) => stage.assert_blamed(&name, &error, &[kind], says),
            (expected, outcome) => panic!("{name} is {expected:?}: {outcome:?}"),
        }
        stage.answers(Scope::Acquires, Manner::Well);
        stage.until_used_again(&name).await;
        for fake in &stage.end(&name).await {
            assert_eq!(fake.count(Verb::Release, &name) > 0, expected != Err(Refused), "{name}");
        }
    }
}

/// Also a release is refused, and confirmed when the node does it.
#[tokio::test]
async fn a_release_that_is_answered_by_anything_but_its_answer_is_sent_until_it_is() {
    let others = cluster_in_plain(2).await;
    for (name, manner) in [
        ("refused", Manner::Says(b"-READONLY You can't write against a read only replica.\r\n")),
        ("refused for good", Manner::Says(b"-NOPERM this user has no permissions\r\n")),
        ("unclear", Manner::Says(b"+OK\r\n")),
        ("broken", Manner::Says(b"garbage\r\n")),
        ("closed", Manner::Closes(b"*3\r\n:1\r\n")),
        ("silent", Manner::Hangs(b"*3\r\n:1\r\n")),
    ] {
        let mut stage = Stage::new(&others, LIMIT).await;
        let guard = stage.redlock.lock(name).await.unwrap();
        stage.answers(Scope::Locks, manner);
        let report = guard.release().await.unwrap();
        assert!(!report.is_confirmed(), "{name}: {report}");
        stage.tell(&report);
        let undrained = stage.redlock.close(Duration::ZERO).await.unwrap_err();
        let Error::Undrained { nodes, .. } = &undrained else { panic!("{name}: {undrained:?}") };
        assert!(stage.fakes.iter().all(|fake| nodes.contains(&fake.name())), "{name}: {nodes:?}");
        eventually("it is sent again", async || {
            stage.counts(Verb::Release, name).iter().all(|count| *count > 1)
        })
        .await;
        stage.answers(Scope::Locks, Manner::Well);
        stage.end(name).await;
    }
}

/// A reply is read only as far as it can be one that was asked for.
#[tokio::test]
async fn g7_a_reply_without_end_ends_its_connection() {
    const BUFFERS: u64 = 16 << 20;
    let others = cluster_in_plain(3).await;
    for (name, manner) in [("endless", Manner::Endless), ("huge", Manner::Huge(1 << 40))] {
        // So patient that nothing is given up for its silence.
        let stage = Stage::new(&others, BOUND).await;
        stage.answers(Scope::Acquires, manner);
        let guard = stage.redlock.lock(name).await.unwrap();
        let is_replaced = async || stage.fakes.iter().all(|fake| fake.accepted() > 1);
        eventually("the connections are replaced", is_replaced).await;
        // What the sockets hold is the system's.
        stage.fakes.iter().for_each(|fake| assert!(fake.poured() < BUFFERS, "{}", fake.poured()));
        guard.release().await.unwrap();
        stage.answers(Scope::Acquires, Manner::Well);
        stage.until_used_again(name).await;
        stage.end(name).await;
    }
}
