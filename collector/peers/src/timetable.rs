//! Traces by the time at which something is to be done about them. Times come in steps (ticks, whole seconds), so that
//! many traces share one: a list a time is cheaper than a heap of traces.

use std::collections::BTreeMap;

use crate::table::Place;
use crate::{Millis, TraceId};

/// Where a trace is, and which: by its time another may have the place.
type Listed = (Place, TraceId);

#[derive(Debug, Default)]
pub(crate) struct Timetable {
    lists: BTreeMap<Millis, Vec<Listed>>,
    /// What came last, of one time: mostly the next has the same.
    latest: (Millis, Vec<Listed>),
}

impl Timetable {
    /// A trace may be listed more than once, and is listed when it has gone from its place.
    #[inline]
    pub(crate) fn push(&mut self, at: Millis, trace: Listed) {
        if self.latest.0 != at {
            self.put_away();
            self.latest.0 = at;
        }
        self.latest.1.push(trace);
    }

    fn put_away(&mut self) {
        let (at, traces) = &mut self.latest;
        if !traces.is_empty() {
            self.lists.entry(*at).or_default().append(traces);
        }
    }

    /// Those of the earliest time, if it has come.
    pub(crate) fn pop(&mut self, now: Millis) -> Option<(Millis, Vec<Listed>)> {
        self.put_away();
        let first = self.lists.first_entry().filter(|first| *first.key() <= now)?;
        Some(first.remove_entry())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_come_in_order_of_time_and_each_in_order_of_coming() {
        let mut timetable = Timetable::default();
        for (at, place) in [(5, 1), (5, 2), (3, 3), (5, 4), (9, 5)] {
            timetable.push(at, (place, [0; 16]));
        }
        let places = |popped: Option<(Millis, Vec<Listed>)>| {
            popped.map(|(at, list)| (at, list.iter().map(|(place, _)| *place).collect::<Vec<_>>()))
        };
        assert_eq!(places(timetable.pop(2)), None);
        assert_eq!(places(timetable.pop(8)), Some((3, vec![3])));
        timetable.push(5, (6, [0; 16]));
        assert_eq!(places(timetable.pop(8)), Some((5, vec![1, 2, 4, 6])));
        assert_eq!(places(timetable.pop(8)), None);
        assert_eq!(places(timetable.pop(9)), Some((9, vec![5])));
    }
}
