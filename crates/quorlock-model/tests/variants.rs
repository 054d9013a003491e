//! Checks every variant that is small, and that the document tells what is found. The larger ones are checked by command.

use quorlock_model::report;
use quorlock_model::variants::{self, Expected, Size};

fn check(which: impl Fn(Expected) -> bool) {
    let small =
        variants::all().into_iter().filter(|one| one.size == Size::Small && which(one.expected));
    let mut count = 0;
    for variant in small {
        let outcome = report::check(&variant);
        assert!(outcome.is_as(variant.expected), "{}: {outcome}", variant.name);
        count += 1;
    }
    assert!(count > 3, "they were found: {count}");
}

fn document() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/model.md");
    std::fs::read_to_string(path).expect("the document is there")
}

#[test]
fn the_rules_hold_in_every_state() {
    check(|expected| expected == Expected::Holds);
}

#[test]
fn every_wrong_rule_is_found() {
    check(|expected| expected != Expected::Holds);
}

#[test]
fn the_document_names_every_variant_and_tells_the_counterexample_that_is_found() {
    let (document, all) = (document(), variants::all());
    for variant in &all {
        assert!(document.contains(&format!("| `{}` |", variant.name)), "{}", variant.name);
    }
    let told = all.iter().find(|one| one.name == "change-first-thought").expect("it is there");
    let (_, steps) = report::check(told).broken.expect("it is broken");
    assert!(document.contains(&steps.join("\n")), "it is now:\n{}", steps.join("\n"));
}

#[test]
fn names_are_used_once() {
    let mut names: Vec<_> = variants::all().iter().map(|one| one.name).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
}
