//! What waits in a queue: an encoded export request. Encoding on entry lets go of the buffers that the rows pointed
//! into, unless most of a buffer goes out as it came; so a small rest of a large request does not pin it, and a retry
//! encodes nothing.

use bytes::Bytes;
use component::Signal;
use pdata::{Metrics, Traces};

use super::config::Sizer;
use crate::processors::batch::Payload;

/// An encoded Export...ServiceRequest in pieces. Protobuf merges by concatenation, so do requests.
#[derive(Clone, Debug)]
pub struct Request {
    /// What it carries.
    pub signal: Signal,
    /// The message, one piece after the other.
    pub chunks: Vec<Bytes>,
    /// Spans or points.
    pub items: usize,
}

impl Request {
    /// Encodes a batch of traces.
    #[must_use]
    pub fn from_traces(batch: &Traces) -> Self {
        Self { signal: Signal::Traces, chunks: batch.encode_chunks(), items: batch.span_count() }
    }

    /// Encodes a batch of metrics.
    #[must_use]
    pub fn from_metrics(batch: &Metrics) -> Self {
        Self { signal: Signal::Metrics, chunks: vec![batch.encode()], items: batch.point_count() }
    }

    /// Length of the message.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.chunks.iter().map(Bytes::len).sum()
    }

    /// Its size by `sizer`.
    #[must_use]
    pub fn size(&self, sizer: Sizer) -> u64 {
        match sizer {
            Sizer::Requests => 1,
            Sizer::Items => self.items as u64,
            Sizer::Bytes => self.bytes() as u64,
        }
    }

    /// Appends another request of the same signal.
    pub fn merge(&mut self, other: Self) {
        self.chunks.extend(other.chunks);
        self.items += other.items;
    }

    /// The message as one piece.
    #[must_use]
    pub fn whole(&self) -> Bytes {
        match self.chunks.as_slice() {
            [one] => one.clone(),
            many => many.concat().into(),
        }
    }

    /// Takes a first part of at most `max` off, if the request is larger. One item is always taken, even if it alone is
    /// larger than `max` bytes: it cannot be divided.
    #[must_use]
    pub fn split_first(&mut self, max: u64, sizer: Sizer) -> Option<Self> {
        if sizer == Sizer::Requests || self.items < 2 || self.size(sizer) <= max {
            return None;
        }
        // What was encoded here is well-formed, so reading it cannot fail; if it did, the request goes out whole.
        match self.signal {
            Signal::Traces => {
                let mut rest = Traces::index(self.whole()).ok()?;
                let n = within(self.items, max, sizer, |n| rest.clone().split_first(n).encoded_len());
                let first = rest.split_first(n);
                *self = Self::from_traces(&rest);
                Some(Self::from_traces(&first))
            }
            Signal::Metrics => {
                let mut rest = Metrics::decode(&self.whole()).ok()?;
                let n = within(self.items, max, sizer, |n| rest.clone().split_first(n).encode().len());
                let first = rest.split_first(n);
                *self = Self::from_metrics(&rest);
                Some(Self::from_metrics(&first))
            }
            Signal::Logs => None,
        }
    }
}

/// How many of `items` make a request of at most `max`, at least one. Bytes are found by bisection.
fn within(items: usize, max: u64, sizer: Sizer, len_of_first: impl Fn(usize) -> usize) -> usize {
    if sizer == Sizer::Items {
        return usize::try_from(max).unwrap_or(usize::MAX).max(1);
    }
    let (mut fits, mut too_many) = (0, items);
    while too_many - fits > 1 {
        let middle = fits + (too_many - fits) / 2;
        if len_of_first(middle) as u64 <= max { fits = middle } else { too_many = middle }
    }
    fits.max(1)
}
