//! Random calls of every converter: mostly with arguments of the right types, sometimes not, and with texts of the forms
//! that its body reads.

use super::{
    Random, attribute_path,
    converters::{
        Arg::{self, Any, Duration, List, Literal, Map, Number, Scalars, Text, Time, Verbatim},
        CONVERTERS, DURATIONS, JSONS, ZONES,
    },
    literal, number, quoted, text, time, value,
};

/// A call of some converter.
pub(super) fn call(random: &mut Random, context: &str, depth: usize) -> String {
    let (name, required, params) = &CONVERTERS[random.below(CONVERTERS.len())];
    let given = required + random.below(params.len() - required + 1);
    let mut arguments: Vec<String> =
        params.iter().take(given).map(|arg| argument(random, context, depth, arg)).collect();
    match random.below(60) {
        0 => drop(arguments.pop()),
        1 => arguments.push(value(random, context, 0)),
        2 => {
            let at = random.below(arguments.len());
            arguments[at] = value(random, context, depth);
        }
        _ => {}
    }
    let keys = match random.below(12) {
        0 => "[0]",
        1 => "[\"a\"]",
        _ => "",
    };
    format!("{name}({}){keys}", arguments.join(", "))
}

fn argument(random: &mut Random, context: &str, depth: usize, arg: &Arg) -> String {
    let below = depth.saturating_sub(1);
    if random.one_in(20) {
        return value(random, context, below);
    }
    match arg {
        Text(texts) => match random.below(6) {
            0 => text(random, context, below),
            1 => attribute_path(random, context),
            // What is computed is converted when the condition runs, with errors then.
            2 | 3 if !texts.is_empty() => format!("Concat([{}], \"\")", quoted(random.pick(texts))),
            _ if !texts.is_empty() => quoted(random.pick(texts)),
            _ => quoted(random.pick(super::WORDS)),
        },
        Literal(texts) => quoted(random.pick(texts)),
        Verbatim(texts) => random.pick(texts).to_owned(),
        Number => number(random, context, below),
        Time => match random.below(4) {
            0 => time(random, context, below),
            1 => format!("Unix({})", number(random, context, 0)),
            2 => format!("Time({}, \"%Y-%m-%d\")", quoted(random.pick(&["2024-01-02", "1969-12-31", "2024-02-29"]))),
            _ => format!("Time(\"2024-07-02\", \"%Y-%m-%d\", {})", quoted(random.pick(ZONES))),
        },
        Duration => match random.below(3) {
            0 => time(random, context, below),
            _ => format!("Duration({})", quoted(random.pick(DURATIONS))),
        },
        Map => match random.below(6) {
            0 => "attributes".to_owned(),
            1 => "resource.attributes".to_owned(),
            2 => attribute_path(random, context),
            3 => format!("ParseJSON({})", quoted(random.pick(JSONS))),
            4 => format!("{{\"a b\": {}}}", value(random, context, below)),
            _ => random.pick(&["{}", r#"{"b": "x=y"}"#, r#"{"a": {"b": 1.5}}"#, "URL(\"http://h:1/\")"]).to_owned(),
        },
        List => match random.below(7) {
            0 => attribute_path(random, context),
            1 => format!("Split({}, \",\")", quoted(random.pick(&["a,b", "b,a,c", ""]))),
            2 => "Keys(attributes)".to_owned(),
            3 => "Values(attributes)".to_owned(),
            4 => random
                .pick(&["[]", "[3, 1, 2]", "[1.5, 1, \"a\"]", "[true, false]", "[nil]", r#"[{"a": "x", "n": 1}]"#])
                .to_owned(),
            _ => format!("[{}, {}]", value(random, context, below), value(random, context, 0)),
        },
        Scalars => {
            let word = format!("Concat([{}], \"\")", quoted(random.pick(super::WORDS)));
            format!("[{}, {word}]", literal(random))
        }
        Any => match random.below(8) {
            0 => call(random, context, below),
            1 => "attributes".to_owned(),
            _ => value(random, context, below),
        },
    }
}

/// A text with a character or a token taken out, put in or written twice: mostly refused, sometimes still a condition.
pub(super) fn damaged(random: &mut Random, text: &str) -> String {
    let pieces: Vec<&str> = text.split_inclusive([' ', '(', ')', ',', '[', ']', '.', '"']).collect();
    let at = random.below(pieces.len().max(1));
    let inserted = random.pick(&[
        "(", ")", "[", "]", "{", "}", ",", ".", "\"", "not ", "and ", "or ", "==", "=", "nil", "true", "-", "+", "*",
        "/", "0x", "1", "1.", "a", "A", "_", "\\\\", "\n", "\t", ":", "=>", "!", "where ", "\u{e9}", " ", "<", "#",
    ]);
    let mut out = String::new();
    for (place, piece) in pieces.iter().enumerate() {
        match (place == at, random.below(4)) {
            (true, 0) => {}
            (true, 1) => out.extend([*piece, *piece]),
            (true, 2) => out.extend([*piece, inserted]),
            (true, _) => out.extend([inserted, *piece]),
            (false, _) => out += piece,
        }
    }
    out
}
