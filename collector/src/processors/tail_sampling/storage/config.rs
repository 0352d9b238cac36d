//! The `storage` key: where the log is kept, and how.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};

use super::Settings;
use crate::config::{self, Problems};

/// `storage`, as meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct StorageConfig {
    directory: PathBuf,
    create_directory: bool,
    flush_interval: Duration,
    fsync: bool,
    max_size: u64,
    /// Leave what waits in the log when the program stops.
    pub(in super::super) keep_on_shutdown: bool,
    /// How long deciding what waits may take when the program stops.
    pub(in super::super) shutdown_timeout: Duration,
}

/// As typed: a text is a directory.
#[derive(Debug)]
pub(in super::super) struct LowStorage(Keys);

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Keys {
    directory: String,
    create_directory: bool,
    flush_interval: config::Duration,
    fsync: bool,
    max_size: u64,
    on_shutdown: String,
    shutdown_timeout: config::Duration,
}

const KEYS: &[&str] =
    &["directory", "create_directory", "flush_interval", "fsync", "max_size", "on_shutdown", "shutdown_timeout"];

impl Default for Keys {
    fn default() -> Self {
        Self {
            directory: String::new(),
            create_directory: false,
            flush_interval: config::Duration::from_millis(100),
            fsync: true,
            max_size: 0,
            on_shutdown: "decide".to_owned(),
            // Two thirds of the grace period that Kubernetes gives by default.
            shutdown_timeout: config::Duration::from_secs(20),
        }
    }
}

impl<'de> Deserialize<'de> for LowStorage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrMap;
        impl<'de> Visitor<'de> for TextOrMap {
            type Value = LowStorage;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<LowStorage, E> {
                Ok(LowStorage(Keys { directory: text.to_owned(), ..Keys::default() }))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<LowStorage, A::Error> {
                Keys::deserialize(MapAccessDeserializer::new(map)).map(LowStorage)
            }
        }
        deserializer.deserialize_struct("Storage", KEYS, TextOrMap)
    }
}

impl StorageConfig {
    /// Checks the section at `path`.
    pub(in super::super) fn parse(low: LowStorage, path: &str, problems: &mut Problems) -> Option<Self> {
        let LowStorage(low) = low;
        let before = problems.list().len();
        if !low.directory.starts_with('/') {
            problems.add(
                format!("{path}::directory"),
                format!("must be an absolute path to a directory, and is {:?}", low.directory),
            );
        }
        let keep_on_shutdown = match low.on_shutdown.as_str() {
            "keep" => true,
            "decide" => false,
            other => {
                problems.add(
                    format!("{path}::on_shutdown"),
                    format!("invalid value {other:?}, expected one of \"decide\" or \"keep\""),
                );
                false
            }
        };
        for (key, value) in [("flush_interval", low.flush_interval), ("shutdown_timeout", low.shutdown_timeout)] {
            if value.positive().is_none() {
                problems.add(format!("{path}::{key}"), "must be greater than 0");
            }
        }
        (problems.list().len() == before).then(|| Self {
            directory: PathBuf::from(low.directory),
            create_directory: low.create_directory,
            flush_interval: low.flush_interval.span(),
            fsync: low.fsync,
            max_size: low.max_size,
            keep_on_shutdown,
            shutdown_timeout: low.shutdown_timeout.span(),
        })
    }

    /// For one instance: `owner` tells it from all others that may be given the same directory.
    pub(in super::super) fn settings(&self, owner: &str, remembered: usize) -> Settings {
        Settings {
            directory: self.directory.join(file_name(owner)),
            create_directory: self.create_directory,
            // What file_storage uses by default.
            permissions: 0o750,
            flush_interval: self.flush_interval,
            fsync: self.fsync,
            max_bytes: self.max_size,
            remembered,
        }
    }
}

/// A name that is one component of a path, and differs where `owner` does.
fn file_name(owner: &str) -> String {
    use std::fmt::Write;
    let mut name = String::with_capacity(owner.len());
    for byte in owner.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => name.push(char::from(byte)),
            b'/' => name.push('.'),
            // Writing to a String does not fail.
            _ => drop(write!(name, "%{byte:02x}")),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn owners_are_told_apart() {
        assert_eq!(file_name("tail_sampling/slow@traces/main"), "tail_sampling.slow%40traces.main");
        assert_eq!(file_name("../x"), "%2e%2e.x");
    }
}
