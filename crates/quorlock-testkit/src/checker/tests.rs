//! The checker rejects every kind of violation and accepts its nearest legal neighbour: the words that these stories
//! are told in, and what belongs to no other file. Generated histories are in `properties.rs`.

mod availability;
mod exclusion;
mod fencing;
mod flaws;
mod loss;

use std::time::Duration;

use super::{
    Checker, Ended, Flaw, Losses, Residue, Violation, Window, holds, longest_unavailability,
};
use crate::history::{Event, History, Outcome, Recorder, Verdict};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A client that takes `r` and gives it back, on a history of its own.
struct Client(Recorder, Vec<Event>);

impl Client {
    fn new(name: &str) -> Self {
        Self(Recorder::new(name), Vec::new())
    }

    /// Asks and returns within the given milliseconds, valid until 100 ms later.
    fn takes(self, from: u64, to: u64) -> Self {
        self.takes_token(from, to, None)
    }

    fn takes_token(mut self, from: u64, to: u64, token: Option<u64>) -> Self {
        self.1.push(self.0.acquire("r", ms(from)).granted(ms(to), ms(from + 100), token));
        self
    }

    /// Takes `resource` instead.
    fn takes_other(mut self, resource: &str, from: u64, to: u64, token: Option<u64>) -> Self {
        self.1.push(self.0.acquire(resource, ms(from)).granted(ms(to), ms(from + 100), token));
        self
    }

    fn extends(mut self, from: u64, to: u64, deadline: u64) -> Self {
        let extend = self.0.extend(self.0.attempt(), ms(from));
        self.1.push(extend.granted(ms(to), ms(deadline), None));
        self
    }

    fn releases(mut self, at: u64) -> Self {
        self.1.push(self.0.release(self.0.attempt(), ms(at)).done(ms(at + 1)));
        self
    }

    fn loses(mut self, at: u64, lag: u64) -> Self {
        self.1.push(self.0.lost(self.0.attempt(), ms(at), ms(lag)));
        self
    }

    fn dies(mut self, at: u64) -> Self {
        self.1.push(self.0.died(ms(at)));
        self
    }

    fn writes(mut self, at: u64, token: u64) -> Self {
        let write = self.0.write("r", Some(token), ms(at));
        self.1.push(write.answered(ms(at + 2), Verdict::Accepted));
        self
    }
}

fn history<const N: usize>(clients: [Client; N]) -> History {
    clients.into_iter().flat_map(|client| client.1).collect()
}

fn check<const N: usize>(clients: [Client; N]) -> Vec<Violation> {
    Checker::new().check(&history(clients))
}

fn a() -> Client {
    Client::new("a")
}

fn b() -> Client {
    Client::new("b")
}

#[track_caller]
fn accepts(found: &[Violation]) {
    assert!(found.is_empty(), "{}", found[0]);
}

#[track_caller]
fn rejects(found: &[Violation], text: &str) {
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(found, [text]);
}

#[test]
fn accepts_an_empty_history() {
    accepts(&check([]));
}

#[test]
fn rejects_a_key_that_is_left() {
    let key = Residue { node: "node-3".to_owned(), key: "r".to_owned() };
    rejects(&Checker::new().residue([key]).check(&History::new()), "key \"r\" was left on node-3");
    accepts(&Checker::new().residue([]).check(&History::new()));
}

#[test]
fn rejects_each_key_that_is_left() {
    let key = |node: &str| Residue { node: node.to_owned(), key: "r".to_owned() };
    let found = Checker::new().residue([key("n1")]).residue([key("n2"), key("n3")]);
    let left = |node| Violation::Residue(key(node));
    assert_eq!(found.check(&History::new()), [left("n1"), left("n2"), left("n3")]);
}

#[test]
fn accepts_holds_in_the_order_of_their_begin() {
    let holds = holds(&history([b().takes(1, 20).releases(30), a().takes(0, 5).releases(20)]));
    let order: Vec<&str> = holds.iter().map(|hold| hold.client.as_str()).collect();
    assert_eq!(order, ["a", "b"]);
}
