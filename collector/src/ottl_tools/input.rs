//! Recorded telemetry from files: OTLP/JSON (one document, or one a line as the file exporter writes them), an OTLP
//! protobuf request, or the file exporter's length-prefixed protobuf messages. The kind is told from the first bytes, the
//! signal from the content.

mod signals;

use std::io::Read as _;

use bytes::Bytes;
use ottl::{Context, Frame, Program};
use pdata::json::JsonError;
use pdata::span::{AttributesOf, EventFields, ScopeFields, SpanFields, events, string_attribute};
use pdata::value::lossy;
use pdata::{ResourceView, ScopeView, SpanView, Traces, WireError};
use serde::de::IgnoredAny;

use super::question::Signals;
use super::words;
use signals::Signal;

/// Why an input cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file.
    #[error("{path}: {cause}")]
    File {
        /// Its path.
        path: String,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A request in it.
    #[error("{path}: {place}: {cause}")]
    Request {
        /// The file.
        path: String,
        /// Which request: `line 3`, `byte 120`.
        place: String,
        /// What is wrong with it.
        cause: String,
    },
    /// Something that can be read but holds nothing to ask.
    #[error("{path}: {cause}")]
    Empty {
        /// The file.
        path: String,
        /// What is missing.
        cause: String,
    },
}

/// Telemetry to ask conditions of.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    batches: Vec<Traces>,
    /// ExportMetricsServiceRequests and ExportLogsServiceRequests that were found well-formed.
    metrics: Vec<Bytes>,
    logs: Vec<Bytes>,
}

/// What a condition is asked of, as far as people need to recognise it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Item {
    /// From 1, in the order of the input.
    pub(super) number: usize,
    /// Of the span, event or scope; of a resource its service.
    pub(super) name: String,
    pub(super) trace_id: Option<String>,
    pub(super) span_id: Option<String>,
    /// `service.name` of the resource.
    pub(super) service: Option<String>,
}

/// Reads a file, or standard input for `-`.
pub(super) fn read(path: &str) -> Result<Sample, Error> {
    let file = |cause| Error::File { path: path.to_owned(), cause };
    let bytes = match path {
        "-" => {
            let mut bytes = Vec::new();
            std::io::stdin().lock().read_to_end(&mut bytes).map_err(file)?;
            bytes
        }
        path => std::fs::read(path).map_err(file)?,
    };
    parse(if path == "-" { "standard input" } else { path }, &bytes)
}

/// Reads the content of a file.
pub(super) fn parse(path: &str, bytes: &[u8]) -> Result<Sample, Error> {
    let mut sample = Sample::default();
    match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
        None => {}
        Some(b'{') => json(path, bytes, &mut sample)?,
        // Field 1 with a length: what every request starts with.
        Some(_) if bytes[0] == 0x0a => {
            sample.add(path, "byte 0", Bytes::copy_from_slice(bytes))?;
        }
        Some(_) => prefixed(path, bytes, &mut sample)?,
    }
    if sample.item_count() == 0 {
        let cause = "holds no spans, metrics or log records; expected OTLP as JSON, JSON lines or protobuf".to_owned();
        return Err(Error::Empty { path: path.to_owned(), cause });
    }
    Ok(sample)
}

/// Documents one after another, on lines of their own or not.
fn json(path: &str, text: &[u8], sample: &mut Sample) -> Result<(), Error> {
    let mut documents = serde_json::Deserializer::from_slice(text).into_iter::<IgnoredAny>();
    let mut start = 0;
    while let Some(document) = documents.next() {
        let line = |at: usize| 1 + text[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count();
        let wrong = |at: usize, cause: String| Error::Request {
            path: path.to_owned(),
            place: format!("line {}", line(at)),
            cause,
        };
        if let Err(error) = document {
            // The position within the rest of the text; the line is counted over all of it.
            let cause = error.to_string();
            let cause = cause.split(" at line ").next().unwrap_or_default().to_owned();
            return Err(Error::Request { path: path.to_owned(), place: format!("line {}", error.line()), cause });
        }
        let end = documents.byte_offset();
        let blanks = text[start..end].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let start_of_document = start + blanks;
        let document = &text[start_of_document..end];
        let bad = |error: JsonError| wrong(start_of_document + error.at, error.to_string());
        let place = format!("line {}", line(start_of_document));
        match signals::of_json(document) {
            Signal::Metrics => {
                sample.add_metrics(path, &place, pdata::json::metrics_from_json(document).map_err(bad)?.into())?;
            }
            Signal::Logs => {
                sample.add_logs(path, &place, pdata::json::logs_from_json(document).map_err(bad)?.into())?
            }
            Signal::Traces => {
                let bytes = pdata::json::traces_from_json(document).map_err(bad)?;
                sample.batches.push(Traces::index(bytes.into()).map_err(|error| refused(path, &place, &error))?);
            }
        }
        start = end;
    }
    Ok(())
}

/// Messages behind four bytes of length each, the most significant first.
fn prefixed(path: &str, bytes: &[u8], sample: &mut Sample) -> Result<(), Error> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let at = bytes.len() - rest.len();
        let message = rest
            .split_first_chunk::<4>()
            .and_then(|(length, rest)| rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?));
        let Some((message, after)) = message else {
            let cause = match at {
                0 => "neither OTLP/JSON nor an OTLP protobuf request nor the file exporter's messages".to_owned(),
                _ => "the message is cut off".to_owned(),
            };
            return Err(Error::Request { path: path.to_owned(), place: format!("byte {at}"), cause });
        };
        sample.add(path, &format!("byte {at}"), Bytes::copy_from_slice(message))?;
        rest = after;
    }
    Ok(())
}

fn refused(path: &str, place: &str, error: &WireError) -> Error {
    Error::Request { path: path.to_owned(), place: place.to_owned(), cause: error.to_string() }
}

impl Sample {
    /// One request.
    pub(super) fn of(batch: Traces) -> Self {
        Self { batches: vec![batch], ..Self::default() }
    }

    /// Adds a protobuf request of whatever signal it is. What reads as traces is taken for traces.
    fn add(&mut self, path: &str, place: &str, request: Bytes) -> Result<(), Error> {
        match (Traces::index(request.clone()), signals::of_protobuf(&request)) {
            (Ok(batch), None | Some(Signal::Traces)) => self.batches.push(batch),
            (_, Some(Signal::Metrics)) => self.add_metrics(path, place, request)?,
            (_, Some(Signal::Logs)) => self.add_logs(path, place, request)?,
            (Err(error), _) => return Err(refused(path, place, &error)),
        }
        Ok(())
    }

    fn add_metrics(&mut self, path: &str, place: &str, request: Bytes) -> Result<(), Error> {
        pdata::Metrics::decode(&request).map_err(|error| refused(path, place, &error))?;
        self.metrics.push(request);
        Ok(())
    }

    fn add_logs(&mut self, path: &str, place: &str, request: Bytes) -> Result<(), Error> {
        signals::check_logs(&request).map_err(|error| refused(path, place, &error))?;
        self.logs.push(request);
        Ok(())
    }

    fn span_count(&self) -> usize {
        self.batches.iter().map(Traces::span_count).sum()
    }

    /// Spans, metrics and log records.
    pub(super) fn item_count(&self) -> usize {
        self.span_count() + signals::item_count(&self.metrics) + signals::item_count(&self.logs)
    }

    pub(super) fn signals(&self) -> Signals {
        Signals {
            traces: self.span_count() > 0,
            metrics: signals::item_count(&self.metrics) > 0,
            logs: signals::item_count(&self.logs) > 0,
        }
    }

    /// `2 spans, 1 metric`
    pub(super) fn description(&self) -> String {
        let counts = [
            (self.span_count(), Context::Span),
            (signals::item_count(&self.metrics), Context::Metric),
            (signals::item_count(&self.logs), Context::Log),
        ];
        let parts: Vec<String> = counts
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, of)| format!("{count} {}", if count == 1 { words::thing(of) } else { words::things(of) }))
            .collect();
        parts.join(", ")
    }

    /// Loads everything that a condition of `context` is asked of, one after the other. Stops when `each` says so.
    pub(super) fn visit<E>(
        &self,
        program: &Program,
        context: Context,
        each: &mut dyn FnMut(&Frame<'_>, Item) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut walk = Walk { program, context, frame: program.frame(), number: 0, each };
        for resource in self.batches.iter().flat_map(Traces::resources) {
            walk.resource(&resource)?;
        }
        for (requests, signal) in [(&self.metrics, Signal::Metrics), (&self.logs, Signal::Logs)] {
            requests.iter().try_for_each(|request| walk.request(request, signal))?;
        }
        Ok(())
    }
}

struct Walk<'a, 'w, E> {
    program: &'a Program,
    context: Context,
    frame: Frame<'w>,
    number: usize,
    each: &'a mut dyn FnMut(&Frame<'_>, Item) -> Result<(), E>,
}

impl<'w, E> Walk<'_, 'w, E> {
    fn ask(&mut self, item: Item) -> Result<(), E> {
        self.number += 1;
        (self.each)(&self.frame, Item { number: self.number, ..item })
    }

    fn resource(&mut self, resource: &ResourceView<'w>) -> Result<(), E> {
        self.program.load_resource(&mut self.frame, resource.resource(), resource.schema_url());
        let service = string_attribute(resource.resource(), AttributesOf::Resource, b"service.name").map(lossy);
        if self.context == Context::Resource {
            return self.ask(Item { name: service.clone().unwrap_or_default(), service, ..Item::default() });
        }
        resource.scopes().try_for_each(|scope| self.scope(&scope, service.as_deref()))
    }

    fn scope(&mut self, scope: &ScopeView<'w>, service: Option<&str>) -> Result<(), E> {
        self.program.load_scope(&mut self.frame, scope.scope(), scope.schema_url());
        if self.context == Context::Scope {
            let name = lossy(ScopeFields::read(scope.scope()).name);
            return self.ask(Item { name, service: service.map(str::to_owned), ..Item::default() });
        }
        scope.spans().try_for_each(|span| self.span(&span, service))
    }

    fn span(&mut self, span: &SpanView<'w>, service: Option<&str>) -> Result<(), E> {
        self.program.load_span(&mut self.frame, span.bytes());
        let fields = SpanFields::read(span.bytes());
        let item = Item {
            number: 0,
            name: lossy(fields.name),
            trace_id: Some(hex(span.trace_id())),
            span_id: Some(hex(fields.span_id)),
            service: service.map(str::to_owned),
        };
        if self.context == Context::Span {
            return self.ask(item);
        }
        if self.context != Context::SpanEvent {
            return Ok(());
        }
        for event in events(span.bytes()) {
            self.program.load_event(&mut self.frame, event);
            self.ask(Item { name: lossy(EventFields::read(event).name), ..item.clone() })?;
        }
        Ok(())
    }
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Item {
    /// `span 3 "POST /pay" of shop, trace 0102.., span 0a0b..`
    pub(super) fn title(&self, context: Context) -> String {
        let mut title = format!("{} {} {:?}", words::thing(context), self.number, self.name);
        if let Some(service) = self.service.as_ref().filter(|_| context != Context::Resource) {
            title += &format!(" of {service}");
        }
        for (what, id) in [("trace", &self.trace_id), ("span", &self.span_id)] {
            if let Some(id) = id.as_ref().filter(|id| id.bytes().any(|digit| digit != b'0')) {
                title += &format!(", {what} {id}");
            }
        }
        title
    }

    pub(super) fn json(&self) -> serde_json::Value {
        let mut value = serde_json::json!({ "number": self.number, "name": self.name });
        for (key, text) in [("service", &self.service), ("trace_id", &self.trace_id), ("span_id", &self.span_id)] {
            if let Some(text) = text {
                value[key] = serde_json::Value::String(text.clone());
            }
        }
        value
    }
}
