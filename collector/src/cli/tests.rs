use super::*;

fn run(arguments: &[&str]) -> (u8, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let arguments = std::iter::once("ottlcol").chain(arguments.iter().copied()).map(OsString::from);
    let code = execute(arguments, &mut out, &mut err);
    (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

fn ok(arguments: &[&str]) -> String {
    let (code, out, err) = run(arguments);
    assert_eq!((code, err.as_str()), (0, ""), "{arguments:?}");
    out
}

#[test]
fn components_are_listed() {
    insta::assert_snapshot!("components", ok(&["components"]));
    let json: serde_json::Value = serde_json::from_str(&ok(&["components", "--json"])).unwrap();
    assert_eq!(json["buildinfo"]["command"], "ottlcol");
}

/// The README's table is this program's registry.
#[test]
fn readme_lists_the_components() {
    let readme = include_str!("../../../README.md");
    let table = readme.split("<!-- components -->\n").nth(1).and_then(|rest| rest.split("<!-- /components -->").next());
    assert_eq!(table, Some(components::table(&Factories::all()).as_str()), "README.md, between the components marks");
}

#[test]
fn version() {
    let expected = format!("ottlcol version {}\n", crate::VERSION);
    assert_eq!(ok(&["--version"]), expected);
    assert_eq!(ok(&["-v"]), expected);
}

#[test]
fn the_builtin_configuration_is_valid() {
    let yaml = format!("yaml:{BUILTIN}");
    assert_eq!(ok(&["validate", "--config", &yaml]), "");
}

#[test]
fn validate_needs_a_configuration() {
    assert_eq!(run(&["validate"]), (1, String::new(), "Error: at least one config flag must be provided\n".to_owned()));
    let (code, _, err) = run(&["validate", "--config", "yaml:{}", "--set", "x"]);
    assert_eq!((code, err.as_str()), (1, "Error: invalid argument \"x\" for \"--set\" flag: missing equal sign\n"));
}

#[test]
fn running_ends_with_two_error_lines() {
    let (code, _, err) = run(&["--config", "foo:bar"]);
    assert_eq!(code, 1);
    assert_eq!(
        err,
        "Error: unsupported scheme on URI \"foo:bar\"\n\
         collector server run finished with error: unsupported scheme on URI \"foo:bar\"\n"
    );
}

#[test]
fn gates_are_shown_and_refused() {
    assert!(ok(&["featuregate"]).starts_with(" ID"));
    assert!(ok(&["featuregate", "service.partialReload"]).contains("Enabled: false"));
    assert_eq!(run(&["featuregate", "x"]).2, "Error: feature \"x\" not found\n");
    assert!(
        run(&["validate", "--config", "yaml:{}", "--feature-gates", "-x"]).2.contains("no such feature gate \"x\"")
    );
}

#[test]
fn print_config_hides_secrets() {
    let sets = [
        "print-config",
        "--config",
        "yaml:{receivers: {otlp: {protocols: {grpc: }}}, exporters: {otlp: {endpoint: 'localhost:1', headers: {authorization: hidden}}}}",
        "--set",
        "service.pipelines.traces={receivers: [otlp], exporters: [otlp]}",
    ];
    insta::assert_snapshot!("print_config", ok(&sets));
    assert!(ok(&[&sets[..], &["--mode", "unredacted", "--format", "json"]].concat()).contains("hidden"));
}

/// `ottlcol components | head -1` says nothing about the pipe.
#[test]
fn a_closed_output_ends_it_quietly() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut err = Vec::new();
    let arguments = ["ottlcol", "components"].map(OsString::from);
    assert_eq!((execute(arguments, &mut Closed, &mut err), err), (141, Vec::new()));
}
