//! `IsValidLuhn(target)`: the check digit of card numbers and the like.

use super::{Call, Function, Param, ParamKind};
use crate::{error::EvalError, ir::Type, value::Value};

pub(super) static FUNCTION: Function = Function::new(
    "IsValidLuhn",
    &[Param::required("Target", ParamKind::StringLike)],
    Type::Bool,
    eval,
    "whether digits, with spaces between, pass the Luhn check",
);

fn eval<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let text = call.opt_str(0)?.ok_or(EvalError::Argument)?;
    let mut sum = 0u64;
    let mut check = None;
    let mut doubled = true;
    for &byte in text.iter().rev().filter(|byte| **byte != b' ') {
        if !byte.is_ascii_digit() {
            return Err(EvalError::Parse);
        }
        let digit = u64::from(byte - b'0');
        if check.is_none() {
            check = Some(digit);
            continue;
        }
        sum += match (doubled, digit) {
            (false, digit) => digit,
            (true, digit) if digit > 4 => digit * 2 - 9,
            (true, digit) => digit * 2,
        };
        doubled = !doubled;
    }
    Ok(Value::Bool(check.is_some_and(|check| (10 - sum % 10) % 10 == check)))
}
