//! What clients did and when: the events that the checker judges, as values and as JSON lines.
//! No clock is read here: whoever records gives the times, all from one clock.

mod event;
mod nanos;
mod optional_nanos;
mod recorder;

use std::{
    collections::HashMap,
    io::{self, BufRead, Write},
    mem::{Discriminant, discriminant},
    time::Duration,
};

pub use self::{
    event::{Action, Event, Outcome, Verdict},
    recorder::Recorder,
};

/// All events of a run, in any order.
#[derive(Clone, Debug, Default)]
pub struct History {
    events: Vec<Event>,
    open: HashMap<(String, Duration, Option<u64>, Discriminant<Action>), usize>,
}

impl History {
    /// A history without events.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an event. If it is the end of one that is open (same client, attempt, kind and begin), it takes its
    /// place.
    pub fn push(&mut self, event: Event) {
        let id = (event.client.clone(), event.inv, event.attempt(), discriminant(&event.action));
        if event.ret.is_none() {
            self.open.insert(id, self.events.len());
        } else if let Some(place) = self.open.remove(&id) {
            self.events[place] = event;
            return;
        }
        self.events.push(event);
    }

    /// The events, each operation once.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The latest time that any event tells of.
    #[must_use]
    pub fn end(&self) -> Duration {
        self.events.iter().map(|event| event.ret.unwrap_or(event.inv)).max().unwrap_or_default()
    }

    /// Writes one line per event.
    ///
    /// # Errors
    ///
    /// The writer's, or an event that is no JSON.
    pub fn write_lines(&self, mut to: impl Write) -> io::Result<()> {
        self.events.iter().try_for_each(|event| writeln!(to, "{}", event.to_line()?))
    }

    /// Reads what [`write_lines`](Self::write_lines) wrote.
    ///
    /// # Errors
    ///
    /// The reader's, or a line that is not an event.
    pub fn read_lines(from: impl BufRead) -> io::Result<Self> {
        from.lines().map(|line| Ok(Event::from_line(&line?)?)).collect()
    }
}

impl Extend<Event> for History {
    fn extend<T: IntoIterator<Item = Event>>(&mut self, events: T) {
        events.into_iter().for_each(|event| self.push(event));
    }
}

impl FromIterator<Event> for History {
    fn from_iter<T: IntoIterator<Item = Event>>(events: T) -> Self {
        let mut history = Self::new();
        history.extend(events);
        history
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn lines_bring_every_kind_of_event_back() {
        let mut client = Recorder::new("a");
        let mut history = History::new();
        history.push(client.acquire("r", ms(1)).granted(ms(2), ms(100), Some(7)));
        history.push(client.extend(1, ms(3)).refused(ms(4)));
        history.push(client.write("r", Some(7), ms(5)).answered(ms(6), Verdict::Accepted));
        history.push(client.lost(1, ms(7), ms(1)));
        history.push(client.release(1, ms(8)));
        history.push(client.died(ms(9)));
        let mut lines = Vec::new();
        history.write_lines(&mut lines).unwrap();
        let read = History::read_lines(lines.as_slice()).unwrap();
        assert_eq!(read.events(), history.events());
        assert_eq!(lines.iter().filter(|byte| **byte == b'\n').count(), 6);
    }

    #[test]
    fn the_end_of_an_operation_takes_the_place_of_its_begin() {
        let mut client = Recorder::new("a");
        let begun = client.acquire("r", ms(1));
        let ended = begun.clone().granted(ms(2), ms(9), None);
        let history: History =
            [begun, client.release(1, ms(3)), ended.clone()].into_iter().collect();
        assert_eq!(history.events(), [ended, client.release(1, ms(3))]);
    }

    #[test]
    fn an_operation_without_an_end_stays_open() {
        let mut client = Recorder::new("a");
        let history: History = [client.acquire("r", ms(1))].into_iter().collect();
        assert_eq!(history.events()[0].ret, None);
        assert_eq!(history.end(), ms(1));
    }

    #[test]
    fn a_line_that_is_no_event_is_an_error() {
        assert!(History::read_lines("{\"client\":\"a\"}\n".as_bytes()).is_err());
    }
}
