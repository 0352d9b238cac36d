//! `Concat(vals, delimiter)`: texts joined.

use super::{Call, Function, Param, ParamKind, text_form::bounded};
use crate::{error::EvalError, ir::Type, value::Value};

pub(super) static FUNCTION: Function = Function::new(
    "Concat",
    &[
        Param::required("Vals", ParamKind::SliceOf(&ParamKind::StringLike)),
        Param::required("Delimiter", ParamKind::String),
    ],
    Type::String,
    eval,
    "the texts of a list's items with a delimiter between",
);

fn eval<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let delimiter = call.str(1)?;
    let mut out = Vec::new();
    let mut push = |idx: usize, value: Value<'_>| {
        if idx > 0 {
            out.extend_from_slice(&delimiter);
        }
        match value {
            Value::Str(text) => out.extend_from_slice(&text),
            // An item of a list literal; those of a computed list have become empty texts.
            _ => out.extend_from_slice(b"<nil>"),
        }
        if out.len() > call.limits().result_bytes { Err(EvalError::Limit) } else { Ok(()) }
    };
    match call.literal_len(0) {
        Some(len) => {
            for idx in 0..len {
                push(idx, call.item(0, idx)?)?;
            }
        }
        None => match call.arg(0)? {
            Value::Nil => {}
            Value::List(list) => {
                for (idx, value) in list.iter().enumerate() {
                    push(idx, value)?;
                }
            }
            _ => return Err(EvalError::Type),
        },
    }
    bounded(out, call.limits()).map(Value::string)
}
