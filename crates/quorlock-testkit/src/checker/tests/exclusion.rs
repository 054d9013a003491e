//! At most one valid lease per resource: what overlaps and what only touches.

use super::*;

#[test]
fn accepts_one_holder_after_another() {
    accepts(&check([a().takes(0, 5).releases(20), b().takes(1, 20).releases(30)]));
}

#[test]
fn rejects_two_holders_at_a_time() {
    rejects(
        &check([a().takes(0, 5).releases(20), b().takes(1, 19).releases(30)]),
        "two holders of r: a#1 from 5ms until 20ms (released) and b#1 from 19ms until 30ms (released)",
    );
}

#[test]
fn rejects_a_holder_inside_the_time_of_another_that_came_before_a_third() {
    let short = Client::new("c").takes(0, 10).releases(11);
    let found = check([a().takes(0, 5).releases(50), short, b().takes(1, 40).releases(60)]);
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn accepts_two_holders_of_two_resources() {
    let mut other = Recorder::new("b");
    let other = [
        other.acquire("s", ms(1)).granted(ms(6), ms(101), None),
        other.release(1, ms(9)).done(ms(10)),
    ];
    let mut history = history([a().takes(0, 5).releases(20)]);
    history.extend(other);
    accepts(&Checker::new().check(&history));
}

#[test]
fn accepts_a_holder_after_the_deadline_of_another() {
    accepts(&check([a().takes(0, 5).loses(99, 0), b().takes(90, 100).releases(110)]));
}

#[test]
fn rejects_a_holder_before_the_deadline_of_another() {
    let found = check([a().takes(0, 5).releases(130), b().takes(90, 99).releases(110)]);
    assert!(matches!(&found[0], Violation::Overlap { first, .. } if first.ended == Ended::Expired));
}

#[test]
fn accepts_a_holder_after_a_release_that_never_returned() {
    let mut client = Recorder::new("a");
    let open =
        [client.acquire("r", ms(0)).granted(ms(5), ms(100), None), client.release(1, ms(20))];
    let mut history = history([b().takes(1, 20).releases(30)]);
    history.extend(open);
    accepts(&Checker::new().check(&history));
}

#[test]
fn rejects_a_holder_during_an_extension() {
    let found = check([
        a().takes(0, 5).extends(50, 60, 150).releases(140),
        b().takes(90, 120).releases(130),
    ]);
    assert!(matches!(&found[..], [Violation::Overlap { .. }]), "{found:?}");
}

#[test]
fn accepts_a_holder_after_an_extension_that_returned_too_late() {
    let late = a().takes(0, 5).loses(98, 0).extends(50, 101, 150);
    accepts(&check([late, b().takes(90, 120).releases(130)]));
}

#[test]
fn accepts_a_holder_after_another_was_told_it_lost() {
    accepts(&check([a().takes(0, 5).loses(40, 0), b().takes(1, 41).releases(60)]));
}

#[test]
fn rejects_a_holder_before_another_is_told_it_lost() {
    let found = check([a().takes(0, 5).loses(42, 0), b().takes(1, 41).releases(60)]);
    assert!(matches!(&found[..], [Violation::Overlap { .. }]), "{found:?}");
}

#[test]
fn accepts_a_holder_after_the_process_of_another_died() {
    accepts(&check([a().takes(0, 5).dies(30), b().takes(1, 30).releases(60)]));
}

#[test]
fn rejects_a_holder_before_the_process_of_another_died() {
    let found = check([a().takes(0, 5).dies(31), b().takes(1, 30).releases(60)]);
    assert!(matches!(&found[0], Violation::Overlap { first, .. } if first.ended == Ended::Died));
}

#[test]
fn accepts_acquires_that_were_refused_or_never_returned() {
    let mut other = Recorder::new("b");
    let mut history = history([a().takes(0, 5).releases(20)]);
    history.push(other.acquire("r", ms(1)).refused(ms(6)));
    history.push(other.acquire("r", ms(7)));
    accepts(&Checker::new().check(&history));
}

#[test]
fn accepts_a_grant_that_came_after_its_deadline() {
    let found =
        check([a().takes(0, 5).releases(130), b().takes(0, 120).takes(140, 145).releases(150)]);
    assert!(!found.iter().any(|v| matches!(v, Violation::Overlap { .. })), "{found:?}");
}

#[test]
fn rejects_two_holders_from_the_same_instant_on_and_accepts_one_of_them() {
    let both = check([a().takes(0, 5).releases(20), b().takes(1, 5).releases(30)]);
    assert!(matches!(&both[..], [Violation::Overlap { .. }]), "{both:?}");
    // A hold that ends at the instant at which it begins never counted.
    accepts(&check([a().takes(0, 5).releases(5), b().takes(1, 5).releases(30)]));
}

#[test]
fn rejects_one_client_that_holds_twice_and_accepts_it_in_turn() {
    let twice = check([a().takes(0, 5).takes(1, 6).releases(9)]);
    assert!(matches!(&twice[..], [Violation::Overlap { .. }]), "{twice:?}");
    accepts(&check([a().takes(0, 5).releases(9).takes(6, 9).releases(12)]));
}

#[test]
fn accepts_a_grant_at_its_deadline_and_rejects_one_before_it() {
    let holder = || a().takes(80, 99).releases(130);
    let late = check([holder(), b().takes(0, 100).releases(101)]);
    accepts(&late);
    let early = check([holder(), b().takes(0, 99).releases(101)]);
    assert!(matches!(&early[0], Violation::Overlap { .. }), "{early:?}");
}

#[test]
fn an_extension_that_returns_at_the_deadline_changes_nothing_and_one_before_it_does() {
    let with = |ret| {
        let extended = a().takes(0, 5).extends(50, ret, 150).releases(140);
        let history = history([extended, b().takes(90, 100).releases(130)]);
        Checker::new().losses(Losses::Unheard).check(&history)
    };
    accepts(&with(100));
    assert!(matches!(&with(99)[..], [Violation::Overlap { .. }]));
}

#[test]
fn an_extension_keeps_the_resource_until_its_own_deadline_and_no_longer() {
    let extended = || a().takes(0, 5).extends(50, 60, 150).loses(149, 0);
    accepts(&check([extended(), b().takes(90, 149).releases(160)]));
    let found = check([extended(), b().takes(90, 148).releases(160)]);
    assert!(matches!(&found[..], [Violation::Overlap { .. }]), "{found:?}");
    let silent = || a().takes(0, 5).extends(50, 60, 150).releases(170);
    accepts(&check([silent(), b().takes(90, 150).releases(160)])[1..]);
    let found = check([silent(), b().takes(90, 149).releases(160)]);
    assert!(matches!(&found[0], Violation::Overlap { first, .. } if first.until == ms(150)));
}

#[test]
fn extensions_are_taken_in_the_order_of_their_returns() {
    // The one that was asked first came last, and so it is the one that counts.
    let extended = |last| a().takes(0, 5).extends(10, 60, last).extends(20, 40, 130).releases(140);
    accepts(&check([extended(120), b().takes(90, 120).releases(150)])[1..]);
    let found = check([extended(121), b().takes(90, 120).releases(150)]);
    assert!(matches!(&found[0], Violation::Overlap { .. }), "{found:?}");
}

#[test]
fn an_extension_that_was_refused_or_is_open_changes_nothing() {
    let mut holder = Recorder::new("a");
    let mut history = history([b().takes(90, 100).releases(130)]);
    history.push(holder.acquire("r", ms(0)).granted(ms(5), ms(100), None));
    history.push(holder.extend(1, ms(10)).refused(ms(20)));
    history.push(holder.extend(1, ms(30)));
    history.push(holder.lost(1, ms(99), ms(0)));
    accepts(&Checker::new().check(&history));
}

#[test]
fn the_death_of_one_client_ends_only_what_it_holds() {
    let found = check([a().takes(0, 5).releases(50), b().takes(1, 30).releases(40), {
        Client::new("c").dies(10)
    }]);
    assert!(matches!(&found[..], [Violation::Overlap { .. }]), "{found:?}");
}

#[test]
fn the_first_of_several_ends_counts() {
    for ended in [
        a().takes(0, 5).releases(20).dies(30).loses(40, 0),
        a().takes(0, 5).releases(40).dies(30).loses(20, 0),
        a().takes(0, 5).dies(40).dies(20).releases(30),
    ] {
        let events = ended.1.clone();
        accepts(&check([ended, b().takes(1, 20).releases(30)]));
        let found = check([Client(Recorder::new("a"), events), b().takes(1, 19).releases(30)]);
        assert!(matches!(&found[..], [Violation::Overlap { .. }]), "{found:?}");
    }
}
