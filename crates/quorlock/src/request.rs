//! Requests: what is wanted, by chaining, and sent when awaited. The loop behind them lives in `waiting.rs`.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

use crate::attempt::{Core, Wish};
use crate::error::Error;
use crate::fenced::{Fenceable, Fenced};
use crate::fencing::Fencing;
use crate::guard::Guard;
use crate::invalid::InvalidInput;
use crate::keeper::Keeping;
use crate::resources::Resources;
use crate::settings::check_max_hold;

/// What both kinds of request can be told.
#[derive(Clone, Debug)]
struct Wanted {
    core: Arc<Core>,
    resources: Resources,
    ttl: Option<Duration>,
    wait_for: Option<Duration>,
    max_hold: Option<Duration>,
    keeping: Keeping,
}

impl Wanted {
    fn new(core: &Arc<Core>, resources: Resources) -> Self {
        Self {
            core: Arc::clone(core),
            resources,
            ttl: None,
            wait_for: core.settings.wait_for,
            max_hold: core.settings.max_hold,
            keeping: Keeping::Extended,
        }
    }

    /// The same with fencing.
    fn check_fenced(self) -> Result<(Arc<Core>, Wish), InvalidInput> {
        let (core, mut wish) = self.check()?;
        wish.terms.fencing = Fencing::Wanted { certify_on: core.certify_on() };
        Ok((core, wish))
    }

    fn check(self) -> Result<(Arc<Core>, Wish), InvalidInput> {
        check_max_hold(self.max_hold)?;
        let terms = self.core.settings.terms(self.resources, self.ttl)?;
        let Self { core, wait_for, max_hold, keeping, .. } = self;
        Ok((core, Wish { terms, wait_for, max_hold, keeping }))
    }
}

macro_rules! settings_of_all {
    () => {
        /// How long the lock lasts on nodes that hear nothing more of its holder; whole milliseconds. Defaults to the
        /// handle's.
        #[must_use = "a request does nothing until it is awaited"]
        pub fn ttl(mut self, ttl: Duration) -> Self {
            self.wanted().ttl = Some(ttl);
            self
        }

        /// The longest that the guard holds the lock in all, extends included: a watchdog of its own against work that
        /// never ends. Told as lost like any other end. Defaults to the handle's; zero is refused.
        #[must_use = "a request does nothing until it is awaited"]
        pub fn max_hold(mut self, max_hold: Duration) -> Self {
            self.wanted().max_hold = Some(max_hold);
            self
        }

        /// Leaves extending to the caller: the lock is lost after one TTL unless [`Guard::extend`] is called.
        #[must_use = "a request does nothing until it is awaited"]
        pub fn without_keeper(mut self) -> Self {
            self.wanted().keeping = Keeping::OneTtl;
            self
        }
    };
}

macro_rules! settings_of_waiting {
    () => {
        /// How long to wait, whether the lock is held by somebody else or too few nodes can be reached. Where nobody waits on
        /// this handle yet, and no other handle is expected to, the nodes have their full time limit to answer once, and to be connected before, so that is the
        /// least; whoever comes to a queue asks just before the end at the latest. Zero asks once, [`Duration::MAX`] waits without
        /// limit. Defaults to the [handle's](crate::Builder::wait_for).
        #[must_use = "a request does nothing until it is awaited"]
        pub fn wait_for(mut self, limit: Duration) -> Self {
            self.wanted().wait_for = Some(limit);
            self
        }
    };
}

/// A lock to be waited for; made by [`Redlock::lock`](crate::Redlock::lock), sent when awaited.
#[must_use = "a request does nothing until it is awaited"]
#[derive(Clone, Debug)]
pub struct LockRequest(Wanted);

impl LockRequest {
    pub(crate) fn new(core: &Arc<Core>, resources: Resources) -> Self {
        Self(Wanted::new(core, resources))
    }

    fn wanted(&mut self) -> &mut Wanted {
        &mut self.0
    }

    settings_of_all!();

    settings_of_waiting!();

    /// With a fencing token. Defaults to none, unless the handle [is fenced](crate::Redlock::fenced).
    pub fn fenced(self) -> Fenced<Self> {
        Fenced { plain: self, token: () }
    }
}

impl IntoFuture for LockRequest {
    type Output = Result<Guard, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        match self.0.check() {
            Ok((core, wish)) => Box::pin(async move { core.lock(&wish).await }),
            Err(invalid) => Box::pin(ready(Err(invalid.into()))),
        }
    }
}

/// A lock to be had now or not; made by [`Redlock::try_lock`](crate::Redlock::try_lock), sent when awaited.
#[must_use = "a request does nothing until it is awaited"]
#[derive(Clone, Debug)]
pub struct TryLockRequest(Wanted);

impl TryLockRequest {
    pub(crate) fn new(core: &Arc<Core>, resources: Resources) -> Self {
        Self(Wanted::new(core, resources))
    }

    fn wanted(&mut self) -> &mut Wanted {
        &mut self.0
    }

    settings_of_all!();

    /// With a fencing token. Defaults to none, unless the handle [is fenced](crate::Redlock::fenced).
    pub fn fenced(self) -> Fenced<Self> {
        Fenced { plain: self, token: () }
    }
}

impl IntoFuture for TryLockRequest {
    type Output = Result<Option<Guard>, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        match self.0.check() {
            Ok((core, wish)) => Box::pin(async move { core.try_lock(&wish).await }),
            Err(invalid) => Box::pin(ready(Err(invalid.into()))),
        }
    }
}

impl Fenceable for LockRequest {
    type Token = ();
}

impl Fenceable for TryLockRequest {
    type Token = ();
}

impl Fenced<LockRequest> {
    fn wanted(&mut self) -> &mut Wanted {
        &mut self.plain.0
    }

    settings_of_all!();

    settings_of_waiting!();
}

impl Fenced<TryLockRequest> {
    fn wanted(&mut self) -> &mut Wanted {
        &mut self.plain.0
    }

    settings_of_all!();
}

impl IntoFuture for Fenced<LockRequest> {
    type Output = Result<Fenced<Guard>, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        match self.plain.0.check_fenced() {
            Ok((core, wish)) => {
                Box::pin(async move { core.fenced(&wish, core.lock(&wish).await?) })
            }
            Err(invalid) => Box::pin(ready(Err(invalid.into()))),
        }
    }
}

impl IntoFuture for Fenced<TryLockRequest> {
    type Output = Result<Option<Fenced<Guard>>, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        match self.plain.0.check_fenced() {
            Ok((core, wish)) => Box::pin(async move {
                let guard = core.try_lock(&wish).await?;
                guard.map(|guard| core.fenced(&wish, guard)).transpose()
            }),
            Err(invalid) => Box::pin(ready(Err(invalid.into()))),
        }
    }
}
