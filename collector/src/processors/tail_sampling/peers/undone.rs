//! Decisions that are still to be obeyed.
//!
//! Those of one tick are obeyed together, whoever made them: traces that came together are in memory that lies together
//! and go out together, so that none of it is fetched, and no segment of the log decompressed, once for each owner. What
//! an owner decides the others hear at the next tick; then it obeys too.

use super::Obey;

/// Decisions on traces that wait here.
#[derive(Default)]
pub(super) struct Undone {
    /// Made here since the last tick began.
    made: Vec<Obey>,
    /// Made here before, and heard of since.
    heard: Vec<Obey>,
    /// Others' decisions are coming in.
    gathers: bool,
    /// The instance stops.
    at_once: bool,
}

impl Undone {
    /// Takes decisions that were made here. What is left in the list is to be obeyed at once.
    pub(super) fn made(&mut self, decisions: &mut Vec<Obey>) {
        if !self.at_once {
            self.made.append(decisions);
        }
    }

    /// Takes decisions that this instance has heard of. What is left in the list is to be obeyed at once.
    pub(super) fn heard(&mut self, decisions: &mut Vec<Obey>) {
        if self.gathers {
            self.heard.append(decisions);
        }
    }

    /// A tick begins: all members tell each other what they have decided since the last one.
    pub(super) fn begin_tick(&mut self) {
        self.heard.append(&mut self.made);
        self.gathers = !self.at_once;
    }

    /// True from the beginning of a tick until its decisions are taken.
    pub(super) fn gathers(&self) -> bool {
        self.gathers
    }

    /// The tick's decisions. They have come, as a rule; those that come later are obeyed at once.
    pub(super) fn take(&mut self) -> Vec<Obey> {
        self.gathers = false;
        std::mem::take(&mut self.heard)
    }

    /// The memory of what was taken serves again.
    pub(super) fn reuse(&mut self, mut taken: Vec<Obey>) {
        taken.clear();
        if self.heard.is_empty() {
            self.heard = taken;
        }
    }

    /// The instance stops: nothing waits any more.
    pub(super) fn end(&mut self) -> Vec<Obey> {
        self.at_once = true;
        let mut all = self.take();
        all.append(&mut self.made);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::counts::Final;
    use super::super::Decision;
    use super::*;

    fn decisions(numbers: &[u8]) -> Vec<Obey> {
        let decision = Decision::new(Final::Sampled, 0);
        numbers.iter().map(|n| Obey { id: [*n; 16], at: (*n).into(), decision }).collect()
    }

    #[test]
    fn decisions_of_one_tick_are_obeyed_together() {
        let mut undone = Undone::default();
        let mut list = decisions(&[1, 2]);
        undone.made(&mut list);
        assert_eq!((list, undone.gathers()), (vec![], false));
        undone.begin_tick();
        let mut list = decisions(&[3]);
        undone.heard(&mut list);
        assert_eq!((list, undone.gathers()), (vec![], true));
        // Others hear of this one with the next tick.
        undone.made(&mut decisions(&[4]));
        assert_eq!(undone.take(), decisions(&[1, 2, 3]));
        let mut late = decisions(&[5]);
        undone.heard(&mut late);
        assert_eq!((late, undone.gathers()), (decisions(&[5]), false));
        undone.begin_tick();
        let taken = undone.take();
        assert_eq!(taken, decisions(&[4]));
        undone.reuse(taken);
        assert_eq!(undone.take(), []);
    }

    #[test]
    fn who_stops_obeys_at_once() {
        let mut undone = Undone::default();
        undone.begin_tick();
        undone.heard(&mut decisions(&[1]));
        undone.made(&mut decisions(&[2]));
        assert_eq!(undone.end(), decisions(&[1, 2]));
        undone.begin_tick();
        let mut list = decisions(&[3]);
        undone.heard(&mut list);
        undone.made(&mut list);
        assert_eq!((list, undone.gathers()), (decisions(&[3]), false));
        assert_eq!(undone.end(), []);
    }
}
