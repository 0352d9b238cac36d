//! Which fields of a template are compared at once, and which are expected to differ.
//!
//! A plan is a guess from the spans before: whatever it says, [`Delta`](super::delta::Delta) checks every byte, so a wrong one
//! costs time and a few bytes only.

use super::bytes::{STRINGS, field_end, word};
use super::{ATTRIBUTE, KIND_BYTES, LONGEST_KEY, MOST_COPIED, TIMES_BYTES};

/// Steps of all templates of a segment.
const MOST_STEPS: usize = 1 << 14;

/// A field is expected to differ if it did twice in this many spans.
const WINDOW: u32 = 4;

/// Every so many segments it has to do so again.
const FORGET: u32 = 8;

/// Every [`FORGET`]th bit.
const EIGHTH: u64 = 0x0101_0101_0101_0101;

/// How a span is compared with a template.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Plan {
    /// The first of its steps, and how many they are.
    pub(super) first: u32,
    pub(super) steps: u32,
    /// Bytes of the template, and of those the name, kind and times, if they stand there as nearly everybody writes them.
    pub(super) len: u32,
    pub(super) head: u8,
    /// Fields, by number, that are expected to differ, and of those the ones that begin as the template's. Kept for the next
    /// template with the same name.
    differing: u64,
    prefixed: u64,
    /// Those that differed without being expected to in the spans from `since` on.
    recent: u64,
    since: u32,
    /// Spans compared, modulo 2^32.
    spans: u32,
}

/// Fields of a template that are expected to be the same, and the one behind them that is not.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Step {
    /// Bytes that are expected to be the same, and the fields in them, at most [`MOST_COPIED`].
    pub(super) same_len: u16,
    pub(super) same: u8,
    pub(super) then: Then,
    /// Of the attribute behind them: bytes, of which the key's, and where the string begins, or the value that is none.
    pub(super) len: u8,
    pub(super) key_len: u8,
    pub(super) content_at: u8,
    /// Its form, see [`FORMS`](super::bytes::FORMS).
    pub(super) form: u8,
    /// All bits, if it is a string.
    pub(super) text: u8,
}

impl Step {
    pub(super) fn fields(&self) -> u32 {
        u32::from(self.same) + u32::from(self.then != Then::More)
    }
}

/// What stands behind fields that are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Then {
    /// More fields that are expected to be the same, or none.
    #[default]
    More,
    /// An attribute that is expected to have another value.
    Differing,
    /// The same, with a string that begins as the template's.
    Prefixed,
}

impl Plan {
    /// Takes note of fields that differed without being expected to. True if they are to be expected to from now on: those that
    /// did so twice in a few spans.
    #[inline(always)]
    pub(super) fn learn(&mut self, differing: u64, prefixed: u64) -> bool {
        self.spans = self.spans.wrapping_add(1);
        if differing == 0 {
            return false;
        }
        if self.spans.wrapping_sub(self.since) >= WINDOW {
            (self.recent, self.since) = (0, self.spans);
        }
        let again = differing & self.recent;
        self.recent |= differing;
        self.differing |= again;
        self.prefixed = self.prefixed & !again | prefixed & again;
        again != 0
    }

    /// Forgets some of the fields that are expected to differ: others in each of [`FORGET`] segments.
    pub(super) fn doubt(&mut self, segment: u32) {
        self.differing &= !(EIGHTH << (segment % FORGET));
    }

    /// Adds the steps for a template.
    pub(super) fn lay_out(&mut self, template: &[u8], steps: &mut Vec<Step>) {
        self.first = steps.len() as u32;
        self.len = template.len() as u32;
        // Name, kind and times are compared by themselves.
        let mut at = head_len(template).unwrap_or(0);
        self.head = u8::try_from(at).unwrap_or(0);
        let mut field = 0_u32;
        let mut step = Step::default();
        while at < template.len() && steps.len() < MOST_STEPS {
            let Some(end) = field_end(template, at).filter(|end| *end <= template.len()) else { break };
            let bit = 1_u64.checked_shl(field).unwrap_or(0);
            let plain = if self.differing & bit == 0 { None } else { template.get(at..end).and_then(Plain::read) };
            if let Some(plain) = plain.filter(|plain| plain.key_len <= LONGEST_KEY) {
                let is_prefixed = self.prefixed & bit != 0 && plain.is_text;
                step.then = if is_prefixed { Then::Prefixed } else { Then::Differing };
                (step.len, step.key_len) = (plain.len as u8, plain.key_len as u8);
                step.content_at = plain.content_at as u8;
                step.form = (plain.key_len + if plain.is_text { STRINGS } else { 0 }) as u8;
                step.text = if plain.is_text { u8::MAX } else { 0 };
                steps.push(std::mem::take(&mut step));
            } else {
                if usize::from(step.same) == MOST_COPIED {
                    steps.push(std::mem::take(&mut step));
                }
                step.same += 1;
                step.same_len += (end - at) as u16;
            }
            (at, field) = (end, field + 1);
        }
        if step.same > 0 {
            steps.push(step);
        }
        self.steps = steps.len() as u32 - self.first;
    }
}

/// How long name, kind and times are, if they stand there as nearly everybody writes them.
pub(super) fn head_len(span: &[u8]) -> Option<usize> {
    let name = usize::from(*span.get(1).filter(|len| **len < 0x80)?) + 2;
    let [0x30, 0..0x80, 0x39, _, _, _, _, _, _, _, _, 0x41, _, _, _, _, _, _, _, _] =
        *span.get(name..)?.first_chunk()?
    else {
        return None;
    };
    Some(name + KIND_BYTES + TIMES_BYTES)
}

/// An attribute of less than 128 bytes written as nearly all are: key and value once, in order.
#[derive(Clone, Copy)]
pub(super) struct Plain {
    pub(super) len: usize,
    pub(super) key_len: usize,
    pub(super) is_text: bool,
    /// Where the string begins, or the value that is none.
    pub(super) content_at: usize,
}

impl Plain {
    /// Of the field that the bytes begin with.
    #[inline(always)]
    pub(super) fn read(field: &[u8]) -> Option<Self> {
        /// The high bits of both lengths, and the tags.
        const FORM: u32 = 0x80ff_80ff;
        const ATTRIBUTE_FORM: u32 = 0x000a_0000 | ATTRIBUTE as u32;
        let head = word(field, 0)?;
        let (len, key_len) = (2 + (head >> 8 & 0x7f) as usize, (head >> 24) as usize);
        let value_at = 4 + key_len;
        let value = word(field, value_at)?;
        let value_len = (value >> 8 & 0xff) as usize;
        if head & FORM != ATTRIBUTE_FORM || value & 0x80ff != 0x12 || value_at + 2 + value_len != len {
            return None;
        }
        let is_text = value & 0x00ff_0000 == 0x000a_0000;
        if is_text && value_len != (value >> 24) as usize + 2 {
            return None;
        }
        let content_at = value_at + if is_text { 4 } else { 2 };
        Some(Self { len, key_len, is_text, content_at })
    }
}
