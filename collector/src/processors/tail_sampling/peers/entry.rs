//! What goes between instances: a part of a trace as the protocol's entry, and a decision.

use pdata::wire::{Cursor, put_varint};

use super::super::counts::Final;
use super::super::entry::Shape;
use super::super::part::TracePart;
use super::super::threshold;

/// In the number of a packed decision: its threshold follows.
const THRESHOLD: u64 = 4;

/// A holder's part of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Entry {
    pub(in super::super) part: TracePart,
    /// What `maximum_trace_size_bytes` limits.
    pub(in super::super) received_bytes: u64,
    pub(in super::super) shape: Shape,
}

impl ::peers::Entry for Entry {
    fn merge(&mut self, other: &Self) {
        self.part.facts.merge(&other.part.facts);
        self.shape.merge(&mut self.part.answers, &other.part.answers);
        self.received_bytes = self.received_bytes.saturating_add(other.received_bytes);
    }

    fn touch(&self) -> u64 {
        // They can lie in two cache lines.
        self.received_bytes ^ self.part.facts.bytes ^ self.part.answers.len() as u64
    }
}

/// What was decided about a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Decision {
    pub(in super::super) outcome: Final,
    /// Number of the policy that is responsible for keeping the trace; `u16::MAX` if none is.
    pub(in super::super) policy: u16,
    /// With `record_threshold`, the sampling threshold of a kept trace, below 2^56; otherwise 0.
    pub(in super::super) threshold: u64,
}

impl ::peers::Decision for Decision {
    fn agrees(&self, other: &Self) -> bool {
        // Which policy it was matters to nobody's spans; from storage it is not known.
        self.is_sampled() == other.is_sampled()
    }
}

impl Decision {
    pub(in super::super) fn is_sampled(self) -> bool {
        self.outcome == Final::Sampled
    }

    /// A decision without a threshold.
    pub(in super::super) fn new(outcome: Final, policy: u16) -> Self {
        Self { outcome, policy, threshold: 0 }
    }

    /// Appends the decision: one byte for what is not kept, and for most of the rest.
    pub(super) fn pack(self, out: &mut Vec<u8>) {
        let policy = if self.policy == u16::MAX { 0 } else { u64::from(self.policy) + 1 };
        let more = if self.threshold > 0 { THRESHOLD } else { 0 };
        put_varint(out, policy << 3 | more | self.outcome as u64);
        if self.threshold > 0 {
            // Round percentages have zeros at the end only.
            put_varint(out, self.threshold.reverse_bits() >> 8);
        }
    }

    /// Reads what [`Decision::pack`] wrote.
    pub(super) fn unpack(cursor: &mut Cursor<'_>) -> Option<Self> {
        let number = cursor.varint().ok()?;
        let outcome = match number & 3 {
            0 => Final::Sampled,
            1 => Final::NotSampled,
            2 => Final::Dropped,
            _ => return None,
        };
        let policy = match number >> 3 {
            0 => u16::MAX,
            policy => u16::try_from(policy - 1).ok()?,
        };
        let reversed = if number & THRESHOLD == 0 { 0 } else { cursor.varint().ok()? };
        let threshold = (reversed < threshold::SPACE).then(|| (reversed << 8).reverse_bits())?;
        Some(Self { outcome, policy, threshold })
    }
}
