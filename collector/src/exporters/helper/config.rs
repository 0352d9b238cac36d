//! The keys that every sending exporter has: `timeout`, `retry_on_failure`, `sending_queue`.

use serde::Deserialize;

use crate::config::{Duration, Problems, optional};

/// `retry_on_failure`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// Off: one attempt.
    pub enabled: bool,
    /// The first wait.
    pub initial_interval: Duration,
    /// Waits vary by up to this share, either way.
    pub randomization_factor: f64,
    /// Each wait is this much longer than the one before.
    pub multiplier: f64,
    /// The longest wait.
    pub max_interval: Duration,
    /// No further attempt after this long; 0 is forever.
    pub max_elapsed_time: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            enabled: true,
            initial_interval: Duration::from_secs(5),
            randomization_factor: 0.5,
            multiplier: 1.5,
            max_interval: Duration::from_secs(30),
            max_elapsed_time: Duration::from_secs(300),
        }
    }
}

impl Retry {
    /// Reports every mistake, with upstream's texts.
    pub fn check(&self, path: &str, problems: &mut Problems) {
        if !self.enabled {
            return;
        }
        if self.initial_interval.is_negative() {
            problems.add(path, "'initial_interval' must be non-negative");
        }
        if !(0.0..=1.0).contains(&self.randomization_factor) {
            problems.add(path, "'randomization_factor' must be within [0, 1]");
        }
        if !(self.multiplier >= 0.0 && self.multiplier.is_finite()) {
            problems.add(path, "'multiplier' must be non-negative");
        }
        if self.max_interval.is_negative() {
            problems.add(path, "'max_interval' must be non-negative");
        }
        if self.max_elapsed_time.is_negative() {
            problems.add(path, "'max_elapsed_time' must be non-negative");
        } else if !self.max_elapsed_time.is_zero() {
            if self.max_elapsed_time < self.initial_interval {
                problems.add(path, "'max_elapsed_time' must not be less than 'initial_interval'");
            }
            if self.max_elapsed_time < self.max_interval {
                problems.add(path, "'max_elapsed_time' must not be less than 'max_interval'");
            }
        }
    }
}

/// What a size counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sizer {
    /// Requests.
    #[default]
    Requests,
    /// Spans or points.
    Items,
    /// Encoded bytes, before compression.
    Bytes,
}

/// `sending_queue`; `enabled: false` makes it `None` where it is used.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Queue {
    /// Requests sent at once.
    pub num_consumers: i64,
    /// Room, in units of `sizer`, until a request is finished.
    pub queue_size: i64,
    /// What `queue_size` counts.
    pub sizer: Sizer,
    /// A full queue makes the caller wait instead of refusing.
    pub block_on_overflow: bool,
    /// The caller waits for the final outcome.
    pub wait_for_result: bool,
    storage: Option<String>,
    /// Requests are merged before they are sent.
    #[serde(deserialize_with = "optional::given")]
    pub batch: Option<Batch>,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            num_consumers: 10,
            queue_size: 1000,
            sizer: Sizer::Requests,
            block_on_overflow: false,
            wait_for_result: false,
            storage: None,
            batch: None,
        }
    }
}

/// `sending_queue::batch`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Batch {
    /// A batch waits no longer than this.
    pub flush_timeout: Duration,
    /// A batch of this size is sent at once.
    pub min_size: i64,
    /// No request is larger; 0 is no limit.
    pub max_size: i64,
    sizer: Option<Sizer>,
    partition: Option<Partition>,
}

impl Default for Batch {
    fn default() -> Self {
        Self { flush_timeout: Duration::from_millis(200), min_size: 8192, max_size: 0, sizer: None, partition: None }
    }
}

/// `sending_queue::batch::partition`: accepted as far as it partitions nothing.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Partition {
    metadata_keys: Vec<String>,
    cache_size: i64,
    idle_timeout: Duration,
}

impl Batch {
    /// What the sizes count: as written, else as the queue counts, else items.
    #[must_use]
    pub fn sizer(&self, queue: Sizer) -> Sizer {
        match (self.sizer, queue) {
            (Some(sizer), _) => sizer,
            (None, Sizer::Requests) => Sizer::Items,
            (None, sizer) => sizer,
        }
    }
}

impl Queue {
    /// Reports every mistake, with upstream's texts.
    pub fn check(&self, path: &str, problems: &mut Problems) {
        if self.num_consumers <= 0 {
            problems.add(path, "`num_consumers` must be positive");
        }
        if self.queue_size <= 0 {
            problems.add(path, "`queue_size` must be positive");
        }
        if self.storage.is_some() {
            problems.add(format!("{path}::storage"), "a persistent sending queue is not supported");
        }
        let Some(batch) = &self.batch else { return };
        let path = format!("{path}::batch");
        if batch.flush_timeout <= Duration::default() {
            problems.add(path.as_str(), "`flush_timeout` must be positive");
        }
        if batch.min_size < 0 {
            problems.add(path.as_str(), "`min_size` must be non-negative");
        }
        if batch.max_size < 0 {
            problems.add(path.as_str(), "`max_size` must be non-negative");
        }
        if batch.sizer == Some(Sizer::Requests) {
            problems.add(path.as_str(), "`batch` supports only `items` or `bytes` sizer");
        }
        if batch.max_size > 0 && batch.max_size < batch.min_size {
            problems.add(path.as_str(), "`max_size` must be greater or equal to `min_size`");
        }
        if batch.sizer(self.sizer) == self.sizer && batch.min_size > self.queue_size {
            problems.add(path.as_str(), "`min_size` must be less than or equal to `queue_size`");
        }
        if let Some(partition) = &batch.partition
            && !partition.metadata_keys.is_empty()
        {
            problems.add(
                format!("{path}::partition::metadata_keys"),
                "partitions by client metadata are not supported: no component here keeps it",
            );
        }
    }
}

/// Checks `timeout`.
pub fn check_timeout(timeout: Duration, path: &str, problems: &mut Problems) {
    if timeout.is_negative() {
        problems.add(path, "timeout value must be greater than or equal to 0");
    }
}
