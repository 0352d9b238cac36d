//! `IsMatch(target, pattern)`: an unanchored search with Go's regular expressions.

use super::{Call, Function, Literals, Param, ParamKind, Prepared, Refusal};
use crate::{
    error::EvalError,
    go::regexp::{self, Regexp},
    ir::Type,
    limits::Limits,
    value::Value,
};

pub(super) static FUNCTION: Function = Function {
    prepare: Some(prepare),
    ..Function::new(
        "IsMatch",
        &[Param::required("Target", ParamKind::StringLike), Param::required("Pattern", ParamKind::String)],
        Type::Bool,
        eval,
        "whether a regular expression matches anywhere in the target's text; false for nil",
    )
};

/// Go's limits, scaled to what a builder allows.
pub(super) fn regexp_limits(limits: &Limits) -> regexp::Limits {
    regexp::Limits { program_bytes: limits.regex_bytes, cache_bytes: limits.regex_bytes, ..regexp::Limits::default() }
}

/// Compiles the literal pattern at `index`; nothing if the pattern is computed.
pub(super) fn literal_pattern(literals: &Literals<'_>, index: usize) -> Result<Option<Regexp>, Refusal> {
    let Some(pattern) = literals.str(index) else { return Ok(None) };
    match Regexp::with_limits(pattern, regexp_limits(literals.limits())) {
        Ok(compiled) => Ok(Some(compiled)),
        Err(error) => {
            Err(Refusal::of(index)(format!("the pattern {pattern:?} is not a valid regular expression: {error}")))
        }
    }
}

/// Compiles a pattern that was computed. As upstream this happens on every evaluation: a cache would need a lock on the
/// data path and a bound that telemetry could thrash.
pub(super) fn computed_pattern(call: &Call<'_, '_>, pattern: &[u8]) -> Result<Regexp, EvalError> {
    let pattern = std::str::from_utf8(pattern).map_err(|_| EvalError::Pattern)?;
    Regexp::with_limits(pattern, regexp_limits(call.limits())).map_err(|_| EvalError::Pattern)
}

fn prepare(literals: &Literals<'_>) -> Result<Prepared, Refusal> {
    Ok(match literal_pattern(literals, 1)? {
        Some(compiled) => Some(Box::new(compiled)),
        None => None,
    })
}

fn eval<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    // The pattern comes before the target, so its errors do too.
    let computed;
    let pattern = match call.prepared::<Regexp>() {
        Some(pattern) => pattern,
        None => {
            computed = computed_pattern(call, &call.str(1)?)?;
            &computed
        }
    };
    let target = call.opt_str(0)?;
    Ok(Value::Bool(target.is_some_and(|text| pattern.is_match(&text))))
}
