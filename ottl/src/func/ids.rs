//! `TraceID` and `SpanID`: ids from bytes or hexadecimal text; `Hex`, the way back.

use super::{Call, Function, Literals, Param, ParamKind, Prepared};
use crate::{error::EvalError, go::text, ir::Type, value::Value};

const TARGET: &[Param] = &[Param::required("Target", ParamKind::BytesLike)];

pub(super) static TRACE_ID: Function = Function {
    prepare: Some(|literals| check::<16>(literals, "TraceID")),
    ..Function::new("TraceID", TARGET, Type::TraceId, trace_id, "a trace id from 16 bytes or 32 hexadecimal digits")
};
pub(super) static SPAN_ID: Function = Function {
    prepare: Some(|literals| check::<8>(literals, "SpanID")),
    ..Function::new("SpanID", TARGET, Type::SpanId, span_id, "a span id from 8 bytes or 16 hexadecimal digits")
};
pub(super) static HEX: Function =
    Function::new("Hex", TARGET, Type::String, hex, "lower-case hexadecimal digits of bytes, text, bools and numbers");

/// Bytes of exactly the id's length, or twice as many hexadecimal digits of either case.
fn id<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    if bytes.len() == N { bytes.try_into().ok() } else { text::unhex(bytes)?.try_into().ok() }
}

fn check<const N: usize>(literals: &Literals<'_>, name: &str) -> Result<Prepared, String> {
    let bytes: &[u8] = match literals.value(0) {
        Some(Value::Bytes(bytes)) => bytes,
        // An absent id has no bytes, which is a wrong length too.
        Some(Value::Nil) => &[],
        _ => return Ok(None),
    };
    match id::<N>(bytes) {
        Some(_) => Ok(None),
        None => Err(format!("{name} takes {N} bytes or {} hexadecimal digits", 2 * N)),
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
