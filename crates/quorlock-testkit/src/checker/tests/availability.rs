//! In a window, the resource is held again and again.

use super::*;

fn window(from: u64, until: u64, within: u64) -> Window {
    let (name, resource) = ("healed".to_owned(), "r".to_owned());
    Window { name, resource, from: ms(from), until: ms(until), within: ms(within) }
}

#[test]
fn accepts_a_gap_as_long_as_the_window_allows() {
    let history = history([a().takes(0, 5).releases(20), b().takes(1, 30).releases(40)]);
    accepts(&Checker::new().window(window(0, 50, 10)).check(&history));
}

#[test]
fn rejects_a_gap_longer_than_the_window_allows() {
    let history = history([a().takes(0, 5).releases(20), b().takes(1, 30).releases(40)]);
    rejects(
        &Checker::new().window(window(0, 50, 9)).check(&history)[..],
        "r was held by nobody for 10ms in \"healed\", allowed 9ms: \
         between a#1 from 5ms until 20ms (released) and b#1 from 30ms until 40ms (released)",
    );
}

#[test]
fn rejects_a_gap_at_either_edge_and_an_empty_window() {
    let one = history([a().takes(0, 20).releases(30)]);
    for (window, gap) in [(window(0, 35, 19), 20), (window(15, 60, 29), 30)] {
        assert_eq!(longest_unavailability(&one, &window), ms(gap));
        assert_eq!(Checker::new().window(window).check(&one).len(), 1);
    }
    let none = Checker::new().window(window(40, 60, 19)).check(&one);
    assert!(matches!(&none[..], [Violation::Unavailable { after: None, .. }]), "{none:?}");
}

#[test]
fn accepts_a_window_inside_one_hold() {
    let one = history([a().takes(0, 5).releases(90)]);
    assert_eq!(longest_unavailability(&one, &window(10, 80, 0)), Duration::ZERO);
    accepts(&Checker::new().window(window(10, 80, 0)).check(&one));
}

#[test]
fn accepts_a_gap_at_either_edge_and_an_empty_window_as_long_as_the_window_allows() {
    let one = history([a().takes(0, 20).releases(30)]);
    for window in [window(0, 35, 20), window(15, 60, 30), window(40, 60, 20)] {
        accepts(&Checker::new().window(window).check(&one));
    }
}

#[test]
fn rejects_the_longest_of_several_gaps() {
    let turns = || {
        let third = Client::new("c").takes(60, 75).releases(80);
        history([a().takes(0, 5).releases(20), b().takes(1, 30).releases(40), third])
    };
    let found = Checker::new().window(window(0, 90, 34)).check(&turns());
    assert!(
        matches!(&found[..], [Violation::Unavailable { gap, before: Some(before), after: Some(after), .. }]
            if *gap == ms(35) && before.client == "b" && after.client == "c"),
        "{found:?}"
    );
    accepts(&Checker::new().window(window(0, 90, 35)).check(&turns()));
}

#[test]
fn what_was_never_held_or_is_another_resource_fills_no_gap() {
    let taken = |to, resource: &str| {
        let never = a().takes_other(resource, 0, to, None).releases(110);
        history([never, Client::new("c").takes(1, 105).releases(106)])
    };
    let within = |to, resource| longest_unavailability(&taken(to, resource), &window(90, 110, 0));
    assert_eq!(within(100, "r"), ms(20), "granted at its deadline, as was the other after its own");
    assert_eq!(within(99, "r"), ms(10));
    assert_eq!(within(99, "s"), ms(20));
}

#[test]
fn a_short_hold_inside_a_long_one_opens_no_gap() {
    let nested = history([a().takes(0, 5).releases(90), b().takes(10, 20).releases(30)]);
    assert_eq!(longest_unavailability(&nested, &window(10, 95, 0)), ms(5));
}
