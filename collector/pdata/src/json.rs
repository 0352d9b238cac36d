//! OTLP/JSON to protobuf bytes: what comes in as JSON goes on as if it had come in as protobuf.
//!
//! As the Go collector reads it: ids are hex in any case, 64-bit integers are strings or numbers, enums are numbers or
//! names, keys are lowerCamelCase or snake_case, null is the default, unknown keys are ignored. Errors name the place.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value as Json};

use crate::wire::{put_bytes, put_varint};

/// Why a text is no OTLP/JSON request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// No JSON at all.
    #[error("{0}")]
    Syntax(String),
    /// JSON, but not of the right shape.
    #[error("{path}: {message}")]
    Shape {
        /// `resourceSpans[0].scopeSpans[1].spans[2].traceId`
        path: String,
        /// What is wrong.
        message: String,
    },
}

/// An ExportTraceServiceRequest as protobuf bytes.
pub fn traces_from_json(text: &[u8]) -> Result<Vec<u8>, JsonError> {
    let json: Json = serde_json::from_slice(text).map_err(|error| JsonError::Syntax(error.to_string()))?;
    let mut out = Vec::with_capacity(text.len() / 2);
    let request = Object::new(&json, String::new())?;
    request.each("resourceSpans", |resource_spans| {
        let mut bytes = Vec::new();
        resource_spans.message("resource", &mut bytes, 1, resource)?;
        resource_spans.each("scopeSpans", |scope_spans| {
            let mut inner = Vec::new();
            scope_spans.message("scope", &mut inner, 1, scope)?;
            scope_spans.each("spans", |span_json| {
                let mut span_bytes = Vec::new();
                span(&span_json, &mut span_bytes)?;
                put_bytes(&mut inner, 2, &span_bytes);
                Ok(())
            })?;
            scope_spans.string("schemaUrl", &mut inner, 3)?;
            put_bytes(&mut bytes, 2, &inner);
            Ok(())
        })?;
        resource_spans.string("schemaUrl", &mut bytes, 3)?;
        put_bytes(&mut out, 1, &bytes);
        Ok(())
    })?;
    Ok(out)
}

type Outcome = Result<(), JsonError>;

fn resource(json: &Object<'_>, out: &mut Vec<u8>) -> Outcome {
    json.attributes(out, 1)?;
    json.unsigned("droppedAttributesCount", out, 2)
}

fn scope(json: &Object<'_>, out: &mut Vec<u8>) -> Outcome {
    json.string("name", out, 1)?;
    json.string("version", out, 2)?;
    json.attributes(out, 3)?;
    json.unsigned("droppedAttributesCount", out, 4)
}

fn span(json: &Object<'_>, out: &mut Vec<u8>) -> Outcome {
    json.id("traceId", out, 1, 16)?;
    json.id("spanId", out, 2, 8)?;
    json.string("traceState", out, 3)?;
    json.id("parentSpanId", out, 4, 8)?;
    json.string("name", out, 5)?;
    json.enumeration(
        "kind",
        out,
        6,
        "SPAN_KIND_",
        &["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"],
    )?;
    json.fixed64("startTimeUnixNano", out, 7)?;
    json.fixed64("endTimeUnixNano", out, 8)?;
    json.attributes(out, 9)?;
    json.unsigned("droppedAttributesCount", out, 10)?;
    json.each("events", |json| {
        let mut event = Vec::new();
        json.fixed64("timeUnixNano", &mut event, 1)?;
        json.string("name", &mut event, 2)?;
        json.attributes(&mut event, 3)?;
        json.unsigned("droppedAttributesCount", &mut event, 4)?;
        put_bytes(out, 11, &event);
        Ok(())
    })?;
    json.unsigned("droppedEventsCount", out, 12)?;
    json.each("links", |json| {
        let mut link = Vec::new();
        json.id("traceId", &mut link, 1, 16)?;
        json.id("spanId", &mut link, 2, 8)?;
        json.string("traceState", &mut link, 3)?;
        json.attributes(&mut link, 4)?;
        json.unsigned("droppedAttributesCount", &mut link, 5)?;
        json.fixed32("flags", &mut link, 6)?;
        put_bytes(out, 13, &link);
        Ok(())
    })?;
    json.unsigned("droppedLinksCount", out, 14)?;
    json.message("status", out, 15, |json, out| {
        json.string("message", out, 2)?;
        json.enumeration("code", out, 3, "STATUS_CODE_", &["UNSET", "OK", "ERROR"])
    })?;
    json.fixed32("flags", out, 16)
}

/// A KeyValue entry.
fn key_value(json: &Object<'_>, out: &mut Vec<u8>) -> Outcome {
    json.string("key", out, 1)?;
    json.message("value", out, 2, any_value)
}

fn any_value(json: &Object<'_>, out: &mut Vec<u8>) -> Outcome {
    if let Some((path, text)) = json.get("stringValue") {
        put_bytes(out, 1, string(text, &path)?.as_bytes());
    } else if let Some((path, truth)) = json.get("boolValue") {
        let truth = truth.as_bool().ok_or_else(|| shape(path, "expected true or false"))?;
        out.push(2 << 3);
        out.push(u8::from(truth));
    } else if let Some((path, whole)) = json.get("intValue") {
        out.push(3 << 3);
        put_varint(out, signed(whole, &path)? as u64);
    } else if let Some((path, number)) = json.get("doubleValue") {
        out.push(4 << 3 | 1);
        out.extend_from_slice(&double(number, &path)?.to_le_bytes());
    } else if json.get("arrayValue").is_some() {
        json.message("arrayValue", out, 5, |array, out| {
            array.each("values", |json| {
                let mut item = Vec::new();
                any_value(&json, &mut item)?;
                put_bytes(out, 1, &item);
                Ok(())
            })
        })?;
    } else if json.get("kvlistValue").is_some() {
        json.message("kvlistValue", out, 6, |map, out| {
            map.each("values", |json| {
                let mut entry = Vec::new();
                key_value(&json, &mut entry)?;
                put_bytes(out, 1, &entry);
                Ok(())
            })
        })?;
    } else if let Some((path, text)) = json.get("bytesValue") {
        let bytes = BASE64_STANDARD.decode(string(text, &path)?).map_err(|error| shape(path, error.to_string()))?;
        put_bytes(out, 7, &bytes);
    }
    Ok(())
}

/// A JSON object with the path that leads to it.
struct Object<'a> {
    map: &'a Map<String, Json>,
    path: String,
}

impl<'a> Object<'a> {
    fn new(json: &'a Json, path: String) -> Result<Self, JsonError> {
        match json {
            Json::Object(map) => Ok(Self { map, path }),
            _ if path.is_empty() => Err(JsonError::Syntax("expected an object".to_owned())),
            _ => Err(shape(path, "expected an object")),
        }
    }

    /// The value of a key in either spelling, unless it is null.
    fn get(&self, key: &str) -> Option<(String, &'a Json)> {
        let value = self.map.get(key).or_else(|| self.map.get(&snake_case(key)))?;
        (!value.is_null()).then(|| (self.path_of(key), value))
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn each(&self, key: &str, mut take: impl FnMut(Object<'a>) -> Outcome) -> Outcome {
        let Some((path, list)) = self.get(key) else { return Ok(()) };
        let list = list.as_array().ok_or_else(|| shape(path.clone(), "expected an array"))?;
        for (number, item) in list.iter().enumerate() {
            take(Object::new(item, format!("{path}[{number}]"))?)?;
        }
        Ok(())
    }

    fn message(
        &self,
        key: &str,
        out: &mut Vec<u8>,
        field: u32,
        write: impl FnOnce(&Object<'a>, &mut Vec<u8>) -> Outcome,
    ) -> Outcome {
        let Some((path, json)) = self.get(key) else { return Ok(()) };
        let mut inner = Vec::new();
        write(&Object::new(json, path)?, &mut inner)?;
        put_bytes(out, field, &inner);
        Ok(())
    }

    fn attributes(&self, out: &mut Vec<u8>, field: u32) -> Outcome {
        self.each("attributes", |json| {
            let mut entry = Vec::new();
            key_value(&json, &mut entry)?;
            put_bytes(out, field, &entry);
            Ok(())
        })
    }

    fn string(&self, key: &str, out: &mut Vec<u8>, field: u32) -> Outcome {
        let Some((path, json)) = self.get(key) else { return Ok(()) };
        let text = string(json, &path)?;
        if !text.is_empty() {
            put_bytes(out, field, text.as_bytes());
        }
        Ok(())
    }

    fn id(&self, key: &str, out: &mut Vec<u8>, field: u32, len: usize) -> Outcome {
        let Some((path, json)) = self.get(key) else { return Ok(()) };
        let text = string(json, &path)?;
        if text.is_empty() {
            return Ok(());
        }
        if text.len() != 2 * len {
            return Err(shape(path, format!("length mismatch: expected {} hex digits, got {}", 2 * len, text.len())));
        }
        let digits: Option<Vec<u8>> = text.chars().map(|digit| digit.to_digit(16).map(|digit| digit as u8)).collect();
        let Some(digits) = digits else { return Err(shape(path, "expected hex digits")) };
        let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
        put_bytes(out, field, &bytes);
        Ok(())
    }

    fn fixed64(&self, key: &str, out: &mut Vec<u8>, field: u32) -> Outcome {
        let Some((path, json)) = self.get(key) else { return Ok(()) };
        let value = unsigned(json, &path)?;
        if value != 0 {
            put_varint(out, u64::from(field) << 3 | 1);
            out.extend_from_slice(&value.to_le_bytes());
        }
        Ok(())
    }

    fn fixed32(&self, key: &str, out: &mut Vec<u8>, field: u32) -> Outcome {
        let Some((path, json)) = self.get(key) else { return Ok(()) };
        let value = u32::try_from(unsigned(json, &path)?).map_err(|_| shape(path, "expected 32 bits"))?;
        if value != 0 {
            put_varint(out, u64::from(field) << 3 | 5);
            out.extend_from_slice(&value.to_le_bytes());
        }
        Ok(())
    }

    fn unsigned(&self, key: &str, out: &mut Vec<u8>, field: u32) -> Outcome {
        let Some((path, json)) = self.get(key) else { return Ok(()) };
        let value = u32::try_from(unsigned(json, &path)?).map_err(|_| shape(path, "expected 32 bits"))?;
        if value != 0 {
            put_varint(out, u64::from(field) << 3);
            put_varint(out, u64::from(value));
        }
        Ok(())
    }

    fn enumeration(&self, key: &str, out: &mut Vec<u8>, field: u32, prefix: &str, names: &[&str]) -> Outcome {
        let Some((path, json)) = self.get(key) else { return Ok(()) };
        let number = match json {
            Json::String(name) => {
                let known = name.strip_prefix(prefix).and_then(|name| names.iter().position(|known| *known == name));
                match known {
                    Some(number) => number as i64,
                    None => signed(json, &path).map_err(|_| shape(path, format!("unknown value \"{name}\"")))?,
                }
            }
            _ => signed(json, &path)?,
        };
        if number != 0 {
            put_varint(out, u64::from(field) << 3);
            // A negative 32-bit number is sign-extended on the wire.
            put_varint(out, i64::from(number as i32) as u64);
        }
        Ok(())
    }
}

fn shape(path: String, message: impl Into<String>) -> JsonError {
    JsonError::Shape { path, message: message.into() }
}

fn string<'a>(json: &'a Json, path: &str) -> Result<&'a str, JsonError> {
    json.as_str().ok_or_else(|| shape(path.to_owned(), "expected a string"))
}

/// A number as written, or the text of a string: integers keep all their digits either way.
fn digits(json: &Json, path: &str) -> Result<String, JsonError> {
    match json {
        Json::Number(number) => Ok(number.to_string()),
        Json::String(text) => Ok(text.clone()),
        _ => Err(shape(path.to_owned(), "expected a number")),
    }
}

fn unsigned(json: &Json, path: &str) -> Result<u64, JsonError> {
    digits(json, path)?.parse().map_err(|_| shape(path.to_owned(), "expected a non-negative integer"))
}

fn signed(json: &Json, path: &str) -> Result<i64, JsonError> {
    digits(json, path)?.parse().map_err(|_| shape(path.to_owned(), "expected an integer"))
}

fn double(json: &Json, path: &str) -> Result<f64, JsonError> {
    digits(json, path)?.parse().map_err(|_| shape(path.to_owned(), "expected a number"))
}

fn snake_case(key: &str) -> String {
    let mut out = String::with_capacity(key.len() + 4);
    for letter in key.chars() {
        if letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(text: &str) -> String {
        traces_from_json(text.as_bytes()).expect_err("refused").to_string()
    }

    #[test]
    fn spellings_are_equal() {
        let camel = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"0102030405060708090A0B0C0D0E0F10",
            "kind":2,"startTimeUnixNano":"5","status":{"code":2},"unknown":[1]}]}]}]}"#;
        let snake = br#"{"resource_spans":[{"scope_spans":[{"spans":[{"trace_id":"0102030405060708090a0b0c0d0e0f10",
            "kind":"SPAN_KIND_SERVER","start_time_unix_nano":5,"status":{"code":"STATUS_CODE_ERROR"},"name":null}]}]}]}"#;
        let bytes = traces_from_json(camel).expect("accepted");
        assert_eq!(traces_from_json(snake), Ok(bytes.clone()));
        let traces = crate::Traces::index(bytes.into()).expect("well-formed");
        assert_eq!(traces.span_count(), 1);
    }

    #[test]
    fn mistakes_name_their_place() {
        assert!(failure("").contains("EOF"));
        assert_eq!(failure("[]"), "expected an object");
        let at = |span: &str| failure(&format!("{{\"resourceSpans\":[{{\"scopeSpans\":[{{\"spans\":[{span}]}}]}}]}}"));
        let place = "resourceSpans[0].scopeSpans[0].spans[0]";
        assert_eq!(
            at(r#"{"traceId":"abcd"}"#),
            format!("{place}.traceId: length mismatch: expected 32 hex digits, got 4")
        );
        assert_eq!(at(r#"{"kind":"SPAN_KIND_X"}"#), format!("{place}.kind: unknown value \"SPAN_KIND_X\""));
        assert_eq!(at(r#"{"name":1}"#), format!("{place}.name: expected a string"));
        assert_eq!(
            at(r#"{"attributes":[{"key":"k","value":{"intValue":"1.5"}}]}"#),
            format!("{place}.attributes[0].value.intValue: expected an integer")
        );
    }
}
