//! Differences that are meant, each with its reason. Anything else that differs fails the run.
//!
//! Where Go crashes, an error of ours is right, and where its answer varies, any: `GoOutcome::allows` says so.

use crate::{
    case::{Answer, Case},
    peer::{GoAnswer, GoOutcome},
};

/// Whether a difference is meant.
pub(crate) type Meant = fn(&Case, &GoAnswer, &Answer) -> bool;

/// Why a difference is meant, and which ones are.
pub(crate) const KNOWN: &[(&str, Meant)] = &[
    (
        "maps, times, bytes and structs under verbs that are not for them are printed as Go's structs and addresses",
        |case, go, ours| {
            let printed = [
                "attributes",
                "metadata",
                "body",
                "{",
                "time",
                "Time(",
                "Unix(",
                "Now(",
                "0x",
                "status",
                "JSON(",
                "data_points",
                "exemplars",
                "quantile_values",
                "positive",
                "negative",
                "events",
                "links",
            ];
            let formatted = case.text.contains("Format(") && printed.iter().any(|name| case.text.contains(name));
            let is_answer = |answer: &Answer| matches!(answer, Answer::Value(_) | Answer::True | Answer::False);
            formatted && matches!(&go.outcome, GoOutcome::Answer(answer) if is_answer(answer)) && is_answer(ours)
        },
    ),
    ("what follows an XPath is ignored by Go and refused here", |case, go, ours| {
        case.text.contains("XML(") && *ours == Answer::Refused && go.outcome != GoOutcome::Answer(Answer::Refused)
    }),
];
