//! Attribute values as label text, as `Value.AsString` of pdata gives them: lists and maps as compact JSON with sorted
//! keys and without HTML escapes, bytes as base64.

use std::fmt::Write as _;

use crate::metrics::Value;
use crate::number::push_json_float;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

impl Value {
    /// The text of the value, `Value.AsString` in Go.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Empty => String::new(),
            Self::String(text) => text.clone(),
            Self::Double(value) => {
                let mut out = String::new();
                push_json_float(&mut out, *value);
                out
            }
            Self::Bytes(bytes) => STANDARD.encode(bytes),
            Self::Bool(_) | Self::Int(_) | Self::Array(_) | Self::Map(_) => {
                let mut out = String::new();
                // Go's encoder gives up on NaN and infinities and leaves nothing.
                if push_json(&mut out, self) { out } else { String::new() }
            }
        }
    }
}

/// False if the value has no JSON form.
fn push_json(out: &mut String, value: &Value) -> bool {
    match value {
        Value::Empty => out.push_str("null"),
        Value::String(text) => push_json_string(out, text),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(value) => {
            let _ = write!(out, "{value}");
        }
        Value::Double(value) => {
            if !value.is_finite() {
                return false;
            }
            push_json_float(out, *value);
        }
        Value::Bytes(bytes) => push_json_string(out, &STANDARD.encode(bytes)),
        Value::Array(values) => {
            out.push('[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                if !push_json(out, value) {
                    return false;
                }
            }
            out.push(']');
        }
        Value::Map(entries) => {
            // A Go map: of equal keys the last one is kept.
            let sorted: std::collections::BTreeMap<_, _> = entries.iter().map(|(key, value)| (key, value)).collect();
            out.push('{');
            for (index, (key, value)) in sorted.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                push_json_string(out, key);
                out.push(':');
                if !push_json(out, value) {
                    return false;
                }
            }
            out.push('}');
        }
    }
    true
}

fn push_json_string(out: &mut String, text: &str) {
    out.push('"');
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\0'..='\u{1f}' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(char));
            }
            char => out.push(char),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_print_as_in_go() {
        let string = |text: &str| Value::String(text.to_owned());
        let map = Value::Map(vec![("z".into(), Value::Int(-1)), ("a".into(), string("<\u{1}\">\u{2028}"))]);
        for (value, want) in [
            (Value::Empty, ""),
            (string("x\ny"), "x\ny"),
            (Value::Bool(true), "true"),
            (Value::Int(-9_007_199_254_740_993), "-9007199254740993"),
            (Value::Double(1e21), "1e+21"),
            (Value::Bytes(vec![0, 1, 255]), "AAH/"),
            (
                Value::Array(vec![string("a"), Value::Int(1), Value::Bool(true), Value::Double(2.5), Value::Empty]),
                "[\"a\",1,true,2.5,null]",
            ),
            (map, "{\"a\":\"<\\u0001\\\">\\u2028\",\"z\":-1}"),
            (Value::Array(vec![Value::Double(f64::NAN)]), ""),
            (Value::Map(Vec::new()), "{}"),
        ] {
            assert_eq!(value.to_text(), want);
        }
    }
}
