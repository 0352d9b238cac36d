//! `HasAttrKeyOnDatapoint(key)` and `HasAttrOnDatapoint(key, value)`: what the filter processor adds to the metric context.

use super::{Call, Function, Param, ParamKind};
use crate::{
    context::Context,
    error::EvalError,
    ir::Type,
    layout::PointKind,
    value::{Map, OpaqueKind, Value, WireMap},
    wire::{Fields, Payload},
};

const KEY: Param = Param::required("Key", ParamKind::LiteralString);

pub(super) static KEY_ONLY: Function = Function {
    contexts: &[Context::Metric],
    implicit: &["data_points", "type"],
    ..Function::new("HasAttrKeyOnDatapoint", &[KEY], Type::Bool, has_key, "whether a data point has an attribute")
};

pub(super) static KEY_AND_VALUE: Function = Function {
    contexts: &[Context::Metric],
    implicit: &["data_points", "type"],
    ..Function::new(
        "HasAttrOnDatapoint",
        &[KEY, Param::required("ExpectedVal", ParamKind::LiteralString)],
        Type::Bool,
        has_value,
        "whether the first data point that has an attribute has it with this text",
    )
};

fn has_key<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    Ok(Value::Bool(first_value(call, 1)?.is_some()))
}

fn has_value<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let wanted = call.str(1)?;
    // contrib compares `value.Str()`, which is empty for values that are no strings.
    Ok(Value::Bool(match first_value(call, 2)? {
        Some(Value::Str(text)) => text == wanted,
        Some(_) => wanted.is_empty(),
        None => false,
    }))
}

/// The attribute of the first data point that has it. The points and the metric's type are arguments from `implicit` on;
/// a metric without a type is an error.
fn first_value<'e>(call: &Call<'_, 'e>, implicit: usize) -> Result<Option<Value<'e>>, EvalError> {
    let key = call.str(0)?;
    let kind = match call.arg(implicit + 1)? {
        Value::Int(1 | 2) => PointKind::Number,
        Value::Int(3) => PointKind::Histogram,
        Value::Int(4) => PointKind::ExponentialHistogram,
        Value::Int(5) => PointKind::Summary,
        _ => return Err(EvalError::Argument),
    };
    let Value::Opaque(points) = call.arg(implicit)? else { return Err(EvalError::Argument) };
    debug_assert_eq!(points.kind, OpaqueKind::DataPoints);
    let mut found = Fields::new(points.message).filter_map(|(field, payload)| match payload {
        Payload::Bytes(range) if field == points.field => {
            Map::Wire(WireMap::new(range.of(points.message), kind.attributes())).get(&key)
        }
        _ => None,
    });
    Ok(found.next())
}
