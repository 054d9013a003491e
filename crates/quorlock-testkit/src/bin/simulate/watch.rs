//! Looks after simulations while they run: a panic is a finding and does not end the program, and one that gets stuck in
//! real time is reported with its seed.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::process;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use quorlock_testkit::history::History;
use quorlock_testkit::simulation::{self, Census, Finding, Outcome, Plan};

use super::report;

const EXIT_STUCK: i32 = 3;
const LOOKS_EVERY: Duration = Duration::from_millis(100);

thread_local! {
    /// What panics said, while this thread runs a simulation.
    static SAID: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// The simulations that run at this moment, one at most in each place.
#[derive(Debug)]
pub(crate) struct Watch {
    places: Vec<Mutex<Option<(Instant, Plan)>>>,
    patience: Duration,
}

impl Watch {
    pub(crate) fn new(places: usize, patience: Duration) -> Self {
        Self { places: (0..places).map(|_| Mutex::default()).collect(), patience }
    }

    /// Runs a simulation. Its panics are findings.
    pub(crate) fn run(&self, place: usize, plan: &Plan) -> Outcome {
        *lock(&self.places[place]) = Some((Instant::now(), plan.clone()));
        SAID.set(Some(Vec::new()));
        let result = panic::catch_unwind(AssertUnwindSafe(|| simulation::run(plan)));
        let said = SAID.take().unwrap_or_default();
        *lock(&self.places[place]) = None;
        match result {
            Ok(mut outcome) => {
                outcome.findings.iter_mut().for_each(|finding| say_where(finding, &said));
                // One in a task that nobody waits for is a panic all the same.
                let unheard = said.into_iter().filter(|said| {
                    let is_said = |finding: &Finding| matches!(finding, Finding::Panic { message } if message == said);
                    !outcome.findings.iter().any(is_said)
                });
                let unheard: Vec<_> = unheard.map(|message| Finding::Panic { message }).collect();
                outcome.findings.extend(unheard);
                outcome
            }
            Err(_) => panicked(said.into_iter().next_back().unwrap_or_default()),
        }
    }

    /// Ends the program when a simulation is stuck; returns never.
    pub(crate) fn look(&self) -> ! {
        loop {
            thread::sleep(LOOKS_EVERY);
            for place in &self.places {
                if let Some((since, plan)) = &*lock(place)
                    && since.elapsed() >= self.patience
                {
                    let (seed, patience) = (plan.seed, self.patience);
                    eprintln!("seed {seed} has not ended after {patience:?} of real time:");
                    eprintln!("    {}", report::command(plan));
                    process::exit(EXIT_STUCK);
                }
            }
        }
    }
}

/// Keeps what panics of simulations say; those of the program itself are printed as ever.
pub(crate) fn keep_panics_quiet(verbose: bool) {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let kept = SAID.with_borrow_mut(|said| match said {
            Some(said) => {
                said.push(info.to_string().replace('\n', " "));
                true
            }
            None => false,
        });
        if verbose || !kept {
            print(info);
        }
    }));
}

/// The simulation knows what its tasks said, the hook also where.
fn say_where(finding: &mut Finding, said: &[String]) {
    if let Finding::Panic { message } = finding {
        let whole = said.iter().find(|said| said.ends_with(&message.replace('\n', " ")));
        if let Some(whole) = whole {
            message.clone_from(whole);
        }
    }
}

fn panicked(message: String) -> Outcome {
    Outcome {
        history: History::new(),
        findings: vec![Finding::Panic { message }],
        beyond: 0,
        census: Census::default(),
        notes: Vec::new(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
