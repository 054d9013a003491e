//! One file of source, and what can be said about its form. Which file may use which does not live here.

use std::collections::BTreeSet;
use std::path::Path;

/// A file: its path in the repository, and its text.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) path: String,
    pub(super) text: String,
}

/// Every Rust file under these folders of the repository, sorted by path.
pub(super) fn under(folders: &[&str]) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository");
    let mut found = Vec::new();
    folders.iter().for_each(|folder| collect(root, &root.join(folder), &mut found));
    found.sort_by(|a: &Source, b| a.path.cmp(&b.path));
    found
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<Source>) {
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            // What cargo has built is not ours.
            if !path.ends_with("target") {
                collect(root, &path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("the file can be read");
            let path = path.strip_prefix(root).expect("it is inside").display().to_string();
            found.push(Source { path, text });
        }
    }
}

/// The same files without those that are tests, and without the tests inside of the others.
pub(super) fn without_tests(all: &[Source]) -> Vec<Source> {
    let tests: BTreeSet<_> = all.iter().flat_map(Source::test_files).collect();
    let rest = all.iter().filter(|source| !tests.contains(&source.path));
    rest.map(Source::without_inner_tests).collect()
}

impl Source {
    /// The name of its module, folders included: `round`, `redis_node`, `redis_node/wire`.
    pub(super) fn module(&self) -> String {
        let inside = self.path.split_once("/src/").map_or(&*self.path, |(_, inside)| inside);
        inside.trim_end_matches(".rs").trim_end_matches("/mod").to_owned()
    }

    /// Lines of code with their numbers: no comments.
    pub(super) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = (1..).zip(self.text.lines());
        lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    pub(super) fn at(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path)
    }

    pub(super) fn lacks_head(&self) -> Option<String> {
        let head = self.text.strip_prefix("//! ").is_some_and(|head| !head.trim().is_empty());
        (!head).then(|| self.at(1, "does not say in `//!` what lives here"))
    }

    pub(super) fn is_longer_than(&self, longest: usize) -> Option<String> {
        let lines = self.text.lines().count();
        (lines > longest).then(|| self.at(lines, &format!("longer than {longest} lines")))
    }

    /// Goes by rustfmt's layout: a function ends with a brace in the column where it began.
    pub(super) fn functions_longer_than(&self, longest: usize) -> Vec<String> {
        let lines: Vec<_> = self.text.lines().collect();
        let starts = lines.iter().enumerate().filter(|(_, line)| is_function(line));
        let long = starts.filter_map(|(start, line)| {
            let rest = &lines[start..];
            let signed = rest.iter().find(|line| line.ends_with(['{', ';', '}']))?;
            let end = format!("{}}}", &line[..line.len() - line.trim_start().len()]);
            let length = rest.iter().position(|line| *line == end)? + 1;
            let what = format!("a function of {length} lines, above {longest}");
            (signed.ends_with('{') && length > longest).then(|| self.at(start + 1, &what))
        });
        long.collect()
    }

    /// Where the code says one of these.
    pub(super) fn says(&self, words: &[&str]) -> Vec<String> {
        let said = self.code().flat_map(|(number, line)| {
            words.iter().filter(move |word| line.contains(**word)).map(move |word| (number, word))
        });
        said.map(|(number, word)| self.at(number, &format!("says `{word}`"))).collect()
    }

    /// Where the code names one of these crates.
    pub(super) fn names(&self, crates: &[&str]) -> Vec<String> {
        let named = self.code().flat_map(|(number, line)| {
            let names = move |name: &&&str| {
                line.contains(&format!("use {name};"))
                    || !paths(line, &format!("{name}::")).is_empty()
            };
            crates.iter().filter(names).map(move |name| (number, name))
        });
        named.map(|(number, name)| self.at(number, &format!("names `{name}`"))).collect()
    }

    pub(super) fn selects_at_random(&self) -> Vec<String> {
        let selects = self.text.match_indices("select! {").filter(|(at, found)| {
            let line = self.text[..*at].rsplit('\n').next().unwrap_or_default();
            let is_code = !line.trim_start().starts_with("//");
            is_code && !self.text[at + found.len()..].trim_start().starts_with("biased;")
        });
        let number = |at: usize| self.text[..at].lines().count();
        selects.map(|(at, _)| self.at(number(at), "`select!` without `biased;`")).collect()
    }

    /// The files of the modules that it has only under test.
    fn test_files(&self) -> Vec<String> {
        let lines: Vec<_> = self.text.lines().collect();
        let names = lines.windows(2).filter(|pair| pair[0].trim() == "#[cfg(test)]");
        let names = names.filter_map(|pair| pair[1].strip_prefix("mod ")?.strip_suffix(';'));
        let (folder, file) = self.path.rsplit_once('/').unwrap_or(("", &self.path));
        let inside = match file.trim_end_matches(".rs") {
            "lib" | "main" | "mod" => folder.to_owned(),
            module => format!("{folder}/{module}"),
        };
        names.map(|name| format!("{inside}/{name}.rs")).collect()
    }

    /// Blank lines in the place of its test modules, so that the numbers of the others stay.
    fn without_inner_tests(&self) -> Self {
        let mut inside = false;
        let mut text = String::new();
        let mut lines = self.text.lines().peekable();
        while let Some(line) = lines.next() {
            let next = lines.peek().copied().unwrap_or_default();
            inside |= line == "#[cfg(test)]" && next.starts_with("mod ") && next.ends_with('{');
            text.push_str(if inside { "" } else { line });
            text.push('\n');
            inside &= line != "}";
        }
        Self { path: self.path.clone(), text }
    }
}

fn is_function(line: &str) -> bool {
    let words = line.trim_start().split(' ').take_while(|word| *word != "fn");
    let known = |word: &str| {
        matches!(word, "async" | "const" | "unsafe" | "extern") || word.starts_with("pub")
    };
    line.contains("fn ") && words.into_iter().all(known)
}

/// What comes behind `prefix` in this line, wherever it begins a path: `b` of `crate::b::c`.
pub(super) fn paths<'a>(line: &'a str, prefix: &str) -> Vec<&'a str> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let starts = line.match_indices(prefix);
    let starts = starts.filter(|(at, _)| !line[..*at].ends_with(is_word));
    let behind = starts.map(|(at, found)| &line[at + found.len()..]);
    behind.map(|rest| rest.split(|c| !is_word(c)).next().unwrap_or_default()).collect()
}
