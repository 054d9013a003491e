//! The documents as a book: what leads where. What they say is nobody's to check but a reader's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A page: its path from the root of the repository, and its text.
pub(super) struct Page {
    pub(super) path: String,
    pub(super) text: String,
}

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All documents that lead to one another.
pub(super) fn pages() -> Vec<Page> {
    let mut paths: Vec<_> = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "docker/README.md"]
        .map(str::to_owned)
        .into();
    let docs = std::fs::read_dir(root().join("docs")).expect("there are documents");
    let names = docs.map(|entry| entry.expect("it can be read").file_name().into_string());
    let names =
        names.map(|name| name.expect("a name in UTF-8")).filter(|name| name.ends_with(".md"));
    paths.extend(names.map(|name| format!("docs/{name}")));
    let read = |path: &String| std::fs::read_to_string(root().join(path)).expect("it is a text");
    paths.iter().map(|path| Page { path: path.clone(), text: read(path) }).collect()
}

/// The lines outside of blocks of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// Where `](...)` leads to, for what is neither on the web nor code.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let of_line = |line| {
        let parts: Vec<&str> = str::split(line, "](").skip(1).collect();
        parts.into_iter().filter_map(|part| part.split_once(')').map(|(link, _)| link))
    };
    prose(text).flat_map(of_line).filter(|link| !link.contains("://"))
}

/// What a forge and mdBook make of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase().replace(' ', "-");
    kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
}

fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#'))).collect()
}

/// Links that lead nowhere.
pub(super) fn dead_links(pages: &[Page], exists: impl Fn(&str) -> bool) -> Vec<String> {
    let by_path: BTreeMap<_, _> =
        pages.iter().map(|page| (page.path.as_str(), anchors(&page.text))).collect();
    let mut dead = Vec::new();
    for page in pages {
        for link in links(&page.text) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let path = if file.is_empty() { page.path.clone() } else { beside(&page.path, file) };
            let is_there = exists(&path);
            let is_said = heading.is_empty()
                || by_path.get(path.as_str()).is_some_and(|anchors| anchors.contains(heading));
            if !is_there || !is_said {
                dead.push(format!("{}: {link}", page.path));
            }
        }
    }
    dead
}

/// A path that is told from the folder of another.
fn beside(page: &str, file: &str) -> String {
    let mut parts: Vec<_> = page.split('/').collect();
    parts.pop();
    for part in file.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." | "" => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Whether there is such a file in the repository.
pub(super) fn is_in_the_repository(path: &str) -> bool {
    root().join(path).exists()
}

/// Pages of `docs/` that the summary of the book leaves out.
pub(super) fn left_out(pages: &[Page]) -> Vec<String> {
    let summary = pages.iter().find(|page| page.path == "docs/SUMMARY.md");
    let listed: BTreeSet<_> = summary
        .iter()
        .flat_map(|page| links(&page.text))
        .map(|link| format!("docs/{link}"))
        .collect();
    let of_book = pages.iter().filter(|page| page.path.starts_with("docs/"));
    let missing =
        of_book.filter(|page| page.path != "docs/SUMMARY.md" && !listed.contains(&page.path));
    missing.map(|page| format!("{} is not in the summary", page.path)).collect()
}

/// Words in a text that are names of tests: long, in one piece, and not of metrics.
pub(super) fn tests_named(text: &str) -> impl Iterator<Item = &str> {
    let is_name = |word: &&str| {
        word.len() >= 20
            && !word.starts_with("quorlock_")
            && word.matches('_').count() >= 3
            && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    prose(text).flat_map(|line| line.split('`')).filter(is_name)
}
