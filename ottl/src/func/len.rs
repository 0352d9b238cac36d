//! `Len(target)`: bytes of a string, items of a map or list.

use super::{Call, Function, Param, ParamKind};
use crate::{error::EvalError, ir::Type, value::Value};

pub(super) static FUNCTION: Function = Function::new(
    "Len",
    &[Param::required("Target", ParamKind::Any)],
    Type::Int,
    eval,
    "bytes of a string, items of a map or list",
);

fn eval<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let len = match call.arg(0)? {
        Value::Str(text) | Value::Bytes(text) => text.len(),
        Value::Map(map) => map.len(),
        Value::List(list) => list.len(),
        Value::Opaque(items) if items.is_list() => items.len(),
        _ => return Err(EvalError::Type),
    };
    Ok(Value::Int(i64::try_from(len).unwrap_or(i64::MAX)))
}
