//! A lock that a worker hands over, and takes up again as another process would.

use std::sync::Arc;
use std::time::Duration;

use quorlock::{Error, Guard};
use tokio::time::sleep;

use super::wish::{Ending, Wish};
use super::worker::{Worker, time_limit};
use crate::history::{Event, Recorder};

impl Worker {
    /// Lets go of a lock, and takes it up again: it is held then only if a quorum still has it.
    pub(super) async fn hand_over(
        &self,
        wish: &Wish,
        recorder: &mut Recorder,
        guard: Arc<Guard>,
        released: Vec<Event>,
        after: Duration,
    ) {
        let lease = Arc::into_inner(guard).map(Guard::into_lease);
        self.ended(released);
        let Some(Ok(lease)) = lease else { return self.counting.ended("hand over lost") };
        sleep(after).await;
        let inv = self.record.now();
        let begun: Vec<Event> =
            wish.resources.iter().map(|resource| recorder.acquire(resource, inv)).collect();
        begun.iter().for_each(|event| self.record.push(event.clone()));
        let bound = self.connecting() + time_limit(wish.ttl);
        let taken = self.called("take up", bound, wish.cancel, self.redlock.take_up(&lease)).await;
        let ret = self.record.now();
        self.counting.ended(match &taken {
            None => "take up cancelled",
            Some(Ok(_)) => "take up ok",
            Some(Err(Error::Lost { .. })) => "take up lost",
            Some(Err(Error::NoQuorum { .. })) => "take up no quorum",
            Some(Err(_)) => "take up other error",
        });
        let Some(Ok(guard)) = taken else {
            begun.into_iter().for_each(|event| self.record.push(event.refused(ret)));
            // What is left of it would be residue.
            drop(self.redlock.give_back(&lease).await);
            return;
        };
        let mut hold = self.held(wish, recorder, begun, (guard, None), ret);
        // Of which there may be next to nothing left: then its end is told at once.
        hold.max_hold = None;
        let release = Wish { ending: Ending::Release, acts: Vec::new(), ..wish.clone() };
        self.hold(&release, recorder, &hold).await;
        Box::pin(self.end(&release, recorder, hold)).await;
    }
}
