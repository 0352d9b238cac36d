//! The owner of machine code: loads it, lends it, calls it, frees it.
//!
//! Invariant: function pointers never leave [`Code`], so none is called after its pages are gone. Callers hand in a frame
//! whose slots were laid out by the program that the code was made for; [`Program`](crate::Program) sees to that.

#![allow(unsafe_code, reason = "calls and frees machine code; style: one of the two unsafe files of this crate")]

use std::{fmt, mem::ManuallyDrop, sync::Mutex};

use cranelift_codegen::{
    Context,
    ir::Function,
    isa::{CallConv, OwnedTargetIsa},
};
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{FuncId, Linkage, Module, ModuleError, default_libcall_names};

use super::{
    lent::Lent,
    lower::{Generated, Lowering},
    shims::Shim,
};
use crate::{interp::Interpreter, slot::RawSlot};

/// Boxed: it is large.
type Failure = Box<ModuleError>;

type ConditionFn = unsafe extern "C" fn(*const Lent<'_>, *const RawSlot, *const &[u8]) -> u32;
type RowsFn =
    unsafe extern "C" fn(*const Lent<'_>, *const RawSlot, *const &[u8], *mut RawSlot, *const &[u8], usize, *mut u8);
type ListFn = unsafe extern "C" fn(*const Lent<'_>, *const RawSlot, *const &[u8], u32) -> u64;

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
            builder.symbol(shim.name(), shim.address());
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
        // slots were filled from, all borrowed by `interpreter`; it writes nothing.
        Some(unsafe { function(&raw const lent, frame.slots.as_ptr(), frame.bases.as_ptr()) })
    }

    /// Evaluates a list from its entry `start` on, if there is code for it: the answer as of [`Self::condition`] in the low
    /// half, and for an error the entry that raised it in the high half.
    #[inline]
    pub(crate) fn list(&self, list: usize, start: u32, interpreter: &Interpreter<'_>) -> Option<u64> {
        let function = (*self.lists.get(list)?)?;
        let (frame, lent) = (interpreter.frame, Lent::new(interpreter));
        // SAFETY: as in `condition`; a `start` beyond the list is answered with 0.
        Some(unsafe { function(&raw const lent, frame.slots.as_ptr(), frame.bases.as_ptr(), start) })
    }

    /// Evaluates a list for each of some spans, if there is code for it: answers as of [`Self::condition`], one a span.
    /// Each span has as many slots in `rows` as a frame, of which those of its own level are used.
    #[must_use]
    pub(crate) fn rows(
        &self,
        list: usize,
        interpreter: &Interpreter<'_>,
        rows: &mut [RawSlot],
        spans: &[&[u8]],
        answers: &mut [u8],
    ) -> bool {
        let Some(Some(function)) = self.rows.get(list) else { return false };
        let (frame, lent) = (interpreter.frame, Lent::new(interpreter));
        if spans.len().saturating_mul(frame.slots.len()) > rows.len() || spans.len() != answers.len() {
            return false;
        }
        let (rows, spans, n, answers) = (rows.as_mut_ptr(), spans.as_ptr(), spans.len(), answers.as_mut_ptr());
        // SAFETY: as in `condition`, but the code writes to answers and to slots of rows that keep answers, both borrowed
        // mutably; there are as many rows, spans and answers as it will go through.
        unsafe { function(&raw const lent, frame.slots.as_ptr(), frame.bases.as_ptr(), rows, spans, n, answers) };
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

/// Functions of a program.
struct Defined {
    conditions: Vec<Option<FuncId>>,
    lists: Vec<Option<FuncId>>,
    /// Of the lists, over many spans.
    rows: Vec<Option<FuncId>>,
}

struct Loader {
    module: JITModule,
    context: Context,
}

impl Loader {
    fn define(
        &mut self,
        generated: &Generated<'_>,
        lowering: &Lowering<'_>,
        convention: CallConv,
    ) -> Result<Defined, Failure> {
        // Functions refer to shims by their place in `Shim::ALL`: they are the module's first functions.
        for shim in Shim::ALL {
            self.module.declare_function(shim.name(), Linkage::Import, &shim.signature(convention))?;
        }
        let mut conditions = Vec::with_capacity(generated.conditions.len());
        for &root in generated.conditions {
            let function = root.map(|root| self.function(lowering.condition(root, convention)));
            conditions.push(function.transpose()?);
        }
        let (mut lists, mut rows) = (Vec::new(), Vec::new());
        for list in generated.lists {
            let fits = !lowering.is_too_long(list);
            let function = fits.then(|| self.function(lowering.list(list, convention)));
            lists.push(function.transpose()?);
            let over_rows = (fits && list.over_rows).then(|| self.function(lowering.rows(list, convention)));
            rows.push(over_rows.transpose()?);
        }
        self.module.finalize_definitions()?;
        Ok(Defined { conditions, lists, rows })
    }

    fn function(&mut self, function: Function) -> Result<FuncId, Failure> {
        let id = self.module.declare_anonymous_function(&function.signature)?;
        self.context.func = function;
        self.module.define_function(id, &mut self.context)?;
        self.module.clear_context(&mut self.context);
        Ok(id)
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
