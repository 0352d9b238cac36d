//! What generated code is lent for one evaluation and hands on to shims.

use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
};

use crate::{
    error::EvalError,
    frame::Frame,
    interp::Interpreter,
    ir::NodeId,
    slot::{RawSlot, tag},
    value::Value,
};

/// The interpreter, and what it makes for generated code.
pub(super) struct Lent<'e> {
    pub(super) interpreter: Interpreter<'e>,
    /// Where spans come by the row: what they share, with the row that was asked about last.
    row: RefCell<Option<Frame<'e>>>,
    /// What says which row that is.
    taken: Cell<*const &'e [u8]>,
    /// Texts that converters made. Generated code has their addresses until the evaluation ends, or the row's.
    texts: RefCell<Vec<Vec<u8>>>,
}

impl<'e> Lent<'e> {
    #[inline]
    pub(super) fn new(interpreter: &Interpreter<'e>) -> Self {
        let taken = Cell::new(std::ptr::null());
        Self { interpreter: *interpreter, row: RefCell::default(), taken, texts: RefCell::default() }
    }

    /// Makes a row the one that the interpreter is asked about. `span` says which one it is.
    pub(super) fn take_row(&self, slots: &[RawSlot], span: *const &'e [u8], bytes: &'e [u8]) {
        if self.taken.replace(span) == span {
            return;
        }
        self.texts.borrow_mut().clear();
        self.row.borrow_mut().get_or_insert_with(|| self.interpreter.frame.clone()).take_row(slots, bytes);
    }

    /// The number of slots of a row.
    pub(super) fn width(&self) -> usize {
        self.interpreter.frame.slots.len()
    }

    fn with<R>(&self, ask: impl FnOnce(&Interpreter<'_>) -> R) -> R {
        match &*self.row.borrow() {
            None => ask(&self.interpreter),
            Some(frame) => ask(&Interpreter { frame, ..self.interpreter }),
        }
    }

    /// The interpreter's answer for a condition.
    pub(super) fn truth(&self, node: NodeId) -> Result<bool, EvalError> {
        self.with(|interpreter| interpreter.truth(node))
    }

    /// The interpreter's value of a node, as a slot whose range is an address. It is good until the evaluation ends, or
    /// the row's.
    pub(super) fn value(&self, node: NodeId) -> Result<RawSlot, EvalError> {
        self.with(|interpreter| interpreter.value(node).map(|value| self.raw(value)))
    }

    fn raw(&self, value: Value<'_>) -> RawSlot {
        let number = |tag, bits| RawSlot { tag, len: 0, bits };
        match value {
            Value::Nil => RawSlot::MISSING,
            Value::Bool(flag) => number(tag::BOOL, u64::from(flag)),
            Value::Int(int) => RawSlot::int(int),
            Value::Double(double) => number(tag::DOUBLE, double.to_bits()),
            Value::Str(text) => self.range(tag::STR, text),
            Value::Bytes(bytes) => self.range(tag::BYTES, bytes),
            _ => number(tag::OTHER, 0),
        }
    }

    fn range(&self, tag: u32, text: Cow<'_, [u8]>) -> RawSlot {
        // A slot's length has 32 bits; limits on texts that converters make are far below.
        let Ok(len) = u32::try_from(text.len()) else { return RawSlot { tag: tag::OTHER, len: 0, bits: 0 } };
        let address = match text {
            Cow::Borrowed(text) => text.as_ptr(),
            Cow::Owned(text) => {
                // Moving a vector leaves what it holds where it is.
                let address = text.as_ptr();
                self.texts.borrow_mut().push(text);
                address
            }
        };
        RawSlot { tag, len, bits: address.expose_provenance() as u64 }
    }
}
