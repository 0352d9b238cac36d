//! How answers are shown, and how many there are of each.

use std::collections::BTreeMap;

use ottl::trace::{Answer, Trace};
use serde_json::{Value as Json, json};

use super::paint::Paint;

/// Counts of answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) yes: usize,
    pub(super) no: usize,
    /// By what went wrong.
    pub(super) errors: BTreeMap<String, usize>,
    /// Values of an expression that is no condition.
    pub(super) values: usize,
}

impl Counts {
    pub(super) fn add(&mut self, answer: &Answer) {
        match answer {
            Answer::Bool(true) => self.yes += 1,
            Answer::Bool(false) => self.no += 1,
            Answer::Error(error) => *self.errors.entry(error.to_string()).or_default() += 1,
            Answer::Value { .. } | Answer::NotAsked => self.values += 1,
        }
    }

    pub(super) fn failed(&self) -> usize {
        self.errors.values().sum()
    }

    pub(super) fn all(&self) -> usize {
        self.yes + self.no + self.values + self.failed()
    }

    /// `2 true, 1 false, 1 error (value has the wrong type)`
    pub(super) fn text(&self, paint: Paint) -> String {
        let mut text = match self.values {
            0 => {
                format!(
                    "{}, {}",
                    paint.good(&format!("{} true", self.yes)),
                    paint.number(&format!("{} false", self.no))
                )
            }
            1 => "1 value".to_owned(),
            n => format!("{n} values"),
        };
        for (what, count) in &self.errors {
            let errors = if *count == 1 { "error" } else { "errors" };
            text += &format!(", {} ({what})", paint.bad(&format!("{count} {errors}")));
        }
        text
    }

    pub(super) fn json(&self) -> Json {
        json!({ "all": self.all(), "true": self.yes, "false": self.no, "error": self.failed(), "errors": self.errors })
    }
}

/// An answer in its colour.
pub(super) fn painted(answer: &Answer, paint: Paint) -> String {
    let text = answer.to_string();
    match answer {
        Answer::Bool(true) => paint.good(&text),
        Answer::Bool(false) => paint.number(&text),
        Answer::Value { .. } => paint.value(&text),
        Answer::Error(_) => paint.bad(&text),
        Answer::NotAsked => paint.dim(&text),
    }
}

/// A trace, one line a part.
pub(super) fn lines(trace: &Trace, depth: usize, paint: Paint) -> String {
    let mut text = format!(
        "{:indent$}{}  =>  {}\n",
        "",
        paint.ottl(&trace.text),
        painted(&trace.answer, paint),
        indent = depth * 2
    );
    for part in &trace.parts {
        text += &lines(part, depth + 1, paint);
    }
    text
}

/// A trace for scripts.
pub(super) fn trace_json(trace: &Trace) -> Json {
    let mut value =
        json!({ "text": trace.text, "start": trace.span.start, "end": trace.span.end, "answer": trace.answer.kind() });
    match &trace.answer {
        Answer::Value { text, ty } => {
            value["answer"] = json!("value");
            value["type"] = json!(ty);
            value["value"] = json!(text);
        }
        Answer::Error(error) => value["error"] = json!(error.to_string()),
        Answer::Bool(_) | Answer::NotAsked => {}
    }
    if !trace.parts.is_empty() {
        value["parts"] = trace.parts.iter().map(trace_json).collect();
    }
    value
}
