//! Which command asks which question, word by word.

use std::time::Duration;

use super::*;
use crate::resources::Keys;
use crate::scripted::question;

fn ask(verb: Verb, resources: &[&str]) -> Question {
    let keys = Keys::parse(resources.into(), "").unwrap();
    Question { keys, ttl: Duration::from_secs(10), ..question(verb) }
}

fn packed(question: &Question, form: Form) -> String {
    let mut packed = Vec::new();
    pack(question, form, None, &mut packed);
    String::from_utf8(packed).unwrap()
}

fn words(question: &Question, form: Form) -> Vec<String> {
    packed(question, form).split("\r\n").skip(2).step_by(2).map(str::to_owned).collect()
}

#[test]
fn one_resource_is_taken_by_the_published_command() {
    let question = ask(Verb::Acquire, &["a"]);
    let token = question.token.text();
    assert_eq!(words(&question, Form::Hash), ["SET", "a", &token, "NX", "PX", "10000"]);
}

#[test]
fn several_resources_are_taken_by_one_script_call() {
    let words = words(&ask(Verb::Acquire, &["b", "a"]), Form::Hash);
    assert_eq!(words[0], "EVALSHA");
    assert_eq!(words[2..5], ["2", "a", "b"]);
    assert_eq!(words.last().unwrap(), "10000");
}

#[test]
fn a_release_carries_no_ttl() {
    let question = ask(Verb::Release, &["a"]);
    assert_eq!(words(&question, Form::Hash).last().unwrap(), &question.token.text());
}

#[test]
fn a_fenced_question_names_the_counters_behind_the_keys() {
    let fenced = |verb, fence| Question { fence: Some(fence), ..ask(verb, &["a", "b"]) };
    let counters = ["quorlock:fence:a", "quorlock:fence:b"];
    let acquire = words(&fenced(Verb::Acquire, Fence::Count(7)), Form::Hash);
    assert_eq!(acquire[2..7], ["4", "a", "b", counters[0], counters[1]]);
    assert_eq!(acquire[8..], ["10000", "7", "86400000"]);
    let certify = words(&fenced(Verb::Certify, Fence::Raise { granted: 7, to: 9 }), Form::Hash);
    assert_eq!(certify[8..], ["7", "9", "86400000"]);
    let release = words(&fenced(Verb::Release, Fence::Lift(9)), Form::Hash);
    assert_eq!(release[8..], ["9", "86400000"]);
    let one = Question { fence: Some(Fence::Lift(9)), ..ask(Verb::Release, &["a"]) };
    for plain in [Form::Together, Form::Native(Delete::Delex)] {
        assert_eq!(Form::first(&one, plain), Form::Hash);
    }
}

#[test]
fn a_held_lock_on_one_resource_is_released_natively_where_the_server_can() {
    let question = ask(Verb::Release, &["a"]);
    let token = question.token.text();
    let form = |delete| Form::first(&question, Form::plain_release(Some(delete)));
    assert_eq!(words(&question, form(Delete::Delex)), ["DELEX", "a", "IFEQ", &token]);
    assert_eq!(words(&question, form(Delete::Delifeq)), ["DELIFEQ", "a", &token]);
    assert_eq!(form(Delete::Delex).next(), Form::Hash);
    assert_eq!(form(Delete::Delex).instead(), Form::Together);
    assert_eq!(Form::Together.instead(), Form::Hash);
}

#[test]
fn releases_go_together_only_where_they_are_plain_and_one_alone_goes_as_itself() {
    let plain = [Form::plain_release(None), Form::plain_release(Some(Delete::Delex))];
    assert_eq!(plain, [Form::Together, Form::Native(Delete::Delex)]);
    for plain in plain {
        assert_eq!(Form::first(&ask(Verb::Release, &["a"]), plain), plain);
        assert_eq!(Form::first(&ask(Verb::Release, &["a", "b"]), plain), Form::Hash);
        for verb in [Verb::Acquire, Verb::Extend, Verb::Repair, Verb::Undo] {
            assert_eq!(Form::first(&ask(verb, &["a"]), plain), Form::Hash);
        }
    }
    assert_eq!(Form::Together.alone(), Form::Hash);
    assert_eq!(Form::Together.next(), Form::Hash);
}

#[test]
fn releases_together_name_their_keys_and_then_their_tokens() {
    let release = |number: u8| Question {
        token: Arc::new(Token::new(uuid::Uuid::nil(), [number; 16])),
        ..ask(Verb::Release, &[["a", "b", "c"][usize::from(number)]])
    };
    let [a, b, c] = [0, 1, 2].map(release);
    let [ta, tb, tc] = [&a, &b, &c].map(|release| release.token.text());
    let packed = |releases: &[&Question]| {
        let mut packed = b"before".to_vec();
        pack_together(releases.iter().copied(), &mut packed);
        let packed = String::from_utf8(packed).unwrap();
        assert!(packed.starts_with("before*"), "{packed}");
        let words = packed.split("\r\n").skip(2).step_by(2).skip(2);
        words.map(str::to_owned).collect::<Vec<_>>()
    };
    // Once more what was packed last, and what differs from it in one, in their order, or in how many there are.
    for _ in 0..2 {
        assert_eq!(packed(&[&a, &b]), ["2", "a", "b", &ta, &tb]);
    }
    assert_eq!(packed(&[&a, &c]), ["2", "a", "c", &ta, &tc]);
    assert_eq!(packed(&[&c, &a]), ["2", "c", "a", &tc, &ta]);
    assert_eq!(packed(&[&c, &a, &b]), ["3", "c", "a", "b", &tc, &ta, &tb]);
    assert_eq!(packed(&[&c, &a]), ["2", "c", "a", &tc, &ta]);
}

#[test]
fn a_node_that_does_not_know_a_script_is_sent_its_text() {
    let question = ask(Verb::Extend, &["a"]);
    let packed = packed(&question, Form::Text);
    assert!(packed.contains("EVAL") && packed.contains("PEXPIRE"));
    assert!(!packed.contains("EVALSHA"));
}
