//! How a worker asks for what it wants: each way to ask, with and without a fencing token.

use quorlock::{Error, Fenced, Guard};

use super::wish::{Asking, Wish};
use super::worker::Worker;

/// A lock that was had, and its fencing token, if it has one.
pub(super) type Had = (Guard, Option<u64>);

/// The settings that all requests share.
macro_rules! told {
    ($request:expr, $wish:expr) => {{
        let mut request = $request.ttl($wish.ttl);
        if let Some(max_hold) = $wish.max_hold {
            request = request.max_hold(max_hold);
        }
        if !$wish.keeper {
            request = request.without_keeper();
        }
        request
    }};
}

impl Worker {
    pub(super) async fn ask(&self, wish: &Wish) -> Result<Option<Had>, Error> {
        let resources = wish.resources.clone();
        match (wish.asking, wish.fenced) {
            (Asking::Once, false) => {
                let had = told!(self.redlock.try_lock(resources), wish).await?;
                Ok(had.map(|guard| (guard, None)))
            }
            (Asking::Once, true) => {
                let had = told!(self.redlock.try_lock(resources).fenced(), wish).await?;
                Ok(had.map(fenced))
            }
            (Asking::Waiting(wait), false) => {
                let request = told!(self.redlock.lock(resources), wish).wait_for(wait);
                Ok(Some((request.await?, None)))
            }
            (Asking::Waiting(wait), true) => {
                let request = told!(self.redlock.lock(resources).fenced(), wish).wait_for(wait);
                Ok(Some(fenced(request.await?)))
            }
        }
    }
}

fn fenced(guard: Fenced<Guard>) -> Had {
    let token = guard.fencing_token().get();
    (guard.into(), Some(token))
}
