use crate::{
    ConditionId, Context, Engine, ErrorMode, EvalError, Frame, Host, ListId, Options, Outcome, PathMode, Program,
    ProgramBuilder, jit,
    slot::{RawSlot, tag},
    value::Value,
};

fn send_and_sync<T: Send + Sync>() {}

fn program(texts: &[&str], engine: Engine, error_mode: ErrorMode) -> (Program, ListId) {
    let (program, list, _) = with_conditions(texts, engine, error_mode);
    (program, list)
}

fn with_conditions(texts: &[&str], engine: Engine, error_mode: ErrorMode) -> (Program, ListId, Vec<ConditionId>) {
    let mut builder = ProgramBuilder::new(Options { engine, ..Options::default() });
    let conditions: Vec<_> =
        texts.iter().map(|text| builder.add(text, Context::Span, PathMode::Legacy).expect(text)).collect();
    let list = builder.list(&conditions, error_mode);
    (builder.build().expect("a program"), list, conditions)
}

#[test]
fn programs_are_shared_between_threads() {
    send_and_sync::<Program>();
}

#[test]
fn code_that_no_host_runs_is_not_claimed() {
    let (program, _) = program(&["IsRootSpan()"], Engine::Jit, ErrorMode::Ignore);
    assert_eq!(program.engine() == Engine::Jit, jit::available());
    assert_eq!(size_of::<RawSlot>(), 16);
}

/// Pages of a dropped program go back; without that each of these programs would keep two of them.
#[cfg(target_os = "linux")]
#[test]
fn dropped_programs_leave_nothing_behind() {
    fn resident_kib() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").expect("a process's own status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a resident size");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }
    let once = || drop(program(&["IsRootSpan()"], Engine::Jit, ErrorMode::Silent));
    (0..50).for_each(|_| once());
    let before = resident_kib();
    (0..5_000).for_each(|_| once());
    let grown = resident_kib().saturating_sub(before);
    // 5,000 programs of two pages each are 40 MiB. Other tests of this process run meanwhile.
    assert!(grown < 16 * 1024, "{grown} KiB");
}

#[test]
fn lists_go_on_after_errors() {
    let failing = r#"attributes["n"] / 0 == 1"#;
    let texts = [failing, r#"name == "a""#, r#"name == "b""#, failing, r#"name == "c""#, "IsRootSpan()", failing];
    for engine in [Engine::Interpreter, Engine::Jit] {
        for (error_mode, expected, errors) in [
            (ErrorMode::Ignore, Outcome::True, vec![(0, EvalError::Type), (3, EvalError::Type)]),
            (ErrorMode::Silent, Outcome::True, vec![]),
            (ErrorMode::Propagate, Outcome::Error(EvalError::Type), vec![]),
        ] {
            let (program, list) = program(&texts, engine, error_mode);
            let mut frame = program.frame();
            program.load_span(&mut frame, b"");
            let mut heard = Vec::new();
            assert_eq!(program.eval_list(&frame, list, &mut |at, error| heard.push((at, error))), expected);
            assert_eq!(heard, errors, "{engine:?} {error_mode:?}");
        }
    }
}

/// Sets small enough to be inline and larger ones, of strings that share beginnings, ends and lengths.
#[test]
fn neighbours_in_a_list_become_a_set() {
    for engine in [Engine::Interpreter, Engine::Jit] {
        for count in [2, 40, 600] {
            let members: Vec<String> = (0..count).map(|at| "abcdefghi/".repeat(at % 4) + &at.to_string()).collect();
            let texts: Vec<String> = members.iter().map(|member| format!("name == \"{member}\"")).collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let (program, list) = program(&texts, engine, ErrorMode::Propagate);
            let others = ["", "a", "600", "abcdefghi/0", "abcdefghj/1", "abcdefghi/1 "].map(str::to_owned);
            for name in members.iter().chain(&others) {
                let mut span = vec![0x2a, u8::try_from(name.len()).expect("a short name")];
                span.extend_from_slice(name.as_bytes());
                let mut frame = program.frame();
                program.load_span(&mut frame, &span);
                let outcome = program.eval_list(&frame, list, &mut |_, _| {});
                assert_eq!(outcome == Outcome::True, members.contains(name), "{engine:?} {count} {name}");
            }
        }
    }
}

/// Searches for several substrings in one path share one search, whatever stands between them, fails or is resumed.
#[test]
fn searches_are_guarded() {
    let failing = r#"attributes["n"] / 0 == 1"#;
    let search = |literal: &str| format!(r#"IsMatch(attributes["agent"], "{literal}")"#);
    let texts = [
        search("bot-1"),
        failing.to_owned(),
        format!(r#"name == "a" and not {}"#, search("bot-2")),
        search("curl"),
        failing.to_owned(),
        format!("not {}", search("b")),
        search("wget"),
    ];
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    for error_mode in [ErrorMode::Ignore, ErrorMode::Silent, ErrorMode::Propagate] {
        for agent in ["", "bot", "a bot-1", "xbot-2x", "abc curl", "b wget", "Mozilla"] {
            let mut value = vec![0x0a, u8::try_from(agent.len()).expect("a short text")];
            value.extend(agent.bytes());
            let mut entry = b"\x0a\x05agent".to_vec();
            pdata::wire::put_bytes(&mut entry, 2, &value);
            let mut span = b"\x2a\x01a".to_vec();
            pdata::wire::put_bytes(&mut span, 9, &entry);
            let answers = [Engine::Interpreter, Engine::Jit].map(|engine| {
                let (program, list) = program(&texts, engine, error_mode);
                let mut frame = program.frame();
                program.load_span(&mut frame, &span);
                let mut heard = Vec::new();
                (program.eval_list(&frame, list, &mut |at, error| heard.push((at, error))), heard)
            });
            assert_eq!(answers[0], answers[1], "{error_mode:?} {agent}");
        }
    }
}

/// How many nodes a program keeps something of.
fn kept(program: &Program) -> usize {
    program.print_layout().lines().filter(|line| line.starts_with("kept ")).count()
}

/// What one list asks of a row alone is kept nowhere; what two ask is, and answers are as ever.
#[test]
fn lists_over_rows_keep_answers_for_each_other() {
    let search = r#"IsMatch(name, "h.*o")"#;
    let texts = [search.to_owned(), format!("{search} and IsMatch(name, \"x.*y\")"), format!("not {search}")];
    let build = |n_lists: usize| {
        let mut builder = ProgramBuilder::new(Options { engine: Engine::Jit, ..Options::default() });
        let lists: Vec<ListId> = texts[..n_lists]
            .iter()
            .map(|text| {
                let condition = builder.add(text, Context::Span, PathMode::Legacy).expect(text);
                builder.list_over_rows(&[condition], ErrorMode::Propagate)
            })
            .collect();
        (builder.build().expect("a program"), lists)
    };
    assert_eq!(kept(&build(1).0), 0);
    let (program, lists) = build(3);
    assert_eq!(kept(&program), usize::from(program.engine() == Engine::Jit));
    let mut rows = program.rows();
    let spans = ["hello", "x", "ho xy"].map(|name| pdata::Traces::index(request(name).into()).expect("a request"));
    for _ in 0..2 {
        rows.clear();
        for traces in &spans {
            let resources = traces.resources();
            let spans = resources.flat_map(|resource| resource.scopes()).flat_map(|scope| scope.spans());
            spans.for_each(|span| program.push_span(&mut rows, &span));
        }
        let expected = [[true, false, true], [false, false, true], [false, true, false]];
        for (list, expected) in lists.iter().zip(expected) {
            let answers = program.eval_rows(&mut rows, *list, &mut |_, _| {});
            assert_eq!(answers.iter().map(|answer| answer == Outcome::True).collect::<Vec<_>>(), expected);
        }
    }
}

/// What stands in the cells is what is answered: nothing is evaluated a second time until the level is loaded again.
#[test]
fn what_is_kept_is_not_evaluated_again() {
    if !jit::available() {
        return;
    }
    let texts = [r#"ToLowerCase(name) == "a""#, r#"ToLowerCase(name) == "b" or IsMatch(ToLowerCase(name), "c.*d")"#];
    let mut builder = ProgramBuilder::new(Options { engine: Engine::Jit, ..Options::default() });
    let conditions = texts.map(|text| builder.add(text, Context::Span, PathMode::Legacy).expect(text));
    let lists = conditions.map(|condition| builder.list(&[condition], ErrorMode::Propagate));
    let program = builder.build().expect("a program");
    assert_eq!(kept(&program), 1, "{}", program.print_layout());
    let ask = |frame: &Frame<'_>, at: usize| program.eval_list(frame, lists[at], &mut |_, _| {});
    let mut frame = program.frame();
    program.load_span(&mut frame, &[0x2a, 1, b'A']);
    assert_eq!([0, 1].map(|at| ask(&frame, at)), [Outcome::True, Outcome::False]);
    // As if the name were "B".
    let text = b"b";
    let (len, bits) = (1, text.as_ptr().expose_provenance() as u64);
    frame.kept[0].set_slot(RawSlot { tag: tag::STR, len, bits });
    assert_eq!([0, 1].map(|at| ask(&frame, at)), [Outcome::False, Outcome::True]);
    let failed = u32::from(EvalError::Limit as u8);
    frame.kept[0].set_slot(RawSlot { tag: tag::FAILED, len: failed, bits: 0 });
    assert_eq!([0, 1].map(|at| ask(&frame, at)), [Outcome::Error(EvalError::Limit); 2]);
    program.load_span(&mut frame, &[0x2a, 1, b'B']);
    assert_eq!([0, 1].map(|at| ask(&frame, at)), [Outcome::False, Outcome::True]);
}

/// What only depends on the resource is asked once for all spans below it, also by one list alone.
#[test]
fn what_spans_share_is_asked_once_a_resource() {
    if !jit::available() {
        return;
    }
    let mut builder = ProgramBuilder::new(Options { engine: Engine::Jit, ..Options::default() });
    let text = r#"IsMatch(resource.schema_url, "a.*b") and kind == 0"#;
    let condition = builder.add(text, Context::Span, PathMode::Legacy).expect(text);
    let list = builder.list_over_rows(&[condition], ErrorMode::Propagate);
    let program = builder.build().expect("a program");
    let traces = pdata::Traces::index(request("x").into()).expect("a request");
    let mut rows = program.rows();
    let mut ask = |schema_url: &'static str, known: Option<u32>| {
        rows.clear();
        program.load_resource(rows.frame(), b"", schema_url.as_bytes());
        let spans = traces.resources().flat_map(|resource| resource.scopes()).flat_map(|scope| scope.spans());
        spans.for_each(|span| program.push_span(&mut rows, &span));
        if let Some(tag) = known {
            rows.frame().kept[0].set_slot(RawSlot { tag, len: 0, bits: 0 });
        }
        program.eval_rows(&mut rows, list, &mut |_, _| {}).iter().next()
    };
    assert_eq!(ask("a b", None), Some(Outcome::True));
    assert_eq!(ask("a b", Some(0)), Some(Outcome::False));
    assert_eq!(ask("a", None), Some(Outcome::False));
    assert_eq!(ask("a", Some(1)), Some(Outcome::True));
}

/// A list that a converter makes for two questions is made once, although no slot can hold it.
#[test]
fn parts_of_what_the_interpreter_answers_are_kept() {
    if !jit::available() {
        return;
    }
    let texts = [r#"Split(name, "/")[0] == "a""#, r#"Split(name, "/")[1] == "b""#];
    let (program, list) = program(&texts, Engine::Jit, ErrorMode::Propagate);
    assert_eq!(kept(&program), 1, "{}", program.print_layout());
    let mut frame = program.frame();
    program.load_span(&mut frame, b"\x2a\x03c/b");
    assert_eq!(program.eval_list(&frame, list, &mut |_, _| {}), Outcome::True);
    let made = frame.kept[0].value(|| Err(EvalError::Argument)).expect("a list that was kept");
    assert!(matches!(made, Value::List(list) if list.len() == 2));
}

/// Clocks and randomness are asked every time.
#[test]
fn what_varies_is_not_kept() {
    let host = Host { clock: Some(std::sync::Arc::new(|| 7)), ..Host::default() };
    let mut builder = ProgramBuilder::new(Options { engine: Engine::Jit, host, ..Options::default() });
    for text in ["String(Now()) == name", "String(Now()) != name"] {
        let condition = builder.add(text, Context::Span, PathMode::Legacy).expect(text);
        builder.list_over_rows(&[condition], ErrorMode::Propagate);
    }
    assert_eq!(kept(&builder.build().expect("a program")), 0);
}

/// Rows whose frame another program has loaded are that program's, also for what the interpreter answers.
#[test]
fn rows_of_another_program_are_taken_over() {
    let build = |text: &str| {
        let mut builder = ProgramBuilder::new(Options { engine: Engine::Jit, ..Options::default() });
        let condition = builder.add(text, Context::Span, PathMode::Legacy).expect(text);
        let list = builder.list_over_rows(&[condition], ErrorMode::Propagate);
        (builder.build().expect("a program"), list)
    };
    let (first, _) = build(r#"kind == 2 and attributes["a"] == 1 and attributes["b"] == 2"#);
    let (second, list) = build(r#"Split(name, " ")[1] == resource.schema_url"#);
    let traces = pdata::Traces::index(request("a b").into()).expect("a request");
    let mut rows = first.rows();
    second.load_resource(rows.frame(), b"", b"b");
    let spans = traces.resources().flat_map(|resource| resource.scopes()).flat_map(|scope| scope.spans());
    spans.for_each(|span| second.push_span(&mut rows, &span));
    let answers = second.eval_rows(&mut rows, list, &mut |_, _| {});
    assert_eq!(answers.iter().collect::<Vec<_>>(), [Outcome::True]);
    // A frame that was loaded again does not make another program's slots its own.
    first.load_resource(rows.frame(), b"", b"b");
    let (third, list) = build(r#"name == "a b""#);
    third.load_resource(rows.frame(), b"", b"b");
    let answers = third.eval_rows(&mut rows, list, &mut |_, _| {});
    assert_eq!(answers.iter().collect::<Vec<_>>(), [Outcome::Error(EvalError::Argument)]);
}

/// A request with one span.
fn request(name: &str) -> Vec<u8> {
    use pdata::wire::put_bytes;
    let mut message = Vec::new();
    put_bytes(&mut message, 1, &[7; 16]);
    put_bytes(&mut message, 2, &[7; 8]);
    put_bytes(&mut message, 5, name.as_bytes());
    for _ in 0..2 {
        let inner = std::mem::take(&mut message);
        put_bytes(&mut message, 2, &inner);
    }
    let inner = std::mem::take(&mut message);
    put_bytes(&mut message, 1, &inner);
    message
}

#[test]
fn frames_of_other_programs_are_not_read() {
    let (own, list, conditions) = with_conditions(&[r#"name == "a""#], Engine::Jit, ErrorMode::Propagate);
    let (other, _) =
        program(&[r#"resource.schema_url == "a" or name == "abc""#, "kind == 2"], Engine::Jit, ErrorMode::Silent);
    let mut frame = other.frame();
    other.load_resource(&mut frame, b"", b"a");
    let condition = conditions[0];
    assert_eq!(own.eval(&frame, condition), Outcome::Error(EvalError::Argument));
    assert_eq!(own.eval_list(&frame, list, &mut |_, _| {}), Outcome::Error(EvalError::Argument));
    own.load_span(&mut frame, &[0x2a, 1, b'a']);
    assert_eq!(own.eval(&frame, condition), Outcome::True);
    assert_eq!(other.eval(&frame, condition), Outcome::Error(EvalError::Argument));
}
