//! `IsEmpty(target)`: nil, the zero of a type, or something without items.

use super::{Call, Function, Param, ParamKind};
use crate::{
    error::EvalError,
    ir::Type,
    value::{GoInt, Value},
};

pub(super) static FUNCTION: Function = Function::new(
    "IsEmpty",
    &[Param::required("Target", ParamKind::Any)],
    Type::Bool,
    eval,
    "whether a value is nil, zero, false or has nothing in it",
);

fn eval<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    Ok(Value::Bool(match call.arg(0)? {
        Value::Nil => true,
        Value::Bool(flag) => !flag,
        Value::Int(number) | Value::Duration(number) => number == 0,
        Value::Double(number) => number == 0.0,
        Value::Str(text) | Value::Bytes(text) => text.is_empty(),
        Value::Map(map) => map.is_empty(),
        Value::List(list) => list.is_empty(),
        // Year 1, not the Unix epoch.
        Value::Time(time) => time.is_go_zero(),
        Value::TraceId(id) => id == [0; 16],
        Value::SpanId(id) => id == [0; 8],
        // Structs are handles that are never zero, even of no events.
        Value::Opaque(_) => false,
        Value::GoInt(GoInt::Int(number)) => number == 0,
        Value::GoInt(GoInt::Uint8(number)) => number == 0,
        Value::GoInt(GoInt::Uint64(number)) => number == 0,
    }))
}
