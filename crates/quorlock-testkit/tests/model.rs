//! The simulation's model of a node, held to the library's own scripts: random questions at random moments, the same
//! replies, and the same keys with the same expiry after each. What makes the fast depth worth believing.

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::subsequence;
use quorlock::seam;
use quorlock::seam::{Fence, Verb, text};
use quorlock_testkit::embedded::{ClockJump, EmbeddedNode, Reply};
use quorlock_testkit::simulation::{Ask, Model};
use tokio::runtime::{Builder, Runtime};

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
        fence: Option<Fence>,
    },
    /// Plain releases that go out together: keys and tokens.
    Together(Vec<(usize, &'static str)>),
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
        Just(Verb::Certify),
        Just(Verb::Extend),
        Just(Verb::Repair),
        Just(Verb::Release),
        Just(Verb::Undo)
    ];
    // The library sorts the names of a set, and so does this.
    let keys = subsequence(KEYS.map(str::to_owned).to_vec(), 1..=KEYS.len());
    let number = prop_oneof![
        8 => 0..6u64,
        2 => Just(AHEAD),
        1 => Just(TOO_FAR_AHEAD),
        1 => Just(A_MINUTE_BEYOND),
        1 => Just(MORE_THAN_A_MINUTE_BEYOND),
    ];
    let fence = prop::option::of((number.clone(), number));
    let ask = (verb, keys, prop::sample::select(&TOKENS), 1..=50i64, fence).prop_map(
        |(verb, keys, token, ttl, fence)| {
            let fence = fence_of(verb, fence);
            Step::Ask { verb, keys, token, ttl, fence }
        },
    );
    let to_expiry =
        (0..KEYS.len(), prop_oneof![Just(-MS), Just(-1), Just(0), Just(MS - 1), Just(MS)])
            .prop_map(|(key, after)| Step::ToExpiry { key, after });
    let together = prop::collection::vec((0..KEYS.len(), prop::sample::select(&TOKENS)), 2..6);
    let step = prop_oneof![
        12 => ask,
        2 => together.prop_map(Step::Together),
        2 => (0..30i64).prop_map(|ms| Step::Passes(ms * MS)),
        1 => (-20 * MS..20 * MS).prop_map(Step::Passes),
        2 => to_expiry,
        1 => (0..KEYS.len()).prop_map(|key| Step::Forgets { key }),
    ];
    prop::collection::vec(step, 1..80)
}

/// Where the clock of the node begins, in microseconds.
const BEGIN: i64 = 1_700_000_000_000_000;
/// A number that a node still takes for a time of day, until its clock is moved back a little; and one that it does not.
const AHEAD: u64 = (BEGIN as u64) + 86_400_000_000;
const TOO_FAR_AHEAD: u64 = AHEAD + 1_000_000;
/// The last one that it takes behind the first, and the one after that.
const A_MINUTE_BEYOND: u64 = AHEAD + 60_000_000;
const MORE_THAN_A_MINUTE_BEYOND: u64 = A_MINUTE_BEYOND + 1;

/// What can be asked together.
fn fence_of(verb: Verb, numbers: Option<(u64, u64)>) -> Option<Fence> {
    let (one, other) = numbers.unwrap_or((1, 2));
    match verb {
        Verb::Certify => Some(Fence::Raise { granted: one, to: other }),
        _ if numbers.is_none() => None,
        Verb::Acquire => Some(Fence::Count(one)),
        Verb::Extend | Verb::Repair | Verb::Release => Some(Fence::Lift(one)),
        Verb::Undo => None,
    }
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
        Self { _runtime: runtime, node, model: Model::default(), now_us: BEGIN }
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
        for key in KEYS {
            drop(self.run(&["GET", key]));
            drop(self.run(&["GET", &format!("quorlock:fence:{key}")]));
        }
        let nothing = Ask { verb: Verb::Release, keys: &[], token: "", ttl: 0, fence: None };
        self.model.ask(&nothing, self.now());
    }

    fn expiry(&self, key: usize) -> Option<i64> {
        let mut live = self.model.live(self.now());
        live.find(|(name, _)| *name == KEYS[key]).map(|(_, entry)| entry.expires_at)
    }

    fn run(&self, words: &[&str]) -> Reply {
        self.node.run(words)
    }

    /// What the library sends, and how it reads the answer.
    fn ask_scripts(&self, ask: &Ask<'_>) -> seam::Reply {
        let Ask { verb, keys, token, fence, .. } = *ask;
        let ttl = ask.ttl.to_string();
        if let (Verb::Acquire, [key], None) = (verb, keys, fence) {
            return match self.run(&["SET", key, token, "NX", "PX", &ttl]) {
                Reply::Status(_) => seam::Reply::Granted,
                Reply::Nil => seam::Reply::Denied,
                other => panic!("SET answered {other:?}"),
            };
        }
        let script = match verb {
            Verb::Acquire if fence.is_some() => text::ACQUIRE_FENCED,
            Verb::Acquire => text::ACQUIRE,
            Verb::Certify => text::CERTIFY,
            Verb::Extend => text::EXTEND,
            Verb::Repair => text::REPAIR,
            Verb::Release | Verb::Undo => text::RELEASE,
        };
        let mut all_keys = keys.to_vec();
        if fence.is_some() {
            all_keys.extend(keys.iter().map(|key| format!("quorlock:fence:{key}")));
        }
        let mut words = vec!["EVAL".to_owned(), script.to_owned(), all_keys.len().to_string()];
        words.extend(all_keys);
        words.push(token.to_owned());
        if matches!(verb, Verb::Acquire | Verb::Extend | Verb::Repair) {
            words.push(ttl);
        }
        match fence {
            None => {}
            Some(Fence::Count(number) | Fence::Lift(number)) => words.push(number.to_string()),
            Some(Fence::Raise { granted, to }) => {
                words.extend([granted.to_string(), to.to_string()]);
            }
        }
        if fence.is_some() {
            words.push("86400000".to_owned());
        }
        read(ask, &self.run(&words.iter().map(String::as_str).collect::<Vec<_>>()))
    }

    /// What is said of each of these releases, which go out together.
    fn release_together(&self, locks: &[(usize, &str)]) -> Vec<i64> {
        let count = locks.len().to_string();
        let mut words = vec!["EVAL", text::RELEASE_TOGETHER, &count];
        words.extend(locks.iter().map(|(key, _)| KEYS[*key]));
        words.extend(locks.iter().map(|(_, token)| *token));
        match self.run(&words) {
            Reply::Int(1) => vec![1; locks.len()],
            Reply::Array(parts) => parts.iter().filter_map(Reply::int).collect(),
            other => panic!("releases together were answered {other:?}"),
        }
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
        let locks = live.map(|(key, entry)| {
            (key.clone(), entry.token.to_string(), entry.expires_at - self.now())
        });
        let counters = self.model.counters(self.now()).map(|(key, counter)| {
            let left = counter.expires_at - self.now();
            (format!("quorlock:fence:{key}"), counter.number.to_string(), left)
        });
        // As the node lists them: the counters behind the locks, whose names are short here.
        locks.chain(counters).collect()
    }

    /// Both do it. What they said, in that order, where they said something.
    fn step(&mut self, step: &Step) -> Option<[String; 2]> {
        match step {
            Step::Ask { verb, keys, token, ttl, fence } => {
                let ask = Ask { verb: *verb, keys, token, ttl: *ttl, fence: *fence };
                let scripts = self.ask_scripts(&ask);
                let model = self.model.ask(&ask, self.now());
                return Some([format!("{scripts:?}"), format!("{model:?}")]);
            }
            Step::Together(locks) => {
                let scripts = self.release_together(locks);
                let live = self.model.live(self.now());
                let held: Vec<_> =
                    live.map(|(key, entry)| (key.clone(), entry.token.to_string())).collect();
                let model = locks.iter().map(|(key, token)| {
                    let by = held.iter().find(|(held, _)| held == KEYS[*key]);
                    by.map_or(0, |(_, by)| if by == token { 1 } else { 2 })
                });
                let model: Vec<i64> = model.collect();
                for (key, token) in locks {
                    let keys = [KEYS[*key].to_owned()];
                    let verb = Verb::Release;
                    self.model
                        .ask(&Ask { verb, keys: &keys, token, ttl: 0, fence: None }, self.now());
                }
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
                    let verb = Verb::Release;
                    let ask = Ask { verb, keys: &key, token: &token, ttl: 0, fence: None };
                    self.model.ask(&ask, self.now());
                }
            }
        }
        None
    }
}

fn read(ask: &Ask<'_>, reply: &Reply) -> seam::Reply {
    let verb = ask.verb;
    let numbers = |parts: &[Reply]| parts.iter().filter_map(Reply::int).collect::<Vec<_>>();
    let said = match reply {
        Reply::Int(number) => vec![*number],
        Reply::Array(parts) => numbers(parts),
        other => panic!("{verb:?} answered {other:?}"),
    };
    match (verb, said.as_slice()) {
        // Counted as was proposed.
        (Verb::Acquire, [1]) if ask.fence.is_some() => match ask.fence {
            Some(Fence::Count(proposal)) => seam::Reply::Counted(proposal),
            other => panic!("an acquire with {other:?}"),
        },
        (Verb::Acquire, [1, counter]) => seam::Reply::Counted(counter.unsigned_abs()),
        (Verb::Acquire, [0, 0]) => seam::Reply::Denied,
        (Verb::Acquire | Verb::Certify | Verb::Repair, [1]) => seam::Reply::Granted,
        (Verb::Acquire | Verb::Certify | Verb::Repair, [0]) => seam::Reply::Denied,
        (Verb::Extend, [1, found]) => {
            let found = u64::try_from(*found).expect("a key that is there has some time left");
            seam::Reply::Kept { found: Duration::from_millis(found) }
        }
        (Verb::Extend, [0, _]) => seam::Reply::Missing,
        (Verb::Extend, [-1, _]) => seam::Reply::HeldByAnother,
        (Verb::Release | Verb::Undo, [1]) => {
            seam::Reply::Released { deleted: 1, others: 0, foreign: 0 }
        }
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
                let (fence, verb_before) = (None, Verb::Acquire);
                pair.step(&Step::Ask { verb: verb_before, keys, token: "one", ttl: 10, fence });
                pair.pass(before);
                let [scripts, model] = pair
                    .step(&Step::Ask { verb, keys: key.clone(), token, ttl, fence })
                    .expect("a question is answered");
                let case = format!("{verb:?} by {token} for {ttl} ms after {before} us");
                assert_eq!(scripts, model, "{case}");
                assert_eq!(pair.in_the_node(), pair.in_the_model(), "{case}");
            }
        }
    }
}
