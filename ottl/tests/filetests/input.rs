//! The small language that rows write spans in: `{ name = "pay", attributes = { "k" = 1 }, status = { code = 2 } }`.
//! Besides the fields of a span it knows `resource`, `scope`, `event` (the one that is loaded), and, in values, `0x01ff` for
//! bytes, `empty` for an AnyValue with nothing set, `nan` and `inf`.

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value::Value as Any},
    resource::v1::Resource,
    trace::v1::{Span, Status, span::Event, span::Link},
};
use prost::Message as _;

/// Wire bytes of one row.
#[derive(Default)]
pub(crate) struct Input {
    pub(crate) resource: Vec<u8>,
    pub(crate) resource_schema: Vec<u8>,
    pub(crate) scope: Vec<u8>,
    pub(crate) scope_schema: Vec<u8>,
    pub(crate) span: Vec<u8>,
    pub(crate) event: Vec<u8>,
}

#[derive(Debug)]
enum Item {
    Table(Vec<(String, Item)>),
    List(Vec<Item>),
    Text(String),
    Int(i64),
    Double(f64),
    Bool(bool),
    Bytes(Vec<u8>),
    Empty,
}

impl Input {
    pub(crate) fn read(text: &str) -> Self {
        let mut reader = Reader { rest: text.trim() };
        let Item::Table(fields) = reader.item() else { panic!("a row is a table: {text}") };
        assert!(reader.rest.is_empty(), "text behind the row: {}", reader.rest);
        let mut input = Self::default();
        let mut span = Span::default();
        for (key, item) in fields {
            match key.as_str() {
                "resource" => {
                    let mut resource = Resource::default();
                    for (key, item) in item.table() {
                        match key.as_str() {
                            "attributes" => resource.attributes = item.attributes(),
                            "schema_url" => input.resource_schema = item.text().into_bytes(),
                            other => panic!("resource.{other}"),
                        }
                    }
                    input.resource = resource.encode_to_vec();
                }
                "scope" => {
                    let mut scope = InstrumentationScope::default();
                    for (key, item) in item.table() {
                        match key.as_str() {
                            "name" => scope.name = item.text(),
                            "version" => scope.version = item.text(),
                            "attributes" => scope.attributes = item.attributes(),
                            "schema_url" => input.scope_schema = item.text().into_bytes(),
                            other => panic!("scope.{other}"),
                        }
                    }
                    input.scope = scope.encode_to_vec();
                }
                "event" => {
                    let event = event(item);
                    input.event = event.encode_to_vec();
                    span.events.push(event);
                }
                _ => field(&mut span, &key, item),
            }
        }
        input.span = span.encode_to_vec();
        input
    }
}

fn field(span: &mut Span, key: &str, item: Item) {
    match key {
        "name" => span.name = item.text(),
        "kind" => span.kind = i32::try_from(item.int()).unwrap(),
        "trace_id" => span.trace_id = item.bytes(),
        "span_id" => span.span_id = item.bytes(),
        "parent_span_id" => span.parent_span_id = item.bytes(),
        "trace_state" => span.trace_state = item.text(),
        "start" => span.start_time_unix_nano = item.int().cast_unsigned(),
        "end" => span.end_time_unix_nano = item.int().cast_unsigned(),
        "flags" => span.flags = u32::try_from(item.int()).unwrap(),
        "links" => span.links = vec![Link::default(); usize::try_from(item.int()).unwrap()],
        "attributes" => span.attributes = item.attributes(),
        "status" => {
            let mut status = Status::default();
            for (key, item) in item.table() {
                match key.as_str() {
                    "code" => status.code = i32::try_from(item.int()).unwrap(),
                    "message" => status.message = item.text(),
                    other => panic!("status.{other}"),
                }
            }
            span.status = Some(status);
        }
        other => panic!("span.{other}"),
    }
}

fn event(item: Item) -> Event {
    let mut event = Event::default();
    for (key, item) in item.table() {
        match key.as_str() {
            "name" => event.name = item.text(),
            "time" => event.time_unix_nano = item.int().cast_unsigned(),
            "attributes" => event.attributes = item.attributes(),
            other => panic!("event.{other}"),
        }
    }
    event
}

impl Item {
    fn table(self) -> Vec<(String, Self)> {
        match self {
            Self::Table(fields) => fields,
            other => panic!("no table: {other:?}"),
        }
    }

    fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            other => panic!("no text: {other:?}"),
        }
    }

    fn int(self) -> i64 {
        match self {
            Self::Int(number) => number,
            other => panic!("no int: {other:?}"),
        }
    }

    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes,
            other => panic!("no bytes: {other:?}"),
        }
    }

    fn attributes(self) -> Vec<KeyValue> {
        self.table()
            .into_iter()
            .map(|(key, item)| KeyValue { key, value: Some(AnyValue { value: item.any() }), ..KeyValue::default() })
            .collect()
    }

    fn any(self) -> Option<Any> {
        Some(match self {
            Self::Empty => return None,
            Self::Text(text) => Any::StringValue(text),
            Self::Int(number) => Any::IntValue(number),
            Self::Double(number) => Any::DoubleValue(number),
            Self::Bool(flag) => Any::BoolValue(flag),
            Self::Bytes(bytes) => Any::BytesValue(bytes),
            Self::List(items) => Any::ArrayValue(ArrayValue {
                values: items.into_iter().map(|item| AnyValue { value: item.any() }).collect(),
            }),
            table @ Self::Table(_) => Any::KvlistValue(KeyValueList { values: table.attributes() }),
        })
    }
}

struct Reader<'t> {
    rest: &'t str,
}

impl<'t> Reader<'t> {
    fn blank(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, token: &str) -> bool {
        self.blank();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                self.blank();
                true
            }
            None => false,
        }
    }

    fn word(&mut self) -> &'t str {
        let end = self.rest.find(|c: char| !(c.is_alphanumeric() || "_.+-".contains(c))).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        self.blank();
        word
    }

    /// A quoted text without escapes, or a word.
    fn key(&mut self) -> String {
        match self.rest.starts_with('"') {
            true => self.quoted(),
            false => self.word().to_owned(),
        }
    }

    fn quoted(&mut self) -> String {
        let body = self.rest.strip_prefix('"').unwrap();
        let (text, rest) = body.split_once('"').unwrap_or_else(|| panic!("open string: {body}"));
        self.rest = rest;
        self.blank();
        text.to_owned()
    }

    fn item(&mut self) -> Item {
        self.blank();
        if self.take("{") {
            let mut fields = Vec::new();
            while !self.take("}") {
                let key = self.key();
                assert!(self.take("="), "no = behind {key}: {}", self.rest);
                fields.push((key, self.item()));
                self.take(",");
            }
            return Item::Table(fields);
        }
        if self.take("[") {
            let mut items = Vec::new();
            while !self.take("]") {
                items.push(self.item());
                self.take(",");
            }
            return Item::List(items);
        }
        if self.rest.starts_with('"') {
            return Item::Text(self.quoted());
        }
        match self.word() {
            "true" => Item::Bool(true),
            "false" => Item::Bool(false),
            "empty" => Item::Empty,
            "nan" => Item::Double(f64::NAN),
            "inf" => Item::Double(f64::INFINITY),
            word => match word.strip_prefix("0x") {
                Some(hex) => {
                    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
                    Item::Bytes((0..hex.len()).step_by(2).map(byte).collect())
                }
                None if word.contains('.') => Item::Double(word.parse().unwrap()),
                None => Item::Int(word.parse().unwrap_or_else(|_| panic!("no value: {word:?} {}", self.rest))),
            },
        }
    }
}
