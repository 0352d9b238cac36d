//! The `file_storage` extension: a directory on disk for components that keep data beyond the process.
//!
//! Keys and texts are contrib's (v0.164); what is in the files is not: each component keeps its own format in a folder of
//! its own, see [`crate::storage`]. The extension itself only sees to it that the directory is there.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use crate::config::{Duration, Problems, Section};
use crate::factory::{Context, ExtensionPlan, Factory, Lifecycle, StartError, Step};
use crate::storage::Directory;

/// The factory.
pub const FACTORY: Factory<dyn ExtensionPlan> = Factory { kind: "file_storage", alias: None, stability: "beta", parse };

/// The section.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Low {
    directory: String,
    timeout: Duration,
    max_size: i64,
    fsync: bool,
    create_directory: bool,
    directory_permissions: String,
    /// What is damaged is always renamed away and replaced here.
    recreate: bool,
    /// There is nothing to compact here: files go whole when nothing in them is needed.
    compaction: Compaction,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Compaction {
    on_start: bool,
    on_rebound: bool,
    directory: String,
    rebound_needed_threshold_mib: i64,
    rebound_trigger_threshold_mib: i64,
    max_transaction_size: i64,
    check_interval: Duration,
    cleanup_on_start: bool,
}

impl Default for Low {
    fn default() -> Self {
        Self {
            directory: "/var/lib/otelcol/file_storage".to_owned(),
            timeout: Duration::from_secs(1),
            max_size: 0,
            fsync: false,
            create_directory: false,
            directory_permissions: "0750".to_owned(),
            recreate: false,
            compaction: Compaction::default(),
        }
    }
}

fn parse(section: &Section, problems: &mut Problems) -> Option<Box<dyn ExtensionPlan>> {
    section.read(problems, |low: Low, problems| Some(Box::new(Plan(low.directory(&section.path, problems)?)) as _))
}

impl Low {
    fn directory(self, path: &str, problems: &mut Problems) -> Option<Directory> {
        let at = |key: &str| format!("{path}::{key}");
        let permissions = u32::from_str_radix(&self.directory_permissions, 8).ok().filter(|bits| *bits <= 0o777);
        if permissions.is_none() {
            problems.add(
                at("directory_permissions"),
                format!(
                    "directory_permissions value must be a valid octal representation, and is {:?}",
                    self.directory_permissions
                ),
            );
        }
        if self.directory.is_empty() {
            problems.add(at("directory"), "directory must not be empty");
        }
        if self.timeout.is_negative() {
            problems.add(at("timeout"), "must not be negative");
        }
        if self.max_size < 0 {
            problems.add(at("max_size"), "must not be negative");
        }
        Some(Directory {
            path: PathBuf::from(self.directory),
            create: self.create_directory,
            permissions: permissions?,
            lock_timeout: self.timeout.span(),
            fsync: self.fsync,
            max_bytes: u64::try_from(self.max_size).unwrap_or(0),
        })
    }
}

struct Plan(Directory);

impl ExtensionPlan for Plan {
    fn make(&self, _: &Context) -> Result<Arc<dyn Lifecycle>, StartError> {
        Ok(Arc::new(FileStorage(self.0.clone())))
    }

    fn storage(&self) -> Option<Directory> {
        Some(self.0.clone())
    }
}

struct FileStorage(Directory);

impl Lifecycle for FileStorage {
    fn start(&self) -> Step<'_> {
        Box::pin(async { ready(&self.0).map_err(StartError) })
    }

    fn shutdown(&self) -> Step<'_> {
        Box::pin(async { Ok(()) })
    }
}

/// Makes the directory if it may, and says what is wrong with it otherwise.
fn ready(directory: &Directory) -> Result<(), String> {
    let path = directory.path.as_path();
    if directory.create {
        let made = fs::DirBuilder::new().recursive(true).mode(directory.permissions).create(path);
        made.map_err(|error| format!("create {}: {error}", path.display()))?;
    }
    check(path).map_err(|error| {
        format!(
            "directory must exist: stat {}: {error}. You can enable the create_directory option to automatically create it",
            path.display()
        )
    })
}

fn check(path: &Path) -> io::Result<()> {
    if fs::metadata(path)?.is_dir() { Ok(()) } else { Err(io::Error::from(io::ErrorKind::NotADirectory)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(yaml: &str) -> Result<Directory, String> {
        let section = Section::parse("file_storage", "extensions", yaml).unwrap();
        let mut problems = Problems::default();
        let plan = parse(&section, &mut problems);
        let texts: Vec<_> = problems.list().iter().map(|one| format!("{}: {}", one.path, one.message)).collect();
        plan.and_then(|plan| plan.storage()).ok_or(texts.join("\n"))
    }

    #[test]
    fn defaults_are_contribs() {
        let directory = parsed("null").unwrap();
        assert_eq!(directory.path, Path::new("/var/lib/otelcol/file_storage"));
        assert_eq!((directory.permissions, directory.create, directory.fsync), (0o750, false, false));
        assert_eq!(directory.lock_timeout, std::time::Duration::from_secs(1));
        assert!(parsed("{recreate: true, compaction: {on_start: true, directory: /tmp, check_interval: 5s}}").is_ok());
    }

    #[test]
    fn mistakes_are_named() {
        insta::assert_snapshot!(
            parsed("{directory: '', directory_permissions: '0980', max_size: -1, timeout: -1s}").unwrap_err(),
            @r#"
        extensions::file_storage::directory_permissions: directory_permissions value must be a valid octal representation, and is "0980"
        extensions::file_storage::directory: directory must not be empty
        extensions::file_storage::timeout: must not be negative
        extensions::file_storage::max_size: must not be negative
        "#
        );
        assert!(parsed("{compaction: {on_begin: true}}").unwrap_err().contains("has invalid keys: on_begin"));
    }

    #[test]
    fn the_directory_must_be_there_unless_it_may_be_made() {
        let path = std::env::temp_dir().join(format!("ottlcol-file-storage-{}", std::process::id()));
        let mut directory = parsed(&format!("{{directory: {}}}", path.join("a/b").display())).unwrap();
        assert!(ready(&directory).unwrap_err().contains("You can enable the create_directory option"));
        directory.create = true;
        ready(&directory).unwrap();
        directory.create = false;
        ready(&directory).unwrap();
        fs::remove_dir_all(path).unwrap();
    }
}
