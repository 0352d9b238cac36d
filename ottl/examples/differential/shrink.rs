//! Smaller forms of a case that still differs: children in place of expressions, literals in place of children, fewer
//! operands, fewer attributes. Every step makes the text or the request shorter, so it ends.

use grammar::ast::{Arg, BoolExpr, Call, Key, KeyKind, Path, Value, ValueKind};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest as Request;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

use crate::case::{Case, ContextName, Kind};

/// The smallest form that these steps reach. `first_of` says which of some cases is the first that still differs.
pub(crate) fn shrink<E>(case: Case, mut first_of: impl FnMut(&[Case]) -> Result<Option<usize>, E>) -> Result<Case, E> {
    let mut smallest = case;
    'steps: loop {
        for candidates in [texts(&smallest), bodies(&smallest)] {
            if let Some(at) = first_of(&candidates)?
                && let Some(smaller) = candidates.get(at)
            {
                smallest = smaller.clone();
                continue 'steps;
            }
        }
        return Ok(smallest);
    }
}

fn texts(case: &Case) -> Vec<Case> {
    let (own, simpler): (String, Vec<String>) = match case.kind {
        Kind::Condition => match grammar::parse_condition(&case.text) {
            Ok(tree) => (tree.to_string(), conditions(&tree).iter().map(ToString::to_string).collect()),
            Err(_) => return damaged(case),
        },
        Kind::Value => match grammar::parse_value(&case.text) {
            Ok(tree) => (tree.to_string(), values(&tree).iter().map(ToString::to_string).collect()),
            Err(_) => return damaged(case),
        },
    };
    let shorter = std::iter::once(own).chain(simpler).filter(|text| text.len() < case.text.len());
    shorter.map(|text| Case { text, ..case.clone() }).collect()
}

/// A text that does not parse has no parts: it loses a character.
fn damaged(case: &Case) -> Vec<Case> {
    let without = |(at, c): (usize, char)| format!("{}{}", &case.text[..at], &case.text[at + c.len_utf8()..]);
    case.text.char_indices().map(without).map(|text| Case { text, ..case.clone() }).collect()
}

fn bodies(case: &Case) -> Vec<Case> {
    // Requests of metrics and logs are small; only the text is shrunk.
    if matches!(case.context, ContextName::Metric | ContextName::DataPoint | ContextName::Log) {
        return Vec::new();
    }
    let Ok(request) = Request::decode(case.body.as_slice()) else { return Vec::new() };
    let shorter = requests(&request).into_iter().map(|request| request.encode_to_vec());
    let shorter = shorter.filter(|body| body.len() < case.body.len());
    shorter.map(|body| Case { body, ..case.clone() }).collect()
}

/// The list without one item, and with one item made simpler.
fn lists<T: Clone>(items: &[T], simpler: impl Fn(&T) -> Vec<T>) -> Vec<Vec<T>> {
    let without = (0..items.len()).map(|at| {
        let mut items = items.to_vec();
        items.remove(at);
        items
    });
    without.chain(replaced(items, simpler)).collect()
}

fn replaced<T: Clone>(items: &[T], simpler: impl Fn(&T) -> Vec<T>) -> Vec<Vec<T>> {
    let with = |(at, item): (usize, &T)| {
        let with =
            |item| items.iter().take(at).cloned().chain([item]).chain(items.iter().skip(at + 1).cloned()).collect();
        simpler(item).into_iter().map(with).collect::<Vec<_>>()
    };
    items.iter().enumerate().flat_map(with).collect()
}

fn conditions(tree: &BoolExpr) -> Vec<BoolExpr> {
    let joined = |operands: &[BoolExpr], join: fn(Vec<BoolExpr>) -> BoolExpr| {
        let fewer = lists(operands, conditions).into_iter().filter(|operands| operands.len() > 1).map(join);
        operands.iter().cloned().chain(fewer).collect()
    };
    match tree {
        BoolExpr::Or(operands) => joined(operands, BoolExpr::Or),
        BoolExpr::And(operands) => joined(operands, BoolExpr::And),
        BoolExpr::Not(keyword, operand) => {
            let inside = conditions(operand).into_iter().map(|inner| BoolExpr::Not(keyword.clone(), Box::new(inner)));
            std::iter::once((**operand).clone()).chain(inside).collect()
        }
        BoolExpr::Compare(comparison) => {
            let left = values(&comparison.left).into_iter().map(|left| {
                let mut smaller = comparison.clone();
                smaller.left = left;
                smaller
            });
            let right = values(&comparison.right).into_iter().map(|right| {
                let mut smaller = comparison.clone();
                smaller.right = right;
                smaller
            });
            left.chain(right).map(BoolExpr::Compare).collect()
        }
        BoolExpr::Literal(_) => Vec::new(),
        BoolExpr::Call(call) => calls(call).into_iter().map(BoolExpr::Call).collect(),
    }
}

fn values(value: &Value) -> Vec<Value> {
    let of = |kind| Value { kind, span: value.span };
    let literals = || [ValueKind::Nil, ValueKind::Int(0), ValueKind::String(String::new())].map(of);
    match &value.kind {
        ValueKind::Nil | ValueKind::Bool(_) | ValueKind::Enum(_) | ValueKind::FunctionRef(_) | ValueKind::Lambda(_) => {
            Vec::new()
        }
        ValueKind::Int(number) => vec![of(ValueKind::Int(0)), of(ValueKind::Int(1)), of(ValueKind::Int(number / 10))],
        ValueKind::Float(_) => vec![of(ValueKind::Int(0)), of(ValueKind::Float(1.5))],
        ValueKind::String(text) => strings(text).into_iter().map(ValueKind::String).map(of).collect(),
        ValueKind::Bytes(bytes) => lists(bytes, |_| Vec::new()).into_iter().map(ValueKind::Bytes).map(of).collect(),
        ValueKind::List(items) => {
            items.iter().cloned().chain(lists(items, values).into_iter().map(ValueKind::List).map(of)).collect()
        }
        ValueKind::Map(entries) => {
            let simpler =
                lists(entries, |(key, value)| values(value).into_iter().map(|value| (key.clone(), value)).collect());
            entries
                .iter()
                .map(|(_, value)| value.clone())
                .chain(simpler.into_iter().map(ValueKind::Map).map(of))
                .collect()
        }
        ValueKind::Path(path) => {
            literals().into_iter().chain(paths(path).into_iter().map(ValueKind::Path).map(of)).collect()
        }
        ValueKind::Call(call) => {
            let arguments = call.args.iter().map(|argument| argument.value.clone());
            let simpler = calls(call).into_iter().map(ValueKind::Call).map(of);
            literals().into_iter().chain(arguments).chain(simpler).collect()
        }
        ValueKind::Binary(left, op, right) => {
            let binary = |left: &Value, right: &Value| {
                of(ValueKind::Binary(Box::new(left.clone()), op.clone(), Box::new(right.clone())))
            };
            let mut simpler = vec![(**left).clone(), (**right).clone()];
            simpler.extend(values(left).iter().map(|left| binary(left, right)));
            simpler.extend(values(right).iter().map(|right| binary(left, right)));
            simpler
        }
        ValueKind::Group(number) => {
            let inside = values(number).into_iter().map(|inner| of(ValueKind::Group(Box::new(inner))));
            std::iter::once((**number).clone()).chain(inside).collect()
        }
        ValueKind::Unary(sign, operand) => {
            let inside = values(operand).into_iter().map(|inner| of(ValueKind::Unary(sign.clone(), Box::new(inner))));
            std::iter::once((**operand).clone()).chain(inside).collect()
        }
    }
}

/// Without each of its first characters in turn, or half of it.
fn strings(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let half = |half: &[char]| half.iter().collect::<String>();
    let (first, second) = chars.split_at(chars.len() / 2);
    let without = lists(&chars[..chars.len().min(24)], |_| Vec::new());
    let without = without.into_iter().map(|kept| kept.into_iter().chain(chars.iter().copied().skip(24)).collect());
    [half(first), half(second)].into_iter().chain(without).collect()
}

fn calls(call: &Call) -> Vec<Call> {
    let arguments = lists(&call.args, |argument| {
        values(&argument.value).into_iter().map(|value| Arg { value, ..argument.clone() }).collect()
    });
    let keys = lists(&call.keys, keys);
    let with_arguments = arguments.into_iter().map(|args| Call { args, ..call.clone() });
    with_arguments.chain(keys.into_iter().map(|keys| Call { keys, ..call.clone() })).collect()
}

fn paths(path: &Path) -> Vec<Path> {
    let segments = lists(&path.segments, |segment| {
        let simpler = lists(&segment.keys, keys).into_iter();
        simpler.map(|keys| grammar::ast::Segment { keys, ..segment.clone() }).collect()
    });
    let segments = segments.into_iter().filter(|segments| !segments.is_empty());
    segments.map(|segments| Path { segments, ..path.clone() }).collect()
}

fn keys(key: &Key) -> Vec<Key> {
    let simpler = match &key.kind {
        KeyKind::String(text) => strings(text).into_iter().map(KeyKind::String).collect(),
        KeyKind::Int(_) => vec![KeyKind::Int(0)],
        KeyKind::Expr(value) => {
            let inside = values(value).into_iter().map(|value| KeyKind::Expr(Box::new(value)));
            [KeyKind::Int(0), KeyKind::String(String::new())].into_iter().chain(inside).collect()
        }
    };
    simpler.into_iter().map(|kind| Key { kind, ..key.clone() }).collect()
}

/// What a field of a span is reset by.
const SPAN_FIELDS: &[fn(&mut Span)] = &[
    |span| span.trace_id.clear(),
    |span| span.span_id.clear(),
    |span| span.parent_span_id.clear(),
    |span| span.trace_state.clear(),
    |span| span.flags = 0,
    |span| span.name.clear(),
    |span| span.kind = 0,
    |span| span.start_time_unix_nano = 0,
    |span| span.end_time_unix_nano = 0,
    |span| span.dropped_attributes_count = 0,
    |span| span.events.truncate(1),
    |span| span.links.clear(),
    |span| span.status = None,
    |span| span.status.iter_mut().for_each(|status| status.message.clear()),
    |span| span.status.iter_mut().for_each(|status| status.code = 0),
    |span| span.events.iter_mut().for_each(|event| event.name.clear()),
    |span| span.events.iter_mut().for_each(|event| event.time_unix_nano = 0),
    |span| span.events.iter_mut().for_each(|event| event.dropped_attributes_count = 0),
];

const ENVELOPE_FIELDS: &[fn(&mut Request)] = &[
    |request| request.resource_spans.iter_mut().for_each(|resource| resource.schema_url.clear()),
    |request| request.resource_spans.iter_mut().for_each(|resource| resource.resource = None),
    |request| scopes(request).for_each(|scope| scope.schema_url.clear()),
    |request| scopes(request).for_each(|scope| scope.scope = None),
    |request| scopes(request).filter_map(|scope| scope.scope.as_mut()).for_each(|scope| scope.name.clear()),
    |request| scopes(request).filter_map(|scope| scope.scope.as_mut()).for_each(|scope| scope.version.clear()),
];

fn scopes(request: &mut Request) -> impl Iterator<Item = &mut opentelemetry_proto::tonic::trace::v1::ScopeSpans> {
    request.resource_spans.iter_mut().flat_map(|resource| resource.scope_spans.iter_mut())
}

fn attribute_lists(request: &mut Request) -> Vec<&mut Vec<KeyValue>> {
    let mut lists = Vec::new();
    for resource_spans in &mut request.resource_spans {
        lists.extend(resource_spans.resource.as_mut().map(|resource| &mut resource.attributes));
        for scope_spans in &mut resource_spans.scope_spans {
            lists.extend(scope_spans.scope.as_mut().map(|scope| &mut scope.attributes));
            for span in &mut scope_spans.spans {
                lists.push(&mut span.attributes);
                lists.extend(span.events.iter_mut().map(|event| &mut event.attributes));
            }
        }
    }
    lists
}

fn requests(request: &Request) -> Vec<Request> {
    let edited = |edit: &dyn Fn(&mut Request)| {
        let mut request = request.clone();
        edit(&mut request);
        request
    };
    let mut smaller: Vec<Request> = ENVELOPE_FIELDS.iter().map(|reset| edited(reset)).collect();
    smaller.extend(
        SPAN_FIELDS
            .iter()
            .map(|reset| edited(&|request| scopes(request).flat_map(|scope| scope.spans.iter_mut()).for_each(reset))),
    );
    let attributes: Vec<Vec<KeyValue>> =
        attribute_lists(&mut request.clone()).into_iter().map(|list| list.clone()).collect();
    for (at, list) in attributes.iter().enumerate() {
        for simpler in std::iter::once(Vec::new()).chain(entry_lists(list)) {
            smaller.push(edited(&|request| {
                if let Some(list) = attribute_lists(request).into_iter().nth(at) {
                    list.clone_from(&simpler);
                }
            }));
        }
    }
    smaller
}

fn entry_lists(entries: &[KeyValue]) -> Vec<Vec<KeyValue>> {
    lists(entries, |entry| {
        let values = entry.value.iter().flat_map(wire_values);
        values.map(|value| KeyValue { value: Some(value), ..entry.clone() }).collect()
    })
}

fn wire_values(value: &AnyValue) -> Vec<AnyValue> {
    let of = |value| AnyValue { value: Some(value) };
    let inside: Vec<AnyValue> = match &value.value {
        Some(Any::StringValue(text)) => strings(text).into_iter().map(Any::StringValue).map(of).collect(),
        Some(Any::IntValue(_)) => vec![of(Any::IntValue(1))],
        Some(Any::BytesValue(bytes)) => lists(bytes, |_| Vec::new()).into_iter().map(Any::BytesValue).map(of).collect(),
        Some(Any::ArrayValue(array)) => {
            let simpler = lists(&array.values, wire_values).into_iter();
            array
                .values
                .iter()
                .cloned()
                .chain(simpler.map(|values| of(Any::ArrayValue(ArrayValue { values }))))
                .collect()
        }
        Some(Any::KvlistValue(map)) => {
            let simpler = entry_lists(&map.values).into_iter();
            simpler.map(|values| of(Any::KvlistValue(KeyValueList { values }))).collect()
        }
        _ => Vec::new(),
    };
    std::iter::once(AnyValue { value: None }).chain(inside).collect()
}
