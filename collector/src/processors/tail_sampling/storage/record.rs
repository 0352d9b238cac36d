//! How the log lies on disk: files of checksummed records, encoded and decoded by pure functions.
//!
//! A file is a magic number and records. A record is a header and a payload; its checksum (XXH3, 64 bits) covers both, so
//! that what a crash left half-written is told from what is whole. Decoding takes any bytes: it checks every length,
//! never panics, and reserves nothing that it has not seen.
//!
//! ```text
//! file    "ottlts01" record*
//! record  length of payload: u32 | checksum: u64 | sequence: u64 | kind: u8 | payload       (little endian)
//! batch   kind 1   arrival, Unix nanoseconds: u64 | ExportTraceServiceRequest
//! decided kind 2   (trace id: 16 | first seen, Unix seconds: u32 | decided, Unix seconds: u32 | flags: u8)*
//! ```

use pdata::{TraceId, Traces};
use xxhash_rust::xxh3::Xxh3;

/// What every file begins with. The last two digits are the version of the format.
pub(super) const MAGIC: [u8; 8] = *b"ottlts01";

const LENGTH: usize = 4;
const CHECKSUM: usize = 8;
/// What the checksum covers begins here; the length is fed to it as well.
const CHECKED: usize = LENGTH + CHECKSUM;
const HEADER: usize = CHECKED + 8 + 1;

const BATCH: u8 = 1;
const DECISIONS: u8 = 2;

/// Bytes of one decision.
pub(super) const DECISION_LEN: usize = 16 + 4 + 4 + 1;

/// Flags of a decision.
const SAMPLED: u8 = 1;
const FORGOTTEN: u8 = 2;

/// A decision as it is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Decision {
    pub(in super::super) id: TraceId,
    /// Unix seconds.
    pub(in super::super) first_seen: u32,
    /// Unix seconds.
    pub(in super::super) decided: u32,
    pub(in super::super) sampled: bool,
    /// Late spans make a new trace. With `span-ingest`, of traces that were not sampled in time.
    pub(in super::super) forgotten: bool,
}

/// A record that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    /// Records of all files are numbered in the order in which they were appended.
    pub(super) sequence: u64,
    pub(super) body: Body<'a>,
}

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body<'a> {
    /// Spans that arrived together.
    Batch {
        arrival_unix_nano: u64,
        /// An ExportTraceServiceRequest, not checked yet.
        request: &'a [u8],
    },
    /// Traces that were decided; a whole number of [`DECISION_LEN`] bytes.
    Decisions(&'a [u8]),
}

/// Why reading stopped before the end of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Damage {
    /// Nothing of the file can be used.
    #[error("it does not begin as a log of this version")]
    Magic,
    /// The record is longer than what is left.
    #[error("the last record is cut off")]
    Cut,
    /// Bytes were changed or never written.
    #[error("a record's checksum is wrong")]
    Checksum,
    /// The checksum is right and the contents are not of this version.
    #[error("a record is of an unknown kind")]
    Kind,
}

/// Appends a batch.
pub(super) fn put_batch(out: &mut Vec<u8>, sequence: u64, arrival_unix_nano: u64, traces: &Traces) {
    put(out, sequence, BATCH, |out| {
        out.extend_from_slice(&arrival_unix_nano.to_le_bytes());
        traces.encode_into(out);
    });
}

/// Appends decisions.
pub(super) fn put_decisions(out: &mut Vec<u8>, sequence: u64, decisions: &[Decision]) {
    put(out, sequence, DECISIONS, |out| {
        for decision in decisions {
            out.extend_from_slice(&decision.id);
            out.extend_from_slice(&decision.first_seen.to_le_bytes());
            out.extend_from_slice(&decision.decided.to_le_bytes());
            out.push((u8::from(decision.sampled) * SAMPLED) | (u8::from(decision.forgotten) * FORGOTTEN));
        }
    });
}

fn put(out: &mut Vec<u8>, sequence: u64, kind: u8, payload: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; CHECKED]);
    out.extend_from_slice(&sequence.to_le_bytes());
    out.push(kind);
    payload(out);
    // A batch came out of requests that are limited to far less than 4 GiB; longer ones would read as damaged.
    let length = u32::try_from(out.len() - start - HEADER).unwrap_or(u32::MAX).to_le_bytes();
    let checksum = checksum(length, &out[start + CHECKED..]).to_le_bytes();
    out[start..start + LENGTH].copy_from_slice(&length);
    out[start + LENGTH..start + CHECKED].copy_from_slice(&checksum);
}

fn checksum(length: [u8; LENGTH], checked: &[u8]) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(&length);
    hash.update(checked);
    hash.digest()
}

/// The records of a file, up to its end or to the first damage.
pub(super) struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
    damage: Option<Damage>,
}

impl<'a> Records<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let damage = (!bytes.starts_with(&MAGIC)).then_some(Damage::Magic);
        Self { bytes, at: if damage.is_some() { 0 } else { MAGIC.len() }, damage }
    }

    /// Where the record after the last good one begins.
    pub(super) fn good_len(&self) -> usize {
        self.at
    }

    /// What ended the iteration, if not the end of the file.
    pub(super) fn damage(&self) -> Option<Damage> {
        self.damage
    }

    fn read(&mut self) -> Result<Option<Record<'a>>, Damage> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(None);
        }
        let (length, after) = rest.split_first_chunk::<LENGTH>().ok_or(Damage::Cut)?;
        let (expected, after) = after.split_first_chunk::<CHECKSUM>().ok_or(Damage::Cut)?;
        let payload_len = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| Damage::Cut)?;
        let checked = after.get(..payload_len.saturating_add(HEADER - CHECKED)).ok_or(Damage::Cut)?;
        if checksum(*length, checked) != u64::from_le_bytes(*expected) {
            return Err(Damage::Checksum);
        }
        let (sequence, after) = checked.split_first_chunk::<8>().ok_or(Damage::Cut)?;
        let (kind, payload) = after.split_first().ok_or(Damage::Cut)?;
        let body = match *kind {
            BATCH => {
                let (arrival, request) = payload.split_first_chunk::<8>().ok_or(Damage::Kind)?;
                Body::Batch { arrival_unix_nano: u64::from_le_bytes(*arrival), request }
            }
            DECISIONS if payload.len().is_multiple_of(DECISION_LEN) => Body::Decisions(payload),
            _ => return Err(Damage::Kind),
        };
        self.at += CHECKED + checked.len();
        Ok(Some(Record { sequence: u64::from_le_bytes(*sequence), body }))
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        if self.damage.is_some() {
            return None;
        }
        match self.read() {
            Ok(record) => record,
            Err(damage) => {
                self.damage = Some(damage);
                None
            }
        }
    }
}

/// The decisions of [`Body::Decisions`].
pub(super) fn decisions(payload: &[u8]) -> impl Iterator<Item = Decision> {
    let (whole, _) = payload.as_chunks::<DECISION_LEN>();
    whole.iter().filter_map(|bytes| {
        let (id, rest) = bytes.split_first_chunk::<16>()?;
        let (first_seen, rest) = rest.split_first_chunk::<4>()?;
        let (decided, rest) = rest.split_first_chunk::<4>()?;
        let flags = *rest.first()?;
        Some(Decision {
            id: *id,
            first_seen: u32::from_le_bytes(*first_seen),
            decided: u32::from_le_bytes(*decided),
            sampled: flags & SAMPLED != 0,
            forgotten: flags & FORGOTTEN != 0,
        })
    })
}

#[cfg(test)]
mod tests {
    use pdata::TracesBuilder;
    use proptest::prelude::*;

    use super::*;

    fn traces(spans: &[u8]) -> Traces {
        let mut builder = TracesBuilder::new();
        for byte in spans {
            builder.span([*byte; 16], &[0x2a, 1, *byte]);
        }
        builder.build()
    }

    fn decision(n: u8) -> Decision {
        Decision {
            id: [n; 16],
            first_seen: u32::from(n),
            decided: u32::from(n) + 9,
            sampled: n.is_multiple_of(2),
            forgotten: n.is_multiple_of(3),
        }
    }

    /// A record as a test writes it: spans or decisions.
    type Said = (bool, Vec<u8>);

    fn file(said: &[Said]) -> (Vec<u8>, Vec<usize>) {
        let (mut bytes, mut ends) = (MAGIC.to_vec(), Vec::new());
        for (sequence, (is_batch, numbers)) in said.iter().enumerate() {
            let sequence = sequence as u64;
            if *is_batch {
                put_batch(&mut bytes, sequence, sequence * 7, &traces(numbers));
            } else {
                let decisions: Vec<Decision> = numbers.iter().copied().map(decision).collect();
                put_decisions(&mut bytes, sequence, &decisions);
            }
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    fn said() -> impl Strategy<Value = Vec<Said>> {
        prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..20)), 0..12)
    }

    fn check_is_prefix(bytes: &[u8], said: &[Said]) -> usize {
        let mut records = Records::new(bytes);
        let mut n = 0;
        for record in records.by_ref() {
            assert_eq!(record.sequence, n as u64);
            let (is_batch, numbers) = &said[n];
            match record.body {
                Body::Batch { arrival_unix_nano, request } => {
                    assert!(is_batch);
                    assert_eq!(arrival_unix_nano, n as u64 * 7);
                    assert_eq!(request, &traces(numbers).encode()[..]);
                }
                Body::Decisions(payload) => {
                    assert!(!is_batch);
                    let expected: Vec<Decision> = numbers.iter().copied().map(decision).collect();
                    assert_eq!(decisions(payload).collect::<Vec<_>>(), expected);
                }
            }
            n += 1;
        }
        assert!(records.good_len() <= bytes.len());
        n
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(said in said()) {
            let (bytes, _) = file(&said);
            prop_assert_eq!(check_is_prefix(&bytes, &said), said.len());
        }

        /// A file that was cut anywhere gives the records before the cut, and tells where they end.
        #[test]
        fn a_cut_tail_is_told(said in said(), cut in any::<prop::sample::Index>()) {
            let (bytes, ends) = file(&said);
            let cut = cut.index(bytes.len() + 1);
            let whole = ends.iter().filter(|end| **end <= cut).count();
            let mut records = Records::new(&bytes[..cut]);
            prop_assert_eq!(records.by_ref().count(), whole);
            let end = if cut < MAGIC.len() { 0 } else { whole.checked_sub(1).map_or(MAGIC.len(), |last| ends[last]) };
            prop_assert_eq!(records.good_len(), end);
            prop_assert_eq!(records.damage().is_some(), end != cut || cut < MAGIC.len());
        }

        /// A changed byte ends the file before the record it is in.
        #[test]
        fn a_changed_byte_is_told(said in said(), at in any::<prop::sample::Index>(), change in 1_u8..) {
            let (mut bytes, ends) = file(&said);
            let at = at.index(bytes.len());
            bytes[at] ^= change;
            let whole = if at < MAGIC.len() { 0 } else { ends.iter().filter(|end| **end <= at).count() };
            prop_assert_eq!(check_is_prefix(&bytes, &said), whole);
        }

        #[test]
        fn hostile_bytes_do_no_harm(magic in any::<bool>(), noise in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut bytes = if magic { MAGIC.to_vec() } else { Vec::new() };
            bytes.extend(noise);
            for record in Records::new(&bytes) {
                if let Body::Decisions(payload) = record.body {
                    decisions(payload).for_each(drop);
                }
            }
        }

        /// Contents nobody wrote under a right checksum.
        #[test]
        fn hostile_payloads_do_no_harm(kind in 0_u8..4, payload in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut bytes = MAGIC.to_vec();
            put(&mut bytes, 1, kind, |out| out.extend_from_slice(&payload));
            for record in Records::new(&bytes) {
                match record.body {
                    Body::Decisions(payload) => decisions(payload).for_each(drop),
                    Body::Batch { request, .. } => drop(Traces::index(request.to_vec().into())),
                }
            }
        }
    }
}
