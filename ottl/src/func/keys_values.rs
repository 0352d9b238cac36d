//! `Keys` and `Values` of a map, in wire order.

use super::{Call, Function, Param, ParamKind};
use crate::{error::EvalError, ir::Type, value::Value};

const TARGET: &[Param] = &[Param::required("Target", ParamKind::Map)];

pub(super) static KEYS: Function = Function::new("Keys", TARGET, Type::List, keys, "a map's keys");
pub(super) static VALUES: Function = Function::new("Values", TARGET, Type::List, values, "a map's values");

fn keys<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    Ok(Value::slice(call.map(0)?.iter().map(|(key, _)| Value::Str(key)).collect()))
}

fn values<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    Ok(Value::slice(call.map(0)?.iter().map(|(_, value)| value).collect()))
}
