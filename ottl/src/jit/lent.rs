//! What generated code is lent for one evaluation and hands on to shims.

use std::{borrow::Cow, cell::RefCell};

use crate::{
    error::EvalError,
    frame::Frame,
    interp::Interpreter,
    ir::NodeId,
    kept::{Keeping, Kept},
    layout::Level,
    slot::{RawSlot, tag},
    value::Value,
};

/// Spans that a list is asked about.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spans<'e> {
    /// As many a span as a frame has; only those of spans are filled.
    pub(crate) slots: &'e [RawSlot],
    pub(crate) bytes: &'e [&'e [u8]],
    /// As many a span as the layout keeps of spans.
    pub(crate) kept: &'e [Kept],
}

/// The interpreter, and what it makes for generated code.
pub(super) struct Lent<'e> {
    pub(super) interpreter: Interpreter<'e>,
    spans: Spans<'e>,
    /// Where spans come by the row: the one that was asked about last, and a frame with what they share and with its slots.
    row: RefCell<Option<(usize, Frame<'e>)>>,
    /// Texts that converters made and nothing keeps. Generated code has their addresses until the evaluation ends, or the
    /// row's.
    texts: RefCell<Vec<Vec<u8>>>,
}

impl<'e> Lent<'e> {
    #[inline]
    pub(super) fn new(interpreter: &Interpreter<'e>) -> Self {
        Self::by_row(interpreter, Spans::default())
    }

    #[inline]
    pub(super) fn by_row(interpreter: &Interpreter<'e>, spans: Spans<'e>) -> Self {
        Self { interpreter: *interpreter, spans, row: RefCell::default(), texts: RefCell::default() }
    }

    /// Makes a row the one that the interpreter is asked about; one from nowhere has no slots and no bytes.
    pub(super) fn take_row(&self, at: usize) {
        let mut row = self.row.borrow_mut();
        if row.as_ref().is_some_and(|(taken, _)| *taken == at) {
            return;
        }
        self.texts.borrow_mut().clear();
        let shared = self.interpreter.frame;
        let (taken, frame) = row.get_or_insert_with(|| (at, shared.clone()));
        let slots = of_row(self.spans.slots, at, shared.slots.len());
        frame.take_row(slots, self.spans.bytes.get(at).copied().unwrap_or_default());
        *taken = at;
    }

    fn with<R>(&self, ask: impl FnOnce(&Interpreter<'_>, Keeping<'_>) -> R) -> R {
        let shared = self.interpreter.frame;
        let places = shared.layout.kept();
        let keeping = Keeping { places, frame: &shared.kept, row: None };
        let ask = |frame, keeping| ask(&Interpreter { frame, keeping: Some(keeping), ..self.interpreter }, keeping);
        match &*self.row.borrow() {
            None => ask(shared, keeping),
            Some((at, frame)) => {
                let row = of_row(self.spans.kept, *at, places.level(Level::Span).len());
                ask(frame, Keeping { row: Some(row), ..keeping })
            }
        }
    }

    /// The interpreter's answer for a condition.
    pub(super) fn truth(&self, node: NodeId) -> Result<bool, EvalError> {
        self.with(|interpreter, _| interpreter.truth(node))
    }

    /// The interpreter's value of a node, as a slot whose range is an address. It is good until the evaluation ends, or
    /// the row's.
    pub(super) fn value(&self, node: NodeId) -> Result<RawSlot, EvalError> {
        self.with(|interpreter, _| interpreter.value(node).map(|value| self.raw(value)))
    }

    /// Keeps the interpreter's value of a node, or its error, where generated code will look for it.
    pub(super) fn keep(&self, node: NodeId) {
        self.with(|interpreter, keeping| {
            let found = interpreter.value(node).map(|value| self.raw(value));
            if let Some(kept) = keeping.of(node) {
                kept.set_slot(found.unwrap_or_else(|error| RawSlot {
                    tag: tag::FAILED,
                    len: u32::from(error as u8),
                    bits: 0,
                }));
            }
        });
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

/// What belongs to a row where each has so many.
fn of_row<T>(all: &[T], at: usize, width: usize) -> &[T] {
    let start = at.saturating_mul(width);
    all.get(start..start.saturating_add(width)).unwrap_or_default()
}
