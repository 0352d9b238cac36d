use std::collections::BTreeMap;
use std::io;

use proptest::prelude::*;

use super::super::node::Node;
use super::super::source::{Outside, Remark};
use super::super::yaml::{go_number, parse};
use super::*;

/// Variables and files of a test.
struct Fake(BTreeMap<&'static str, &'static str>);

impl Outside for Fake {
    fn variable(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|text| (*text).to_owned())
    }
    fn file(&self, path: &str) -> io::Result<String> {
        self.0.get(path).map(|text| (*text).to_owned()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn fake() -> Fake {
    Fake(BTreeMap::from([
        ("FOO", "bar"),
        ("NAME_OF_FOO", "FOO"),
        ("NUMBER", "0123"),
        ("EMPTY", ""),
        ("LIST", "[1, 2]"),
        ("DOLLAR", "a$$b"),
        ("AGAIN", "<${env:FOO}>"),
        ("LOOP", "x${env:LOOP}"),
        ("FOREVER", "${env:FOREVER}"),
        ("QUOTED", "\"q\""),
        ("BROKEN", "[a"),
        ("/part.yaml", "{a: 1, b: '${env:FOO}'}"),
        ("/c.yaml", "receivers:\n  otlp:\n    x: ${env:1X}\n"),
        ("/text", "only text"),
        ("/bad.yaml", "a: 1\nb: [\n"),
        ("WHOLE", "a: {b: 5}"),
    ]))
}

fn expanded(text: &str) -> Result<Node, String> {
    let uri = format!("yaml:{{k: '{text}'}}");
    let resolved = resolve(&[uri], &fake()).map_err(|error| error.to_string())?;
    Ok(resolved.root.get("k").unwrap().clone())
}

/// What a text field and what any other field get.
fn both(text: &str) -> (String, Node) {
    match expanded(text).unwrap() {
        Node::String(text) => (text.clone(), Node::String(text)),
        Node::Expanded { value, text } => (text, *value),
        other => panic!("{other:?}"),
    }
}

#[test]
fn forms_of_references() {
    for (given, text) in [
        ("$$plain", "$plain"),
        ("$plain", "$plain"),
        ("$", "$"),
        ("a$b", "a$b"),
        ("$${env:FOO}", "${env:FOO}"),
        ("$$${env:FOO}", "$bar"),
        ("x${env:FOO}y", "xbary"),
        ("${FOO}", "bar"),
        ("a$$b$$$c", "a$b$$c"),
        ("${env:UNSET:-de:f}", "de:f"),
        ("${env:UNSET:-}", ""),
        ("${env:EMPTY:-x}", ""),
        ("${env:${env:NAME_OF_FOO}}", "bar"),
        ("${env:AGAIN}", "<bar>"),
        ("${env:DOLLAR}", "a$b"),
        ("a${env:NUMBER}b", "a0123b"),
        ("a${env:LIST}", "a[1, 2]"),
        ("${env:QUOTED}", "\"q\""),
        ("${env:BROKEN}", "[a"),
        ("${", "${"),
        ("${env:FOO", "${env:FOO"),
        ("}${env:FOO}", "}bar"),
        ("${env:UNSET}-", "-"),
        ("${yaml:x}", "x"),
    ] {
        assert_eq!(both(given).0, text, "{given}");
    }
}

#[test]
fn a_whole_reference_keeps_text_and_value() {
    assert_eq!(both("${env:NUMBER}"), ("0123".to_owned(), Node::Int(83)));
    assert_eq!(both("${env:LIST}"), ("[1, 2]".to_owned(), parse("[1, 2]").unwrap()));
    assert_eq!(both("${env:EMPTY}"), (String::new(), Node::Null));
    assert_eq!(both("${env:UNSET}"), (String::new(), Node::Null));
    assert_eq!(both("${env:FOO}"), ("bar".to_owned(), Node::String("bar".to_owned())));
    let part = both("${file:/part.yaml}").1;
    assert_eq!(part.get("a"), Some(&Node::Int(1)));
    assert!(
        matches!(part.get("b"), Some(Node::Expanded { text, .. } | Node::String(text)) if text == "bar"),
        "{part:?}"
    );
}

#[test]
fn mistakes_have_the_words_of_the_go_collector() {
    let prefix = "failed to get config: cannot resolve the configuration: ";
    for (given, message) in [
        ("${env:1X}", "environment variable \"1X\" has invalid name: must match regex ^[a-zA-Z_][a-zA-Z0-9_]*$"),
        ("${foo:bar}", "scheme \"foo\" is not supported for uri \"foo:bar\""),
        ("${NAME:-x}", "invalid uri: \"NAME:-x\" (a default needs the scheme: ${env:NAME:-default})"),
        ("${MY_NAME:-x}", "invalid uri: \"MY_NAME:-x\" (a default needs the scheme: ${env:NAME:-default})"),
        ("${file:/x}", "unable to read the file file:/x: open /x: no such file or directory"),
        ("${env:LOOP}", "too many recursive expansions"),
        ("${env:FOREVER}", "too many recursive expansions"),
        ("${env:$FOO}", "the uri \"env:$FOO\" contains unsupported characters ('$')"),
    ] {
        let error = expanded(given).unwrap_err();
        assert!(error.starts_with(&format!("{prefix}{message}\n")), "{given}: {error}");
    }
}

fn failure(uri: &str) -> String {
    resolve(&[uri.to_owned()], &fake()).unwrap_err().to_string()
}

#[test]
fn sources_that_cannot_be_used() {
    insta::assert_snapshot!(
        [
            "file:X", "/text", "/bad.yaml", "foo:bar", "/c.yaml", "env:LIST", "yaml:x",
        ]
        .map(failure)
        .join("\n"),
        @r#"
    failed to get config: cannot resolve the configuration: cannot retrieve the configuration: unable to read the file file:X: open X: no such file or directory
    failed to get config: cannot resolve the configuration: retrieved value (type=string) cannot be used as a Conf
    failed to get config: cannot resolve the configuration: retrieved value (type=string) cannot be used as a Conf: assuming string type since contents are not valid YAML: yaml: line 3: did not find expected node content (/bad.yaml:3:1)
    unsupported scheme on URI "foo:bar"
    failed to get config: cannot resolve the configuration: environment variable "1X" has invalid name: must match regex ^[a-zA-Z_][a-zA-Z0-9_]*$
      = hint: `${..}` is replaced before anything else is read; a literal `${` is written `$${`
      --> /c.yaml:3:5, in receivers::otlp::x
    failed to get config: cannot resolve the configuration: retrieved value (type=[]interface {}) cannot be used as a Conf
    failed to get config: cannot resolve the configuration: retrieved value (type=string) cannot be used as a Conf
    "#
    );
    assert_eq!(resolve(&[], &fake()).unwrap_err().to_string(), "at least one config flag must be provided");
}

#[test]
fn later_sources_win_and_places_follow() {
    let uris = ["yaml:a: {b: 1, c: 2}", "env:WHOLE", "yaml:a::c: ${env:UNSET}"].map(str::to_owned);
    let resolved = resolve(&uris, &fake()).unwrap();
    assert_eq!(resolved.root.at("a::b"), Some(&Node::Int(5)));
    assert!(resolved.root.at("a::c").unwrap().is_null());
    assert_eq!(resolved.remarks, [Remark::UnsetVariable("UNSET".to_owned())]);
    let place = |path| resolved.origins.locate(path).map(|place| place.to_string());
    assert_eq!(place("a::b").as_deref(), Some("env:WHOLE:1:5"));
    assert_eq!(place("a::c::deeper").as_deref(), Some("yaml:a::c::1:1"));
    assert_eq!(place("zzz"), None);
}

#[test]
fn an_empty_source_is_an_empty_map() {
    let resolved = resolve(&["env:EMPTY".to_owned()], &fake()).unwrap();
    assert_eq!(resolved.root, Node::Map(Vec::new()));
}

fn any_node() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        Just(Node::Null),
        any::<bool>().prop_map(Node::Bool),
        any::<i64>().prop_map(Node::Int),
        (u64::MAX / 2 + 1..).prop_map(Node::Uint),
        (-1e9..1e9).prop_map(Node::Float),
        "[ -~]{0,12}".prop_map(Node::String),
        // The writer leaves `-_0` without quotes, which Go and so this reader take for a number.
        "[0-9_.xeo+-]{0,6}".prop_filter("a number in Go", |text| go_number(text).is_none()).prop_map(Node::String),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Node::List),
            prop::collection::btree_map("[a-z/:. 0-9]{1,6}", inner, 0..4)
                .prop_map(|map| Node::Map(map.into_iter().collect())),
        ]
    })
}

proptest! {
    /// No text makes the expander panic or run away, and without `${` only `$$` changes.
    #[test]
    fn expansion_is_total(text in "[${}:a-zA-Z_\\-\u{e4}]{0,24}") {
        let root = Node::Map(vec![("k".to_owned(), Node::String(text.clone()))]);
        let expanded = expand(root, &fake(), &mut Vec::new());
        if !text.contains("${") {
            let expected = Node::Map(vec![("k".to_owned(), Node::String(text.replace("$$", "$")))]);
            prop_assert_eq!(expanded.unwrap(), expected);
        }
    }

    /// What a YAML writer writes is read back as it was.
    #[test]
    fn written_yaml_is_read_back(node in any_node()) {
        let text = serde_yaml::to_string(&node.to_yaml()).unwrap();
        prop_assert_eq!(parse(&text).unwrap(), node, "{}", text);
    }

    /// Broken YAML is refused, never a panic; so are paths that lead nowhere.
    #[test]
    fn hostile_text_is_total(text in "[\\[\\]{}:,&*!|>'\"%@`# \n\t<a-c0-9-]{0,40}", path in "[a-c:\\[\\]0-9]{0,8}") {
        if let Ok(node) = parse(&text) {
            let known = node.known_prefix(&path);
            prop_assert!(path.starts_with(known));
            let _ = yaml::locate(&text, known);
        }
    }
}
