//! Text forms of values: what string-like parameters see, and what pdata's `AsString` gives.
//!
//! The two differ in details that users can see: how bytes, times and nested values look, and what NaN does.

use std::borrow::Cow;

use base64::Engine as _;

use crate::{
    error::EvalError,
    go::{
        json::{self, Style},
        text, time,
    },
    limits::Limits,
    value::{GoInt, List, ListRepr, Map, MapRepr, Value},
};

/// The string-like form; `None` for nil.
///
/// # Errors
/// For numbers and times without a JSON form, and for results beyond the limits.
pub(crate) fn string_like<'w>(value: Value<'w>, limits: &Limits) -> Result<Option<Cow<'w, [u8]>>, EvalError> {
    let text = match value {
        Value::Nil => return Ok(None),
        Value::Str(text) => return Ok(Some(text)),
        Value::Bool(true) => return Ok(Some(Cow::Borrowed(b"true"))),
        Value::Bool(false) => return Ok(Some(Cow::Borrowed(b"false"))),
        Value::Bytes(bytes) => text::hex(&bytes),
        other => {
            let mut writer = Writer { out: Vec::new(), style: Style::GoJson, limits };
            writer.value(&other, true, 0)?;
            writer.out
        }
    };
    bounded(text, limits).map(|text| Some(Cow::Owned(text)))
}

/// `pcommon.Value.AsString`: how items of a computed list and values of `ToKeyValueString` look.
///
/// # Errors
/// For results beyond the limits.
pub(crate) fn as_string<'w>(value: Value<'w>, limits: &Limits) -> Result<Cow<'w, [u8]>, EvalError> {
    let text = match value {
        Value::Nil => return Ok(Cow::Borrowed(b"")),
        Value::Str(text) => return Ok(text),
        Value::Bool(true) => return Ok(Cow::Borrowed(b"true")),
        Value::Bool(false) => return Ok(Cow::Borrowed(b"false")),
        Value::Bytes(bytes) => base64::prelude::BASE64_STANDARD.encode(bytes).into_bytes(),
        Value::Double(number) if number.is_nan() => return Ok(Cow::Borrowed(b"NaN")),
        Value::Double(f64::INFINITY) => return Ok(Cow::Borrowed(b"Infinity")),
        Value::Double(f64::NEG_INFINITY) => return Ok(Cow::Borrowed(b"-Infinity")),
        other => {
            let mut writer = Writer { out: Vec::new(), style: Style::Pdata, limits };
            match writer.value(&other, false, 0) {
                Ok(()) => writer.out,
                // pdata drops the error of a NaN inside a map or slice, and with it the text.
                Err(EvalError::Argument) => Vec::new(),
                Err(error) => return Err(error),
            }
        }
    };
    bounded(text, limits).map(Cow::Owned)
}

/// Refuses a text that is longer than a converter may make.
pub(crate) fn bounded(text: Vec<u8>, limits: &Limits) -> Result<Vec<u8>, EvalError> {
    if text.len() > limits.result_bytes { Err(EvalError::Limit) } else { Ok(text) }
}

struct Writer<'l> {
    out: Vec<u8>,
    style: Style,
    limits: &'l Limits,
}

impl Writer<'_> {
    /// JSON of a value. `raw` says that it stands at the top or in a Go list literal, where pdata's own types have only
    /// private fields and so print as empty objects; at the top they are unwrapped first.
    fn value(&mut self, value: &Value<'_>, raw: bool, depth: usize) -> Result<(), EvalError> {
        if depth > self.limits.value_depth || self.out.len() > self.limits.result_bytes {
            return Err(EvalError::Limit);
        }
        match value {
            Value::Nil => self.out.extend_from_slice(b"null"),
            Value::Bool(flag) => self.out.extend_from_slice(if *flag { b"true" } else { b"false" }),
            Value::Int(number) | Value::Duration(number) | Value::GoInt(GoInt::Int(number)) => self.integer(*number),
            Value::GoInt(GoInt::Uint8(number)) => self.integer(*number),
            Value::GoInt(GoInt::Uint64(number)) => self.integer(*number),
            Value::Double(number) => {
                json::push_number(&mut self.out, *number, self.style).map_err(|json::NotFinite| EvalError::Argument)?;
            }
            Value::Str(text) => json::push_string(&mut self.out, text, self.style),
            // Go's nil slice.
            Value::Bytes(bytes) if bytes.is_empty() => self.out.extend_from_slice(b"null"),
            Value::Bytes(bytes) => {
                let text = base64::prelude::BASE64_STANDARD.encode(bytes);
                json::push_string(&mut self.out, text.as_bytes(), self.style);
            }
            Value::Map(map) if raw && depth > 0 && map.repr() == MapRepr::Pdata => self.out.extend_from_slice(b"{}"),
            Value::Map(map) => self.map(map, depth)?,
            Value::List(list) if raw && depth > 0 && list.repr() == ListRepr::Slice => {
                self.out.extend_from_slice(b"{}")
            }
            Value::List(list) if list.is_go_nil() => self.out.extend_from_slice(b"null"),
            Value::List(list) => self.list(list, raw && list.repr() != ListRepr::Slice, depth)?,
            Value::Time(at) => {
                let text = time::json(at).ok_or(EvalError::Argument)?;
                json::push_string(&mut self.out, text.as_bytes(), self.style);
            }
            Value::TraceId(id) => self.byte_numbers(id),
            Value::SpanId(id) => self.byte_numbers(id),
            Value::Opaque(_) => self.out.extend_from_slice(b"{}"),
        }
        Ok(())
    }

    fn integer(&mut self, number: impl std::fmt::Display) {
        self.out.extend_from_slice(number.to_string().as_bytes());
    }

    fn byte_numbers(&mut self, id: &[u8]) {
        let numbers: Vec<String> = id.iter().map(u8::to_string).collect();
        self.out.extend_from_slice(format!("[{}]", numbers.join(",")).as_bytes());
    }

    fn list(&mut self, list: &List<'_>, raw: bool, depth: usize) -> Result<(), EvalError> {
        self.out.push(b'[');
        for (idx, item) in list.iter().enumerate() {
            if idx > 0 {
                self.out.push(b',');
            }
            self.value(&item, raw, depth + 1)?;
        }
        self.out.push(b']');
        Ok(())
    }

    /// Keys sorted; of equal keys the last one stands, as in the Go map that it becomes.
    fn map(&mut self, map: &Map<'_>, depth: usize) -> Result<(), EvalError> {
        let mut entries: Vec<_> = map.iter().collect();
        entries.sort_by(|(left, _), (right, _)| left.cmp(right));
        self.out.push(b'{');
        let mut first = true;
        for (idx, (key, value)) in entries.iter().enumerate() {
            if entries.get(idx + 1).is_some_and(|(next, _)| next == key) {
                continue;
            }
            if !std::mem::take(&mut first) {
                self.out.push(b',');
            }
            json::push_string(&mut self.out, key, self.style);
            self.out.push(b':');
            self.value(value, false, depth + 1)?;
        }
        self.out.push(b'}');
        Ok(())
    }
}
