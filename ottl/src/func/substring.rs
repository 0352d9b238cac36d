//! `Substring(target, start, length, utf8_safe)`: a range of bytes.

use super::{Call, Function, Param, ParamKind, affix::part};
use crate::{error::EvalError, ir::Type, value::Value};

pub(super) static FUNCTION: Function = Function::new(
    "Substring",
    &[
        Param::required("Target", ParamKind::String),
        Param::required("Start", ParamKind::Int),
        Param::required("Length", ParamKind::Int),
        Param::optional("Utf8Safe", ParamKind::LiteralBool),
    ],
    Type::String,
    eval,
    "a range of bytes of a string; utf8_safe=true keeps characters whole",
);

fn eval<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let start = usize::try_from(call.int(1)?).map_err(|_| EvalError::Argument)?;
    let length = usize::try_from(call.int(2)?).ok().filter(|length| *length > 0).ok_or(EvalError::Argument)?;
    let target = call.str(0)?;
    let mut start = start;
    let mut end = start.checked_add(length).filter(|end| *end <= target.len()).ok_or(EvalError::Argument)?;
    if call.opt_bool(3)?.unwrap_or(false) {
        let inside_char = |at: usize| target.get(at).is_some_and(|byte| byte & 0xC0 == 0x80);
        while inside_char(start) {
            start += 1;
        }
        while start < end && inside_char(end) {
            end -= 1;
        }
        end = end.max(start);
    }
    Ok(Value::Str(part(target, start..end)))
}
