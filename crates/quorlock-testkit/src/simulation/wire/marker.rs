//! What a node's marker says of its vote, read from outside: the rule of the library's scripts, said again. Writes nothing.

use std::time::Duration;

use quorlock::seam::MARKERS;

use crate::embedded::EmbeddedNode;

/// How long a node will not vote yet, by its own clock: of a run that nobody has joined, a whole quarantine.
pub(super) fn abstains_for(node: &EmbeddedNode, max_ttl: Duration) -> Duration {
    let marker = node.run(&["GET", MARKERS]);
    let mut words = marker.text().unwrap_or_default().split(' ').skip(1);
    let (run, since) = (words.next(), words.next());
    match since.and_then(|since| since.parse::<i64>().ok()) {
        Some(since) if run.is_some_and(|run| run.starts_with(&node.run_id())) => {
            let known_for = u64::try_from(node.now_ms() - since).unwrap_or_default();
            max_ttl.saturating_sub(Duration::from_millis(known_for))
        }
        _ => max_ttl,
    }
}

/// Begins a quarantine anew, if there is one: with next to nothing left of it, everybody would look at it again and again on
/// a node whose clock stands.
pub(super) fn begin_anew(node: &EmbeddedNode, max_ttl: Duration) {
    if abstains_for(node, max_ttl).is_zero() {
        return;
    }
    let (marker, now) = (node.run(&["GET", MARKERS]), node.now_ms().to_string());
    let mut words: Vec<&str> = marker.text().unwrap_or_default().split(' ').collect();
    if let Some(since) = words.get_mut(2) {
        *since = &now;
        node.run(&["SET", MARKERS, &words.join(" ")]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::ClockJump;

    #[tokio::test(start_paused = true)]
    async fn a_node_abstains_unless_it_was_bootstrapped_and_after_each_restart() {
        let (node, max_ttl) = (EmbeddedNode::pipe("n"), Duration::from_secs(1));
        assert_eq!(abstains_for(&node, max_ttl), max_ttl);
        EmbeddedNode::bootstrap(std::slice::from_ref(&node), max_ttl);
        assert_eq!(abstains_for(&node, max_ttl), Duration::ZERO);
        node.crash_intact();
        assert_eq!(abstains_for(&node, max_ttl), Duration::ZERO, "it is down");
        node.restart().unwrap();
        assert_eq!(abstains_for(&node, max_ttl), max_ttl);
        let since = node.now_ms();
        node.run(&["SET", MARKERS, &format!("1 {} {since} 1000 n -", node.run_id())]);
        node.jump_clock(max_ttl / 4, ClockJump::Forward);
        assert_eq!(abstains_for(&node, max_ttl), max_ttl * 3 / 4);
    }
}
