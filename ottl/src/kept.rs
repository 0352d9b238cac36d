//! What generated code asks the interpreter or a search for is kept with the slots that it was found from, so that all
//! conditions of a program, in one list or in many, have it evaluated once: once a span what depends on the span, once a
//! resource what depends on the resource alone.
//!
//! Invariant: what is kept is forgotten when a level is loaded that it depends on, which takes the frame mutably; so
//! addresses of texts that are kept here are good as long as the frame is borrowed. The interpreter that is the oracle keeps
//! nothing.

use std::cell::{Cell, OnceCell};

use crate::{
    error::EvalError,
    ir::NodeId,
    layout::{KeptPlaces, Level},
    slot::{RawSlot, tag},
    value::{List, Map, Value},
};

/// What is kept of one node. Generated code reads and writes the slot, which is therefore first.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Kept {
    /// Of a condition: 0, 1 or an error's code as its tag. Of a value: the value, its range an address; or
    /// [`tag::FAILED`] with the error's code as length. [`tag::UNKNOWN`] until it was asked for.
    slot: Cell<RawSlot>,
    /// What the interpreter found; nothing in it is what cannot be kept.
    value: OnceCell<Option<Result<Value<'static>, EvalError>>>,
}

impl Default for Kept {
    fn default() -> Self {
        Self { slot: Cell::new(RawSlot::UNKNOWN), value: OnceCell::new() }
    }
}

/// A copy knows nothing: what it knew has addresses of texts that the original owns.
impl Clone for Kept {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Kept {
    /// Forgets.
    #[inline]
    pub(crate) fn reset(&mut self) {
        if self.slot.replace(RawSlot::UNKNOWN).tag != tag::UNKNOWN || self.value.get().is_some() {
            self.value.take();
        }
    }

    /// Says what generated code will find.
    pub(crate) fn set_slot(&self, slot: RawSlot) {
        self.slot.set(slot);
    }

    /// The value, evaluated if that was not done yet.
    pub(crate) fn value<'k, 'e: 'k>(
        &'k self,
        evaluate: impl FnOnce() -> Result<Value<'e>, EvalError>,
    ) -> Result<Value<'k>, EvalError> {
        match self.value.get() {
            Some(Some(found)) => return borrowed(found),
            Some(None) => return evaluate(),
            None => {}
        }
        match evaluate().map(keepable) {
            Ok(Err(value)) => {
                // Set once: evaluating a node does not lead back to it.
                let _ = self.value.set(None);
                Ok(value)
            }
            Ok(Ok(value)) => self.value.get_or_init(|| Some(Ok(value))).as_ref().map_or(Ok(Value::Nil), borrowed),
            Err(error) => {
                let _ = self.value.set(Some(Err(error)));
                Err(error)
            }
        }
    }
}

fn borrowed<'k>(found: &'k Result<Value<'static>, EvalError>) -> Result<Value<'k>, EvalError> {
    found.as_ref().map(Value::borrowed).map_err(|error| *error)
}

/// The value with nothing borrowed; back where it is a view of wire bytes, which costs nothing to make again.
fn keepable(value: Value<'_>) -> Result<Value<'static>, Value<'_>> {
    match &value {
        Value::Map(Map::Wire(_)) | Value::List(List::Wire(_)) | Value::Opaque(_) => Err(value),
        Value::Map(_) | Value::List(_) => value.clone().into_owned().ok_or(value),
        _ => Ok(value.into_owned().unwrap_or_default()),
    }
}

/// Where to find what is kept: with the frame, or for spans by the row with the row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keeping<'e> {
    pub(crate) places: &'e KeptPlaces,
    /// The frame's, of all levels.
    pub(crate) frame: &'e [Kept],
    /// Those of spans, if spans come by the row.
    pub(crate) row: Option<&'e [Kept]>,
}

impl<'e> Keeping<'e> {
    /// What is kept of a node, if anything is.
    #[inline]
    pub(crate) fn of(&self, node: NodeId) -> Option<&'e Kept> {
        let position = self.places.position(node)?;
        let spans = self.places.level(Level::Span);
        match self.row {
            Some(row) if spans.contains(&position) => row.get(position - spans.start),
            _ => self.frame.get(position),
        }
    }
}
