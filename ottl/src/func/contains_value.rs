//! `ContainsValue(target, item)` and `Index(target, value)`: where an item is.

use grammar::ast::CompareOp;

use super::{Call, Function, Param, ParamKind, convert};
use crate::{
    compare::compare,
    error::EvalError,
    ir::Type,
    value::{List, Value},
};

pub(super) static CONTAINS_VALUE: Function = Function::new(
    "ContainsValue",
    &[Param::required("Target", ParamKind::Slice), Param::required("Item", ParamKind::Any)],
    Type::Bool,
    contains_value,
    "whether a list has an item equal to a value",
);
pub(super) static INDEX: Function = Function::new(
    "Index",
    &[Param::required("Target", ParamKind::Any), Param::required("Value", ParamKind::Any)],
    Type::Int,
    index,
    "the place of a value in a list, or of a string in a string in bytes; -1 if it is not there",
);

fn position(list: &List<'_>, wanted: &Value<'_>) -> Result<Option<usize>, EvalError> {
    for (idx, item) in list.iter().enumerate() {
        if compare(CompareOp::Eq, &item, wanted)? {
            return Ok(Some(idx));
        }
    }
    Ok(None)
}

fn contains_value<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let list = call.list(0)?;
    let item = call.arg(1)?;
    Ok(Value::Bool(position(&list, &item)?.is_some()))
}

fn index<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let target = call.arg(0)?;
    let wanted = call.arg(1)?;
    let found = match (target, &wanted) {
        (Value::Str(text), Value::Str(wanted)) => memchr::memmem::find(&text, wanted),
        (Value::Str(_), _) => return Err(EvalError::Argument),
        (target, wanted) => match convert::convert(ParamKind::Slice, target, call.limits())? {
            Value::List(list) => position(&list, wanted)?,
            _ => return Err(EvalError::Type),
        },
    };
    Ok(Value::Int(found.and_then(|at| i64::try_from(at).ok()).unwrap_or(-1)))
}
