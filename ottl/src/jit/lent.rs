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
    layout::{Base, Level},
    slot::{RawSlot, tag},
    value::Value,
};

/// The interpreter, and what it makes for generated code. `'w` is the wire bytes' life, `'e` the evaluation's.
pub(super) struct Lent<'e, 'w> {
    pub(super) interpreter: Interpreter<'e>,
    /// Where spans come by the row: a frame that takes the row which is asked about, and what says which one it took.
    row: Option<(RefCell<&'e mut Frame<'w>>, Cell<*const &'w [u8]>)>,
    /// Texts that converters made. Generated code has their addresses until the evaluation ends, or the row's.
    texts: RefCell<Vec<Vec<u8>>>,
}

impl<'e, 'w> Lent<'e, 'w> {
    #[inline]
    pub(super) fn one(interpreter: &Interpreter<'e>) -> Self {
        Self { interpreter: *interpreter, row: None, texts: RefCell::default() }
    }

    /// For spans that come by the row. `frame` holds what they share.
    #[inline]
    pub(super) fn rows(interpreter: &Interpreter<'e>, frame: &'e mut Frame<'w>) -> Self {
        let row = (RefCell::new(frame), Cell::new(std::ptr::null()));
        Self { row: Some(row), ..Self::one(interpreter) }
    }

    /// Makes a row the one that the interpreter is asked about. `span` says which one it is.
    pub(super) fn take_row(&self, slots: &[RawSlot], span: *const &'w [u8], bytes: &'w [u8]) {
        let Some((frame, taken)) = &self.row else { return };
        if taken.replace(span) == span {
            return;
        }
        self.texts.borrow_mut().clear();
        let mut frame = frame.borrow_mut();
        let own = frame.layout.level(Level::Span);
        if let (Some(to), Some(from)) = (frame.slots.get_mut(own.clone()), slots.get(own)) {
            to.copy_from_slice(from);
        }
        frame.bases[Base::Span as usize] = bytes;
    }

    /// The number of slots of a row.
    pub(super) fn width(&self) -> usize {
        self.interpreter.frame.slots.len()
    }

    fn with<R>(&self, ask: impl FnOnce(&Interpreter<'_>) -> R) -> R {
        match &self.row {
            None => ask(&self.interpreter),
            Some((frame, _)) => {
                let frame: &Frame<'_> = &frame.borrow();
                ask(&Interpreter { frame, ..self.interpreter })
            }
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
