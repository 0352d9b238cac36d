//! Finding the attributes that are dimensions: one table of wanted keys for all metrics, filled in one pass over a span.
//!
//! A key's first occurrence counts, as in Go's map look-up. Globs need the whole attribute list in key order and are the
//! slow path: it is collected only where a metric has one.

use super::config::Dimension;
use super::glob::Glob;
use super::wire::{Span32, key_value, leading_key, sole_value};

/// A position in the table of wanted keys.
type Slot = u16;

/// All wanted keys.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    keys: Vec<String>,
    /// [`mark`] of each key, so that keys are compared only where they are most likely equal.
    marks: Vec<u32>,
    /// Bit n: a key of n bytes is wanted (63: 63 or more).
    lengths: u64,
    /// True if a metric has globs.
    pub(super) list_needed: bool,
}

/// Length, last and middle byte of a key: attribute names share their beginnings.
#[inline]
fn mark(key: &[u8]) -> u32 {
    let at = |index: usize| u32::from(key.get(index).copied().unwrap_or(0));
    (key.len() as u32) << 16 | at(key.len().wrapping_sub(1)) << 8 | at(key.len() / 2)
}

impl Wanted {
    fn slot(&mut self, key: &str) -> Slot {
        let at = match self.keys.iter().position(|known| known == key) {
            Some(at) => at,
            None => {
                self.keys.push(key.to_owned());
                self.marks.push(mark(key.as_bytes()));
                self.lengths |= 1 << key.len().min(63);
                self.keys.len() - 1
            }
        };
        // A configuration of 65536 dimensions does not exist.
        Slot::try_from(at).unwrap_or(Slot::MAX)
    }

    pub(super) fn key(&self, slot: Slot) -> &str {
        self.keys.get(usize::from(slot)).map_or("", String::as_str)
    }

    #[inline]
    fn find(&self, key: &[u8]) -> Option<usize> {
        if self.lengths & (1 << key.len().min(63)) == 0 {
            return None;
        }
        let wanted = mark(key);
        let mut candidates = self.marks.iter().zip(&self.keys);
        candidates.position(|(mark, known)| *mark == wanted && known.as_bytes() == key)
    }
}

/// The attributes of one map (span, event or resource) that are wanted, as ranges of the message they stand in.
#[derive(Debug, Default)]
pub(super) struct Found {
    slots: Vec<Option<Span32>>,
    /// (key, value), kept only for globs; in key order after [`Found::sort`].
    list: Vec<(Span32, Span32)>,
}

impl Found {
    pub(super) fn clear(&mut self, wanted: &Wanted) {
        self.slots.clear();
        self.slots.resize(wanted.keys.len(), None);
        self.list.clear();
    }

    /// Takes a KeyValue of `message`.
    #[inline]
    pub(super) fn take(&mut self, wanted: &Wanted, message: &[u8], entry: &[u8]) {
        if wanted.list_needed {
            let (key, value) = key_value(entry);
            self.put(wanted.find(key), message, value);
            self.list.push((Span32::within(message, key), Span32::within(message, value)));
        } else if let Some((key, rest)) = leading_key(entry) {
            if let Some(slot) = wanted.find(key) {
                let value = sole_value(rest).unwrap_or_else(|| key_value(entry).1);
                self.put(Some(slot), message, value);
            }
        } else {
            let (key, value) = key_value(entry);
            self.put(wanted.find(key), message, value);
        }
    }

    #[inline]
    fn put(&mut self, slot: Option<usize>, message: &[u8], value: &[u8]) {
        if let Some(place @ None) = slot.and_then(|slot| self.slots.get_mut(slot)) {
            *place = Some(Span32::within(message, value));
        }
    }

    /// Puts the list in key order, first occurrences only.
    pub(super) fn sort(&mut self, message: &[u8]) {
        self.list.sort_by(|a, b| a.0.of(message).cmp(b.0.of(message)));
        self.list.dedup_by(|b, a| a.0.of(message) == b.0.of(message));
    }

    fn get<'wire>(&self, slot: Slot, message: &'wire [u8]) -> Option<&'wire [u8]> {
        self.slots.get(usize::from(slot)).copied().flatten().map(|range| range.of(message))
    }

    fn has(&self, key: &[u8], message: &[u8]) -> bool {
        self.list.binary_search_by(|entry| entry.0.of(message).cmp(key)).is_ok()
    }
}

/// One map with its message.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) found: &'a Found,
    pub(super) message: &'a [u8],
}

/// Where values come from, in order: the span, the event if there is one, the resource.
#[derive(Clone, Copy)]
pub(super) struct Sources<'a> {
    pub(super) span: Source<'a>,
    pub(super) event: Option<Source<'a>>,
    pub(super) resource: Source<'a>,
}

/// A dimension's value at hand.
#[derive(Clone, Copy)]
pub(super) enum Held<'a> {
    /// An AnyValue message.
    Any(&'a [u8]),
    /// The configured default.
    Default(&'a str),
}

/// How a value is labelled.
#[derive(Clone, Copy)]
pub(super) enum Label<'a> {
    /// A named dimension.
    Slot(Slot),
    /// A key that a glob matched.
    Key(&'a [u8]),
}

/// One list of dimensions, ready to be walked.
#[derive(Debug, Default)]
pub(super) struct Program {
    names: Vec<(Slot, Option<String>)>,
    globs: Vec<Glob>,
}

impl Program {
    pub(super) fn plan(dimensions: &[Dimension], wanted: &mut Wanted) -> Self {
        let mut program = Self::default();
        for dimension in dimensions {
            match dimension {
                Dimension::Named { name, default } => program.names.push((wanted.slot(name), default.clone())),
                Dimension::Glob(glob) => {
                    wanted.list_needed = true;
                    program.globs.push(glob.clone());
                }
            }
        }
        program
    }

    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty() && self.globs.is_empty()
    }

    /// Calls `each` with every dimension that has a value: names in order, then what the globs match, span keys before
    /// the others, each in key order.
    #[inline]
    pub(super) fn walk<'a>(&'a self, from: Sources<'a>, mut each: impl FnMut(Label<'a>, Held<'a>)) {
        for (slot, default) in &self.names {
            let value = from
                .span
                .found
                .get(*slot, from.span.message)
                .or_else(|| from.event.and_then(|event| event.found.get(*slot, event.message)))
                .or_else(|| from.resource.found.get(*slot, from.resource.message));
            match (value, default) {
                (Some(value), _) => each(Label::Slot(*slot), Held::Any(value)),
                (None, Some(default)) => each(Label::Slot(*slot), Held::Default(default)),
                (None, None) => {}
            }
        }
        if !self.globs.is_empty() {
            self.walk_globs(from, &mut each);
        }
    }

    fn walk_globs<'a>(&'a self, from: Sources<'a>, each: &mut impl FnMut(Label<'a>, Held<'a>)) {
        let mut offer = |key: &'a [u8], value: &'a [u8]| {
            // Keys that are not UTF-8 match no glob; OTLP does not allow them.
            if let Ok(name) = std::str::from_utf8(key)
                && self.globs.iter().any(|glob| glob.matches(name))
            {
                each(Label::Key(key), Held::Any(value));
            }
        };
        let entries = |source: Source<'a>| {
            source.found.list.iter().map(move |(key, value)| (key.of(source.message), value.of(source.message)))
        };
        entries(from.span).for_each(|(key, value)| offer(key, value));
        let in_span = |key: &[u8]| from.span.found.has(key, from.span.message);
        let Some(event) = from.event else {
            entries(from.resource).filter(|(key, _)| !in_span(key)).for_each(|(key, value)| offer(key, value));
            return;
        };
        // Event and resource are one map to upstream, the event's values winning: merge the two sorted lists.
        let mut resource = entries(from.resource).filter(|(key, _)| !event.found.has(key, event.message)).peekable();
        for (key, value) in entries(event) {
            while let Some((key, value)) = resource.next_if(|(other, _)| *other < key) {
                if !in_span(key) {
                    offer(key, value);
                }
            }
            if !in_span(key) {
                offer(key, value);
            }
        }
        resource.filter(|(key, _)| !in_span(key)).for_each(|(key, value)| offer(key, value));
    }
}
