use super::*;

fn failure(text: &str) -> String {
    traces_from_json(text.as_bytes()).unwrap_err().to_string()
}

#[test]
fn mistakes_name_their_place() {
    assert_eq!(failure(""), "unexpected end of JSON at byte 0");
    assert_eq!(failure("[]"), "expected an object at byte 0");
    assert_eq!(failure("{} x"), "unexpected text after the document at byte 3");
    let at = |span: &str| {
        let text = failure(&format!("{{\"resourceSpans\":[{{}},{{\"scopeSpans\":[{{\"spans\":[{span}]}}]}}]}}"));
        text.strip_prefix("resourceSpans[1].scopeSpans[0].spans[0]").unwrap().to_owned()
    };
    assert_eq!(at(r#"{"traceId":"abcd"}"#), ".traceId: length mismatch at byte 63");
    assert_eq!(at(r#"{"trace_id":"zzzz5678123456781234567812345678"}"#), ".traceId: invalid hex digit at byte 92");
    assert_eq!(at(r#"{"kind":"SPAN_KIND_X"}"#), ".kind: unknown enum value at byte 67");
    assert_eq!(at(r#"{"name":1}"#), ".name: expected a string at byte 54");
    assert_eq!(at(r#"{"flags":5000000000}"#), ".flags: number out of range at byte 65");
    assert_eq!(at("[]"), ": expected an object at byte 46");
    assert_eq!(
        at(r#"{"attributes":[{"key":"k","value":{"intValue":"1.5"}}]}"#),
        ".attributes[0].value.intValue: expected an integer at byte 97"
    );
}

#[test]
fn spellings_are_equal() {
    let camel = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"0102030405060708090A0B0C0D0E0F10",
        "kind":2,"startTimeUnixNano":"5","status":{"code":2},"unknown":[1]}]}]}]}"#;
    let snake = br#"{"resource_spans":[{"scope_spans":[{"spans":[{"trace_id":"0102030405060708090a0b0c0d0e0f10",
        "kind":"SPAN_KIND_SERVER","start_time_unix_nano":5,"status":{"code":"STATUS_CODE_ERROR"},"name":null}]}]}]}"#;
    let bytes = traces_from_json(camel).unwrap();
    assert_eq!(traces_from_json(snake), Ok(bytes.clone()));
    assert_eq!(crate::Traces::index(bytes.into()).unwrap().span_count(), 1);
    // Half of each is another key.
    let mixed = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTime_unix_nano":"x"}]}]}]}"#;
    assert!(traces_from_json(mixed).is_ok());
}
