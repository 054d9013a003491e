//! What the nodes say of themselves: which commands they were sent, and their processor time. Nothing is done to them here.

use std::collections::BTreeMap;

use quorlock_testkit::Node;

use crate::Outcome;

/// Sent by those who look, and not by contenders.
const OURS: [&str; 3] = ["info", "ping", "config|resetstat"];
/// Run by a script as a rule. A `SET` is too, where the acquire is a script.
const INSIDE: [&str; 8] = ["get", "del", "pexpire", "pttl", "exists", "time", "incr", "incrby"];

/// How often each command was run, and for how long the server has worked.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Looked {
    calls: BTreeMap<String, u64>,
    cpu: f64,
}

impl Looked {
    /// Asks all of them, one after the other.
    pub(crate) async fn at(nodes: &[&Node]) -> Outcome<Self> {
        let mut sum = Self::default();
        for node in nodes {
            sum.add(&info(node, "commandstats").await?);
            sum.add(&info(node, "cpu").await?);
        }
        Ok(sum)
    }

    fn add(&mut self, info: &str) {
        for (command, calls) in commandstats(info) {
            *self.calls.entry(command).or_default() += calls;
        }
        self.cpu += cpu(info);
    }

    /// Processor seconds since then.
    pub(crate) fn cpu_since(&self, before: &Self) -> f64 {
        self.cpu - before.cpu
    }

    /// Commands that clients have sent since then. A command inside of a script is none, as far as its name tells:
    /// `sets_inside` where a `SET` is.
    pub(crate) fn sent_since(&self, before: &Self, sets_inside: bool) -> u64 {
        let inside = |name: &str| INSIDE.contains(&name) || (sets_inside && name == "set");
        self.since(before).filter(|(name, _)| !inside(name)).map(|(_, calls)| calls).sum()
    }

    fn since(&self, before: &Self) -> impl Iterator<Item = (&str, u64)> {
        self.calls.iter().filter(|(name, _)| !OURS.contains(&name.as_str())).map(|(name, calls)| {
            let already = before.calls.get(name).copied().unwrap_or(0);
            (name.as_str(), calls.saturating_sub(already))
        })
    }
}

async fn info(node: &Node, section: &str) -> Outcome<String> {
    Ok(redis::from_redis_value(node.command(&["INFO", section]).await?)?)
}

/// How often each command was run.
pub(crate) fn commandstats(info: &str) -> BTreeMap<String, u64> {
    let calls = |line: &str| {
        let (name, rest) = line.trim().strip_prefix("cmdstat_")?.split_once(':')?;
        let calls = rest.split(',').find_map(|field| field.strip_prefix("calls="))?;
        Some((name.to_lowercase(), calls.parse().ok()?))
    };
    info.lines().filter_map(calls).collect()
}

/// Processor seconds of the server itself.
fn cpu(info: &str) -> f64 {
    let seconds = |line: &str| {
        let (name, value) = line.trim().split_once(':')?;
        matches!(name, "used_cpu_sys" | "used_cpu_user").then(|| value.parse::<f64>().ok())?
    };
    info.lines().filter_map(seconds).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "# Commandstats\r\ncmdstat_set:calls=10,usec=55,usec_per_call=5.50\r\ncmdstat_info:calls=3,usec=9\r\n";
    const AFTER: &str = "# Commandstats\r\ncmdstat_set:calls=30,usec=99\r\ncmdstat_evalsha:calls=20,usec=1,rejected_calls=0\r\ncmdstat_get:calls=20\r\ncmdstat_del:calls=20\r\ncmdstat_client|setinfo:calls=2\r\ncmdstat_info:calls=9\r\nno line\r\n";

    #[test]
    fn commandstats_are_read_by_name() {
        let calls = commandstats(AFTER);
        assert_eq!(calls["set"], 30);
        assert_eq!(calls["client|setinfo"], 2);
        assert_eq!(calls.len(), 6);
        assert!(commandstats("").is_empty());
        assert!(commandstats("cmdstat_set:calls=many\r\ncmdstat_get").is_empty());
    }

    #[test]
    fn what_was_sent_leaves_out_what_scripts_ran_and_what_the_bench_asked() {
        let looked = |info: &str| {
            let mut looked = Looked::default();
            looked.add(info);
            looked
        };
        let (before, after) = (looked(BEFORE), looked(AFTER));
        assert_eq!(after.sent_since(&before, false), 20 + 20 + 2);
        assert_eq!(after.sent_since(&before, true), 20 + 2);
        assert_eq!(before.sent_since(&after, false), 0);
    }

    #[test]
    fn the_servers_processor_time_is_that_of_its_process_without_children() {
        let info = "used_cpu_sys:1.5\r\nused_cpu_user:2.25\r\nused_cpu_sys_children:9\r\nused_cpu_user_children:9\r\n";
        assert_eq!(cpu(info), 3.75);
    }
}
