//! Processors that stop, or are killed, and others that go on with their log. The clock moves when told to; the disk and
//! its thread are real.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use component::{Consumer, Id, ManualClock};

use super::processor::TailSampling;
use super::storage::tests::Folder;
use super::tests::{ERRORS, Kind, batch, counts, plan};
use crate::factory::{Context, Lifecycle, StartError};
use crate::storage::{Directory, Storages};
use crate::testing::{Sink, context};

const START_SECONDS: u64 = 1_700_000_000;

struct Running {
    processor: TailSampling,
    clock: Arc<ManualClock>,
    sink: Arc<Sink>,
}

impl Running {
    /// Starts `second` seconds after the beginning.
    async fn try_start(yaml: &str, second: u64) -> Result<Self, StartError> {
        let clock = Arc::new(ManualClock::new((START_SECONDS + second) * 1_000_000_000));
        let plan = plan(yaml);
        let (policies, questions) = plan.compiled(ottl::Engine::Interpreter, clock.clone()).unwrap();
        let context = Context { clock: clock.clone(), storages: storages(yaml), ..context("tail_sampling/one") };
        let sink = Sink::new();
        let rules = super::processor::Rules { config: plan.config, policies, questions };
        let processor = TailSampling::new(rules, ottl::Engine::Interpreter, &context, sink.clone())?;
        processor.open().await?;
        Ok(Self { processor, clock, sink })
    }

    async fn start(yaml: &str, second: u64) -> Self {
        Self::try_start(yaml, second).await.unwrap()
    }

    async fn take(&self, spans: &[(u8, Kind)]) {
        self.processor.consume(batch(spans)).await.unwrap();
    }

    async fn seconds(&self, seconds: u64) -> BTreeMap<u8, usize> {
        for _ in 0..seconds {
            self.clock.advance(Duration::from_secs(1));
            self.processor.tick().await;
        }
        self.out()
    }

    fn out(&self) -> BTreeMap<u8, usize> {
        counts(&std::mem::take(&mut *self.sink.batches.lock().unwrap()))
    }

    async fn stop(self) -> BTreeMap<u8, usize> {
        self.processor.shutdown().await.unwrap();
        self.out()
    }
}

/// An extension `file_storage/<path>` for each that the text names, and one that is no storage.
fn storages(yaml: &str) -> Storages {
    let offer = |path: &str| Directory {
        path: format!("/{path}").into(),
        create: true,
        permissions: 0o700,
        lock_timeout: Duration::ZERO,
        fsync: false,
        max_bytes: 0,
    };
    let named = yaml.split("file_storage/").skip(1).filter_map(|rest| rest.split('\n').next());
    let offers = named.map(|path| (Id::parse(&format!("file_storage/{path}")).unwrap(), Some(offer(path))));
    offers.chain([(Id::parse("health_check").unwrap(), None)]).collect()
}

const NOTHING: BTreeMap<u8, usize> = BTreeMap::new();

#[tokio::test]
async fn what_waits_is_decided_once_and_on_time_by_the_next_process() {
    for (shards, later) in [(1, 0), (3, 2), (2, 60)] {
        let folder = Folder::new();
        let yaml = |shards: u32| {
            let storage = format!("storage: {{directory: {}, on_shutdown: keep}}", folder.0.display());
            format!("decision_wait: 5s\nnum_shards: {shards}\n{storage}{ERRORS}")
        };
        let running = Running::start(&yaml(shards), 0).await;
        running.take(&[(1, Kind::Child), (2, Kind::Child), (3, Kind::Error)]).await;
        assert_eq!(running.seconds(3).await, NOTHING);
        running.take(&[(1, Kind::Error), (4, Kind::Error)]).await;
        assert_eq!(running.stop().await, NOTHING);

        // With another number of shards.
        let running = Running::start(&yaml(4), 3 + later).await;
        running.take(&[(4, Kind::Child)]).await;
        // What arrived at second 0 is decided in the second after it has waited 5, or at once if that has passed.
        let until = 3_u64.saturating_sub(later).max(1);
        assert_eq!(running.seconds(until - 1).await, NOTHING);
        let (now, then) = match later {
            60 => (BTreeMap::from([(1, 2), (3, 1), (4, 2)]), NOTHING),
            _ => (BTreeMap::from([(1, 2), (3, 1)]), BTreeMap::from([(4, 2)])),
        };
        assert_eq!(running.seconds(1).await, now);
        assert_eq!(running.seconds(5).await, then);
        assert_eq!(running.stop().await, NOTHING);

        // Decisions are remembered: late spans follow them, and nothing comes out again.
        let running = Running::start(&yaml(2), 100).await;
        running.take(&[(1, Kind::Child), (2, Kind::Error), (3, Kind::Child)]).await;
        assert_eq!(running.out(), [(1, 1), (3, 1)].into());
        assert_eq!(running.seconds(10).await, NOTHING);
        assert_eq!(running.stop().await, NOTHING);
    }
}

#[tokio::test]
async fn a_process_that_is_killed_has_logged_what_it_sent() {
    let folder = Folder::new();
    let yaml = |directory: &Folder| {
        let policies = "\npolicies: [{name: all, type: always_sample}]";
        format!("decision_wait: 2s\nnum_traces: 3\nstorage: {}{policies}", directory.0.display())
    };
    let running = Running::start(&yaml(&folder), 0).await;
    // The fourth trace makes the first one be decided early, which goes out with the next tick.
    running.take(&[(1, Kind::Child), (2, Kind::Child), (3, Kind::Child), (4, Kind::Child)]).await;
    // A late span does not go out before its trace.
    running.take(&[(1, Kind::Child)]).await;
    assert_eq!(running.out(), [(1, 2)].into());
    let killed = folder.copy_all();
    let next = Running::start(&yaml(&killed), 1).await;
    assert_eq!(next.seconds(5).await, [(2, 1), (3, 1), (4, 1)].into());
    assert_eq!(next.stop().await, NOTHING);
    assert_eq!(running.stop().await, [(2, 1), (3, 1), (4, 1)].into());
}

#[tokio::test]
async fn a_stop_decides_or_throws_away_what_is_in_the_log_too() {
    for (drop, expected) in [("false", BTreeMap::from([(1, 1)])), ("true", NOTHING)] {
        let folder = Folder::new();
        let storage = folder.0.display();
        let yaml = format!("drop_pending_traces_on_shutdown: {drop}\nstorage: {storage}{ERRORS}");
        let running = Running::start(&yaml, 0).await;
        running.take(&[(1, Kind::Error), (2, Kind::Child)]).await;
        assert_eq!(running.stop().await, expected);
        let running = Running::start(&yaml, 1).await;
        assert_eq!(running.seconds(40).await, NOTHING);
        assert_eq!(running.stop().await, NOTHING);
    }
}

#[tokio::test]
async fn an_extension_gives_the_directory() {
    let folder = Folder::new();
    let path = folder.0.join("made").display().to_string();
    let yaml = format!("storage: file_storage{path}{ERRORS}");
    let running = Running::start(&yaml, 0).await;
    assert!(folder.0.join("made/tail_sampling.one").is_dir());
    running.stop().await;
    for (id, expected) in [("health_check", "is not a storage extension"), ("file_storage", "is not listed under")] {
        let error = Running::try_start(&format!("storage: {{extension: {id}}}{ERRORS}"), 0).await.err().unwrap();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_log_in_use_or_missing_is_refused_at_start() {
    let folder = Folder::new();
    let yaml = format!("storage: {}{ERRORS}", folder.0.display());
    let running = Running::start(&yaml, 0).await;
    let error = Running::try_start(&yaml, 0).await.err().unwrap().to_string();
    assert!(error.contains("another process has it"), "{error}");
    assert_eq!(running.stop().await, NOTHING);
    let yaml = format!("storage: {}/gone{ERRORS}", folder.0.display());
    let error = Running::try_start(&yaml, 0).await.err().unwrap().to_string();
    assert!(error.contains("directory must exist"), "{error}");
}

#[tokio::test]
async fn with_span_ingest_what_waited_is_asked_about_as_it_arrived() {
    let folder = Folder::new();
    let drop =
        "{name: no, type: drop, drop: {drop_sub_policy: [{name: many, type: span_count, span_count: {min_spans: 4}}]}}";
    let policies = ERRORS.replace("policies: [", &format!("policies: [{drop}, "));
    let yaml = |folder: &Folder, policies: &str| {
        let storage =
            format!("storage: {{directory: {}, on_shutdown: keep, acknowledge: written}}", folder.0.display());
        format!("decision_wait: 5s\nsampling_strategy: span-ingest\n{storage}{policies}")
    };
    let running = Running::start(&yaml(&folder, ERRORS), 0).await;
    running.take(&[(1, Kind::Child), (2, Kind::Child), (3, Kind::Error), (4, Kind::Child)]).await;
    assert_eq!(running.out(), [(3, 1)].into());
    assert_eq!(running.seconds(3).await, NOTHING);
    running.take(&[(2, Kind::Child), (5, Kind::Child)]).await;

    // Killed: what waited waits on, and what was sampled is not sent again.
    let killed = folder.copy_all();
    let running = Running::start(&yaml(&killed, ERRORS), 4).await;
    assert_eq!(running.out(), NOTHING);
    running.take(&[(1, Kind::Error), (3, Kind::Child)]).await;
    assert_eq!(running.out(), [(1, 2), (3, 1)].into());
    // 2 and 4 are forgotten now, 5 waits on.
    assert_eq!(running.seconds(3).await, NOTHING);
    running.take(&[(4, Kind::Child)]).await;
    assert_eq!(running.stop().await, NOTHING);

    // What was forgotten is a new trace in the next process, too.
    let running = Running::start(&yaml(&killed, ERRORS), 8).await;
    running.take(&[(2, Kind::Error), (4, Kind::Error), (5, Kind::Error)]).await;
    assert_eq!(running.out(), [(2, 1), (4, 2), (5, 2)].into());
    assert_eq!(running.stop().await, NOTHING);

    // What a drop policy has dropped is remembered.
    let dropping = Folder::new();
    let running = Running::start(&yaml(&dropping, &policies), 0).await;
    running.take(&[(1, Kind::Child); 4]).await;
    assert_eq!(running.stop().await, NOTHING);
    let running = Running::start(&yaml(&dropping, &policies), 1).await;
    running.take(&[(1, Kind::Error)]).await;
    assert_eq!(running.seconds(10).await, NOTHING);
    assert_eq!(running.stop().await, NOTHING);
}
