//! Conversion of arguments by the kind of their parameter: what literals go through when a call is built, and computed
//! arguments when it runs.

use std::borrow::Cow;

use super::{ParamKind, text_form};
use crate::{
    error::EvalError,
    go::strconv,
    limits::Limits,
    value::{GoInt, List, ListRepr, Map, MapRepr, Value},
};

/// Converts a value to what the body of a converter with such a parameter sees.
///
/// # Errors
/// [`EvalError::Type`] where the kind does not accept the value's type; other errors where the type is accepted and the
/// value is not.
pub(crate) fn convert<'w>(kind: ParamKind, value: Value<'w>, limits: &Limits) -> Result<Value<'w>, EvalError> {
    use ParamKind as Kind;
    match (kind, value) {
        (Kind::Any, value) => Ok(value),
        (Kind::String | Kind::LiteralString, value @ Value::Str(_)) => Ok(value),
        (Kind::Int | Kind::LiteralInt, value @ Value::Int(_)) => Ok(value),
        (Kind::Float | Kind::LiteralFloat, value @ Value::Double(_)) => Ok(value),
        (Kind::Bool | Kind::LiteralBool, value @ Value::Bool(_)) => Ok(value),
        (Kind::Time, value @ Value::Time(_)) => Ok(value),
        (Kind::Duration, value @ Value::Duration(_)) => Ok(value),
        (Kind::Map, Value::Map(map)) => pdata_map(map, limits, 0).map(Value::Map),
        (Kind::Slice, Value::List(list)) => pdata_slice(list, limits, 0).map(Value::List),
        (Kind::StringLike, value) => Ok(text_form::string_like(value, limits)?.map_or(Value::Nil, Value::Str)),
        (Kind::IntLike | Kind::FloatLike | Kind::BoolLike | Kind::BytesLike, Value::Nil) => Ok(Value::Nil),
        (Kind::IntLike, value) => int_like(&value).map(Value::Int),
        (Kind::FloatLike, value) => float_like(&value).map(Value::Double),
        (Kind::BoolLike, value) => bool_like(&value).map(Value::Bool),
        (Kind::BytesLike, value) => bytes_like(value).map(Value::Bytes),
        // Of a computed list; literals are converted item by item.
        (Kind::SliceOf(_), Value::Nil) => Ok(Value::List(List::owned(Vec::new(), ListRepr::Slice))),
        (Kind::SliceOf(item), Value::List(list)) => {
            let items: Result<Vec<_>, _> = list.iter().map(|value| computed_item(*item, value, limits)).collect();
            Ok(Value::List(List::owned(items?, ListRepr::Slice)))
        }
        // Go's bytes are a list too, of numbers.
        (Kind::SliceOf(item), Value::Bytes(bytes)) => {
            let numbers = bytes.iter().map(|&byte| Value::Int(i64::from(byte)));
            let items: Result<Vec<_>, _> = numbers.map(|value| computed_item(*item, value, limits)).collect();
            Ok(Value::List(List::owned(items?, ListRepr::Slice)))
        }
        _ => Err(EvalError::Type),
    }
}

/// An item of a list that was computed is a pdata value, and those have text forms of their own.
fn computed_item<'w>(kind: ParamKind, value: Value<'w>, limits: &Limits) -> Result<Value<'w>, EvalError> {
    match kind {
        ParamKind::StringLike => text_form::as_string(value, limits).map(Value::Str),
        kind => convert(kind, value, limits),
    }
}

fn int_like(value: &Value<'_>) -> Result<i64, EvalError> {
    match value {
        Value::Int(number) => Ok(*number),
        Value::Double(number) => Ok(strconv::truncate_to_int(*number)),
        Value::Bool(flag) => Ok(i64::from(*flag)),
        Value::Str(text) => strconv::parse_int(text, 10).map_err(|_| EvalError::Parse),
        _ => Err(EvalError::Type),
    }
}

fn float_like(value: &Value<'_>) -> Result<f64, EvalError> {
    match value {
        Value::Double(number) => Ok(*number),
        Value::Int(number) => Ok(*number as f64),
        Value::Bool(flag) => Ok(f64::from(u8::from(*flag))),
        Value::Str(text) => strconv::parse_float(text).map_err(|_| EvalError::Parse),
        _ => Err(EvalError::Type),
    }
}

fn bool_like(value: &Value<'_>) -> Result<bool, EvalError> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::Int(number) => Ok(*number != 0),
        Value::Double(number) => Ok(*number != 0.0),
        Value::Str(text) => strconv::parse_bool(text).map_err(|_| EvalError::Parse),
        // The one conversion that takes Go's int: it goes through `int != 0` on any integer type.
        Value::GoInt(GoInt::Int(number)) => Ok(*number != 0),
        _ => Err(EvalError::Type),
    }
}

fn bytes_like(value: Value<'_>) -> Result<Cow<'_, [u8]>, EvalError> {
    match value {
        Value::Bytes(bytes) | Value::Str(bytes) => Ok(bytes),
        Value::Bool(flag) => Ok(Cow::Owned(vec![u8::from(flag)])),
        Value::Int(number) => Ok(Cow::Owned(number.to_be_bytes().to_vec())),
        Value::Double(number) => Ok(Cow::Owned(number.to_bits().to_be_bytes().to_vec())),
        _ => Err(EvalError::Type),
    }
}

/// A Go map becomes a pdata map with all in it; a pdata map passes.
fn pdata_map<'w>(map: Map<'w>, limits: &Limits, depth: usize) -> Result<Map<'w>, EvalError> {
    if map.repr() == MapRepr::Pdata {
        return Ok(map);
    }
    let entries: Result<Vec<_>, _> =
        map.iter().map(|(key, value)| Ok((key, storable(value, limits, depth)?))).collect();
    Ok(Map::owned(entries?, MapRepr::Pdata))
}

/// A list literal or typed list becomes a pdata slice with all in it; a pdata slice passes.
fn pdata_slice<'w>(list: List<'w>, limits: &Limits, depth: usize) -> Result<List<'w>, EvalError> {
    if list.repr() == ListRepr::Slice {
        return Ok(list);
    }
    let items: Result<Vec<_>, _> = list.iter().map(|value| storable(value, limits, depth)).collect();
    Ok(List::owned(items?, ListRepr::Slice))
}

/// What `pcommon.Value.FromRaw` takes: Go's own types, not pdata's, and no ids, times or typed lists.
pub(crate) fn storable<'w>(value: Value<'w>, limits: &Limits, depth: usize) -> Result<Value<'w>, EvalError> {
    if depth > limits.value_depth {
        return Err(EvalError::Limit);
    }
    match value {
        Value::Nil | Value::Bool(_) | Value::Int(_) | Value::Double(_) | Value::Str(_) | Value::Bytes(_) => Ok(value),
        Value::GoInt(GoInt::Int(number)) => Ok(Value::Int(number)),
        Value::GoInt(GoInt::Uint8(number)) => Ok(Value::Int(i64::from(number))),
        Value::GoInt(GoInt::Uint64(number)) => Ok(Value::Int(number.cast_signed())),
        Value::Map(map) if map.repr() == MapRepr::Raw => pdata_map(map, limits, depth + 1).map(Value::Map),
        Value::List(list) if list.repr() == ListRepr::Raw => pdata_slice(list, limits, depth + 1).map(Value::List),
        _ => Err(EvalError::NotStorable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: ParamKind, value: Value<'_>, expected: &Result<Value<'_>, EvalError>) {
        let converted = convert(kind, value, &Limits::default());
        assert_eq!(format!("{converted:?}"), format!("{expected:?}"));
    }

    #[test]
    fn string_like_forms() {
        let check = |value, text: &str| check(ParamKind::StringLike, value, &Ok(Value::string(text)));
        check(Value::Double(1e-7), "1e-07");
        check(Value::Double(42.0), "42");
        check(Value::Duration(1_000_000_000), "1000000000");
        check(Value::SpanId([1, 2, 3, 4, 5, 6, 7, 8]), "[1,2,3,4,5,6,7,8]");
        check(Value::Bytes(Cow::Borrowed(b"\x01\xff")), "01ff");
        let map = || {
            Value::map(vec![
                (Cow::Borrowed(&b"b"[..]), Value::str("<&>")),
                (Cow::Borrowed(b"a"), Value::Bytes(Cow::Borrowed(b"\x01"))),
                (Cow::Borrowed(b"b"), Value::Nil),
            ])
        };
        check(map(), r#"{"a":"AQ==","b":null}"#);
        check(Value::slice(vec![map()]), r#"[{"a":"AQ==","b":null}]"#);
        check(Value::List(List::owned(vec![map(), Value::slice(vec![])], ListRepr::Raw)), "[{},{}]");
    }

    #[test]
    fn numbers_without_a_json_form_are_errors() {
        check(ParamKind::StringLike, Value::Double(f64::NAN), &Err(EvalError::Argument));
        check(ParamKind::StringLike, Value::slice(vec![Value::Double(f64::NAN)]), &Err(EvalError::Argument));
    }

    #[test]
    fn computed_lists_give_pdata_texts() {
        let list = Value::slice(vec![
            Value::Nil,
            Value::Double(1e-7),
            Value::Double(f64::NAN),
            Value::Bytes(Cow::Borrowed(b"\x01")),
            Value::slice(vec![Value::str("<")]),
        ]);
        let texts = ["", "1e-7", "NaN", "AQ==", r#"["<"]"#].map(Value::str);
        let converted = convert(ParamKind::SliceOf(&ParamKind::StringLike), list, &Limits::default()).unwrap();
        let Value::List(items) = converted else { panic!("no list") };
        assert_eq!(
            items.iter().map(|item| format!("{item:?}")).collect::<Vec<_>>(),
            texts.map(|text| format!("{text:?}"))
        );
    }

    #[test]
    fn slices_refuse_what_pdata_cannot_hold() {
        let raw = |items| Value::List(List::owned(items, ListRepr::Raw));
        check(ParamKind::Slice, raw(vec![Value::map(vec![])]), &Err(EvalError::NotStorable));
        check(ParamKind::Slice, raw(vec![Value::TraceId([0; 16])]), &Err(EvalError::NotStorable));
        check(ParamKind::Slice, raw(vec![raw(vec![])]), &Ok(Value::slice(vec![Value::slice(vec![])])));
        check(ParamKind::Slice, Value::Nil, &Err(EvalError::Type));
    }

    #[test]
    fn casts_are_those_of_amd64() {
        check(ParamKind::IntLike, Value::Double(f64::NAN), &Ok(Value::Int(i64::MIN)));
        check(ParamKind::IntLike, Value::str("1_0"), &Err(EvalError::Parse));
        check(ParamKind::BoolLike, Value::Double(f64::NAN), &Ok(Value::Bool(true)));
        check(ParamKind::BytesLike, Value::Int(1), &Ok(Value::Bytes(Cow::Borrowed(&[0, 0, 0, 0, 0, 0, 0, 1]))));
        check(ParamKind::IntLike, Value::GoInt(GoInt::Int(80)), &Err(EvalError::Type));
    }
}
