//! Both engines on random conditions and random spans: the same outcomes and the same reported errors, alone and in lists.

#![allow(clippy::unwrap_used, reason = "damage to the inputs of a test must stop it")]

mod generate;
mod hostile;
mod readings;

use generate::Random;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use ottl::{
    ConditionId, Context, Engine, ErrorMode, EvalError, Frame, ListId, Options, Outcome, PathMode, Program,
    ProgramBuilder,
    trace::{Answer, Trace, Tracer},
};
use proptest::prelude::*;
use prost::Message as _;

const PROGRAMS: u64 = 250;
const CONDITIONS: usize = 16;
const REQUESTS: usize = 12;
const MODES: [ErrorMode; 3] = [ErrorMode::Ignore, ErrorMode::Propagate, ErrorMode::Silent];

struct Built {
    program: Program,
    conditions: Vec<ConditionId>,
    lists: Vec<ListId>,
}

fn build(texts: &[String], context: Context, engine: Engine) -> Built {
    let mut builder = ProgramBuilder::new(Options { engine, ..Options::default() });
    // Some of the random texts are refused.
    let conditions: Vec<ConditionId> =
        texts.iter().filter_map(|text| builder.add(text, context, PathMode::Legacy).ok()).collect();
    // Conditions of lists have no code of their own: those are others.
    let listed: Vec<ConditionId> =
        texts.iter().filter_map(|text| builder.add(text, context, PathMode::Legacy).ok()).collect();
    let lists = MODES.map(|mode| builder.list(&listed, mode)).to_vec();
    Built { program: builder.build().unwrap(), conditions, lists }
}

#[derive(Debug, PartialEq)]
struct Answers {
    conditions: Vec<Outcome>,
    lists: Vec<(Outcome, Vec<(usize, EvalError)>)>,
}

fn answers(built: &Built, frame: &Frame<'_>) -> Answers {
    let list = |list: &ListId| {
        let mut errors = Vec::new();
        let outcome = built.program.eval_list(frame, *list, &mut |at, error| errors.push((at, error)));
        (outcome, errors)
    };
    Answers {
        conditions: built.conditions.iter().map(|&condition| built.program.eval(frame, condition)).collect(),
        lists: built.lists.iter().map(list).collect(),
    }
}

struct Request {
    resource: Vec<u8>,
    resource_schema: String,
    scope: Vec<u8>,
    scope_schema: String,
    span: Vec<u8>,
    event: Vec<u8>,
}

fn request(random: &mut Random) -> Request {
    let mut request = generate::request(random);
    let mut resource_spans = request.resource_spans.remove(0);
    let mut scope_spans = resource_spans.scope_spans.remove(0);
    let span: Span = scope_spans.spans.remove(0);
    Request {
        resource: resource_spans.resource.unwrap_or_default().encode_to_vec(),
        resource_schema: resource_spans.schema_url,
        scope: scope_spans.scope.unwrap_or_default().encode_to_vec(),
        scope_schema: scope_spans.schema_url,
        event: span.events.first().map(|event| event.encode_to_vec()).unwrap_or_default(),
        span: span.encode_to_vec(),
    }
}

/// So many spans under one resource and scope.
fn request_of(random: &mut Random, spans: usize) -> ExportTraceServiceRequest {
    let mut request = generate::request(random);
    let others = (0..spans).map(|_| generate::request(random).resource_spans.remove(0));
    request.resource_spans[0].scope_spans[0].spans =
        others.flat_map(|mut other| other.scope_spans.remove(0).spans).collect();
    request
}

fn load<'w>(program: &Program, request: &'w Request) -> Frame<'w> {
    let mut frame = program.frame();
    program.load_resource(&mut frame, &request.resource, request.resource_schema.as_bytes());
    program.load_scope(&mut frame, &request.scope, request.scope_schema.as_bytes());
    program.load_span(&mut frame, &request.span);
    program.load_event(&mut frame, &request.event);
    frame
}

#[test]
fn random_programs_over_metrics_and_logs_have_one_answer() {
    let contexts = [("metric", Context::Metric), ("datapoint", Context::DataPoint), ("log", Context::Log)];
    let mut true_or_error = 0;
    for seed in 0..PROGRAMS / 4 {
        let mut random = Random::new(seed);
        let (name, context) = contexts[random.below(contexts.len())];
        let texts: Vec<String> = (0..CONDITIONS).map(|_| generate::question(&mut random, name, 2)).collect();
        let [interpreted, native] = [Engine::Interpreter, Engine::Jit].map(|engine| build(&texts, context, engine));
        for _ in 0..REQUESTS {
            let parts = match context {
                Context::Log => generate::log_parts(&generate::logs_request(&mut random).encode_to_vec()),
                _ => generate::metric_parts(&generate::metrics_request(&mut random).encode_to_vec()),
            };
            let [expected, got] = [&interpreted, &native].map(|built| {
                let mut frame = built.program.frame();
                parts.load(&built.program, &mut frame);
                answers(built, &frame)
            });
            assert_eq!(got, expected, "seed {seed}: {texts:#?}");
            true_or_error += expected.conditions.iter().filter(|&&outcome| outcome != Outcome::False).count();
        }
    }
    assert!(true_or_error > 200, "{true_or_error}");
}

/// A condition that asks some of these twice, on ways that not every span takes: what was found out on one of them is not
/// known on the other.
fn repeated(texts: &[String]) -> Option<String> {
    let [first, second, third, ..] = texts else { return None };
    Some(format!("(({second}) and ({first})) or (({third}) and ({first})) or not ({second})"))
}

#[test]
fn random_programs_have_one_answer() {
    let contexts = [("span", Context::Span), ("spanevent", Context::SpanEvent), ("resource", Context::Resource)];
    let mut true_or_error = 0;
    for seed in 0..PROGRAMS {
        let mut random = Random::new(seed);
        let (name, context) = if random.one_in(4) { contexts[1 + random.below(2)] } else { contexts[0] };
        let mut texts: Vec<String> = (0..CONDITIONS).map(|_| generate::question(&mut random, name, 2)).collect();
        texts.extend(repeated(&texts));
        let interpreted = build(&texts, context, Engine::Interpreter);
        let native = build(&texts, context, Engine::Jit);
        for _ in 0..REQUESTS {
            let request = request(&mut random);
            let expected = answers(&interpreted, &load(&interpreted.program, &request));
            let got = answers(&native, &load(&native.program, &request));
            assert_eq!(got, expected, "seed {seed}: {texts:#?}");
            true_or_error += expected.conditions.iter().filter(|&&outcome| outcome != Outcome::False).count();
        }
    }
    // Conditions that are never anything but false would prove nothing.
    assert!(true_or_error > 1_000, "{true_or_error}");
}

/// A frame is loaded again and again, now this level, now that, and asked meanwhile: what was found out about what it held
/// is forgotten in time, and what it still holds gives the same answer.
#[test]
fn frames_that_are_loaded_again_have_one_answer() {
    let contexts = [("span", Context::Span), ("spanevent", Context::SpanEvent)];
    for seed in 0..PROGRAMS / 4 {
        let mut random = Random::new(seed);
        let (name, context) = contexts[random.below(2)];
        let mut texts: Vec<String> = (0..CONDITIONS).map(|_| generate::question(&mut random, name, 2)).collect();
        texts.extend(repeated(&texts));
        let requests: Vec<Request> = (0..REQUESTS).map(|_| request(&mut random)).collect();
        let built = [Engine::Interpreter, Engine::Jit].map(|engine| build(&texts, context, engine));
        let mut frames = [load(&built[0].program, &requests[0]), load(&built[1].program, &requests[0])];
        for request in requests.iter().chain(&requests) {
            let (from, to) = (random.below(4), random.below(4));
            let [expected, got] = [0, 1].map(|engine| {
                let (program, frame) = (&built[engine].program, &mut frames[engine]);
                for level in from.min(to)..=from.max(to) {
                    match level {
                        0 => program.load_resource(frame, &request.resource, request.resource_schema.as_bytes()),
                        1 => program.load_scope(frame, &request.scope, request.scope_schema.as_bytes()),
                        2 => program.load_span(frame, &request.span),
                        _ => program.load_event(frame, &request.event),
                    }
                }
                answers(&built[engine], frame)
            });
            assert_eq!(got, expected, "seed {seed}: {texts:#?}");
        }
    }
}

/// Spans asked by the row give what they give one by one, with the same errors in the same order.
#[test]
fn rows_answer_as_spans_one_by_one() {
    let mut native_errors = 0;
    for seed in 0..PROGRAMS / 4 {
        let mut random = Random::new(seed);
        // Now and then a list without a condition that fails, which is answered by one call.
        let n_conditions = 1 + random.below(CONDITIONS);
        let mut texts: Vec<String> = (0..n_conditions).map(|_| generate::question(&mut random, "span", 1)).collect();
        if random.one_in(2) {
            texts.extend(repeated(&texts));
        }
        let request = request_of(&mut random, REQUESTS);
        let traces = pdata::Traces::index(request.encode_to_vec().into()).unwrap();
        for engine in [Engine::Interpreter, Engine::Jit] {
            let mut builder = ProgramBuilder::new(Options { engine, ..Options::default() });
            let conditions: Vec<ConditionId> =
                texts.iter().filter_map(|text| builder.add(text, Context::Span, PathMode::Legacy).ok()).collect();
            let lists = MODES.map(|mode| builder.list_over_rows(&conditions, mode));
            let program = builder.build().unwrap();
            let (mut rows, mut frame) = (program.rows(), program.frame());
            for scope in traces.resources().flat_map(|resource| resource.scopes()) {
                let Some(resource) = traces.resources().next() else { continue };
                for frame in [rows.frame(), &mut frame] {
                    program.load_resource(frame, resource.resource(), resource.schema_url());
                    program.load_scope(frame, scope.scope(), scope.schema_url());
                }
                // Rows are used again: what was in them must not be seen.
                for _ in 0..2 {
                    rows.clear();
                    scope.spans().for_each(|span| program.push_span(&mut rows, &span));
                    for list in lists {
                        let (mut heard, mut heard_alone) = (Vec::new(), Vec::new());
                        let by_row = program
                            .eval_rows(&mut rows, list, &mut |at, error| heard.push((at, error)))
                            .iter()
                            .collect::<Vec<_>>();
                        let alone: Vec<Outcome> = scope
                            .spans()
                            .map(|span| {
                                program.load_indexed_span(&mut frame, &span);
                                program.eval_list(&frame, list, &mut |at, error| heard_alone.push((at, error)))
                            })
                            .collect();
                        assert_eq!((by_row, &heard), (alone, &heard_alone), "seed {seed}, {engine:?}: {texts:#?}");
                        native_errors += heard.len();
                    }
                }
            }
        }
    }
    assert!(native_errors > 100, "{native_errors}");
}

/// What is shown as the reason of an answer never contradicts it.
#[test]
fn reasons_lead_to_the_answer() {
    let mut left_out = 0;
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let text = generate::question(&mut random, "span", 3);
        for engine in [Engine::Interpreter, Engine::Jit] {
            let options = Options { engine, ..Options::default() };
            let Ok(tracer) = Tracer::new(&text, Context::Span, PathMode::Legacy, &options) else { continue };
            let alone = build(std::slice::from_ref(&text), Context::Span, engine);
            for _ in 0..4 {
                let request = request(&mut random);
                let trace = tracer.trace(&load(tracer.program(), &request));
                let answer = match alone.program.eval(&load(&alone.program, &request), alone.conditions[0]) {
                    Outcome::False => Answer::Bool(false),
                    Outcome::True => Answer::Bool(true),
                    Outcome::Error(error) => Answer::Error(error),
                };
                assert_eq!(trace.answer, answer, "seed {seed}: {text}");
                left_out += consistent(&trace);
            }
        }
    }
    assert!(left_out > 50, "{left_out}");
}

/// The last operand that was asked has decided if others were not. Gives how many were left out.
fn consistent(trace: &Trace) -> usize {
    let asked: Vec<&Trace> = trace.parts.iter().filter(|part| part.answer != Answer::NotAsked).collect();
    let left_out = trace.parts.len() - asked.len();
    if left_out > 0 {
        assert_eq!(asked.last().map(|part| &part.answer), Some(&trace.answer), "{trace}");
    }
    left_out + trace.parts.iter().map(consistent).sum::<usize>()
}

proptest! {
    /// The fuzz target's body on a bounded number of inputs; `PROPTEST_CASES` asks for more.
    #[test]
    fn hostile_bytes_have_one_answer(
        choice in any::<u8>(),
        seed in any::<u64>(),
        text in "[a-z_.\\[\\]()\"=<> 0-9]{0,30}",
        wire in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let mut data = vec![choice];
        data.extend(seed.to_le_bytes());
        data.extend(text.bytes());
        data.push(0);
        data.extend(wire);
        hostile::check(&data);
    }

    /// The same on requests that were whole before one byte of them changed.
    #[test]
    fn damaged_messages_have_one_answer(choice in any::<u8>(), seed in any::<u64>(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let request = request(&mut Random::new(seed));
        let mut message = match choice % 7 {
            0 => request.span,
            1 => request.event,
            2 => request.resource,
            3 => request.scope,
            4 => generate::metric_parts(&generate::metrics_request(&mut Random::new(seed)).encode_to_vec()).metric.unwrap(),
            5 => generate::metric_parts(&generate::metrics_request(&mut Random::new(seed)).encode_to_vec()).point.unwrap().1,
            _ => generate::log_parts(&generate::logs_request(&mut Random::new(seed)).encode_to_vec()).record.unwrap(),
        };
        let at = at.index(message.len().max(1));
        if let Some(place) = message.get_mut(at) {
            *place = byte;
        }
        let mut data = vec![choice];
        data.extend(seed.to_le_bytes());
        data.push(0);
        data.extend(message);
        hostile::check(&data);
    }
}
