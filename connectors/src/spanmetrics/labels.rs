//! What a series remembers of its attributes: packed bytes, unpacked only when points are made.
//!
//! Copies, never borrows: a series must not keep its request alive. What all series share (keys of built-in dimensions,
//! the instance id) is not stored.

use pdata::metrics::{Attributes, Value};
use pdata::span::value as decode_value;
use pdata::value::lossy;

use super::config::Config;
use super::dimensions::{Held, Label, Program, Sources, Wanted};

/// Names of span kinds; an unknown number has an empty name.
const KINDS: [&str; 7] = [
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
    "",
];

/// Names of status codes; an unknown number has an empty name.
const STATUSES: [&str; 4] = ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR", ""];

/// A span kind as an index of its name.
#[inline]
pub(super) fn kind_code(kind: i32) -> u8 {
    if (0..6).contains(&kind) { kind as u8 } else { 6 }
}

/// A status code as an index of its name.
#[inline]
pub(super) fn status_code(status: i32) -> u8 {
    if (0..3).contains(&status) { status as u8 } else { 3 }
}

/// Which built-in dimensions are in use.
#[derive(Clone, Debug)]
pub(super) struct BuiltIns {
    pub(super) service_name: bool,
    pub(super) span_name: bool,
    pub(super) span_kind: bool,
    pub(super) status_code: bool,
    otel_status_code: bool,
    instance_id: Option<String>,
    pub(super) sampling_method: bool,
}

impl BuiltIns {
    pub(super) fn of(config: &Config) -> Self {
        let kept = |name: &str| !config.exclude_dimensions.iter().any(|excluded| excluded == name);
        Self {
            service_name: kept("service.name"),
            span_name: kept("span.name"),
            span_kind: kept("span.kind"),
            status_code: kept(if config.otel_status_code { "otel.status_code" } else { "status.code" }),
            otel_status_code: config.otel_status_code,
            instance_id: config.instance_id.clone().filter(|_| kept("collector.instance.id")),
            sampling_method: config.sampling_method,
        }
    }
}

/// What is known of a span when its series is new.
#[derive(Clone, Copy)]
pub(super) struct Facts<'a> {
    pub(super) service_name: &'a [u8],
    pub(super) span_name: &'a [u8],
    pub(super) kind: u8,
    pub(super) status: u8,
    /// Name and version, if the scope is listed.
    pub(super) scope: Option<(&'a [u8], &'a [u8])>,
    pub(super) extrapolated: bool,
}

/// Packs the attributes of a series.
pub(super) fn pack(facts: Facts<'_>, programs: [&Program; 2], from: Sources<'_>, wanted: &Wanted) -> Box<[u8]> {
    let mut out = Vec::with_capacity(128);
    push_bytes(&mut out, facts.service_name);
    push_bytes(&mut out, facts.span_name);
    out.extend([facts.kind, facts.status, u8::from(facts.extrapolated), u8::from(facts.scope.is_some())]);
    if let Some((name, version)) = facts.scope {
        push_bytes(&mut out, name);
        push_bytes(&mut out, version);
    }
    for program in programs {
        program.walk(from, |label, value| {
            match label {
                Label::Slot(slot) => push_bytes(&mut out, wanted.key(slot).as_bytes()),
                Label::Key(key) => push_bytes(&mut out, key),
            }
            match value {
                Held::Any(any) => {
                    out.push(0);
                    push_bytes(&mut out, any);
                }
                Held::Default(text) => {
                    out.push(1);
                    push_bytes(&mut out, text.as_bytes());
                }
            }
        });
    }
    out.into()
}

fn push_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    // Parts of one span, so below 4 GiB.
    out.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(bytes);
}

struct Reader<'packed>(&'packed [u8]);

impl<'packed> Reader<'packed> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn bytes(&mut self) -> Option<&'packed [u8]> {
        let (len, rest) = self.0.split_first_chunk::<4>()?;
        let (bytes, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        self.0 = rest;
        Some(bytes)
    }
}

/// The attributes in upstream's order. Of equal keys the later value takes the earlier place.
pub(super) fn unpack(packed: &[u8], built_ins: &BuiltIns) -> Attributes {
    let mut out = Attributes::with_capacity(8);
    // What was packed reads back; a short read would only cut the list.
    let _ = unpack_into(&mut out, Reader(packed), built_ins);
    out
}

fn unpack_into(out: &mut Attributes, mut packed: Reader<'_>, built_ins: &BuiltIns) -> Option<()> {
    let (service_name, span_name) = (packed.bytes()?, packed.bytes()?);
    let (kind, status) = (packed.byte()?, packed.byte()?);
    let (extrapolated, has_scope) = (packed.byte()? == 1, packed.byte()? == 1);
    let mut push = |key: &str, value: Value| put(out, key, value);
    let string = |text: &str| Value::String(text.to_owned());
    if built_ins.service_name {
        push("service.name", Value::String(lossy(service_name)));
    }
    if built_ins.span_name {
        push("span.name", Value::String(lossy(span_name)));
    }
    if built_ins.span_kind {
        push("span.kind", string(KINDS.get(usize::from(kind)).copied().unwrap_or_default()));
    }
    if built_ins.status_code {
        match (built_ins.otel_status_code, status) {
            (false, status) => {
                push("status.code", string(STATUSES.get(usize::from(status)).copied().unwrap_or_default()));
            }
            (true, 1) => push("otel.status_code", string("OK")),
            (true, 2) => push("otel.status_code", string("ERROR")),
            (true, _) => {}
        }
    }
    if let Some(id) = &built_ins.instance_id {
        push("collector.instance.id", string(id));
    }
    if has_scope {
        let (name, version) = (packed.bytes()?, packed.bytes()?);
        push("span.instrumentation.scope.name", Value::String(lossy(name)));
        if !version.is_empty() {
            push("span.instrumentation.scope.version", Value::String(lossy(version)));
        }
    }
    if built_ins.sampling_method {
        push("sampling.method", string(if extrapolated { "extrapolated" } else { "counted" }));
    }
    while let Some(key) = packed.bytes() {
        let is_default = packed.byte()? == 1;
        let value = packed.bytes()?;
        push(&lossy(key), if is_default { Value::String(lossy(value)) } else { decode_value(value) });
    }
    Some(())
}

fn put(out: &mut Attributes, key: &str, value: Value) {
    match out.iter_mut().find(|(known, _)| known == key) {
        Some((_, place)) => *place = value,
        None => out.push((key.to_owned(), value)),
    }
}
