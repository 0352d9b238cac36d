//! Where waiting spans are: an append-only log of segments.
//!
//! Every record links to the record before it of the same trace, so a trace needs only its last link. A trace can
//! point into the segment of its first record and later ones, so a segment is freed, whole, when it is the oldest and
//! no waiting trace began in it. Buffers are recycled: memory that was never touched costs as much to write to as all
//! the rest of the sampling path. For the same reason spans are [packed](super::pack) as they are written. Sealed
//! segments are compressed when the owner says so; the log decides nothing.

mod record;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use pdata::TraceId;

use super::archive::{Archive, Block};
use super::envelope::Envelopes;
use super::pack::{self, Packer};

/// Bytes of a segment before it is sealed. A longer record gets a segment of its own length. Each segment begins with spans that
/// are written out as templates for others, so larger ones take less memory a span, and smaller ones are freed earlier.
pub(super) const SEGMENT_BYTES: usize = 512 * 1024;

/// Decompressed segments that are kept while links are followed.
const OPENED_SEGMENTS: usize = 4;

/// Ticks whose demand for buffers is remembered. Memory that was given back and is taken again is cleared by the
/// kernel page by page, which costs more than all else that is done to the spans in it.
const SEALED_TICKS: usize = 8;

/// A log of fewer segments is not worth tidying.
const SPARSE_SEGMENTS: usize = 8;

/// The position of a record. Segments are numbered from the start of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Link {
    pub(super) segment: u32,
    offset: u32,
}

impl Link {
    /// The link of a trace without records.
    pub(super) const NONE: Self = Self { segment: u32::MAX, offset: u32::MAX };
}

/// A span as it lies in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    /// The record before it of the same trace, or [`Link::NONE`].
    pub(super) previous: Link,
    /// The span's envelope.
    pub(super) envelope: u32,
    /// The span's protobuf bytes.
    pub(super) span: &'a [u8],
}

/// A link that leads nowhere: a mistake in this program, reported instead of a panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the span log has no record at segment {0} offset {1}")]
pub(super) struct Lost(u32, u32);

/// What the log holds, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// Capacity of segments that are not compressed.
    pub(super) raw: u64,
    /// Buffers of segments that are compressed.
    pub(super) compressed: u64,
    /// What is known of each segment.
    pub(super) lists: u64,
    /// Recycled buffers that wait for use.
    pub(super) free: u64,
}

enum Data {
    /// A buffer of which the first bytes are used. What is behind them is of an earlier use.
    Raw {
        buf: Vec<u8>,
        used: usize,
    },
    Lz4 {
        block: Block,
        raw_len: usize,
    },
}

struct Segment {
    data: Data,
    /// Envelopes referred to, each once; the segment holds one reference on each.
    envelopes: Vec<u32>,
    /// Waiting traces whose first record is here.
    born: u32,
    /// Records of all traces, waiting or not.
    records: u32,
    /// [`Log::set_epoch`] when it was opened.
    epoch: u32,
    /// Trims before it was sealed.
    sealed: u32,
    /// Compression did not make it smaller; it is not tried again.
    incompressible: bool,
}

impl Segment {
    /// Memory beside the spans, from when it is sealed.
    fn list_bytes(&self) -> u64 {
        (size_of::<Self>() + self.envelopes.capacity() * size_of::<u32>()) as u64
    }
}

/// The log of one shard.
pub(super) struct Log {
    segments: VecDeque<Segment>,
    /// Number of the front segment.
    base: u32,
    /// All segments before this one are compressed or cannot be.
    compressed_to: u32,
    /// All segments before this one are compressed, or were too old for it.
    young_from: u32,
    archive: Archive,
    free: Vec<Vec<u8>>,
    opened: Vec<(u32, Vec<u8>)>,
    /// What is compressed, or about to be decompressed.
    scratch: Vec<u8>,
    /// Packs into the last segment.
    packer: Packer,
    /// The span that was read last.
    unpacked: Vec<u8>,
    usage: Usage,
    epoch: u32,
    /// Segments sealed between the last trims and, at `trims`, since the last one.
    sealed: [usize; SEALED_TICKS],
    trims: usize,
    /// All trims, modulo 2^32.
    ticks: u32,
    decompressions: usize,
    /// Records in all segments, and of those the ones of waiting traces.
    records: u64,
    live: u64,
}

impl Log {
    pub(super) fn new() -> Self {
        Self {
            segments: VecDeque::new(),
            base: 0,
            compressed_to: 0,
            young_from: 0,
            archive: Archive::default(),
            free: Vec::new(),
            opened: Vec::new(),
            scratch: Vec::new(),
            packer: Packer::new(),
            unpacked: Vec::new(),
            usage: Usage::default(),
            epoch: 0,
            sealed: [0; SEALED_TICKS],
            trims: 0,
            ticks: 0,
            decompressions: 0,
            records: 0,
            live: 0,
        }
    }

    /// How often a segment was decompressed so far.
    pub(super) fn decompressions(&self) -> usize {
        self.decompressions
    }

    /// Says from which file of the durable log on what is appended from now on can be read again.
    pub(super) fn set_epoch(&mut self, epoch: u32) {
        self.epoch = epoch;
    }

    /// The file that the oldest record needs, or an older one.
    pub(super) fn oldest_epoch(&self) -> Option<u32> {
        self.segments.front().map(|front| front.epoch)
    }

    pub(super) fn usage(&self) -> Usage {
        self.usage
    }

    /// Appends a span of a trace, the first `len` bytes of `span`; what stands behind them in the request makes it quicker.
    /// `previous` is the trace's last link; with [`Link::NONE`] the trace is born in the segment.
    pub(super) fn append(
        &mut self,
        id: &TraceId,
        previous: Link,
        envelope: u32,
        (span, len): (&[u8], usize),
        envelopes: &mut Envelopes,
    ) -> Link {
        let needed = record::HEADER_BYTES + pack::bound(len);
        let fits = match self.segments.back() {
            Some(Segment { data: Data::Raw { buf, used }, .. }) => buf.len() - used >= needed,
            _ => false,
        };
        if !fits {
            self.open(needed);
        }
        let number = self.base.wrapping_add(u32::try_from(self.segments.len()).unwrap_or(u32::MAX)).wrapping_sub(1);
        let Some(Segment { data: Data::Raw { buf, used }, envelopes: refers, born, records, .. }) =
            self.segments.back_mut()
        else {
            // `open` has just pushed a raw segment.
            return Link::NONE;
        };
        if envelopes.refer(envelope, number) {
            refers.push(envelope);
        }
        if previous == Link::NONE {
            *born += 1;
        }
        *records += 1;
        self.records += 1;
        self.live += 1;
        let link = Link { segment: number, offset: u32::try_from(*used).unwrap_or(u32::MAX) };
        let rest = span
            .strip_prefix(&record::ID_FIELD)
            .and_then(|rest| rest.strip_prefix(id))
            .filter(|_| len >= record::ID_BYTES);
        let header = record::put(buf, *used, number, previous, envelope, len, rest.is_some());
        let (span, len) = rest.map_or((span, len), |rest| (rest, len - record::ID_BYTES));
        // There is room for both.
        *used = header.and_then(|at| self.packer.pack(span, len, buf, at)).unwrap_or(*used);
        link
    }

    fn open(&mut self, needed: usize) {
        if let Some(sealed) = self.segments.back_mut() {
            self.sealed[self.trims] += 1;
            sealed.sealed = self.ticks;
            sealed.envelopes.shrink_to_fit();
            self.usage.lists += sealed.list_bytes();
        }
        self.packer.begin();
        let buf = buffer(&mut self.free, &mut self.usage, needed);
        self.usage.raw += buf.capacity() as u64;
        self.segments.push_back(Segment {
            data: Data::Raw { buf, used: 0 },
            envelopes: Vec::new(),
            born: 0,
            records: 0,
            epoch: self.epoch,
            sealed: self.ticks,
            incompressible: false,
        });
    }

    /// The record at `link`, of the trace that it was appended for. A compressed segment is opened and stays open until
    /// [`Log::close`].
    pub(super) fn read(&mut self, id: &TraceId, link: Link) -> Result<Record<'_>, Lost> {
        let mut span = std::mem::take(&mut self.unpacked);
        span.clear();
        let read = self.read_into(id, link, &mut span);
        self.unpacked = span;
        let (previous, envelope) = read?;
        Ok(Record { previous, envelope, span: &self.unpacked })
    }

    /// As [`Log::read`], with the span's bytes added to `span`, and nothing if it is lost. The link before it and its
    /// envelope.
    pub(super) fn read_into(&mut self, id: &TraceId, link: Link, span: &mut Vec<u8>) -> Result<(Link, u32), Lost> {
        let lost = Lost(link.segment, link.offset);
        let at = link.segment.wrapping_sub(self.base) as usize;
        let compressed = matches!(self.segments.get(at), Some(Segment { data: Data::Lz4 { .. }, .. }));
        let bytes: &[u8] = if compressed {
            let slot = self.decompress(link.segment, at).ok_or(lost)?;
            self.opened.get(slot).map(|(_, buf)| buf.as_slice()).ok_or(lost)?
        } else {
            match self.segments.get(at).map(|segment| &segment.data) {
                Some(Data::Raw { buf, used }) => buf.get(..*used).unwrap_or_default(),
                _ => return Err(lost),
            }
        };
        let start = span.len();
        record::read(bytes, id, link, span).ok_or_else(|| {
            span.truncate(start);
            lost
        })
    }

    /// Puts the segment into the list of opened ones and tells where.
    fn decompress(&mut self, number: u32, at: usize) -> Option<usize> {
        if let Some(slot) = self.opened.iter().position(|(opened, _)| *opened == number) {
            return Some(slot);
        }
        let Segment { data: Data::Lz4 { block, raw_len }, .. } = self.segments.get(at)? else { return None };
        let (block, raw_len) = (*block, *raw_len);
        self.decompressions += 1;
        if self.opened.len() >= OPENED_SEGMENTS {
            let (_, oldest) = self.opened.remove(0);
            self.recycle(oldest);
        }
        let mut buf = buffer(&mut self.free, &mut self.usage, raw_len);
        let packed = self.archive.read(block, &mut self.scratch)?;
        buf.truncate(raw_len);
        let written = lz4_flex::block::decompress_into(packed, &mut buf).ok()?;
        buf.truncate(written);
        self.opened.push((number, buf));
        Some(self.opened.len() - 1)
    }

    /// Forgets what [`Log::read`] opened.
    pub(super) fn close(&mut self) {
        while let Some((_, buf)) = self.opened.pop() {
            self.recycle(buf);
        }
    }

    /// A trace that was born in `segment` no longer needs its `records`. Frees what nothing points into any more.
    pub(super) fn release(&mut self, segment: u32, records: u64, envelopes: &mut Envelopes) {
        self.live = self.live.saturating_sub(records);
        let at = segment.wrapping_sub(self.base) as usize;
        if let Some(segment) = self.segments.get_mut(at) {
            segment.born = segment.born.saturating_sub(1);
        }
        while self.segments.len() > 1 && self.segments.front().is_some_and(|front| front.born == 0) {
            let Some(front) = self.segments.pop_front() else { return };
            self.usage.lists -= front.list_bytes();
            self.records -= u64::from(front.records);
            self.base = self.base.wrapping_add(1);
            for envelope in &front.envelopes {
                envelopes.release(*envelope);
            }
            match front.data {
                Data::Raw { buf, .. } => {
                    self.usage.raw -= buf.capacity() as u64;
                    self.recycle(buf);
                }
                Data::Lz4 { block, .. } => {
                    let (archive, free, usage) = (&mut self.archive, &mut self.free, &mut self.usage);
                    archive.release(block, |buf| recycle(free, usage, buf));
                    usage.compressed = archive.bytes();
                }
            }
        }
    }

    fn recycle(&mut self, buf: Vec<u8>) {
        recycle(&mut self.free, &mut self.usage, buf);
    }

    /// Compresses the oldest segments that are full and not compressed yet, until `budget` bytes were read.
    /// Returns how many bytes were read.
    pub(super) fn compress(&mut self, budget: usize) -> usize {
        let (to, done) = self.compress_from(self.compressed_to, budget, |_| true);
        self.compressed_to = to;
        done
    }

    /// The same, but passes over segments that were sealed more than `max_age` trims ago: not much is gained by compressing what
    /// is soon freed.
    pub(super) fn compress_young(&mut self, budget: usize, max_age: u32) -> usize {
        let ticks = self.ticks;
        let (to, done) =
            self.compress_from(self.young_from, budget, |segment| ticks.wrapping_sub(segment.sealed) <= max_age);
        self.young_from = to;
        done
    }

    /// Compresses those of the full segments from this number on that are `worth` it. The number to go on with, and how many bytes
    /// were read.
    fn compress_from(&mut self, mut from: u32, budget: usize, worth: impl Fn(&Segment) -> bool) -> (u32, usize) {
        let mut done = 0;
        if from.wrapping_sub(self.base) as usize > self.segments.len() {
            from = self.base;
        }
        loop {
            let at = from.wrapping_sub(self.base) as usize;
            if done >= budget || at + 1 >= self.segments.len() {
                return (from, done);
            }
            from = from.wrapping_add(1);
            if self.segments.get(at).is_some_and(&worth) {
                done += self.compress_segment(at);
            }
        }
    }

    fn compress_segment(&mut self, at: usize) -> usize {
        let Some(segment) = self.segments.get_mut(at) else { return 0 };
        let Data::Raw { buf, used } = &mut segment.data else { return 0 };
        let raw_len = *used;
        if segment.incompressible || raw_len == 0 {
            return 0;
        }
        self.scratch.resize(lz4_flex::block::get_maximum_output_size(raw_len), 0);
        let packed = match lz4_flex::block::compress_into(buf.get(..raw_len).unwrap_or_default(), &mut self.scratch) {
            Ok(written) if written < raw_len => &self.scratch[..written],
            _ => {
                segment.incompressible = true;
                return raw_len;
            }
        };
        self.usage.raw -= buf.capacity() as u64;
        let (free, usage) = (&mut self.free, &mut self.usage);
        recycle(free, usage, std::mem::take(buf));
        let block = self.archive.append(packed, || {
            let mut buf = buffer(free, usage, SEGMENT_BYTES);
            buf.clear();
            buf
        });
        usage.compressed = self.archive.bytes();
        segment.data = Data::Lz4 { block, raw_len };
        raw_len
    }

    /// True if most of the log is of traces that are decided, and held by a few older ones that are not.
    pub(super) fn is_sparse(&self) -> bool {
        self.segments.len() > SPARSE_SEGMENTS && self.records > 2 * self.live
    }

    /// Records of all traces, waiting or not.
    #[cfg(test)]
    pub(super) fn records(&self) -> u64 {
        self.records
    }

    /// Number and epoch of the oldest segment.
    pub(super) fn front(&self) -> Option<(u32, u32)> {
        self.segments.front().map(|front| (self.base, front.epoch))
    }

    /// Gives back `bytes` of recycled buffers, or a little more.
    pub(super) fn shed(&mut self, bytes: u64) {
        let mut shed = 0;
        while shed < bytes && self.free.pop().is_some() {
            shed += SEGMENT_BYTES as u64;
        }
        self.usage.free -= shed;
    }

    /// Bytes of the segments that were filled since the last [`Log::trim`].
    pub(super) fn filled(&self) -> usize {
        self.sealed[self.trims] * SEGMENT_BYTES
    }

    /// Gives back recycled buffers beyond what the busiest of the last ticks used. To be called once a tick.
    pub(super) fn trim(&mut self) {
        let keep = self.sealed.iter().max().copied().unwrap_or(0) + 2;
        self.trims = (self.trims + 1) % SEALED_TICKS;
        self.ticks = self.ticks.wrapping_add(1);
        self.sealed[self.trims] = 0;
        if self.free.len() > keep {
            self.usage.free -= ((self.free.len() - keep) * SEGMENT_BYTES) as u64;
            self.free.truncate(keep);
        }
    }
}

/// A buffer of at least so many bytes, a recycled one if there is one. It is full of something, so that any part of it can
/// be written to.
fn buffer(free: &mut Vec<Vec<u8>>, usage: &mut Usage, needed: usize) -> Vec<u8> {
    match free.pop() {
        Some(buf) if buf.len() >= needed => {
            usage.free -= buf.capacity() as u64;
            buf
        }
        other => {
            free.extend(other);
            vec![0; needed.max(SEGMENT_BYTES)]
        }
    }
}

fn recycle(free: &mut Vec<Vec<u8>>, usage: &mut Usage, mut buf: Vec<u8>) {
    // A buffer of an odd length is as good as gone: few spans are that long.
    if buf.capacity() == SEGMENT_BYTES {
        buf.resize(SEGMENT_BYTES, 0);
        usage.free += SEGMENT_BYTES as u64;
        free.push(buf);
    }
}
