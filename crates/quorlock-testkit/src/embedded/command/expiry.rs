//! Commands that read and change when a key expires, and the one rule by which a deadline is made.

use crate::embedded::reply::Reply;
use crate::embedded::view::{Args, Outcome, View, integer};

/// What a number that sets an expiry counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Seconds,
    Millis,
    /// Milliseconds since 1970.
    UnixMillis,
}

impl Unit {
    pub(crate) fn of_set(word: &[u8]) -> Option<Self> {
        match word {
            b"EX" => Some(Self::Seconds),
            b"PX" => Some(Self::Millis),
            b"PXAT" => Some(Self::UnixMillis),
            _ => None,
        }
    }
}

/// The moment that SET's argument means; zero and less are refused.
pub(crate) fn deadline(
    view: &View<'_>,
    number: &[u8],
    unit: Unit,
    command: &str,
) -> Result<i64, String> {
    let number = integer(number)?;
    if number <= 0 {
        return Err(invalid(command));
    }
    moment(view, number, unit).ok_or_else(|| invalid(command))
}

fn invalid(command: &str) -> String {
    format!("ERR invalid expire time in '{command}' command")
}

fn moment(view: &View<'_>, number: i64, unit: Unit) -> Option<i64> {
    match unit {
        Unit::Seconds => number.checked_mul(1000)?.checked_add(view.now_ms()),
        Unit::Millis => number.checked_add(view.now_ms()),
        Unit::UnixMillis => Some(number),
    }
}

pub(crate) fn expire(view: &mut View<'_>, args: &Args) -> Outcome {
    change(view, args, Unit::Seconds, "expire")
}

pub(crate) fn pexpire(view: &mut View<'_>, args: &Args) -> Outcome {
    change(view, args, Unit::Millis, "pexpire")
}

fn change(view: &mut View<'_>, args: &Args, unit: Unit, command: &str) -> Outcome {
    let conditions = args[3..].iter().map(|word| Condition::parse(word));
    let conditions: Vec<Condition> = conditions.collect::<Result<_, _>>()?;
    if conditions.contains(&Condition::Missing) && conditions.len() > 1 {
        return Err(
            "ERR NX and XX, GT or LT options at the same time are not compatible".to_owned()
        );
    }
    if conditions.contains(&Condition::Later) && conditions.contains(&Condition::Sooner) {
        return Err("ERR GT and LT options at the same time are not compatible".to_owned());
    }
    let number = integer(&args[2])?;
    let at = moment(view, number, unit).ok_or_else(|| invalid(command))?;
    let now_ms = view.now_ms();
    let Some(entry) = view.entry(&args[1]) else { return Ok(Reply::Int(0)) };
    if !conditions.iter().all(|condition| condition.holds(entry.expires_at, at)) {
        return Ok(Reply::Int(0));
    }
    entry.expires_at = Some(at);
    if at <= now_ms {
        view.remove(&args[1]);
    } else {
        view.changed(&args[1]);
    }
    Ok(Reply::Int(1))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    Missing,
    Present,
    Later,
    Sooner,
}

impl Condition {
    fn parse(word: &[u8]) -> Result<Self, String> {
        match word.to_ascii_uppercase().as_slice() {
            b"NX" => Ok(Self::Missing),
            b"XX" => Ok(Self::Present),
            b"GT" => Ok(Self::Later),
            b"LT" => Ok(Self::Sooner),
            _ => Err(format!("ERR Unsupported option {}", String::from_utf8_lossy(word))),
        }
    }

    /// A key without expiry lives longest.
    fn holds(self, old: Option<i64>, new: i64) -> bool {
        match self {
            Self::Missing => old.is_none(),
            Self::Present => old.is_some(),
            Self::Later => old.is_some_and(|old| new > old),
            Self::Sooner => old.is_none_or(|old| new < old),
        }
    }
}

pub(crate) fn persist(view: &mut View<'_>, args: &Args) -> Outcome {
    let removed = view.entry(&args[1]).and_then(|entry| entry.expires_at.take());
    if removed.is_some() {
        view.changed(&args[1]);
    }
    Ok(Reply::Int(i64::from(removed.is_some())))
}

pub(crate) fn pttl(view: &mut View<'_>, args: &Args) -> Outcome {
    Ok(Reply::Int(left(view, &args[1], |ms| ms)))
}

pub(crate) fn ttl(view: &mut View<'_>, args: &Args) -> Outcome {
    Ok(Reply::Int(left(view, &args[1], |ms| (ms + 500) / 1000)))
}

fn left(view: &mut View<'_>, key: &[u8], shown: impl Fn(i64) -> i64) -> i64 {
    let now_ms = view.now_ms();
    match view.entry(key).map(|entry| entry.expires_at) {
        None => -2,
        Some(None) => -1,
        Some(Some(at)) => shown((at - now_ms).max(0)),
    }
}
