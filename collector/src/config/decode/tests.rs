use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::{Duration, Problems, Secret, Section, optional};

#[derive(Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
struct Config {
    count: u32,
    signed: i64,
    rate: f64,
    on: bool,
    name: String,
    timeout: Duration,
    kind: Kind,
    list: Vec<String>,
    items: Vec<Item>,
    headers: BTreeMap<String, Secret>,
    #[serde(deserialize_with = "optional::given")]
    queue: Option<Queue>,
    #[serde(deserialize_with = "optional::given")]
    grpc: Option<Queue>,
    #[serde(deserialize_with = "optional::unless_given")]
    extra: Option<Queue>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            count: 7,
            signed: 0,
            rate: 0.5,
            on: true,
            name: "x".to_owned(),
            timeout: Duration::from_secs(5),
            kind: Kind::Small,
            list: vec!["default".to_owned()],
            items: Vec::new(),
            headers: BTreeMap::new(),
            queue: Some(Queue::default()),
            grpc: None,
            extra: None,
        }
    }
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Small,
    Large,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Item {
    key: String,
    #[serde(default)]
    value: i64,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(default)]
struct Queue {
    size: u64,
}

impl Default for Queue {
    fn default() -> Self {
        Self { size: 1000 }
    }
}

fn decode(yaml: &str) -> (Option<Config>, Problems) {
    let mut problems = Problems::default();
    let config = Section::parse("part/a", "processors", yaml).unwrap().decode(&mut problems);
    (config, problems)
}

fn right(yaml: &str) -> Config {
    let (config, problems) = decode(yaml);
    assert!(problems.is_empty(), "{problems:?}");
    config.unwrap()
}

fn wrong(yaml: &str) -> Vec<String> {
    let problems = decode(yaml).1;
    problems.list().iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect()
}

#[test]
fn null_keeps_defaults_everywhere() {
    let nothing = "count:\nsigned: ~\nrate:\non:\nname:\ntimeout:\nkind:\nlist:\nitems:\nheaders:\n";
    assert_eq!(right(nothing), Config::default());
    assert_eq!(right(""), Config::default());
}

#[test]
fn numbers_lists_and_enums() {
    let config = right("count: 50_000\nsigned: 0777\nrate: 2\nlist: a,b\nkind: large\ntimeout: 1m\nname: ''\n");
    assert_eq!((config.count, config.signed, config.rate), (50_000, 511, 2.0));
    assert_eq!(config.list, ["a", "b"]);
    assert_eq!((config.kind, config.timeout), (Kind::Large, Duration::from_secs(60)));
    assert_eq!(right("list: ''").list, Vec::<String>::new());
    assert_eq!(right("count: 1e3").count, 1000);
}

#[test]
fn optional_sections_have_three_flavours() {
    let some = |size| Some(Queue { size });
    let all = |config: Config| (config.queue, config.grpc, config.extra);
    assert_eq!(all(right("")), (some(1000), None, None));
    assert_eq!(all(right("queue:\ngrpc:\nextra:\n")), (some(1000), some(1000), None));
    assert_eq!(all(right("queue: {enabled: false}\ngrpc: {}\nextra: {}\n")), (None, some(1000), some(1000)));
    assert_eq!(all(right("queue: {enabled: true, size: 3}\nextra: {size: 4}")), (some(3), None, some(4)));
    assert_eq!(
        wrong("queue: {enabled: 5, sizee: 1}"),
        ["processors::part/a::queue::enabled: expected type 'bool', got unconvertible type 'int'"]
            .map(str::to_owned)
            .into_iter()
            .chain(["processors::part/a::queue: has invalid keys: sizee (did you mean \"size\"?)".to_owned()])
            .collect::<Vec<_>>()
    );
}

#[test]
fn every_mistake_is_reported_with_its_path() {
    let found = wrong(
        "countt: 1\nzzz: 2\ncount: -1\nsigned: '5'\nrate: x\non: 1\nname: 5\ntimeout: 5\nkind: lagre\n\
         items: [{key: a, valu: 2}, {value: x}, 7, {key: b, value: 1.5}]\nlist: {a: b}\nheaders: [1]\ngrpc: 3\n",
    );
    insta::assert_snapshot!(found.join("\n"), @r#"
    processors::part/a: has invalid keys: countt, zzz
    processors::part/a::count: cannot parse, -1 overflows uint32
    processors::part/a::signed: expected type 'int', got unconvertible type 'string'
    processors::part/a::rate: expected type 'float64', got unconvertible type 'string'
    processors::part/a::on: expected type 'bool', got unconvertible type 'int'
    processors::part/a::name: expected type 'string', got unconvertible type 'int'
    processors::part/a::timeout: time: missing unit in duration "5"
    processors::part/a::kind: invalid value "lagre" (valid values: [small large]) (did you mean "large"?)
    processors::part/a::items[0]: has invalid keys: valu (did you mean "value"?)
    processors::part/a::items[1]::value: expected type 'int', got unconvertible type 'string'
    processors::part/a::items[1]: requires the key "key"
    processors::part/a::items[2]: expected type 'map', got unconvertible type 'int'
    processors::part/a::items[3]::value: expected type 'int', got unconvertible type 'float64'
    processors::part/a::list: expected type 'list', got unconvertible type 'map'
    processors::part/a::headers: expected type 'map', got unconvertible type 'list'
    processors::part/a::grpc: expected type 'map', got unconvertible type 'int'
    "#);
}

#[test]
fn unknown_keys_alone_still_give_the_value() {
    let (config, problems) = decode("count: 9\nnamee: x\n");
    assert_eq!(config.map(|config| config.count), Some(9));
    assert_eq!(problems.list()[0].at, "processors::part/a::namee");
}

#[test]
fn checks_run_beside_wrong_values_and_do_not_speak_of_their_defaults() {
    let section = Section::parse("part/a", "processors", "{count: -1, name: '', timeout: 5s}").unwrap();
    let mut problems = Problems::default();
    let made = section.read(&mut problems, |config: Config, problems| {
        problems.add("processors::part/a::name", format!("must not be {:?}", config.name));
        problems.add("processors::part/a::count", "must not be the default");
        problems.add("processors::part/a", "needs a count");
        problems.add("processors::part/a", "needs a rate");
        Some(config)
    });
    assert!(made.is_none());
    let found: Vec<String> = problems.list().iter().map(|p| format!("{}: {}", p.path, p.message)).collect();
    insta::assert_snapshot!(found.join("\n"));
}

#[test]
fn secrets_are_remembered_and_not_shown() {
    let (config, problems) = decode("headers: {authorization: abc}");
    let headers = config.unwrap().headers;
    assert_eq!(headers["authorization"].reveal(), "abc");
    assert_eq!(format!("{headers:?}"), r#"{"authorization": [REDACTED]}"#);
    assert_eq!(problems.secrets(), ["processors::part/a::headers::authorization"]);
}
