//! Conditions as machine code: the typed IR lowered to Cranelift's, one function a condition and one a list.
//!
//! Generated code loads slots at constant offsets, branches, and calls [`shims`] for what is not worth inlining: searches
//! of regular expressions, converters that make texts, and whatever looks at whole maps. It loops over nothing but rows of
//! spans and writes nothing but their answers, what is kept, and its own stack. What it answers is what the interpreter answers. Where
//! the host has no backend there is no [`Code`] and the interpreter runs.

mod entry;
mod inspect;
mod lent;
mod loader;
mod lower;
mod shim;
mod shims;

use std::sync::OnceLock;

use cranelift_codegen::{
    isa::{CallConv, OwnedTargetIsa},
    settings::{self, Configurable as _},
};
use grammar::span::Span;

pub(crate) use entry::Code;
pub(crate) use inspect::{assembly, tests as inspect_tests};
pub(crate) use lent::Spans;
pub(crate) use lower::{Entry, Guard, ListPlan};

use crate::{
    error::{self, Error},
    ir::{Ir, NodeId},
    layout::{KeptPlaces, Layout},
};
use lower::{Generated, Lowering, shared};
use shim::Shim;

/// What the host's code generator is asked for, made once a process.
struct Target {
    isa: OwnedTargetIsa,
    slice_pointer: i32,
}

fn target() -> Option<&'static Target> {
    static TARGET: OnceLock<Option<Target>> = OnceLock::new();
    TARGET.get_or_init(detect).as_ref()
}

/// `None` where there is no backend, or the host is not one whose memory the lowering knows how to read.
fn detect() -> Option<Target> {
    if cfg!(not(all(target_endian = "little", target_pointer_width = "64"))) {
        return None;
    }
    let mut flags = settings::builder();
    let verifier = if cfg!(debug_assertions) { "true" } else { "false" };
    let wanted = [
        ("opt_level", "speed"),
        // The JIT links with absolute addresses.
        ("is_pic", "false"),
        ("use_colocated_libcalls", "false"),
        ("enable_verifier", verifier),
        ("unwind_info", "false"),
    ];
    for (name, value) in wanted {
        flags.set(name, value).ok()?;
    }
    let isa = cranelift_native::builder().ok()?.finish(settings::Flags::new(flags)).ok()?;
    Some(Target { isa, slice_pointer: entry::slice_pointer()? })
}

/// What is kept, of no more than `most` nodes: what several places of a program ask for, and what lists over rows of spans
/// ask for although it is the same for all spans of a resource or scope.
pub(crate) fn kept(ir: &Ir, conditions: &[Option<NodeId>], lists: &[ListPlan], most: usize) -> KeptPlaces {
    shared::kept(ir, &Generated { conditions, lists }, most)
}

/// Whether this host can run machine code.
pub(crate) fn available() -> bool {
    target().is_some()
}

/// Compiles conditions and lists of a program, leaving out conditions that are `None`; `None` where the host cannot run machine code.
///
/// # Errors
/// If code generation fails.
pub(crate) fn compile(
    ir: &Ir,
    layout: &Layout,
    conditions: &[Option<NodeId>],
    lists: &[ListPlan],
) -> Result<Option<Code>, Error> {
    let Some(target) = target() else { return Ok(None) };
    let generated = Generated { conditions, lists };
    let lowering = Lowering { ir, layout, slice_pointer: target.slice_pointer, target: target.isa.frontend_config() };
    Code::load(target.isa.clone(), &generated, &lowering).map(Some).map_err(|failure| {
        Error::new(error::CODE_GENERATION, Span::default(), format!("machine code cannot be generated: {failure}"))
    })
}

/// The text form of a condition's function before optimisation, the same for all hosts that have a code generator, empty
/// for others. Shims are named.
pub(crate) fn print(ir: &Ir, layout: &Layout, root: NodeId) -> String {
    let Some(target) = target() else { return String::new() };
    let lowering = Lowering { ir, layout, slice_pointer: 0, target: target.isa.frontend_config() };
    let mut text = lowering.condition(root, CallConv::SystemV).display().to_string();
    for (at, shim) in Shim::ALL.into_iter().enumerate() {
        text = text.replace(&format!(" u0:{at} "), &format!(" %{} ", shim.name()));
    }
    text
}

#[cfg(test)]
mod tests;
