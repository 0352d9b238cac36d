//! Random inputs of the fuzz targets: generated conditions and requests, damaged in a few places.

use prost::Message as _;

use crate::generate::{self, Random};

const CONTEXTS: [&str; 7] = ["span", "spanevent", "resource", "scope", "metric", "datapoint", "log"];

/// What damage puts between other bytes: all of the language's own marks, and a few that are not its own.
const PIECES: &[&str] = &[
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "not ",
    " and ",
    " or ",
    "==",
    "=",
    "!=",
    "<=",
    "-",
    "+",
    "*",
    "/",
    ",",
    ".",
    ":",
    "=>",
    "\\",
    "\\x",
    "0x",
    "1",
    "1e",
    "a",
    "A",
    "nil",
    "%",
    "'",
    "$",
    "&&",
    "\u{e9}",
    "\u{0}",
    "\n",
    "))))",
    "((((",
    "[[[[",
    "- - -",
    "not not ",
    "99999999999999999999",
];

/// A text for the parser.
pub(crate) fn text(random: &mut Random) -> String {
    let context = CONTEXTS[random.below(CONTEXTS.len())];
    let mut text = generate::question(random, context, 3);
    for _ in 0..random.below(4) {
        damage_text(random, &mut text);
    }
    text
}

fn damage_text(random: &mut Random, text: &mut String) {
    let mut at = random.below(text.len() + 1);
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    match random.below(5) {
        0 => text.insert_str(at, random.pick(PIECES)),
        1 => text.truncate(at),
        2 => drop(text.drain(..at)),
        3 => text.insert_str(at, &random.pick(PIECES).repeat(random.below(300))),
        _ => {
            let copy = text[at..].to_owned();
            text.push_str(&copy);
        }
    }
}

/// An input of `hostile::check`: a choice, a seed, a condition, and a message of some request with a few bytes changed.
pub(crate) fn condition_and_message(random: &mut Random) -> Vec<u8> {
    let choice = random.below(256) as u8;
    let mut input = vec![choice];
    input.extend(random.next().to_le_bytes());
    input.extend(text(random).bytes().filter(|&byte| byte != 0));
    input.push(0);
    let mut message = message(random);
    for _ in 0..random.below(4) {
        damage_message(random, &mut message);
    }
    input.extend(message);
    input
}

fn message(random: &mut Random) -> Vec<u8> {
    let metrics = |random: &mut Random| generate::metric_parts(&generate::metrics_request(random).encode_to_vec());
    match random.below(5) {
        0 => metrics(random).metric.unwrap_or_default(),
        1 => metrics(random).point.map(|(_, point)| point).unwrap_or_default(),
        2 => generate::log_parts(&generate::logs_request(random).encode_to_vec()).record.unwrap_or_default(),
        3 => metrics(random).resource,
        _ => {
            let request = generate::request(random);
            let spans = request.resource_spans.into_iter().flat_map(|spans| spans.scope_spans);
            let span = spans.flat_map(|spans| spans.spans).next();
            span.map(|span| span.encode_to_vec()).unwrap_or_default()
        }
    }
}

fn damage_message(random: &mut Random, message: &mut Vec<u8>) {
    let at = random.below(message.len() + 1);
    match random.below(4) {
        0 => message.truncate(at),
        1 => message.insert(at, random.below(256) as u8),
        2 => {
            let copy = message[at..].to_owned();
            message.extend(copy);
        }
        _ => {
            if let Some(byte) = message.get_mut(at) {
                *byte = random.below(256) as u8;
            }
        }
    }
}
