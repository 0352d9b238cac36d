//! Traces by the time at which something is to be done about them. Times come in steps (ticks, whole seconds), so that
//! many traces share one: a list a time is cheaper than a heap of traces.

use std::collections::BTreeMap;

use crate::Millis;
use crate::table::Place;

#[derive(Debug, Default)]
pub(crate) struct Timetable(BTreeMap<Millis, Vec<Place>>);

impl Timetable {
    /// A trace may be listed more than once.
    pub(crate) fn push(&mut self, at: Millis, place: Place) {
        self.0.entry(at).or_default().push(place);
    }

    /// Those of the earliest time, if it has come.
    pub(crate) fn pop(&mut self, now: Millis) -> Option<(Millis, Vec<Place>)> {
        let first = self.0.first_entry().filter(|first| *first.key() <= now)?;
        Some(first.remove_entry())
    }
}
