//! A pattern that needs an automaton, with a small one for the texts that nearly all are: short, and ASCII.
//!
//! The general engine picks a strategy, takes a cache from a pool and looks for literals; for a span's name that costs
//! several times what walking a table byte by byte does. Where the table has no answer, and for long texts, the general
//! engine has one.

use regex_syntax::hir::{Hir, HirKind, Look};

use super::{Repaired, table::Table};

/// Longer texts are searched by the general engine, which skips to literals.
const MAX_WALKED: usize = 256;

/// A compiled pattern, asked whether it matches.
#[derive(Clone, Debug)]
pub struct Engine {
    whole: regex::Regex,
    /// What every text that matches starts with; empty where that is not known.
    prefix: Box<[u8]>,
    table: Option<Table>,
}

impl Engine {
    /// `parsed` is `whole`, parsed.
    pub(super) fn new(whole: regex::Regex, parsed: Option<&Hir>) -> Self {
        let prefix = parsed.map(prefix).unwrap_or_default();
        let table = Table::new(whole.as_str(), parsed, &prefix);
        Self { whole, prefix, table }
    }

    /// The pattern in the syntax of the `regex` crate.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.whole.as_str()
    }

    /// What every text that matches starts with; empty where that is not known.
    #[must_use]
    pub fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// Whether it matches anywhere in the text. One that is not UTF-8 is read as Go reads it.
    #[must_use]
    pub fn is_match(&self, text: &[u8]) -> bool {
        if !self.prefix.is_empty() {
            return text.starts_with(&self.prefix) && self.is_match_behind_prefix(text);
        }
        self.walk(text, 0).unwrap_or_else(|| self.search(text))
    }

    /// As [`Engine::is_match`] for a text that is known to start with the prefix.
    #[inline]
    #[must_use]
    pub fn is_match_behind_prefix(&self, text: &[u8]) -> bool {
        self.walk(text, self.prefix.len()).unwrap_or_else(|| self.search(text))
    }

    #[inline]
    fn walk(&self, text: &[u8], from: usize) -> Option<bool> {
        let table = self.table.as_ref().filter(|_| text.len() <= MAX_WALKED)?;
        table.is_match(text.get(from..)?, from > 0)
    }

    #[inline(never)]
    fn search(&self, text: &[u8]) -> bool {
        match std::str::from_utf8(text) {
            Ok(text) => self.whole.is_match(text),
            Err(_) => self.whole.is_match(&Repaired::new(text).text),
        }
    }
}

/// The literal that an anchored pattern starts with. U+FFFD also stands for bytes that are not UTF-8, so a literal ends
/// before one.
fn prefix(pattern: &Hir) -> Box<[u8]> {
    let HirKind::Concat(parts) = pattern.kind() else { return Box::default() };
    let mut parts = parts.iter();
    if !parts.next().is_some_and(|first| matches!(first.kind(), HirKind::Look(Look::Start))) {
        return Box::default();
    }
    let mut prefix = Vec::new();
    for part in parts {
        match part.kind() {
            HirKind::Literal(literal) if literal.0.is_ascii() => prefix.extend_from_slice(&literal.0),
            _ => break,
        }
    }
    prefix.into()
}
