//! `IsRootSpan()`: whether the span has no parent.

use super::{Call, Function};
use crate::{context::Context, error::EvalError, ir::Type, value::Value};

pub(super) static FUNCTION: Function = Function {
    contexts: &[Context::Span],
    implicit: &["parent_span_id"],
    ..Function::new("IsRootSpan", &[], Type::Bool, eval, "whether the span has no parent")
};

fn eval<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    match call.arg(0)? {
        Value::SpanId(parent) => Ok(Value::Bool(parent == [0; 8])),
        _ => Err(EvalError::Type),
    }
}
