//! Reads a YAML mapping key by key, as the Go collector decodes it, and reports every mistake with its key path.
//!
//! No weak conversions: a number is no string and a numeric string is no number. As upstream, fractions of numbers
//! for whole-number keys are cut off, a string for a list is split at commas, and null means the default.

use std::time::Duration;

use serde_yaml::{Mapping, Value};

use crate::config::{self, Problems};

/// One mapping and the keys asked of it so far.
pub(super) struct Fields<'a> {
    path: String,
    map: Option<&'a Mapping>,
    asked: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// Null stands for an empty mapping; anything else that is no mapping is a mistake.
    pub(super) fn new(value: &'a Value, path: String, problems: &mut Problems) -> Self {
        let map = match value {
            Value::Null => None,
            Value::Mapping(map) => Some(map),
            other => {
                problems.add(path.clone(), format!("expected a map, got {}", kind(other)));
                None
            }
        };
        Self { path, map, asked: Vec::new() }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The path of one of the keys.
    pub(super) fn path_of(&self, key: &str) -> String {
        format!("{}::{key}", self.path)
    }

    /// The value, unless it is missing or null.
    pub(super) fn get(&mut self, key: &'static str) -> Option<&'a Value> {
        self.asked.push(key);
        self.map?.get(key).filter(|value| !value.is_null())
    }

    /// Reports the keys that nobody asked for.
    pub(super) fn finish(self, problems: &mut Problems) {
        let mut unknown: Vec<String> = Vec::new();
        for key in self.map.into_iter().flat_map(Mapping::keys) {
            match key.as_str() {
                Some(key) if self.asked.contains(&key) => {}
                Some(key) => unknown.push(key.to_owned()),
                None => unknown.push(format!("{key:?}")),
            }
        }
        if !unknown.is_empty() {
            unknown.sort();
            problems.add(self.path, format!("has invalid keys: {}", unknown.join(", ")));
        }
    }

    fn wrong(&self, key: &str, expected: &str, value: &Value, problems: &mut Problems) {
        problems
            .add(self.path_of(key), format!("expected type '{expected}', got unconvertible type '{}'", kind(value)));
    }

    pub(super) fn boolean(&mut self, key: &'static str, problems: &mut Problems) -> bool {
        match self.get(key) {
            None => false,
            Some(Value::Bool(value)) => *value,
            Some(other) => {
                self.wrong(key, "bool", other, problems);
                false
            }
        }
    }

    pub(super) fn string(&mut self, key: &'static str, problems: &mut Problems) -> String {
        match self.get(key) {
            None => String::new(),
            Some(Value::String(value)) => value.clone(),
            Some(other) => {
                self.wrong(key, "string", other, problems);
                String::new()
            }
        }
    }

    pub(super) fn strings(&mut self, key: &'static str, problems: &mut Problems) -> Vec<String> {
        match self.get(key) {
            None => Vec::new(),
            Some(Value::String(value)) if value.is_empty() => Vec::new(),
            Some(Value::String(value)) => value.split(',').map(str::to_owned).collect(),
            Some(Value::Sequence(items)) => {
                let mut out = Vec::with_capacity(items.len());
                for (at, item) in items.iter().enumerate() {
                    match item.as_str() {
                        Some(text) => out.push(text.to_owned()),
                        None => self.wrong(&format!("{key}[{at}]"), "string", item, problems),
                    }
                }
                out
            }
            Some(other) => {
                self.wrong(key, "[]string", other, problems);
                Vec::new()
            }
        }
    }

    /// The items of a list, each with its path.
    pub(super) fn list(&mut self, key: &'static str, problems: &mut Problems) -> Vec<(&'a Value, String)> {
        match self.get(key) {
            None => Vec::new(),
            Some(Value::Sequence(items)) => {
                let path = self.path_of(key);
                items.iter().enumerate().map(|(at, item)| (item, format!("{path}[{at}]"))).collect()
            }
            Some(other) => {
                self.wrong(key, "list", other, problems);
                Vec::new()
            }
        }
    }

    pub(super) fn float(&mut self, key: &'static str, problems: &mut Problems) -> f64 {
        match self.get(key) {
            None => 0.0,
            Some(Value::Number(number)) => {
                let value = number.as_f64().unwrap_or(f64::NAN);
                if value.is_nan() {
                    problems.add(self.path_of(key), "must be a number");
                }
                value
            }
            Some(other) => {
                self.wrong(key, "float64", other, problems);
                0.0
            }
        }
    }

    pub(super) fn integer(&mut self, key: &'static str, problems: &mut Problems) -> i64 {
        match self.get(key) {
            None => 0,
            Some(value) => match whole(value) {
                Some(number) => i64::try_from(number).unwrap_or_else(|_| {
                    problems.add(self.path_of(key), format!("cannot parse, {number} overflows int"));
                    0
                }),
                None => {
                    self.wrong(key, "int", value, problems);
                    0
                }
            },
        }
    }

    pub(super) fn integer32(&mut self, key: &'static str, problems: &mut Problems) -> i32 {
        let value = self.integer(key, problems);
        i32::try_from(value).unwrap_or_else(|_| {
            problems.add(self.path_of(key), format!("cannot parse, {value} overflows int"));
            0
        })
    }

    pub(super) fn unsigned(&mut self, key: &'static str, default: u64, problems: &mut Problems) -> u64 {
        match self.get(key) {
            None => default,
            Some(value) => match whole(value) {
                Some(number) => u64::try_from(number).unwrap_or_else(|_| {
                    problems.add(self.path_of(key), format!("cannot parse, {number} overflows uint"));
                    default
                }),
                None => {
                    self.wrong(key, "uint", value, problems);
                    default
                }
            },
        }
    }

    /// A duration in Go's syntax, or a whole number of nanoseconds. A negative one is cut to zero, which is what the
    /// callers' minimum makes of it anyway.
    pub(super) fn duration(&mut self, key: &'static str, default: Duration, problems: &mut Problems) -> Duration {
        match self.get(key) {
            None => default,
            Some(Value::String(text)) => match config::Duration::parse(text) {
                Ok(duration) => duration.span(),
                Err(error) => {
                    problems.add(self.path_of(key), error.to_string());
                    default
                }
            },
            Some(value) => match whole(value).and_then(|number| i64::try_from(number).ok()) {
                Some(nanos) => Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)),
                None => {
                    self.wrong(key, "time.Duration", value, problems);
                    default
                }
            },
        }
    }
}

/// A YAML number without its fraction.
fn whole(value: &Value) -> Option<i128> {
    let Value::Number(number) = value else { return None };
    if let Some(value) = number.as_i64() {
        return Some(i128::from(value));
    }
    if let Some(value) = number.as_u64() {
        return Some(i128::from(value));
    }
    number.as_f64().filter(|value| value.is_finite()).map(|value| value as i128)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int",
        Value::String(_) => "string",
        Value::Sequence(_) => "list",
        Value::Mapping(_) => "map",
        Value::Tagged(_) => "tagged value",
    }
}
