//! The log as a whole: what a process that was killed at any moment leaves to the next one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::{fs, io};

use component::ManualClock;
use pdata::TracesBuilder;
use proptest::prelude::*;

use super::record::MAGIC;
use super::*;

/// A directory that goes with its owner.
pub(in super::super) struct Folder(pub(in super::super) PathBuf);

impl Folder {
    pub(in super::super) fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ottlcol-tail-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// What a process that is killed now leaves behind.
    fn copy(&self) -> Self {
        let copy = Self::new();
        for entry in fs::read_dir(&self.0).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, copy.0.join(path.file_name().unwrap())).unwrap();
        }
        copy
    }

    /// The same with the folders of processors in it.
    pub(in super::super) fn copy_all(&self) -> Self {
        let copy = Self::new();
        for entry in fs::read_dir(&self.0).unwrap() {
            let path = entry.unwrap().path();
            let inner = Self(path.clone());
            let copied = inner.copy();
            // It belongs to a process that runs.
            std::mem::forget(inner);
            fs::rename(&copied.0, copy.0.join(path.file_name().unwrap())).unwrap();
        }
        copy
    }

    /// Names and lengths, the newest of each series last.
    fn files(&self, prefix: &str) -> Vec<(PathBuf, u64)> {
        let mut files: Vec<_> = fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.file_name().to_str().unwrap().starts_with(prefix))
            .map(|entry| (entry.path(), entry.metadata().unwrap().len()))
            .collect();
        files.sort();
        files
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left is in the system's folder for such things.
        drop(fs::remove_dir_all(&self.0));
    }
}

fn settings(directory: &Path, max_bytes: u64) -> Settings {
    Settings {
        directory: directory.to_owned(),
        create_directory: false,
        permissions: 0o700,
        lock_timeout: Duration::ZERO,
        flush_interval: Duration::from_millis(1),
        fsync: false,
        max_bytes,
        remembered: 3,
    }
}

fn traces(spans: &[(u8, u8)], padding: usize) -> Traces {
    let mut builder = TracesBuilder::new();
    for (trace, span) in spans {
        let mut bytes = vec![0x0a, 16];
        bytes.extend([*trace; 16]);
        bytes.extend([0x12, 8]);
        bytes.extend([*span; 8]);
        let text = "x".repeat(padding);
        bytes.push(0x2a);
        let mut len = text.len();
        while len >= 128 {
            bytes.push(len as u8 | 128);
            len >>= 7;
        }
        bytes.push(len as u8);
        bytes.extend(text.as_bytes());
        builder.span([*trace; 16], &bytes);
    }
    builder.build()
}

fn decision(trace: u8) -> Decision {
    Decision { id: [trace; 16], first_seen: 1, decided: 2, sampled: true, forgotten: false }
}

/// What is found: spans by trace, each (trace, span), and decisions in order.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    spans: BTreeMap<u8, BTreeSet<u8>>,
    decisions: Vec<u8>,
}

fn read(directory: &Path) -> (Found, Recovery, Report) {
    let mut recovery = Recovery::open(&settings(directory, 0)).unwrap();
    let mut found = Found::default();
    let report = recovery
        .replay(|event| match event {
            Event::Batch { traces, .. } => {
                for span in traces.spans() {
                    let new = found.spans.entry(span.trace_id()[0]).or_default().insert(span.bytes()[20]);
                    assert!(new, "a span was given twice");
                }
            }
            Event::Decision(decision) => found.decisions.push(decision.id[0]),
        })
        .unwrap();
    (found, recovery, report)
}

fn start(directory: &Path, max_bytes: u64) -> (Found, Storage) {
    let (found, recovery, _) = read(directory);
    let clock = Arc::new(ManualClock::default());
    (found, Storage::start(recovery, &settings(directory, max_bytes), clock).unwrap())
}

fn found(spans: &[(u8, &[u8])], decisions: &[u8]) -> Found {
    let spans = spans.iter().map(|(trace, spans)| (*trace, spans.iter().copied().collect())).collect();
    Found { spans, decisions: decisions.to_vec() }
}

#[tokio::test]
async fn what_waits_is_found_and_what_is_decided_is_remembered() {
    let folder = Folder::new();
    let (before, storage) = start(&folder.0, 0);
    assert_eq!(before, Found::default());
    storage.append_batch(&traces(&[(1, 1), (2, 1)], 5), 10);
    storage.append_decisions(vec![decision(1)]);
    storage.append_batch(&traces(&[(2, 2), (3, 1)], 5), 20);
    storage.append_decisions(vec![decision(4)]);
    storage.written().await;
    assert_eq!(read(&folder.copy().0).0, found(&[(2, &[1, 2]), (3, &[1])], &[1, 4]));
    // The next process goes on in files of its own.
    drop(storage);
    let (_, storage) = start(&folder.0, 0);
    storage.append_decisions(vec![decision(3)]);
    storage.append_batch(&traces(&[(3, 2)], 5), 30);
    drop(storage);
    // A trace that came again after its decision is a matter for the one who knows what is remembered.
    assert_eq!(read(&folder.0).0, found(&[(2, &[1, 2]), (3, &[2])], &[1, 4, 3]));
    assert_eq!(folder.files("spans").len(), 2);
}

#[test]
fn a_directory_is_one_process_s() {
    let folder = Folder::new();
    let (_, storage) = start(&folder.0, 0);
    let error = Recovery::open(&settings(&folder.0, 0)).err().unwrap().to_string();
    assert!(error.contains("lock the directory: another process has it"), "{error}");
    drop(storage);
    assert!(Recovery::open(&settings(&folder.0, 0)).is_ok());
}

#[test]
fn a_missing_directory_is_told_with_its_remedy() {
    let folder = Folder::new();
    let missing = folder.0.join("missing/own");
    let error = Recovery::open(&settings(&missing, 0)).err().unwrap().to_string();
    assert!(error.contains("missing: No such file or directory"), "{error}");
    assert!(error.contains("You can enable the create_directory option"), "{error}");
    assert!(Recovery::open(&Settings { create_directory: true, ..settings(&missing, 0) }).is_ok());
}

#[test]
fn half_a_record_is_cut_off() {
    let folder = Folder::new();
    let (_, storage) = start(&folder.0, 0);
    storage.append_batch(&traces(&[(1, 1)], 5), 10);
    storage.append_batch(&traces(&[(2, 1)], 5), 10);
    drop(storage);
    let (path, len) = folder.files("spans")[0].clone();
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(len - 3).unwrap();
    let (first, _, report) = read(&folder.0);
    assert_eq!(first, found(&[(1, &[1])], &[]));
    assert!(report.cut_bytes > 20, "{report:?}");
    let (second, _, report) = read(&folder.0);
    assert_eq!((second, report.cut_bytes), (found(&[(1, &[1])], &[]), 0));
}

#[test]
fn a_file_that_is_no_log_is_set_aside() {
    let folder = Folder::new();
    fs::write(folder.0.join("spans-0000000001.log"), b"ottlts99 something newer").unwrap();
    fs::write(folder.0.join("spans-0000000002.log"), &MAGIC[..3]).unwrap();
    fs::write(folder.0.join("spans-notes.log"), b"mine").unwrap();
    let (found, _, report) = read(&folder.0);
    assert_eq!((found, report.cut_bytes), (Found::default(), 27));
    let names: Vec<PathBuf> = folder.files("spans").into_iter().map(|(path, _)| path).collect();
    assert_eq!(names, [folder.0.join("spans-0000000001.damaged"), folder.0.join("spans-notes.log")]);
}

#[tokio::test]
async fn files_go_when_nothing_needs_them() {
    let folder = Folder::new();
    let (_, storage) = start(&folder.0, 0);
    // A file is closed at 32 MiB.
    let mut epochs = Vec::new();
    for n in 0..5_u8 {
        epochs.push(storage.append_batch(&traces(&[(n, 1)], 20 << 20), 10).epoch);
        storage.append_decisions(vec![decision(n)]);
        storage.written().await;
    }
    assert_eq!(epochs, [1, 1, 1, 2, 2]);
    assert_eq!(folder.files("spans").len(), 3);
    let in_flight = storage.append_batch(&traces(&[(9, 1)], 1), 10);
    assert_eq!((in_flight.epoch, storage.floor()), (3, 3));
    storage.release(storage.floor());
    storage.append_decisions(vec![decision(5)]);
    storage.written().await;
    assert_eq!(folder.files("spans").len(), 1);
    drop(in_flight);
    drop(storage);
    assert_eq!(read(&folder.0).0, found(&[(9, &[1])], &[0, 1, 2, 3, 4, 5]));
}

#[tokio::test]
async fn a_full_disk_degrades_to_memory() {
    let folder = Folder::new();
    let (_, storage) = start(&folder.0, 1000);
    storage.append_batch(&traces(&[(1, 1)], 300), 10);
    storage.append_decisions(vec![decision(7)]);
    storage.written().await;
    let health = |storage: &Storage| {
        let Health { unlogged_spans, degraded, .. } = storage.health();
        let order = std::sync::atomic::Ordering::Relaxed;
        (unlogged_spans.load(order), degraded.load(order))
    };
    assert_eq!(health(&storage), (0, false));
    storage.append_batch(&traces(&[(2, 1), (2, 2)], 500), 10);
    storage.append_decisions(vec![decision(8)]);
    storage.written().await;
    assert_eq!(health(&storage), (2, true));
    drop(storage);
    assert_eq!(read(&folder.0).0, found(&[(1, &[1])], &[7, 8]));
}

/// If a decision cannot be written, its spans must not be found.
#[tokio::test]
async fn spans_go_before_a_decision_is_lost() {
    let folder = Folder::new();
    let (_, storage) = start(&folder.0, 0);
    storage.append_batch(&traces(&[(1, 1), (2, 1)], 5), 10);
    // The name that the first file of decisions would have is taken.
    fs::create_dir(folder.0.join("decisions-0000000001.log")).unwrap();
    storage.append_decisions(vec![decision(1)]);
    storage.written().await;
    assert!(storage.health().degraded.load(std::sync::atomic::Ordering::Relaxed));
    assert!(folder.files("spans").is_empty());
    // As soon as it can be, it is written.
    fs::remove_dir(folder.0.join("decisions-0000000001.log")).unwrap();
    storage.append_decisions(vec![decision(3)]);
    storage.written().await;
    drop(storage);
    assert_eq!(read(&folder.0).0, found(&[], &[1, 3]));
}

#[derive(Clone, Debug)]
enum Op {
    Batch(Vec<u8>),
    Decide(u8),
    /// The process is killed: what was written stays, the last file possibly without its last bytes.
    Kill {
        cut: u64,
    },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => prop::collection::vec(0_u8..6, 1..4).prop_map(Op::Batch),
        3 => (0_u8..6).prop_map(Op::Decide),
        1 => (0_u64..60).prop_map(|cut| Op::Kill { cut }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whenever it is killed, the next process finds the spans that were not decided, each once, at most without the
    /// last ones; and every decision that was waited for.
    #[test]
    fn survives(ops in prop::collection::vec(op(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut folder = Folder::new();
        let (_, mut storage) = start(&folder.0, 0);
        let mut waiting: BTreeMap<u8, BTreeSet<u8>> = BTreeMap::new();
        for (n, op) in ops.into_iter().enumerate() {
            let n = n as u8;
            match op {
                Op::Batch(mut ids) => {
                    ids.sort_unstable();
                    ids.dedup();
                    let spans: Vec<(u8, u8)> = ids.iter().map(|id| (*id, n)).collect();
                    storage.append_batch(&traces(&spans, 3), 10);
                    for id in ids {
                        waiting.entry(id).or_default().insert(n);
                    }
                }
                Op::Decide(id) => {
                    storage.append_decisions(vec![decision(id)]);
                    waiting.remove(&id);
                }
                Op::Kill { cut } => {
                    // A decision that is nobody's, to wait for.
                    storage.append_decisions(vec![decision(99)]);
                    runtime.block_on(storage.written());
                    let left = folder.copy();
                    drop(storage);
                    folder = left;
                    if let Some((path, len)) = folder.files("spans").last() {
                        let file = fs::OpenOptions::new().write(true).open(path).unwrap();
                        file.set_len(len.saturating_sub(cut)).unwrap();
                    }
                    let (found, next) = start(&folder.0, 0);
                    storage = next;
                    for (id, spans) in &found.spans {
                        prop_assert!(waiting.get(id).is_some_and(|known| spans.is_subset(known)), "{id} was decided");
                    }
                    if cut == 0 {
                        prop_assert_eq!(&found.spans, &waiting);
                    }
                    waiting = found.spans;
                }
            }
        }
    }

    /// Files with any contents are no reason to panic, nor to start without an answer.
    #[test]
    fn hostile_files(files in prop::collection::vec((any::<bool>(), any::<bool>(), prop::collection::vec(any::<u8>(), 0..200)), 0..4)) {
        let folder = Folder::new();
        for (number, (magic, is_spans, noise)) in files.into_iter().enumerate() {
            let mut bytes = if magic { MAGIC.to_vec() } else { Vec::new() };
            bytes.extend(noise);
            let series = if is_spans { "spans" } else { "decisions" };
            fs::write(folder.0.join(format!("{series}-{number:010}.log")), bytes).unwrap();
        }
        let (found, storage) = start(&folder.0, 0);
        prop_assert_eq!(found, Found::default());
        drop(storage);
    }
}

#[test]
fn a_file_that_ends_as_it_began_is_an_io_matter() {
    // `create_new` keeps a process from writing into a file that another has made.
    let folder = Folder::new();
    fs::write(folder.0.join("spans-0000000001.log"), MAGIC).unwrap();
    let mut files = Files::new(&folder.0, Series::Spans, Vec::new(), true);
    let error = files.append(b"x", 1, 1, 1).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
}
