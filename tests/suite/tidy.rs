//! The shape of the source: what a file starts with, how long it may be, and which file may use which. Reads the source
//! tree; the checks themselves are tested on texts that they must refuse.

mod book;
mod floors;
mod source;

use self::floors::{FLOORS, INSIDE_REDIS_NODE, Order};
use self::source::{Source, under};

/// The longest that a file may be, in lines.
const LONGEST_FILE: usize = 400;
/// The longest that a function may be, in lines.
const LONGEST_FUNCTION: usize = 60;

/// Everything that is checked for its form.
fn all_sources() -> Vec<Source> {
    let all = under(&["crates", "tests"]);
    assert!(all.len() > 100, "the source tree was found: {}", all.len());
    all
}

/// The library, without its tests.
fn library() -> Vec<Source> {
    let library: Vec<_> = under(&["crates/quorlock/src"]).into_iter().collect();
    source::without_tests(&library)
}

#[track_caller]
fn assert_none(complaints: impl IntoIterator<Item = String>) {
    let complaints: Vec<_> = complaints.into_iter().collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn every_file_starts_with_what_lives_in_it() {
    assert_none(all_sources().iter().filter_map(Source::lacks_head));
}

#[test]
fn no_file_and_no_function_is_too_long() {
    let all = all_sources();
    assert_none(all.iter().filter_map(|source| source.is_longer_than(LONGEST_FILE)));
    assert_none(all.iter().flat_map(|source| source.functions_longer_than(LONGEST_FUNCTION)));
}

#[test]
fn every_file_of_the_library_uses_only_files_on_lower_floors() {
    let library = library();
    let top: Vec<_> = library.iter().filter(|source| source.module() != "lib").collect();
    assert_none(Order::new(FLOORS, "crate::").complaints(top));
    let nodes = library.iter().filter(|source| source.path.contains("/redis_node/"));
    assert_none(Order::new(INSIDE_REDIS_NODE, "super::").complaints(nodes));
}

#[test]
fn the_ground_floors_know_no_runtime_no_driver_and_no_log() {
    let (order, ground) = (Order::new(FLOORS, "crate::"), ["tokio", "redis", "tracing", "metrics"]);
    let library = library();
    let low = library.iter().filter(|source| order.floor(&source.module()).is_some_and(|f| f < 2));
    let low: Vec<_> = low.collect();
    assert!(low.len() > 8, "the ground floors were found");
    assert_none(low.iter().flat_map(|source| source.names(&ground)));
}

#[test]
fn only_the_node_and_the_scripts_know_the_driver() {
    let library = library();
    let others = library
        .iter()
        .filter(|source| !source.path.contains("/redis_node/") && source.module() != "script");
    assert_none(others.flat_map(|source| source.names(&["redis"])));
}

#[test]
fn the_library_does_not_panic_on_purpose() {
    let words = [".unwrap()", ".expect(", "panic!", "unreachable!", "todo!", "unimplemented!"];
    assert_none(library().iter().flat_map(|source| source.says(&words)));
}

#[test]
fn only_one_file_reads_the_clock_and_starts_tasks() {
    let words = ["Instant::now", "SystemTime::now", "tokio::spawn", "time::sleep", ".elapsed()"];
    let library = library();
    let others = library.iter().filter(|source| source.module() != "clock");
    assert_none(others.flat_map(|source| source.says(&words)));
}

#[test]
fn every_select_is_biased() {
    let all: Vec<_> = library();
    assert!(all.iter().any(|source| source.text.contains("select!")), "there is one");
    assert_none(all.iter().flat_map(Source::selects_at_random));
}

#[test]
fn no_link_of_the_documents_is_dead_and_no_page_is_left_out_of_the_book() {
    let pages = book::pages();
    assert!(pages.len() > 15, "the documents were found: {}", pages.len());
    assert_none(book::dead_links(&pages, book::is_in_the_repository));
    assert_none(book::left_out(&pages));
}

#[test]
fn every_test_that_the_documents_name_is_there() {
    let sources = all_sources();
    let is_there =
        |name: &str| sources.iter().any(|source| source.text.contains(&format!("fn {name}")));
    let pages = book::pages();
    let named: Vec<_> = pages.iter().flat_map(|page| book::tests_named(&page.text)).collect();
    assert!(named.len() > 60, "the names were found: {}", named.len());
    assert_none(named.into_iter().filter(|name| !is_there(name)).map(str::to_owned));
}

mod rejects {
    use super::*;

    #[test]
    fn a_name_of_a_test_is_told_from_other_code() {
        let text = "`a_lost_round_is_given_back` `quorlock_clock_anomalies` `Redlock::try_lock`\n";
        let named: Vec<_> = book::tests_named(text).collect();
        assert_eq!(named, ["a_lost_round_is_given_back"]);
    }

    #[test]
    fn links_that_lead_nowhere_and_pages_that_nobody_finds() {
        let page =
            |path: &str, text: &str| book::Page { path: path.to_owned(), text: text.to_owned() };
        let pages = [
            page("docs/SUMMARY.md", "- [A](a.md)"),
            page(
                "docs/a.md",
                "# Of two `words`\n[b](b.md#its-heading) [c](../c.md) [up](#of-two-words) [web](https://x)\n```text\n[no](link)\n```",
            ),
            page("docs/b.md", "## Its heading\n[gone](gone.md) [a](a.md#gone) [d](../d.md)"),
        ];
        let exists = |path: &str| path == "c.md" || pages.iter().any(|page| page.path == path);
        let dead = book::dead_links(&pages, exists);
        assert_eq!(dead, ["docs/b.md: gone.md", "docs/b.md: a.md#gone", "docs/b.md: ../d.md"]);
        assert_eq!(book::left_out(&pages), ["docs/b.md is not in the summary"]);
    }

    fn file(path: &str, text: &str) -> Source {
        Source { path: format!("crates/quorlock/src/{path}"), text: text.to_owned() }
    }

    #[test]
    fn a_file_without_a_head() {
        assert!(file("a.rs", "//! What lives here.\n").lacks_head().is_none());
        for text in ["", "\n//! Too late.\n", "// No doc.\n", "use std::fmt;\n", "//!\n"] {
            assert!(file("a.rs", text).lacks_head().is_some(), "{text:?}");
        }
    }

    #[test]
    fn a_file_or_a_function_that_is_too_long() {
        let lines = |count| file("a.rs", &"x\n".repeat(count));
        assert!(lines(400).is_longer_than(400).is_none());
        assert!(lines(401).is_longer_than(400).is_some());
        let function = |body: usize| {
            let inner = "        work();\n".repeat(body);
            file(
                "a.rs",
                &format!("impl A {{\n    pub(crate) async fn go() {{\n{inner}    }}\n}}\n"),
            )
        };
        assert!(function(58).functions_longer_than(60).is_empty());
        assert_eq!(function(59).functions_longer_than(60).len(), 1);
        let declared = format!("trait A {{\n    fn go();\n{}}}\n", "    // more\n".repeat(60));
        assert!(file("a.rs", &declared).functions_longer_than(60).is_empty());
    }

    #[test]
    fn a_file_that_uses_a_higher_floor_or_stands_on_none() {
        const TABLE: floors::Table = floors::Table {
            floors: &[&["low", "second"], &["high"]],
            exceptions: &[("low", "lib", "only its name is quoted")],
        };
        let complaints = |path, text: &str| {
            let all = [
                file("low.rs", "use crate::lib;\n"),
                file("second.rs", ""),
                file("high.rs", ""),
                file(path, text),
            ];
            Order::new(TABLE, "crate::").complaints(&all).len()
        };
        assert_eq!(complaints("high.rs", "use crate::low::A;\nuse crate::high::B;\n"), 0);
        assert_eq!(complaints("second.rs", "use crate::low::A;\n"), 0);
        assert_eq!(complaints("low.rs", "/// See [`crate::high`].\n// crate::high\n"), 0);
        assert_eq!(complaints("low.rs", "use crate::high::A;\n"), 1);
        assert_eq!(complaints("low.rs", "fn a() { crate::second::b() }\n"), 1);
        assert_eq!(complaints("low.rs", "use crate::{high::A, low::B};\n"), 1);
        assert_eq!(complaints("low/inner.rs", "use crate::high::A;\n"), 1);
        assert_eq!(complaints("other.rs", "use std::fmt;\n"), 1);
        assert_eq!(complaints("high.rs", "use crate::unknown::A;\n"), 1);
    }

    #[test]
    fn an_entry_of_the_table_that_nothing_needs_any_more() {
        const TABLE: floors::Table = floors::Table {
            floors: &[&["low", "gone"], &["high"]],
            exceptions: &[("low", "high", "no longer true")],
        };
        let all = [file("low.rs", "use std::fmt;\n"), file("high.rs", "use crate::low::A;\n")];
        let complaints = Order::new(TABLE, "crate::").complaints(&all);
        assert_eq!(complaints.len(), 2, "{complaints:?}");
    }

    #[test]
    fn a_name_that_has_no_place_there() {
        let names = |text| file("a.rs", text).names(&["redis", "tokio"]).len();
        assert_eq!(
            names("use crate::redis_node::Parts;\n// redis::Value\nlet x = \"redis://\";\n"),
            0
        );
        for text in ["use redis::Cmd;\n", "    ::redis::cmd(\"PING\");\n", "use tokio;\n"] {
            assert_eq!(names(text), 1, "{text}");
        }
    }

    #[test]
    fn a_word_outside_of_comments_and_tests() {
        let says = |text| {
            let all = source::without_tests(&[file("a.rs", text), file("lib.rs", "mod a;\n")]);
            all.iter().flat_map(|source| source.says(&[".unwrap()"])).count()
        };
        assert_eq!(says("let a = b.unwrap();\n"), 1);
        assert_eq!(says("let a = b\n    .unwrap();\n"), 1);
        assert_eq!(says("/// a.unwrap();\nlet a = b.unwrap_or_default();\n"), 0);
        assert_eq!(says("#[cfg(test)]\nmod tests {\n    fn a() { b.unwrap(); }\n}\n"), 0);
        // Behind the tests it counts again.
        assert_eq!(says("#[cfg(test)]\nmod tests {\n}\nfn a() { b.unwrap(); }\n"), 1);
    }

    #[test]
    fn nothing_in_a_file_that_only_tests_are_made_of() {
        let all = [
            file("lib.rs", "mod a;\n#[cfg(test)]\nmod fake;\n"),
            file("a.rs", "#[cfg(test)]\nmod tests;\n"),
            file("a/tests.rs", ""),
            file("fake.rs", ""),
            file("b/mod.rs", "#[cfg(test)]\nmod tests;\n"),
            file("b/tests.rs", ""),
            file("tests.rs", "a file of this name alone is no test\n"),
        ];
        let left: Vec<_> = source::without_tests(&all).into_iter().map(|left| left.path).collect();
        let expected = ["lib.rs", "a.rs", "b/mod.rs", "tests.rs"];
        assert_eq!(left, expected.map(|path| format!("crates/quorlock/src/{path}")));
    }

    #[test]
    fn a_select_that_is_not_biased() {
        let selects = |text| file("a.rs", text).selects_at_random().len();
        assert_eq!(selects("tokio::select! {\n    biased;\n    a = b => {}\n}\n"), 0);
        assert_eq!(selects("tokio::select! { biased; a = b => {} }\n"), 0);
        assert_eq!(selects("tokio::select! {\n    a = b => {}\n}\n"), 1);
        assert_eq!(selects("/// tokio::select! {\n"), 0);
    }
}
