//! What generated code calls: parts of conditions that are not worth lowering.
//!
//! Shims are total: an index from nowhere gives an error code. The pointers they get are those that
//! [`Code`](super::entry::Code) handed to the generated code, or lie in a buffer of the frame.

#![allow(unsafe_code, reason = "generated code passes pointers; style: one of the two unsafe files of this crate")]

use std::cmp::Ordering;

use cranelift_codegen::ir::{AbiParam, Signature, Type, types};
use cranelift_codegen::isa::CallConv;

use super::lent::Lent;
use crate::{
    error::EvalError,
    go::regexp::{Regexp, Search},
    ir::{CallId, ConstId, NodeId, SetId, SubstringsId},
    slot::RawSlot,
    value::Value,
};

/// A function that generated code may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shim {
    /// `(context, node) -> outcome`: the interpreter's answer for a condition.
    Truth,
    /// `(context, node, out) -> 0 or error`: the interpreter's value of a node, as a slot whose range is an address.
    Value,
    /// `(context, slots, span) -> 0`: makes a row the span that the interpreter is asked about.
    Row,
    /// `(context, call, text, len) -> 0 or 1`: the prepared regular expression of a call on a string.
    Matches,
    /// `(context, set, text, len) -> 0 or 1`: whether a string is in a set.
    InSet,
    /// `(context, substrings, text, len) -> 0 or 1`: whether a string holds any of some substrings.
    HoldsAny,
    /// `(context, constant, text, len) -> -1, 0 or 1`: how a string relates to a constant one.
    OrderLiteral,
    /// `(left, len, right, len) -> -1, 0 or 1`: how two strings relate.
    Order,
    /// `(context, call, text, len) -> 0 or 1`: as `Matches`, for a string that has the expression's prefix.
    MatchesBehindPrefix,
}

impl Shim {
    pub(super) const ALL: [Self; 9] = [
        Self::Truth,
        Self::Value,
        Self::Row,
        Self::Matches,
        Self::InSet,
        Self::HoldsAny,
        Self::OrderLiteral,
        Self::Order,
        Self::MatchesBehindPrefix,
    ];

    /// Its symbol.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Truth => "ottl_truth",
            Self::Value => "ottl_value",
            Self::Row => "ottl_row",
            Self::Matches => "ottl_matches",
            Self::MatchesBehindPrefix => "ottl_matches_behind_prefix",
            Self::InSet => "ottl_in_set",
            Self::HoldsAny => "ottl_holds_any",
            Self::OrderLiteral => "ottl_order_literal",
            Self::Order => "ottl_order",
        }
    }

    /// Its address.
    pub(super) fn address(self) -> *const u8 {
        match self {
            Self::Truth => truth as *const u8,
            Self::Value => value as *const u8,
            Self::Row => row as *const u8,
            Self::Matches => matches as *const u8,
            Self::MatchesBehindPrefix => matches_behind_prefix as *const u8,
            Self::InSet => in_set as *const u8,
            Self::HoldsAny => holds_any as *const u8,
            Self::OrderLiteral => order_literal as *const u8,
            Self::Order => order as *const u8,
        }
    }

    /// Its signature; it agrees with the function's, which nothing but tests can check.
    pub(super) fn signature(self, convention: CallConv) -> Signature {
        let (pointer, word) = (types::I64, types::I32);
        let params: &[Type] = match self {
            Self::Truth => &[pointer, word],
            Self::Value => &[pointer, word, pointer],
            Self::Row => &[pointer, pointer, pointer],
            Self::Matches | Self::MatchesBehindPrefix | Self::InSet | Self::HoldsAny | Self::OrderLiteral => {
                &[pointer, word, pointer, word]
            }
            Self::Order => &[pointer, word, pointer, word],
        };
        let mut signature = Signature::new(convention);
        signature.params.extend(params.iter().map(|&ty| AbiParam::new(ty)));
        signature.returns.push(AbiParam::new(word));
        signature
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
/// As [`truth`]; `slots` points to as many slots as a frame has, `span` to the reference to a span's bytes, and nobody
/// writes to either meanwhile.
unsafe extern "C" fn row<'w>(context: *const Lent<'w>, slots: *const RawSlot, span: *const &'w [u8]) -> u32 {
    // SAFETY: the caller's contract; `Code` passes the address of a borrow it holds.
    let lent = unsafe { &*context };
    // SAFETY: the caller's contract; `Code::rows` has seen that there are that many for each span.
    let slots = unsafe { std::slice::from_raw_parts(slots, lent.width()) };
    // SAFETY: the caller's contract; generated code counts references of `Code::rows`' slice of them.
    let bytes = unsafe { *span };
    lent.take_row(slots, span, bytes);
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
