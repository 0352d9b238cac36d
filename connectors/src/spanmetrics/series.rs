//! The series of one metric (or of calls and duration together) within one resource.
//!
//! Found by a 128-bit keyed hash of the series key: with a secret seed, two keys that share it do not happen. Bucket
//! counts of explicit histograms lie in one array for all series, so a new series costs no allocation of its own for them.

use hashbrown::HashTable;
use pdata::metrics::{Exemplar, NumberValue};

use super::exponential::Exponential;

/// Hash of a series key.
pub(super) type SeriesKey = u128;

/// The key of the one series that takes what is over the limit.
const OVERFLOW: SeriesKey = SeriesKey::MAX;

/// What a table's series hold beside their count.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// Only the count.
    Count,
    /// Counts for so many buckets (bounds and one).
    Explicit { n_buckets: usize },
    /// An exponential histogram of so many buckets at most.
    Exponential { max_size: u32 },
}

/// Trace and span of an exemplar.
#[derive(Clone, Copy)]
pub(super) struct Example<'a> {
    pub(super) trace_id: &'a [u8],
    pub(super) span_id: &'a [u8],
}

/// One series.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) key: SeriesKey,
    /// Packed, see `labels.rs`; empty for the overflow series.
    pub(super) labels: Box<[u8]>,
    pub(super) start_unix_nano: u64,
    last_seen_unix_nano: u64,
    pub(super) count: u64,
    pub(super) sum: f64,
    pub(super) exponential: Option<Box<Exponential>>,
    /// Without time, which is that of the flush.
    pub(super) exemplars: Vec<Exemplar>,
    /// Until the first flush.
    pub(super) is_new: bool,
}

impl Series {
    pub(super) fn is_overflow(&self) -> bool {
        self.key == OVERFLOW
    }
}

/// The series of one metric.
#[derive(Debug)]
pub(super) struct Table {
    shape: Shape,
    /// Indexes into `series`.
    index: HashTable<u32>,
    series: Vec<Series>,
    /// `n_buckets` for each series.
    buckets: Vec<u64>,
}

/// One observation.
#[derive(Clone, Copy)]
pub(super) struct Observation<'a> {
    pub(super) now_unix_nano: u64,
    pub(super) weight: u64,
    pub(super) value: f64,
    /// Its bucket, where the shape has explicit ones.
    pub(super) bucket: usize,
    pub(super) example: Option<Example<'a>>,
    /// Exemplars kept a series.
    pub(super) max_exemplars: usize,
    /// Series kept; 0 = any number.
    pub(super) limit: usize,
}

impl Table {
    pub(super) fn new(shape: Shape) -> Self {
        Self { shape, index: HashTable::new(), series: Vec::new(), buckets: Vec::new() }
    }

    #[inline]
    fn find(&self, key: SeriesKey) -> Option<usize> {
        let series = &self.series;
        self.index
            .find(hash(key), |at| series.get(*at as usize).is_some_and(|one| one.key == key))
            .map(|at| *at as usize)
    }

    /// Adds to the series of the key, which is made if it is new; `labels` is asked only then.
    #[inline]
    pub(super) fn observe(&mut self, key: SeriesKey, what: Observation<'_>, labels: impl FnOnce() -> Box<[u8]>) {
        let at = match self.find(key) {
            Some(at) => at,
            None if what.limit == 0 || self.series.len() < what.limit => self.insert(key, what.now_unix_nano, labels()),
            None => match self.find(OVERFLOW) {
                Some(at) => at,
                None => self.insert(OVERFLOW, what.now_unix_nano, Box::default()),
            },
        };
        let Some(series) = self.series.get_mut(at) else { return };
        // Upstream forgets to do so for the overflow series, which then expires while it is in use.
        series.last_seen_unix_nano = what.now_unix_nano;
        series.count = series.count.saturating_add(what.weight);
        series.sum += what.value * what.weight as f64;
        match self.shape {
            Shape::Count => {}
            Shape::Explicit { n_buckets } => {
                if let Some(count) = self.buckets.get_mut(at * n_buckets + what.bucket) {
                    *count = count.saturating_add(what.weight);
                }
            }
            Shape::Exponential { max_size } => {
                series.exponential.get_or_insert_default().observe(what.value, what.weight, max_size);
            }
        }
        if let Some(example) = what.example
            && series.exemplars.len() < what.max_exemplars
            && !series.is_overflow()
        {
            series.exemplars.push(Exemplar {
                filtered_attributes: Vec::new(),
                time_unix_nano: 0,
                value: NumberValue::Double(what.value),
                trace_id: example.trace_id.try_into().unwrap_or_default(),
                span_id: example.span_id.try_into().unwrap_or_default(),
            });
        }
    }

    #[cold]
    fn insert(&mut self, key: SeriesKey, now_unix_nano: u64, labels: Box<[u8]>) -> usize {
        let at = self.series.len();
        self.series.push(Series {
            key,
            labels,
            start_unix_nano: now_unix_nano,
            last_seen_unix_nano: now_unix_nano,
            count: 0,
            sum: 0.0,
            exponential: None,
            exemplars: Vec::new(),
            is_new: true,
        });
        if let Shape::Explicit { n_buckets } = self.shape {
            self.buckets.resize((at + 1) * n_buckets, 0);
        }
        self.link(at);
        at
    }

    fn link(&mut self, at: usize) {
        let series = &self.series;
        let (Some(one), Ok(at)) = (series.get(at), u32::try_from(at)) else { return };
        self.index.insert_unique(hash(one.key), at, |other| series.get(*other as usize).map_or(0, |one| hash(one.key)));
    }

    /// Each series with its bucket counts (none unless explicit).
    pub(super) fn for_each(&mut self, mut each: impl FnMut(&mut Series, &[u64])) {
        match self.shape {
            Shape::Explicit { n_buckets } => {
                for (series, counts) in self.series.iter_mut().zip(self.buckets.chunks_exact(n_buckets.max(1))) {
                    each(series, counts);
                }
            }
            Shape::Count | Shape::Exponential { .. } => self.series.iter_mut().for_each(|series| each(series, &[])),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.series.len()
    }

    pub(super) fn clear_exemplars(&mut self) {
        self.series.iter_mut().for_each(|series| series.exemplars = Vec::new());
    }

    /// Forgets series idle for at least `idle_nano`.
    pub(super) fn expire(&mut self, now_unix_nano: u64, idle_nano: u64) {
        let expired = |series: &Series| now_unix_nano.saturating_sub(series.last_seen_unix_nano) >= idle_nano;
        if !self.series.iter().any(expired) {
            return;
        }
        let n_buckets = match self.shape {
            Shape::Explicit { n_buckets } => n_buckets,
            Shape::Count | Shape::Exponential { .. } => 0,
        };
        let keep: Vec<bool> = self.series.iter().map(|series| !expired(series)).collect();
        let mut kept = keep.iter();
        self.series.retain(|_| kept.next().copied().unwrap_or(true));
        let mut to = 0;
        for (from, _) in keep.iter().enumerate().filter(|(_, keep)| **keep) {
            self.buckets.copy_within(from * n_buckets..(from + 1) * n_buckets, to * n_buckets);
            to += 1;
        }
        self.buckets.truncate(to * n_buckets);
        self.series.shrink_to(self.series.len() * 2);
        self.buckets.shrink_to(self.buckets.len() * 2);
        self.index.clear();
        (0..self.series.len()).for_each(|at| self.link(at));
    }
}

/// Keys are hashes already.
fn hash(key: SeriesKey) -> u64 {
    key as u64
}
