//! `model list | check NAME... | all [--long]`: lists the variants, or checks them. What they are is said in the library.

use std::process::ExitCode;

use quorlock_model::report;
use quorlock_model::variants::{self, Expected, Size, Variant};

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let all = variants::all();
    match words[..] {
        ["list"] => {
            for Variant { name, says, size, .. } in all {
                let long = if size == Size::Long { " (long)" } else { "" };
                println!("{name:26} {says}{long}");
            }
            ExitCode::SUCCESS
        }
        ["all"] => check(all.iter().filter(|one| one.size != Size::Long)),
        ["all", "--long"] => check(&all),
        ["check", ref names @ ..] if are_known(names, &all) => {
            check(all.iter().filter(|one| names.contains(&one.name)))
        }
        _ => {
            eprintln!("model list | check NAME... | all [--long]");
            ExitCode::FAILURE
        }
    }
}

fn are_known(names: &[&str], all: &[Variant]) -> bool {
    let is_known = |name: &&str| all.iter().any(|one| one.name == *name);
    !names.is_empty() && names.iter().all(is_known)
}

fn check<'a>(chosen: impl IntoIterator<Item = &'a Variant>) -> ExitCode {
    let mut is_right = true;
    for variant in chosen {
        println!("{}: {}", variant.name, variant.says);
        let outcome = report::check(variant);
        let is_expected = outcome.is_as(variant.expected);
        println!("  {outcome}");
        if !is_expected {
            let expected = match variant.expected {
                Expected::Holds => "everything was to hold".to_owned(),
                Expected::Breaks(promise) => format!("to be broken was: {promise}"),
            };
            println!("  NOT AS EXPECTED: {expected}");
        }
        is_right &= is_expected;
    }
    if is_right { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
