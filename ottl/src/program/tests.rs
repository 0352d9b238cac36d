use super::*;

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
