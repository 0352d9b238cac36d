//! Reading the log of a process that has ended, however it ended.
//!
//! Decisions are read first: what was decided later than it arrived is passed over, so that recovery takes no more memory
//! than the traces that are still waiting. The rest is given in the order in which it was logged. A file that ends in the
//! middle of a record is cut there. Nothing here knows how spans are kept in memory.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use foldhash::HashMap;
use pdata::{TraceId, Traces};

use super::Settings;
use super::files::{self, Contents, Series};
use super::record::{Body, Damage, Decision, MAGIC, Records, decisions};

/// Why the log cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("tail_sampling cannot use its storage {}: {what}: {cause}", .directory.display())]
pub(in super::super) struct StorageError {
    directory: PathBuf,
    what: &'static str,
    cause: io::Error,
}

/// What the log says, in the order in which it was said.
pub(in super::super) enum Event {
    /// Spans that were waiting.
    Batch {
        /// See [`super::Storage::release`].
        epoch: u32,
        arrival_unix_nano: u64,
        traces: Traces,
    },
    /// A decision that may still be asked for.
    Decision(Decision),
}

/// What recovery came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Report {
    /// Spans that were not decided.
    pub(in super::super) spans: u64,
    pub(in super::super) decisions: u64,
    /// Bytes behind the last good record of a file.
    pub(in super::super) cut_bytes: u64,
    /// Batches that are no OTLP under a right checksum.
    pub(in super::super) unreadable: u64,
}

/// A log that is being read.
pub(in super::super) struct Recovery {
    pub(super) directory: PathBuf,
    pub(super) lock: File,
    pub(super) spans: Vec<Contents>,
    pub(super) decision_files: Vec<Contents>,
    /// The greatest sequence that was read.
    pub(super) sequence: u64,
    decisions: Vec<(u64, Decision)>,
    given: usize,
    /// By trace, the sequence of its last decision.
    latest: HashMap<TraceId, u64>,
    report: Report,
}

impl Recovery {
    /// Takes the directory and reads the decisions.
    ///
    /// # Errors
    /// If the directory is missing, in use or not readable.
    pub(in super::super) fn open(settings: &Settings) -> Result<Self, StorageError> {
        let directory = settings.directory.clone();
        let failed = |what| {
            let directory = directory.clone();
            move |cause| StorageError { directory, what, cause }
        };
        settings.create().map_err(failed("create the directory"))?;
        let lock = files::lock(&directory, settings.lock_timeout).map_err(failed("lock the directory"))?;
        let mut recovery = Self {
            directory: directory.clone(),
            lock,
            spans: Vec::new(),
            decision_files: Vec::new(),
            sequence: 0,
            decisions: Vec::new(),
            given: 0,
            latest: HashMap::default(),
            report: Report::default(),
        };
        recovery.read_decisions().map_err(failed("read decisions"))?;
        Ok(recovery)
    }

    fn read_decisions(&mut self) -> io::Result<()> {
        for number in files::list(&self.directory, Series::Decisions)? {
            let bytes = files::read(&self.directory, Series::Decisions, number)?;
            let mut contents = Contents { number, bytes: MAGIC.len() as u64, ..Contents::default() };
            let mut records = Records::new(&bytes);
            for record in records.by_ref() {
                let Body::Decisions(payload) = record.body else { continue };
                let before = self.decisions.len();
                self.decisions.extend(decisions(payload).map(|decision| (record.sequence, decision)));
                contents.add(0, record.sequence, record.sequence, (self.decisions.len() - before) as u64);
            }
            let (good, damage) = (records.good_len(), records.damage());
            if self.settle(Series::Decisions, &mut contents, good, bytes.len(), damage)? {
                self.decision_files.push(contents);
            }
        }
        // Files are in order and so are their records, unless somebody else wrote them.
        self.decisions.sort_by_key(|(sequence, _)| *sequence);
        for (sequence, decision) in &self.decisions {
            self.latest.insert(decision.id, *sequence);
        }
        Ok(())
    }

    /// Cuts a damaged file, and tells whether there is anything left of it.
    fn settle(
        &mut self,
        series: Series,
        contents: &mut Contents,
        good: usize,
        len: usize,
        damage: Option<Damage>,
    ) -> io::Result<bool> {
        contents.bytes = good as u64;
        self.sequence = self.sequence.max(contents.last);
        let Some(damage) = damage else { return Ok(true) };
        let lost = len - good;
        self.report.cut_bytes += lost as u64;
        tracing::warn!(
            directory = %self.directory.display(), ?series, number = contents.number, %damage, bytes = lost,
            "the end of a tail_sampling log file is cut off"
        );
        if damage == Damage::Magic {
            files::set_aside(&self.directory, series, contents.number)?;
            return Ok(false);
        }
        files::cut(&self.directory, series, contents.number, good)?;
        Ok(true)
    }

    /// Reads the spans and gives everything to `sink`.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub(in super::super) fn replay(&mut self, mut sink: impl FnMut(Event)) -> Result<Report, StorageError> {
        let replayed = self.replay_files(&mut sink);
        replayed.map_err(|cause| StorageError { directory: self.directory.clone(), what: "read spans", cause })?;
        self.give_decisions(u64::MAX, &mut sink);
        self.decisions = Vec::new();
        self.latest = HashMap::default();
        Ok(self.report)
    }

    fn replay_files(&mut self, sink: &mut impl FnMut(Event)) -> io::Result<()> {
        for number in files::list(&self.directory, Series::Spans)? {
            let bytes = Bytes::from(files::read(&self.directory, Series::Spans, number)?);
            let mut contents = Contents { number, ..Contents::default() };
            let mut records = Records::new(&bytes);
            for record in records.by_ref() {
                let Body::Batch { arrival_unix_nano, request } = record.body else { continue };
                self.give_decisions(record.sequence, sink);
                let n_spans =
                    self.give_batch(number, record.sequence, arrival_unix_nano, bytes.slice_ref(request), sink);
                contents.add(0, record.sequence, record.sequence, n_spans);
            }
            let (good, damage) = (records.good_len(), records.damage());
            if self.settle(Series::Spans, &mut contents, good, bytes.len(), damage)? {
                self.spans.push(contents);
            }
        }
        Ok(())
    }

    /// Gives what was not decided later, and returns how many spans the batch had.
    fn give_batch(
        &mut self,
        epoch: u32,
        sequence: u64,
        arrival_unix_nano: u64,
        request: Bytes,
        sink: &mut impl FnMut(Event),
    ) -> u64 {
        let Ok(mut traces) = Traces::index(request) else {
            self.report.unreadable += 1;
            return 0;
        };
        let n_spans = traces.span_count() as u64;
        let waiting: Vec<bool> =
            traces.trace_ids().map(|id| self.latest.get(id).is_none_or(|decided| *decided < sequence)).collect();
        traces.retain_spans(|row| waiting.get(row).copied().unwrap_or(false));
        self.report.spans += traces.span_count() as u64;
        if !traces.is_empty() {
            sink(Event::Batch { epoch, arrival_unix_nano, traces });
        }
        n_spans
    }

    /// Gives the decisions before `sequence` that were not given yet.
    fn give_decisions(&mut self, sequence: u64, sink: &mut impl FnMut(Event)) {
        while let Some((at, decision)) = self.decisions.get(self.given)
            && *at < sequence
        {
            sink(Event::Decision(*decision));
            self.given += 1;
            self.report.decisions += 1;
        }
    }
}

impl Settings {
    fn create(&self) -> io::Result<()> {
        if self.create_directory {
            return create_private(&self.directory, self.permissions);
        }
        // The directory that was configured has to be there; the one for this processor below it is ours.
        let parent = self.directory.parent().unwrap_or(Path::new("/"));
        fs::metadata(parent).map_err(|error| {
            io::Error::new(
                error.kind(),
                format!(
                    "directory must exist: stat {}: {error}. You can enable the create_directory option to \
                         automatically create it",
                    parent.display()
                ),
            )
        })?;
        create_private(&self.directory, self.permissions)
    }
}

fn create_private(directory: &Path, permissions: u32) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(permissions).create(directory)
}
