//! `Coalesce(values)`: the first value that is not nil.

use super::{Call, Function, LiteralArg, Literals, Param, ParamKind, Prepared, Refusal};
use crate::{error::EvalError, ir::Type, value::Value};

pub(super) static FUNCTION: Function = Function {
    prepare: Some(prepare),
    ..Function::new(
        "Coalesce",
        &[Param::required("Values", ParamKind::ListOf(&ParamKind::Any))],
        Type::Any,
        eval,
        "the first value that is not nil; later ones are not computed",
    )
};

fn prepare(literals: &Literals<'_>) -> Result<Prepared, Refusal> {
    match literals.get(0) {
        LiteralArg::List(items) if items.is_empty() => Err(Refusal::of(0)("at least one value is required".to_owned())),
        _ => Ok(None),
    }
}

fn eval<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    for item in 0..call.literal_len(0).unwrap_or(0) {
        let value = call.item(0, item)?;
        if !value.is_nil() {
            return Ok(value);
        }
    }
    Ok(Value::Nil)
}
