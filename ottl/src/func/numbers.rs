//! `Int`, `Double`, `Bool`, `String`: conversions whose whole work is the parameter's kind; and `ParseInt`, `Log`.

use super::{Call, Function, Param, ParamKind};
use crate::{
    error::EvalError,
    go::{log, strconv},
    ir::Type,
    value::Value,
};

pub(super) static INT: Function = Function::new(
    "Int",
    &[Param::required("Target", ParamKind::IntLike)],
    Type::Any,
    converted,
    "the value as an int: strings are parsed, doubles cut; nil for nil",
);
pub(super) static DOUBLE: Function = Function::new(
    "Double",
    &[Param::required("Target", ParamKind::FloatLike)],
    Type::Any,
    converted,
    "the value as a double: strings are parsed; nil for nil",
);
pub(super) static BOOL: Function = Function::new(
    "Bool",
    &[Param::required("Target", ParamKind::BoolLike)],
    Type::Any,
    converted,
    "the value as a bool: strings are parsed, numbers compared with zero; nil for nil",
);
pub(super) static STRING: Function = Function::new(
    "String",
    &[Param::required("Target", ParamKind::StringLike)],
    Type::Any,
    converted,
    "the value's text: JSON of maps and lists, hex of bytes; nil for nil",
);
pub(super) static PARSE_INT: Function = Function::new(
    "ParseInt",
    &[Param::required("Target", ParamKind::String), Param::required("Base", ParamKind::Int)],
    Type::Int,
    parse_int,
    "an int written in a base from 2 to 36; base 0 takes Go's prefixes",
);
pub(super) static LOG: Function = Function::new(
    "Log",
    &[Param::required("Target", ParamKind::FloatLike)],
    Type::Double,
    log,
    "the natural logarithm of a positive number",
);

fn converted<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    call.arg(0)
}

fn parse_int<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let target = call.str(0)?;
    if target.is_empty() {
        return Err(EvalError::Argument);
    }
    let base = call.int(1)?;
    if base < 0 {
        return Err(EvalError::Argument);
    }
    strconv::parse_int(&target, base).map(Value::Int).map_err(|_| EvalError::Parse)
}

fn log<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let number = call.opt_float(0)?.ok_or(EvalError::Argument)?;
    // NaN is not <= 0 and passes, as in Go.
    if number <= 0.0 { Err(EvalError::Argument) } else { Ok(Value::Double(log::log(number))) }
}
