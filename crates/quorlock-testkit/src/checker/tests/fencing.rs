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

#[test]
fn accepts_one_token_for_two_resources() {
    let first = a().takes_token(0, 5, Some(1)).releases(20);
    accepts(&check([first, b().takes_other("s", 1, 25, Some(1)).releases(30)]));
}

#[test]
fn rejects_a_token_that_is_given_twice_at_a_time_or_out_of_turn() {
    let first = || a().takes_token(0, 5, Some(3)).releases(20);
    let between = || Client::new("c").takes_token(21, 25, Some(4)).releases(30);
    let found = check([first(), between(), b().takes_token(31, 35, Some(3)).releases(40)]);
    assert!(
        matches!(&found[..], [Violation::TokenTwice { .. }, Violation::TokenOrder { .. }]),
        "{found:?}"
    );
    accepts(&check([first(), between(), b().takes_token(31, 35, Some(5)).releases(40)]));
}

#[test]
fn accepts_smaller_tokens_of_another_resource_and_holders_without_one() {
    let first = a().takes_token(0, 5, Some(2)).releases(20);
    let other = b().takes_other("s", 30, 35, Some(1)).releases(40);
    let without = Client::new("c").takes_token(50, 55, None).releases(60);
    accepts(&check([first, other, without]));
}

#[test]
fn a_question_comes_after_a_grant_only_if_it_is_asked_later() {
    let first = || a().takes_token(0, 5, Some(2)).releases(50);
    let found = check([first(), b().takes_token(6, 20, Some(1)).releases(30)]);
    assert!(
        matches!(&found[..], [Violation::Overlap { .. }, Violation::TokenOrder { .. }]),
        "{found:?}"
    );
}

#[test]
fn a_holder_comes_after_another_only_if_that_holds_no_more() {
    let first = || a().takes_token(0, 5, Some(2)).releases(20);
    let second = |from| b().takes_token(1, from, Some(1)).releases(30);
    let found = check([first(), second(19)]);
    assert!(matches!(&found[..], [Violation::Overlap { .. }]), "{found:?}");
    let found = check([first(), second(20)]);
    assert!(matches!(&found[..], [Violation::TokenOrder { .. }]), "{found:?}");
}

#[test]
fn a_grant_that_never_counted_is_after_nobody_but_those_before_its_question() {
    let first = |asked| a().takes_token(asked, asked + 5, Some(2)).releases(asked + 20);
    let never = || b().takes_token(10, 110, Some(1)).releases(120);
    accepts(&check([first(5), never()]));
    let found = check([first(4), never()]);
    assert!(matches!(&found[..], [Violation::TokenOrder { .. }]), "{found:?}");
}

#[test]
fn every_later_holder_with_a_smaller_token_is_reported_once_and_beside_the_greatest() {
    let found = check([
        a().takes_token(0, 5, Some(7)).releases(10),
        b().takes_token(11, 15, Some(9)).releases(20),
        Client::new("c").takes_token(21, 25, Some(8)).releases(30),
        Client::new("d").takes_token(31, 35, Some(6)).releases(40),
    ]);
    let pairs: Vec<_> = found
        .iter()
        .map(|violation| match violation {
            Violation::TokenOrder { earlier, later } => (earlier.token, later.token),
            other => panic!("{other}"),
        })
        .collect();
    assert_eq!(pairs, [(Some(9), Some(8)), (Some(9), Some(6))]);
}

#[test]
fn accepts_an_old_write_after_one_whose_answer_is_not_known() {
    let open = || Recorder::new("b").write("r", Some(2), ms(1));
    let mut endless = open().answered(ms(2), Verdict::Accepted);
    endless.ret = None;
    for newer in [open(), open().done(ms(2)), endless] {
        let mut history = history([a().writes(9, 1)]);
        history.push(newer);
        accepts(&Checker::new().check(&history));
    }
    let mut history = history([a().writes(9, 1)]);
    history.push(open().answered(ms(2), Verdict::Accepted));
    assert!(matches!(&Checker::new().check(&history)[..], [Violation::WriteOrder { .. }]));
}

#[test]
fn accepts_old_writes_to_another_store_and_writes_without_a_token() {
    let mut history = history([b().writes(1, 2)]);
    let mut write = |resource, token| {
        let write = Recorder::new("a").write(resource, token, ms(9));
        history.push(write.answered(ms(10), Verdict::Accepted));
    };
    write("s", Some(1));
    write("r", None);
    write("r", Some(2));
    accepts(&Checker::new().check(&history));
}
