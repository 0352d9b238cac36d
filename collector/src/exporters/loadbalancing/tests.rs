//! The exporter against backends on loopback sockets that can stop, come back, and be slow.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use component::{Consumer, Signal};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use tokio::sync::Notify;

use super::config::Config;
use super::exporter::LoadBalancing;
use super::router::Router;
use super::split::{Batch, RoutingKey};
use super::{FACTORY, config};
use crate::cluster::ring::{Ring, Version};
use crate::config::{Problems, Section};
use crate::factory::{Context, Lifecycle};
use crate::net::address::HostPort;
use crate::net::listen::{Listener, Place, Transport};
use crate::net::serve::{Answer, Handler, Lifetime, Protocol, Reply, Server};
use crate::net::status::Status;
use crate::testing::{context, series, traces};

/// Takes spans, or holds requests back while `shut`.
#[derive(Default)]
struct Backend {
    spans: Mutex<Vec<String>>,
    requests: Mutex<usize>,
    shut: AtomicBool,
    refuses: AtomicBool,
    opened: Notify,
    arrived: Notify,
}

impl Handler for Backend {
    fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answer {
        Box::pin(async move {
            *self.requests.lock().unwrap() += 1;
            self.arrived.notify_waiters();
            let Ok(body) = request.into_body().collect().await else { return Response::new(Reply::default()) };
            let body = body.to_bytes();
            while self.shut.load(Ordering::SeqCst) {
                self.opened.notified().await;
            }
            if self.refuses.load(Ordering::SeqCst) {
                let mut response = Response::new(Reply::default());
                *response.headers_mut() = Status::new(component::Code::Unavailable, "busy").to_trailers();
                return response;
            }
            let message = ExportTraceServiceRequest::decode(&body[5..]).unwrap();
            let scopes = message.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
            let names: Vec<String> = scopes.flat_map(|scope| &scope.spans).map(|span| span.name.clone()).collect();
            self.spans.lock().unwrap().extend(names);
            self.arrived.notify_waiters();
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            Response::new(Reply::with_trailers(bytes::Bytes::from_static(&[0; 5]), trailers))
        })
    }
}

impl Backend {
    fn names(&self) -> Vec<String> {
        let mut names = self.spans.lock().unwrap().clone();
        names.sort_by_key(|name| name[5..].parse::<usize>().unwrap());
        names
    }

    async fn until(&self, reached: impl Fn(&Self) -> bool) {
        loop {
            let arrived = self.arrived.notified();
            let mut arrived = std::pin::pin!(arrived);
            arrived.as_mut().enable();
            if reached(self) {
                return;
            }
            arrived.await;
        }
    }
}

async fn serve(port: u16) -> (Arc<Backend>, Server, u16) {
    let address = HostPort { host: "127.0.0.1".to_owned(), port };
    let listener = Listener::bind(&Place::Tcp(Transport::Tcp, address)).await.unwrap();
    let port = listener.local_address().unwrap().port();
    let backend = Arc::new(Backend::default());
    let handler = Arc::clone(&backend) as _;
    let server = Server::spawn(listener, None, Protocol::Http2(Protocol::http2()), Lifetime::default(), handler);
    (backend, server, port)
}

fn settings(yaml: &str) -> Arc<config::Settings> {
    let mut problems = Problems::default();
    let config: Config = Section::parse("loadbalancing", "exporters", yaml).unwrap().decode(&mut problems).unwrap();
    let settings = config.check("exporters::loadbalancing", &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    Arc::new(settings.unwrap())
}

const INNER: &str = "tls: {insecure: true}, compression: none";

async fn run(yaml: &str) -> (LoadBalancing, Context) {
    let context = context("loadbalancing/x");
    let exporter = LoadBalancing::new(&settings(yaml), &context, Signal::Traces).unwrap();
    exporter.start().await.unwrap();
    (exporter, context)
}

/// The names of the spans of `traces(n)` that each member owns.
fn expected(members: &[String], n: usize) -> Vec<Vec<String>> {
    let ring = Ring::new(Version::Two, members.to_vec());
    let mut names = vec![Vec::new(); members.len()];
    for (index, id) in traces(n).trace_ids().enumerate() {
        names[ring.owner(id).unwrap()].push(format!("span-{index}"));
    }
    names
}

fn members(ports: &[u16]) -> Vec<String> {
    let mut members: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    members.sort();
    members
}

fn metric(context: &Context, start: &str) -> String {
    let found = series(&context.registry).into_iter().find(|line| line.starts_with(start)).unwrap_or_default();
    found.rsplit(' ').next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn every_span_reaches_the_owner_of_its_trace() {
    let (one, two, three) = (serve(0).await, serve(0).await, serve(0).await);
    let members = members(&[one.2, two.2, three.2]);
    let (exporter, context) = run(&format!(
        "{{resolver: {{static: {{hostnames: [{}]}}}}, protocol: {{otlp: {{{INNER}, sending_queue: {{enabled: false}}}}}}}}",
        members.join(", ")
    ))
    .await;
    exporter.consume(traces(200)).await.unwrap();
    let expected = expected(&members, 200);
    for (backend, _, port) in [&one, &two, &three] {
        let at = members.iter().position(|member| member.ends_with(&format!(":{port}"))).unwrap();
        assert_eq!(backend.names(), expected[at]);
        let outcome = format!("otelcol_loadbalancer_backend_outcome{{endpoint=\"127.0.0.1:{port}\",success=\"true\"}}");
        assert_eq!(metric(&context, &outcome), "1");
    }
    assert_eq!(metric(&context, "otelcol_exporter_sent_spans{exporter=\"loadbalancing/x\"}"), "200");
    assert_eq!(metric(&context, "otelcol_loadbalancer_num_backends{resolver=\"static\"}"), "3");
    exporter.shutdown().await.unwrap();
}

#[tokio::test]
async fn only_the_share_of_a_dead_backend_is_tried_again_and_nobody_else_waits() {
    let (live, dead) = (serve(0).await, serve(0).await);
    dead.1.shutdown().await;
    let members = members(&[live.2, dead.2]);
    let (exporter, context) = run(&format!(
        "{{resolver: {{static: {{hostnames: [{}]}}}}, sending_queue: {{num_consumers: 1}}, retry_on_failure: {{enabled: true, \
         initial_interval: 10ms, max_interval: 20ms}}, protocol: {{otlp: {{{INNER}, sending_queue: {{enabled: false}}, \
         retry_on_failure: {{enabled: false}}}}}}}}",
        members.join(", ")
    ))
    .await;
    let expected = expected(&members, 200);
    let at = |port: u16| members.iter().position(|member| member.ends_with(&format!(":{port}"))).unwrap();
    // The share of the dead backend keeps being retried while later batches pass.
    for _ in 0..3 {
        exporter.consume(traces(200)).await.unwrap();
    }
    let n_live = expected[at(live.2)].len() * 3;
    live.0.until(|backend| backend.spans.lock().unwrap().len() == n_live).await;
    let (back, _server, _) = serve(dead.2).await;
    let n_back = expected[at(dead.2)].len() * 3;
    back.until(|backend| backend.spans.lock().unwrap().len() == n_back).await;
    exporter.shutdown().await.unwrap();
    assert_eq!(*live.0.requests.lock().unwrap(), 3, "a delivered share is not sent again");
    assert_eq!(live.0.spans.lock().unwrap().len(), n_live);
    assert_eq!(metric(&context, "otelcol_exporter_sent_spans"), "600");
    assert_eq!(metric(&context, "otelcol_exporter_send_failed_spans"), "");
}

#[tokio::test]
async fn the_caller_learns_of_a_failed_share() {
    let (live, dead) = (serve(0).await, serve(0).await);
    dead.1.shutdown().await;
    let members = members(&[live.2, dead.2]);
    let (exporter, context) = run(&format!(
        "{{resolver: {{static: {{hostnames: [{}]}}}}, protocol: {{otlp: {{{INNER}, sending_queue: {{enabled: false}}, \
         retry_on_failure: {{enabled: false}}}}}}}}",
        members.join(", ")
    ))
    .await;
    let error = exporter.consume(traces(200)).await.unwrap_err();
    assert!(!error.permanent);
    let at = members.iter().position(|member| member.ends_with(&format!(":{}", dead.2))).unwrap();
    let failed = expected(&members, 200)[at].len();
    assert_eq!(metric(&context, "otelcol_exporter_send_failed_spans"), failed.to_string());
    assert_eq!(metric(&context, "otelcol_exporter_sent_spans"), (200 - failed).to_string());
    exporter.shutdown().await.unwrap();
}

fn router(yaml: &str, context: &Context) -> Arc<Router> {
    Router::new(&settings(yaml), context, Signal::Traces, RoutingKey::TraceId)
}

#[tokio::test]
async fn the_queue_of_a_backend_that_leaves_goes_back_to_the_ring() {
    let (stays, leaves) = (serve(0).await, serve(0).await);
    // Refuses whatever it gets, so all of its share waits for a retry or in the queue.
    leaves.0.refuses.store(true, Ordering::SeqCst);
    let context = context("loadbalancing/x");
    let router = router(
        &format!(
            "{{resolver: {{static: {{hostnames: [unused]}}}}, protocol: {{otlp: {{{INNER}, sending_queue: {{num_consumers: 1}}}}}}}}"
        ),
        &context,
    );
    let both = members(&[stays.2, leaves.2]);
    router.apply(&both).await;
    for _ in 0..5 {
        router.route(Batch::Traces(traces(100)), false).await.unwrap();
    }
    leaves.0.until(|backend| *backend.requests.lock().unwrap() > 0).await;
    router.apply(&members(&[stays.2])).await;
    stays.0.until(|backend| backend.spans.lock().unwrap().len() == 500).await;
    let names = format!("endpoint=\"127.0.0.1:{}\"", leaves.2);
    let own = |line: &&String| line.starts_with("ottlcol") && line.contains(&names);
    assert_eq!(series(&context.registry).iter().find(own), None);
    router.shutdown().await;
    assert_eq!(stays.0.spans.lock().unwrap().len(), 500);
    let at = both.iter().position(|member| member.ends_with(&format!(":{}", leaves.2))).unwrap();
    let share = expected(&both, 100)[at].len() * 5;
    assert_eq!(metric(&context, "ottlcol_loadbalancer_handed_back_items"), share.to_string());
}

#[tokio::test]
async fn a_share_under_way_to_a_backend_that_leaves_is_divided_again() {
    let (stays, leaves) = (serve(0).await, serve(0).await);
    leaves.0.refuses.store(true, Ordering::SeqCst);
    let context = context("loadbalancing/x");
    let router = router(
        &format!(
            "{{timeout: 60s, resolver: {{static: {{hostnames: [unused]}}}}, protocol: {{otlp: {{{INNER}, sending_queue: \
             {{enabled: false}}}}}}}}"
        ),
        &context,
    );
    router.apply(&members(&[stays.2, leaves.2])).await;
    // Its share is refused and waits five seconds for the next attempt, unless the backend leaves.
    let routed = router.route(Batch::Traces(traces(100)), false);
    let change = async {
        leaves.0.until(|backend| *backend.requests.lock().unwrap() > 0).await;
        router.apply(&members(&[stays.2])).await;
    };
    let (routed, ()) = tokio::join!(routed, change);
    routed.unwrap();
    assert_eq!(stays.0.spans.lock().unwrap().len(), 100);
    router.shutdown().await;
}

#[tokio::test]
async fn an_empty_ring_refuses_for_now() {
    let context = context("loadbalancing/x");
    let router = router("{resolver: {static: {hostnames: [unused]}}}", &context);
    let failure = router.route(Batch::Traces(traces(2)), false).await.unwrap_err();
    assert_eq!(&*failure.error.message, "couldn't find the exporter for the endpoint \"\"");
    assert_eq!((failure.error.permanent, failure.rest.items), (false, 2));
}

#[tokio::test]
async fn an_unhealthy_backend_leaves_the_ring_and_comes_back() {
    let (live, dead) = (serve(0).await, serve(0).await);
    dead.1.shutdown().await;
    let all = members(&[live.2, dead.2]);
    let (exporter, _) = run(&format!(
        "{{resolver: {{static: {{hostnames: [{}]}}}}, health: {{unhealthy_after: 20ms, probe_interval: 10ms}}, protocol: {{otlp: \
         {{{INNER}}}}}}}",
        all.join(", ")
    ))
    .await;
    // Both shares end up where somebody lives, though the inner retry waits for seconds.
    exporter.consume(traces(100)).await.unwrap();
    live.0.until(|backend| backend.spans.lock().unwrap().len() == 100).await;
    let (back, _server, _) = serve(dead.2).await;
    while back.spans.lock().unwrap().is_empty() {
        exporter.consume(traces(100)).await.unwrap();
        tokio::task::yield_now().await;
    }
    exporter.shutdown().await.unwrap();
}

#[test]
fn sections_of_contrib_are_read() {
    let check = |yaml: &str| {
        let mut problems = Problems::default();
        let section = Section::parse("load_balancing", "exporters", yaml).unwrap();
        assert!((FACTORY.parse)(&section, &mut problems).is_some(), "{yaml}: {problems:?}");
    };
    check("{protocol: {otlp: {timeout: 1s}}, resolver: {static: {hostnames: [endpoint-1, 'endpoint-2:55678']}}}");
    check("{protocol: {otlp: }, resolver: {dns: {hostname: service-1}}}");
    check("{protocol: {otlp: {endpoint: ignored}}, resolver: {dns: {hostname: service-1, port: 55690}}}");
    check(
        "{sending_queue: {enabled: true}, protocol: {otlp: {sending_queue: {enabled: false}}}, resolver: {dns: {hostname: a}}}",
    );
    check(
        "{routing_key: attributes, routing_attributes: [a], resolver: {dns: {hostname: a}}, ring_version: 1, health: }",
    );
    check(
        "{sending_queue: , retry_on_failure: {enabled: true}, routing_key: streamID, resolver: {dns: {hostname: a}}}",
    );
}

#[test]
fn outer_retries_are_off_until_enabled_and_have_pauses() {
    let read = |yaml: &str| {
        settings(&format!("{{resolver: {{dns: {{hostname: a}}}}, retry_on_failure: {yaml}}}")).retry.clone()
    };
    assert!(!read("{}").enabled);
    assert!(!read("{max_interval: 1m}").enabled);
    let on = read("{enabled: true}");
    assert_eq!((on.enabled, on.initial_interval, on.multiplier), (true, crate::config::Duration::from_secs(5), 1.5));
}

#[test]
fn mistakes_have_contribs_texts() {
    let check = |yaml: &str, path: &str, message: &str| {
        let mut problems = Problems::default();
        let section = Section::parse("loadbalancing", "exporters", yaml).unwrap();
        assert!((FACTORY.parse)(&section, &mut problems).is_none(), "{yaml}");
        let first = &problems.list()[0];
        assert_eq!((first.path.as_str(), first.message.as_str()), (path, message), "{yaml}");
    };
    let path = "exporters::loadbalancing";
    check("{}", "exporters::loadbalancing::resolver", "no resolvers specified for the exporter");
    check(
        "{resolver: {dns: {hostname: a}}, routing_key: attributes}",
        path,
        "routing_attributes must be specified when routing_key is \"attributes\"",
    );
    check(
        "{resolver: {dns: {hostname: a}}, routing_key: service, routing_attributes: [a]}",
        path,
        "routing_attributes can only be used when routing_key is \"attributes\"; got \"service\". Remove routing_attributes or \
         set routing_key to \"attributes\"",
    );
    check(
        "{resolver: {dns: {hostname: a}}, routing_key: traceid}",
        "exporters::loadbalancing::routing_key",
        "unsupported routing_key: traceid; it is one of traceID, service, attributes (traces) or service, attributes, resource, \
         metric, streamID (metrics)",
    );
    check(
        "{resolver: {dns: {hostname: a}}, health: {probe_interval: 0s}}",
        "exporters::loadbalancing::health::probe_interval",
        "must be positive",
    );
    check(
        "{resolver: {dns: {hostname: a}}, ring_version: 3}",
        "exporters::loadbalancing::ring_version",
        "ring version 3 does not exist: 2 is the ring of contrib 0.157 and later, 1 the one before",
    );
}
