//! What goes between instances: a part of a trace as the protocol's entry, and a decision.

use super::super::counts::Final;
use super::super::entry::Shape;
use super::super::part::TracePart;

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
}

/// What was decided about a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Decision {
    pub(in super::super) outcome: Final,
    /// Number of the policy that is responsible for keeping the trace; `u16::MAX` if none is. Its threshold is known
    /// where the policies are.
    pub(in super::super) policy: u16,
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

    pub(super) fn to_number(self) -> u64 {
        // One byte for what is not kept.
        let policy = if self.policy == u16::MAX { 0 } else { u64::from(self.policy) + 1 };
        policy << 2 | self.outcome as u64
    }

    pub(super) fn from_number(number: u64) -> Option<Self> {
        let outcome = match number & 3 {
            0 => Final::Sampled,
            1 => Final::NotSampled,
            2 => Final::Dropped,
            _ => return None,
        };
        let policy = match number >> 2 {
            0 => u16::MAX,
            policy => u16::try_from(policy - 1).ok()?,
        };
        Some(Self { outcome, policy })
    }
}
