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
