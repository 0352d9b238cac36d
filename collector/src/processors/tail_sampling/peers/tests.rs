//! Messages as bytes, the section's mistakes, and who may talk to the listener.

use std::path::PathBuf;
use std::sync::Arc;

use ::peers::{Answer, Collect, Part, Report, Request, Told};
use bytes::Bytes;
use component::{Code, ManualClock};
use opentelemetry_proto::tonic::trace::v1::Span;
use pdata::TracesBuilder;
use proptest::prelude::*;
use prost::Message;
use tokio_util::task::TaskTracker;

use super::entry::{Decision, Entry};
use super::wire::Parts;
use super::{Client, HAND_OVER, lock, wire};
use crate::config::{Problems, Section};
use crate::factory::{Context, Lifecycle};
use crate::net::connect::{Connector, Target};
use crate::net::tls;
use crate::processors::tail_sampling::Plan;
use crate::processors::tail_sampling::counts::Final;
use crate::processors::tail_sampling::entry::{Facts, Shape};
use crate::processors::tail_sampling::part::{Answers, TracePart};
use crate::processors::tail_sampling::processor::{Rules, TailSampling};
use crate::processors::tail_sampling::tests::plan;
use crate::testing::{Sink, context};

fn decision() -> impl Strategy<Value = Decision> {
    let thresholds = prop_oneof![Just(0), 0_u64..1 << 56, Just((1 << 56) - 1)];
    let kept = (any::<u16>(), thresholds).prop_map(|(policy, threshold)| Decision {
        outcome: Final::Sampled,
        policy,
        threshold,
    });
    let other = prop::sample::select(vec![Final::NotSampled, Final::Dropped])
        .prop_map(|outcome| Decision::new(outcome, u16::MAX));
    prop_oneof![kept, other]
}

fn shape() -> impl Strategy<Value = Shape> {
    (0_usize..130, 0_usize..3).prop_map(|(bits, outcomes)| Shape::new(bits, outcomes))
}

fn part(shape: Shape) -> impl Strategy<Value = Part<Entry>> {
    let facts = (any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>());
    let answers = prop::collection::vec(any::<u64>(), shape.words());
    let trace = (any::<[u8; 16]>(), any::<u32>());
    (trace, 0_u64..1 << 40, facts, answers, any::<u64>()).prop_map(
        move |((id, place), due, facts, answers, received_bytes)| {
            let (first_arrival, earliest_start, latest_end, bytes, spans) = facts;
            let facts = Facts { first_arrival, earliest_start, latest_end, bytes, spans };
            let part = TracePart { facts, answers: answers.into() };
            let absorbed = (0..due % 3).map(|giver| (Arc::from(format!("10.0.0.{giver}")), due)).collect();
            Part { id, place, due_in: due << 6, entry: Entry { part, received_bytes, shape }, absorbed }
        },
    )
}

fn report(shape: Shape) -> impl Strategy<Value = Report<Entry, Decision>> {
    let numbers = prop::collection::vec(any::<u64>(), 6);
    let flags = any::<(bool, bool, bool, bool, Option<u32>)>();
    let parts = prop::collection::vec(part(shape), 0..5);
    let known = prop::collection::vec((any::<[u8; 16]>(), decision()), 0..5);
    (numbers, flags, parts, known, prop::collection::vec("[a-z0-9:.]{1,20}", 0..3)).prop_map(
        |(numbers, (more, leaving, gone, fresh, lost_for), parts, known, others)| Report {
            answers: (numbers[0], numbers[1]),
            incarnation: numbers[2],
            number: numbers[3],
            fingerprint: numbers[4],
            view: numbers[5],
            more,
            leaving,
            gone,
            fresh,
            lost_for: lost_for.map(u64::from),
            waited: numbers[0],
            parts,
            known,
            others: others.into_iter().map(Arc::from).collect(),
        },
    )
}

fn collect() -> impl Strategy<Value = Collect<Decision>> {
    let numbers = prop::collection::vec(any::<u64>(), 4);
    let told = (any::<[u8; 16]>(), any::<u32>(), decision());
    let told = told.prop_map(|(id, place, decision)| Told { id, place, decision });
    let decisions = prop::collection::vec(told, 0..5);
    let questions = prop::collection::vec(any::<[u8; 16]>(), 0..5);
    (numbers, any::<Option<(u64, u64)>>(), any::<(bool, bool, u32)>(), decisions, questions).prop_map(
        |(numbers, received, (afresh, leaving, room), decisions, questions)| Collect {
            incarnation: numbers[0],
            sequence: numbers[1],
            fingerprint: numbers[2],
            view: numbers[3],
            received,
            afresh,
            leaving,
            room,
            decisions,
            questions,
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        collect in collect(),
        (shape, report) in shape().prop_flat_map(|shape| (Just(shape), report(shape))),
        (rides, cut) in any::<(bool, prop::sample::Index)>(),
    ) {
        let parts = || Parts { spare: Vec::new(), shape };
        let request = Request { collect: collect.clone(), report: rides.then(|| report.clone()) };
        let frame = wire::write_request("10.0.0.1", &request);
        prop_assert_eq!(wire::read_request(&frame[5..], parts()), Ok(("10.0.0.1".to_owned(), request)));
        let answer = Answer { report, collect: rides.then_some(collect) };
        let frame = wire::write_answer(&answer);
        let read = wire::read_answer(&frame[5..], parts());
        prop_assert_eq!(read.as_ref(), Ok(&answer));
        // A cut message is malformed, or ends before fields that have not come yet; never one with other parts.
        let message = &frame[5..];
        let cut = wire::read_answer(&message[..cut.index(message.len())], parts());
        prop_assert!(cut.map_or(true, |cut| cut.report.parts.is_empty() || cut.report.parts == answer.report.parts));
    }

    #[test]
    fn hostile_bytes_are_no_message_or_a_harmless_one(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let parts = || Parts { spare: Vec::new(), shape: Shape::new(3, 1) };
        let _ = wire::read_request(&bytes, parts());
        let _ = wire::read_answer(&bytes, parts());
        let _ = wire::read_hand_over(&bytes.into());
    }
}

#[test]
fn a_part_takes_some_forty_bytes() {
    const SECOND: u64 = 1_000_000_000;
    let start = 1_700_000_000 * SECOND;
    let parts = (0..1000_u64).map(|n| {
        let at = start + n * 7_654_321;
        let facts = Facts {
            first_arrival: at + 300_000_000,
            earliest_start: at,
            latest_end: at + 123_456_789,
            bytes: 5000,
            spans: 8,
        };
        let part = TracePart { facts, answers: Answers::from_slice(&[n % 16]) };
        let entry = Entry { part, received_bytes: 5400, shape: Shape::new(5, 0) };
        Part { id: [n as u8; 16], place: n as u32, due_in: 9000, entry, absorbed: Box::default() }
    });
    let report = Report {
        answers: (1, 1),
        incarnation: 1,
        number: 1,
        fingerprint: 1,
        view: 1,
        more: false,
        leaving: false,
        gone: false,
        fresh: true,
        lost_for: None,
        waited: 0,
        parts: parts.collect(),
        known: Vec::new(),
        others: Vec::new(),
    };
    let len = wire::write_answer(&Answer { report, collect: None }).len();
    assert!(len < 44_000, "{len}");
}

#[test]
fn the_sections_mistakes_are_named() {
    let problems = |yaml: &str| {
        let mut problems = Problems::default();
        let section = Section::parse("tail_sampling", "processors", yaml).unwrap();
        Plan::parse(&section, &mut problems);
        let texts: Vec<String> =
            problems.list().iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect();
        texts.join("\n")
    };
    assert_eq!(problems("{peers: null}"), "");
    let resolver = "resolver: {static: {hostnames: ['10.0.0.1']}}";
    assert_eq!(problems(&format!("{{peers: {{endpoint: '0.0.0.0:4320', name: 10.0.0.1, {resolver}}}}}")), "");
    for (yaml, expected) in [
        ("{peers: {name: a}}", "peers::endpoint"),
        ("{peers: {endpoint: '0.0.0.0:4320'}}", "${env:POD_IP}"),
        ("{peers: {endpoint: '0.0.0.0:4320', name: a}}", "no resolvers specified"),
        ("{peers: {endpoint: '0.0.0.0:4320', name: a, grace: 1s}}", "must be at least 2s"),
        ("{peers: {endpoint: '0.0.0.0:4320', name: a, nmae: b}}", "nmae"),
        ("{peers: {client_tls: {insecure: true}}}", "peers::tls"),
        (
            "{peers: {endpoint: '0.0.0.0:4320', name: a, resolver: {static: {hostnames: [a]}}}, \
             sampling_strategy: span-ingest}",
            "span-ingest",
        ),
    ] {
        let found = problems(yaml);
        assert!(found.contains(expected), "{yaml}: {found}");
    }
}

fn file(name: &str) -> String {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/net/tls/testdata").join(name).display().to_string()
}

/// Connects as a client with this `tls` section and sends the bytes to a method.
async fn send_to(path: &'static str, port: u16, yaml: &str, message: &[u8]) -> Result<Bytes, (Option<Code>, String)> {
    let mut problems = Problems::default();
    let config: tls::Client = Section::parse("x", "exporters", yaml).unwrap().decode(&mut problems).unwrap();
    let clock: Arc<dyn component::Clock> = Arc::new(ManualClock::default());
    let tls = (!config.is_plain()).then(|| tls::Connector::load(&config, &["h2"], &clock).unwrap());
    let target = Target::Tcp(crate::net::address::HostPort { host: "127.0.0.1".to_owned(), port });
    let stop = tokio::sync::watch::Sender::new(false);
    let client = Client::new(Connector { target, tls, name: None }, TaskTracker::new(), stop.subscribe());
    client.call(path, wire::frame(message)).await
}

async fn send(port: u16, yaml: &str, message: &[u8]) -> Result<Bytes, (Option<Code>, String)> {
    send_to(super::PATH, port, yaml, message).await
}

/// A processor that listens for peers with a client CA. Another connection may take a port that was free just now, so
/// it tries a few.
async fn listening() -> (u16, TailSampling) {
    for _ in 0..20 {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let yaml = format!(
            "
peers:
  endpoint: 127.0.0.1:{port}
  name: 127.0.0.1:{port}
  resolver: {{static: {{hostnames: ['127.0.0.1:{port}']}}}}
  tls: {{cert_file: '{}', key_file: '{}', client_ca_file: '{ca}'}}
  client_tls: {{ca_file: '{ca}', cert_file: '{}', key_file: '{}'}}
policies: [{{name: all, type: always_sample}}]
",
            file("server.pem"),
            file("server.key"),
            file("client.pem"),
            file("client.key"),
            ca = file("ca.pem"),
        );
        let plan = plan(&yaml);
        let clock = Arc::new(ManualClock::new(1_700_000_000_000_000_000));
        let (policies, questions) = plan.compiled(ottl::Engine::Interpreter, clock.clone()).unwrap();
        let context = Context { clock, ..context("tail_sampling") };
        let rules = Rules { config: plan.config.clone(), policies, questions };
        let processor = TailSampling::new(rules, ottl::Engine::Interpreter, &context, Sink::new()).unwrap();
        if processor.start().await.is_ok() {
            return (port, processor);
        }
    }
    panic!("no port to listen at")
}

#[tokio::test]
async fn with_a_client_ca_nobody_outside_is_heard_and_hostile_bytes_change_nothing() {
    let (port, processor) = listening().await;

    let collect = Collect {
        incarnation: 1,
        sequence: 1,
        fingerprint: 1,
        view: 1,
        received: None,
        afresh: false,
        leaving: false,
        room: 10,
        decisions: vec![Told { id: [7; 16], place: 0, decision: Decision::new(Final::Dropped, u16::MAX) }],
        questions: vec![[8; 16]],
    };
    let request = Request { collect, report: None };
    let good = wire::write_request("127.0.0.1:1", &request)[5..].to_vec();
    let ca = format!("ca_file: '{}'", file("ca.pem"));
    let member = format!("{{{ca}, cert_file: '{}', key_file: '{}'}}", file("client.pem"), file("client.key"));
    // Without a certificate, and in plain text, there is no answer at all.
    assert_eq!(send(port, &format!("{{{ca}}}"), &good).await.unwrap_err().0, None);
    assert_eq!(send(port, "{insecure: true}", &good).await.unwrap_err().0, None);
    let refused = |result: Result<Bytes, (Option<Code>, String)>| result.unwrap_err().0;
    assert_eq!(refused(send(port, &member, &good).await), Some(Code::FailedPrecondition));
    assert_eq!(refused(send(port, &member, &[0xff; 64]).await), Some(Code::InvalidArgument));
    assert_eq!(refused(send(port, &member, &good[..good.len() - 3]).await), Some(Code::InvalidArgument));
    // A report that rides on it is no less checked.
    let ridden = [&good[..], &[13 << 3 | 2, 4, 0xff, 0xff, 0xff, 0xff]].concat();
    assert_eq!(refused(send(port, &member, &ridden).await), Some(Code::InvalidArgument));
    // Nor does anybody take spans over from one who is no member, or from bytes that are none.
    let mut spans = TracesBuilder::new();
    spans.span([7; 16], &Span { trace_id: vec![7; 16], span_id: vec![1; 8], ..Span::default() }.encode_to_vec());
    let given = wire::HandOver {
        from: "127.0.0.1:1".to_owned(),
        incarnation: 1,
        absorbed: wire::ByTrace::default(),
        traces: spans.build().encode(),
    };
    let good = wire::write_hand_over(&given);
    let hand_over = |yaml: String, message: Vec<u8>| async move { send_to(HAND_OVER, port, &yaml, &message).await };
    assert_eq!(hand_over(format!("{{{ca}}}"), good.clone()).await.unwrap_err().0, None);
    assert_eq!(hand_over("{insecure: true}".to_owned(), good.clone()).await.unwrap_err().0, None);
    assert_eq!(refused(hand_over(member.clone(), good.clone()).await), Some(Code::FailedPrecondition));
    let own = wire::HandOver { from: format!("127.0.0.1:{port}"), ..given.clone() };
    assert_eq!(refused(hand_over(member.clone(), wire::write_hand_over(&own)).await), Some(Code::FailedPrecondition));
    for bytes in [vec![0xff; 64], good[..good.len() - 3].to_vec()] {
        assert_eq!(refused(hand_over(member.clone(), bytes).await), Some(Code::InvalidArgument));
    }
    let no_spans = wire::HandOver { traces: Bytes::from_static(&[0x0a, 0x7f]), ..given };
    assert_eq!(refused(hand_over(member.clone(), wire::write_hand_over(&no_spans)).await), Some(Code::InvalidArgument));
    let peers = processor.peers().unwrap();
    assert_eq!(lock(&peers.node).decision(&[7; 16]), None);
    assert_eq!(lock(&peers.node).sizes(), (0, 0, 0));
    processor.shutdown().await.unwrap();
}
