//! Readings on random attributes: both engines, alone and by the row, give what pdata's getters give.

use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::trace::v1::Span;
use ottl::go::regexp::Regexp;
use ottl::{Engine, ErrorMode, MapSource, Options, Outcome, ProgramBuilder, Reading, SlotPath};
use prost::Message as _;

use crate::{generate::Random, request_of};

const KEYS: [&str; 6] = ["s", "n", "b", "x", "empty", "never"];

fn reading(random: &mut Random) -> Reading {
    const BOUNDS: [i64; 7] = [i64::MIN, -7, 0, 1, 42, 500, i64::MAX];
    match random.below(4) {
        0 => {
            let (one, other) = (BOUNDS[random.below(7)], BOUNDS[random.below(7)]);
            Reading::IntWithin { min: one.min(other), max: one.max(other) }
        }
        1 => Reading::BoolIs(random.one_in(2)),
        2 => Reading::StringIn(texts(random, &["", "a", "GET", "42", "hello", "true"])),
        _ => {
            let patterns = texts(random, &["^a", ".*", "T$", "^$", "h.*o", "4", "GET|POST", "l", "le", "a=1", "nil"]);
            Reading::StringMatches { patterns, empty_too: random.one_in(2) }
        }
    }
}

fn texts(random: &mut Random, from: &[&str]) -> Vec<String> {
    (0..random.below(6)).map(|_| random.pick(from).to_owned()).collect()
}

/// As a filter in Go: `attributes.Get(key)`, then a getter.
fn holds(reading: &Reading, key: &str, attributes: &[KeyValue]) -> bool {
    let Some(found) = attributes.iter().find(|attribute| attribute.key == key) else { return false };
    let value = found.value.as_ref().and_then(|value| value.value.as_ref());
    let text = if let Some(Any::StringValue(text)) = value { text } else { "" };
    match reading {
        Reading::IntWithin { min, max } => {
            let int = if let Some(Any::IntValue(int)) = value { *int } else { 0 };
            (*min..=*max).contains(&int)
        }
        Reading::BoolIs(wanted) => *wanted == matches!(value, Some(Any::BoolValue(true))),
        Reading::StringIn(texts) => texts.iter().any(|wanted| wanted == text),
        Reading::StringMatches { patterns, empty_too } => {
            let finds = |pattern: &String| Regexp::new(pattern).unwrap().is_match(text.as_bytes());
            (*empty_too || !text.is_empty()) && patterns.iter().any(finds)
        }
    }
}

#[test]
fn readings_are_those_of_getters() {
    let (mut yes, mut asked) = (0, 0);
    for seed in 0..150 {
        let mut random = Random::new(seed);
        let readings: Vec<(&str, Reading)> =
            (0..12).map(|_| (KEYS[random.below(KEYS.len())], reading(&mut random))).collect();
        let request = request_of(&mut random, 20);
        let resource = request.resource_spans[0].resource.as_ref().unwrap();
        let spans: &[Span] = &request.resource_spans[0].scope_spans[0].spans;
        let traces = pdata::Traces::index(request.encode_to_vec().into()).unwrap();
        for engine in [Engine::Interpreter, Engine::Jit] {
            let mut builder = ProgramBuilder::new(Options { engine, ..Options::default() });
            let mut add =
                |source, key, reading| builder.add_reading(SlotPath::attribute(source, key), reading).unwrap();
            let of_resource: Vec<_> =
                readings.iter().map(|(key, reading)| add(MapSource::Resource, key, reading)).collect();
            let alone: Vec<_> = readings.iter().map(|(key, reading)| add(MapSource::Span, key, reading)).collect();
            let by_row: Vec<_> = readings.iter().map(|(key, reading)| add(MapSource::Span, key, reading)).collect();
            // A list of two: what both find is one guard's work.
            let lists: Vec<_> =
                by_row.windows(2).map(|pair| builder.list_over_rows(pair, ErrorMode::Propagate)).collect();
            let program = builder.build().unwrap();
            let (mut rows, mut frame) = (program.rows(), program.frame());
            let view = traces.resources().next().unwrap();
            for frame in [rows.frame(), &mut frame] {
                program.load_resource(frame, view.resource(), view.schema_url());
            }
            for ((key, reading), &condition) in readings.iter().zip(&of_resource) {
                let expected = Outcome::from(Ok(holds(reading, key, &resource.attributes)));
                assert_eq!(program.eval(&frame, condition), expected, "seed {seed}: {key} {reading:?}");
            }
            let expected: Vec<Vec<bool>> = spans
                .iter()
                .map(|span| readings.iter().map(|(key, reading)| holds(reading, key, &span.attributes)).collect())
                .collect();
            for scope in view.scopes() {
                for (span, expected) in scope.spans().zip(&expected) {
                    program.load_indexed_span(&mut frame, &span);
                    program.push_span(&mut rows, &span);
                    let got = alone.iter().map(|&condition| program.eval(&frame, condition) == Outcome::True);
                    assert_eq!(&got.collect::<Vec<_>>(), expected, "seed {seed}, {engine:?}: {readings:#?}");
                    yes += expected.iter().filter(|&&holds| holds).count();
                    asked += expected.len();
                }
            }
            for (at, &list) in lists.iter().enumerate() {
                let got = program.eval_rows(&mut rows, list, &mut |_, error| panic!("{error}")).iter();
                let expected = expected.iter().map(|row| Outcome::from(Ok(row[at] || row[at + 1])));
                assert_eq!(
                    got.collect::<Vec<_>>(),
                    expected.collect::<Vec<_>>(),
                    "seed {seed}, {engine:?}, {at}: {readings:#?}"
                );
            }
        }
    }
    assert!(yes > asked / 20 && yes < asked / 2, "{yes} of {asked}");
}

/// What callers take out of rows is what the spans say, also where slots are of another level.
#[test]
fn columns_are_the_spans() {
    let mut random = Random::new(7);
    let request = request_of(&mut random, 9);
    let traces = pdata::Traces::index(request.encode_to_vec().into()).unwrap();
    let mut builder = ProgramBuilder::new(Options::default());
    let start = builder.slot(SlotPath::StartUnixNano);
    let parent = builder.slot(SlotPath::ParentSpanId);
    let schema = builder.slot(SlotPath::SchemaUrl(ottl::Level::Resource));
    let (program, other) = (builder.build().unwrap(), ProgramBuilder::new(Options::default()).build().unwrap());
    let mut rows = program.rows();
    for view in traces.resources() {
        view.scopes().flat_map(|scope| scope.spans()).for_each(|span| program.push_span(&mut rows, &span));
    }
    let spans = &request.resource_spans[0].scope_spans[0].spans;
    let mut cells = program.columns(&rows, [start, schema, parent]);
    for span in spans {
        let [start, schema, parent] = cells.next().unwrap();
        assert_eq!(start.int(), Some(span.start_time_unix_nano.cast_signed()));
        assert_eq!((schema.int(), schema.is_id()), (None, false));
        assert_eq!(parent.is_id(), span.parent_span_id.iter().any(|&byte| byte > 0), "{:?}", span.parent_span_id);
    }
    assert_eq!(cells.count(), 0);
    assert_eq!(other.columns(&rows, [start]).count(), 0);
}
