//! Mistakes as the user sees them: Go's key path and words, then the place in the file.

use std::fmt;

use super::advice;
use super::resolve::Origins;
use super::section::{Problem, Problems, Stage};

/// All mistakes of a configuration, ready to be shown.
#[derive(Clone, Debug)]
pub struct Report {
    entries: Vec<Entry>,
    /// True for the `run` command, which says in front of validation mistakes what they are; `validate` prints them bare.
    pub prefixed: bool,
}

#[derive(Clone, Debug)]
struct Entry {
    problem: Problem,
    place: Option<String>,
}

impl Report {
    /// Mistakes with the places where they were made.
    #[must_use]
    pub fn new(problems: &Problems, origins: &Origins) -> Self {
        let mut entries: Vec<Entry> = problems
            .list()
            .iter()
            .map(|problem| Entry {
                problem: problem.clone(),
                place: origins.locate(&problem.at).map(|place| place.to_string()),
            })
            .collect();
        // Upstream reports stage by stage; within a stage the order of the file is the order of reading.
        entries.sort_by_key(|entry| entry.problem.stage);
        Self { entries, prefixed: true }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entries.first().map(|entry| entry.problem.stage) {
            Some(Stage::Decode) => f.write_str(
                "failed to get config: cannot unmarshal the configuration: decoding failed due to the following \
                 error(s):\n\n",
            )?,
            Some(Stage::Validate) if self.prefixed => f.write_str("invalid configuration: ")?,
            Some(Stage::Graph) => f.write_str("failed to build pipelines: ")?,
            _ => {}
        }
        for (index, Entry { problem, place }) in self.entries.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            if !problem.path.is_empty() {
                write!(f, "{}: ", problem.path)?;
            }
            f.write_str(problem.message.trim_end())?;
            if let Some(advice) = advice::on(problem) {
                write!(f, "\n  = hint: {advice}")?;
            }
            if let Some(place) = place {
                write!(f, "\n  --> {place}")?;
            }
        }
        Ok(())
    }
}
