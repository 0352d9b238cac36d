//! The `storage` key: where the log is kept, and how.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};

use component::Id;

use super::Settings;
use crate::config::{self, Problems};
use crate::factory::StartError;
use crate::storage::{Directory, Storages};

/// `storage`, as meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct StorageConfig {
    place: Place,
    flush_interval: Duration,
    /// A batch is acknowledged when it is written, not when it is taken in.
    pub(in super::super) acknowledges_written: bool,
    /// Leave what waits in the log when the program stops.
    pub(in super::super) keep_on_shutdown: bool,
    /// How long deciding what waits may take when the program stops.
    pub(in super::super) shutdown_timeout: Duration,
}

/// Where the log is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Own(Directory),
    /// What this extension offers.
    Extension(Id),
}

/// As typed: a text is a directory or an extension's id.
#[derive(Debug)]
pub(in super::super) struct LowStorage(Keys);

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Keys {
    directory: Option<String>,
    extension: Option<String>,
    create_directory: Option<bool>,
    flush_interval: config::Duration,
    fsync: Option<bool>,
    max_size: Option<u64>,
    acknowledge: String,
    on_shutdown: String,
    shutdown_timeout: config::Duration,
}

const KEYS: &[&str] = &[
    "directory",
    "extension",
    "create_directory",
    "flush_interval",
    "fsync",
    "max_size",
    "acknowledge",
    "on_shutdown",
    "shutdown_timeout",
];

impl Default for Keys {
    fn default() -> Self {
        Self {
            directory: None,
            extension: None,
            create_directory: None,
            flush_interval: config::Duration::from_millis(100),
            fsync: None,
            max_size: None,
            acknowledge: "received".to_owned(),
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
                let text = Some(text.to_owned());
                let is_path = text.as_ref().is_some_and(|text| text.starts_with(['/', '.']));
                let (directory, extension) = if is_path { (text, None) } else { (None, text) };
                Ok(LowStorage(Keys { directory, extension, ..Keys::default() }))
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
        let place = Place::parse(&low, path, problems);
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
        let acknowledges_written = match low.acknowledge.as_str() {
            "written" => true,
            "received" => false,
            other => {
                problems.add(
                    format!("{path}::acknowledge"),
                    format!("invalid value {other:?}, expected one of \"received\" or \"written\""),
                );
                false
            }
        };
        for (key, value) in [("flush_interval", low.flush_interval), ("shutdown_timeout", low.shutdown_timeout)] {
            if value.positive().is_none() {
                problems.add(format!("{path}::{key}"), "must be greater than 0");
            }
        }
        let place = place?;
        (problems.list().len() == before).then(|| Self {
            place,
            flush_interval: low.flush_interval.span(),
            acknowledges_written,
            keep_on_shutdown,
            shutdown_timeout: low.shutdown_timeout.span(),
        })
    }

    /// For one instance: `owner` tells it from all others that may be given the same directory.
    ///
    /// # Errors
    /// If the extension does not exist or offers no directory.
    pub(in super::super) fn settings(
        &self,
        owner: &str,
        remembered: usize,
        storages: &Storages,
    ) -> Result<Settings, StartError> {
        let directory = match &self.place {
            Place::Own(directory) => directory,
            Place::Extension(id) => storages.find(id)?,
        };
        Ok(Settings {
            directory: directory.path.join(file_name(owner)),
            create_directory: directory.create,
            permissions: directory.permissions,
            lock_timeout: directory.lock_timeout,
            flush_interval: self.flush_interval,
            fsync: directory.fsync,
            max_bytes: directory.max_bytes,
            remembered,
        })
    }
}

impl Place {
    fn parse(low: &Keys, path: &str, problems: &mut Problems) -> Option<Self> {
        let Some(extension) = &low.extension else {
            let directory = low.directory.clone().unwrap_or_default();
            if !directory.starts_with('/') {
                problems.add(
                    format!("{path}::directory"),
                    format!("must be an absolute path to a directory, and is {directory:?}"),
                );
                return None;
            }
            return Some(Self::Own(Directory {
                path: PathBuf::from(directory),
                create: low.create_directory.unwrap_or(false),
                // As file_storage by default, and the next.
                permissions: 0o750,
                lock_timeout: Duration::from_secs(1),
                fsync: low.fsync.unwrap_or(false),
                max_bytes: low.max_size.unwrap_or(0),
            }));
        };
        let own = [
            ("directory", low.directory.is_some()),
            ("create_directory", low.create_directory.is_some()),
            ("fsync", low.fsync.is_some()),
            ("max_size", low.max_size.is_some()),
        ];
        for (key, _) in own.iter().filter(|(_, given)| *given) {
            problems.add(format!("{path}::{key}"), "cannot be set with extension: it is a key of the extension");
        }
        match Id::parse(extension) {
            Ok(id) => Some(Self::Extension(id)),
            Err(error) => {
                problems.add(format!("{path}::extension"), format!("{error}; a directory begins with \"/\""));
                None
            }
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
