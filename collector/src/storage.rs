//! Directories that extensions offer and other components keep data in, by the extension's id.
//!
//! An offer is plain configuration, known before anything runs; whoever takes it makes a folder of its own in it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use component::Id;

use crate::factory::StartError;

/// A directory and how it is to be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// Where.
    pub path: PathBuf,
    /// Make it if it is missing.
    pub create: bool,
    /// Of directories that are made.
    pub permissions: u32,
    /// How long to wait for the lock of a folder in it.
    pub lock_timeout: Duration,
    /// Wait for the disk itself after writing.
    pub fsync: bool,
    /// Most bytes that one component may keep; 0 means no limit.
    pub max_bytes: u64,
}

/// What the service's extensions offer: all of them, with nothing for those that offer no directory.
#[derive(Clone, Debug, Default)]
pub struct Storages(Arc<BTreeMap<Id, Option<Directory>>>);

impl Storages {
    /// The directory of an extension.
    ///
    /// # Errors
    /// With upstream's texts, if there is no such extension in the service or it offers none.
    pub fn find(&self, id: &Id) -> Result<&Directory, StartError> {
        match self.0.get(id) {
            Some(Some(directory)) => Ok(directory),
            Some(None) => Err(StartError(format!("requested extension \"{id}\" is not a storage extension"))),
            None => Err(StartError(format!(
                "no storage client extension found: \"{id}\" is not listed under service::extensions"
            ))),
        }
    }
}

impl FromIterator<(Id, Option<Directory>)> for Storages {
    fn from_iter<T: IntoIterator<Item = (Id, Option<Directory>)>>(offers: T) -> Self {
        Self(Arc::new(offers.into_iter().collect()))
    }
}
