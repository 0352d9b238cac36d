//! Answers that were accepted: a text file beside the file of tests, one part a test, made to be read in a review.

use std::collections::BTreeMap;
use std::path::PathBuf;

use similar::{ChangeTag, TextDiff};

use super::super::input;
use super::super::paint::Paint;

/// The accepted answers of one file of tests.
#[derive(Default)]
pub(super) struct Accepted {
    before: BTreeMap<String, String>,
    now: Vec<(String, String)>,
}

/// How answers compare with the accepted ones.
pub(super) enum Match {
    Same,
    /// Nothing was accepted, or something else, and now these are.
    Accepted,
    Missing,
    Different(String),
}

const HEAD: &str = "Accepted answers. `ottlcol ottl test --accept` writes this file; review its changes like code.\n";
const MARK: &str = "== ";

fn path_of(suite: &str) -> PathBuf {
    PathBuf::from(format!("{suite}.accepted"))
}

impl Accepted {
    /// Reads the file beside `suite`, if there is one.
    pub(super) fn read(suite: &str) -> Result<Self, input::Error> {
        let path = path_of(suite);
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Self { before: parts(&text), now: Vec::new() }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(cause) => Err(input::Error::File { path: path.display().to_string(), cause }),
        }
    }

    /// Compares the answers of a test; with `accept` they are right whatever they are.
    pub(super) fn compare(&mut self, test: &str, now: &str, accept: bool) -> Match {
        let name = format!("{test:?}");
        let before = self.before.remove(&name);
        self.now.push((name, now.to_owned()));
        match before {
            Some(before) if before == now => Match::Same,
            _ if accept => Match::Accepted,
            Some(before) => Match::Different(before),
            None => Match::Missing,
        }
    }

    /// Leaves what was accepted for a test as it is.
    pub(super) fn keep(&mut self, test: &str) {
        self.now.extend(self.before.remove_entry(&format!("{test:?}")));
    }

    /// Names of tests that answers were accepted for and that are not there any more, or have expected answers now.
    pub(super) fn unused(&self) -> Vec<String> {
        self.before.keys().cloned().collect()
    }

    /// Writes what was asked in this run, and what was kept; without any the file goes.
    pub(super) fn write(&self, suite: &str) -> Result<(), input::Error> {
        let path = path_of(suite);
        let done = if self.now.is_empty() {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            }
        } else {
            let parts: String = self.now.iter().map(|(name, text)| format!("\n{MARK}{name}\n{text}")).collect();
            std::fs::write(&path, format!("{HEAD}{parts}"))
        };
        done.map_err(|cause| input::Error::File { path: path.display().to_string(), cause })
    }
}

/// The parts of a file by quoted name.
fn parts(text: &str) -> BTreeMap<String, String> {
    let mut parts: BTreeMap<String, String> = BTreeMap::new();
    let mut current: Option<&mut String> = None;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix(MARK) {
            current = Some(parts.entry(name.to_owned()).or_default());
        } else if let Some(part) = current.as_mut()
            && !line.is_empty()
        {
            part.push_str(line);
            part.push('\n');
        }
    }
    parts
}

/// What changed, line by line.
pub(super) fn diff(before: &str, now: &str, paint: Paint) -> String {
    TextDiff::from_lines(before, now)
        .iter_all_changes()
        .map(|change| {
            let line = change.value().trim_end_matches('\n');
            match change.tag() {
                ChangeTag::Delete => paint.bad(&format!("-{line}")) + "\n",
                ChangeTag::Insert => paint.good(&format!("+{line}")) + "\n",
                ChangeTag::Equal => format!(" {line}\n"),
            }
        })
        .collect()
}
