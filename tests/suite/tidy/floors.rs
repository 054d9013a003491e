//! The floors of the library: which file may use which. The form of a file does not live here.

use std::collections::BTreeSet;

use super::source::{Source, paths};

/// Floors from the ground up. A file may use files on lower floors, and those before it on its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table {
    pub(super) floors: &'static [&'static [&'static str]],
    /// File, what it uses against the order, and why.
    pub(super) exceptions: &'static [(&'static str, &'static str, &'static str)],
}

/// The library. A folder is one file; `lib.rs` stands above all.
pub(super) const FLOORS: Table = Table {
    floors: &[
        // Pure: no runtime, no driver, no log.
        &[
            "sync",
            "invalid",
            "token",
            "quorum",
            "entropy",
            "validity",
            "retry",
            "resources",
            "fencing",
            "suspended",
            "audit",
            "membership",
            "contention",
        ],
        // Data with invariants.
        &["error", "lease", "handover", "settings"],
        // Facts; the clock and the start of tasks.
        &["event", "clock", "crowd", "one_task", "standing", "timers"],
        // The seam to a node, and what crosses it.
        &["node", "report", "script", "observe"],
        &["redis_node"],
        &["fan_out"],
        // One round; when to go on and when a lease ends.
        &["round", "lifetime", "wait", "waiters"],
        &["held"],
        &["keeper", "guard", "fenced"],
        &["attempt", "waiting", "upkeep"],
        &["request"],
        &["redlock"],
        &["builder"],
    ],
    exceptions: &[
        ("invalid", "quorum", "the message names how many nodes there may be"),
        ("invalid", "resources", "the messages name the bounds, which stand beside their checks"),
        ("invalid", "membership", "the message names the longest name of a node"),
        ("redlock", "builder", "`Redlock::builder` is where a builder comes from"),
    ],
};

/// One node, inside of its folder.
pub(super) const INSIDE_REDIS_NODE: Table = Table {
    floors: &[&[
        "address",
        "wire",
        "meter",
        "answers",
        "queue",
        "line",
        "listeners",
        "marker",
        "refusal",
        "reply",
        "asked",
        "owed",
        "again",
        "fuzz",
        "login",
        "join",
        "listening",
        "tls",
        "session",
        "exchange",
        "connection",
    ]],
    exceptions: &[("wire", "tls", "`rediss://` is TLS around the stream that is opened here")],
};

/// A table, and how a file names another: `crate::` or `super::`.
pub(super) struct Order {
    table: Table,
    prefix: &'static str,
}

impl Order {
    pub(super) fn new(table: Table, prefix: &'static str) -> Self {
        Self { table, prefix }
    }

    /// The floor on which a file stands.
    pub(super) fn floor(&self, module: &str) -> Option<usize> {
        self.rank(self.name(module)).map(|(floor, _)| floor)
    }

    /// Uses against the order, files that stand nowhere, and entries of the table that nothing needs.
    pub(super) fn complaints<'a>(
        &self,
        files: impl IntoIterator<Item = &'a Source>,
    ) -> Vec<String> {
        let mut complaints = Vec::new();
        let (mut seen, mut excused) = (BTreeSet::new(), BTreeSet::new());
        for source in files {
            let module = source.module();
            let user = self.name(&module);
            if self.is_parent(user) {
                continue;
            }
            seen.insert(user.to_owned());
            if self.rank(user).is_none() {
                complaints.push(source.at(1, "stands on no floor: put it into the table"));
            }
            for (number, used) in self.uses(source) {
                if self.excuses(user, used) {
                    excused.insert((user.to_owned(), used.to_owned()));
                } else if used != user
                    && self.rank(used).is_none_or(|low| Some(low) >= self.rank(user))
                {
                    let what = format!("`{user}` uses `{used}`, which is not below it");
                    complaints.push(source.at(number, &what));
                }
            }
        }
        complaints.extend(self.idle(&seen, &excused));
        complaints
    }

    /// The modules that a file names in its code; what begins with a capital is the parent's own.
    fn uses<'a>(&self, source: &'a Source) -> impl Iterator<Item = (usize, &'a str)> {
        let all = source.code().flat_map(|(number, line)| {
            paths(line, self.prefix).into_iter().map(move |used| (number, used))
        });
        let own = |used: &str| used.starts_with(|c: char| c.is_uppercase());
        let parents = self.prefix == "super::";
        all.filter(move |(_, used)| !(parents && (own(used) || used.is_empty())))
    }

    fn idle(
        &self,
        seen: &BTreeSet<String>,
        excused: &BTreeSet<(String, String)>,
    ) -> impl Iterator<Item = String> {
        let files = self.table.floors.iter().flat_map(|floor| floor.iter());
        let gone = files.filter(|name| !seen.contains(**name));
        let gone = gone.map(|name| format!("the table has `{name}`, but there is no such file"));
        let needed = |(user, used, _): &&(&str, &str, &str)| {
            !excused.contains(&((*user).to_owned(), (*used).to_owned()))
        };
        let stale = self.table.exceptions.iter().filter(needed);
        let stale = stale.map(|(user, used, _)| format!("no need to excuse `{user}` for `{used}`"));
        gone.chain(stale).collect::<Vec<_>>().into_iter()
    }

    /// The name by which the table knows a module.
    fn name<'a>(&self, module: &'a str) -> &'a str {
        let mut parts = module.split('/');
        match self.prefix {
            "super::" => parts.next_back().unwrap_or_default(),
            _ => parts.next().unwrap_or_default(),
        }
    }

    /// Whether it is the file that all others of a folder are inside of.
    fn is_parent(&self, name: &str) -> bool {
        self.prefix == "super::" && name == "redis_node"
    }

    fn rank(&self, name: &str) -> Option<(usize, usize)> {
        let floors = self.table.floors.iter().enumerate();
        let mut ranks = floors.filter_map(|(floor, names)| {
            Some((floor, names.iter().position(|known| *known == name)?))
        });
        ranks.next()
    }

    fn excuses(&self, user: &str, used: &str) -> bool {
        self.table.exceptions.iter().any(|(a, b, _)| (*a, *b) == (user, used))
    }
}
