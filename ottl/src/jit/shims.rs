//! What generated code calls: parts of conditions that are not worth lowering.
//!
//! Shims are total: an index from nowhere gives an error code. The pointers they get are those that
//! [`Code`](super::entry::Code) handed to the generated code, or lie in a buffer of the frame.

#![allow(unsafe_code, reason = "generated code passes pointers; style: one of the two unsafe files of this crate")]

use std::cmp::Ordering;

use super::{lent::Lent, shim::Shim};
use crate::{
    error::EvalError,
    go::regexp::{Regexp, Search},
    ir::{CallId, ConstId, NodeId, SetId, SubstringsId},
    slot::RawSlot,
    value::Value,
};

/// Where a shim is.
pub(super) fn address(shim: Shim) -> *const u8 {
    match shim {
        Shim::Truth => truth as *const u8,
        Shim::Value => value as *const u8,
        Shim::Keep => keep as *const u8,
        Shim::Row => row as *const u8,
        Shim::Matches => matches as *const u8,
        Shim::MatchesBehindPrefix => matches_behind_prefix as *const u8,
        Shim::InSet => in_set as *const u8,
        Shim::HoldsAny => holds_any as *const u8,
        Shim::OrderLiteral => order_literal as *const u8,
        Shim::Order => order as *const u8,
    }
}

/// What a function of conditions returns for an answer.
pub(super) fn encode(answer: Result<bool, EvalError>) -> u32 {
    match answer {
        Ok(flag) => u32::from(flag),
        Err(error) => error as u32,
    }
}

/// # Safety
/// `context` points to an interpreter that outlives the call.
unsafe extern "C" fn truth(context: *const Lent<'_>, node: u32) -> u32 {
    // SAFETY: the caller's contract; `Code` passes the address of a borrow it holds.
    let lent = unsafe { &*context };
    if node as usize >= lent.interpreter.ir.node_count() {
        return encode(Err(EvalError::Argument));
    }
    encode(lent.truth(NodeId(node)))
}

/// # Safety
/// As [`truth`]; `out` points to memory for a slot that nobody else uses meanwhile.
unsafe extern "C" fn value(context: *const Lent<'_>, node: u32, out: *mut RawSlot) -> u32 {
    // SAFETY: the caller's contract; `Code` passes the address of a borrow it holds.
    let lent = unsafe { &*context };
    if node as usize >= lent.interpreter.ir.node_count() {
        return EvalError::Argument as u32;
    }
    match lent.value(NodeId(node)) {
        Ok(value) => {
            // SAFETY: the caller's contract; generated code passes 16 bytes of its own stack, aligned to 8.
            unsafe { out.write(value) };
            0
        }
        Err(error) => error as u32,
    }
}

/// # Safety
/// As [`truth`].
unsafe extern "C" fn keep(context: *const Lent<'_>, node: u32) -> u32 {
    // SAFETY: the caller's contract; `Code` passes the address of a borrow it holds.
    let lent = unsafe { &*context };
    if (node as usize) < lent.interpreter.ir.node_count() {
        lent.keep(NodeId(node));
    }
    0
}

/// # Safety
/// As [`truth`].
unsafe extern "C" fn row(context: *const Lent<'_>, at: usize) -> u32 {
    // SAFETY: the caller's contract; `Code` passes the address of a borrow it holds.
    unsafe { &*context }.take_row(at);
    0
}

/// # Safety
/// As [`truth`]; `text` points to `len` readable bytes that nobody writes meanwhile.
unsafe extern "C" fn matches(context: *const Lent<'_>, call: u32, text: *const u8, len: u32) -> u32 {
    // SAFETY: the caller's contract; `Code` passes the address of a borrow it holds.
    let lent = unsafe { &*context };
    // SAFETY: the caller's contract; generated code passes the range of a slot, which lies in a buffer of the frame.
    let text = unsafe { bytes(text, len) };
    u32::from(pattern(lent, call).is_some_and(|pattern| pattern.is_match(text)))
}

/// # Safety
/// As [`matches`].
unsafe extern "C" fn matches_behind_prefix(context: *const Lent<'_>, call: u32, text: *const u8, len: u32) -> u32 {
    // SAFETY: the caller's contract; `Code` passes the address of a borrow it holds.
    let lent = unsafe { &*context };
    // SAFETY: the caller's contract; generated code passes the range of a slot, which lies in a buffer of the frame.
    let text = unsafe { bytes(text, len) };
    u32::from(match pattern(lent, call).map(Regexp::search) {
        Some(Search::Engine(engine)) => engine.is_match_behind_prefix(text),
        _ => false,
    })
}

#[inline]
fn pattern<'e>(lent: &Lent<'e>, call: u32) -> Option<&'e Regexp> {
    let site = lent.interpreter.ir.calls().get(CallId(call).0 as usize)?;
    site.prepared.as_ref()?.downcast_ref()
}

/// # Safety
/// As [`matches`].
unsafe extern "C" fn in_set(context: *const Lent<'_>, set: u32, text: *const u8, len: u32) -> u32 {
    // SAFETY: the caller's contract; `Code` passes the address of a borrow it holds.
    let lent = unsafe { &*context };
    // SAFETY: the caller's contract; generated code passes the range of a slot, which lies in a buffer of the frame.
    let text = unsafe { bytes(text, len) };
    let members = lent.interpreter.ir.sets().get(SetId(set).0 as usize);
    u32::from(members.is_some_and(|members| members.binary_search_by(|member| member.as_ref().cmp(text)).is_ok()))
}

/// # Safety
/// As [`matches`].
unsafe extern "C" fn holds_any(context: *const Lent<'_>, substrings: u32, text: *const u8, len: u32) -> u32 {
    // SAFETY: the caller's contract; `Code` passes the address of a borrow it holds.
    let lent = unsafe { &*context };
    // SAFETY: the caller's contract; generated code passes the range of a slot, which lies in a buffer of the frame.
    let text = unsafe { bytes(text, len) };
    u32::from(lent.interpreter.ir.holds_any(SubstringsId(substrings), text))
}

/// # Safety
/// As [`matches`].
unsafe extern "C" fn order_literal(context: *const Lent<'_>, constant: u32, text: *const u8, len: u32) -> i32 {
    // SAFETY: the caller's contract; `Code` passes the address of a borrow it holds.
    let lent = unsafe { &*context };
    // SAFETY: the caller's contract; generated code passes the range of a slot, which lies in a buffer of the frame.
    let text = unsafe { bytes(text, len) };
    match lent.interpreter.ir.constants().get(ConstId(constant).0 as usize) {
        Some(Value::Str(literal)) => sign(text.cmp(literal.as_ref())),
        _ => 0,
    }
}

/// # Safety
/// Both pointers point to that many readable bytes that nobody writes meanwhile.
unsafe extern "C" fn order(left: *const u8, left_len: u32, right: *const u8, right_len: u32) -> i32 {
    // SAFETY: the caller's contract; generated code passes the range of a slot, which lies in a buffer of the frame.
    let left = unsafe { bytes(left, left_len) };
    // SAFETY: as above.
    let right = unsafe { bytes(right, right_len) };
    sign(left.cmp(right))
}

fn sign(ordering: Ordering) -> i32 {
    ordering as i32
}

/// The bytes at `start`; none if it is null.
///
/// # Safety
/// `start` is null, or points to `len` readable bytes that nobody writes during `'a`.
unsafe fn bytes<'a>(start: *const u8, len: u32) -> &'a [u8] {
    if start.is_null() || len == 0 {
        return &[];
    }
    // SAFETY: the caller's contract.
    unsafe { std::slice::from_raw_parts(start, len as usize) }
}

#[cfg(test)]
mod tests;
