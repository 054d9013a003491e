//! Fencing tokens are unique and grow from holder to holder, and the store accepts them in order (promise G2).

use std::{collections::HashSet, time::Duration};

use super::{
    hold::{Lease, Leases},
    violation::Violation,
};
use crate::history::{Action, Event, History, Verdict};

/// Pairs of acquisitions of one resource that were given the same token.
pub(super) fn repeated_tokens(leases: &Leases) -> impl Iterator<Item = Violation> {
    leases.by_resource().flat_map(|leases| {
        let mut fenced: Vec<&Lease> = leases.iter().filter(|l| l.hold.token.is_some()).collect();
        fenced.sort_by_key(|lease| lease.hold.token);
        let twins = fenced.windows(2).filter(|pair| pair[0].hold.token == pair[1].hold.token);
        twins
            .map(|pair| Violation::TokenTwice {
                first: pair[0].hold.clone(),
                second: pair[1].hold.clone(),
            })
            .collect::<Vec<_>>()
    })
}

/// Acquisitions that were given a smaller token than one before them: one that had returned before they asked, or
/// one that counted no more when they began to count.
pub(super) fn tokens_out_of_order(leases: &Leases) -> impl Iterator<Item = Violation> {
    leases.by_resource().flat_map(|leases| {
        let asked =
            leases.iter().filter_map(|lease| Span::new(lease, lease.hold.asked, lease.hold.from));
        let held = leases
            .iter()
            .filter(|lease| lease.hold.counted())
            .filter_map(|lease| Span::new(lease, lease.hold.from, lease.hold.until));
        // Where one lease ends at the instant at which the next begins, the next came after it.
        let pairs = out_of_order(held, Touching::InTurn)
            .into_iter()
            .chain(out_of_order(asked, Touching::Together));
        let mut reported = HashSet::new();
        pairs
            .filter(|(_, later)| reported.insert((&later.hold.client, later.hold.attempt)))
            .map(|(earlier, later)| Violation::TokenOrder {
                earlier: earlier.hold.clone(),
                later: later.hold.clone(),
            })
            .collect::<Vec<_>>()
    })
}

/// Accepted writes whose token is older than that of a write that was accepted before.
pub(super) fn writes_out_of_order(history: &History) -> Vec<Violation> {
    let mut writes: Vec<(&str, Span<'_, Event>)> =
        history.events().iter().filter_map(accepted).collect();
    writes.sort_by_key(|(resource, _)| *resource);
    writes
        .chunk_by(|a, b| a.0 == b.0)
        .flat_map(|writes| out_of_order(writes.iter().map(|(_, span)| *span), Touching::Together))
        .map(|(earlier, later)| Violation::WriteOrder {
            earlier: earlier.clone(),
            later: later.clone(),
        })
        .collect()
}

fn accepted(event: &Event) -> Option<(&str, Span<'_, Event>)> {
    match &event.action {
        Action::Write { resource, token: Some(token), verdict: Verdict::Accepted } => {
            let until = event.ret.unwrap_or(Duration::MAX);
            Some((resource, Span { of: event, from: event.inv, until, token: *token }))
        }
        _ => None,
    }
}

/// A token and the time in which it may have been given or used.
struct Span<'a, T> {
    of: &'a T,
    from: Duration,
    until: Duration,
    token: u64,
}

impl<T> Clone for Span<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Span<'_, T> {}

impl<'a> Span<'a, Lease> {
    fn new(of: &'a Lease, from: Duration, until: Duration) -> Option<Self> {
        Some(Self { of, from, until, token: of.hold.token? })
    }
}

/// What it means that one span ends at the instant at which another begins.
#[derive(Clone, Copy)]
enum Touching {
    /// Either may have been first.
    Together,
    /// One came after the other.
    InTurn,
}

/// For each span, the one with the greatest token among those wholly before it, where that token is greater.
fn out_of_order<'a, T>(
    spans: impl Iterator<Item = Span<'a, T>>,
    touching: Touching,
) -> Vec<(&'a T, &'a T)> {
    let mut by_begin: Vec<Span<'a, T>> = spans.collect();
    by_begin.sort_by_key(|span| span.from);
    let mut by_end = by_begin.clone();
    by_end.sort_by_key(|span| span.until);
    let (mut ended, mut greatest) = (0, None::<Span<'a, T>>);
    let mut found = Vec::new();
    for later in by_begin {
        while by_end.get(ended).is_some_and(|earlier| match touching {
            Touching::Together => earlier.until < later.from,
            Touching::InTurn => earlier.until <= later.from,
        }) {
            greatest = greatest.max_by_token(by_end[ended]);
            ended += 1;
        }
        if let Some(earlier) = greatest.filter(|earlier| earlier.token > later.token) {
            found.push((earlier.of, later.of));
        }
    }
    found
}

trait MaxByToken<'a, T> {
    fn max_by_token(self, other: Span<'a, T>) -> Self;
}

impl<'a, T> MaxByToken<'a, T> for Option<Span<'a, T>> {
    fn max_by_token(self, other: Span<'a, T>) -> Self {
        Some(self.filter(|greatest| greatest.token >= other.token).unwrap_or(other))
    }
}
