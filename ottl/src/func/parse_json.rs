//! `ParseJSON(target)`: an object as a map, an array as a list.

use std::borrow::Cow;

use super::{Call, Function, Param, ParamKind};
use crate::{
    error::EvalError,
    go::json::{self, Json},
    ir::Type,
    value::Value,
};

pub(super) static FUNCTION: Function = Function::new(
    "ParseJSON",
    &[Param::required("Target", ParamKind::String)],
    Type::Any,
    eval,
    "a JSON object as a map or array as a list; all numbers are doubles",
);

fn eval<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    match json::decode(&call.str(0)?).map_err(|_| EvalError::Parse)? {
        parsed @ (Json::Object(_) | Json::Array(_)) => Ok(value(parsed)),
        _ => Err(EvalError::Parse),
    }
}

fn value<'e>(parsed: Json) -> Value<'e> {
    match parsed {
        Json::Null => Value::Nil,
        Json::Bool(flag) => Value::Bool(flag),
        Json::Number(number) => Value::Double(number),
        Json::String(text) => Value::string(text),
        Json::Array(items) => Value::slice(items.into_iter().map(value).collect()),
        Json::Object(fields) => {
            Value::map(fields.into_iter().map(|(key, field)| (Cow::Owned(key), value(field))).collect())
        }
    }
}
