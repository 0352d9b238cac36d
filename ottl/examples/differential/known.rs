//! Differences that are meant, each with its reason. Anything else that differs fails the run.
//!
//! Where Go crashes, an error of ours is right: `GoOutcome::allows` says so, and nothing else is meant so far.

use crate::{
    case::{Answer, Case},
    peer::GoAnswer,
};

/// Whether a difference is meant.
pub(crate) type Meant = fn(&Case, &GoAnswer, Answer) -> bool;

/// Why a difference is meant, and which ones are.
pub(crate) const KNOWN: &[(&str, Meant)] = &[];
