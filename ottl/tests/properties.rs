//! Properties of extraction and evaluation on generated data: no input panics, and attribute slots hold what a plain reading
//! of the decoded message says.

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList, any_value::Value as Any},
    trace::v1::{Span, Status},
};
use ottl::{Context, MapSource, Options, Outcome, PathMode, Program, ProgramBuilder, Slot, SlotId, SlotPath};
use proptest::prelude::*;
use prost::Message as _;

const KEYS: [&str; 5] = ["a", "b", "http.status_code", "http.route", ""];

const CONDITIONS: [&str; 12] = [
    r#"attributes["a"] == attributes["b"]"#,
    r#"attributes["a"]["b"][0] == 1"#,
    r#"attributes["http.status_code"] >= 500 or attributes["http.route"] == "/x""#,
    "attributes == {}",
    r#"attributes["a"] + attributes["b"] > 1.5"#,
    "trace_id.string == name and span_id != parent_span_id",
    r#"trace_state["k"] == "v""#,
    "status.code == 2 and status.message != nil",
    "end_time - start_time == start_time - end_time",
    "Len(events) > Len(links)",
    "events == links or kind.string == kind.deprecated_string",
    r#"attributes[name] == [1, {"a": 2}]"#,
];

#[allow(clippy::unwrap_used, reason = "the texts are fixed")]
fn program() -> (Program, Vec<ottl::ConditionId>, Vec<SlotId>) {
    let mut builder = ProgramBuilder::new(Options::default());
    let conditions =
        CONDITIONS.iter().map(|text| builder.add(text, Context::Span, PathMode::Legacy).unwrap()).collect();
    let slots = KEYS.iter().map(|key| builder.slot(SlotPath::attribute(MapSource::Span, key))).collect();
    (builder.build().unwrap(), conditions, slots)
}

fn any_value() -> impl Strategy<Value = Option<AnyValue>> {
    let leaf = prop_oneof![
        Just(None),
        any::<bool>().prop_map(|flag| Some(Any::BoolValue(flag))),
        any::<i64>().prop_map(|number| Some(Any::IntValue(number))),
        any::<f64>().prop_map(|number| Some(Any::DoubleValue(number))),
        "[a-c/]{0,4}".prop_map(|text| Some(Any::StringValue(text))),
        proptest::collection::vec(any::<u8>(), 0..4).prop_map(|bytes| Some(Any::BytesValue(bytes))),
    ]
    .prop_map(|value| AnyValue { value });
    let value = leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3)
                .prop_map(|values| AnyValue { value: Some(Any::ArrayValue(ArrayValue { values })) }),
            proptest::collection::vec((0..KEYS.len(), inner), 0..3).prop_map(|entries| {
                let values = entries.into_iter().map(|(key, value)| entry(key, Some(value))).collect();
                AnyValue { value: Some(Any::KvlistValue(KeyValueList { values })) }
            }),
        ]
    });
    proptest::option::of(value)
}

fn entry(key: usize, value: Option<AnyValue>) -> KeyValue {
    KeyValue { key: KEYS[key].to_owned(), value, ..KeyValue::default() }
}

fn span() -> impl Strategy<Value = Span> {
    let attributes = proptest::collection::vec((0..KEYS.len(), any_value()), 0..8);
    (attributes, "[a-c]{0,3}", any::<i32>(), "[k=v,]{0,8}", any::<u64>()).prop_map(
        |(attributes, name, code, trace_state, start_time_unix_nano)| Span {
            name,
            trace_state,
            start_time_unix_nano,
            status: Some(Status { code, message: String::new() }),
            attributes: attributes.into_iter().map(|(key, value)| entry(key, value)).collect(),
            ..Span::default()
        },
    )
}

/// What contrib reads: the first entry of the key.
fn plain_reading<'s>(span: &'s Span, key: &str) -> Option<&'s Any> {
    span.attributes.iter().find(|entry| entry.key == key)?.value.as_ref()?.value.as_ref()
}

proptest! {
    #[test]
    fn slots_hold_the_first_of_equal_keys(span in span()) {
        let (program, _, slots) = program();
        let wire = span.encode_to_vec();
        let mut frame = program.frame();
        program.load_span(&mut frame, &wire);
        for (key, slot) in KEYS.iter().zip(slots) {
            let got = program.get(&frame, slot);
            let same = match (plain_reading(&span, key), got) {
                (None, Slot::Nil) => true,
                (Some(Any::BoolValue(want)), Slot::Bool(got)) => *want == got,
                (Some(Any::IntValue(want)), Slot::Int(got)) => *want == got,
                (Some(Any::DoubleValue(want)), Slot::Double(got)) => want.to_bits() == got.to_bits(),
                (Some(Any::StringValue(want)), Slot::Str(got)) => want.as_bytes() == got,
                (Some(Any::BytesValue(want)), Slot::Bytes(got)) => want.as_slice() == got,
                (Some(Any::ArrayValue(want)), Slot::List(got)) => want.encode_to_vec() == got,
                (Some(Any::KvlistValue(want)), Slot::Map(got)) => want.encode_to_vec() == got,
                _ => false,
            };
            prop_assert!(same, "{key}: {got:?} in {span:?}");
        }
    }

    #[test]
    fn a_frame_forgets_the_span_before(first in span(), second in span()) {
        let (program, conditions, _) = program();
        let (first, second) = (first.encode_to_vec(), second.encode_to_vec());
        let (mut reused, mut fresh) = (program.frame(), program.frame());
        program.load_span(&mut reused, &first);
        program.load_span(&mut reused, &second);
        program.load_span(&mut fresh, &second);
        for condition in conditions {
            prop_assert_eq!(program.eval(&reused, condition), program.eval(&fresh, condition));
        }
    }

    #[test]
    fn hostile_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let (program, conditions, slots) = program();
        let mut frame = program.frame();
        program.load_resource(&mut frame, &bytes, &bytes);
        program.load_scope(&mut frame, &bytes, &bytes);
        program.load_event(&mut frame, &bytes);
        program.load_span(&mut frame, &bytes);
        for condition in conditions {
            let _ = program.eval(&frame, condition);
        }
        for slot in slots {
            let _ = program.get(&frame, slot);
        }
    }

    #[test]
    fn damaged_spans_do_not_panic(span in span(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let (program, conditions, _) = program();
        let mut wire = span.encode_to_vec();
        let at = at.index(wire.len().max(1));
        if let Some(place) = wire.get_mut(at) {
            *place = byte;
        }
        let mut frame = program.frame();
        program.load_span(&mut frame, &wire);
        for condition in conditions {
            let _ = program.eval(&frame, condition);
        }
    }

    #[test]
    fn any_text_is_checked_without_panic(text in "[a-zA-Z_\\[\\]().\"=<>!+*/, 0-9]{0,40}") {
        let mut builder = ProgramBuilder::new(Options::default());
        if let Ok(condition) = builder.add(&text, Context::Span, PathMode::Legacy) {
            let program = builder.build().unwrap();
            prop_assert!(matches!(program.eval(&program.frame(), condition), Outcome::True | Outcome::False | Outcome::Error(_)));
        }
    }
}
