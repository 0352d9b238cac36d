//! The parts of traces that an arriving ResourceSpans has brought: what `span-ingest` decides on.

use super::entry::{Facts, Shape};

/// With `span-ingest`: what the arriving ResourceSpans says of the traces it has spans of.
#[derive(Default)]
pub(super) struct Touched {
    index: hashbrown::HashMap<u32, usize, foldhash::fast::RandomState>,
    pub(super) parts: Vec<(u32, Facts)>,
    pub(super) answers: Vec<u64>,
}

impl Touched {
    pub(super) fn add(&mut self, at: u32, part: &Facts, shape: Shape, answers: &[u64]) {
        let words = shape.words();
        match self.index.get(&at) {
            Some(slot) => {
                self.parts[*slot].1.merge(part);
                shape.merge(&mut self.answers[slot * words..][..words], answers);
            }
            None => {
                self.index.insert(at, self.parts.len());
                self.parts.push((at, *part));
                self.answers.extend_from_slice(answers);
            }
        }
    }

    /// The trace is gone; its part stays in the list under a number that stands for nothing.
    pub(super) fn forget(&mut self, at: u32) {
        if let Some(slot) = self.index.remove(&at) {
            self.parts[slot].0 = u32::MAX;
        }
    }

    /// Empties it and keeps its memory.
    pub(super) fn clear(&mut self) {
        self.index.clear();
        self.parts.clear();
        self.answers.clear();
    }
}
