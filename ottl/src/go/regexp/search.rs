//! A pattern reduced to what "does it match anywhere" asks: no more than a set of literals where it is one, and for the
//! rest a pattern without what may match nothing at its open ends, so that the engine can look for its literals.
//!
//! Where it matches is lost: captures need the whole pattern.

use regex_syntax::hir::literal::{ExtractKind, Extractor};
use regex_syntax::hir::{Hir, HirKind, Look};

/// More literals than these are the engine's business.
const MAX_LITERALS: usize = 32;

/// Each is searched for by itself, so more of them are better searched for together, by the engine.
const MAX_CONTAINED: usize = 4;

/// What is left of a pattern.
#[derive(Clone, Debug)]
pub(super) enum Search {
    /// The text is one of these.
    OneOf(Box<[Box<[u8]>]>),
    /// The text starts with one of these.
    StartsWith(Box<[Box<[u8]>]>),
    /// The text has one of these somewhere.
    Contains(Box<[Box<[u8]>]>),
    /// The engine, on a pattern that matches the same texts.
    Engine(String),
}

/// Reduces a pattern of the `regex` crate; `None` if nothing can be left out.
pub(super) fn reduce(pattern: &str) -> Option<Search> {
    let whole = regex_syntax::parse(pattern).ok()?;
    let open = strip(&whole);
    let (from_start, to_end, middle) = anchors(&open);
    if from_start && let Some(literals) = literals(&middle) {
        return Some(if to_end { Search::OneOf(literals) } else { Search::StartsWith(literals) });
    }
    if !from_start
        && !to_end
        && let Some(literals) = literals(&middle).filter(|all| all.len() <= MAX_CONTAINED)
    {
        return Some(Search::Contains(literals));
    }
    (open != whole).then(|| Search::Engine(open.to_string()))
}

/// Without groups' numbers around everything, and without what may match nothing at the ends: `.*x.*` is found wherever
/// `x` is.
fn strip(pattern: &Hir) -> Hir {
    match pattern.kind() {
        HirKind::Capture(group) => strip(&group.sub),
        HirKind::Concat(parts) => {
            let mut parts = parts.as_slice();
            let optional = |part: &Hir| matches!(part.kind(), HirKind::Repetition(again) if again.min == 0);
            while let Some((_, rest)) = parts.split_first().filter(|(first, _)| optional(first)) {
                parts = rest;
            }
            while let Some((_, rest)) = parts.split_last().filter(|(last, _)| optional(last)) {
                parts = rest;
            }
            Hir::concat(parts.to_vec())
        }
        _ => pattern.clone(),
    }
}

/// Whether it is tied to the start and to the end of the text, and what is between.
fn anchors(pattern: &Hir) -> (bool, bool, Hir) {
    let HirKind::Concat(parts) = pattern.kind() else { return (false, false, pattern.clone()) };
    let mut parts = parts.as_slice();
    let (mut from_start, mut to_end) = (false, false);
    while let Some((_, rest)) = parts.split_first().filter(|(first, _)| is_look(first, Look::Start)) {
        from_start = true;
        parts = rest;
    }
    while let Some((_, rest)) = parts.split_last().filter(|(last, _)| is_look(last, Look::End)) {
        to_end = true;
        parts = rest;
    }
    (from_start, to_end, Hir::concat(parts.to_vec()))
}

fn is_look(part: &Hir, look: Look) -> bool {
    matches!(part.kind(), HirKind::Look(found) if *found == look)
}

/// All texts that it matches, if they are few and nothing looks around. U+FFFD also stands for bytes that are not UTF-8,
/// which a compare would miss.
fn literals(pattern: &Hir) -> Option<Box<[Box<[u8]>]>> {
    if !pattern.properties().look_set().is_empty() {
        return None;
    }
    let mut extractor = Extractor::new();
    extractor.kind(ExtractKind::Prefix).limit_total(MAX_LITERALS);
    let found = extractor.extract(pattern);
    let literals = found.literals().filter(|_| found.is_exact())?;
    let replacement = char::REPLACEMENT_CHARACTER.to_string();
    let plain = |text: &[u8]| !text.windows(replacement.len()).any(|part| part == replacement.as_bytes());
    literals
        .iter()
        .all(|literal| plain(literal.as_bytes()))
        .then(|| literals.iter().map(|literal| Box::from(literal.as_bytes())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pattern: &str) -> String {
        let texts =
            |set: &[Box<[u8]>]| set.iter().map(|text| String::from_utf8_lossy(text)).collect::<Vec<_>>().join(" ");
        match reduce(pattern) {
            None => "all of it".into(),
            Some(Search::OneOf(set)) => format!("one of: {}", texts(&set)),
            Some(Search::Contains(set)) => format!("contains: {}", texts(&set)),
            Some(Search::StartsWith(set)) => format!("starts with: {}", texts(&set)),
            Some(Search::Engine(rest)) => rest,
        }
    }

    #[test]
    fn few_texts_are_compared() {
        assert_eq!(shown(r"\A/(ready|live)z?\z"), "one of: /readyz /ready /livez /live");
        assert_eq!(shown(r"\A(?:GET|POST) "), "starts with: GET  POST ");
        assert_eq!(shown(r"\A[a-z]{9}\z"), "all of it");
        assert_eq!(shown(r"\Aa\b\z"), "all of it");
    }

    #[test]
    fn open_ends_are_cut() {
        assert_eq!(shown(r"(?:.)*(Googlebot|bingbot)(?:.)*"), "contains: Googlebot bingbot");
        assert_eq!(shown(r"(?:.)*(a+|b)"), "((?:a+|b))");
        assert_eq!(shown("a+b"), "all of it");
    }
}
