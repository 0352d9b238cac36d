//! `Format(format, vals)`: Go's `fmt.Sprintf`.

use std::borrow::Cow;

use super::{Call, Function, Param, ParamKind};
use crate::{
    error::EvalError,
    go::{
        duration,
        fmt::{self, Arg},
        text, time,
    },
    ir::Type,
    value::{GoInt, ListRepr, MapRepr, Value},
};

pub(super) static FUNCTION: Function = Function::new(
    "Format",
    &[Param::required("Format", ParamKind::LiteralString), Param::required("Vals", ParamKind::ListOf(&ParamKind::Any))],
    Type::String,
    eval,
    "values in a text with Go's verbs: %v, %s, %05d, %.2f, %q, %x",
);

fn eval<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let format = call.str(0)?;
    let args: Result<Vec<_>, _> =
        (0..call.literal_len(1).unwrap_or(0)).map(|item| arg(call.item(1, item)?, call.limits().value_depth)).collect();
    fmt::sprintf(&format, &args?, call.limits().result_bytes).map(Value::string).ok_or(EvalError::Limit)
}

/// The Go value. Maps, slices and structs of pdata print as addresses in Go, which say nothing; here they print as the
/// Go maps, slices and empty structs that they stand for.
fn arg(value: Value<'_>, depth: usize) -> Result<Arg<'_>, EvalError> {
    let name = value.type_name();
    let deeper = depth.checked_sub(1).ok_or(EvalError::Limit)?;
    let byte_array = |id: &[u8]| Arg::List(id.iter().map(|byte| Arg::Uint(u64::from(*byte), "uint8")).collect(), name);
    // An id's text is empty where it is unset.
    let id_text = |id: &[u8]| if id.iter().all(|byte| *byte == 0) { Vec::new() } else { text::hex(id) };
    Ok(match value {
        Value::Nil => Arg::Nil,
        Value::Bool(flag) => Arg::Bool(flag),
        Value::Int(number) | Value::GoInt(GoInt::Int(number)) => Arg::Int(number, name),
        Value::GoInt(GoInt::Uint8(number)) => Arg::Uint(number.into(), name),
        Value::GoInt(GoInt::Uint64(number)) => Arg::Uint(number, name),
        Value::Double(number) => Arg::Float(number),
        Value::Str(text) => Arg::Str(text),
        Value::Bytes(bytes) => Arg::Bytes(bytes),
        Value::Map(map) => {
            let name = if map.repr() == MapRepr::Raw { "map[string]interface {}" } else { name };
            let entries: Result<Vec<_>, EvalError> =
                map.iter().map(|(key, value)| Ok((key, arg(value, deeper)?))).collect();
            Arg::Map(entries?, name)
        }
        Value::List(list) => {
            let name = if list.repr() == ListRepr::Raw { "[]interface {}" } else { name };
            if list.is_go_nil() {
                return Ok(Arg::NilList(name));
            }
            let items: Result<Vec<_>, _> = list.iter().map(|item| arg(item, deeper)).collect();
            Arg::List(items?, name)
        }
        Value::Time(at) => {
            let text = time::format(&at, "2006-01-02 15:04:05.999999999 -0700 MST").into_bytes();
            Arg::Stringer(text.clone(), Box::new(Arg::Str(Cow::Owned(text))), name)
        }
        Value::Duration(nanos) => {
            Arg::Stringer(duration::format(nanos).into_bytes(), Box::new(Arg::Int(nanos, name)), name)
        }
        Value::TraceId(id) => Arg::Stringer(id_text(&id), Box::new(byte_array(&id)), name),
        Value::SpanId(id) => Arg::Stringer(id_text(&id), Box::new(byte_array(&id)), name),
        Value::Opaque(_) => Arg::Stringer(b"{}".to_vec(), Box::new(Arg::Str(Cow::Borrowed(b"{}"))), name),
    })
}
