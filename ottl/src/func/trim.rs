//! `Trim(target, replacement)`: characters of a set removed from both ends.

use std::borrow::Cow;

use super::{Call, Function, Param, ParamKind};
use crate::{error::EvalError, go::text, ir::Type, value::Value};

// The second parameter's name is upstream's; nothing is replaced.
pub(super) static FUNCTION: Function = Function::new(
    "Trim",
    &[Param::required("Target", ParamKind::String), Param::optional("Replacement", ParamKind::LiteralString)],
    Type::String,
    eval,
    "the string without characters of a set (default: spaces) at both ends",
);

fn eval<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let target = call.str(0)?;
    let cutset = call.opt_str(1)?.unwrap_or(Cow::Borrowed(b" "));
    Ok(match target {
        Cow::Borrowed(text) => Value::Str(text::trim(text, &cutset).into()),
        Cow::Owned(text) => Value::string(text::trim(&text, &cutset)),
    })
}
