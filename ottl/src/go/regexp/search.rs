//! A pattern reduced to what "does it match anywhere" asks: no more than a set of literals where it is one, and for the
//! rest a pattern without what may match nothing at its open ends, so that the engine can look for its literals.
//!
//! Where it matches is lost: `lit.*` and `lit` are the same search. Captures need the whole pattern.

use memchr::memmem::Finder;
use regex_syntax::hir::literal::{ExtractKind, Extractor};
use regex_syntax::hir::{Hir, HirKind, Look};

use super::Engine;

/// More literals than these are the engine's business.
const MAX_LITERALS: usize = 32;

/// Each is searched for by itself, so more of them are better searched for together, by the engine.
const MAX_CONTAINED: usize = 4;

/// Texts, any of which is what a pattern asks for.
pub type Literals = Box<[Box<[u8]>]>;

/// What a pattern asks of a text.
#[derive(Clone, Debug)]
pub enum Search {
    /// Nothing: every text matches.
    Always,
    /// It is one of these.
    OneOf(Literals),
    /// It starts with one of these.
    StartsWith(Literals),
    /// It ends with one of these.
    EndsWith(Literals),
    /// It has one of these somewhere.
    Contains(Box<[Finder<'static>]>),
    /// The engine says yes, on a pattern that matches the same texts.
    Engine(Box<Engine>),
}

impl Search {
    /// Reduces `pattern`, which is in the syntax of the `regex` crate and compiled is `whole`.
    pub(super) fn new(
        pattern: &str,
        whole: &regex::Regex,
        compile: impl Fn(&str) -> Result<regex::Regex, regex::Error>,
    ) -> Self {
        let engine = |parsed: Option<&Hir>| Search::Engine(Box::new(Engine::new(whole.clone(), parsed)));
        // The parser's own bound on nesting may be the smaller one: such a pattern is no plain text.
        let Ok(parsed) = regex_syntax::parse(pattern) else { return engine(None) };
        let open = strip(&parsed);
        let (from_start, to_end, middle) = anchors(&open);
        if let Some(literals) = literals(&middle) {
            let is_whole = from_start && to_end;
            if !is_whole && literals.iter().any(|literal| literal.is_empty()) {
                return Search::Always;
            }
            match (from_start, to_end) {
                (true, true) => return Search::OneOf(literals),
                (true, false) => return Search::StartsWith(literals),
                (false, true) => return Search::EndsWith(literals),
                (false, false) if literals.len() <= MAX_CONTAINED => {
                    return Search::Contains(literals.iter().map(|text| Finder::new(text).into_owned()).collect());
                }
                (false, false) => {}
            }
        }
        if open == parsed {
            return engine(Some(&parsed));
        }
        // What is left is smaller; should it not compile for another reason, the whole does.
        match compile(&open.to_string()) {
            Ok(compiled) => Search::Engine(Box::new(Engine::new(compiled, Some(&open)))),
            Err(_) => engine(Some(&parsed)),
        }
    }

    /// Whether a text matches. One that is not UTF-8 is read as Go reads it.
    pub(super) fn is_match(&self, text: &[u8]) -> bool {
        match self {
            Search::Always => true,
            Search::OneOf(literals) => literals.iter().any(|literal| **literal == *text),
            Search::StartsWith(literals) => literals.iter().any(|literal| text.starts_with(literal)),
            Search::EndsWith(literals) => literals.iter().any(|literal| text.ends_with(literal)),
            Search::Contains(finders) => finders.iter().any(|finder| finder.find(text).is_some()),
            Search::Engine(engine) => engine.is_match(text),
        }
    }
}

/// Without groups' numbers around everything, and without what may match nothing at the ends: `.*x.*` is found wherever
/// `x` is.
fn strip(pattern: &Hir) -> Hir {
    let optional = |part: &Hir| matches!(part.kind(), HirKind::Repetition(again) if again.min == 0);
    let mut parts = match pattern.kind() {
        HirKind::Capture(group) => return strip(&group.sub),
        _ => concatenated(pattern),
    };
    while let Some((_, rest)) = parts.split_first().filter(|(first, _)| optional(first)) {
        parts = rest;
    }
    while let Some((_, rest)) = parts.split_last().filter(|(last, _)| optional(last)) {
        parts = rest;
    }
    Hir::concat(parts.to_vec())
}

fn concatenated(pattern: &Hir) -> &[Hir] {
    match pattern.kind() {
        HirKind::Concat(parts) => parts,
        _ => std::slice::from_ref(pattern),
    }
}

/// Whether it is tied to the start and to the end of the text, and what is between.
fn anchors(pattern: &Hir) -> (bool, bool, Hir) {
    let mut parts = concatenated(pattern);
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
fn literals(pattern: &Hir) -> Option<Literals> {
    if !pattern.properties().look_set().is_empty() {
        return None;
    }
    let mut extractor = Extractor::new();
    extractor.kind(ExtractKind::Prefix).limit_total(MAX_LITERALS).limit_literal_len(usize::MAX);
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
        let whole = regex::Regex::new(pattern).unwrap();
        match Search::new(pattern, &whole, regex::Regex::new) {
            Search::Always => "always".into(),
            Search::OneOf(set) => format!("one of: {}", texts(&set)),
            Search::StartsWith(set) => format!("starts with: {}", texts(&set)),
            Search::EndsWith(set) => format!("ends with: {}", texts(&set)),
            Search::Contains(set) => {
                let set: Vec<Box<[u8]>> = set.iter().map(|finder| finder.needle().into()).collect();
                format!("contains: {}", texts(&set))
            }
            Search::Engine(rest) if rest.as_str() == pattern => "all of it".into(),
            Search::Engine(rest) => rest.as_str().to_owned(),
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
    fn long_texts_are_compared_too() {
        let long = "x".repeat(1000);
        assert_eq!(shown(&format!(r"\A{long}")), format!("starts with: {long}"));
    }

    #[test]
    fn open_ends_are_cut() {
        assert_eq!(shown(r"(?:.)*(Googlebot|bingbot)(?:.)*"), "contains: Googlebot bingbot");
        assert_eq!(shown(r"(?:.)*(a+|b)"), "((?:a+|b))");
        assert_eq!(shown("a+b"), "all of it");
    }
}
