//! `HasPrefix`, `HasSuffix`, `TrimPrefix`, `TrimSuffix`: compares at the ends of a string, byte by byte.

use std::borrow::Cow;

use super::{Call, Function, Param, ParamKind};
use crate::{error::EvalError, ir::Type, value::Value};

const PREFIX: &[Param] = &[Param::required("Target", ParamKind::String), Param::required("Prefix", ParamKind::String)];
const SUFFIX: &[Param] = &[Param::required("Target", ParamKind::String), Param::required("Suffix", ParamKind::String)];

pub(super) static HAS_PREFIX: Function =
    Function::new("HasPrefix", PREFIX, Type::Bool, has_prefix, "whether a string starts with another");
pub(super) static HAS_SUFFIX: Function =
    Function::new("HasSuffix", SUFFIX, Type::Bool, has_suffix, "whether a string ends with another");
pub(super) static TRIM_PREFIX: Function =
    Function::new("TrimPrefix", PREFIX, Type::String, trim_prefix, "the string without a prefix, removed once");
pub(super) static TRIM_SUFFIX: Function =
    Function::new("TrimSuffix", SUFFIX, Type::String, trim_suffix, "the string without a suffix, removed once");

fn has_prefix<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let target = call.str(0)?;
    Ok(Value::Bool(target.starts_with(&call.str(1)?)))
}

fn has_suffix<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let target = call.str(0)?;
    Ok(Value::Bool(target.ends_with(&call.str(1)?)))
}

fn trim_prefix<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let target = call.str(0)?;
    let prefix = call.str(1)?;
    let start = if target.starts_with(&prefix) { prefix.len() } else { 0 };
    Ok(Value::Str(part(target, start..usize::MAX)))
}

fn trim_suffix<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let target = call.str(0)?;
    let suffix = call.str(1)?;
    let end = if target.ends_with(&suffix) { target.len() - suffix.len() } else { target.len() };
    Ok(Value::Str(part(target, 0..end)))
}

/// A part of a text, without copying what is borrowed. The range is cut to the text.
pub(super) fn part(text: Cow<'_, [u8]>, range: std::ops::Range<usize>) -> Cow<'_, [u8]> {
    let end = range.end.min(text.len());
    let start = range.start.min(end);
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[start..end]),
        Cow::Owned(mut text) => {
            text.truncate(end);
            text.drain(..start);
            Cow::Owned(text)
        }
    }
}
