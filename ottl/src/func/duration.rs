//! `Duration(text)` and the units of a duration: `Hours` to `Nanoseconds`.

use super::{Call, Function, Param, ParamKind};
use crate::{
    error::EvalError,
    go::duration::{self, SECOND},
    ir::Type,
    value::Value,
};

const TARGET: &[Param] = &[Param::required("Duration", ParamKind::Duration)];

pub(super) static DURATION: Function = Function::new(
    "Duration",
    &[Param::required("Duration", ParamKind::String)],
    Type::Duration,
    |call| duration::parse(&call.str(0)?).map(Value::Duration).map_err(|_| EvalError::Parse),
    "a duration such as 1h30m or 1.5ms",
);
pub(super) static HOURS: Function =
    Function::new("Hours", TARGET, Type::Double, |call| units(call, 3600 * SECOND), "a duration in hours, a double");
pub(super) static MINUTES: Function =
    Function::new("Minutes", TARGET, Type::Double, |call| units(call, 60 * SECOND), "a duration in minutes, a double");
pub(super) static SECONDS: Function =
    Function::new("Seconds", TARGET, Type::Double, |call| units(call, SECOND), "a duration in seconds, a double");
pub(super) static MILLISECONDS: Function =
    Function::new("Milliseconds", TARGET, Type::Int, |call| whole(call, 1_000_000), "a duration in whole milliseconds");
pub(super) static MICROSECONDS: Function =
    Function::new("Microseconds", TARGET, Type::Int, |call| whole(call, 1_000), "a duration in whole microseconds");
pub(super) static NANOSECONDS: Function =
    Function::new("Nanoseconds", TARGET, Type::Int, |call| whole(call, 1), "a duration in nanoseconds");

fn units<'e>(call: &Call<'_, 'e>, unit: i64) -> Result<Value<'e>, EvalError> {
    Ok(Value::Double(duration::as_units(call.duration(0)?, unit)))
}

fn whole<'e>(call: &Call<'_, 'e>, unit: i64) -> Result<Value<'e>, EvalError> {
    Ok(Value::Int(call.duration(0)? / unit))
}
