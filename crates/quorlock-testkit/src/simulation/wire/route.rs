//! The wire between one client and one node: its usual delay, a cut, and spells of bad weather, several at a time. The
//! worst of them counts. It draws nothing and has no clock.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::proxy::wire::lock;
use crate::proxy::{Direction, Fate, Relay};
use crate::simulation::field::Flow;

/// Something that happens to what passes, for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spell {
    /// Each way.
    Delay(Duration),
    Loss(Direction),
}

/// Clones are handles to the same wire.
#[derive(Clone)]
pub(super) struct Route {
    relay: Relay,
    usual_delay: Duration,
    weather: Arc<Mutex<Weather>>,
}

#[derive(Debug, Default)]
struct Weather {
    requests: Flow,
    replies: Flow,
    spells: BTreeMap<u64, Spell>,
    next: u64,
}

impl Route {
    pub(super) fn new(relay: Relay, usual_delay: Duration) -> Self {
        let route = Self { relay, usual_delay, weather: Arc::default() };
        route.change(|_| ());
        route
    }

    pub(super) fn relay(&self) -> &Relay {
        &self.relay
    }

    pub(super) fn cut(&self, requests: Flow, replies: Flow) {
        self.change(|weather| (weather.requests, weather.replies) = (requests, replies));
    }

    /// Begins a spell; the returned function ends it.
    pub(super) fn begin(&self, spell: Spell) -> impl FnOnce() + Send + 'static {
        let number = self.change(|weather| {
            weather.next += 1;
            weather.spells.insert(weather.next, spell);
            weather.next
        });
        let route = self.clone();
        move || {
            route.change(|weather| weather.spells.remove(&number));
        }
    }

    /// Ends everything that happens to this wire; what was held is delivered.
    pub(super) fn clear_up(&self) {
        self.change(|weather| *weather = Weather { next: weather.next, ..Weather::default() });
        self.relay.deliver();
    }

    fn change<T>(&self, change: impl FnOnce(&mut Weather) -> T) -> T {
        let weather = &mut *lock(&self.weather);
        let result = change(weather);
        let requests = weather.fate(Direction::Requests, weather.requests);
        let replies = weather.fate(Direction::Replies, weather.replies);
        self.relay.set(requests, replies, weather.delay().max(self.usual_delay));
        result
    }
}

impl Weather {
    fn fate(&self, direction: Direction, cut: Flow) -> Fate {
        let is_lossy = self.spells.values().any(|spell| *spell == Spell::Loss(direction));
        match cut {
            Flow::IsLost => Fate::Lose,
            _ if is_lossy => Fate::Lose,
            Flow::Waits => Fate::Hold,
            Flow::Passes => Fate::Pass,
        }
    }

    fn delay(&self) -> Duration {
        let delays = self.spells.values().map(|spell| match spell {
            Spell::Delay(delay) => *delay,
            Spell::Loss(_) => Duration::ZERO,
        });
        delays.max().unwrap_or_default()
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Route").field(&self.weather).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn seen(route: &Route) -> [Fate; 2] {
        let weather = route.relay.weather();
        [weather.requests, weather.replies]
    }

    #[test]
    fn the_worst_counts_and_what_has_ended_does_not() {
        let route = Route::new(Relay::new(), MS);
        let [first, second] = [0, 1].map(|_| route.begin(Spell::Loss(Direction::Replies)));
        route.cut(Flow::Waits, Flow::Waits);
        assert_eq!(seen(&route), [Fate::Hold, Fate::Lose]);
        first();
        assert_eq!(seen(&route), [Fate::Hold, Fate::Lose]);
        second();
        assert_eq!(seen(&route), [Fate::Hold, Fate::Hold]);
        route.clear_up();
        assert_eq!(seen(&route), [Fate::Pass, Fate::Pass]);
    }

    #[test]
    fn it_is_never_faster_than_usual() {
        let route = Route::new(Relay::new(), 3 * MS);
        let end = route.begin(Spell::Delay(2 * MS));
        assert_eq!(route.relay.weather().delay, 3 * MS);
        drop(route.begin(Spell::Delay(5 * MS)));
        end();
        assert_eq!(route.relay.weather().delay, 5 * MS);
        route.clear_up();
        assert_eq!(route.relay.weather().delay, 3 * MS);
    }
}
