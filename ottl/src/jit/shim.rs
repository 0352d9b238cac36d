//! The names and signatures of what generated code may call; [`shims`](super::shims) has the functions.

use cranelift_codegen::{
    ir::{AbiParam, Signature, Type, types},
    isa::CallConv,
};

/// A function that generated code may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shim {
    /// `(context, node) -> outcome`: the interpreter's answer for a condition.
    Truth,
    /// `(context, node, out) -> 0 or error`: the interpreter's value of a node, as a slot whose range is an address.
    Value,
    /// `(context, node) -> 0`: has the interpreter's value of a node, or its error, kept.
    Keep,
    /// `(context, row) -> 0`: makes a row the span that the interpreter is asked about.
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
    pub(super) const ALL: [Self; 10] = [
        Self::Truth,
        Self::Value,
        Self::Keep,
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
            Self::Keep => "ottl_keep",
            Self::Row => "ottl_row",
            Self::Matches => "ottl_matches",
            Self::MatchesBehindPrefix => "ottl_matches_behind_prefix",
            Self::InSet => "ottl_in_set",
            Self::HoldsAny => "ottl_holds_any",
            Self::OrderLiteral => "ottl_order_literal",
            Self::Order => "ottl_order",
        }
    }

    /// Its signature; it agrees with the function's, which nothing but tests can check.
    pub(super) fn signature(self, convention: CallConv) -> Signature {
        let (pointer, word) = (types::I64, types::I32);
        let params: &[Type] = match self {
            Self::Truth | Self::Keep => &[pointer, word],
            Self::Value => &[pointer, word, pointer],
            Self::Row => &[pointer, pointer],
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
