//! Spans in fewer bytes, while they wait: a field that lies in the same segment already is a reference to it.
//!
//! What a service says of its spans repeats: routes, statements, user agents, hosts. So a span is taken apart into its
//! fields only, and a field (in practice an attribute with its key, a name, a status message) is looked up as a whole.
//! That halves the bytes of common spans for about the price of copying them twice; memory that the kernel has to clear
//! first costs several times that. Compression of whole segments comes later and finds what is left.
//!
//! Packed bytes are pieces in a row: two bytes of length below 32,768 (big-endian) and as many bytes, or three bytes
//! with the highest bit set, the position in the segment where the field was written out. Invariant: a reference leads
//! to a field in one piece, further ahead in the same segment, so a segment can be read by itself.

/// Fields that are remembered at a time. Two with the same slot drive each other out.
const SLOTS: usize = 4096;

/// Bytes of a field, with tag and length, that is worth a reference: it takes three, and two for the piece after it.
const SHORTEST: usize = 16;

/// Long fields are as good as never the same.
const LONGEST: usize = 4096;

/// The longest piece. Longer spans are not taken apart.
const PIECE: usize = 0x7fff;

/// An entry of [`Packer`] without a field: at its position, if there is one at all, the segment has another field or none.
const EMPTY: u32 = u32::MAX;

/// Marks a reference, in its first byte.
const REFERENCE: u8 = 0x80;

/// Positions that a reference can name.
const REACH: usize = 1 << 23;

/// The first field that is looked up: those before are ids and the trace state.
const FIRST_TAG: u8 = 0x2a;

/// The tag of a span's attributes.
const ATTRIBUTE: u8 = 0x4a;

/// Fields of at least so many bytes are hashed whole.
const HASHED_WHOLE: usize = 128;

/// Bits of an entry of [`Packer`] that are its position; the others are of the field's hash.
const POSITION_BITS: u32 = REACH.trailing_zeros();

/// What lies in the segment that is being written.
#[derive(Debug)]
pub(super) struct Packer {
    /// Positions by a hash of the field, each below nine more bits of that hash: where those differ, the segment need not
    /// be looked at, which for a field that is never the same would be memory that no cache has.
    seen: Box<[u32]>,
}

impl Packer {
    pub(super) fn new() -> Self {
        Self { seen: vec![EMPTY; SLOTS].into() }
    }

    /// Begins a segment.
    pub(super) fn begin(&mut self) {
        self.seen.fill(EMPTY);
    }

    /// Appends a span to the segment.
    pub(super) fn pack(&mut self, span: &[u8], segment: &mut Vec<u8>) {
        // Where the piece begins that is not written yet, and where the field that is being looked at does.
        let (mut from, mut at) = (0, 0);
        while span.len() <= PIECE
            && let Some(end) = field_end(span, at)
            && let Some(field) = span.get(at..end)
        {
            if is_candidate(field) {
                let (slot, check) = slot(field);
                if let Some(entry) = self.seen.get_mut(slot) {
                    let (known, start) = (*entry, *entry as usize % REACH);
                    // Behind the length of the piece that it will be in.
                    let position = segment.len() + 2 + (at - from);
                    if known >> POSITION_BITS == check && segment.get(start..start + field.len()) == Some(field) {
                        put_piece(segment, span.get(from..at).unwrap_or_default());
                        let [_, high, middle, low] = (start as u32).to_be_bytes();
                        segment.extend_from_slice(&[high | REFERENCE, middle, low]);
                        from = end;
                    } else if position < REACH {
                        *entry = check << POSITION_BITS | position as u32;
                    }
                }
            }
            at = end;
        }
        for piece in span.get(from..).unwrap_or_default().chunks(PIECE) {
            put_piece(segment, piece);
        }
    }
}

/// The most bytes that a span of `len` bytes takes.
pub(super) fn bound(len: usize) -> usize {
    len + 2 * (len / PIECE + 2)
}

/// Appends the span of `len` bytes that was packed at `at`; `None` if there is none.
pub(super) fn unpack(segment: &[u8], mut at: usize, len: usize, out: &mut Vec<u8>) -> Option<()> {
    let wanted = out.len().checked_add(len)?;
    while out.len() < wanted {
        let (first, second) = (*segment.get(at)?, *segment.get(at + 1)?);
        let piece = if first & REFERENCE == 0 {
            let start = at + 2;
            at = start + usize::from(u16::from_be_bytes([first, second]));
            segment.get(start..at)?
        } else {
            let start = u32::from_be_bytes([0, first & !REFERENCE, second, *segment.get(at + 2)?]) as usize;
            at += 3;
            segment.get(start..field_end(segment, start)?)?
        };
        if piece.is_empty() {
            return None;
        }
        out.extend_from_slice(piece);
    }
    (out.len() == wanted).then_some(())
}

/// Where the field at `at` ends, if it has a tag of one byte and, with bytes, a length of at most two: what the index has
/// let through ends within the span.
#[inline]
fn field_end(message: &[u8], at: usize) -> Option<usize> {
    match *message.get(at..)? {
        // An attribute, as most fields are.
        [ATTRIBUTE, len @ 0..0x80, ..] => Some(at + 2 + usize::from(len)),
        [tag @ 0..0x80, low, ..] => match tag & 7 {
            0 => message.get(at + 1..)?.iter().position(|byte| *byte < 0x80).map(|len| at + len + 2),
            1 => Some(at + 9),
            2 if low < 0x80 => Some(at + 2 + usize::from(low)),
            2 => {
                let high = *message.get(at + 2).filter(|high| **high < 0x80)?;
                Some(at + 3 + (usize::from(low & 0x7f) | usize::from(high) << 7))
            }
            5 => Some(at + 5),
            _ => None,
        },
        _ => None,
    }
}

#[inline]
fn is_candidate(field: &[u8]) -> bool {
    (SHORTEST..=LONGEST).contains(&field.len()) && field.first().is_some_and(|tag| *tag >= FIRST_TAG && tag & 7 == 2)
}

/// An entry's number and the bits that it shows of the field's hash: of four words of a field of at least [`SHORTEST`]
/// bytes, so that there is no branch on its length. Keys begin alike and values end alike (a page's number stands before
/// its size), so one word is from the middle and two are from the end. Long fields, like statements that differ in the
/// name of a table, are hashed whole: where fields that recur have one hash they drive each other out.
#[inline]
fn slot(field: &[u8]) -> (usize, u32) {
    let word = |at: usize| field.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes);
    let (start, middle) = (word(4), word(field.len() / 2 - 4));
    let (before, end) = (word(field.len() - 16), word(field.len() - 8));
    let mut mixed = fold(middle ^ field.len() as u64, end) ^ fold(start, before);
    if field.len() >= HASHED_WHOLE {
        for block in field.as_chunks::<16>().0 {
            let block = u128::from_le_bytes(*block);
            mixed = mixed.rotate_left(5) ^ fold(block as u64, (block >> 64) as u64);
        }
    }
    let high = (mixed.wrapping_mul(PRIME_1) >> 32) as u32;
    ((high >> (32 - SLOTS.trailing_zeros())) as usize, high & (u32::MAX >> POSITION_BITS))
}

/// Odd constants of xxHash64.
const PRIME_1: u64 = 0x9e37_79b1_85eb_ca87;
const PRIME_2: u64 = 0xc2b2_ae3d_27d4_eb4f;

/// Both halves of a product, so that every bit of either word counts.
#[inline]
fn fold(low: u64, high: u64) -> u64 {
    let product = u128::from(low ^ PRIME_1) * u128::from(high ^ PRIME_2);
    product as u64 ^ (product >> 64) as u64
}

#[inline]
fn put_piece(segment: &mut Vec<u8>, piece: &[u8]) {
    if !piece.is_empty() {
        segment.extend_from_slice(&u16::try_from(piece.len()).unwrap_or(u16::MAX).to_be_bytes());
        segment.extend_from_slice(piece);
    }
}

#[cfg(test)]
mod tests {
    use pdata::wire::put_bytes;
    use proptest::prelude::*;

    use super::*;

    fn attribute(key: &str, value: &str) -> Vec<u8> {
        let (mut any, mut pair, mut field) = (Vec::new(), Vec::new(), Vec::new());
        put_bytes(&mut any, 1, value.as_bytes());
        put_bytes(&mut pair, 1, key.as_bytes());
        put_bytes(&mut pair, 2, &any);
        put_bytes(&mut field, 9, &pair);
        field
    }

    fn packed(spans: &[Vec<u8>]) -> (Vec<u8>, Vec<usize>) {
        let (mut packer, mut segment) = (Packer::new(), Vec::new());
        packer.begin();
        let places = spans
            .iter()
            .map(|span| {
                let place = segment.len();
                packer.pack(span, &mut segment);
                assert!(segment.len() - place <= bound(span.len()));
                place
            })
            .collect();
        (segment, places)
    }

    #[test]
    fn an_attribute_that_was_there_takes_three_bytes() {
        let span = attribute("http.user_agent", "Mozilla/5.0 (X11; Linux x86_64)");
        let (segment, places) = packed(&[span.clone(), span.clone()]);
        assert_eq!(places, [0, span.len() + 2]);
        assert_eq!(segment[places[1]..], [REFERENCE, 0, 2]);
    }

    /// What differs in one place only has places of its own.
    #[test]
    fn fields_that_are_almost_the_same_do_not_drive_each_other_out() {
        let statement = |table: &str| {
            format!("SELECT {} FROM {table} WHERE {} LIMIT 50", ["column"; 8].join(", "), ["a = $1"; 12].join(" AND "))
        };
        let page = |page: usize| format!("https://shop.example.com/api/search?page={page}&size=20");
        let spans: Vec<_> = (10..40)
            .map(|n| attribute("http.url", &page(n)))
            .chain(["products", "payments"].map(|table| attribute("db.statement", &statement(table))))
            .collect();
        let (segment, places) = packed(&[spans.clone(), spans.clone()].concat());
        let again = &segment[places[spans.len()]..];
        assert_eq!(again.len(), 3 * spans.len());
    }

    #[test]
    fn long_attributes_and_spans() {
        let spans: Vec<_> =
            [130, 200, 4000, 5000, 40_000].map(|len| attribute("db.statement", &"x".repeat(len))).into();
        let twice = [spans.clone(), spans].concat();
        let (segment, places) = packed(&twice);
        for (span, place) in twice.iter().zip(places) {
            let mut out = Vec::new();
            unpack(&segment, place, span.len(), &mut out).unwrap();
            assert!(out == *span);
        }
    }

    proptest! {
        /// Spans of few different fields, whole or cut, and bytes that are none.
        #[test]
        fn reads_back(
            spans in prop::collection::vec(
                (
                    prop::collection::vec((0_usize..4, 0_usize..6), 0..12),
                    prop::collection::vec(any::<u8>(), 0..20),
                    0_usize..300,
                ),
                1..40,
            ),
        ) {
            let spans: Vec<Vec<u8>> = spans
                .into_iter()
                .map(|(fields, bytes, len)| {
                    let mut span = vec![0x39, 1, 2, 3, 4, 5, 6, 7, 8, 0x30, 0x81, 1];
                    for (key, value) in fields {
                        let key = ["k", "http.method", "http.route", "url.full"][key];
                        span.extend(attribute(key, &"value/".repeat(value * value)));
                    }
                    span.extend(bytes);
                    span.truncate(span.len().min(len + 20));
                    span
                })
                .collect();
            let (segment, places) = packed(&spans);
            for (span, place) in spans.iter().zip(places) {
                let mut out = b"before".to_vec();
                unpack(&segment, place, span.len(), &mut out).unwrap();
                prop_assert_eq!(&out[6..], &span[..]);
            }
        }

        /// Bytes that were never packed are refused or read as something of the wanted length; nothing panics.
        #[test]
        fn reads_anything(segment in prop::collection::vec(any::<u8>(), 0..200), at in 0_usize..220, len in 0_usize..300) {
            let mut out = Vec::new();
            if unpack(&segment, at, len, &mut out).is_some() {
                prop_assert_eq!(out.len(), len);
            }
        }
    }
}
