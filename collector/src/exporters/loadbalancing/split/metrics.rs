//! Points to members, by the keys that contrib has for metrics.

use component::ConsumeError;
use pdata::Metrics;
use pdata::metrics::{Attributes, Metric, MetricData, ResourceMetrics, ScopeMetrics, Value};

use super::identity::{MetricIdentity, resource_identity};
use super::{Batch, RoutingKey, Shares, push_text, push_value};
use crate::cluster::ring::Ring;
use crate::exporters::helper::{Failure, Request};

/// Divides a batch. Resources without a service name have no key where the key is the service: they are dropped and
/// logged, and where nothing else is left the batch is refused.
pub(super) fn split(metrics: Metrics, key: &RoutingKey, ring: &Ring) -> Result<Shares, Failure> {
    let mut deal = Deal { ring, parts: vec![Part::default(); ring.members().len()] };
    let mut nameless = 0;
    let whole = matches!(key, RoutingKey::Service).then(|| Batch::Metrics(metrics.clone()));
    for (number, resource) in metrics.resource_metrics.into_iter().enumerate() {
        match key {
            RoutingKey::Resource => {
                deal.resource(resource_identity(&resource.attributes).as_bytes(), resource);
            }
            RoutingKey::Metric => deal.metrics(number, resource),
            RoutingKey::Stream => deal.streams(number, resource),
            RoutingKey::Attributes(names) => deal.attributes(number, resource, names),
            // The keys of traces do not occur for metrics.
            RoutingKey::Service | RoutingKey::TraceId | RoutingKey::TraceAttributes(_) => {
                match get(&resource.attributes, "service.name") {
                    Some(Value::String(name)) => deal.resource(name.clone().as_bytes(), resource),
                    Some(_) => deal.resource(b"", resource),
                    None => nameless += resource.point_count(),
                }
            }
        }
    }
    let shares: Shares = deal
        .parts
        .into_iter()
        .enumerate()
        .filter(|(_, part)| !part.metrics.resource_metrics.is_empty())
        .map(|(member, part)| (member, Request::from_metrics(&part.metrics)))
        .collect();
    if nameless > 0 {
        let message = "unable to get service name from resource metric";
        if shares.is_empty()
            && let Some(whole) = whole
        {
            return Err(Failure { error: ConsumeError::permanent(message), rest: whole.encode() });
        }
        tracing::error!(error = message, dropped_items = nameless, "failed to export metric");
    }
    Ok(shares)
}

fn get<'a>(attributes: &'a Attributes, name: &str) -> Option<&'a Value> {
    attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

/// What a member gets, and the numbers of the resource and scope that its last ones are copies of.
#[derive(Clone, Default)]
struct Part {
    metrics: Metrics,
    at: Option<(usize, usize)>,
}

impl Part {
    /// The scope to put metrics of this one into.
    fn scope(
        &mut self,
        (number, resource): (usize, &ResourceMetrics),
        scope: (usize, &ScopeMetrics),
    ) -> &mut ScopeMetrics {
        let all = &mut self.metrics.resource_metrics;
        if self.at.is_none_or(|at| at.0 != number) {
            all.push(ResourceMetrics {
                attributes: resource.attributes.clone(),
                schema_url: resource.schema_url.clone(),
                scope_metrics: Vec::new(),
            });
        }
        let last = all.len() - 1;
        let scopes = &mut all[last].scope_metrics;
        if self.at != Some((number, scope.0)) {
            let (scope, schema_url) = (scope.1.scope.clone(), scope.1.schema_url.clone());
            scopes.push(ScopeMetrics { scope, schema_url, metrics: Vec::new() });
        }
        self.at = Some((number, scope.0));
        let last = scopes.len() - 1;
        &mut scopes[last]
    }
}

struct Deal<'a> {
    ring: &'a Ring,
    parts: Vec<Part>,
}

impl Deal<'_> {
    fn owner(&self, key: &[u8]) -> usize {
        self.ring.owner(key).unwrap_or_default()
    }

    /// All of a resource.
    fn resource(&mut self, key: &[u8], resource: ResourceMetrics) {
        let owner = self.owner(key);
        self.parts[owner].metrics.resource_metrics.push(resource);
        self.parts[owner].at = None;
    }

    /// Each metric by its name.
    fn metrics(&mut self, number: usize, mut resource: ResourceMetrics) {
        for (n, mut scope) in std::mem::take(&mut resource.scope_metrics).into_iter().enumerate() {
            for metric in std::mem::take(&mut scope.metrics) {
                let owner = self.owner(metric.name.as_bytes());
                self.parts[owner].scope((number, &resource), (n, &scope)).metrics.push(metric);
            }
        }
    }

    /// Each point by its stream.
    fn streams(&mut self, number: usize, mut resource: ResourceMetrics) {
        for (n, mut scope) in std::mem::take(&mut resource.scope_metrics).into_iter().enumerate() {
            for metric in std::mem::take(&mut scope.metrics) {
                let identity = MetricIdentity::new(&resource.attributes, &scope.scope, &metric);
                let ring = self.ring;
                let owner = |point: &Attributes| ring.owner(identity.stream(point).as_bytes()).unwrap_or_default();
                self.points(metric, owner, (number, &resource), (n, &scope));
            }
        }
    }

    /// By attributes: of the resource first, then of the scope, then of the point, each level in the order configured.
    fn attributes(&mut self, number: usize, mut resource: ResourceMetrics, names: &[String]) {
        let mut key = Vec::new();
        let names = push_found(&mut key, names.iter().map(String::as_str), &resource.attributes);
        if names.is_empty() {
            return self.resource(&key, resource);
        }
        for (n, mut scope) in std::mem::take(&mut resource.scope_metrics).into_iter().enumerate() {
            let mut key = key.clone();
            let names = push_found(&mut key, names.iter().copied(), &scope.scope.attributes);
            let metrics = std::mem::take(&mut scope.metrics);
            if names.is_empty() {
                let owner = self.owner(&key);
                self.parts[owner].scope((number, &resource), (n, &scope)).metrics.extend(metrics);
                continue;
            }
            for metric in metrics {
                let ring = self.ring;
                let owner = |point: &Attributes| {
                    let mut key = key.clone();
                    for name in &names {
                        match get(point, name) {
                            Some(value) => push_value(&mut key, name, value),
                            None => push_text(&mut key, name, b""),
                        }
                    }
                    ring.owner(&key).unwrap_or_default()
                };
                self.points(metric, owner, (number, &resource), (n, &scope));
            }
        }
    }

    fn points(
        &mut self,
        metric: Metric,
        owner: impl Fn(&Attributes) -> usize,
        resource: (usize, &ResourceMetrics),
        scope: (usize, &ScopeMetrics),
    ) {
        for (owner, metric) in divide(metric, owner) {
            self.parts[owner].scope(resource, scope).metrics.push(metric);
        }
    }
}

/// Writes the attributes that are there, and returns the names of those that are not.
fn push_found<'n>(key: &mut Vec<u8>, names: impl Iterator<Item = &'n str>, attributes: &Attributes) -> Vec<&'n str> {
    let mut missing = Vec::new();
    for name in names {
        match get(attributes, name) {
            Some(value) => push_value(key, name, value),
            None => missing.push(name),
        }
    }
    missing
}

/// A metric with its points divided by owner, points in order.
fn divide(metric: Metric, owner: impl Fn(&Attributes) -> usize) -> Vec<(usize, Metric)> {
    let Metric { name, description, unit, data } = metric;
    let make = |data| Metric { name: name.clone(), description: description.clone(), unit: unit.clone(), data };
    match data {
        MetricData::Gauge { points } => by_owner(points, |point| owner(&point.attributes))
            .map(|(owner, points)| (owner, make(MetricData::Gauge { points })))
            .collect(),
        MetricData::Sum { points, temporality, monotonic } => by_owner(points, |point| owner(&point.attributes))
            .map(|(owner, points)| (owner, make(MetricData::Sum { points, temporality, monotonic })))
            .collect(),
        MetricData::Histogram { points, temporality } => by_owner(points, |point| owner(&point.attributes))
            .map(|(owner, points)| (owner, make(MetricData::Histogram { points, temporality })))
            .collect(),
        MetricData::ExponentialHistogram { points, temporality } => by_owner(points, |point| owner(&point.attributes))
            .map(|(owner, points)| (owner, make(MetricData::ExponentialHistogram { points, temporality })))
            .collect(),
        MetricData::Summary { points } => by_owner(points, |point| owner(&point.attributes))
            .map(|(owner, points)| (owner, make(MetricData::Summary { points })))
            .collect(),
        MetricData::Empty => Vec::new(),
    }
}

fn by_owner<P>(points: Vec<P>, owner: impl Fn(&P) -> usize) -> impl Iterator<Item = (usize, Vec<P>)> {
    let mut groups: Vec<(usize, Vec<P>)> = Vec::new();
    for point in points {
        let of = owner(&point);
        match groups.iter_mut().find(|(owner, _)| *owner == of) {
            Some((_, points)) => points.push(point),
            None => groups.push((of, vec![point])),
        }
    }
    groups.into_iter()
}
