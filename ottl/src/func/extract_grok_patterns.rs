//! `ExtractGrokPatterns(target, pattern, named_captures_only, pattern_definitions)`: what a grok pattern captured.

use std::borrow::Cow;

use super::{
    Call, Function, LiteralArg, Literals, Param, ParamKind, Prepared, Refusal, is_match::regexp_limits,
    parse_key_value::last_of_equal_keys,
};
use crate::{
    error::EvalError,
    go::grok::{Captured, Grok, WrongType},
    ir::Type,
    value::Value,
};

pub(super) static FUNCTION: Function = Function {
    prepare: Some(prepare),
    ..Function::new(
        "ExtractGrokPatterns",
        &[
            Param::required("Target", ParamKind::String),
            Param::required("Pattern", ParamKind::String),
            Param::optional("NamedCapturesOnly", ParamKind::LiteralBool),
            Param::optional("PatternDefinitions", ParamKind::ListOf(&ParamKind::LiteralString)),
        ],
        Type::Map,
        eval,
        "a map of a grok pattern's captures, such as %{IP:client} %{INT:code:int}",
    )
};

struct Settings {
    named_only: bool,
    definitions: Vec<(String, String)>,
    /// The pattern, if it is a literal.
    grok: Option<Grok>,
}

const NO_NAMES: &str = "at least 1 named capture group must be supplied in the given regex";

fn definition(text: &[u8]) -> Result<(String, String), String> {
    let text = String::from_utf8_lossy(text);
    match text.split_once('=') {
        Some((name, _)) if name.contains(':') => Err(format!("pattern ID {name:?} should not contain ':'")),
        Some((name, pattern)) => Ok((name.to_owned(), pattern.to_owned())),
        None => Err(format!("pattern {text:?} has incorrect format, expecting PATTERNNAME=pattern definition")),
    }
}

fn prepare(literals: &Literals<'_>) -> Result<Prepared, Refusal> {
    let named_only = matches!(literals.value(2), Some(Value::Bool(true)));
    let mut definitions = Vec::new();
    if let LiteralArg::List(items) = literals.get(3) {
        for item in items {
            match item {
                Some(Value::Str(text)) => definitions.push(definition(text).map_err(Refusal::of(3))?),
                _ => return Err(Refusal::of(3)("pattern definitions must be literal strings".to_owned())),
            }
        }
    }
    let grok = match literals.str(1) {
        None => None,
        Some(pattern) => {
            let compiled = Grok::new(pattern, named_only, &definitions, regexp_limits(literals.limits()));
            let grok = compiled.map_err(|error| {
                Refusal::of(1)(format!("the pattern {pattern:?} is not a valid grok pattern: {error}"))
            })?;
            if named_only && !grok.has_names() {
                return Err(Refusal::of(1)(NO_NAMES.to_owned()));
            }
            Some(grok)
        }
    };
    Ok(Some(Box::new(Settings { named_only, definitions, grok })))
}

fn eval<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let settings = call.prepared::<Settings>().ok_or(EvalError::Argument)?;
    let computed;
    let grok = match &settings.grok {
        Some(grok) => grok,
        None => {
            let pattern = call.str(1)?;
            let pattern = std::str::from_utf8(&pattern).map_err(|_| EvalError::Pattern)?;
            let limits = regexp_limits(call.limits());
            computed = Grok::new(pattern, settings.named_only, &settings.definitions, limits)
                .map_err(|_| EvalError::Pattern)?;
            if settings.named_only && !computed.has_names() {
                return Err(EvalError::Pattern);
            }
            &computed
        }
    };
    let target = call.str(0)?;
    let captures = grok.captures(&target).map_err(|WrongType| EvalError::Parse)?;
    let entries = captures.into_iter().map(|(name, captured)| {
        let value = match captured {
            Captured::Text(text) => Value::Str(Cow::Owned(text)),
            Captured::Int(number) => Value::Int(number),
            Captured::Double(number) => Value::Double(number),
            Captured::Bool(flag) => Value::Bool(flag),
        };
        (name.into_bytes(), value)
    });
    Ok(Value::map(last_of_equal_keys(entries.collect())))
}
