//! What is known of a waiting trace: facts folded over its spans, of fixed size.
//!
//! Every policy is a function of these facts, so a decision reads no span. The fold is a commutative monoid:
//! [`Facts::default`] and [`Shape::empty`] are its unit and merging the facts of two parts of a trace, in any order,
//! gives the facts of the whole. Nothing here knows where the spans are.

/// Facts that every trace has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// When the first span arrived, Unix nanoseconds; `u64::MAX` before any.
    pub first_arrival: u64,
    /// Earliest start of a span, Unix nanoseconds; a span without one counts as starting at 0. `u64::MAX` before any.
    pub earliest_start: u64,
    /// Latest end of a span, Unix nanoseconds.
    pub latest_end: u64,
    /// Size as protobuf, as contrib measures it: each received part with its resource and scope.
    pub bytes: u64,
    /// Number of spans.
    pub spans: u64,
}

impl Default for Facts {
    fn default() -> Self {
        Self { first_arrival: u64::MAX, earliest_start: u64::MAX, latest_end: 0, bytes: 0, spans: 0 }
    }
}

impl Facts {
    /// Adds another part of the same trace.
    pub(super) fn merge(&mut self, other: &Self) {
        self.first_arrival = self.first_arrival.min(other.first_arrival);
        self.earliest_start = self.earliest_start.min(other.earliest_start);
        self.latest_end = self.latest_end.max(other.latest_end);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.spans = self.spans.saturating_add(other.spans);
    }

    /// From the earliest start to the latest end in whole milliseconds, truncated towards zero as Go does; negative if
    /// no span has an end.
    pub(super) fn duration_ms(&self) -> i64 {
        // Go converts both to signed nanoseconds first, and its subtraction saturates.
        (self.latest_end as i64).saturating_sub(self.earliest_start as i64) / 1_000_000
    }
}

/// How the answers of a configuration's per-span questions lie in words: bits, then outcomes.
///
/// A bit says that some span (or its resource) answered yes. An outcome belongs to a question that can fail and whose
/// failure counts (`error_mode: propagate`): it keeps the earliest yes or error with its arrival, because the first of
/// the two wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    bit_words: u32,
    outcomes: u32,
}

/// An outcome word before any yes or error. Others are `arrival << 1 | is_error`, so that the least is the earliest.
pub(super) const NO_OUTCOME: u64 = u64::MAX;

/// What the earliest telling span said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// No span said anything.
    Nothing,
    /// Yes.
    Match,
    /// The condition failed.
    Error,
}

impl Shape {
    pub(super) fn new(bits: usize, outcomes: usize) -> Self {
        // Nobody writes as many conditions.
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self { bit_words: narrow(bits.div_ceil(64)), outcomes: narrow(outcomes) }
    }

    /// Words a trace.
    pub(super) fn words(self) -> usize {
        self.bit_words() + self.outcomes as usize
    }

    /// Words of bits, which come before the outcomes.
    pub(super) fn bit_words(self) -> usize {
        self.bit_words as usize
    }

    /// True if the answers of a span have to be stamped.
    pub(super) fn has_outcomes(self) -> bool {
        self.outcomes > 0
    }

    /// The answers of no span.
    pub(super) fn empty(self) -> impl Iterator<Item = u64> {
        std::iter::repeat_n(0, self.bit_words()).chain(std::iter::repeat_n(NO_OUTCOME, self.outcomes as usize))
    }

    /// Adds the answers of another part of the same trace.
    pub(super) fn merge(self, into: &mut [u64], other: &[u64]) {
        let (bits, outcomes) = into.split_at_mut(self.bit_words().min(into.len()));
        for (mine, theirs) in bits.iter_mut().zip(other) {
            *mine |= theirs;
        }
        for (mine, theirs) in outcomes.iter_mut().zip(other.iter().skip(self.bit_words())) {
            *mine = (*mine).min(*theirs);
        }
    }

    /// Stamps the answers of one span with its arrival: in `answers` an outcome is 0 for a match and 1 for an error.
    /// Arrivals below 2^63 keep their order.
    pub(super) fn stamp(self, answers: &mut [u64], arrival: u64) {
        for outcome in answers.iter_mut().skip(self.bit_words()).filter(|outcome| **outcome != NO_OUTCOME) {
            *outcome |= arrival << 1;
        }
    }

    pub(super) fn set_bit(answers: &mut [u64], bit: u16) {
        if let Some(word) = answers.get_mut(usize::from(bit / 64)) {
            *word |= 1 << (bit % 64);
        }
    }

    pub(super) fn bit(answers: &[u64], bit: u16) -> bool {
        answers.get(usize::from(bit / 64)).is_some_and(|word| word >> (bit % 64) & 1 == 1)
    }

    /// Sets the outcome of one span, before [`Shape::stamp`].
    pub(super) fn set_outcome(self, answers: &mut [u64], outcome: u16, is_error: bool) {
        if let Some(word) = answers.get_mut(self.bit_words() + usize::from(outcome)) {
            *word = u64::from(is_error);
        }
    }

    /// The word of an outcome, with its arrival.
    pub(super) fn outcome_word(self, answers: &[u64], outcome: u16) -> u64 {
        answers.get(self.bit_words() + usize::from(outcome)).copied().unwrap_or(NO_OUTCOME)
    }

    /// Puts a word of [`Shape::outcome_word`] in its place.
    pub(super) fn set_outcome_word(self, answers: &mut [u64], outcome: u16, word: u64) {
        if let Some(into) = answers.get_mut(self.bit_words() + usize::from(outcome)) {
            *into = word;
        }
    }

    pub(super) fn outcome(self, answers: &[u64], outcome: u16) -> Outcome {
        match answers.get(self.bit_words() + usize::from(outcome)) {
            None | Some(&NO_OUTCOME) => Outcome::Nothing,
            Some(word) if word & 1 == 1 => Outcome::Error,
            Some(_) => Outcome::Match,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_truncate_towards_zero() {
        let facts = |start, end| Facts { earliest_start: start, latest_end: end, ..Facts::default() };
        assert_eq!(facts(1_000_000_000, 1_100_900_000).duration_ms(), 100);
        assert_eq!(facts(1_900_000, 0).duration_ms(), -1);
        assert_eq!(facts(0, u64::MAX).duration_ms(), 0);
        assert_eq!(facts(u64::MAX / 2 + 1, 1).duration_ms(), i64::MAX / 1_000_000);
    }

    #[test]
    fn the_earliest_outcome_wins() {
        let shape = Shape::new(3, 2);
        let part = |arrival, is_error| {
            let mut answers: Vec<u64> = shape.empty().collect();
            shape.set_outcome(&mut answers, 1, is_error);
            shape.stamp(&mut answers, arrival);
            answers
        };
        let mut all = part(5, true);
        shape.merge(&mut all, &part(4, false));
        shape.merge(&mut all, &part(6, true));
        assert_eq!(shape.outcome(&all, 0), Outcome::Nothing);
        assert_eq!(shape.outcome(&all, 1), Outcome::Match);
    }
}
