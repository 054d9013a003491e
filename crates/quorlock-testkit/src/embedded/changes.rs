//! The last changes of a keyspace, so that a crash can take some of them back: what a server does that writes its log to
//! disk once a second.

use std::collections::VecDeque;

use super::keyspace::Keyspace;

/// How many changes a crash can take back.
const REMEMBERED: usize = 8;

/// The keyspace as it was before each of the last changes, the latest last.
#[derive(Debug, Default)]
pub(crate) struct Changes(VecDeque<Keyspace>);

impl Changes {
    /// Notes what was there before a command, if it is not there now.
    pub(crate) fn note(&mut self, before: Keyspace, now: &Keyspace) {
        if before == *now {
            return;
        }
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(before);
    }

    /// What was there so many changes ago, if so many are known, else as far back as is known.
    pub(crate) fn take_back(&mut self, changes: usize) -> Option<Keyspace> {
        (0..changes).map_while(|_| self.0.pop_back()).last()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
