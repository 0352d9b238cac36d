//! Answers of Go to generated calls: converters over literals, and regular expressions over short texts.
//!
//! The calls were answered by contrib's `pkg/ottl` v0.159.0, the expressions by Go 1.26's `regexp`. Left out are calls
//! whose answers differ for known reasons: addresses that Go prints, ways to decode what a character set does not have,
//! nested selections of XPaths, and `Int` of computed text, which v1.3.1 answers differently.

use std::{fmt::Write as _, sync::Arc};

use ottl::{
    Context, Engine, Host, Options, Outcome, PathMode, ProgramBuilder,
    go::{regexp::Regexp, text},
    value::{GoInt, Value},
};

use crate::read;

#[test]
fn converters_answer_as_contrib() {
    let mut n_cases = 0;
    for line in read("converters.jsonl.gz").lines() {
        let (expression, expected): (String, String) = serde_json::from_str(line).unwrap();
        for engine in [Engine::Interpreter, Engine::Jit] {
            let got = answer(&expression, engine);
            assert_eq!(got, expected, "{engine:?}: {expression}");
            let holds = comparison(&expression, &got, engine);
            assert!(holds.is_none_or(|holds| holds), "{engine:?}: {expression} compared with its own answer");
        }
        n_cases += 1;
    }
    assert!(n_cases > 4_000, "{n_cases}");
}

/// Found by the differential run; the answers are contrib's.
#[test]
fn bytes_joined_and_declarations_of_xml() {
    for (expression, expected) in [
        (r#"Concat([0x0102, "a"], "-")"#, "0102-a"),
        (r#"Concat([trace_id, nil, true, 3, 2.5], "-")"#, "[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]-<nil>-true-3-2.5"),
        (r#"Concat([0x61, 0xc3a9], ",")"#, "61,c3a9"),
        (r#"GetXML("<?xml version=\"1.0\"?><a><b>1</b></a>", "/a/b")"#, "<b>1</b>"),
        (r#"GetXML("<?xml version=\"1.0\"?><a/>", "/")"#, ""),
        (r#"RemoveXML("<?xml version=\"1.0\"?><a><b>1</b></a>", "/a/b")"#, r#"<?xml version="1.0"?><a></a>"#),
        (r#"RemoveXML(" <?xml version=\"1.0\"?><a><b>1</b></a>", "/a/b")"#, "<a></a>"),
        (r#"RemoveXML("<a/><?xml version=\"1.0\"?>", "/x")"#, r#"<a></a><?xml version="1.0"?>"#),
        (
            r#"InsertXML("<?xml version=\"1.0\"?><a/>", "/a", "<?xml version=\"1.0\"?><b/>")"#,
            r#"<?xml version="1.0"?><a><?xml version="1.0"?><b></b></a>"#,
        ),
        (
            r#"ConvertTextToElementsXML("<?xml version=\"1.0\"?><a>t<b/></a>")"#,
            r#"<?xml version="1.0"?><a><value>t</value><b></b></a>"#,
        ),
    ] {
        let expected: String = expected.bytes().map(|byte| format!("{byte:02x}")).collect();
        for engine in [Engine::Interpreter, Engine::Jit] {
            assert_eq!(answer(expression, engine), format!("s:{expected}"), "{engine:?}: {expression}");
        }
    }
}

/// Whether a call equals its own answer, for answers that a condition can write down: so the calls go through what
/// compiles conditions too. `None` for others, and for those whose texts a literal would not give back.
fn comparison(expression: &str, answer: &str, engine: Engine) -> Option<bool> {
    let literal = match answer.split_once(':')? {
        ("b", flag) => flag.to_owned(),
        ("i", number) if !number.starts_with('-') => number.to_owned(),
        ("s", hex) => {
            let text = String::from_utf8(text::unhex(hex.as_bytes())?).ok()?;
            if text.chars().any(|c| !(' '..='~').contains(&c) || c == '"' || c == '\\') {
                return None;
            }
            format!("\"{text}\"")
        }
        _ => return None,
    };
    let mut builder = builder(engine);
    let condition = builder.add(&format!("{expression} == {literal}"), Context::Span, PathMode::Legacy).ok()?;
    let program = builder.build().unwrap();
    let mut frame = program.frame();
    program.load_span(&mut frame, b"");
    match program.eval(&frame, condition) {
        Outcome::True => Some(true),
        // Items of bytes and ports are of Go types that equal no literal.
        Outcome::False if answer.starts_with("i:") => None,
        _ => Some(false),
    }
}

fn builder(engine: Engine) -> ProgramBuilder {
    let host = Host {
        clock: Some(Arc::new(|| 1_795_000_000_000_000_000)),
        random: Some(Arc::new(|bytes| bytes.fill(7))),
        ..Host::default()
    };
    ProgramBuilder::new(Options { engine, host, ..Options::default() })
}

/// `R` where the expression is refused, `E` where it fails, else the value in the recording's form.
fn answer(expression: &str, engine: Engine) -> String {
    let mut builder = builder(engine);
    let Ok(value) = builder.add_value(expression, Context::Span, PathMode::Legacy) else { return "R".to_owned() };
    let program = builder.build().unwrap();
    let mut frame = program.frame();
    program.load_resource(&mut frame, b"", b"");
    program.load_scope(&mut frame, b"", b"");
    program.load_span(&mut frame, b"");
    program.eval_value(&frame, value).map_or("E".to_owned(), |value| describe(&value))
}

fn hex(bytes: &[u8]) -> String {
    String::from_utf8(text::hex(bytes)).unwrap()
}

fn describe(value: &Value<'_>) -> String {
    match value {
        Value::Nil => "nil".to_owned(),
        Value::Bool(flag) => format!("b:{flag}"),
        Value::Int(number) | Value::GoInt(GoInt::Int(number)) => format!("i:{number}"),
        Value::GoInt(GoInt::Uint8(number)) => format!("i:{number}"),
        Value::GoInt(GoInt::Uint64(number)) => format!("i:{number}"),
        Value::Double(number) if number.is_nan() => "d:nan".to_owned(),
        Value::Double(number) => format!("d:{:016x}", number.to_bits()),
        Value::Str(text) => format!("s:{}", hex(text)),
        Value::Bytes(bytes) => format!("y:{}", hex(bytes)),
        Value::Duration(nanos) => format!("u:{nanos}"),
        Value::Time(time) => format!("t:{}.{}.{}", time.sec, time.nsec, time.offset_seconds()),
        Value::TraceId(id) => format!("x:{}", hex(id)),
        Value::SpanId(id) => format!("x:{}", hex(id)),
        Value::Map(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by(|(left, _), (right, _)| left.cmp(right));
            let mut out = "{".to_owned();
            for (key, value) in entries {
                write!(out, "{}={},", hex(&key), describe(&value)).unwrap();
            }
            out + "}"
        }
        Value::List(list) => {
            let items: String = list.iter().map(|item| describe(&item) + ",").collect();
            format!("[{items}]")
        }
        Value::Opaque(_) => "?".to_owned(),
    }
}

#[test]
fn regular_expressions_match_as_in_go() {
    for line in read("regexp.jsonl.gz").lines() {
        let (pattern, haystack, expected): (String, String, String) = serde_json::from_str(line).unwrap();
        let haystack = text::unhex(haystack.as_bytes()).unwrap();
        let found = match Regexp::new(&pattern) {
            Err(_) => "R".to_owned(),
            Ok(compiled) => {
                let groups = compiled.captures(&haystack);
                // The shapes that replace the engine must give its answer.
                assert_eq!(groups.is_some(), compiled.is_match(&haystack), "{pattern:?} on {haystack:?}");
                let places = groups.unwrap_or_default().into_iter().map(|group| match group {
                    Some((start, end)) => format!("{start} {end}"),
                    None => "-1 -1".to_owned(),
                });
                format!("[{}]", places.collect::<Vec<_>>().join(" "))
            }
        };
        assert_eq!(found, expected, "{pattern:?} on {haystack:?}");
    }
}
