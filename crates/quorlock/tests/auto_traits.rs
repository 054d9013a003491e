//! What every public type can do by itself: cross threads, be copied, be printed. A part of the public surface that
//! nobody writes down, and that one field can take away.

use std::fmt::Debug;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;

use quorlock::{
    Builder, Error, Event, Fenced, FencingToken, Guard, InvalidInput, Lease, LockRequest, Lost,
    LostReason, NodeError, NodeErrorKind, NodeRelease, Observer, Redlock, ReleaseReport, Resources,
    Retry, Standing, TryLockRequest,
};

/// Whether a type has a trait, both answers checked: the inherent function, of types that have it, is found before the one
/// of the trait, which all types have.
macro_rules! has {
    ($type:ty: $($bound:tt)+) => {{
        struct Has<T: ?Sized>(std::marker::PhantomData<T>);
        #[allow(dead_code, reason = "which of the two is used is the answer")]
        trait Not {
            fn answer() -> bool {
                false
            }
        }
        impl<T: ?Sized> Not for Has<T> {}
        #[allow(dead_code, reason = "which of the two is used is the answer")]
        impl<T: ?Sized + $($bound)+> Has<T> {
            fn answer() -> bool {
                true
            }
        }
        <Has<$type>>::answer()
    }};
}

/// A line: `Send Sync Unpin 'static Clone Copy Debug UnwindSafe`, in capitals what it has.
macro_rules! line {
    ($type:ty) => {{
        let has = [
            ("send", has!($type: Send)),
            ("sync", has!($type: Sync)),
            ("unpin", has!($type: Unpin)),
            ("static", has!($type: 'static)),
            ("clone", has!($type: Clone)),
            ("copy", has!($type: Copy)),
            ("debug", has!($type: Debug)),
            ("unwind", has!($type: UnwindSafe + RefUnwindSafe)),
        ];
        let mark = |(name, has): (&str, bool)| if has { name.to_uppercase() } else { "-".to_owned() };
        format!("{}: {}", stringify!($type), has.map(mark).join(" "))
    }};
}

/// Every type that `lib.rs` exports, but the observer for `tracing`, which is here with its feature only.
///
/// The handle, the guard and what is made from them hold trait objects of the user (the observer), of which nobody knows
/// whether they are sound after a panic: so they are not unwind safe, and that is no promise either way.
#[test]
fn every_public_type_has_just_these() {
    let lines = [
        line!(Redlock),
        line!(Builder),
        line!(LockRequest),
        line!(TryLockRequest),
        line!(Guard),
        line!(Lost),
        line!(Fenced<Guard>),
        line!(FencingToken),
        line!(Lease),
        line!(ReleaseReport),
        line!(NodeRelease),
        line!(Standing),
        line!(Resources),
        line!(Retry),
        line!(Event),
        line!(Error),
        line!(NodeError),
        line!(NodeErrorKind),
        line!(LostReason),
        line!(InvalidInput),
        line!(Box<dyn Observer>),
    ];
    let expected = [
        "Redlock: SEND SYNC UNPIN STATIC CLONE - DEBUG -",
        "Builder: SEND SYNC UNPIN STATIC - - DEBUG -",
        "LockRequest: SEND SYNC UNPIN STATIC CLONE - DEBUG -",
        "TryLockRequest: SEND SYNC UNPIN STATIC CLONE - DEBUG -",
        "Guard: SEND SYNC UNPIN STATIC - - DEBUG -",
        "Lost: SEND - UNPIN STATIC - - DEBUG -",
        "Fenced<Guard>: SEND SYNC UNPIN STATIC - - DEBUG -",
        "FencingToken: SEND SYNC UNPIN STATIC CLONE COPY DEBUG UNWIND",
        "Lease: SEND SYNC UNPIN STATIC - - DEBUG UNWIND",
        "ReleaseReport: SEND SYNC UNPIN STATIC CLONE - DEBUG -",
        "NodeRelease: SEND SYNC UNPIN STATIC CLONE - DEBUG -",
        "Standing: SEND SYNC UNPIN STATIC CLONE - DEBUG -",
        "Resources: SEND SYNC UNPIN STATIC CLONE - DEBUG UNWIND",
        "Retry: SEND SYNC UNPIN STATIC CLONE COPY DEBUG UNWIND",
        "Event: SEND SYNC UNPIN STATIC CLONE - DEBUG -",
        "Error: SEND SYNC UNPIN STATIC CLONE - DEBUG -",
        "NodeError: SEND SYNC UNPIN STATIC CLONE - DEBUG -",
        "NodeErrorKind: SEND SYNC UNPIN STATIC CLONE COPY DEBUG UNWIND",
        "LostReason: SEND SYNC UNPIN STATIC CLONE COPY DEBUG UNWIND",
        "InvalidInput: SEND SYNC UNPIN STATIC CLONE - DEBUG UNWIND",
        "Box<dyn Observer>: SEND SYNC UNPIN STATIC - - - -",
    ];
    assert_eq!(lines, expected);
}

#[cfg(feature = "tracing")]
#[test]
fn the_observer_for_tracing_is_a_plain_value() {
    let line = line!(quorlock::TracingObserver);
    assert!(line.ends_with("SEND SYNC UNPIN STATIC CLONE COPY DEBUG UNWIND"), "{line}");
}

#[cfg(feature = "metrics")]
#[test]
fn the_observer_for_metrics_is_a_plain_value() {
    let line = line!(quorlock::MetricsObserver);
    assert!(line.ends_with("SEND SYNC UNPIN STATIC CLONE COPY DEBUG UNWIND"), "{line}");
}

/// As many types stand in the table as are in the list of the public surface: a new one is not forgotten.
#[test]
fn no_public_type_is_missing() {
    let (table, list) = (include_str!("auto_traits.rs"), include_str!("public_api/list.txt"));
    for line in list.lines() {
        let Some((_, rest)) =
            line.split_once("pub struct ").or_else(|| line.split_once("pub enum "))
        else {
            continue;
        };
        let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').next();
        let name = name.and_then(|path| path.rsplit("::").next()).unwrap_or_default();
        let there =
            ["line!({})", "line!({}<", "line!(quorlock::{})"].map(|line| line.replace("{}", name));
        assert!(there.iter().any(|call| table.contains(call.as_str())), "`{name}` is in no line");
    }
}

/// Every call can be spawned, with whatever can be sent. Compiled, never run.
#[test]
fn every_future_of_a_public_call_can_be_sent() {
    fn sent<T: Send>(_: &T) {}
    fn spawned<T: Send + 'static>(_: T) {}
    #[allow(dead_code, reason = "it compiles: that is the test")]
    async fn calls(redlock: Redlock, guard: Guard) {
        spawned(redlock.lock("a").into_future());
        spawned(redlock.try_lock("a").into_future());
        spawned(redlock.lock("a").fenced().into_future());
        spawned(redlock.try_lock("a").fenced().into_future());
        spawned(guard.lost());
        sent(&redlock.close(Duration::ZERO));
        sent(&guard.run(async {}));
        sent(&guard.extend());
        sent(&guard.extend_for(Duration::ZERO));
        spawned(guard.release());
        // As people write it: everything in one task.
        spawned(async move {
            let held = redlock.lock(["a", "b"]).wait_for(Duration::ZERO).await?;
            held.run(std::future::ready(())).await?;
            held.release().await?;
            redlock.close(Duration::ZERO).await
        });
    }
}

#[test]
fn both_answers_are_found() {
    assert!(has!(u8: Copy + Send));
    assert!(!has!(std::rc::Rc<u8>: Send));
    assert!(!has!(String: Copy));
}
