//! The files of a log: their names, their order, and the directory's lock.
//!
//! A log has two series of files, spans and decisions, each numbered from 1 on; a file is appended to by the process that
//! made it and by no other, so what recovery has read never changes. Each series goes oldest file first, whole.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::record::MAGIC;

/// How often a lock is tried.
const LOCK_RETRY: Duration = Duration::from_millis(50);

/// One of the two series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Series {
    Spans,
    Decisions,
}

impl Series {
    fn prefix(self) -> &'static str {
        match self {
            Self::Spans => "spans",
            Self::Decisions => "decisions",
        }
    }

    /// A file is closed when it is this long.
    fn file_bytes(self) -> u64 {
        match self {
            Self::Spans => 32 * 1024 * 1024,
            Self::Decisions => 2 * 1024 * 1024,
        }
    }

    fn path(self, directory: &Path, number: u32) -> PathBuf {
        directory.join(format!("{}-{number:010}.log", self.prefix()))
    }

    fn number(self, name: &str) -> Option<u32> {
        name.strip_prefix(self.prefix())?.strip_prefix('-')?.strip_suffix(".log")?.parse().ok()
    }
}

/// What is known of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) number: u32,
    pub(super) bytes: u64,
    /// Sequence of the first and the last record; 0 without any.
    pub(super) first: u64,
    pub(super) last: u64,
    /// Spans or decisions.
    pub(super) items: u64,
}

impl Contents {
    /// Adds records that end at `last`.
    pub(super) fn add(&mut self, bytes: u64, first: u64, last: u64, items: u64) {
        if self.first == 0 {
            self.first = first;
        }
        self.last = last;
        self.bytes += bytes;
        self.items += items;
    }
}

/// The numbers of a series' files in the directory, in order.
pub(super) fn list(directory: &Path, series: Series) -> io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(directory)? {
        if let Some(number) = entry?.file_name().to_str().and_then(|name| series.number(name)) {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// The bytes of a file.
pub(super) fn read(directory: &Path, series: Series, number: u32) -> io::Result<Vec<u8>> {
    fs::read(series.path(directory, number))
}

/// Cuts a file off behind its last good record.
pub(super) fn cut(directory: &Path, series: Series, number: u32, len: usize) -> io::Result<()> {
    OpenOptions::new().write(true).open(series.path(directory, number))?.set_len(len as u64)
}

/// Takes a file that is no log of this version out of the way, under another name, for somebody to look at.
pub(super) fn set_aside(directory: &Path, series: Series, number: u32) -> io::Result<()> {
    let path = series.path(directory, number);
    if fs::metadata(&path)?.len() < MAGIC.len() as u64 {
        // A crash came between making the file and writing to it.
        return fs::remove_file(path);
    }
    fs::rename(&path, path.with_extension("damaged"))
}

/// Takes the directory for this process until the file is dropped; a process that dies gives it back. Waits `timeout` for
/// another one that has it.
pub(super) fn lock(directory: &Path, timeout: Duration) -> io::Result<File> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(directory.join("LOCK"))?;
    let mut waited = Duration::ZERO;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if waited < timeout => {
                std::thread::sleep(LOCK_RETRY);
                waited += LOCK_RETRY;
            }
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::new(io::ErrorKind::WouldBlock, "another process has it"));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

struct Open {
    file: File,
    contents: Contents,
}

/// A series that is written to.
pub(super) struct Files {
    directory: PathBuf,
    series: Series,
    /// Files that are no longer written to, oldest first.
    closed: VecDeque<Contents>,
    open: Option<Open>,
    next_number: u32,
    /// Wait for the disk itself when a file is made or closed.
    fsync: bool,
}

impl Files {
    /// Goes on behind the files that recovery has read.
    pub(super) fn new(directory: &Path, series: Series, closed: Vec<Contents>, fsync: bool) -> Self {
        let next_number = closed.last().map_or(1, |last| last.number.saturating_add(1));
        Self { directory: directory.to_owned(), series, closed: closed.into(), open: None, next_number, fsync }
    }

    /// Number of the file that is written to next. It only grows.
    pub(super) fn number(&self) -> u32 {
        self.open.as_ref().map_or(self.next_number, |open| open.contents.number)
    }

    /// Bytes of all files.
    pub(super) fn bytes(&self) -> u64 {
        self.all().map(|file| file.bytes).sum()
    }

    /// Spans or decisions in all files.
    pub(super) fn items(&self) -> u64 {
        self.all().map(|file| file.items).sum()
    }

    fn all(&self) -> impl Iterator<Item = &Contents> {
        self.closed.iter().chain(self.open.as_ref().map(|open| &open.contents))
    }

    /// Sequence of the first record that is kept.
    pub(super) fn first(&self) -> Option<u64> {
        self.all().map(|file| file.first).find(|first| *first > 0)
    }

    /// The oldest file, unless it is being written to.
    pub(super) fn oldest(&self) -> Option<&Contents> {
        self.closed.front()
    }

    /// Appends whole records. After an error the file is as it was before.
    pub(super) fn append(&mut self, records: &[u8], first: u64, last: u64, items: u64) -> io::Result<()> {
        if self.open.as_ref().is_some_and(|open| open.contents.bytes >= self.series.file_bytes()) {
            self.close()?;
        }
        let open = match &mut self.open {
            Some(open) => open,
            none => none.insert(create(&self.directory, self.series, &mut self.next_number, self.fsync)?),
        };
        if let Err(error) = open.file.write_all(records) {
            // Otherwise what is written next would lie behind half a record and never be read.
            let restored = open
                .file
                .set_len(open.contents.bytes)
                .and_then(|()| open.file.seek(SeekFrom::Start(open.contents.bytes)).map(drop));
            if restored.is_err() {
                self.close_unsynced();
            }
            return Err(error);
        }
        open.contents.add(records.len() as u64, first, last, items);
        Ok(())
    }

    /// Waits until what was appended is on the disk itself.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        let Some(open) = &self.open else { return Ok(()) };
        open.file.sync_data().inspect_err(|_| {
            // The kernel may have thrown away what it could not write; a second call would answer that all is well.
            self.close_unsynced();
        })
    }

    fn close(&mut self) -> io::Result<()> {
        let synced = if self.fsync { self.sync() } else { Ok(()) };
        self.close_unsynced();
        synced
    }

    fn close_unsynced(&mut self) {
        self.closed.extend(self.open.take().map(|open| open.contents));
    }

    /// Removes the oldest file. A file that is gone already is as good as removed.
    pub(super) fn remove_oldest(&mut self) -> io::Result<()> {
        let Some(oldest) = self.closed.front() else { return Ok(()) };
        match fs::remove_file(self.series.path(&self.directory, oldest.number)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => {
                self.closed.pop_front();
                Ok(())
            }
        }
    }

    /// Removes all files.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.close_unsynced();
        while !self.closed.is_empty() {
            self.remove_oldest()?;
        }
        Ok(())
    }
}

fn create(directory: &Path, series: Series, next_number: &mut u32, fsync: bool) -> io::Result<Open> {
    let number = *next_number;
    let path = series.path(directory, number);
    let mut file = OpenOptions::new().write(true).create_new(true).open(&path)?;
    *next_number = number.saturating_add(1);
    if let Err(error) = file.write_all(&MAGIC) {
        // It holds nothing; if it stays, recovery cuts it.
        return Err(fs::remove_file(&path).err().unwrap_or(error));
    }
    if fsync {
        // A file is found again only if its name is on the disk too.
        File::open(directory)?.sync_all()?;
    }
    Ok(Open { file, contents: Contents { number, bytes: MAGIC.len() as u64, ..Contents::default() } })
}
