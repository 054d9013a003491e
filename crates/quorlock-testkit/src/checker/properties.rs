//! Generated histories, from a lock that works: a legal one is accepted whatever its events' order; one planted violation
//! of each kind is found.

use std::time::Duration;

use proptest::{prelude::*, sample::Index};

use super::{Checker, Flaw, Hold, Residue, Violation, Window, longest_unavailability};
use crate::history::{Action, Event, History, Recorder, Verdict};

/// One turn of a resource: how long until it is asked for, granted, given up and free again, in microseconds.
#[derive(Clone, Debug)]
struct Turn {
    resource: usize,
    client: usize,
    asked: u64,
    granted: u64,
    held: u64,
    free: u64,
    end: End,
    rival: Rival,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Release,
    OpenRelease,
    Lost,
    LostAtItsDeadline,
    ExtendThenRelease,
    RefusedExtendThenRelease,
    Death,
}

/// Somebody who asks in vain while the resource is held.
#[derive(Clone, Copy, Debug)]
enum Rival {
    Nobody,
    Refused,
    /// Nobody knows what came of it.
    Open,
}

const SLACK: u64 = 1_000;
const RESOURCES: [&str; 2] = ["r", "s"];

fn turn() -> impl Strategy<Value = Turn> {
    let end = prop_oneof![
        Just(End::Release),
        Just(End::OpenRelease),
        Just(End::Lost),
        Just(End::LostAtItsDeadline),
        Just(End::ExtendThenRelease),
        Just(End::RefusedExtendThenRelease),
        Just(End::Death),
    ];
    let rival =
        prop_oneof![3 => Just(Rival::Nobody), 1 => Just(Rival::Refused), 1 => Just(Rival::Open)];
    // The first resource more often, so that its holders meet.
    let resource = prop_oneof![3 => Just(0usize), 1 => Just(1)];
    (resource, 0..4usize, 0..500u64, 1..500u64, 2..5_000u64, 0..500u64, end, rival).prop_map(
        |(resource, client, asked, granted, held, free, end, rival)| Turn {
            resource,
            client,
            asked,
            granted,
            held,
            free,
            end,
            rival,
        },
    )
}

fn us(us: u64) -> Duration {
    Duration::from_micros(us)
}

/// Plays the turns of each resource one after another: each waits for the one before, so no two validity windows of a
/// resource overlap.
fn legal(turns: &[Turn]) -> Vec<Event> {
    let mut clients: Vec<Recorder> = (0..4).map(|i| Recorder::new(format!("client-{i}"))).collect();
    let (mut events, mut now) = (Vec::new(), [SLACK; RESOURCES.len()]);
    for (turn, token) in turns.iter().zip(1..) {
        let now = &mut now[turn.resource];
        let asked = now.saturating_sub(turn.asked);
        let from = *now + turn.granted;
        let until = from + turn.held;
        // The dead ask for nothing any more.
        let mut mortal = Recorder::new(format!("mortal-{token}"));
        let client = match turn.end {
            End::Death => &mut mortal,
            _ => &mut clients[turn.client],
        };
        play(client, turn, (asked, from, until), token, &mut events);
        let mut rival = Recorder::new(format!("rival-{token}"));
        match turn.rival {
            Rival::Nobody => {}
            Rival::Refused => {
                events.push(rival.acquire(RESOURCES[turn.resource], us(from)).refused(us(until)));
            }
            Rival::Open => events.push(rival.acquire(RESOURCES[turn.resource], us(from))),
        }
        *now = until + turn.free;
    }
    events
}

fn play(
    client: &mut Recorder,
    turn: &Turn,
    (asked, from, until): (u64, u64, u64),
    token: u64,
    events: &mut Vec<Event>,
) {
    let resource = RESOURCES[turn.resource];
    let deadline = match turn.end {
        End::ExtendThenRelease => from + 2,
        End::LostAtItsDeadline => until,
        _ => until + SLACK,
    };
    let acquire = client.acquire(resource, us(asked)).granted(us(from), us(deadline), Some(token));
    let attempt = client.attempt();
    events.push(acquire);
    events
        .push(client.write(resource, Some(token), us(from)).answered(us(from), Verdict::Accepted));
    let extend = client.extend(attempt, us(from));
    match turn.end {
        End::Lost | End::LostAtItsDeadline => {
            return events.push(client.lost(attempt, us(until), Duration::ZERO));
        }
        End::OpenRelease => return events.push(client.release(attempt, us(until))),
        End::Death => return events.push(client.died(us(until))),
        End::Release => {}
        End::ExtendThenRelease => {
            events.push(extend.granted(us(from + 1), us(until + SLACK), None));
        }
        End::RefusedExtendThenRelease => events.push(extend.refused(us(from + 1))),
    }
    events.push(client.release(attempt, us(until)).done(us(until + 1)));
}

fn shuffled(events: Vec<Event>) -> impl Strategy<Value = Vec<Event>> {
    Just(events).prop_shuffle()
}

fn legal_histories() -> impl Strategy<Value = Vec<Event>> {
    prop::collection::vec(turn(), 1..40).prop_flat_map(|turns| shuffled(legal(&turns)))
}

/// A legal history, and one of its holds.
fn with_a_hold() -> impl Strategy<Value = (Vec<Event>, Hold)> {
    (legal_histories(), any::<Index>()).prop_map(|(events, index)| {
        let mut holds = super::holds(&events.iter().cloned().collect());
        let hold = holds.swap_remove(index.index(holds.len()));
        (events, hold)
    })
}

fn end(events: &[Event]) -> Duration {
    events.iter().cloned().collect::<History>().end()
}

fn check(events: Vec<Event>) -> Vec<Violation> {
    Checker::new().check(&events.into_iter().collect())
}

proptest! {
    #[test]
    fn accepts_every_legal_history(events in legal_histories()) {
        prop_assert_eq!(check(events), []);
    }

    #[test]
    fn rejects_a_planted_overlap((mut events, hold) in with_a_hold()) {
        let at = hold.from + (hold.until - hold.from) / 2;
        let mut intruder = Recorder::new("intruder");
        events.push(intruder.acquire(&hold.resource, at).granted(at, at + us(1), None));
        events.push(intruder.release(1, at + us(1)));
        let found = check(events);
        prop_assert!(!found.is_empty());
        for violation in &found {
            prop_assert!(matches!(violation, Violation::Overlap { first, second }
                if first.client == "intruder" || second.client == "intruder"), "{}", violation);
        }
    }

    #[test]
    fn rejects_a_planted_old_token((mut events, hold) in with_a_hold()) {
        let end = end(&events) + us(1);
        let mut intruder = Recorder::new("intruder");
        events.push(intruder.acquire(&hold.resource, end).granted(end, end + us(9), Some(0)));
        events.push(intruder.write(&hold.resource, Some(0), end).answered(end, Verdict::Accepted));
        events.push(intruder.release(1, end + us(5)));
        let found = check(events);
        prop_assert!(matches!(&found[..],
            [Violation::TokenOrder { later, .. }, Violation::WriteOrder { later: write, .. }]
            if later.client == "intruder" && write.client == "intruder"), "{:?}", found);
    }

    #[test]
    fn rejects_a_planted_token_that_another_had((mut events, hold) in with_a_hold()) {
        let end = end(&events) + us(1);
        let mut intruder = Recorder::new("intruder");
        let asked = intruder.acquire(&hold.resource, end);
        events.push(asked.granted(end, end + us(9), hold.token));
        events.push(intruder.release(1, end + us(5)));
        let found = check(events);
        prop_assert!(matches!(&found[0], Violation::TokenTwice { first, second }
            if [&first.client, &second.client].contains(&&hold.client)), "{:?}", found);
        let order = |violation: &Violation| matches!(violation, Violation::TokenOrder { .. });
        prop_assert!(found.len() == 1 || (found.len() == 2 && order(&found[1])), "{:?}", found);
    }

    #[test]
    fn rejects_a_planted_loss_that_is_told_late_or_never(
        mut events in legal_histories(),
        late in prop::option::of(0..3u64),
        lag in 0..3u64,
    ) {
        let end = end(&events) + us(1);
        let mut intruder = Recorder::new("intruder");
        events.push(intruder.acquire("r", end).granted(end, end + us(5), None));
        if let Some(late) = late {
            events.push(intruder.lost(1, end + us(5 + late), us(lag)));
        }
        // Time goes on.
        events.push(intruder.write("s", None, end + us(9)));
        let found = check(events);
        let legal = late.is_some_and(|late| late <= lag);
        let loss = matches!(&found[..], [Violation::LostLate { hold, .. }] if hold.client == "intruder");
        prop_assert!(if legal { found.is_empty() } else { loss }, "{:?}", found);
    }

    #[test]
    fn rejects_a_window_that_allows_less_than_the_longest_gap(
        (events, hold) in with_a_hold(),
        before in 0..5_000u64,
        after in 0..5_000u64,
    ) {
        let history: History = events.into_iter().collect();
        let window = |within| Window {
            name: "any".to_owned(),
            resource: hold.resource.clone(),
            from: hold.from.saturating_sub(us(before)),
            until: hold.until + us(after),
            within,
        };
        let longest = longest_unavailability(&history, &window(Duration::ZERO));
        prop_assert!(longest <= us(before.max(after)), "{:?}", longest);
        prop_assert_eq!(Checker::new().window(window(longest)).check(&history), []);
        if let Some(less) = longest.checked_sub(Duration::from_nanos(1)) {
            let found = Checker::new().window(window(less)).check(&history);
            prop_assert!(matches!(&found[..], [Violation::Unavailable { gap, .. }] if *gap == longest),
                "{:?}", found);
        }
    }

    #[test]
    fn rejects_what_belongs_to_an_acquire_that_is_not_there((mut events, hold) in with_a_hold()) {
        let is_it = |event: &Event| event.client == hold.client && event.attempt() == Some(hold.attempt);
        let rest = events.iter().filter(|event| is_it(event)).count() - 1;
        events.retain(|event| !(is_it(event) && matches!(event.action, Action::Acquire { .. })));
        let found = check(events);
        prop_assert_eq!(found.len(), rest);
        for violation in &found {
            prop_assert!(matches!(violation, Violation::Malformed { flaw: Flaw::NothingHeld, event }
                if is_it(event)), "{}", violation);
        }
    }

    #[test]
    fn rejects_a_key_that_is_left_and_nothing_else(events in legal_histories()) {
        let residue = Residue { node: "n0".to_owned(), key: "r".to_owned() };
        let found = Checker::new().residue([residue.clone()]).check(&events.into_iter().collect());
        prop_assert_eq!(found, [Violation::Residue(residue)]);
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
