//! Commands that read and write values: GET, SET, SETNX, GETSET, INCR, LPUSH. Expiry alone is another file's.

use std::collections::VecDeque;

use super::expiry::{Unit, deadline};
use crate::embedded::keyspace::{Entry, Value};
use crate::embedded::reply::Reply;
use crate::embedded::view::{Args, NOT_AN_INTEGER, Outcome, SYNTAX, View, WRONG_TYPE, integer};

pub(crate) fn get(view: &mut View<'_>, args: &Args) -> Outcome {
    Ok(view.text(&args[1])?.map_or(Reply::Nil, Reply::Bulk))
}

/// The bytes from one place to another, both included; places below zero count from the end.
pub(crate) fn getrange(view: &mut View<'_>, args: &Args) -> Outcome {
    let [from, to] = [integer(&args[2])?, integer(&args[3])?];
    let text = view.text(&args[1])?.unwrap_or_default();
    let length = i64::try_from(text.len()).expect("a text fits into memory");
    if from < 0 && to < 0 && from > to {
        return Ok(Reply::bulk(""));
    }
    let place =
        |at: i64| usize::try_from(if at < 0 { length.saturating_add(at) } else { at }).unwrap_or(0);
    let part = text.get(place(from)..text.len().min(place(to).saturating_add(1)));
    Ok(Reply::Bulk(part.unwrap_or_default().to_vec()))
}

pub(crate) fn set(view: &mut View<'_>, args: &Args) -> Outcome {
    let (key, value) = (&args[1], &args[2]);
    let options = SetOptions::parse(&args[3..])?;
    let mut expires_at = match options.expiry {
        Some((unit, number)) => Some(deadline(view, number, unit, "set")?),
        None => None,
    };
    let old = if options.get { Some(view.text(key)?) } else { None };
    let found = view.entry(key).map(|entry| entry.expires_at);
    let refused = match options.only_if {
        Some(OnlyIf::Missing) => found.is_some(),
        Some(OnlyIf::Present) => found.is_none(),
        None => false,
    };
    if !refused {
        if options.keep_ttl {
            expires_at = found.flatten();
        }
        let entry = Entry { value: Value::Text(value.clone()), expires_at };
        view.set(key, entry);
    }
    Ok(match old {
        Some(old) => old.map_or(Reply::Nil, Reply::Bulk),
        None if refused => Reply::Nil,
        None => Reply::ok(),
    })
}

pub(crate) fn setnx(view: &mut View<'_>, args: &Args) -> Outcome {
    let is_free = view.entry(&args[1]).is_none();
    if is_free {
        let value = Value::Text(args[2].clone());
        view.set(&args[1], Entry { value, expires_at: None });
    }
    Ok(Reply::Int(is_free.into()))
}

pub(crate) fn getset(view: &mut View<'_>, args: &Args) -> Outcome {
    let old = view.text(&args[1])?;
    let value = Value::Text(args[2].clone());
    view.set(&args[1], Entry { value, expires_at: None });
    Ok(old.map_or(Reply::Nil, Reply::Bulk))
}

/// `DELEX key IFEQ value`, as newer Redis has it.
pub(crate) fn delex(view: &mut View<'_>, args: &Args) -> Outcome {
    match args[2].eq_ignore_ascii_case(b"ifeq") {
        true => delete_if(view, &args[1], &args[3])
            .map_err(|_| "ERR Key should be of string type if conditions are specified".to_owned()),
        false => Err(SYNTAX.to_owned()),
    }
}

/// `DELIFEQ key value`, as newer Valkey has it.
pub(crate) fn delifeq(view: &mut View<'_>, args: &Args) -> Outcome {
    delete_if(view, &args[1], &args[2])
}

fn delete_if(view: &mut View<'_>, key: &[u8], value: &[u8]) -> Outcome {
    let equal = view.text(key)?.is_some_and(|text| text == value);
    Ok(Reply::Int(i64::from(equal && view.remove(key))))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum OnlyIf {
    Missing,
    Present,
}

#[derive(Default)]
struct SetOptions<'a> {
    only_if: Option<OnlyIf>,
    expiry: Option<(Unit, &'a [u8])>,
    keep_ttl: bool,
    get: bool,
}

impl<'a> SetOptions<'a> {
    fn parse(words: &'a [Vec<u8>]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            options.take(word, &mut words).ok_or_else(|| SYNTAX.to_owned())?;
        }
        Ok(options)
    }

    fn take(&mut self, word: &[u8], rest: &mut std::slice::Iter<'a, Vec<u8>>) -> Option<()> {
        match word.to_ascii_uppercase().as_slice() {
            b"NX" if self.only_if != Some(OnlyIf::Present) => self.only_if = Some(OnlyIf::Missing),
            b"XX" if self.only_if != Some(OnlyIf::Missing) => self.only_if = Some(OnlyIf::Present),
            b"GET" => self.get = true,
            b"NX" | b"XX" => return None,
            b"KEEPTTL" if self.expiry.is_none() => self.keep_ttl = true,
            unit => {
                let unit = Unit::of_set(unit)?;
                // Twice the same unit is no error to the server: the last one counts.
                let fits = self.expiry.is_none_or(|(earlier, _)| earlier == unit);
                self.expiry = Some((unit, rest.next().filter(|_| fits && !self.keep_ttl)?));
            }
        }
        Some(())
    }
}

pub(crate) fn incr(view: &mut View<'_>, args: &Args) -> Outcome {
    let old = match view.text(&args[1])? {
        Some(text) => integer(&text).map_err(|_| NOT_AN_INTEGER.to_owned())?,
        None => 0,
    };
    let new = old.checked_add(1).ok_or("ERR increment or decrement would overflow")?;
    let value = Value::Text(new.to_string().into_bytes());
    match view.entry(&args[1]) {
        Some(entry) => {
            entry.value = value;
            view.changed(&args[1]);
        }
        None => view.set(&args[1], Entry { value, expires_at: None }),
    }
    Ok(Reply::Int(new))
}

pub(crate) fn lpush(view: &mut View<'_>, args: &Args) -> Outcome {
    if view.entry(&args[1]).is_none() {
        let empty = Entry { value: Value::List(VecDeque::new()), expires_at: None };
        view.set(&args[1], empty);
    }
    let Some(Entry { value: Value::List(list), .. }) = view.entry(&args[1]) else {
        return Err(WRONG_TYPE.to_owned());
    };
    for item in &args[2..] {
        list.push_front(item.clone());
    }
    let length = list.len();
    view.changed(&args[1]);
    Ok(Reply::Int(i64::try_from(length).expect("a list fits into memory")))
}
