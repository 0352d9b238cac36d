//! Spans are read back as they were appended, whatever was compressed and freed meanwhile.

use pdata::wire::put_varint;
use proptest::prelude::*;

use super::super::envelope::{Envelope, Envelopes};
use super::*;

const ID: TraceId = [5; 16];

/// Length of spans eight of which fill a segment.
const EIGHTH: usize = SEGMENT_BYTES / 8 - 2048;

/// Last link, first segment, spans.
type Trace = (Link, u32, Vec<Vec<u8>>);

fn chain(log: &mut Log, mut link: Link) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    while link != Link::NONE {
        let record = log.read(&ID, link).unwrap();
        out.push(record.span.to_vec());
        link = record.previous;
    }
    out.reverse();
    out
}

fn envelope(envelopes: &mut Envelopes, name: &[u8]) -> u32 {
    envelopes.intern(&Envelope { resource: name, resource_schema_url: b"", scope: b"s", scope_schema_url: b"" })
}

#[test]
fn a_freed_log_holds_no_envelopes_and_one_open_segment() {
    let (mut log, mut envelopes) = (Log::new(), Envelopes::new(1));
    let mut born = Vec::new();
    for round in 0..40_u32 {
        let id = envelope(&mut envelopes, &round.to_le_bytes());
        let link = log.append(&ID, Link::NONE, id, (&vec![7; EIGHTH], EIGHTH), &mut envelopes);
        envelopes.release(id);
        born.push(link.segment);
    }
    assert_eq!(log.segments.len(), 5);
    log.compress(usize::MAX);
    assert!(log.usage().compressed > 0);
    for segment in born {
        log.release(segment, 1, &mut envelopes);
    }
    assert_eq!(log.segments.len(), 1);
    assert_eq!(log.usage().compressed, 0);
    assert_eq!(log.usage().raw, SEGMENT_BYTES as u64);
    // The open segment has the last eight records.
    assert_eq!(envelopes.len(), 8);
}

#[test]
fn old_segments_are_compressed_when_memory_is_short_only() {
    let (mut log, mut envelopes) = (Log::new(), Envelopes::new(1));
    let id = envelope(&mut envelopes, b"r");
    let is_compressed = |log: &Log| -> Vec<bool> {
        log.segments.iter().map(|segment| matches!(segment.data, Data::Lz4 { .. })).collect()
    };
    let mut link = Link::NONE;
    // Eight to a segment, one segment a tick.
    for tick in 0..4 {
        for _ in 0..8 {
            link = log.append(&ID, link, id, (&vec![7; EIGHTH], EIGHTH), &mut envelopes);
        }
        if tick < 3 {
            log.trim();
        }
    }
    // Sealed three, two and one trims ago, as those in the tick after they were full; the last one is open.
    assert!(log.compress_young(usize::MAX, 1) > 0);
    assert_eq!(is_compressed(&log), [false, true, true, false]);
    assert_eq!(log.compress_young(usize::MAX, 9), 0, "what was passed over stays as it is");
    assert!(log.compress(usize::MAX) > 0);
    assert_eq!(is_compressed(&log), [true, true, true, false]);
    assert_eq!(chain(&mut log, link).len(), 32);
}

/// They were lost: the block of the segment that was compressed last, and freed first, took the others' memory along.
#[test]
fn young_segments_stay_when_an_older_one_goes_that_was_compressed_later() {
    let (mut log, mut envelopes) = (Log::new(), Envelopes::new(1));
    let id = envelope(&mut envelopes, b"r");
    // Eight to a segment, one segment and one trace a tick.
    let mut traces = Vec::new();
    for tick in 0..4_u8 {
        let mut link = Link::NONE;
        for _ in 0..8 {
            link = log.append(&ID, link, id, (&vec![tick; EIGHTH], EIGHTH), &mut envelopes);
        }
        traces.push(link);
        log.trim();
    }
    assert!(log.compress_young(usize::MAX, 2) > 0);
    assert!(log.compress(usize::MAX) > 0, "the first was too old");
    log.release(0, 8, &mut envelopes);
    assert_eq!(log.front().map(|(segment, _)| segment), Some(1));
    for (link, tick) in traces.into_iter().zip(0..4_u8).skip(1) {
        assert_eq!(chain(&mut log, link), vec![vec![tick; EIGHTH]; 8]);
    }
}

#[test]
fn a_trace_id_takes_no_room_where_it_is_known() {
    let (mut log, mut envelopes) = (Log::new(), Envelopes::new(1));
    let envelope = envelope(&mut envelopes, b"r");
    let span = |id: u8| [&[0x0a, 16][..], &[id; 16], &[0x12, 8, 1, 2, 3, 4, 5, 6, 7, 8]].concat();
    let mut link = Link::NONE;
    let mut lens = Vec::new();
    for id in [5, 5, 6] {
        link = log.append(&ID, link, envelope, (&span(id), 28), &mut envelopes);
        let Some(Segment { data: Data::Raw { used, .. }, .. }) = log.segments.back() else { panic!("compressed") };
        lens.push(*used);
    }
    assert_eq!(lens, [3 + 11, 3 + 11 + 4 + 11, 3 + 11 + 4 + 11 + 4 + 29]);
    assert_eq!(chain(&mut log, link), [span(5), span(5), span(6)]);
}

#[test]
fn a_span_longer_than_a_segment() {
    let (mut log, mut envelopes) = (Log::new(), Envelopes::new(1));
    let id = envelope(&mut envelopes, b"r");
    let long: Vec<u8> = (0..SEGMENT_BYTES * 2).map(|i| i as u8).collect();
    let first = log.append(&ID, Link::NONE, id, (&long, long.len()), &mut envelopes);
    let second = log.append(&ID, first, id, (b"short", 5), &mut envelopes);
    assert_eq!(chain(&mut log, second), vec![long, b"short".to_vec()]);
}

#[test]
fn numbers_are_varints() {
    for bits in 0..36 {
        for number in [(1_u64 << bits) - 1, 1 << bits, (1 << bits) + 1] {
            let (mut buf, mut varint) = ([0xaa; 12], Vec::new());
            let end = record::put_number(&mut buf, 2, number).unwrap();
            put_varint(&mut varint, number);
            assert_eq!(buf[2..end], varint);
            assert_eq!(record::put_number(&mut buf, 11, number), None);
        }
    }
}

proptest! {
    /// Whatever is appended, released and compressed, every waiting trace reads back as it was written.
    #[test]
    fn reads_back(ops in prop::collection::vec((0_usize..12, 0_usize..40_000, 0_u8..10), 1..200)) {
        let (mut log, mut envelopes) = (Log::new(), Envelopes::new(7));
        let mut traces = vec![None::<Trace>; 12];
        for (n, (trace, len, op)) in ops.into_iter().enumerate() {
            match op {
                0 => {
                    if let Some((link, born, spans)) = traces[trace].take() {
                        prop_assert_eq!(&chain(&mut log, link), &spans);
                        log.release(born, spans.len() as u64, &mut envelopes);
                    }
                }
                1 if trace % 2 == 0 => { log.compress(len * 16); log.close(); }
                1 => { log.compress_young(len * 16, 1); log.close(); }
                2 => log.trim(),
                _ => {
                    let id = envelope(&mut envelopes, &[op]);
                    let mut span = vec![n as u8; len];
                    if op > 5 {
                        span.splice(..0, record::ID_FIELD.into_iter().chain(ID));
                    }
                    let slot = &mut traces[trace];
                    let before = slot.as_ref().map_or(Link::NONE, |(link, ..)| *link);
                    let link = log.append(&ID, before, id, (&span, span.len()), &mut envelopes);
                    envelopes.release(id);
                    match slot {
                        Some((last, _, spans)) => { *last = link; spans.push(span); }
                        None => *slot = Some((link, link.segment, vec![span])),
                    }
                }
            }
            let raw: usize = log.segments.iter().map(|s| match &s.data { Data::Raw { buf, .. } => buf.capacity(), Data::Lz4 { .. } => 0 }).sum();
            let records: u32 = log.segments.iter().map(|segment| segment.records).sum();
            prop_assert_eq!(log.records, u64::from(records));
            prop_assert_eq!(log.live, traces.iter().flatten().map(|(_, _, spans)| spans.len() as u64).sum::<u64>());
            prop_assert_eq!(log.usage().raw, raw as u64);
            prop_assert_eq!(log.usage().free, (log.free.len() * SEGMENT_BYTES) as u64);
        }
        for (link, _, spans) in traces.into_iter().flatten() {
            prop_assert_eq!(chain(&mut log, link), spans);
        }
    }
}
