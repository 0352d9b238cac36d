//! The last value of every series, between the metrics that come in and the pages that go out.
//!
//! A *group* is what the page shows as one series: final name and labels. Its *members* are the OTLP series behind it:
//! two resources that differ only in attributes that are no labels (two pods of one service without
//! `service.instance.id`) are two members. Upstream keeps one value a group and shows whichever came last, so counters
//! jump; here counters and histograms of a group are added up. A member that expires or starts again while its group
//! lives leaves its last value in the group's base, so that the sum never falls.
//!
//! Time is an argument; names and labels are computed once, when a series is new.

use std::sync::Arc;
use std::time::Duration;

use hashbrown::{HashMap, HashTable};
use pdata::metrics::{
    self, AggregationTemporality, Attributes, ExponentialHistogramPoint, Metric, MetricData, Metrics, NumberValue,
    ResourceMetrics, SummaryPoint,
};
use xxhash_rust::xxh3;

use super::delta::{add_counts, add_exponential, add_numbers};
use super::model::{Family, Kind, Labels, Sample, Value, sort};
use super::translate::{
    self, JobInstance, Origin, Point, TARGET_INFO_HELP, Translator, check_scale, histogram_value, millis, native_value,
    number, number_value, summary_value,
};

/// Identifies an OTLP series: metric, scope, point attributes and resource attributes.
type Key = u128;
type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// See the module.
pub struct Store {
    translator: Translator,
    expiration: Duration,
    secret: u64,
    scratch: Vec<u8>,
    last_bounds: Arc<[f64]>,
    families: Map<Arc<str>, FamilyState>,
    /// Key to group, for members.
    members: Map<Key, u32>,
    groups: Vec<Option<Group>>,
    free: Vec<u32>,
    /// Groups by family and labels.
    by_labels: HashTable<u32>,
    targets: Map<JobInstance, Target>,
}

struct FamilyState {
    kind: Kind,
    help: String,
    n_groups: usize,
}

struct Group {
    family: Arc<str>,
    kind: Kind,
    labels: Labels,
    members: Vec<Member>,
    /// What members that are gone had counted.
    base: Option<Stored>,
}

struct Member {
    key: Key,
    updated: Duration,
    start_unix_nano: u64,
    time_unix_nano: u64,
    value: Stored,
}

struct Target {
    name: String,
    sample: Sample,
    updated: Duration,
}

/// A value without attributes. Bounds are shared among series: they are the same for all of a metric.
#[derive(Clone, Debug, PartialEq)]
enum Stored {
    Number { value: NumberValue, exemplar: Option<Box<metrics::Exemplar>> },
    Histogram(StoredHistogram),
    Exponential(Box<ExponentialHistogramPoint>),
    Summary(Box<SummaryPoint>),
}

#[derive(Clone, Debug, PartialEq)]
struct StoredHistogram {
    count: u64,
    sum: f64,
    bounds: Arc<[f64]>,
    counts: Box<[u64]>,
    /// The last one of each bucket.
    exemplars: Vec<metrics::Exemplar>,
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Points stored (or taken as "no value any more").
    pub points: u64,
    /// Points that cannot be shown, with the reason of the first of each metric.
    pub dropped: Vec<Dropped>,
}

/// Points of a metric that are not shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// OTLP name.
    pub metric: String,
    /// Why.
    pub reason: String,
    /// How many.
    pub points: u64,
}

impl Accepted {
    fn drop_point(&mut self, metric: &str, reason: impl FnOnce() -> String) {
        match self.dropped.iter_mut().find(|dropped| dropped.metric == metric) {
            Some(dropped) => dropped.points += 1,
            None => self.dropped.push(Dropped { metric: metric.to_owned(), reason: reason(), points: 1 }),
        }
    }
}

impl Store {
    /// An empty store. Series not updated for longer than `expiration` are forgotten.
    #[must_use]
    pub fn new(translator: Translator, expiration: Duration) -> Self {
        use std::hash::BuildHasher as _;
        Self {
            translator,
            expiration,
            secret: foldhash::fast::RandomState::default().hash_one(0),
            scratch: Vec::new(),
            last_bounds: Arc::default(),
            families: Map::default(),
            members: Map::default(),
            groups: Vec::new(),
            free: Vec::new(),
            by_labels: HashTable::new(),
            targets: Map::default(),
        }
    }

    /// Takes a batch at a monotonic time.
    pub fn accept(&mut self, batch: &Metrics, now: Duration) -> Accepted {
        let mut accepted = Accepted::default();
        for resource in &batch.resource_metrics {
            self.accept_resource(resource, now, &mut accepted);
        }
        accepted
    }

    /// Series on the page.
    #[must_use]
    pub fn len(&self) -> usize {
        self.groups.len() - self.free.len()
    }

    /// True if there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn accept_resource(&mut self, resource: &ResourceMetrics, now: Duration, accepted: &mut Accepted) {
        let before = accepted.points;
        self.scratch.clear();
        push_attributes(&mut self.scratch, &resource.attributes);
        let resource_hash = self.hash();
        for scope in &resource.scope_metrics {
            let origin = Origin { resource: &resource.attributes, scope: &scope.scope, schema_url: &scope.schema_url };
            self.scratch.clear();
            self.scratch.extend(resource_hash.to_le_bytes());
            for part in [&scope.scope.name, &scope.scope.version, &scope.schema_url] {
                push_part(&mut self.scratch, part.as_bytes());
            }
            push_attributes(&mut self.scratch, &scope.scope.attributes);
            let scope_hash = self.hash();
            for metric in &scope.metrics {
                self.accept_metric(origin, metric, scope_hash, now, accepted);
            }
        }
        if accepted.points > before {
            self.accept_target(resource, now, accepted);
        }
    }

    fn accept_target(&mut self, resource: &ResourceMetrics, now: Duration, accepted: &mut Accepted) {
        let identity = JobInstance::of(&resource.attributes);
        // The first resource of a target stays, until none of its points came for the expiration time.
        if let Some(target) = self.targets.get_mut(&identity) {
            target.updated = now;
            return;
        }
        match self.translator.target_info(&resource.attributes) {
            None => {}
            Some(Ok((name, sample))) => {
                self.targets.insert(identity, Target { name, sample, updated: now });
            }
            Some(Err(error)) => accepted.drop_point("target_info", || error.to_string()),
        }
    }

    fn accept_metric(
        &mut self,
        origin: Origin<'_>,
        metric: &Metric,
        scope_hash: u128,
        now: Duration,
        accepted: &mut Accepted,
    ) {
        let Some(kind) = translate::kind(metric) else { return };
        let temporality = match &metric.data {
            MetricData::Sum { temporality, .. }
            | MetricData::Histogram { temporality, .. }
            | MetricData::ExponentialHistogram { temporality, .. } => *temporality,
            MetricData::Gauge { .. } | MetricData::Summary { .. } | MetricData::Empty => {
                AggregationTemporality::Cumulative
            }
        };
        let refused = match (&metric.data, temporality) {
            // Upstream shows the first point of such a histogram for ever and drops the rest.
            (_, AggregationTemporality::Unspecified) => Some("unspecified temporality"),
            (MetricData::Sum { monotonic: false, .. }, AggregationTemporality::Delta) => {
                Some("a sum that is not monotonic has no meaning as deltas")
            }
            _ => None,
        };
        let mut series_of_metric = SeriesOf { origin, metric, kind, name: None };
        self.scratch.clear();
        self.scratch.extend(scope_hash.to_le_bytes());
        push_part(&mut self.scratch, metric.name.as_bytes());
        self.scratch.push(type_code(&metric.data));
        let metric_hash = self.hash();
        translate::for_points(metric, |point| {
            if let Some(reason) = refused {
                return accepted.drop_point(&metric.name, || reason.to_owned());
            }
            self.scratch.clear();
            self.scratch.extend(metric_hash.to_le_bytes());
            push_attributes(&mut self.scratch, point.attributes());
            let key = self.hash();
            if point.no_recorded_value() {
                self.remove(key);
                accepted.points += 1;
                return;
            }
            match self.accept_point(&mut series_of_metric, point, key, temporality, now) {
                Ok(()) => accepted.points += 1,
                Err(reason) => accepted.drop_point(&metric.name, || reason),
            }
        });
    }

    fn accept_point(
        &mut self,
        of: &mut SeriesOf<'_>,
        point: Point<'_>,
        key: Key,
        temporality: AggregationTemporality,
        now: Duration,
    ) -> Result<(), String> {
        if let Point::Exponential(point) = point {
            // Checked here so that a page can always be made.
            check_scale(point.scale).map_err(|error| error.to_string())?;
        }
        let at = match self.members.get(&key) {
            Some(at) => *at,
            None => self.insert_group(of, point)?,
        };
        let bounds = self.share_bounds(point);
        let Some(group) = self.groups.get_mut(at as usize).and_then(Option::as_mut) else { return Ok(()) };
        let shared = group.members.len() > 1 || group.base.is_some();
        match group.members.iter_mut().find(|member| member.key == key) {
            Some(member) => {
                if let Some(gone) = member.update(point, bounds, temporality)?
                    && shared
                    && group.kind != Kind::Gauge
                {
                    add_to_base(&mut group.base, gone);
                }
                member.updated = now;
            }
            None => {
                self.members.insert(key, at);
                group.members.push(Member {
                    key,
                    updated: now,
                    start_unix_nano: point.start_unix_nano(),
                    time_unix_nano: point.time_unix_nano(),
                    value: Stored::of(point, bounds),
                });
            }
        }
        Ok(())
    }

    /// The bounds of a histogram point, as the copy of the point before if they are equal.
    fn share_bounds(&mut self, point: Point<'_>) -> Arc<[f64]> {
        if let Point::Histogram(point) = point
            && *self.last_bounds != *point.explicit_bounds
        {
            self.last_bounds = point.explicit_bounds.as_slice().into();
        }
        Arc::clone(&self.last_bounds)
    }

    /// Finds or makes the group of a series that is new.
    fn insert_group(&mut self, of: &mut SeriesOf<'_>, point: Point<'_>) -> Result<u32, String> {
        let name = match &of.name {
            Some(name) => Arc::clone(name),
            None => {
                let built = self.translator.names.metric(&of.metric.name, &of.metric.unit, of.kind);
                let name: Arc<str> = built.map_err(|error| error.to_string())?.into();
                Arc::clone(of.name.insert(name))
            }
        };
        if let Some(family) = self.families.get(&name)
            && family.kind != of.kind
        {
            return Err(format!(
                "instrument type conflict, using existing type definition. instrument: {name}, existing: {}, dropped: {}",
                family.kind.word(),
                of.kind.word()
            ));
        }
        let labels =
            self.translator.labels(of.origin, point.attributes(), of.kind).map_err(|error| error.to_string())?;
        let hash = group_hash(self.secret, &name, &labels);
        let groups = &self.groups;
        let found = self.by_labels.find(hash, |at| {
            let group = groups.get(*at as usize).and_then(Option::as_ref);
            group.is_some_and(|group| group.family == name && group.labels == labels)
        });
        if let Some(at) = found {
            return Ok(*at);
        }
        let family = self.families.entry(Arc::clone(&name)).or_insert_with(|| FamilyState {
            kind: of.kind,
            help: of.metric.description.clone(),
            n_groups: 0,
        });
        family.n_groups += 1;
        let group = Group { family: name, kind: of.kind, labels, members: Vec::with_capacity(1), base: None };
        let at = match self.free.pop() {
            Some(at) => {
                self.groups[at as usize] = Some(group);
                at
            }
            None => {
                let at = u32::try_from(self.groups.len()).map_err(|_| "too many series".to_owned())?;
                self.groups.push(Some(group));
                at
            }
        };
        let (groups, secret) = (&self.groups, self.secret);
        self.by_labels.insert_unique(hash, at, |at| {
            let group = groups.get(*at as usize).and_then(Option::as_ref);
            group.map_or(0, |group| group_hash(secret, &group.family, &group.labels))
        });
        Ok(at)
    }

    fn hash(&self) -> u128 {
        xxh3::xxh3_128_with_seed(&self.scratch, self.secret)
    }

    /// A source said that the series has no value any more: nothing of it stays, not even in the base.
    fn remove(&mut self, key: Key) {
        let Some(at) = self.members.remove(&key) else { return };
        let Some(group) = self.groups.get_mut(at as usize).and_then(Option::as_mut) else { return };
        group.members.retain(|member| member.key != key);
        if group.members.is_empty() {
            self.remove_group(at);
        }
    }

    fn remove_group(&mut self, at: u32) {
        let Some(group) = self.groups.get_mut(at as usize).and_then(Option::take) else { return };
        if let Ok(entry) =
            self.by_labels.find_entry(group_hash(self.secret, &group.family, &group.labels), |other| *other == at)
        {
            entry.remove();
        }
        if let Some(family) = self.families.get_mut(&group.family) {
            family.n_groups -= 1;
            if family.n_groups == 0 {
                self.families.remove(&group.family);
            }
        }
        self.free.push(at);
    }

    /// Forgets what was not updated for longer than the expiration time. Called at each scrape and by a ticker.
    pub fn expire(&mut self, now: Duration) {
        let Some(deadline) = now.checked_sub(self.expiration) else { return };
        self.targets.retain(|_, target| target.updated >= deadline);
        for at in 0..self.groups.len() {
            let Some(group) = self.groups[at].as_mut() else { continue };
            if group.members.iter().all(|member| member.updated >= deadline) {
                continue;
            }
            let adds_up = group.kind != Kind::Gauge;
            let (base, members) = (&mut group.base, &mut self.members);
            group.members.retain_mut(|member| {
                let keep = member.updated >= deadline;
                if !keep {
                    members.remove(&member.key);
                    if adds_up {
                        add_to_base(base, member.value.clone());
                    }
                }
                keep
            });
            if group.members.is_empty()
                && let Ok(at) = u32::try_from(at)
            {
                self.remove_group(at);
            }
        }
        if self.free.len() > self.groups.len() / 2 {
            self.compact();
        }
    }

    /// Gives memory back after many series have gone.
    fn compact(&mut self) {
        let kept: Vec<Group> = std::mem::take(&mut self.groups).into_iter().flatten().collect();
        self.free = Vec::new();
        self.by_labels = HashTable::with_capacity(kept.len());
        self.members.clear();
        let secret = self.secret;
        for (at, group) in (0u32..).zip(&kept) {
            self.members.extend(group.members.iter().map(|member| (member.key, at)));
            self.by_labels.insert_unique(group_hash(secret, &group.family, &group.labels), at, |at| {
                kept.get(*at as usize).map_or(0, |group| group_hash(secret, &group.family, &group.labels))
            });
        }
        self.members.shrink_to_fit();
        self.groups = kept.into_iter().map(Some).collect();
    }

    /// The page, families and samples in order.
    #[must_use]
    pub fn families(&self) -> Vec<Family> {
        let mut families: Map<&str, Family> = Map::default();
        for target in self.targets.values() {
            let family = families.entry(&target.name).or_insert_with(|| Family {
                name: target.name.clone(),
                help: TARGET_INFO_HELP.to_owned(),
                kind: Kind::Gauge,
                samples: Vec::new(),
            });
            family.samples.push(target.sample.clone());
        }
        for group in self.groups.iter().flatten() {
            let Some(state) = self.families.get(&group.family) else { continue };
            let Some(sample) = group.sample(self.translator.timestamps) else { continue };
            let family = families.entry(&group.family).or_insert_with(|| Family {
                name: group.family.to_string(),
                help: state.help.clone(),
                kind: state.kind,
                samples: Vec::with_capacity(state.n_groups),
            });
            family.samples.push(sample);
        }
        let mut families: Vec<Family> = families.into_values().collect();
        sort(&mut families);
        families
    }
}

/// The metric at hand, with its final name once it was needed.
struct SeriesOf<'a> {
    origin: Origin<'a>,
    metric: &'a Metric,
    kind: Kind,
    name: Option<Arc<str>>,
}

impl Group {
    fn sample(&self, timestamps: bool) -> Option<Sample> {
        let newest = self.members.iter().max_by_key(|member| member.time_unix_nano)?;
        let value = if self.kind == Kind::Gauge || (self.members.len() == 1 && self.base.is_none()) {
            newest.value.value(self.kind)
        } else {
            // The newest first: where bounds differ, its are the ones that stay.
            let mut sum = newest.value.clone();
            let others = self.members.iter().filter(|member| member.key != newest.key).map(|member| &member.value);
            others.chain(&self.base).for_each(|value| add(&mut sum, value.clone()));
            sum.value(self.kind)
        };
        let created = self.members.iter().map(|member| member.start_unix_nano).min().unwrap_or(0);
        Some(Sample {
            labels: self.labels.clone(),
            value: value?,
            timestamp_ms: timestamps.then(|| millis(newest.time_unix_nano)),
            created_unix_nano: if self.kind == Kind::Gauge { 0 } else { created },
        })
    }
}

impl Member {
    /// Takes a newer point. Gives back the value that was replaced if counting began anew.
    fn update(
        &mut self,
        point: Point<'_>,
        bounds: Arc<[f64]>,
        temporality: AggregationTemporality,
    ) -> Result<Option<Stored>, String> {
        let (start, time) = (point.start_unix_nano(), point.time_unix_nano());
        let delta = temporality == AggregationTemporality::Delta;
        if delta && matches!(point, Point::Histogram(_) | Point::Exponential(_)) {
            if start < self.time_unix_nano {
                return Err("misaligned delta: the point starts before the end of the one before".to_owned());
            }
        } else if time < self.time_unix_nano {
            // Upstream passes over late points in silence.
            return Ok(None);
        }
        let goes_on = delta && start == self.time_unix_nano;
        self.time_unix_nano = self.time_unix_nano.max(time);
        let mut before = std::mem::replace(&mut self.value, Stored::of(point, bounds));
        self.value.take_exemplars(&mut before);
        if goes_on {
            add(&mut self.value, before);
            return Ok(None);
        }
        let began_anew = std::mem::replace(&mut self.start_unix_nano, start) != start;
        Ok(began_anew.then_some(before))
    }
}

impl Stored {
    fn of(point: Point<'_>, bounds: Arc<[f64]>) -> Self {
        match point {
            Point::Number(point) => {
                Self::Number { value: point.value, exemplar: point.exemplars.last().cloned().map(Box::new) }
            }
            Point::Histogram(point) => Self::Histogram(StoredHistogram {
                count: point.count,
                sum: point.sum.unwrap_or_default(),
                bounds,
                counts: point.bucket_counts.as_slice().into(),
                exemplars: point.exemplars.clone(),
            }),
            Point::Exponential(point) => {
                let attributes = Attributes::new();
                Self::Exponential(Box::new(ExponentialHistogramPoint { attributes, ..point.clone() }))
            }
            Point::Summary(point) => {
                Self::Summary(Box::new(SummaryPoint { attributes: Attributes::new(), ..point.clone() }))
            }
        }
    }

    /// Exemplars stay until newer ones come: a scrape every 30 seconds would seldom see those of one flush.
    fn take_exemplars(&mut self, before: &mut Self) {
        match (self, before) {
            (Self::Number { exemplar: exemplar @ None, .. }, Self::Number { exemplar: old, .. }) => {
                *exemplar = old.take();
            }
            (Self::Histogram(new), Self::Histogram(old)) => {
                let mut all = std::mem::take(&mut old.exemplars);
                all.append(&mut new.exemplars);
                if all.len() > 1 {
                    keep_last_of_each_bucket(&mut all, &new.bounds);
                }
                new.exemplars = all;
            }
            (Self::Exponential(new), Self::Exponential(old)) if new.exemplars.is_empty() => {
                new.exemplars = std::mem::take(&mut old.exemplars);
            }
            _ => {}
        }
    }

    fn value(&self, kind: Kind) -> Option<Value> {
        match self {
            Self::Number { value, exemplar } => Some(number_value(*value, exemplar.as_deref(), kind)),
            Self::Histogram(it) => Some(histogram_value(it.count, it.sum, &it.bounds, &it.counts, &it.exemplars)),
            // The scale was checked when the point came; merging only makes it coarser than one that was good.
            Self::Exponential(point) => native_value(point).ok(),
            Self::Summary(point) => Some(summary_value(point)),
        }
    }
}

fn keep_last_of_each_bucket(exemplars: &mut Vec<metrics::Exemplar>, bounds: &[f64]) {
    let mut seen = vec![false; bounds.len() + 1];
    exemplars.reverse();
    exemplars.retain(|exemplar| {
        let bucket = bounds.partition_point(|bound| *bound < number(exemplar.value));
        !std::mem::replace(&mut seen[bucket], true)
    });
    exemplars.reverse();
}

/// As [`add`], to nothing at first.
fn add_to_base(base: &mut Option<Stored>, from: Stored) {
    match base {
        Some(base) => add(base, from),
        None => *base = Some(from),
    }
}

/// Adds up. Summaries cannot be added, and histograms only with equal bounds: what is in `to` stays. So do its exemplars,
/// where both have some.
fn add(to: &mut Stored, from: Stored) {
    match (to, from) {
        (Stored::Number { value, exemplar }, Stored::Number { value: other, exemplar: others }) => {
            *value = add_numbers(*value, other);
            if exemplar.is_none() {
                *exemplar = others;
            }
        }
        (Stored::Histogram(to), Stored::Histogram(from)) if to.bounds == from.bounds => {
            to.count = to.count.saturating_add(from.count);
            to.sum += from.sum;
            add_counts(&mut to.counts, &from.counts);
            // Later ones win their bucket.
            to.exemplars.splice(0..0, from.exemplars);
        }
        (Stored::Exponential(to), Stored::Exponential(from)) => {
            add_exponential(to, &from);
            to.exemplars.extend(from.exemplars);
        }
        _ => {}
    }
}

fn type_code(data: &MetricData) -> u8 {
    match data {
        MetricData::Empty => 0,
        MetricData::Gauge { .. } => 1,
        MetricData::Sum { .. } => 2,
        MetricData::Histogram { .. } => 3,
        MetricData::ExponentialHistogram { .. } => 4,
        MetricData::Summary { .. } => 5,
    }
}

fn group_hash(secret: u64, family: &str, labels: &Labels) -> u64 {
    xxh3::xxh3_64_with_seed(labels.text().as_bytes(), secret ^ xxh3::xxh3_64(family.as_bytes()))
}

fn push_part(out: &mut Vec<u8>, part: &[u8]) {
    out.extend((part.len() as u64).to_le_bytes());
    out.extend_from_slice(part);
}

/// In key order, values as text: as upstream's signature.
fn push_attributes(out: &mut Vec<u8>, attributes: &Attributes) {
    let mut sorted: Vec<_> = attributes.iter().collect();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    for (key, value) in sorted {
        push_part(out, key.as_bytes());
        match value {
            metrics::Value::String(text) => push_part(out, text.as_bytes()),
            value => push_part(out, value.to_text().as_bytes()),
        }
    }
}
