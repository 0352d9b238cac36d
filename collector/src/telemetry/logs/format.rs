//! One event as one line: the console and the JSON form of the Go collector's logger.

use std::fmt;

use chrono::{DateTime, Local, SecondsFormat};
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::Attributes;
use tracing::{Event, Level};

/// What a line is made of.
pub(super) struct Line<'a> {
    pub(super) unix_nano: u64,
    pub(super) level: Level,
    /// File and line of the event.
    pub(super) caller: Option<(&'a str, u32)>,
    pub(super) message: &'a str,
    /// Fields of every line.
    pub(super) common: &'a Map<String, Value>,
    pub(super) fields: &'a Map<String, Value>,
}

impl Line<'_> {
    /// `time<TAB>level<TAB>caller<TAB>message<TAB>{fields}`
    pub(super) fn console(&self) -> String {
        let mut out = format!("{}\t{}\t", time(self.unix_nano), level(self.level));
        if let Some((file, line)) = self.caller {
            out.push_str(&format!("{}:{line}\t", short(file)));
        }
        out.push_str(self.message);
        let fields = self.all_fields();
        if !fields.is_empty() {
            out.push('\t');
            out.push_str(&Value::Object(fields).to_string());
        }
        out.push('\n');
        out
    }

    /// `{"level":..,"ts":..,"caller":..,"msg":..,fields}`
    pub(super) fn json(&self) -> String {
        let mut out = Map::new();
        out.insert("level".to_owned(), level(self.level).into());
        out.insert("ts".to_owned(), time(self.unix_nano).into());
        if let Some((file, line)) = self.caller {
            out.insert("caller".to_owned(), format!("{}:{line}", short(file)).into());
        }
        out.insert("msg".to_owned(), self.message.into());
        out.append(&mut self.all_fields());
        let mut text = Value::Object(out).to_string();
        text.push('\n');
        text
    }

    fn all_fields(&self) -> Map<String, Value> {
        let mut all = self.common.clone();
        all.extend(self.fields.iter().map(|(key, value)| (key.clone(), value.clone())));
        all
    }
}

fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

/// ISO 8601 with milliseconds; `Z` where local time is UTC.
fn time(unix_nano: u64) -> String {
    let nanos = i64::try_from(unix_nano).unwrap_or(i64::MAX);
    DateTime::from_timestamp_nanos(nanos).with_timezone(&Local).to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The last two parts of a path, as zap prints callers.
fn short(file: &str) -> &str {
    let cut = file.rmatch_indices('/').nth(1).map_or(0, |(at, _)| at + 1);
    &file[cut..]
}

/// The event's message and its other fields in order.
pub(super) fn collect(event: &Event<'_>) -> (String, Map<String, Value>) {
    let mut fields = Fields::default();
    event.record(&mut fields);
    (fields.message, fields.rest)
}

/// A span's fields in order.
pub(super) fn span_fields(attributes: &Attributes<'_>) -> Map<String, Value> {
    let mut fields = Fields::default();
    attributes.record(&mut fields);
    fields.rest
}

#[derive(Default)]
struct Fields {
    message: String,
    rest: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        self.rest.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            self.message = text;
        } else {
            self.put(field, text.into());
        }
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.put(field, value.into());
        }
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }
}
