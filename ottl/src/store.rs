//! What contrib makes of values that leave an expression: those put into a map literal, and the result of a standalone value
//! expression.

use crate::{
    error::EvalError,
    func::convert::storable,
    limits::Limits,
    value::{ListRepr, MapRepr, Value},
};

/// What a map literal stores for a value: contrib copies maps, lets lists hold maps one level deep, and passes the rest
/// to pdata's `FromRaw`, which knows neither pdata slices nor ids nor times.
pub(crate) fn stored<'w>(value: Value<'w>, limits: &Limits) -> Result<Value<'w>, EvalError> {
    match value {
        Value::Map(map) if map.repr() == MapRepr::Pdata => Ok(Value::Map(map)),
        Value::List(list) if list.repr() == ListRepr::Raw => {
            let items: Result<Vec<_>, _> = list
                .iter()
                .map(|item| match item {
                    Value::Map(map) if map.repr() == MapRepr::Pdata => Ok(Value::Map(map)),
                    other => storable(other, limits, 1),
                })
                .collect();
            items.map(Value::slice)
        }
        other => storable(other, limits, 0),
    }
}

/// What a standalone value expression gives: raw maps become pdata maps.
pub(crate) fn standalone<'w>(value: Value<'w>, limits: &Limits) -> Result<Value<'w>, EvalError> {
    match value {
        Value::Map(map) if map.repr() == MapRepr::Raw => storable(Value::Map(map), limits, 0),
        other => Ok(other),
    }
}
