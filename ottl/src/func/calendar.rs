//! Parts of a time: `Year` to `Weekday` in its own zone, `UnixSeconds` to `UnixNano` since the epoch.

use super::{Call, Function, Param, ParamKind};
use crate::{
    error::EvalError,
    go::time::{self, Civil},
    ir::Type,
    value::Value,
};

const TARGET: &[Param] = &[Param::required("Time", ParamKind::Time)];

pub(super) static YEAR: Function =
    Function::new("Year", TARGET, Type::Int, |call| part(call, |civil| civil.year), "a time's year");
pub(super) static MONTH: Function =
    Function::new("Month", TARGET, Type::Int, |call| part(call, |civil| civil.month.into()), "a time's month, 1 to 12");
pub(super) static DAY: Function =
    Function::new("Day", TARGET, Type::Int, |call| part(call, |civil| civil.day.into()), "a time's day of the month");
pub(super) static HOUR: Function =
    Function::new("Hour", TARGET, Type::Int, |call| part(call, |civil| civil.hour.into()), "a time's hour, 0 to 23");
pub(super) static MINUTE: Function =
    Function::new("Minute", TARGET, Type::Int, |call| part(call, |civil| civil.minute.into()), "a time's minute");
pub(super) static SECOND: Function =
    Function::new("Second", TARGET, Type::Int, |call| part(call, |civil| civil.second.into()), "a time's second");
pub(super) static WEEKDAY: Function = Function::new(
    "Weekday",
    TARGET,
    Type::Int,
    |call| part(call, |civil| civil.weekday.into()),
    "a time's day of the week, Sunday is 0",
);
pub(super) static NANOSECOND: Function = Function::new(
    "Nanosecond",
    TARGET,
    Type::Int,
    |call| Ok(Value::Int(call.time(0)?.nsec.into())),
    "a time's nanosecond within the second",
);
pub(super) static UNIX_SECONDS: Function = Function::new(
    "UnixSeconds",
    TARGET,
    Type::Int,
    |call| Ok(Value::Int(call.time(0)?.sec)),
    "seconds since the Unix epoch",
);
pub(super) static UNIX_MILLI: Function = Function::new(
    "UnixMilli",
    TARGET,
    Type::Int,
    |call| Ok(Value::Int(time::unix_milli(&call.time(0)?))),
    "milliseconds since the Unix epoch",
);
pub(super) static UNIX_MICRO: Function = Function::new(
    "UnixMicro",
    TARGET,
    Type::Int,
    |call| Ok(Value::Int(time::unix_micro(&call.time(0)?))),
    "microseconds since the Unix epoch",
);
pub(super) static UNIX_NANO: Function = Function::new(
    "UnixNano",
    TARGET,
    Type::Int,
    |call| Ok(Value::Int(call.time(0)?.unix_nano())),
    "nanoseconds since the Unix epoch",
);

fn part<'e>(call: &Call<'_, 'e>, part: fn(Civil) -> i64) -> Result<Value<'e>, EvalError> {
    Ok(Value::Int(part(time::civil(&call.time(0)?))))
}
