//! Many services side by side in one task: what makes several of them ready at once wakes one task once, and each is polled
//! only when it was woken itself.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::task::AtomicWaker;

use crate::clock::Spawner;
use crate::crowd::Crowd;
use crate::quorum::MAX_NODES;
use crate::sync::lock;

type Service = BoxFuture<'static, ()>;

/// Starts the task with the first service, and again with the first after it has ended.
pub(crate) struct OneTask {
    spawner: Arc<dyn Spawner>,
    arrivals: Arc<Mutex<Arrivals>>,
    crowd: Crowd,
}

#[derive(Default)]
struct Arrivals {
    services: Vec<Service>,
    /// There from the start of the task until its end.
    task: Option<Waker>,
}

impl OneTask {
    pub(crate) fn new(spawner: Arc<dyn Spawner>, crowd: Crowd) -> Self {
        Self { spawner, arrivals: Arc::default(), crowd }
    }

    /// Of those whom the services serve.
    pub(crate) fn crowd(&self) -> &Crowd {
        &self.crowd
    }

    /// Runs `service` until it ends. Dropped without having ended if the runtime of the task ends, or panics.
    pub(crate) fn run(&self, service: Service) {
        let mut arrivals = lock(&self.arrivals);
        arrivals.services.push(service);
        match &arrivals.task {
            Some(task) => {
                let task = task.clone();
                drop(arrivals);
                task.wake();
            }
            None => {
                arrivals.task = Some(Waker::noop().clone());
                drop(arrivals);
                self.spawner
                    .spawn(Box::pin(Task::new(Arc::clone(&self.arrivals), self.crowd.clone())));
            }
        }
    }
}

impl fmt::Debug for OneTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneTask")
    }
}

struct Task {
    arrivals: Arc<Mutex<Arrivals>>,
    services: Vec<Option<Seat>>,
    ready: Arc<Ready>,
    crowd: Crowd,
    /// Others have been let run since the first half of this turn.
    is_second_half: bool,
    is_over: bool,
}

/// A service, and what it is woken by.
struct Seat {
    service: Service,
    waker: Waker,
}

/// Which services were woken, by their seats.
#[derive(Default)]
struct Ready {
    seats: AtomicU64,
    task: AtomicWaker,
}

struct Bell {
    ready: Arc<Ready>,
    seat: usize,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Whoever was the first wakes the task, or is about to.
        if self.ready.seats.fetch_or(1 << self.seat, Ordering::SeqCst) == 0 {
            self.ready.task.wake();
        }
    }
}

impl Task {
    fn new(arrivals: Arc<Mutex<Arrivals>>, crowd: Crowd) -> Self {
        let (services, ready) = (Vec::new(), Arc::default());
        Self { arrivals, services, ready, crowd, is_second_half: false, is_over: false }
    }
}

impl Future for Task {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_second_half {
            // Who is woken by this is polled below: the task need not be woken for that.
            drop(self.ready.task.take());
            self.crowd.begin_second_half();
        } else {
            self.crowd.begin_turn();
        }
        self.ready.task.register(cx.waker());
        if self.seat_arrivals(cx).is_ready() {
            return Poll::Ready(());
        }
        self.poll_services();
        self.is_second_half = !self.is_second_half && self.crowd.has_second_half();
        if self.is_second_half || self.is_empty() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl Task {
    fn is_empty(&self) -> bool {
        self.services.iter().all(Option::is_none)
    }

    /// Ready when there is nobody, and nobody has come.
    fn seat_arrivals(&mut self, cx: &Context<'_>) -> Poll<()> {
        let mut arrivals = lock(&self.arrivals);
        let arrived = std::mem::take(&mut arrivals.services);
        if arrived.is_empty() && self.is_empty() {
            arrivals.task = None;
            drop(arrivals);
            self.is_over = true;
            return Poll::Ready(());
        }
        match &mut arrivals.task {
            Some(task) => task.clone_from(cx.waker()),
            task => *task = Some(cx.waker().clone()),
        }
        drop(arrivals);
        for service in arrived {
            let free = self.services.iter().position(Option::is_none);
            let seat = free.unwrap_or(self.services.len());
            // One for each node at most; more would share theirs, and be polled more often than they need.
            let bell = Bell { ready: Arc::clone(&self.ready), seat: seat % MAX_NODES };
            let waker = Waker::from(Arc::new(bell));
            waker.wake_by_ref();
            // A panic, of an observer for one, ends one service and not its neighbours.
            let service = AssertUnwindSafe(service).catch_unwind().map(drop).boxed();
            let taken = Some(Seat { service, waker });
            match self.services.get_mut(seat) {
                Some(free) => *free = taken,
                None => self.services.push(taken),
            }
        }
        Poll::Pending
    }

    /// Polls each that was woken, once.
    fn poll_services(&mut self) {
        let ready = self.ready.seats.swap(0, Ordering::SeqCst);
        for (seat, service) in self.services.iter_mut().enumerate() {
            if ready & 1 << (seat % MAX_NODES) != 0
                && let Some(Seat { service: future, waker }) = service
                && future.poll_unpin(&mut Context::from_waker(waker)).is_ready()
            {
                *service = None;
            }
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if self.is_over {
            // What has arrived since is its successor's.
            return;
        }
        let mut arrivals = lock(&self.arrivals);
        arrivals.task = None;
        let never_begun = std::mem::take(&mut arrivals.services);
        drop(arrivals);
        drop(never_begun);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use std::future::poll_fn;

    use futures::channel::oneshot;

    use super::*;
    use crate::clock::TokioSpawner;

    /// Counts what it starts.
    #[derive(Debug, Default)]
    struct Counting(TokioSpawner, AtomicUsize);

    impl Spawner for Counting {
        fn spawn(&self, task: BoxFuture<'static, ()>) {
            self.1.fetch_add(1, Ordering::SeqCst);
            self.0.spawn(task);
        }
    }

    /// A service that ends when it is told to, and tells by the end of its channel that it is gone.
    fn service(one: &OneTask) -> (oneshot::Sender<()>, oneshot::Receiver<()>) {
        let (stop, stopped) = oneshot::channel();
        let (running, gone) = oneshot::channel();
        one.run(Box::pin(async move {
            let _running = running;
            stopped.await.unwrap_or_default();
        }));
        (stop, gone)
    }

    #[tokio::test]
    async fn services_share_a_task_which_begins_anew_after_the_last_has_ended() {
        let spawner = Arc::new(Counting::default());
        let one = OneTask::new(Arc::clone(&spawner) as Arc<dyn Spawner>, Crowd::default());
        let (stop_a, gone_a) = service(&one);
        let (stop_b, gone_b) = service(&one);
        drop(stop_a);
        assert!(gone_a.await.is_err());
        let (stop_c, gone_c) = service(&one);
        drop((stop_b, stop_c));
        assert!(gone_b.await.is_err() && gone_c.await.is_err());
        assert_eq!(spawner.1.load(Ordering::SeqCst), 1);
        while lock(&one.arrivals).task.is_some() {
            tokio::task::yield_now().await;
        }
        let (stop, gone) = service(&one);
        drop(stop);
        assert!(gone.await.is_err());
        assert_eq!(spawner.1.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn in_a_crowd_others_run_before_anything_is_written() {
        for (operations, order) in [(1, ["write", "other"]), (2, ["other", "write"])] {
            let crowd = Crowd::default();
            (0..operations).for_each(|_| crowd.enter());
            let one = OneTask::new(Arc::new(TokioSpawner::default()), crowd.clone());
            let ran = Arc::<Mutex<Vec<&str>>>::default();
            let writes = Arc::clone(&ran);
            one.run(Box::pin(poll_fn(move |cx| {
                if crowd.holds_back(|| true, cx.waker()) {
                    return Poll::Pending;
                }
                lock(&writes).push("write");
                Poll::Ready(())
            })));
            let runs = Arc::clone(&ran);
            TokioSpawner::default().spawn(Box::pin(async move { lock(&runs).push("other") }));
            for _ in 0..4 {
                tokio::task::yield_now().await;
            }
            assert_eq!(*lock(&ran), order, "{operations} operations");
        }
    }

    #[tokio::test]
    async fn all_that_were_held_back_write_together_also_where_they_are_woken_meanwhile() {
        let crowd = Crowd::default();
        (0..2).for_each(|_| crowd.enter());
        let one = OneTask::new(Arc::new(TokioSpawner::default()), crowd.clone());
        let ran = Arc::<Mutex<Vec<&str>>>::default();
        for _ in 0..5 {
            let (crowd, writes) = (crowd.clone(), Arc::clone(&ran));
            one.run(Box::pin(poll_fn(move |cx| {
                if crowd.holds_back(|| true, cx.waker()) {
                    lock(&writes).push("waits");
                } else {
                    lock(&writes).push("writes");
                    // Somebody asks while it writes.
                    cx.waker().wake_by_ref();
                }
                Poll::Pending
            })));
        }
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        let ran = lock(&ran).clone();
        let turns = ran.split(|what| *what == "waits").map(<[_]>::len).filter(|writes| *writes > 0);
        assert!(turns.clone().count() > 1 && turns.clone().all(|writes| writes >= 5), "{ran:?}");
    }

    #[tokio::test]
    async fn a_panic_ends_one_service_and_not_its_neighbour() {
        let one = OneTask::new(Arc::new(TokioSpawner::default()), Crowd::default());
        one.run(Box::pin(async { panic!("a service that panics") }));
        let (stop, mut gone) = service(&one);
        tokio::task::yield_now().await;
        assert!(gone.try_recv().is_ok(), "it goes on");
        drop(stop);
        assert!(gone.await.is_err());
    }

    #[test]
    fn a_service_of_a_runtime_that_has_ended_is_dropped_and_the_next_one_begins_a_task() {
        let one = OneTask::new(Arc::new(TokioSpawner::default()), Crowd::default());
        let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (_stop, gone) = runtime().block_on(async { service(&one) });
        runtime().block_on(async {
            assert!(gone.await.is_err());
            let (stop, gone) = service(&one);
            drop(stop);
            assert!(gone.await.is_err());
        });
    }
}
