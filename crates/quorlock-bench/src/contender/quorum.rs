//! Counting answers up to a quorum, for the two contenders that are written here.

/// Whether one of `nodes` answers decides it: `Some(true)` at the quorum's last yes, `Some(false)` when it is out of reach.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Count {
    quorum: usize,
    nodes: usize,
    yes: usize,
    no: usize,
}

impl Count {
    pub(crate) fn new(nodes: usize) -> Self {
        Self { quorum: nodes / 2 + 1, nodes, yes: 0, no: 0 }
    }

    /// Takes one answer.
    pub(crate) fn add(&mut self, yes: bool) -> Option<bool> {
        *if yes { &mut self.yes } else { &mut self.no } += 1;
        if self.yes == self.quorum && yes {
            return Some(true);
        }
        // Once only: the first no that puts it out of reach.
        (!yes && self.yes < self.quorum && self.no == self.nodes - self.quorum + 1).then_some(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_of_five_decide_and_so_do_three_refusals_once() {
        let verdicts = |answers: [bool; 5]| {
            let mut count = Count::new(5);
            answers.map(|yes| count.add(yes))
        };
        let (won, lost) = (Some(true), Some(false));
        assert_eq!(verdicts([true; 5]), [None, None, won, None, None]);
        assert_eq!(verdicts([false; 5]), [None, None, lost, None, None]);
        assert_eq!(verdicts([true, false, false, true, true]), [None, None, None, None, won]);
        assert_eq!(verdicts([true, false, true, false, false]), [None, None, None, None, lost]);
    }
}
