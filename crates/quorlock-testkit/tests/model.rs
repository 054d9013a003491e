//! The simulation's model of a node, held to the library's own scripts: random questions at random moments, the same
//! replies, and the same keys with the same expiry after each. What makes the fast depth worth believing.

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::subsequence;
use quorlock::seam;
use quorlock::seam::Verb;
use quorlock_testkit::embedded::{ClockJump, EmbeddedNode, Reply};
use quorlock_testkit::simulation::Model;
use tokio::runtime::{Builder, Runtime};

const ACQUIRE: &str = include_str!("../../quorlock/src/lua/acquire.lua");
const EXTEND: &str = include_str!("../../quorlock/src/lua/extend.lua");
const REPAIR: &str = include_str!("../../quorlock/src/lua/repair.lua");
const RELEASE: &str = include_str!("../../quorlock/src/lua/release.lua");

const KEYS: [&str; 3] = ["a", "b", "c"];
const TOKENS: [&str; 3] = ["one", "two", "three"];
const MS: i64 = 1000;

#[derive(Clone, Debug)]
enum Step {
    Ask {
        verb: Verb,
        keys: Vec<String>,
        token: &'static str,
        ttl: i64,
    },
    /// Moves the clock by so many microseconds.
    Passes(i64),
    /// Moves it to where the expiry of a key is so many microseconds ago.
    ToExpiry {
        key: usize,
        after: i64,
    },
    /// As an operator does, or a server that evicts.
    Forgets {
        key: usize,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let verb = prop_oneof![
        Just(Verb::Acquire),
        Just(Verb::Extend),
        Just(Verb::Repair),
        Just(Verb::Release),
        Just(Verb::Undo)
    ];
    // The library sorts the names of a set, and so does this.
    let keys = subsequence(KEYS.map(str::to_owned).to_vec(), 1..=KEYS.len());
    let ask = (verb, keys, prop::sample::select(&TOKENS), 1..=50i64)
        .prop_map(|(verb, keys, token, ttl)| Step::Ask { verb, keys, token, ttl });
    let to_expiry =
        (0..KEYS.len(), prop_oneof![Just(-MS), Just(-1), Just(0), Just(MS - 1), Just(MS)])
            .prop_map(|(key, after)| Step::ToExpiry { key, after });
    let step = prop_oneof![
        12 => ask,
        2 => (0..30i64).prop_map(|ms| Step::Passes(ms * MS)),
        1 => (-20 * MS..20 * MS).prop_map(Step::Passes),
        2 => to_expiry,
        1 => (0..KEYS.len()).prop_map(|key| Step::Forgets { key }),
    ];
    prop::collection::vec(step, 1..80)
}

/// A node that runs the scripts and the model beside it, on one clock.
struct Pair {
    /// The node's clock is this runtime's.
    _runtime: Runtime,
    node: EmbeddedNode,
    model: Model,
    now_us: i64,
}

impl Pair {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime without I/O needs nothing that could be missing");
        let node = {
            let _inside = runtime.enter();
            EmbeddedNode::pipe("node")
        };
        Self { _runtime: runtime, node, model: Model::default(), now_us: 0 }
    }

    fn now(&self) -> i64 {
        self.now_us.div_euclid(MS)
    }

    fn pass(&mut self, us: i64) {
        if us < 0 {
            self.sweep();
        }
        let direction = if us < 0 { ClockJump::Backward } else { ClockJump::Forward };
        self.node.jump_clock(Duration::from_micros(us.unsigned_abs()), direction);
        self.now_us += us;
    }

    /// When a server lets go of what has expired is its own affair, and shows where its clock goes back: a key that is
    /// still in memory lives again. Both let go now.
    fn sweep(&mut self) {
        KEYS.iter().for_each(|key| drop(self.run(&["GET", key])));
        self.model.ask(Verb::Release, &[], "", 0, self.now());
    }

    fn expiry(&self, key: usize) -> Option<i64> {
        let mut live = self.model.live(self.now());
        live.find(|(name, _)| *name == KEYS[key]).map(|(_, entry)| entry.expires_at)
    }

    fn run(&self, words: &[&str]) -> Reply {
        self.node.run(words)
    }

    /// What the library sends, and how it reads the answer.
    fn ask_scripts(&self, verb: Verb, keys: &[String], token: &str, ttl: i64) -> seam::Reply {
        let ttl = ttl.to_string();
        if let (Verb::Acquire, [key]) = (verb, keys) {
            return match self.run(&["SET", key, token, "NX", "PX", &ttl]) {
                Reply::Status(_) => seam::Reply::Granted,
                Reply::Nil => seam::Reply::Denied,
                other => panic!("SET answered {other:?}"),
            };
        }
        let script = match verb {
            Verb::Acquire => ACQUIRE,
            Verb::Extend => EXTEND,
            Verb::Repair => REPAIR,
            Verb::Release | Verb::Undo => RELEASE,
        };
        let number = keys.len().to_string();
        let mut words = vec!["EVAL", script, &number];
        words.extend(keys.iter().map(String::as_str));
        words.push(token);
        if !verb.is_release() {
            words.push(&ttl);
        }
        read(verb, &self.run(&words))
    }

    /// The keys that are there, whose they are, and how long they last.
    fn in_the_node(&self) -> Vec<(String, String, i64)> {
        let keys = self.node.keys().into_iter();
        keys.map(|key| {
            let token = self.run(&["GET", &key]).text().map(str::to_owned);
            let left = self.run(&["PTTL", &key]).int();
            (key, token.unwrap_or_default(), left.unwrap_or(i64::MIN))
        })
        .collect()
    }

    fn in_the_model(&self) -> Vec<(String, String, i64)> {
        let live = self.model.live(self.now());
        live.map(|(key, entry)| {
            (key.clone(), entry.token.to_string(), entry.expires_at - self.now())
        })
        .collect()
    }

    /// Both do it. What they said, in that order, where they said something.
    fn step(&mut self, step: &Step) -> Option<[String; 2]> {
        match step {
            Step::Ask { verb, keys, token, ttl } => {
                let scripts = self.ask_scripts(*verb, keys, token, *ttl);
                let model = self.model.ask(*verb, keys, token, *ttl, self.now());
                return Some([format!("{scripts:?}"), format!("{model:?}")]);
            }
            Step::Passes(us) => self.pass(*us),
            Step::ToExpiry { key, after } => {
                if let Some(at) = self.expiry(*key) {
                    self.pass(at * MS + after - self.now_us);
                }
            }
            Step::Forgets { key } => {
                // The model forgets by a release, which the node is spared.
                let holder = self.run(&["GET", KEYS[*key]]).text().map(str::to_owned);
                if let Some(token) = holder {
                    self.run(&["DEL", KEYS[*key]]);
                    let key = [KEYS[*key].to_owned()];
                    self.model.ask(Verb::Release, &key, &token, 0, self.now());
                }
            }
        }
        None
    }
}

fn read(verb: Verb, reply: &Reply) -> seam::Reply {
    let numbers = |parts: &[Reply]| parts.iter().filter_map(Reply::int).collect::<Vec<_>>();
    let said = match reply {
        Reply::Int(number) => vec![*number],
        Reply::Array(parts) => numbers(parts),
        other => panic!("{verb:?} answered {other:?}"),
    };
    match (verb, said.as_slice()) {
        (Verb::Acquire | Verb::Repair, [1]) => seam::Reply::Granted,
        (Verb::Acquire | Verb::Repair, [0]) => seam::Reply::Denied,
        (Verb::Extend, [1, _]) => seam::Reply::Kept,
        (Verb::Extend, [0, _]) => seam::Reply::Missing,
        (Verb::Extend, [-1, _]) => seam::Reply::HeldByAnother,
        (Verb::Release | Verb::Undo, [deleted, others, foreign]) => {
            let count = |number: i64| usize::try_from(number).expect("a script counts from 0");
            let (deleted, others, foreign) = (count(*deleted), count(*others), count(*foreign));
            seam::Reply::Released { deleted, others, foreign }
        }
        _ => panic!("{verb:?} answered {reply:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_model_does_and_says_what_the_scripts_do_and_say(steps in steps()) {
        let mut pair = Pair::new();
        for (number, step) in steps.iter().enumerate() {
            if let Some([scripts, model]) = pair.step(step) {
                prop_assert_eq!(scripts, model, "step {}: {:?}", number, step);
            }
            let (node, model) = (pair.in_the_node(), pair.in_the_model());
            prop_assert_eq!(node, model, "after step {}: {:?}", number, step);
        }
    }
}

/// The moments at which expiry and the rule "only ever longer" could be off by one, each on its own.
#[test]
fn the_model_agrees_with_the_scripts_at_every_boundary() {
    let key = vec!["a".to_owned()];
    for before in [0, 9 * MS, 10 * MS - 1, 10 * MS, 10 * MS + 999, 11 * MS] {
        for verb in [Verb::Acquire, Verb::Extend, Verb::Repair, Verb::Release] {
            for (token, ttl) in [("one", 1), ("one", 10), ("one", 11), ("two", 50)] {
                let mut pair = Pair::new();
                let keys = key.clone();
                pair.step(&Step::Ask { verb: Verb::Acquire, keys, token: "one", ttl: 10 });
                pair.pass(before);
                let [scripts, model] = pair
                    .step(&Step::Ask { verb, keys: key.clone(), token, ttl })
                    .expect("a question is answered");
                let case = format!("{verb:?} by {token} for {ttl} ms after {before} us");
                assert_eq!(scripts, model, "{case}");
                assert_eq!(pair.in_the_node(), pair.in_the_model(), "{case}");
            }
        }
    }
}
