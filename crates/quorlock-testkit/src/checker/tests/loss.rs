//! "lost" comes before the validity ends.

use super::*;

#[test]
fn accepts_an_extension_after_the_loss_that_changes_nothing() {
    let stubborn = a().takes(0, 5).loses(40, 0).extends(41, 42, 200);
    accepts(&check([stubborn, b().takes(1, 43).releases(60)]));
}

#[test]
fn accepts_a_loss_told_at_the_deadline() {
    accepts(&check([a().takes(0, 5).loses(100, 0)]));
}

#[test]
fn rejects_a_loss_told_after_the_deadline() {
    rejects(
        &check([a().takes(0, 5).loses(101, 0)]),
        "lost r told 1ms too late: a#1 from 5ms until 100ms (expired) heard it at 101ms",
    );
}

#[test]
fn accepts_a_late_loss_that_the_machine_is_to_blame_for() {
    accepts(&check([a().takes(0, 5).loses(130, 30)]));
}

#[test]
fn rejects_a_loss_that_was_later_than_the_machine() {
    let found = check([a().takes(0, 5).loses(130, 29)]);
    assert!(matches!(&found[..], [Violation::LostLate { told: Some(_), .. }]), "{found:?}");
}

#[test]
fn accepts_a_loss_told_before_the_extended_deadline() {
    accepts(&check([a().takes(0, 5).extends(50, 60, 150).loses(149, 0)]));
}

#[test]
fn rejects_a_loss_told_after_a_deadline_that_an_extension_did_not_move_in_time() {
    let found = check([a().takes(0, 5).extends(50, 100, 150).loses(149, 0)]);
    assert!(matches!(&found[..], [Violation::LostLate { .. }]), "{found:?}");
}

#[test]
fn accepts_a_lease_that_outlives_the_history() {
    accepts(&check([a().takes(0, 5)]));
}

#[test]
fn rejects_a_lease_that_ran_out_without_a_word() {
    rejects(
        &check([a().takes(0, 5), b().takes(101, 102).releases(103)]),
        "lost r without a word: a#1 from 5ms until 100ms (expired)",
    );
}

#[test]
fn accepts_a_lease_that_ran_out_without_a_word_where_nobody_listened() {
    let history = history([a().takes(0, 5), b().takes(101, 102).releases(103)]);
    accepts(&Checker::new().losses(Losses::Unheard).check(&history));
}

#[test]
fn accepts_a_late_word_about_a_lease_that_was_given_back_in_time() {
    accepts(&check([a().takes(0, 5).releases(100).loses(130, 0)]));
    let found = check([a().takes(0, 5).releases(101).loses(130, 0)]);
    assert!(matches!(&found[..], [Violation::LostLate { told: Some(_), .. }]), "{found:?}");
}

#[test]
fn accepts_silence_of_a_process_that_died_at_the_deadline_and_rejects_it_after() {
    let later = || b().takes(101, 102).releases(103);
    accepts(&check([a().takes(0, 5).dies(100), later()]));
    let found = check([a().takes(0, 5).dies(101), later()]);
    assert!(matches!(&found[..], [Violation::LostLate { told: None, .. }]), "{found:?}");
}

#[test]
fn accepts_silence_until_the_deadline_and_rejects_it_after() {
    let goes_on = |end: u64| Client::new("c").takes_other("s", 1, 2, None).releases(end - 1);
    accepts(&check([a().takes(0, 5), goes_on(100)]));
    let found = check([a().takes(0, 5), goes_on(101)]);
    assert!(matches!(&found[..], [Violation::LostLate { told: None, .. }]), "{found:?}");
}

#[test]
fn the_first_word_counts() {
    accepts(&check([a().takes(0, 5).loses(100, 0).loses(130, 0)]));
    let found = check([a().takes(0, 5).loses(101, 0).loses(130, 0)]);
    assert!(
        matches!(&found[..], [Violation::LostLate { told: Some(told), .. }] if *told == ms(101)),
        "{found:?}"
    );
}

#[test]
fn rejects_a_late_word_also_where_nobody_had_to_listen() {
    let unheard = |at| {
        let history = history([a().takes(0, 5).loses(at, 0)]);
        Checker::new().losses(Losses::Unheard).check(&history)
    };
    accepts(&unheard(100));
    assert!(matches!(&unheard(101)[..], [Violation::LostLate { .. }]));
}

#[test]
fn accepts_silence_about_a_grant_that_came_at_its_deadline_and_rejects_it_for_one_before() {
    let later = || b().takes(130, 131).releases(132);
    accepts(&check([a().takes(0, 100), later()]));
    let found = check([a().takes(0, 99), later()]);
    assert!(matches!(&found[..], [Violation::LostLate { told: None, .. }]), "{found:?}");
}

#[test]
fn an_extension_before_the_deadline_moves_what_is_late_and_one_at_it_does_not() {
    let extended = |ret, told| check([a().takes(0, 5).extends(50, ret, 150).loses(told, 0)]);
    accepts(&extended(99, 150));
    assert!(matches!(&extended(99, 151)[..], [Violation::LostLate { .. }]));
    accepts(&extended(100, 100));
    assert!(matches!(&extended(100, 101)[..], [Violation::LostLate { .. }]));
}

#[test]
fn an_extension_to_an_earlier_deadline_is_one_too() {
    let shortened = |told| check([a().takes(0, 5).extends(10, 20, 60).loses(told, 0)]);
    accepts(&shortened(60));
    assert!(matches!(&shortened(61)[..], [Violation::LostLate { .. }]));
}

#[test]
fn an_extension_that_returns_after_the_loss_moves_no_deadline_back_and_one_before_it_does() {
    let shortened = |ret| check([a().takes(0, 5).loses(40, 0).extends(20, ret, 30)]);
    accepts(&shortened(41));
    accepts(&shortened(40));
    assert!(matches!(&shortened(39)[..], [Violation::LostLate { .. }]));
}
