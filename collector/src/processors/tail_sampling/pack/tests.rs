//! Spans read back as they were, in as few bytes as they should take.

use pdata::wire::put_bytes;
use proptest::prelude::*;

use super::bytes::{is_same, is_same_within, same_bytes};
use super::plan::Then;
use super::*;

fn attribute(key: &str, value: &str) -> Vec<u8> {
    let mut any = Vec::new();
    put_bytes(&mut any, 1, value.as_bytes());
    attribute_of(key, &any)
}

/// `value` is an AnyValue.
fn attribute_of(key: &str, value: &[u8]) -> Vec<u8> {
    let (mut pair, mut field) = (Vec::new(), Vec::new());
    put_bytes(&mut pair, 1, key.as_bytes());
    put_bytes(&mut pair, 2, value);
    put_bytes(&mut field, 9, &pair);
    field
}

/// A span without its trace id.
fn span(name: &str, start: u64, attributes: &[Vec<u8>]) -> Vec<u8> {
    let mut span = [&[0x12, 8][..], &start.wrapping_mul(PRIME_1).to_le_bytes()].concat();
    put_bytes(&mut span, 5, name.as_bytes());
    span.extend([0x30, 2, 0x39]);
    span.extend(start.to_le_bytes());
    span.push(0x41);
    span.extend((start + 1_000_000).to_le_bytes());
    span.extend(attributes.concat());
    span.extend([0x85, 1, 1, 1, 0, 0]);
    span
}

fn packed(spans: &[Vec<u8>]) -> (Vec<u8>, Vec<usize>) {
    let (mut packer, mut segment, mut end) = (Packer::new(), Vec::new(), 0);
    packer.begin();
    let places = spans
        .iter()
        .enumerate()
        .map(|(n, span)| {
            let place = end;
            segment.resize(place + bound(span.len()), 0);
            // Every other span is the last one of its request; what is behind one is not to be read as part of it.
            let behind = if n % 2 == 0 { span.clone() } else { span.repeat(2) };
            end = packer.pack(&behind, span.len(), &mut segment, place).unwrap();
            place
        })
        .collect();
    segment.truncate(end);
    (segment, places)
}

/// Bytes that each span takes; all read back as they were.
fn lens(spans: &[Vec<u8>]) -> Vec<usize> {
    let (segment, places) = packed(spans);
    for (span, place) in spans.iter().zip(&places) {
        let mut out = b"before".to_vec();
        unpack(&segment, *place, span.len(), &mut out).unwrap();
        assert_eq!(out[6..].escape_ascii().to_string(), span.escape_ascii().to_string());
    }
    let ends = places.iter().skip(1).copied().chain([segment.len()]);
    places.iter().zip(ends).map(|(start, end)| end - start).collect()
}

const START: u64 = 1_750_000_000_000_000_000;

fn request(session: &str, page: &str) -> [Vec<u8>; 4] {
    [
        attribute("http.method", "GET"),
        attribute("http.target", &format!("/api/products?page={page}")),
        attribute("http.user_agent", "Mozilla/5.0 (X11; Linux x86_64)"),
        attribute("session.id", session),
    ]
}

#[test]
fn what_a_template_says_is_not_written_again() {
    let first = span("GET /api/products", START, &request("12345678", "7"));
    let second = span("GET /api/products", START + 9_000_000, &request("abcdefgh", "30"));
    // A template and what begins it; id, name and kind, times, method, page, agent, session, flags.
    let delta = 3 + (1 + 8) + 1 + 11 + 1 + (3 + 2) + 1 + (1 + 8) + 1;
    assert_eq!(lens(&[first.clone(), second]), [first.len() + 1, delta]);
}

#[test]
fn attributes_more_or_fewer_are_skipped() {
    let all = request("12345678", "7");
    let more = [&all[..2], &[attribute("customer.tier", "gold")], &all[2..]].concat();
    for (first, second) in [(&all[..], &more[..]), (&more, &all)] {
        let spans = [span("GET", START, first), span("GET", START, second)];
        let [_, second] = lens(&spans)[..] else { panic!("two spans") };
        assert!(second < 60, "{second}");
    }
}

/// A name that holds a number is not a template, and is packed by those before it.
#[test]
fn names_that_are_never_the_same() {
    let spans: Vec<_> = (100..140)
        .map(|n| span(&format!("GET /users/{n}"), START + n, &request(&format!("1234567{n}"), "7")))
        .collect();
    let lens = lens(&spans);
    assert!(lens[1..].iter().all(|len| *len < 70), "{lens:?}");
}

#[test]
fn a_name_that_comes_again_is_a_template() {
    let route = |route: &str| [attribute("http.route", &route.repeat(12)), attribute("http.host", "shop")];
    let spans = ["/a", "/b", "/b", "/b"].map(|name| span(name, START, &route(name)));
    let lens = lens(&spans);
    assert_eq!(lens[2], spans[2].len() + 1);
    assert!(lens[3] < 30 && lens[1] > lens[3], "{lens:?}");
}

#[test]
fn values_of_any_kind_and_long_ones() {
    let int = |key: &str, value: &[u8]| attribute_of(key, &[&[0x18], value].concat());
    let attributes = |n: usize, value: &[u8]| {
        [
            attribute("http.method", "GET"),
            int("http.status_code", value),
            attribute("db.statement", &"SELECT ".repeat(n)),
            attribute("", ""),
        ]
    };
    let spans: Vec<_> = [(20, &[5][..]), (20, &[0x90, 3]), (30, &[5]), (3000, &[5]), (6000, &[5]), (20, &[7])]
        .map(|(n, value)| span("query", START, &attributes(n, value)))
        .into();
    let lens = lens(&spans);
    assert!(lens[1] < 40, "{lens:?}");
}

/// How the spans of one name are compared after these.
fn plan(spans: &[Vec<u8>]) -> Vec<(u8, Then)> {
    let (mut packer, mut segment, mut end) = (Packer::new(), vec![0; 1 << 20], 0);
    packer.begin();
    for span in spans {
        end = packer.pack(span, span.len(), &mut segment, end).unwrap();
    }
    let name = first_compared(&spans[0]).unwrap();
    let (slot, _) = packer.find(Packer::hashes(&spans[0], name).0).unwrap();
    let plan = packer.plans[slot];
    let steps = &packer.steps[plan.first as usize..][..plan.steps as usize];
    steps.iter().map(|step| (step.same, step.then)).collect()
}

#[test]
fn a_field_that_mostly_differs_is_not_asked_about() {
    let spans = |request: &dyn Fn(u64) -> [Vec<u8>; 4]| -> Vec<_> {
        (0..40).map(|n| span("GET", START + n, &request(n))).collect()
    };
    let same = plan(&spans(&|_| request("1", "7")));
    assert_eq!(same, [(5, Then::More)]);
    let session = plan(&spans(&|n| request(&format!("{:x}", n.wrapping_mul(PRIME_1)), "7")));
    assert_eq!(session, [(3, Then::Differing), (1, Then::More)]);
    let target = plan(&spans(&|n| request("1", &n.to_string())));
    assert_eq!(target, [(1, Then::Prefixed), (3, Then::More)]);
    // Now and then is not enough.
    let rarely = plan(&spans(&|n| request("1", if n % 10 == 9 { "7" } else { "8" })));
    assert_eq!(rarely, [(5, Then::More)]);
}

#[test]
fn ids_take_no_more_than_their_bytes() {
    let root = span("GET", START, &request("1", "7"));
    let child = [&root[..10], &[0x22, 8, 1, 2, 3, 4, 5, 6, 7, 8], &root[10..]].concat();
    let with_state = [&root[..10], &[0x1a, 8], b"rojo=abc", &root[10..]].concat();
    let lens = lens(&[root.clone(), root, child, with_state]);
    assert_eq!((lens[2] - lens[1], lens[3] - lens[1]), (8, 13));
}

proptest! {
    /// Blocks compare as bytes do.
    #[test]
    fn compares(one in prop::collection::vec(0_u8..2, 0..200), flip in any::<usize>(), cut in 0_usize..200, len in 0_usize..200) {
        let mut other = one.clone();
        if let Some(at) = flip.checked_rem(one.len().max(1)) && let Some(byte) = other.get_mut(at) && flip % 3 > 0 {
            *byte ^= 1;
        }
        other.truncate(cut.max(1));
        let same = one.iter().zip(&other).take_while(|(one, other)| one == other).count();
        prop_assert_eq!(same_bytes(&one, &other, len), same.min(len));
        prop_assert_eq!(is_same(&one, &other, len), len <= same);
        if len <= one.len().min(other.len()) {
            prop_assert_eq!(is_same_within(&pad(&one, one.len()), &pad(&other, other.len()), len), len <= same);
        }
    }

    /// Spans of few different fields, whole or cut, and bytes that are none.
    #[test]
    fn reads_back(
        spans in prop::collection::vec(
            (
                0_usize..3,
                prop::collection::vec((0_usize..4, 0_usize..9), 0..12),
                prop::collection::vec(any::<u8>(), 0..20),
                prop_oneof![Just(usize::MAX - 20), 0_usize..300],
                prop_oneof![Just(0_u64), any::<u64>()],
            ),
            1..40,
        ),
    ) {
        let spans: Vec<Vec<u8>> = spans
            .into_iter()
            .map(|(name, fields, bytes, len, start)| {
                let attributes: Vec<_> = fields
                    .into_iter()
                    .map(|(key, value)| {
                        let key = ["k", "http.method", "http.route", "url.full"][key];
                        attribute(key, &"value/".repeat(value * value))
                    })
                    .collect();
                let mut span = span(["a", "GET", "a longer name"][name], start >> 1, &attributes);
                span.extend(bytes);
                span.truncate(span.len().min(len + 20));
                span
            })
            .collect();
        lens(&spans);
    }

    /// Spans of the same fields, most of which are expected to differ after a while, with keys and values of all lengths and
    /// values of several types.
    #[test]
    fn reads_back_what_was_expected(
        keys in prop::collection::vec(prop_oneof![0_usize..44, 100_usize..130], 1..6),
        spans in prop::collection::vec(prop::collection::vec((0_u8..6, 0_usize..140, 0_usize..40), 6), 1..40),
    ) {
        let spans: Vec<Vec<u8>> = spans
            .into_iter()
            .map(|values| {
                let attributes: Vec<_> = keys
                    .iter()
                    .zip(values)
                    .map(|(key, (kind, len, differs))| {
                        let key = "k".repeat(*key);
                        let mut text = "prefix".repeat(24)[..len].to_owned();
                        if differs < len {
                            text.replace_range(differs..=differs, "X");
                        }
                        match kind {
                            0 => attribute_of(&key, &[0x18, len as u8 & 0x7f]),
                            1 => attribute_of(&key, &text.as_bytes()[..len % 12]),
                            _ => attribute(&key, &text),
                        }
                    })
                    .collect();
                span("GET", START, &attributes)
            })
            .collect();
        lens(&spans);
    }

    /// Fields in any order and of any kind are no worse than written out.
    #[test]
    fn reads_back_any_bytes(spans in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..60)) {
        let spans: Vec<Vec<u8>> = spans.into_iter().map(|bytes| [&[0x2a, 0, 0x30, 1][..], &bytes].concat()).collect();
        lens(&spans);
    }

    /// Bytes that were never packed are refused or read as something of the wanted length; nothing panics.
    #[test]
    fn reads_anything(
        first in prop_oneof![Just(vec![]), Just(vec![TEMPLATE, 0, 9])],
        segment in prop::collection::vec(prop_oneof![any::<u8>(), 0x7f..0x82_u8, 0xc0..0xc9_u8], 0..200),
        at in 0_usize..220,
        len in 0_usize..300,
    ) {
        let at = if first.is_empty() { at } else { 0 };
        let segment = [first, segment].concat();
        let mut out = Vec::new();
        if unpack(&segment, at, len, &mut out).is_some() {
            prop_assert_eq!(out.len(), len);
        }
    }
}
