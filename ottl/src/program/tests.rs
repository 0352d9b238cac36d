use super::*;
use crate::context::{Context, PathMode};
use crate::error;

fn add(builder: &mut ProgramBuilder, text: &str) -> ConditionId {
    builder.add(text, Context::Span, PathMode::Legacy).unwrap()
}

#[test]
fn lists_follow_their_error_mode() {
    let mut builder = ProgramBuilder::new(Options::default());
    let error = add(&mut builder, "1 / 0 == 1");
    let no = add(&mut builder, r#"name == "no""#);
    let yes = add(&mut builder, r#"name == "yes""#);
    let after = |mode, builder: &mut ProgramBuilder| builder.list(&[no, error, yes], mode);
    let propagate = after(ErrorMode::Propagate, &mut builder);
    let ignore = after(ErrorMode::Ignore, &mut builder);
    let silent = after(ErrorMode::Silent, &mut builder);
    let before = builder.list(&[yes, error], ErrorMode::Propagate);
    let empty = builder.list(&[], ErrorMode::Propagate);
    let program = builder.build().unwrap();
    let mut frame = program.frame();
    program.load_span(&mut frame, b"\x2a\x03yes");
    let mut heard = Vec::new();
    let mut eval = |list| program.eval_list(&frame, list, &mut |at, error| heard.push((at, error)));
    assert_eq!(eval(propagate), Outcome::Error(EvalError::DivideByZero));
    assert_eq!(eval(silent), Outcome::True);
    assert_eq!(eval(before), Outcome::True);
    assert_eq!(eval(empty), Outcome::False);
    assert_eq!(eval(ignore), Outcome::True);
    assert_eq!(heard, [(1, EvalError::DivideByZero)]);
}

#[test]
fn native_slots_share_with_conditions() {
    let mut builder = ProgramBuilder::new(Options::default());
    let route = builder.slot(SlotPath::attribute(crate::MapSource::Span, "r"));
    let code = builder.slot(SlotPath::StatusCode);
    add(&mut builder, r#"attributes["r"] == "x" and attributes["never"] == 1 and false"#);
    add(&mut builder, r#"attributes["r"] == "x""#);
    let program = builder.build().unwrap();
    let mut frame = program.frame();
    // attributes { key: "r", value { string_value: "x" } }, status { code: 2 }
    program.load_span(&mut frame, b"\x4a\x08\x0a\x01r\x12\x03\x0a\x01x\x7a\x02\x18\x02");
    assert_eq!(program.get(&frame, route), Slot::Str(b"x"));
    assert_eq!(program.get(&frame, code), Slot::Int(2));
    assert_eq!(program.print_layout().lines().count(), 2);
}

#[test]
fn levels() {
    let level = |text| {
        let mut builder = ProgramBuilder::new(Options::default());
        let condition = builder.add(text, Context::SpanEvent, PathMode::Legacy).unwrap();
        builder.build().unwrap().level(condition)
    };
    assert_eq!(level("1 == 1"), None);
    assert_eq!(level(r#"resource.attributes["a"] == 1"#), Some(Level::Resource));
    assert_eq!(level(r#"resource.attributes["a"] == span.name"#), Some(Level::Span));
    assert_eq!(level(r#"name == Concat([span.name], "")"#), Some(Level::Event));
}

#[test]
fn client_paths() {
    let mut builder = ProgramBuilder::new(Options::default());
    let address = add(&mut builder, r#"otelcol.client.addr == "10.0.0.1""#);
    let tenant = add(&mut builder, r#"otelcol.client.metadata["tenant"][0] == "a""#);
    let program = builder.build().unwrap();
    let mut frame = program.frame();
    assert_eq!(program.eval(&frame, address), Outcome::False);
    assert_eq!(program.eval(&frame, tenant), Outcome::False);
    // KeyValueList { "tenant": ["a"] }
    let metadata = b"\x0a\x11\x0a\x06tenant\x12\x07\x2a\x05\x0a\x03\x0a\x01a";
    program.load_client(&mut frame, Client { address: b"10.0.0.1", metadata, ..Client::default() });
    assert_eq!(program.eval(&frame, address), Outcome::True);
    assert_eq!(program.eval(&frame, tenant), Outcome::True);
}

#[test]
fn limits_are_reported() {
    let limits = Limits { conditions: 1, nesting: 10, slots: 2, text_bytes: 100, ..Limits::default() };
    let mut builder = ProgramBuilder::new(Options { limits, ..Options::default() });
    let mut code = |text: &str| builder.add(text, Context::Span, PathMode::Legacy).map_err(|errors| errors[0].code);
    assert_eq!(code(&"(".repeat(50)), Err(109));
    assert_eq!(code(&" ".repeat(101)), Err(110));
    assert!(code(r#"attributes["a"] == attributes["b"] or name == "c""#).is_ok());
    assert_eq!(code("true"), Err(error::LIMIT));
    assert_eq!(builder.build().map(|_| ()).map_err(|error| error.code), Err(error::LIMIT));
}

#[test]
fn converters_need_a_host() {
    let code = |host: Host, text| {
        let mut builder = ProgramBuilder::new(Options { host, ..Options::default() });
        builder.add(text, Context::Span, PathMode::Legacy).map_err(|errors| errors[0].code)
    };
    assert_eq!(code(Host::default(), "Now() > start_time"), Err(error::NEEDS_HOST));
    assert_eq!(code(Host::default(), r#"UUID() == """#), Err(error::NEEDS_HOST));
    let host = Host { clock: Some(Arc::new(|| 1)), ..Host::default() };
    assert!(code(host, "Now() > start_time").is_ok());
}

/// What a condition says of a message that `load` loads.
fn ask(text: &str, context: Context, load: impl Fn(&Program, &mut Frame<'_>)) -> [Outcome; 2] {
    [Engine::Interpreter, Engine::Jit].map(|engine| {
        let mut builder = ProgramBuilder::new(Options { engine, ..Options::default() });
        let condition = builder.add(text, context, PathMode::Legacy).unwrap();
        let program = builder.build().unwrap();
        let mut frame = program.frame();
        load(&program, &mut frame);
        program.eval(&frame, condition)
    })
}

#[test]
fn bodies_of_logs_take_keys_where_they_have_some() {
    let check = |text: &str, record: &'static [u8], expected: Outcome| {
        let got = ask(text, Context::Log, |program, frame| program.load_log(frame, record));
        assert_eq!(got, [expected; 2], "{text}");
    };
    // body { string_value: "ab" }, body { kvlist { "k": 1 } }, body { array [ "x" ] }, body { }
    let (text, map, list, empty): (&[u8], &[u8], &[u8], &[u8]) = (
        b"\x2a\x04\x0a\x02ab",
        b"\x2a\x0b\x32\x09\x0a\x07\x0a\x01k\x12\x02\x18\x01",
        b"\x2a\x07\x2a\x05\x0a\x03\x0a\x01x",
        b"\x2a\x00",
    );
    check(r#"body == "ab""#, text, Outcome::True);
    check(r#"body["k"] == 1"#, text, Outcome::Error(EvalError::NotIndexable));
    check(r#"body["k"] == 1"#, map, Outcome::True);
    check(r#"body["other"] == nil"#, map, Outcome::True);
    check(r#"body.string == "{\"k\":1}""#, map, Outcome::True);
    check(r#"body[0] == "x""#, list, Outcome::True);
    check(r#"body[1] == "x""#, list, Outcome::Error(EvalError::OutOfBounds));
    for none in [empty, b""] {
        check("body == nil", none, Outcome::True);
        check(r#"body["k"] == nil"#, none, Outcome::Error(EvalError::NotIndexable));
        check(r#"body.string == """#, none, Outcome::True);
    }
}

#[test]
fn points_have_the_fields_of_their_kind() {
    let check = |text: &str, kind: PointKind, point: &'static [u8], expected: Outcome| {
        let got = ask(text, Context::DataPoint, |program, frame| program.load_data_point(frame, kind, point));
        assert_eq!(got, [expected; 2], "{text}");
    };
    // as_int: -2; then as_double: 1.5
    let int = b"\x31\xfe\xff\xff\xff\xff\xff\xff\xff";
    check("value_int == -2 and value_double == 0.0", PointKind::Number, int, Outcome::True);
    let both = b"\x31\xfe\xff\xff\xff\xff\xff\xff\xff\x21\0\0\0\0\0\0\xf8\x3f";
    check("value_int == 0 and value_double == 1.5", PointKind::Number, both, Outcome::True);
    check("count == nil and scale == nil and exemplars != nil", PointKind::Number, b"", Outcome::True);
    // Found beside Go: a field without numbers is a nil slice there, a sorted one is not.
    let no_numbers =
        r#"IsMatch(explicit_bounds, "^null$") and IsMatch(bucket_counts, "^null$") and Len(explicit_bounds) == 0"#;
    check(no_numbers, PointKind::Histogram, b"", Outcome::True);
    let sorted = r#"String(Sort(explicit_bounds)) == "[]" and Format("%v%#v", [bucket_counts, explicit_bounds]) == "[][]float64(nil)""#;
    check(sorted, PointKind::Histogram, b"", Outcome::True);
    check(
        "Sort(explicit_bounds) == explicit_bounds",
        PointKind::Histogram,
        b"",
        Outcome::Error(EvalError::NotComparable),
    );
    check("value_int == nil and count == 0 and exemplars == nil", PointKind::Summary, b"", Outcome::True);
    // scale: -3, positive { offset: 2, bucket_counts: [1, 300] }
    let buckets = b"\x30\x05\x42\x07\x08\x04\x12\x03\x01\xac\x02";
    let text = "scale == -3 and positive.offset == 2 and Len(positive.bucket_counts) == 2 and negative.offset == 0";
    check(text, PointKind::ExponentialHistogram, buckets, Outcome::True);
    // Attributes are field 1 here and 9 there.
    let key = r#"attributes["k"] == 5"#;
    check(key, PointKind::ExponentialHistogram, b"\x0a\x07\x0a\x01k\x12\x02\x18\x05", Outcome::True);
    check(key, PointKind::Histogram, b"\x4a\x07\x0a\x01k\x12\x02\x18\x05", Outcome::True);
    check("Len(attributes) == 1", PointKind::Histogram, b"\x4a\x07\x0a\x01k\x12\x02\x18\x05", Outcome::True);
}

#[test]
fn attributes_on_data_points() {
    let check = |text: &str, metric: &'static [u8], expected: Outcome| {
        let got = ask(text, Context::Metric, |program, frame| program.load_metric(frame, metric));
        assert_eq!(got, [expected; 2], "{text}");
    };
    // gauge { point { "k": 5 }, point { "k": "v" } }
    let gauge = b"\x2a\x17\x0a\x09\x3a\x07\x0a\x01k\x12\x02\x18\x05\x0a\x0a\x3a\x08\x0a\x01k\x12\x03\x0a\x01v";
    check(r#"HasAttrKeyOnDatapoint("k")"#, gauge, Outcome::True);
    check(r#"HasAttrKeyOnDatapoint("l")"#, gauge, Outcome::False);
    // The first point that has the key decides, and its value is no text.
    check(r#"HasAttrOnDatapoint("k", "v")"#, gauge, Outcome::False);
    check(r#"HasAttrOnDatapoint("k", "")"#, gauge, Outcome::True);
    check(r#"HasAttrKeyOnDatapoint("k")"#, b"", Outcome::Error(EvalError::Argument));
    check("type == METRIC_DATA_TYPE_GAUGE and is_monotonic == nil and Len(data_points) == 2", gauge, Outcome::True);
}
