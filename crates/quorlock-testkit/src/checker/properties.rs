//! Generated histories: a legal one is accepted whatever its events' order; one planted violation is found.

use std::time::Duration;

use proptest::{prelude::*, sample::Index};

use super::{Checker, Violation};
use crate::history::{Event, History, Recorder, Verdict};

/// One turn of a resource: how long until it is asked for, granted, given up and free again, in microseconds.
#[derive(Clone, Debug)]
struct Turn {
    client: usize,
    asked: u64,
    granted: u64,
    held: u64,
    free: u64,
    end: End,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Release,
    OpenRelease,
    Lost,
    ExtendThenRelease,
}

const SLACK: u64 = 1_000;

fn turn() -> impl Strategy<Value = Turn> {
    let end = prop_oneof![
        Just(End::Release),
        Just(End::OpenRelease),
        Just(End::Lost),
        Just(End::ExtendThenRelease)
    ];
    (0..4usize, 0..500u64, 1..500u64, 2..5_000u64, 0..500u64, end).prop_map(
        |(client, asked, granted, held, free, end)| Turn {
            client,
            asked,
            granted,
            held,
            free,
            end,
        },
    )
}

fn us(us: u64) -> Duration {
    Duration::from_micros(us)
}

/// Plays the turns one after another: each waits for the one before, so no two validity windows overlap.
fn legal(turns: &[Turn]) -> Vec<Event> {
    let mut clients: Vec<Recorder> = (0..4).map(|i| Recorder::new(format!("client-{i}"))).collect();
    let (mut events, mut now) = (Vec::new(), SLACK);
    for (turn, token) in turns.iter().zip(1..) {
        let asked = now.saturating_sub(turn.asked);
        let from = now + turn.granted;
        let until = from + turn.held;
        play(&mut clients[turn.client], turn.end, (asked, from, until), token, &mut events);
        now = until + turn.free;
    }
    events
}

fn play(
    client: &mut Recorder,
    end: End,
    (asked, from, until): (u64, u64, u64),
    token: u64,
    events: &mut Vec<Event>,
) {
    let deadline = if matches!(end, End::ExtendThenRelease) { from + 2 } else { until + SLACK };
    let acquire = client.acquire("r", us(asked)).granted(us(from), us(deadline), Some(token));
    let attempt = client.attempt();
    events.push(acquire);
    events.push(client.write("r", Some(token), us(from)).answered(us(from), Verdict::Accepted));
    match end {
        End::Release => events.push(client.release(attempt, us(until)).done(us(until + 1))),
        End::OpenRelease => events.push(client.release(attempt, us(until))),
        End::Lost => events.push(client.lost(attempt, us(until), Duration::ZERO)),
        End::ExtendThenRelease => {
            let extend = client.extend(attempt, us(from));
            events.push(extend.granted(us(from + 1), us(until + SLACK), None));
            events.push(client.release(attempt, us(until)).done(us(until + 1)));
        }
    }
}

fn shuffled(events: Vec<Event>) -> impl Strategy<Value = Vec<Event>> {
    Just(events).prop_shuffle()
}

fn legal_histories() -> impl Strategy<Value = Vec<Event>> {
    prop::collection::vec(turn(), 1..40).prop_flat_map(|turns| shuffled(legal(&turns)))
}

/// The instant in the middle of some hold, and all events.
fn with_a_hold() -> impl Strategy<Value = (Vec<Event>, Duration)> {
    (legal_histories(), any::<Index>()).prop_map(|(events, index)| {
        let holds = super::holds(&events.iter().cloned().collect());
        let hold = &holds[index.index(holds.len())];
        let middle = hold.from + (hold.until - hold.from) / 2;
        (events, middle)
    })
}

proptest! {
    #[test]
    fn accepts_every_legal_history(events in legal_histories()) {
        let history: History = events.into_iter().collect();
        prop_assert_eq!(Checker::new().check(&history), []);
    }

    #[test]
    fn rejects_a_planted_overlap((mut events, at) in with_a_hold()) {
        let mut intruder = Recorder::new("intruder");
        events.push(intruder.acquire("r", at).granted(at, at + us(1), None));
        events.push(intruder.release(1, at + us(1)));
        let found = Checker::new().check(&events.into_iter().collect());
        prop_assert!(found.iter().any(|violation| matches!(violation, Violation::Overlap { first, second }
            if first.client == "intruder" || second.client == "intruder")), "{:?}", found);
    }

    #[test]
    fn rejects_a_planted_old_token((mut events, _) in with_a_hold()) {
        let end = events.iter().cloned().collect::<History>().end() + us(1);
        let mut intruder = Recorder::new("intruder");
        events.push(intruder.acquire("r", end).granted(end, end + us(9), Some(0)));
        events.push(intruder.write("r", Some(0), end).answered(end, Verdict::Accepted));
        events.push(intruder.release(1, end + us(5)));
        let found = Checker::new().check(&events.into_iter().collect());
        prop_assert!(matches!(&found[..],
            [Violation::TokenOrder { later, .. }, Violation::WriteOrder { later: write, .. }]
            if later.client == "intruder" && write.client == "intruder"), "{:?}", found);
    }

    #[test]
    fn accepts_what_it_wrote_as_lines(events in legal_histories()) {
        let history: History = events.into_iter().collect();
        let mut lines = Vec::new();
        history.write_lines(&mut lines)?;
        let read = History::read_lines(lines.as_slice())?;
        prop_assert_eq!(read.events(), history.events());
    }
}
