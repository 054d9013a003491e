//! Fencing tokens: unique, growing, and obeyed by the store.

use super::*;

#[test]
fn accepts_growing_tokens() {
    let first = a().takes_token(0, 5, Some(1)).releases(20);
    accepts(&check([first, b().takes_token(1, 25, Some(2)).releases(30)]));
}

#[test]
fn rejects_a_token_that_is_given_twice() {
    let first = a().takes_token(0, 5, Some(1)).releases(20);
    rejects(
        &check([first, b().takes_token(1, 25, Some(1)).releases(30)]),
        "fencing token 1 of r given twice: to a#1 from 5ms until 20ms (released) \
         and to b#1 from 25ms until 30ms (released)",
    );
}

#[test]
fn rejects_a_smaller_token_for_a_later_holder() {
    let first = a().takes_token(0, 5, Some(2)).releases(20);
    rejects(
        &check([first, b().takes_token(1, 20, Some(1)).releases(30)]),
        "fencing tokens of r out of order: 2 for a#1 from 5ms until 20ms (released), \
         then 1 for b#1 from 20ms until 30ms (released)",
    );
}

#[test]
fn rejects_a_smaller_token_for_a_later_question_though_both_held_at_once() {
    let first = a().takes_token(0, 5, Some(2)).releases(50);
    let found = check([first, b().takes_token(10, 20, Some(1)).releases(30)]);
    assert!(
        matches!(&found[..], [Violation::Overlap { .. }, Violation::TokenOrder { .. }]),
        "{found:?}"
    );
}

#[test]
fn accepts_a_smaller_token_for_a_question_at_the_same_time() {
    let first = a().takes_token(0, 5, Some(2)).releases(50);
    let found = check([first, b().takes_token(5, 20, Some(1)).releases(30)]);
    assert!(matches!(&found[..], [Violation::Overlap { .. }]), "{found:?}");
}

#[test]
fn accepts_writes_in_the_order_of_their_tokens() {
    accepts(&check([a().writes(1, 1).writes(5, 1), b().writes(6, 2)]));
}

#[test]
fn rejects_an_old_write_after_a_new_one() {
    let found = check([a().writes(9, 1), b().writes(6, 2)]);
    assert!(matches!(&found[..], [Violation::WriteOrder { later, .. }] if later.client == "a"));
    assert!(found[0].to_string().starts_with("an old write was accepted: {\"client\":\"a\""));
}

#[test]
fn accepts_an_old_write_during_a_new_one() {
    accepts(&check([a().writes(8, 1), b().writes(6, 2)]));
}

#[test]
fn accepts_an_old_write_that_the_store_refused() {
    let mut history = history([b().writes(6, 2)]);
    history.push(Recorder::new("a").write("r", Some(1), ms(9)).answered(ms(10), Verdict::Refused));
    accepts(&Checker::new().check(&history));
}
