//! No message, debug output or event tells a password or a token; a wrong password is named as what is wrong.

use std::error::Error as _;
use std::fmt::{Debug, Display, Write};

use quorlock::{Error, NodeErrorKind, Redlock};
use quorlock_testkit::Cluster;

use crate::support::{Events, TTL, eventually, node_name, on, open_cluster};

/// What has to be written otherwise in a URL.
const PASSWORD: &str = "op/en:ses@me";
const PASSWORD_IN_URL: &str = "op%2Fen%3Ases%40me";
const WRONG_PASSWORD: &str = "open-barley";

#[tokio::test]
async fn g8_no_message_debug_output_or_event_tells_a_password_or_a_token() {
    let cluster = guarded().await;
    let mut seen = Seen::default();
    let events = Events::default();
    let builder = on(urls(&cluster, PASSWORD_IN_URL)).ttl(TTL).observer(events.clone());
    seen.shown(&builder);
    let redlock = builder.build().unwrap();
    seen.shown(&redlock);
    seen.shown(&redlock.lock("report"));
    seen.shown(&redlock.try_lock("report"));

    let guard = redlock.lock("report").await.unwrap();
    seen.shown(&guard);
    seen.shown(&guard.lost());
    let tokens = tokens(&cluster, "report").await;
    seen.error(redlock.lock("report").wait_for(TTL / 20).await);
    guard.extend().await.unwrap();
    for index in 0..2 {
        cluster.node(index).pause().await.unwrap();
    }
    let report = guard.release().await.unwrap();
    seen.shown(&report);
    seen.said(&report);
    cluster.node(2).pause().await.unwrap();
    seen.error(redlock.try_lock("report").await);
    seen.error(redlock.close(TTL / 20).await);
    for index in 0..3 {
        cluster.node(index).crash().await.unwrap();
    }
    eventually("the losses are noticed", async || {
        (0..3).all(|index| !events.is_connected(&node_name(&cluster, index)))
    })
    .await;
    events.all().iter().for_each(|event| seen.shown(event));

    seen.assert_hides(&[PASSWORD, PASSWORD_IN_URL, "ses@me"]);
    seen.assert_hides(&tokens.iter().map(String::as_str).collect::<Vec<_>>());
}

#[tokio::test]
async fn g8_a_wrong_password_is_named_as_what_is_wrong_and_not_repeated() {
    let cluster = guarded().await;
    let mut seen = Seen::default();
    for (urls, kind, hint) in [
        (
            urls(&cluster, WRONG_PASSWORD),
            NodeErrorKind::Misconfigured,
            "WRONGPASS invalid username-password pair",
        ),
        (cluster.urls(), NodeErrorKind::Misconfigured, "NOAUTH"),
    ] {
        let events = Events::default();
        let redlock = Redlock::builder(urls).observer(events.clone()).build().unwrap();
        let refused = redlock.try_lock("report").await.unwrap_err();
        let Error::NoQuorum { failures, .. } = &refused else { panic!("{refused:?}") };
        assert!(failures.len() >= 3, "{failures:?}");
        for failure in failures {
            assert_eq!(failure.kind(), kind);
            let said = format!("{}: {kind} (", failure.node());
            assert!(failure.to_string().starts_with(&said), "{failure}");
            assert!(failure.to_string().contains(hint), "{failure}");
            assert!(refused.to_string().contains(&failure.to_string()), "{refused}");
        }
        seen.error::<()>(Err(refused));
        events.all().iter().for_each(|event| seen.shown(event));
    }
    seen.assert_hides(&[WRONG_PASSWORD, PASSWORD, PASSWORD_IN_URL]);
}

#[test]
fn g8_a_bad_url_is_refused_without_a_word_of_its_password() {
    let mut seen = Seen::default();
    for url in [
        format!("redis://:{PASSWORD_IN_URL}@host:notaport"),
        format!("redis://:{PASSWORD_IN_URL}@"),
        format!("redis://:{PASSWORD}@host"),
        format!("redis://:{PASSWORD_IN_URL}@host/notanumber"),
        format!("redi://:{PASSWORD_IN_URL}@host"),
        format!(":{PASSWORD_IN_URL}@host"),
    ] {
        let builder = Redlock::builder([url.clone()]);
        seen.shown(&builder);
        let refused = builder.build();
        assert!(refused.is_err(), "{url}");
        seen.error(refused);
    }
    seen.assert_hides(&[PASSWORD, PASSWORD_IN_URL, "ses@me", "ses%40me"]);
}

/// Everything that was shown to anybody.
#[derive(Default)]
struct Seen(String);

impl Seen {
    fn shown(&mut self, what: &impl Debug) {
        writeln!(self.0, "{what:?}\n{what:#?}").expect("memory does not fail");
    }

    fn said(&mut self, what: &impl Display) {
        writeln!(self.0, "{what}").expect("memory does not fail");
    }

    /// Message and debug output of an error, of its nodes' failures, and of all that lies behind them.
    #[track_caller]
    fn error<T>(&mut self, outcome: Result<T, Error>) {
        let Err(error) = outcome else { panic!("it went well") };
        self.shown(&error);
        self.said(&error);
        let failures = match &error {
            Error::NoQuorum { failures, .. } => failures.as_slice(),
            _ => &[],
        };
        let roots = failures.iter().map(|failure| failure as &dyn std::error::Error);
        for root in roots.chain(error.source()) {
            for cause in std::iter::successors(Some(root), |&cause| cause.source()) {
                writeln!(self.0, "{cause} {cause:?}").expect("memory does not fail");
            }
        }
    }

    #[track_caller]
    fn assert_hides(&self, secrets: &[&str]) {
        assert!(!self.0.is_empty());
        for secret in secrets {
            let told = self.0.lines().find(|line| line.contains(secret));
            assert!(told.is_none(), "a secret is told: {}", told.unwrap_or_default());
        }
    }
}

/// Five nodes that ask for [`PASSWORD`].
async fn guarded() -> Cluster {
    let cluster = open_cluster(5).await;
    for node in cluster.nodes() {
        match node.embedded() {
            Some(node) => node.set_password(Some(PASSWORD)),
            None => {
                let set = node.command(&["CONFIG", "SET", "requirepass", PASSWORD]).await;
                set.expect("the node takes a password");
            }
        }
    }
    cluster
}

fn urls(cluster: &Cluster, password: &str) -> Vec<String> {
    let with = format!("redis://:{password}@");
    cluster.urls().iter().map(|url| url.replace("redis://", &with)).collect()
}

/// The secret parts of what the key holds on the nodes.
async fn tokens(cluster: &Cluster, key: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    for url in urls(cluster, PASSWORD_IN_URL) {
        let client = redis::Client::open(url).expect("a good URL");
        let node = client.get_multiplexed_async_connection().await;
        let mut get = redis::cmd("GET");
        let value = get.arg(key).query_async(&mut node.expect("the right password")).await;
        let value: Option<String> = value.expect("the node answers");
        let secret =
            value.and_then(|value| value.split_once(':').map(|(_, secret)| secret.to_owned()));
        tokens.extend(secret);
    }
    assert!(tokens.len() >= 3 && tokens.iter().all(|token| token.len() == 32), "{tokens:?}");
    tokens
}
