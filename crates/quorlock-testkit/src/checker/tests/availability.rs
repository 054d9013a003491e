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
