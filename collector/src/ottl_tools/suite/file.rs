//! The file of tests, checked: every mistake of it at once, with key path, line and column.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use clap::ValueEnum as _;

use super::super::fixture::{self, kind};
use super::super::input::{self, Sample};
use super::super::question::{ContextName, Reading};
use crate::config::{Document, Node, Problems};

/// A file of tests.
pub(super) struct Suite {
    pub(super) path: String,
    document: Document,
    /// Spans by name, in the order of the file.
    spans: Vec<(String, Sample)>,
    pub(super) cases: Vec<Case>,
}

/// One condition with what it is asked of and what is expected.
pub(super) struct Case {
    /// Its key path.
    pub(super) path: String,
    pub(super) name: String,
    pub(super) condition: String,
    pub(super) reading: Reading,
    asked: Asked,
    /// `None` compares with accepted answers.
    pub(super) expected: Option<Expectation>,
}

enum Asked {
    /// Spans of the file by name; all if there are no names.
    Spans(Vec<String>),
    /// The content of other files.
    Input(Vec<Sample>),
}

/// What an answer should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Bool(bool),
    AnyError,
    /// An error whose text contains this.
    Error(String),
}

/// All expected answers of a test.
pub(super) enum Expectation {
    /// The same for everything that is asked.
    All(Expected),
    /// One each, in order.
    List(Vec<Expected>),
    /// By span; several where a span has several events.
    Spans(BTreeMap<String, Vec<Expected>>),
}

const SUITE_KEYS: [&str; 4] = ["context", "prefixed", "spans", "tests"];
const CASE_KEYS: [&str; 7] = ["name", "condition", "context", "prefixed", "spans", "input", "expect"];

impl Suite {
    /// Reads a file; the error is everything that is wrong with it.
    pub(super) fn read(path: &str, text: String) -> Result<Self, String> {
        let document = Document::parse(path, text).map_err(|error| format!("{path}: {error}"))?;
        let mut problems = Problems::default();
        let mut spans = Vec::new();
        let mut cases = Vec::new();
        {
            let mut reader = Reader { problems: &mut problems, directory: Path::new(path).parent() };
            let root = document.root();
            reader.known_keys(root, "", &SUITE_KEYS);
            let defaults = Reading {
                context: root.get("context").and_then(|node| reader.context(node, "context")),
                prefixed: root.get("prefixed").is_some_and(|node| reader.flag(node, "prefixed")),
                no_jit: false,
            };
            for (name, node) in root.get("spans").map(Node::entries).unwrap_or_default() {
                if let Some(sample) = fixture::span(node, &format!("spans::{name}"), reader.problems) {
                    spans.push((name.clone(), sample));
                }
            }
            let names: Vec<&str> = root
                .get("spans")
                .map(Node::entries)
                .unwrap_or_default()
                .iter()
                .map(|(name, _)| name.as_str())
                .collect();
            match root.get("tests") {
                Some(Node::List(items)) if !items.is_empty() => {
                    for (index, item) in items.iter().enumerate() {
                        cases.extend(reader.case(item, &format!("tests[{index}]"), defaults, &names));
                    }
                }
                _ => reader.problems.add("tests", "expected a list of at least one test"),
            }
            reader.names_differ(&cases);
        }
        match problems.is_empty() {
            true => Ok(Self { path: path.to_owned(), document, spans, cases }),
            false => Err(document.report(&problems)),
        }
    }

    /// `checks.yaml:3:5`
    pub(super) fn place(&self, path: &str) -> String {
        let place = self.document.locate(path).map(|at| format!(":{at}")).unwrap_or_default();
        format!("{}{place}", self.path)
    }

    /// What a test asks its condition of, with the names of spans of the file.
    pub(super) fn samples<'s>(&'s self, case: &'s Case) -> Vec<(&'s str, &'s Sample)> {
        match &case.asked {
            Asked::Input(samples) => samples.iter().map(|sample| ("", sample)).collect(),
            Asked::Spans(names) => self
                .spans
                .iter()
                .filter(|(name, _)| names.is_empty() || names.contains(name))
                .map(|(name, sample)| (name.as_str(), sample))
                .collect(),
        }
    }
}

struct Reader<'p> {
    problems: &'p mut Problems,
    directory: Option<&'p Path>,
}

impl Reader<'_> {
    fn wrong<T>(&mut self, path: &str, message: impl Into<String>) -> Option<T> {
        self.problems.add(path, message);
        None
    }

    fn known_keys(&mut self, node: &Node, path: &str, known: &[&str]) {
        if !matches!(node, Node::Map(_)) {
            self.problems.add(path, format!("expected a map, got {}", kind(node)));
        }
        for (key, _) in node.entries() {
            if !known.contains(&key.as_str()) {
                let at = if path.is_empty() { key.clone() } else { format!("{path}::{key}") };
                self.problems.add_at(path, at, format!("has no key {key:?}; keys here are {}", known.join(", ")));
            }
        }
    }

    fn case(&mut self, node: &Node, path: &str, defaults: Reading, spans: &[&str]) -> Option<Case> {
        self.known_keys(node, path, &CASE_KEYS);
        let at = |key: &str| format!("{path}::{key}");
        let condition = match node.get("condition") {
            Some(node) => self.text(node, &at("condition"))?,
            None => return self.wrong(path, "requires a condition"),
        };
        let name = match node.get("name") {
            Some(node) => self.text(node, &at("name"))?,
            None => condition.clone(),
        };
        let reading = Reading {
            context: match node.get("context") {
                Some(node) => self.context(node, &at("context")),
                None => defaults.context,
            },
            prefixed: node.get("prefixed").map_or(defaults.prefixed, |node| self.flag(node, &at("prefixed"))),
            no_jit: false,
        };
        let asked = match (node.get("input"), node.get("spans")) {
            (Some(_), Some(_)) => return self.wrong(&at("spans"), "stands beside an input; write one of them"),
            (Some(input), None) => Asked::Input(self.inputs(input, &at("input"))?),
            (None, Some(names)) => Asked::Spans(self.span_names(names, &at("spans"), spans)?),
            (None, None) if spans.is_empty() => {
                return self.wrong(path, "has nothing to ask; write spans at the top of the file, or an input here");
            }
            (None, None) => Asked::Spans(Vec::new()),
        };
        let expected = match node.get("expect") {
            Some(node) => Some(self.expectation(node, &at("expect"), &asked, spans)?),
            None => None,
        };
        Some(Case { path: path.to_owned(), name, condition, reading, asked, expected })
    }

    fn inputs(&mut self, node: &Node, path: &str) -> Option<Vec<Sample>> {
        let names = self.texts(node, path)?;
        let mut samples = Vec::new();
        for name in names {
            let file = self.directory.map_or_else(|| name.clone().into(), |directory| directory.join(&name));
            match input::read(&file.to_string_lossy()) {
                Ok(sample) => samples.push(sample),
                Err(error) => return self.wrong(path, error.to_string()),
            }
        }
        Some(samples)
    }

    fn span_names(&mut self, node: &Node, path: &str, spans: &[&str]) -> Option<Vec<String>> {
        let names = self.texts(node, path)?;
        if names.is_empty() {
            return self.wrong(path, "names no span");
        }
        match names.iter().find(|name| !spans.contains(&name.as_str())) {
            Some(name) => self.wrong(path, format!("there is no span {name:?}; spans are {}", quoted(spans))),
            None => Some(names),
        }
    }

    fn expectation(&mut self, node: &Node, path: &str, asked: &Asked, spans: &[&str]) -> Option<Expectation> {
        match node {
            Node::Map(entries) => {
                let own: Vec<&str> = match asked {
                    Asked::Spans(names) if names.is_empty() => spans.to_vec(),
                    Asked::Spans(names) => names.iter().map(String::as_str).collect(),
                    Asked::Input(_) => {
                        return self
                            .wrong(path, "spans of an input have no names here; write a list, or one answer for all");
                    }
                };
                let mut found = BTreeMap::new();
                for (name, node) in entries {
                    let path = format!("{path}::{name}");
                    if !own.contains(&name.as_str()) {
                        let message = format!("there is no span {name:?} here; spans are {}", quoted(&own));
                        return self.wrong(&path, message);
                    }
                    found.insert(name.clone(), self.answers(node, &path)?);
                }
                // A span that nobody expects anything of is a test that looks more complete than it is.
                match own.iter().find(|name| !found.contains_key(**name)) {
                    Some(name) => self.wrong(path, format!("says nothing about span {name:?}")),
                    None => Some(Expectation::Spans(found)),
                }
            }
            Node::List(_) => self.answers(node, path).map(Expectation::List),
            node => self.answer(node, path).map(Expectation::All),
        }
    }

    fn answers(&mut self, node: &Node, path: &str) -> Option<Vec<Expected>> {
        match node {
            Node::List(items) => {
                items.iter().enumerate().map(|(index, item)| self.answer(item, &format!("{path}[{index}]"))).collect()
            }
            node => Some(vec![self.answer(node, path)?]),
        }
    }

    fn answer(&mut self, node: &Node, path: &str) -> Option<Expected> {
        match node {
            Node::Bool(flag) => Some(Expected::Bool(*flag)),
            Node::String(text) if text == "error" => Some(Expected::AnyError),
            Node::Map(_) => match node.get("error") {
                Some(Node::String(text)) if node.entries().len() == 1 => Some(Expected::Error(text.clone())),
                _ => self.wrong(path, "expected {error: text}"),
            },
            _ => self.wrong(path, "expected true, false, error or {error: text}"),
        }
    }

    fn context(&mut self, node: &Node, path: &str) -> Option<ContextName> {
        let text = self.text(node, path)?;
        match ContextName::from_str(&text, false) {
            Ok(context) => Some(context),
            Err(_) => {
                let known: Vec<String> = ContextName::value_variants()
                    .iter()
                    .filter_map(|context| Some(context.to_possible_value()?.get_name().to_owned()))
                    .collect();
                self.wrong(path, format!("there is no context {text:?}; contexts are {}", known.join(", ")))
            }
        }
    }

    fn flag(&mut self, node: &Node, path: &str) -> bool {
        match node {
            Node::Bool(flag) => *flag,
            other => {
                self.problems.add(path, format!("expected true or false, got {}", kind(other)));
                false
            }
        }
    }

    fn text(&mut self, node: &Node, path: &str) -> Option<String> {
        match node {
            Node::String(text) => Some(text.clone()),
            // `condition: true` is a condition, too.
            Node::Bool(flag) => Some(flag.to_string()),
            other => self.wrong(path, format!("expected a string, got {}", kind(other))),
        }
    }

    fn texts(&mut self, node: &Node, path: &str) -> Option<Vec<String>> {
        match node {
            Node::List(items) => {
                items.iter().enumerate().map(|(index, item)| self.text(item, &format!("{path}[{index}]"))).collect()
            }
            node => Some(vec![self.text(node, path)?]),
        }
    }

    /// Accepted answers are found by name.
    fn names_differ(&mut self, cases: &[Case]) {
        for (index, case) in cases.iter().enumerate() {
            if cases[..index].iter().any(|before| before.name == case.name) {
                self.problems.add(case.path.clone(), format!("there are two tests {:?}; give them names", case.name));
            }
        }
    }
}

fn quoted(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    names.join(", ")
}

impl Expectation {
    /// What is expected of the answer at `index`: the `number`th, from 1, that was asked of the span `name`.
    pub(super) fn of(&self, name: &str, number: usize, index: usize) -> Option<Expected> {
        match self {
            Self::All(expected) => Some(expected.clone()),
            Self::List(list) => list.get(index).cloned(),
            Self::Spans(spans) => spans.get(name).and_then(|list| list.get(number - 1)).cloned(),
        }
    }

    /// Answers that were expected and never given, and answers that nobody expected.
    pub(super) fn left_over(&self, given: &[(&str, usize)]) -> Vec<String> {
        let differ = |what: String, expected: usize, given: usize| {
            (expected != given).then(|| format!("{what}{expected} answers expected, {given} given"))
        };
        match self {
            Self::All(_) => Vec::new(),
            Self::List(list) => differ(String::new(), list.len(), given.len()).into_iter().collect(),
            Self::Spans(spans) => spans
                .iter()
                .filter_map(|(name, list)| {
                    let given = given.iter().filter(|(of, _)| of == name).count();
                    differ(format!("span {name:?}: "), list.len(), given)
                })
                .collect(),
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(flag) => flag.fmt(f),
            Self::AnyError => f.write_str("an error"),
            Self::Error(text) => write!(f, "an error with {text:?}"),
        }
    }
}
