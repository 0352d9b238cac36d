//! `ottlcol ottl ..` as its users run it: the built binary, files, pipes and exit codes.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use e2e::collector::{binary, fresh_directory};

const TRACES: &str = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},"scopeSpans":[{"spans":[{"traceId":"00000000000000000000000000000001","spanId":"0000000000000001","name":"POST /pay","kind":2,"status":{"code":2}},{"traceId":"00000000000000000000000000000002","spanId":"0000000000000002","name":"GET /health"}]}]}]}
"#;

/// Exit code, standard output, standard error.
fn ottl(arguments: &[&str], input: &str) -> (i32, String, String) {
    let mut child = Command::new(binary().expect("a binary"))
        .arg("ottl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    // A command that reads nothing may be gone already.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

fn file(name: &str, content: &str) -> PathBuf {
    let path = fresh_directory("ottl").expect("a directory").join(name);
    std::fs::write(&path, content).expect("a file");
    path
}

#[test]
fn explain_in_words_and_stages() {
    let (code, out, err) = ottl(&["explain", "IsRootSpan() and name != nil"], "");
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("true for spans that are root spans and whose name is set"), "{out}");
    assert!(!out.contains('\x1b'), "no colours in a pipe: {out}");
    assert!(ottl(&["explain", "true", "--color", "always"], "").1.contains('\x1b'));
}

#[test]
fn mistakes_go_to_standard_error_with_exit_code_1() {
    let (code, out, err) = ottl(&["explain", "name = 'x' && kind == 2"], "");
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("write `\"x\"`") && err.contains("write `and`"), "{err}");
}

#[test]
fn eval_from_a_file_and_from_standard_input() {
    let path = file("traces.json", TRACES);
    let (code, from_file, _) = ottl(&["eval", "kind == SPAN_KIND_SERVER", "--input", &path.to_string_lossy()], "");
    assert_eq!(code, 0);
    assert!(from_file.ends_with("2 spans: 1 true, 1 false\n"), "{from_file}");
    let (_, from_pipe, _) = ottl(&["eval", "kind == SPAN_KIND_SERVER", "--input", "-"], TRACES);
    assert_eq!(from_file, from_pipe);
    let (_, lines, _) = ottl(&["eval", "kind == SPAN_KIND_SERVER", "--input", "-", "--json"], TRACES);
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0]["answer"], "true");
    assert_eq!(lines[2]["summary"]["false"], 1);
    let (code, _, err) = ottl(&["eval", "true", "--input", "-"], "nothing like it");
    assert_eq!(code, 1);
    assert!(err.contains("standard input: byte 0"), "{err}");
}

#[test]
fn the_prompt_works_in_a_pipe() {
    let path = file("traces.json", TRACES);
    let (code, out, err) =
        ottl(&["repl", &path.to_string_lossy()], "name == \"POST /pay\"\n:why 1\nnam\n:quit\nnot asked\n");
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("2 spans: 1 true, 1 false"), "{out}");
    assert!(out.contains("name  =>  \"POST /pay\""), "{out}");
    assert!(out.contains("did you mean name?"), "{out}");
    assert!(!out.contains("ottl>"), "no prompt in a pipe: {out}");
}

#[test]
fn tests_of_conditions_decide_the_exit_code() {
    let suite = "spans: { a: { name: x, status: { code: error } } }\n\
                 tests:\n  - { condition: 'status.code == STATUS_CODE_ERROR', expect: { a: true } }\n";
    let path = file("checks.yaml", suite);
    let path = path.to_string_lossy();
    assert_eq!(ottl(&["test", &path], "").0, 0);
    std::fs::write(&*path, suite.replace("true", "false")).expect("a file");
    let (code, out, err) = ottl(&["test", &path], "");
    assert_eq!((code, err.as_str()), (1, "Error: 1 test failed\n"));
    assert!(out.contains("expected false, got true"), "{out}");
    // Accepting, then comparing.
    std::fs::write(&*path, suite.replace(", expect: { a: true }", "")).expect("a file");
    assert_eq!(ottl(&["test", &path], "").0, 1);
    assert_eq!(ottl(&["test", "--accept", &path], "").0, 0);
    assert_eq!(ottl(&["test", &path], "").0, 0);
    std::fs::write(&*path, suite.replace(", expect: { a: true }", "").replace("code: error", "code: ok"))
        .expect("a file");
    let (code, out, _) = ottl(&["test", &path], "");
    assert_eq!(code, 1);
    assert!(out.contains("-span \"a\": true") && out.contains("+span \"a\": false"), "{out}");
}

#[test]
fn names_for_people_and_scripts() {
    let (code, out, _) = ottl(&["functions", "IsMatch"], "");
    assert_eq!(code, 0);
    assert!(out.starts_with("IsMatch(target: any as string, pattern: string) -> bool"), "{out}");
    let (_, out, _) = ottl(&["paths", "--context", "span", "--json"], "");
    let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert!(json[0]["paths"].as_array().expect("paths").len() > 20);
    assert!(json[0]["enums"].as_array().expect("enums").len() >= 9);
}
