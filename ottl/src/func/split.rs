//! `Split(target, delimiter)`: parts of a string, as Go's `[]string`.

use std::borrow::Cow;

use super::{Call, Function, Param, ParamKind};
use crate::{
    error::EvalError,
    go::text,
    ir::Type,
    value::{List, ListRepr, Value},
};

pub(super) static FUNCTION: Function = Function::new(
    "Split",
    &[Param::required("Target", ParamKind::String), Param::required("Delimiter", ParamKind::String)],
    Type::List,
    eval,
    "the parts of a string between delimiters; an empty delimiter splits into characters",
);

fn eval<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let target = call.str(0)?;
    let delimiter = call.str(1)?;
    let items = match &target {
        Cow::Borrowed(text) => text::split(text, &delimiter).into_iter().map(|part| Value::Str(part.into())).collect(),
        Cow::Owned(text) => text::split(text, &delimiter).into_iter().map(Value::string).collect(),
    };
    Ok(Value::List(List::owned(items, ListRepr::Strings)))
}
