//! The owner of machine code: loads it, lends it, calls it, frees it.
//!
//! Invariant: function pointers never leave [`Code`], so none is called after its pages are gone. Callers hand in a frame
//! whose slots were laid out by the program that the code was made for; [`Program`](crate::Program) sees to that.

#![allow(unsafe_code, reason = "calls and frees machine code; style: one of the two unsafe files of this crate")]

use std::{fmt, mem::ManuallyDrop, sync::Mutex};

use cranelift_codegen::{Context, isa::OwnedTargetIsa};
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{FuncId, default_libcall_names};

use super::{
    lent::{Lent, Spans},
    loader::{Defined, Failure, Loader},
    lower::{Generated, Lowering},
    shim::Shim,
    shims::address,
};
use crate::{interp::Interpreter, kept::Kept, layout::Level, slot::RawSlot};

type ConditionFn = unsafe extern "C" fn(*const Lent<'_>, *const RawSlot, *const &[u8], *const Kept) -> u32;
type ListFn = unsafe extern "C" fn(*const Lent<'_>, *const RawSlot, *const &[u8], *const Kept, u32) -> u64;
/// Behind what is lent: slots, buffers, and what is kept; then slots and what is kept of the rows.
type RowsFn = unsafe extern "C" fn(
    *const Lent<'_>,
    *const RawSlot,
    *const &[u8],
    *const Kept,
    *const RawSlot,
    *const &[u8],
    *const Kept,
    usize,
    *mut u8,
);

/// Machine code of one program.
pub(crate) struct Code {
    /// Nobody locks it: the mutex makes it shareable between threads.
    module: ManuallyDrop<Mutex<JITModule>>,
    conditions: Box<[Option<ConditionFn>]>,
    lists: Box<[Option<ListFn>]>,
    rows: Box<[Option<RowsFn>]>,
}

impl Code {
    /// Compiles and loads the functions of conditions and lists.
    pub(super) fn load(
        isa: OwnedTargetIsa,
        generated: &Generated<'_>,
        lowering: &Lowering<'_>,
    ) -> Result<Self, Failure> {
        let convention = isa.default_call_conv();
        let mut builder = JITBuilder::with_isa(isa, default_libcall_names());
        for shim in Shim::ALL {
            builder.symbol(shim.name(), address(shim));
        }
        let mut loader = Loader { module: JITModule::new(builder), context: Context::new() };
        match loader.define(generated, lowering, convention) {
            Ok(Defined { conditions, lists, rows }) => {
                let module = loader.module;
                // SAFETY: `define` made each of these with the signature of a condition, and finalized all of them.
                let condition = |&id: &FuncId| unsafe {
                    std::mem::transmute::<*const u8, ConditionFn>(module.get_finalized_function(id))
                };
                // SAFETY: as above, with the signature of a list.
                let list = |&id: &FuncId| unsafe {
                    std::mem::transmute::<*const u8, ListFn>(module.get_finalized_function(id))
                };
                // SAFETY: as above, with the signature of rows.
                let row = |&id: &FuncId| unsafe {
                    std::mem::transmute::<*const u8, RowsFn>(module.get_finalized_function(id))
                };
                let conditions = conditions.iter().map(|id| id.as_ref().map(condition)).collect();
                let lists = lists.iter().map(|id| id.as_ref().map(list)).collect();
                let rows = rows.iter().map(|id| id.as_ref().map(row)).collect();
                Ok(Self { module: ManuallyDrop::new(Mutex::new(module)), conditions, lists, rows })
            }
            Err(error) => {
                // SAFETY: no pointer into the module was taken.
                unsafe { loader.module.free_memory() };
                Err(error)
            }
        }
    }

    /// Evaluates a condition, if there is code for it: 0, 1, or the code of an error.
    #[inline]
    pub(crate) fn condition(&self, condition: usize, interpreter: &Interpreter<'_>) -> Option<u32> {
        let function = (*self.conditions.get(condition)?)?;
        let (frame, lent) = (interpreter.frame, Lent::new(interpreter));
        // SAFETY: the code belongs to `self`; it reads slots of the layout that the frame was made for, and the buffers the
        // slots were filled from, and reads and writes cells that keep answers, all borrowed by `interpreter`.
        Some(unsafe { function(&raw const lent, frame.slots.as_ptr(), frame.bases.as_ptr(), frame.kept.as_ptr()) })
    }

    /// Evaluates a list from its entry `start` on, if there is code for it: the answer as of [`Self::condition`] in the low
    /// half, and for an error the entry that raised it in the high half.
    #[inline]
    pub(crate) fn list(&self, list: usize, start: u32, interpreter: &Interpreter<'_>) -> Option<u64> {
        let function = (*self.lists.get(list)?)?;
        let (frame, lent) = (interpreter.frame, Lent::new(interpreter));
        let (slots, bases, kept) = (frame.slots.as_ptr(), frame.bases.as_ptr(), frame.kept.as_ptr());
        // SAFETY: as in `condition`; a `start` beyond the list is answered with 0.
        Some(unsafe { function(&raw const lent, slots, bases, kept, start) })
    }

    /// Evaluates a list for each of some spans, if there is code for it: answers as of [`Self::condition`], one a span.
    #[must_use]
    pub(crate) fn rows<'e>(
        &self,
        list: usize,
        interpreter: &Interpreter<'e>,
        spans: Spans<'e>,
        answers: &mut [u8],
    ) -> bool {
        let Some(Some(function)) = self.rows.get(list) else { return false };
        let (frame, lent) = (interpreter.frame, Lent::by_row(interpreter, spans));
        let n_kept = frame.layout.kept().level(Level::Span).len();
        let has = |rows: usize, width| spans.bytes.len().saturating_mul(width) <= rows;
        if !has(spans.slots.len(), frame.slots.len()) || !has(spans.kept.len(), n_kept) || !has(answers.len(), 1) {
            return false;
        }
        let (slots, bases, kept) = (frame.slots.as_ptr(), frame.bases.as_ptr(), frame.kept.as_ptr());
        let (row_slots, row_kept) = (spans.slots.as_ptr(), spans.kept.as_ptr());
        let (bytes, n, answers) = (spans.bytes.as_ptr(), spans.bytes.len(), answers.as_mut_ptr());
        // SAFETY: as in `condition`, but the code also writes answers, borrowed mutably; there are slots, kept cells, bytes
        // and answers for as many rows as it will go through.
        unsafe { function(&raw const lent, slots, bases, kept, row_slots, bytes, row_kept, n, answers) };
        true
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        // SAFETY: `self.module` is not used again.
        let module = unsafe { ManuallyDrop::take(&mut self.module) };
        let module = module.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        // SAFETY: all pointers into the module are in `self`, and methods that use them borrow it: no code runs.
        unsafe { module.free_memory() };
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Code").field("conditions", &self.conditions.len()).finish_non_exhaustive()
    }
}

/// Where the pointer lies in a slice reference, in bytes. Rust does not promise its layout, so it is looked up; `None`
/// if the two words are not what they should be.
pub(super) fn slice_pointer() -> Option<i32> {
    let sample: &[u8] = &[1, 2, 3];
    // SAFETY: a slice reference is two initialised words on all 64-bit targets, and any bits are valid numbers.
    let words = unsafe { std::mem::transmute::<&[u8], [usize; 2]>(sample) };
    let expected = (sample.as_ptr().addr(), sample.len());
    match words {
        [pointer, len] if (pointer, len) == expected => Some(0),
        [len, pointer] if (pointer, len) == expected => Some(8),
        _ => None,
    }
}
