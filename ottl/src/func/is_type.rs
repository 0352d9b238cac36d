//! `IsString`, `IsInt`, `IsDouble`, `IsBool`, `IsMap`, `IsList`: type tests.
//!
//! A wrong type is false; an error raised while the argument is computed stays an error.

use super::{Call, Function, Param, ParamKind};
use crate::{
    error::EvalError,
    ir::Type,
    value::{ListRepr, Value},
};

const fn type_test(name: &'static str, params: &'static [Param], help: &'static str) -> Function {
    Function::new(name, params, Type::Bool, is_type, help)
}

pub(super) static IS_STRING: Function =
    type_test("IsString", &[Param::required("Target", ParamKind::String)], "whether a value is a string");
pub(super) static IS_INT: Function =
    type_test("IsInt", &[Param::required("Target", ParamKind::Int)], "whether a value is an int");
pub(super) static IS_DOUBLE: Function =
    type_test("IsDouble", &[Param::required("Target", ParamKind::Float)], "whether a value is a double");
pub(super) static IS_BOOL: Function =
    type_test("IsBool", &[Param::required("Target", ParamKind::Bool)], "whether a value is a bool");
pub(super) static IS_MAP: Function =
    type_test("IsMap", &[Param::required("Target", ParamKind::Map)], "whether a value is a map");
pub(super) static IS_LIST: Function = Function::new(
    "IsList",
    &[Param::required("Target", ParamKind::Any)],
    Type::Bool,
    is_list,
    "whether a value is a list, such as a slice attribute or a span's events",
);

fn is_type<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    Ok(Value::Bool(call.arg_of_type(0)?.is_some()))
}

fn is_list<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    Ok(Value::Bool(match call.arg(0)? {
        // Upstream's list of types does not name []uint64.
        Value::List(list) => list.repr() != ListRepr::UInts,
        Value::Opaque(items) => items.is_list(),
        _ => false,
    }))
}
