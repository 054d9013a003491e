//! Commands about keys whatever they hold: DEL, EXISTS, TYPE, KEYS, SCAN, DBSIZE, FLUSHALL, FLUSHDB.

use crate::embedded::keyspace::Value;
use crate::embedded::reply::Reply;
use crate::embedded::tracking::Touch;
use crate::embedded::view::{Args, Outcome, SYNTAX, View};

pub(crate) fn del(view: &mut View<'_>, args: &Args) -> Outcome {
    Ok(count(args[1..].iter().filter(|key| view.remove(key))))
}

pub(crate) fn exists(view: &mut View<'_>, args: &Args) -> Outcome {
    Ok(count(args[1..].iter().filter(|key| view.entry(key).is_some())))
}

pub(crate) fn type_(view: &mut View<'_>, args: &Args) -> Outcome {
    let name = match view.entry(&args[1]).map(|entry| &entry.value) {
        None => "none",
        Some(Value::Text(_)) => "string",
        Some(Value::List(_)) => "list",
    };
    Ok(Reply::Status(name.to_owned()))
}

pub(crate) fn keys(view: &mut View<'_>, args: &Args) -> Outcome {
    Ok(matching(view, Some(&args[1])))
}

pub(crate) fn dbsize(view: &mut View<'_>, _: &Args) -> Outcome {
    Ok(count(view.keyspace.keys(view.db, view.now_ms())))
}

/// Everything in one answer: the cursor is at its end at once.
pub(crate) fn scan(view: &mut View<'_>, args: &Args) -> Outcome {
    if !args[1].iter().all(u8::is_ascii_digit) {
        return Err("ERR invalid cursor".to_owned());
    }
    let mut pattern = None;
    for option in args[2..].chunks(2) {
        match option {
            [name, value] if name.eq_ignore_ascii_case(b"MATCH") => pattern = Some(value),
            [name, _] if name.eq_ignore_ascii_case(b"COUNT") => {}
            _ => return Err(SYNTAX.to_owned()),
        }
    }
    Ok(Reply::Array(vec![Reply::bulk("0"), matching(view, pattern)]))
}

pub(crate) fn flushall(view: &mut View<'_>, args: &Args) -> Outcome {
    check_flush(args)?;
    view.keyspace.clear_all();
    view.touches.push(Touch::Flushed);
    Ok(Reply::ok())
}

pub(crate) fn flushdb(view: &mut View<'_>, args: &Args) -> Outcome {
    check_flush(args)?;
    view.keyspace.clear(view.db);
    view.touches.push(Touch::Flushed);
    Ok(Reply::ok())
}

fn check_flush(args: &Args) -> Result<(), String> {
    match &args[1..] {
        [] => Ok(()),
        [how] if how.eq_ignore_ascii_case(b"SYNC") || how.eq_ignore_ascii_case(b"ASYNC") => Ok(()),
        _ => Err(SYNTAX.to_owned()),
    }
}

/// The pattern is a whole name, or a beginning and a star: all that a lock asks for.
fn matching(view: &View<'_>, pattern: Option<&Vec<u8>>) -> Reply {
    let pattern = pattern.map_or(b"*".as_slice(), Vec::as_slice);
    let fits = |key: &[u8]| match pattern.strip_suffix(b"*") {
        Some(beginning) => key.starts_with(beginning),
        None => key == pattern,
    };
    let keys = view.keyspace.keys(view.db, view.now_ms()).filter(|key| fits(key));
    Reply::Array(keys.cloned().map(Reply::Bulk).collect())
}

fn count<T>(items: impl Iterator<Item = T>) -> Reply {
    Reply::Int(i64::try_from(items.count()).expect("keys fit into memory"))
}
