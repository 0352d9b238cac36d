//! What a trigger asks: its metadata, read and answered.
//!
//! Two grammars, told apart by form: `op(name{k=v})` of the kedify otel-add-on, with an operation over time beside it, and
//! PromQL, of which an instant query is evaluated. What cannot match anything is an error that names what is there, never
//! a silent 0: with 0 the workload would be scaled down because of a typing error.

mod add_on;
mod functions;
mod promql;
mod select;

use std::collections::HashMap;

use super::series::Nanos;
use super::store::Store;
use crate::config::nearest;

/// Longer queries are refused before they are parsed.
const MAX_QUERY: usize = 8 << 10;

/// KEDA's own keys, which it passes on with all others.
const KEDAS_KEYS: [&str; 7] =
    ["scalerAddress", "enableTLS", "unsafeSsl", "caCert", "tlsClientCert", "tlsClientKey", "metricType"];
const OUR_KEYS: [&str; 6] =
    ["metricQuery", "targetValue", "activationTargetValue", "operationOverTime", "clampMin", "clampMax"];

/// Why a trigger has no answer. The text is for the person who wrote the ScaledObject.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum QueryError {
    /// The metadata or the query is wrong; no data can mend that.
    #[error("{0}")]
    Invalid(String),
    /// There is nothing that answers it, now.
    #[error("{0}")]
    NoData(String),
}

/// A trigger's metadata, checked.
#[derive(Debug)]
pub(super) struct Trigger {
    query: Query,
    /// What one replica should carry.
    pub(super) target: f64,
    /// Above this the workload is active.
    activation: f64,
    clamp: (f64, f64),
}

#[derive(Debug)]
enum Query {
    AddOn(add_on::Query),
    PromQl(promql_parser::parser::Expr),
}

impl Trigger {
    /// Reads `scalerMetadata`.
    pub(super) fn parse(metadata: &HashMap<String, String>) -> Result<Self, QueryError> {
        let invalid = |text: String| Err(QueryError::Invalid(text));
        for key in metadata.keys() {
            let known = OUR_KEYS.contains(&key.as_str()) || KEDAS_KEYS.contains(&key.as_str());
            // KEDA hands over whatever stands in the trigger, so only a likely typing error is refused.
            if !known && let Some(meant) = nearest::nearest(key, OUR_KEYS) {
                return invalid(format!("unknown trigger metadata {key:?} (did you mean {meant:?}?)"));
            }
        }
        let number = |key: &str| match metadata.get(key) {
            None => Ok(None),
            Some(text) => match text.trim().parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(Some(number)),
                _ => Err(QueryError::Invalid(format!("{key}: {text:?} is not a number"))),
            },
        };
        let Some(text) = metadata.get("metricQuery").map(|text| text.trim()).filter(|text| !text.is_empty()) else {
            return invalid("trigger metadata metricQuery is required".to_owned());
        };
        if text.len() > MAX_QUERY {
            return invalid(format!("metricQuery is longer than {MAX_QUERY} bytes"));
        }
        let Some(target) = number("targetValue")? else {
            return invalid("trigger metadata targetValue is required".to_owned());
        };
        if target <= 0.0 {
            return invalid(format!("targetValue: {target} is not above 0"));
        }
        let clamp = (number("clampMin")?.unwrap_or(f64::NEG_INFINITY), number("clampMax")?.unwrap_or(f64::INFINITY));
        if clamp.0 > clamp.1 {
            return invalid(format!("clampMin {} is above clampMax {}", clamp.0, clamp.1));
        }
        let query = Query::parse(text, metadata.get("operationOverTime").map(String::as_str))?;
        Ok(Self { query, target, activation: number("activationTargetValue")?.unwrap_or(0.0), clamp })
    }

    /// The total over the tier now. Never negative, which KEDA could not read, and always a number.
    pub(super) fn evaluate(&self, store: &Store, now: Nanos) -> Result<f64, QueryError> {
        let value = match &self.query {
            Query::AddOn(query) => query.evaluate(store, now),
            Query::PromQl(expression) => promql::evaluate(expression, store, now),
        }?;
        if !value.is_finite() {
            return Err(QueryError::NoData(format!("the query gives {value}, which is no number to scale by")));
        }
        Ok(value.clamp(self.clamp.0, self.clamp.1).max(0.0))
    }

    /// True if the workload should have replicas.
    pub(super) fn is_active(&self, value: f64) -> bool {
        value > self.activation
    }
}

impl Query {
    fn parse(text: &str, over_time: Option<&str>) -> Result<Self, QueryError> {
        if let Some(query) = add_on::Query::parse(text, over_time)? {
            return Ok(Self::AddOn(query));
        }
        if over_time.is_some() {
            return Err(QueryError::Invalid(
                "operationOverTime belongs to queries of the form op(name{label=value}); in PromQL write rate(..), \
                 max_over_time(..) and so on"
                    .to_owned(),
            ));
        }
        let expression = promql_parser::parser::parse(text)
            .map_err(|error| QueryError::Invalid(format!("metricQuery is not PromQL: {}", error.trim())))?;
        promql::check(&expression).map_err(QueryError::Invalid)?;
        Ok(Self::PromQl(expression))
    }
}
