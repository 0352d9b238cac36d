//! Messages as bytes: `exchange.proto` beside this file. What comes in is hostile until it is read to its end.

use std::collections::BTreeMap;
use std::sync::Arc;

use ::peers::Told;
use bytes::Bytes;
use pdata::TraceId;
use pdata::wire::{Cursor, Field, Fields, put_bytes, put_fixed64_field, put_varint, put_varint_field};

use super::super::entry::{Facts, Shape};
use super::super::part::{Answers, TracePart};
use super::entry::{Decision, Entry};
use crate::net::grpc;

type Collect = ::peers::Collect<Decision>;
type Report = ::peers::Report<Entry, Decision>;
type Request = ::peers::Request<Entry, Decision>;
type Answer = ::peers::Answer<Entry, Decision>;
pub(super) use ::peers::Givers;

/// Granularity of times until a trace is due, as a power of two of milliseconds.
const DUE_BITS: u32 = 6;

const MORE: u64 = 1;
const LEAVING: u64 = 2;
const GONE: u64 = 4;
const FRESH: u64 = 8;

/// The bytes are no message of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed message of the peers protocol")]
pub(super) struct Malformed;

/// What a frame begins with: not compressed, and the message's length.
const FRAME_HEAD: usize = 5;

/// A message as gRPC frames it.
pub(super) fn frame(message: &[u8]) -> Bytes {
    framed(message.len(), |out| out.extend_from_slice(message))
}

fn framed(expected: usize, write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut out = Vec::with_capacity(FRAME_HEAD + expected);
    out.extend_from_slice(&[0; FRAME_HEAD]);
    write(&mut out);
    // Bounded by the batch, far below 4 GiB.
    let len = u32::try_from(out.len() - FRAME_HEAD).unwrap_or(u32::MAX);
    out[..FRAME_HEAD].copy_from_slice(&grpc::header(false, len));
    out.into()
}

/// The bytes of a frame's message.
pub(super) fn message_len(frame: &Bytes) -> u64 {
    frame.len().saturating_sub(FRAME_HEAD) as u64
}

/// A field whose length shows when it is written: its varint takes four bytes, however short it is.
fn put_nested(out: &mut Vec<u8>, field: u32, write: impl FnOnce(&mut Vec<u8>)) {
    put_varint(out, u64::from(field) << 3 | 2);
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out);
    let len = out.len() - at - 4;
    let sevens = |shift: usize| (len >> shift & 0x7f) as u8;
    out[at..at + 4].copy_from_slice(&[sevens(0) | 0x80, sevens(7) | 0x80, sevens(14) | 0x80, sevens(21)]);
}

fn collect_len(collect: &Collect) -> usize {
    96 + collect.decisions.len() * 22 + collect.questions.len() * 16
}

fn report_len(report: &Report) -> usize {
    128 + report.parts.len() * 52 + report.known.len() * 18
}

/// Framed.
pub(super) fn write_request(from: &str, request: &Request) -> Bytes {
    let len = collect_len(&request.collect) + request.report.as_ref().map_or(0, report_len);
    framed(len + from.len(), |out| {
        put_collect(out, &request.collect);
        put_bytes(out, 12, from.as_bytes());
        if let Some(report) = &request.report {
            put_nested(out, 13, |out| put_report(out, report));
        }
    })
}

/// Framed.
pub(super) fn write_answer(answer: &Answer) -> Bytes {
    let len = report_len(&answer.report) + answer.collect.as_ref().map_or(0, collect_len);
    framed(len, |out| {
        put_report(out, &answer.report);
        if let Some(collect) = &answer.collect {
            put_nested(out, 14, |out| put_collect(out, collect));
        }
    })
}

fn put_collect(out: &mut Vec<u8>, collect: &Collect) {
    put_varint_field(out, 1, collect.incarnation);
    put_varint_field(out, 2, collect.sequence);
    put_fixed64_field(out, 3, collect.fingerprint);
    put_fixed64_field(out, 4, collect.view);
    if let Some((incarnation, number)) = collect.received {
        put_varint_field(out, 5, incarnation);
        put_varint_field(out, 6, number);
    }
    put_varint_field(out, 7, collect.afresh.into());
    put_varint_field(out, 8, collect.leaving.into());
    put_varint_field(out, 9, collect.room.into());
    put_nested(out, 10, |out| pack_decisions(out, collect.decisions.iter().map(|told| (&told.id, told.decision))));
    put_bytes(out, 11, collect.questions.as_flattened());
    put_places(out, 14, collect.decisions.iter().map(|told| told.place));
}

/// What a report that is read from a message is made of.
pub(super) struct Parts {
    /// An empty list, whose memory serves again.
    pub(super) spare: Vec<::peers::Part<Entry>>,
    pub(super) shape: Shape,
}

/// The sender's name and the message.
pub(super) fn read_request(bytes: &[u8], parts: Parts) -> Result<(String, Request), Malformed> {
    let (mut from, mut report) = (String::new(), None);
    let mut parts = Some(parts);
    let collect = read_collect(bytes, |field| {
        match field {
            (12, Field::Bytes(name)) => from = text(name)?,
            (13, Field::Bytes(message)) => {
                let parts = parts.take().ok_or(Malformed)?;
                report = Some(read_report(message, parts, |_| Ok(()))?);
            }
            // A later version's.
            _ => {}
        }
        Ok(())
    })?;
    Ok((from, Request { collect, report }))
}

pub(super) fn read_answer(bytes: &[u8], parts: Parts) -> Result<Answer, Malformed> {
    let mut collect = None;
    let report = read_report(bytes, parts, |field| {
        if let (14, Field::Bytes(message)) = field {
            collect = Some(read_collect(message, |_| Ok(()))?);
        }
        Ok(())
    })?;
    Ok(Answer { report, collect })
}

fn read_collect<'a>(
    bytes: &'a [u8],
    mut other: impl FnMut((u32, Field<'a>)) -> Result<(), Malformed>,
) -> Result<Collect, Malformed> {
    let (mut incarnation, mut number) = (None, None);
    let mut collect = Collect {
        incarnation: 0,
        sequence: 0,
        fingerprint: 0,
        view: 0,
        received: None,
        afresh: false,
        leaving: false,
        room: 0,
        decisions: Vec::new(),
        questions: Vec::new(),
    };
    let mut places = &[][..];
    for field in well_formed(bytes)? {
        match field {
            (1, Field::Varint(value)) => collect.incarnation = value,
            (2, Field::Varint(value)) => collect.sequence = value,
            (3, Field::Fixed64(value)) => collect.fingerprint = value,
            (4, Field::Fixed64(value)) => collect.view = value,
            (5, Field::Varint(value)) => incarnation = Some(value),
            (6, Field::Varint(value)) => number = Some(value),
            (7, Field::Varint(value)) => collect.afresh = value != 0,
            (8, Field::Varint(value)) => collect.leaving = value != 0,
            (9, Field::Varint(value)) => collect.room = u32::try_from(value).unwrap_or(u32::MAX),
            (10, Field::Bytes(packed)) => {
                collect.decisions = unpack_decisions(packed, |id, decision| Told { id, place: u32::MAX, decision })?;
            }
            (14, Field::Bytes(packed)) => places = unpack_places(packed)?,
            (11, Field::Bytes(packed)) => {
                let (ids, rest) = packed.as_chunks::<16>();
                if !rest.is_empty() {
                    return Err(Malformed);
                }
                collect.questions = ids.to_vec();
            }
            field => other(field)?,
        }
    }
    for (told, place) in collect.decisions.iter_mut().zip(places) {
        told.place = u32::from_le_bytes(*place);
    }
    collect.received = incarnation.zip(number);
    Ok(collect)
}

fn put_report(out: &mut Vec<u8>, report: &Report) {
    let base = report.parts.first().map_or(0, |part| part.entry.part.facts.earliest_start);
    put_varint_field(out, 1, report.answers.0);
    put_varint_field(out, 2, report.answers.1);
    put_varint_field(out, 3, report.incarnation);
    put_varint_field(out, 4, report.number);
    put_fixed64_field(out, 5, report.fingerprint);
    put_fixed64_field(out, 6, report.view);
    let flag = |set: bool, flag: u64| if set { flag } else { 0 };
    let (more, leaving) = (flag(report.more, MORE), flag(report.leaving, LEAVING));
    put_varint_field(out, 7, more | leaving | flag(report.gone, GONE) | flag(report.fresh, FRESH));
    put_varint_field(out, 8, report.lost_for.map_or(0, |lost| lost.saturating_add(1)));
    put_fixed64_field(out, 9, base);
    put_varint_field(out, 15, report.waited);
    // Before the parts: a message that is cut between two fields has none of these without those.
    let absorbed = report.parts.iter().flat_map(|part| part.absorbed.iter().map(|giver| (&part.id, giver)));
    put_givers(out, 13, absorbed);
    put_places(out, 16, report.parts.iter().map(|part| part.place));
    put_nested(out, 10, |out| {
        for part in &report.parts {
            pack_part(out, part, base);
        }
    });
    put_nested(out, 11, |out| pack_decisions(out, report.known.iter().map(|(id, decision)| (id, *decision))));
    for name in &report.others {
        put_bytes(out, 12, name.as_bytes());
    }
}

fn read_report<'a>(
    bytes: &'a [u8],
    Parts { spare: parts, shape }: Parts,
    mut other: impl FnMut((u32, Field<'a>)) -> Result<(), Malformed>,
) -> Result<Report, Malformed> {
    let mut report = Report {
        answers: (0, 0),
        incarnation: 0,
        number: 0,
        fingerprint: 0,
        view: 0,
        more: false,
        leaving: false,
        gone: false,
        fresh: false,
        lost_for: None,
        waited: 0,
        parts,
        known: Vec::new(),
        others: Vec::new(),
    };
    let (mut base, mut packed_parts, mut places) = (0, &[][..], &[][..]);
    let mut givers = Vec::new();
    for field in well_formed(bytes)? {
        match field {
            (1, Field::Varint(value)) => report.answers.0 = value,
            (2, Field::Varint(value)) => report.answers.1 = value,
            (3, Field::Varint(value)) => report.incarnation = value,
            (4, Field::Varint(value)) => report.number = value,
            (5, Field::Fixed64(value)) => report.fingerprint = value,
            (6, Field::Fixed64(value)) => report.view = value,
            (7, Field::Varint(flags)) => {
                (report.more, report.leaving) = (flags & MORE != 0, flags & LEAVING != 0);
                (report.gone, report.fresh) = (flags & GONE != 0, flags & FRESH != 0);
            }
            (8, Field::Varint(value)) => report.lost_for = value.checked_sub(1),
            (9, Field::Fixed64(value)) => base = value,
            (15, Field::Varint(value)) => report.waited = value,
            (10, Field::Bytes(packed)) => packed_parts = packed,
            (11, Field::Bytes(packed)) => report.known = unpack_decisions(packed, |id, decision| (id, decision))?,
            (16, Field::Bytes(packed)) => places = unpack_places(packed)?,
            (12, Field::Bytes(name)) => report.others.push(Arc::from(text(name)?)),
            (13, Field::Bytes(message)) => givers.push(read_giver(message)?),
            field => other(field)?,
        }
    }
    let mut cursor = Cursor::new(packed_parts);
    let mut places = places.iter();
    while !cursor.is_at_end() {
        let place = places.next().map_or(u32::MAX, |place| u32::from_le_bytes(*place));
        report.parts.push(unpack_part(&mut cursor, place, base, shape).ok_or(Malformed)?);
    }
    if !givers.is_empty() {
        let mut of_trace = by_trace(givers);
        for part in &mut report.parts {
            part.absorbed = of_trace.remove(&part.id).unwrap_or_default().into();
        }
    }
    Ok(report)
}

/// Spans that a leaving member hands over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HandOver {
    pub(super) from: String,
    pub(super) incarnation: u64,
    /// By trace, whose spans are among the sender's; traces without are not in here.
    pub(super) absorbed: ByTrace,
    /// An OTLP request.
    pub(super) traces: Bytes,
}

/// Trace ids come from senders: the hash is seeded.
pub(super) type ByTrace = hashbrown::HashMap<TraceId, Givers, foldhash::fast::RandomState>;

pub(super) fn write_hand_over(message: &HandOver) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + message.traces.len() + message.absorbed.len() * 48);
    put_bytes(&mut out, 1, message.from.as_bytes());
    put_varint_field(&mut out, 2, message.incarnation);
    put_givers(
        &mut out,
        3,
        message.absorbed.iter().flat_map(|(id, givers)| givers.iter().map(move |giver| (id, giver))),
    );
    put_bytes(&mut out, 4, &message.traces);
    out
}

pub(super) fn read_hand_over(bytes: &Bytes) -> Result<HandOver, Malformed> {
    let (mut from, mut incarnation, mut traces) = (String::new(), 0, Bytes::new());
    let mut givers = Vec::new();
    for field in well_formed(bytes)? {
        match field {
            (1, Field::Bytes(name)) => from = text(name)?,
            (2, Field::Varint(value)) => incarnation = value,
            (3, Field::Bytes(message)) => givers.push(read_giver(message)?),
            (4, Field::Bytes(request)) => traces = bytes.slice_ref(request),
            _ => {}
        }
    }
    Ok(HandOver { from, incarnation, absorbed: by_trace(givers), traces })
}

/// One giver a field, with the traces that it gave.
fn put_givers<'a>(out: &mut Vec<u8>, field: u32, absorbed: impl Iterator<Item = (&'a TraceId, &'a ::peers::Giver)>) {
    let mut by_giver: BTreeMap<&::peers::Giver, Vec<u8>> = BTreeMap::new();
    for (id, giver) in absorbed {
        by_giver.entry(giver).or_default().extend_from_slice(id);
    }
    for ((name, incarnation), ids) in by_giver {
        let mut message = Vec::with_capacity(ids.len() + 64);
        put_bytes(&mut message, 1, name.as_bytes());
        put_varint_field(&mut message, 2, *incarnation);
        put_bytes(&mut message, 3, &ids);
        put_bytes(out, field, &message);
    }
}

fn read_giver(bytes: &[u8]) -> Result<(Arc<str>, u64, Vec<TraceId>), Malformed> {
    let (mut name, mut incarnation, mut ids) = (String::new(), 0, Vec::new());
    for field in well_formed(bytes)? {
        match field {
            (1, Field::Bytes(value)) => name = text(value)?,
            (2, Field::Varint(value)) => incarnation = value,
            (3, Field::Bytes(packed)) => {
                let (chunks, rest) = packed.as_chunks::<16>();
                if !rest.is_empty() {
                    return Err(Malformed);
                }
                ids = chunks.to_vec();
            }
            _ => {}
        }
    }
    Ok((name.into(), incarnation, ids))
}

fn by_trace(givers: Vec<(Arc<str>, u64, Vec<TraceId>)>) -> ByTrace {
    let mut of_trace = ByTrace::default();
    for (name, incarnation, ids) in givers {
        for id in ids {
            of_trace.entry(id).or_default().push((name.clone(), incarnation));
        }
    }
    of_trace
}

/// Reads the message through once, so that a cut one is not taken for a short one.
fn well_formed(bytes: &[u8]) -> Result<Fields<'_>, Malformed> {
    let mut cursor = Cursor::new(bytes);
    loop {
        match cursor.field() {
            Ok(None) => return Ok(Fields::new(bytes)),
            Ok(Some((number, wire_type))) => cursor.skip(number, wire_type).map_err(|_| Malformed)?,
            Err(_) => return Err(Malformed),
        }
    }
}

fn text(bytes: &[u8]) -> Result<String, Malformed> {
    /// As long as a name in the DNS, and a port.
    const MAX_NAME: usize = 300;
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= MAX_NAME);
    text.map(str::to_owned).ok_or(Malformed)
}

fn pack_decisions<'a>(out: &mut Vec<u8>, decisions: impl Iterator<Item = (&'a TraceId, Decision)>) {
    for (id, decision) in decisions {
        out.extend_from_slice(id);
        decision.pack(out);
    }
}

fn unpack_decisions<T>(packed: &[u8], make: impl Fn(TraceId, Decision) -> T) -> Result<Vec<T>, Malformed> {
    let mut decisions = Vec::with_capacity(packed.len() / 17);
    let mut rest = packed;
    while !rest.is_empty() {
        let (id, after) = rest.split_first_chunk::<16>().ok_or(Malformed)?;
        let mut cursor = Cursor::new(after);
        decisions.push(make(*id, Decision::unpack(&mut cursor).ok_or(Malformed)?));
        rest = cursor.rest();
    }
    Ok(decisions)
}

/// Packed, four bytes each. Those that an earlier version does not send are looked for by their ids.
fn put_places(out: &mut Vec<u8>, field: u32, places: impl ExactSizeIterator<Item = u32>) {
    if places.len() > 0 {
        put_nested(out, field, |out| places.for_each(|place| out.extend_from_slice(&place.to_le_bytes())));
    }
}

fn unpack_places(packed: &[u8]) -> Result<&[[u8; 4]], Malformed> {
    let (places, rest) = packed.as_chunks::<4>();
    if rest.is_empty() { Ok(places) } else { Err(Malformed) }
}

fn pack_part(out: &mut Vec<u8>, part: &::peers::Part<Entry>, base: u64) {
    let ::peers::Part { id, place: _, due_in, entry: Entry { part, received_bytes, shape }, absorbed: _ } = part;
    let Facts { first_arrival, earliest_start, latest_end, bytes, spans } = part.facts;
    out.extend_from_slice(id);
    put_varint(out, due_in >> DUE_BITS);
    put_varint(out, zigzag(first_arrival.wrapping_sub(base)));
    put_varint(out, zigzag(earliest_start.wrapping_sub(base)));
    put_varint(out, zigzag(latest_end.wrapping_sub(earliest_start)));
    put_varint(out, bytes);
    put_varint(out, spans);
    put_varint(out, zigzag(received_bytes.wrapping_sub(bytes)));
    let (bits, outcomes) = part.answers.split_at(shape.bit_words().min(part.answers.len()));
    for word in bits {
        put_varint(out, *word);
    }
    for word in outcomes {
        put_varint(out, word.wrapping_add(1));
    }
}

fn unpack_part(cursor: &mut Cursor<'_>, place: u32, base: u64, shape: Shape) -> Option<::peers::Part<Entry>> {
    let (id, after) = cursor.rest().split_first_chunk::<16>()?;
    *cursor = Cursor::new(after);
    let mut varint = || cursor.varint().ok();
    let due_in = varint()?.checked_mul(1 << DUE_BITS)?;
    let first_arrival = unzigzag(varint()?).wrapping_add(base);
    let earliest_start = unzigzag(varint()?).wrapping_add(base);
    let latest_end = unzigzag(varint()?).wrapping_add(earliest_start);
    let (bytes, spans) = (varint()?, varint()?);
    let received_bytes = unzigzag(varint()?).wrapping_add(bytes);
    let mut answers = Answers::with_capacity(shape.words());
    for word in 0..shape.words() {
        let value = varint()?;
        answers.push(if word < shape.bit_words() { value } else { value.wrapping_sub(1) });
    }
    let facts = Facts { first_arrival, earliest_start, latest_end, bytes, spans };
    let part = TracePart { facts, answers };
    Some(::peers::Part {
        id: *id,
        place,
        due_in,
        entry: Entry { part, received_bytes, shape },
        absorbed: Box::default(),
    })
}

/// Small for numbers a little below zero too.
fn zigzag(difference: u64) -> u64 {
    let signed = difference as i64;
    ((signed << 1) ^ (signed >> 63)) as u64
}

fn unzigzag(value: u64) -> u64 {
    (value >> 1) ^ (value & 1).wrapping_neg()
}
