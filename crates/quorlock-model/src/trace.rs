//! A path through the states as lines that can be read. Decides nothing.

use crate::action::{self, Action, At, Client};
use crate::messages::{Acquire, Extend};
use crate::node::Node;
use crate::state::State;

/// One line per step, with what came of it.
pub fn lines(path: &[(State, Option<Action>)]) -> Vec<String> {
    path.windows(2)
        .filter_map(|pair| {
            let (_, action) = pair[0];
            action.map(|action| format!("{action}{}", result(action, &pair[1].0)))
        })
        .collect()
}

fn result(action: Action, after: &State) -> String {
    match action {
        Action::Win { attempt, .. } if after.attempts[attempt].highest > 0 => {
            format!(": {} it wants to be", after.attempts[attempt].highest)
        }
        Action::At { attempt, node, what } => at(what, attempt, &after.nodes[node]),
        Action::Client { attempt, what: Client::HandOut } => {
            format!(": {}", after.attempts[attempt].token)
        }
        Action::Operator { node, .. } | Action::Join { node, .. } => marker(&after.nodes[node]),
        _ => String::new(),
    }
}

fn at(what: At, attempt: usize, node: &Node) -> String {
    let asked = node.asked[attempt];
    match what {
        At::Acquire => match asked.acquire {
            Acquire::Granted(counter) if counter > 0 => format!(": granted, {counter}"),
            Acquire::Granted(_) => ": granted".to_owned(),
            _ => format!(": granted too late, {}", node.counter),
        },
        At::Certify => format!(": the counter stands at {}", node.counter),
        At::Extend if asked.extend == Extend::Missing => ": missing".to_owned(),
        At::Extend => ": kept".to_owned(),
        _ => String::new(),
    }
}

fn marker(node: &Node) -> String {
    let Some(marker) = node.marker else { return String::new() };
    let current = action::membership(usize::from(marker.current));
    let next = marker.next.map(|next| action::membership(usize::from(next)));
    format!(": current {current}, next {}", next.unwrap_or_else(|| "none".to_owned()))
}
