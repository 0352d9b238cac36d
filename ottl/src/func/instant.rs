//! `Now`, `Unix`, `TruncateTime`: times made from numbers.

use super::{Call, Function, Needs, Param, ParamKind};
use crate::{error::EvalError, go::time, ir::Type, value::Value};

// Without parameters any arguments are accepted, as upstream does.
pub(super) static NOW: Function = Function {
    needs: Needs::Clock,
    ..Function::new(
        "Now",
        &[],
        Type::Time,
        |call| call.now().map(Value::Time),
        "the time of day, in the process's zone",
    )
};
pub(super) static UNIX: Function = Function::new(
    "Unix",
    &[Param::required("Seconds", ParamKind::Int), Param::optional("Nanoseconds", ParamKind::Int)],
    Type::Time,
    unix,
    "the time so many seconds after the epoch, in the process's zone",
);
pub(super) static TRUNCATE_TIME: Function = Function::new(
    "TruncateTime",
    &[Param::required("Time", ParamKind::Time), Param::required("Duration", ParamKind::Duration)],
    Type::Time,
    truncate,
    "a time rounded down to a multiple of a duration since year 1",
);

fn unix<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let seconds = call.int(0)?;
    let nanoseconds = if call.given(1) { call.int(1)? } else { 0 };
    Ok(Value::Time(time::unix(seconds, nanoseconds, call.local_zone())))
}

fn truncate<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let target = call.time(0)?;
    Ok(Value::Time(time::truncate(&target, call.duration(1)?)))
}
