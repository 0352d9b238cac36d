//! KEDA's side: the `ExternalScaler` service.
//!
//! A trigger brings its query along with every call, so nothing is kept about triggers; two triggers of one ScaledObject
//! do not get into each other's way although they share a metric name.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::Shared;
use super::externalscaler::external_scaler_server::ExternalScaler;
use super::externalscaler::{
    GetMetricSpecResponse, GetMetricsRequest, GetMetricsResponse, IsActiveResponse, MetricSpec, MetricValue,
    ScaledObjectRef,
};
use super::query::{QueryError, Trigger};
use super::store::CALLS;

/// How often a stream looks again while no metrics come in: rates fall then, and series grow stale.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// The service.
#[derive(Clone)]
pub(super) struct Scaler {
    pub(super) shared: Arc<Shared>,
    /// Changes with every batch of metrics.
    pub(super) arrivals: watch::Receiver<()>,
    /// Ends open streams.
    pub(super) stop: CancellationToken,
}

impl From<QueryError> for Status {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Invalid(text) => Self::invalid_argument(text),
            QueryError::NoData(text) => Self::failed_precondition(text),
        }
    }
}

/// The name that the HPA knows the metric by; KEDA puts the trigger's number before it.
fn metric_name(object: &ScaledObjectRef) -> String {
    format!("{}-{}", object.namespace, object.name)
}

impl Scaler {
    fn value(&self, metadata: &HashMap<String, String>) -> Result<(Trigger, f64), QueryError> {
        let trigger = Trigger::parse(metadata)?;
        let value = trigger.evaluate(&self.shared.store(), self.shared.now())?;
        Ok((trigger, value))
    }

    /// Counts a call; a failed one is logged, because KEDA's own log does not say much.
    fn finish<T>(&self, method: &str, object: &ScaledObjectRef, outcome: Result<T, QueryError>) -> Result<T, Status> {
        let label = if outcome.is_ok() { "success" } else { "failure" };
        self.shared.registry.counter(CALLS, &[("method", method), ("outcome", label)]).add(1);
        outcome.map_err(|error| {
            tracing::warn!(
                method,
                namespace = %object.namespace,
                scaled_object = %object.name,
                query = object.scaler_metadata.get("metricQuery").map(|query| query.trim()),
                error = %error,
                "A trigger of KEDA has no answer"
            );
            Status::from(error)
        })
    }
}

#[tonic::async_trait]
impl ExternalScaler for Scaler {
    async fn is_active(&self, request: Request<ScaledObjectRef>) -> Result<Response<IsActiveResponse>, Status> {
        let object = request.into_inner();
        let answer = self.value(&object.scaler_metadata).map(|(trigger, value)| trigger.is_active(value));
        let result = self.finish("IsActive", &object, answer)?;
        Ok(Response::new(IsActiveResponse { result }))
    }

    type StreamIsActiveStream = ReceiverStream<Result<IsActiveResponse, Status>>;

    async fn stream_is_active(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<Self::StreamIsActiveStream>, Status> {
        let object = request.into_inner();
        // A query that is wrong as such is refused before a stream is opened.
        let checked = Trigger::parse(&object.scaler_metadata).map(|_| ());
        self.finish("StreamIsActive", &object, checked)?;
        let (sender, stream) = mpsc::channel(1);
        tokio::spawn(self.clone().stream(object, sender));
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn get_metric_spec(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<GetMetricSpecResponse>, Status> {
        let object = request.into_inner();
        let trigger = self.finish("GetMetricSpec", &object, Trigger::parse(&object.scaler_metadata))?;
        let spec = MetricSpec {
            metric_name: metric_name(&object),
            target_size: trigger.target.ceil() as i64,
            target_size_float: trigger.target,
        };
        Ok(Response::new(GetMetricSpecResponse { metric_specs: vec![spec] }))
    }

    async fn get_metrics(&self, request: Request<GetMetricsRequest>) -> Result<Response<GetMetricsResponse>, Status> {
        let request = request.into_inner();
        let object = request.scaled_object_ref.ok_or_else(|| Status::invalid_argument("no scaledObjectRef"))?;
        let (_, value) = self.finish("GetMetrics", &object, self.value(&object.scaler_metadata))?;
        let metric_name = if request.metric_name.is_empty() { metric_name(&object) } else { request.metric_name };
        let value = MetricValue { metric_name, metric_value: value.round() as i64, metric_value_float: value };
        Ok(Response::new(GetMetricsResponse { metric_values: vec![value] }))
    }

    type StreamMetricSpecStream = ReceiverStream<Result<GetMetricSpecResponse, Status>>;

    /// Targets stand in the trigger and never change: KEDA goes on with GetMetricSpec, as its contract says.
    async fn stream_metric_spec(
        &self,
        _: Request<ScaledObjectRef>,
    ) -> Result<Response<Self::StreamMetricSpecStream>, Status> {
        Err(Status::unimplemented("targets are those of the trigger: ask GetMetricSpec"))
    }
}

impl Scaler {
    /// Sends the answer at once and whenever it changes. An error ends the stream: KEDA logs it and comes back.
    async fn stream(mut self, object: ScaledObjectRef, sender: mpsc::Sender<Result<IsActiveResponse, Status>>) {
        let mut known = None;
        loop {
            let answer = self.value(&object.scaler_metadata).map(|(trigger, value)| trigger.is_active(value));
            match answer {
                Ok(active) if known == Some(active) => {}
                Ok(active) => {
                    known = Some(active);
                    if sender.send(Ok(IsActiveResponse { result: active })).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    if let Err(status) = self.finish::<()>("StreamIsActive", &object, Err(error)) {
                        // The far side may be gone already.
                        let _ = sender.send(Err(status)).await;
                    }
                    return;
                }
            }
            tokio::select! {
                // An error means that the exporter is gone, which the stop says too.
                _ = self.arrivals.changed() => {}
                () = tokio::time::sleep(LOOK_AGAIN) => {}
                () = sender.closed() => return,
                () = self.stop.cancelled() => return,
            }
        }
    }
}
