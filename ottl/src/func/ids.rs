//! `TraceID` and `SpanID`: ids from bytes or hexadecimal text; `Hex`, the way back.

use super::{Call, Function, Literals, Param, ParamKind, Prepared, Refusal};
use crate::{error::EvalError, go::text, ir::Type, value::Value};

const TARGET: &[Param] = &[Param::required("Target", ParamKind::BytesLike)];

pub(super) static TRACE_ID: Function = Function {
    prepare: Some(check::<16>),
    ..Function::new("TraceID", TARGET, Type::TraceId, trace_id, "a trace id from 16 bytes or 32 hexadecimal digits")
};
pub(super) static SPAN_ID: Function = Function {
    prepare: Some(check::<8>),
    ..Function::new("SpanID", TARGET, Type::SpanId, span_id, "a span id from 8 bytes or 16 hexadecimal digits")
};
pub(super) static HEX: Function =
    Function::new("Hex", TARGET, Type::String, hex, "lower-case hexadecimal digits of bytes, text, bools and numbers");

/// Bytes of exactly the id's length, or twice as many hexadecimal digits of either case.
fn id<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    if bytes.len() == N { bytes.try_into().ok() } else { text::unhex(bytes)?.try_into().ok() }
}

fn check<const N: usize>(literals: &Literals<'_>) -> Result<Prepared, Refusal> {
    let bytes: &[u8] = match literals.value(0) {
        Some(Value::Bytes(bytes)) => bytes,
        // An absent id has no bytes, which is a wrong length too.
        Some(Value::Nil) => &[],
        _ => return Ok(None),
    };
    match id::<N>(bytes) {
        Some(_) => Ok(None),
        None => Err(Refusal::of(0)(format!("an id of {N} bytes or {} hexadecimal digits is required", 2 * N))),
    }
}

fn trace_id<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    id(&call.opt_bytes(0)?.unwrap_or_default()).map(Value::TraceId).ok_or(EvalError::Argument)
}

fn span_id<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    id(&call.opt_bytes(0)?.unwrap_or_default()).map(Value::SpanId).ok_or(EvalError::Argument)
}

fn hex<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    Ok(Value::string(text::hex(&call.opt_bytes(0)?.unwrap_or_default())))
}
