//! Values as texts, as `tests/go/ottl/describe.go` writes them.

use std::collections::BTreeMap;

use ottl::{
    go::text,
    value::{GoInt, ListRepr, MapRepr, Value},
};

fn hex(bytes: &[u8]) -> String {
    text::hex(bytes).into_iter().map(char::from).collect()
}

/// Equal texts mean equal values of equal Go types.
pub(crate) fn value(value: &Value<'_>) -> String {
    match value {
        Value::Nil => "nil".to_owned(),
        Value::Bool(flag) => format!("b:{flag}"),
        Value::Int(number) => format!("i:{number}"),
        Value::GoInt(GoInt::Int(number)) => format!("int:{number}"),
        Value::GoInt(GoInt::Uint8(number)) => format!("uint8:{number}"),
        Value::GoInt(GoInt::Uint64(number)) => format!("uint64:{number}"),
        Value::Double(number) if number.is_nan() => "d:nan".to_owned(),
        Value::Double(number) => format!("d:{:016x}", number.to_bits()),
        Value::Str(text) => format!("s:{}", hex(text)),
        Value::Bytes(bytes) => format!("y:{}", hex(bytes)),
        Value::Duration(nanos) => format!("u:{nanos}"),
        Value::Time(time) => format!("t:{}.{}.{}", time.sec, time.nsec, time.offset_seconds()),
        Value::TraceId(id) => format!("x:{}", hex(id)),
        Value::SpanId(id) => format!("x:{}", hex(id)),
        Value::Map(map) => {
            let mut entries: BTreeMap<String, String> = BTreeMap::new();
            for (key, entry) in map.iter() {
                // Of equal keys the first is the one that is read.
                entries.entry(hex(&key)).or_insert_with(|| self::value(&entry));
            }
            let kind = if map.repr() == MapRepr::Pdata { "map" } else { "raw" };
            let mut lines: Vec<String> = entries.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
            lines.sort_unstable();
            format!("{kind}{{{}}}", lines.join(","))
        }
        Value::List(list) => {
            let kind = match list.repr() {
                ListRepr::Slice => "slice",
                ListRepr::Raw => "[]any",
                ListRepr::Strings => "[]string",
                ListRepr::Ints => "[]int64",
                ListRepr::UInts => "[]uint64",
                ListRepr::Doubles | ListRepr::MadeDoubles => "[]float64",
                ListRepr::Bools => "[]bool",
            };
            let items: Vec<String> = list.iter().map(|item| self::value(&item)).collect();
            format!("{kind}[{}]", items.join(","))
        }
        Value::Opaque(_) => "?".to_owned(),
    }
}
