//! Arithmetic, section 6 of contrib's behaviour. Contrary to contrib's prose ints and doubles mix.

use grammar::ast::MathOp;

use crate::{error::EvalError, value::Value};

/// `left op right`.
pub(crate) fn arithmetic<'w>(op: MathOp, left: &Value<'_>, right: &Value<'_>) -> Result<Value<'w>, EvalError> {
    use Value as V;
    match (left, right) {
        (V::Int(left), V::Int(right)) => int(op, *left, *right).map(Value::Int),
        (V::Int(left), V::Double(right)) => double(op, *left as f64, *right).map(Value::Double),
        (V::Double(left), V::Int(right)) => double(op, *left, *right as f64).map(Value::Double),
        (V::Double(left), V::Double(right)) => double(op, *left, *right).map(Value::Double),
        (V::Time(left), V::Time(right)) if op == MathOp::Sub => Ok(Value::Duration(left.since(right))),
        (V::Time(time), V::Duration(nanos)) => match op {
            MathOp::Add => Ok(Value::Time(time.add(*nanos))),
            MathOp::Sub => Ok(Value::Time(time.add(nanos.wrapping_neg()))),
            _ => Err(EvalError::Type),
        },
        (V::Duration(nanos), V::Time(time)) if op == MathOp::Add => Ok(Value::Time(time.add(*nanos))),
        (V::Duration(left), V::Duration(right)) => match op {
            MathOp::Add => Ok(Value::Duration(left.wrapping_add(*right))),
            MathOp::Sub => Ok(Value::Duration(left.wrapping_sub(*right))),
            _ => Err(EvalError::Type),
        },
        _ => Err(EvalError::Type),
    }
}

/// Wraps on overflow; division truncates and `MIN / -1` is `MIN`.
fn int(op: MathOp, left: i64, right: i64) -> Result<i64, EvalError> {
    match op {
        MathOp::Add => Ok(left.wrapping_add(right)),
        MathOp::Sub => Ok(left.wrapping_sub(right)),
        MathOp::Mul => Ok(left.wrapping_mul(right)),
        MathOp::Div if right == 0 => Err(EvalError::DivideByZero),
        MathOp::Div => Ok(left.wrapping_div(right)),
    }
}

/// IEEE, except that division by zero is an error.
fn double(op: MathOp, left: f64, right: f64) -> Result<f64, EvalError> {
    match op {
        MathOp::Add => Ok(left + right),
        MathOp::Sub => Ok(left - right),
        MathOp::Mul => Ok(left * right),
        MathOp::Div if right == 0.0 => Err(EvalError::DivideByZero),
        MathOp::Div => Ok(left / right),
    }
}

/// A minus sign: numbers only, `-MIN` is `MIN`.
pub(crate) fn negate<'w>(operand: &Value<'_>) -> Result<Value<'w>, EvalError> {
    match operand {
        Value::Int(number) => Ok(Value::Int(number.wrapping_neg())),
        Value::Double(number) => Ok(Value::Double(-number)),
        _ => Err(EvalError::Type),
    }
}
