//! Events that make no sense, each beside its nearest neighbour that does.

use super::*;

/// What is wrong with these events, in order.
fn flaws(events: impl IntoIterator<Item = Event>) -> Vec<Flaw> {
    let found = Checker::new().check(&events.into_iter().collect());
    let flaw = |violation: &Violation| match violation {
        Violation::Malformed { flaw, .. } => *flaw,
        other => panic!("{other}"),
    };
    found.iter().map(flaw).collect()
}

/// An acquire by `a` that was granted, and its recorder.
fn granted() -> (Recorder, Event) {
    let mut a = Recorder::new("a");
    let event = a.acquire("r", ms(0)).granted(ms(5), ms(100), None);
    (a, event)
}

#[test]
fn rejects_an_operation_that_ends_before_it_begins() {
    let backwards = |ret| [Recorder::new("a").acquire("r", ms(5)).refused(ms(ret))];
    assert_eq!(flaws(backwards(4)), [Flaw::EndsBeforeItBegins]);
    assert_eq!(flaws(backwards(5)), []);
    let (a, event) = granted();
    assert_eq!(
        flaws([event.clone(), a.extend(1, ms(9)).refused(ms(8))]),
        [Flaw::EndsBeforeItBegins]
    );
    assert_eq!(flaws([event.clone(), a.release(1, ms(9)).done(ms(8))]), [Flaw::EndsBeforeItBegins]);
    assert_eq!(flaws([event, a.release(1, ms(9)).done(ms(9))]), []);
    let write = |ret| a.write("r", None, ms(9)).answered(ms(ret), Verdict::Accepted);
    assert_eq!(flaws([write(8)]), [Flaw::EndsBeforeItBegins]);
    assert_eq!(flaws([write(9)]), []);
}

#[test]
fn rejects_a_known_outcome_without_an_end() {
    let endless = |mut event: Event| {
        event.ret = None;
        event
    };
    for outcome in [Outcome::Refused, Outcome::Granted { deadline: ms(100), token: None }] {
        let decided = |event: Event| match outcome {
            Outcome::Granted { deadline, token } => event.granted(ms(9), deadline, token),
            _ => event.refused(ms(9)),
        };
        let acquire = decided(Recorder::new("a").acquire("r", ms(5)));
        assert_eq!(flaws([endless(acquire)]), [Flaw::OutcomeWithoutEnd]);
        let (a, event) = granted();
        let extend = decided(a.extend(1, ms(8)));
        assert_eq!(flaws([event, endless(extend)]), [Flaw::OutcomeWithoutEnd]);
    }
    assert_eq!(flaws([Recorder::new("a").acquire("r", ms(5))]), []);
    let (a, event) = granted();
    assert_eq!(flaws([event, a.extend(1, ms(8)), a.release(1, ms(9))]), []);
}

#[test]
fn rejects_a_number_that_is_used_twice() {
    let first = || Recorder::new("a").acquire("r", ms(7)).refused(ms(8));
    let again = |client: &str| Recorder::new(client).acquire("r", ms(9));
    assert_eq!(flaws([first(), again("a")]), [Flaw::NumberUsedTwice]);
    assert_eq!(flaws([first(), again("b")]), [], "numbers are counted for each client");
    let mut a = Recorder::new("a");
    let both = [a.acquire("r", ms(7)).refused(ms(8)), a.acquire("r", ms(9))];
    assert_eq!(flaws(both), []);
}

#[test]
fn rejects_what_is_done_with_a_lock_that_was_not_granted() {
    let (a, event) = granted();
    let refused = Recorder::new("a").acquire("r", ms(0)).refused(ms(5));
    let open = Recorder::new("a").acquire("r", ms(0));
    let b = Recorder::new("b");
    for (own, anothers) in [
        (a.release(1, ms(6)), b.release(1, ms(6))),
        (a.extend(1, ms(6)).refused(ms(7)), b.extend(1, ms(6)).refused(ms(7))),
        (a.lost(1, ms(6), ms(0)), b.lost(1, ms(6), ms(0))),
    ] {
        assert_eq!(flaws([event.clone(), own.clone()]), []);
        assert_eq!(flaws([own.clone(), event.clone()]), [], "in any order");
        for before in [Some(refused.clone()), Some(open.clone()), None] {
            let events = before.into_iter().chain([own.clone()]);
            assert_eq!(flaws(events), [Flaw::NothingHeld]);
        }
        assert_eq!(flaws([event.clone(), anothers]), [Flaw::NothingHeld]);
    }
    assert_eq!(flaws([event, a.release(2, ms(6))]), [Flaw::NothingHeld]);
    // To write, or to die, nothing has to be held.
    let write = b.write("r", None, ms(6)).answered(ms(7), Verdict::Accepted);
    assert_eq!(flaws([write, b.died(ms(8))]), []);
}

#[test]
fn an_event_that_makes_no_sense_says_so_and_is_not_counted() {
    let (_, event) = granted();
    let twin = Recorder::new("a").acquire("r", ms(6)).granted(ms(7), ms(100), None);
    rejects(
        &Checker::new().losses(Losses::Unheard).check(&[event, twin].into_iter().collect()),
        "no sense in {\"client\":\"a\",\"inv\":6000000,\"ret\":7000000,\"op\":\"acquire\",\"attempt\":1,\
         \"resource\":\"r\",\"outcome\":{\"granted\":{\"deadline\":100000000,\"token\":null}}}: \
         another acquire of this client has the same number",
    );
}
