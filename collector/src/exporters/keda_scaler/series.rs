//! One series: labels and a bounded history of samples.

use std::collections::VecDeque;

/// Nanoseconds since the epoch, or between two moments.
pub(super) type Nanos = i64;

/// A history holds about this many samples; what comes more often is thinned out.
const MAX_SAMPLES: usize = 600;
/// The least time after which a series of unknown rhythm is called stale.
const LEAST_STALE: Nanos = 15_000_000_000;

/// Names and values, sorted by name; never with an empty value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Labels(pub(super) Vec<(String, String)>);

impl Labels {
    /// The value of a label.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let at = self.0.binary_search_by(|(known, _)| known.as_str().cmp(name)).ok()?;
        self.0.get(at).map(|(_, value)| value.as_str())
    }

    /// Only these labels, or all but these.
    pub(super) fn narrowed(&self, names: &[String], keep: bool) -> Self {
        Self(self.0.iter().filter(|(name, _)| names.contains(name) == keep).cloned().collect())
    }
}

/// A value at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) at: Nanos,
    pub(super) value: f64,
    /// The counter started again before this sample, whatever its value says.
    pub(super) restarted: bool,
}

/// The samples of one series, oldest first, times rising.
#[derive(Clone, Debug, Default)]
pub(super) struct Series {
    samples: VecDeque<Sample>,
    /// The sum of deltas so far.
    total: f64,
    /// The source said that there is no value any more.
    ended: bool,
}

/// A point as it comes in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Incoming {
    pub(super) at: Nanos,
    pub(super) start: Nanos,
    pub(super) value: f64,
    /// The value is added to what was before.
    pub(super) delta: bool,
    /// OTLP's "no recorded value".
    pub(super) ended: bool,
}

impl Series {
    /// Takes a point. Points that are not newer than what is there are dropped: a retry brings the same ones again.
    pub(super) fn push(&mut self, point: Incoming, history: Nanos) {
        let last = self.samples.back().copied();
        if last.is_some_and(|last| point.at <= last.at) {
            return;
        }
        self.ended = point.ended;
        if point.ended {
            return;
        }
        let value = if point.delta {
            self.total += point.value;
            self.total
        } else {
            point.value
        };
        let restarted = !point.delta && last.is_some_and(|last| point.start > last.at);
        // The spacing that fits the history; a restart is never thinned out.
        let spacing = history / MAX_SAMPLES as Nanos;
        let crowded = self.samples.len() > 1
            && self.samples.get(self.samples.len() - 2).is_some_and(|before| point.at - before.at < spacing);
        if crowded && !restarted && last.is_some_and(|last| !last.restarted && last.value <= value) {
            self.samples.pop_back();
        }
        self.samples.push_back(Sample { at: point.at, value, restarted });
        // One sample before the window stays out of every query, so it goes.
        while self.samples.front().is_some_and(|first| first.at < point.at - history)
            || self.samples.len() > 2 * MAX_SAMPLES
        {
            self.samples.pop_front();
        }
    }

    /// Time of the last sample.
    pub(super) fn updated(&self) -> Option<Nanos> {
        self.samples.back().map(|last| last.at)
    }

    /// The last sample at or before `now`, unless the series is gone by then.
    pub(super) fn latest(&self, now: Nanos, stale_after: Option<Nanos>, lookback: Nanos) -> Option<Sample> {
        if self.ended {
            return None;
        }
        let n = self.samples.partition_point(|sample| sample.at <= now);
        let last = *self.samples.get(n.checked_sub(1)?)?;
        let own = match n.checked_sub(2).and_then(|before| self.samples.get(before)) {
            Some(before) => (3 * (last.at - before.at)).max(LEAST_STALE),
            None => lookback,
        };
        (now - last.at <= stale_after.unwrap_or(own).min(lookback)).then_some(last)
    }

    /// Samples after `from`, up to and including `to`.
    pub(super) fn within(&self, from: Nanos, to: Nanos) -> Vec<Sample> {
        let (first, last) = (
            self.samples.partition_point(|sample| sample.at <= from),
            self.samples.partition_point(|sample| sample.at <= to),
        );
        self.samples.range(first..last.max(first)).copied().collect()
    }
}

/// By how much a counter has risen over the samples, restarts included.
pub(super) fn rise(samples: &[Sample]) -> f64 {
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return 0.0 };
    let resets: f64 = samples
        .windows(2)
        .map(|pair| if pair[1].restarted || pair[1].value < pair[0].value { pair[0].value } else { 0.0 })
        .sum();
    last.value - first.value + resets
}
