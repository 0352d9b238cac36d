//! `ExtractPatterns(target, pattern)`: what a regular expression's named groups matched.

use super::{
    Call, Function, Literals, Param, ParamKind, Prepared, Refusal,
    affix::part,
    is_match::{computed_pattern, literal_pattern},
    parse_key_value::last_of_equal_keys,
};
use crate::{error::EvalError, go::regexp::Regexp, ir::Type, value::Value};

pub(super) static FUNCTION: Function = Function {
    prepare: Some(prepare),
    ..Function::new(
        "ExtractPatterns",
        &[Param::required("Target", ParamKind::String), Param::required("Pattern", ParamKind::String)],
        Type::Map,
        eval,
        "a map of a regular expression's named groups; empty where it does not match",
    )
};

fn prepare(literals: &Literals<'_>) -> Result<Prepared, Refusal> {
    Ok(match literal_pattern(literals, 1)? {
        Some(compiled) => Some(Box::new(compiled)),
        None => None,
    })
}

fn eval<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let computed;
    let pattern = match call.prepared::<Regexp>() {
        Some(pattern) => pattern,
        None => {
            computed = computed_pattern(call, &call.str(1)?)?;
            &computed
        }
    };
    // Upstream reports a pattern without names only here, even a literal one.
    if pattern.names().iter().all(Option::is_none) {
        return Err(EvalError::Pattern);
    }
    let target = call.str(0)?;
    let Some(groups) = pattern.captures(&target) else { return Ok(Value::map(Vec::new())) };
    let entries = pattern.names().iter().zip(groups).filter_map(|(name, group)| {
        let (start, end) = group.unwrap_or_default();
        Some((name.as_ref()?.clone().into_bytes(), Value::Str(part(target.clone(), start..end))))
    });
    Ok(Value::map(last_of_equal_keys(entries.collect())))
}
