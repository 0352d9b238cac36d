//! `ParseKeyValue(target, delimiter, pair_delimiter)`: `k=v` pairs as a map.

use std::borrow::Cow;

use super::{
    Call, Function, Literals, Param, ParamKind, Prepared, Refusal,
    to_key_value_string::{Delimiters, delimiters},
};
use crate::{
    error::EvalError,
    go::text,
    ir::Type,
    value::{Entry, Value},
};

pub(super) static FUNCTION: Function = Function {
    prepare: Some(prepare),
    ..Function::new(
        "ParseKeyValue",
        &[
            Param::required("Target", ParamKind::String),
            Param::optional("Delimiter", ParamKind::LiteralString),
            Param::optional("PairDelimiter", ParamKind::LiteralString),
        ],
        Type::Map,
        eval,
        "a map of key=value pairs; quotes protect delimiters",
    )
};

fn prepare(literals: &Literals<'_>) -> Result<Prepared, Refusal> {
    Ok(Some(Box::new(delimiters(literals, 1, 2)?)))
}

/// Splits at delimiters outside quotes and removes the quotes; empty parts are left out. A backslash keeps a quote from
/// counting and stays in the text.
fn split_quoted(source: &[u8], delimiter: &[u8]) -> Result<Vec<Vec<u8>>, EvalError> {
    let mut parts = Vec::new();
    let mut current = Vec::new();
    let mut quote = None;
    let mut escaped = false;
    let mut at = 0;
    while let Some(&byte) = source.get(at) {
        if quote.is_none() && source[at..].starts_with(delimiter) {
            if !current.is_empty() {
                parts.push(std::mem::take(&mut current));
            }
            at += delimiter.len();
            continue;
        }
        at += 1;
        if !escaped {
            if quote.is_none() && matches!(byte, b'"' | b'\'') {
                quote = Some(byte);
                continue;
            }
            if quote == Some(byte) {
                quote = None;
                continue;
            }
            escaped = byte == b'\\';
        } else {
            escaped = false;
        }
        current.push(byte);
    }
    if quote.is_some() {
        return Err(EvalError::Parse);
    }
    if !current.is_empty() {
        parts.push(current);
    }
    Ok(parts)
}

fn eval<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let delimiters = call.prepared::<Delimiters>().ok_or(EvalError::Argument)?;
    let source = call.str(0)?;
    if source.is_empty() {
        return Err(EvalError::Argument);
    }
    let mut entries = Vec::new();
    for pair in split_quoted(&source, &delimiters.pair)? {
        let at = memchr::memmem::find(&pair, &delimiters.key_value).ok_or(EvalError::Parse)?;
        let key = text::trim_space(&pair[..at]).to_vec();
        let value = text::trim_space(&pair[at + delimiters.key_value.len()..]).to_vec();
        entries.push((key, Value::string(value)));
    }
    Ok(Value::map(last_of_equal_keys(entries)))
}

/// A map as Go would hold it: each key once, with its last value, in the place of its first.
pub(super) fn last_of_equal_keys<'e>(entries: Vec<(Vec<u8>, Value<'e>)>) -> Vec<Entry<'e>> {
    let mut kept: Vec<Entry<'e>> = Vec::with_capacity(entries.len());
    let mut places = hashbrown::HashMap::<Vec<u8>, usize, foldhash::fast::RandomState>::default();
    for (key, value) in entries {
        match places.get(&key) {
            Some(&place) => kept[place].1 = value,
            None => {
                places.insert(key.clone(), kept.len());
                kept.push((Cow::Owned(key), value));
            }
        }
    }
    kept
}
