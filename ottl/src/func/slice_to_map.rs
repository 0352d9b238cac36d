//! `SliceToMap(target, key_path, value_path)`: a list's items under keys taken from them.

use std::borrow::Cow;

use super::{Call, Function, Param, ParamKind};
use crate::{
    error::EvalError,
    ir::Type,
    value::{Entry, Value},
};

const PATH: ParamKind = ParamKind::ListOf(&ParamKind::LiteralString);

pub(super) static FUNCTION: Function = Function::new(
    "SliceToMap",
    &[
        Param::required("Target", ParamKind::Slice),
        Param::optional("KeyPath", PATH),
        Param::optional("ValuePath", PATH),
    ],
    Type::Map,
    eval,
    "a map of a list's items, keyed by place or by the string at a path inside each item",
);

fn path<'e>(call: &Call<'_, 'e>, index: usize) -> Result<Option<Vec<Cow<'e, [u8]>>>, EvalError> {
    if !call.given(index) {
        return Ok(None);
    }
    let keys = (0..call.literal_len(index).unwrap_or(0)).map(|item| match call.item(index, item)? {
        Value::Str(key) => Ok(key),
        _ => Err(EvalError::Type),
    });
    keys.collect::<Result<_, _>>().map(Some)
}

/// What lies at the path; a missing key and an empty path are errors.
fn follow<'e>(item: &Value<'e>, path: &[Cow<'_, [u8]>]) -> Result<Value<'e>, EvalError> {
    if path.is_empty() {
        return Err(EvalError::Argument);
    }
    let mut at = item.clone();
    for key in path {
        at = match &at {
            Value::Map(map) => map.get(key).ok_or(EvalError::KeyNotFound)?,
            _ => return Err(EvalError::KeyNotFound),
        };
    }
    Ok(at)
}

fn eval<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let list = call.list(0)?;
    let key_path = path(call, 1)?;
    let value_path = path(call, 2)?;
    let mut entries: Vec<Entry<'e>> = Vec::new();
    let mut places = hashbrown::HashMap::<Vec<u8>, usize, foldhash::fast::RandomState>::default();
    for (idx, item) in list.iter().enumerate() {
        if (key_path.is_some() || value_path.is_some()) && !matches!(item, Value::Map(_)) {
            return Err(EvalError::Argument);
        }
        let key = match &key_path {
            None => Cow::Owned(idx.to_string().into_bytes()),
            Some(path) => match follow(&item, path)? {
                Value::Str(key) => key,
                _ => return Err(EvalError::Argument),
            },
        };
        let value = match &value_path {
            None => item,
            Some(path) => follow(&item, path)?,
        };
        // Of equal keys the last value stands.
        match places.get(key.as_ref()) {
            Some(&place) => entries[place].1 = value,
            None => {
                places.insert(key.to_vec(), entries.len());
                entries.push((key, value));
            }
        }
    }
    Ok(Value::map(entries))
}
