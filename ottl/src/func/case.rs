//! `ToLowerCase`, `ToUpperCase`, `ToSnakeCase`, `ToCamelCase`, `ConvertCase`.

use super::{Call, Function, Literals, Param, ParamKind, Prepared, Refusal};
use crate::{error::EvalError, go::text, ir::Type, value::Value};

const TARGET: &[Param] = &[Param::required("Target", ParamKind::String)];

pub(super) static TO_LOWER: Function = Function::new(
    "ToLowerCase",
    TARGET,
    Type::String,
    |call| Ok(Value::string(text::to_lower(&call.str(0)?))),
    "the string in lower case, character by character",
);
pub(super) static TO_UPPER: Function = Function::new(
    "ToUpperCase",
    TARGET,
    Type::String,
    |call| Ok(Value::string(text::to_upper(&call.str(0)?))),
    "the string in upper case, character by character",
);
pub(super) static TO_SNAKE: Function = Function::new(
    "ToSnakeCase",
    TARGET,
    Type::String,
    |call| Ok(Value::string(text::to_snake(&call.str(0)?))),
    "the string as snake_case",
);
pub(super) static TO_CAMEL: Function = Function::new(
    "ToCamelCase",
    TARGET,
    Type::String,
    |call| Ok(Value::string(text::to_camel(&call.str(0)?))),
    "the string as CamelCase",
);
pub(super) static CONVERT_CASE: Function = Function {
    prepare: Some(prepare),
    ..Function::new(
        "ConvertCase",
        &[Param::required("Target", ParamKind::String), Param::required("ToCase", ParamKind::LiteralString)],
        Type::String,
        convert_case,
        "the string in a case: lower, upper, snake or camel",
    )
};

type Conversion = fn(&[u8]) -> Vec<u8>;

fn prepare(literals: &Literals<'_>) -> Result<Prepared, Refusal> {
    let conversion: Conversion = match literals.str(1) {
        Some("lower") => text::to_lower,
        Some("upper") => text::to_upper,
        Some("snake") => text::to_snake,
        Some("camel") => text::to_camel,
        other => {
            let other = other.unwrap_or_default();
            let message = format!("invalid case: {other}, allowed cases are: lower, upper, snake, camel");
            return Err(Refusal { parameter: 1, message });
        }
    };
    Ok(Some(Box::new(conversion)))
}

fn convert_case<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let conversion = call.prepared::<Conversion>().ok_or(EvalError::Argument)?;
    Ok(Value::string(conversion(&call.str(0)?)))
}
