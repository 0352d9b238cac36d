//! A pattern that needs an automaton, with a small one for the texts that nearly all are: short, and ASCII.
//!
//! The general engine picks a strategy, takes a cache from a pool and looks for literals; for a span's name that costs
//! several times what walking a table byte by byte does. The table gives up at the first byte that is not ASCII, so that
//! it need not know what Go makes of broken UTF-8; then, and for long texts, the general engine answers.

use regex_automata::{
    Anchored,
    dfa::{Automaton as _, StartKind, dense},
    util::{primitives::StateID, start, syntax},
};
use regex_syntax::hir::{Hir, HirKind, Look};

use super::Repaired;

/// Longer texts are searched by the general engine, which skips to literals.
const MAX_WALKED: usize = 256;

/// Larger tables are not made; building one takes time and memory beyond it.
const MAX_TABLE_BYTES: usize = 16 << 10;
const MAX_BUILD_BYTES: usize = 256 << 10;

/// A compiled pattern, asked whether it matches.
#[derive(Clone, Debug)]
pub struct Engine {
    whole: regex::Regex,
    /// What every text that matches starts with; empty where that is not known.
    prefix: Box<[u8]>,
    small: Option<Small>,
}

#[derive(Clone, Debug)]
struct Small {
    table: dense::DFA<Vec<u32>>,
    start: StateID,
    /// Where the walk is behind the prefix.
    behind_prefix: StateID,
}

impl Engine {
    /// `parsed` is `whole`, parsed.
    pub(super) fn new(whole: regex::Regex, parsed: Option<&Hir>) -> Self {
        let prefix = parsed.map(prefix).unwrap_or_default();
        let small = Small::new(whole.as_str(), &prefix);
        Self { whole, prefix, small }
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
        let small = self.small.as_ref().filter(|_| text.len() <= MAX_WALKED)?;
        let state = if from == 0 { small.start } else { small.behind_prefix };
        small.is_match(state, text.get(from..)?)
    }

    #[inline(never)]
    fn search(&self, text: &[u8]) -> bool {
        match std::str::from_utf8(text) {
            Ok(text) => self.whole.is_match(text),
            Err(_) => self.whole.is_match(&Repaired::new(text).text),
        }
    }
}

impl Small {
    /// The table of a pattern; `None` if it would be large, or the pattern looks at what a table cannot see.
    fn new(pattern: &str, prefix: &[u8]) -> Option<Self> {
        let mut config = dense::Config::new()
            .start_kind(StartKind::Unanchored)
            .accelerate(false)
            .dfa_size_limit(Some(MAX_TABLE_BYTES))
            .determinize_size_limit(Some(MAX_BUILD_BYTES));
        for byte in 0x80..=u8::MAX {
            config = config.quit(byte, true);
        }
        let table = dense::Builder::new()
            .configure(config)
            .syntax(syntax::Config::new().unicode(true).utf8(true))
            .build(pattern)
            .ok()?;
        let start = table.start_state(&start::Config::new().anchored(Anchored::No)).ok()?;
        let mut behind_prefix = start;
        for &byte in prefix {
            behind_prefix = table.next_state(behind_prefix, byte);
            // A prefix that is not ASCII, or that says all: there is nothing to walk.
            if table.is_special_state(behind_prefix) {
                return None;
            }
        }
        Some(Self { table, start, behind_prefix })
    }

    /// Whether the rest of a text leads to a match; `None` where it is not ASCII.
    #[inline]
    fn is_match(&self, mut state: StateID, rest: &[u8]) -> Option<bool> {
        for &byte in rest {
            state = self.table.next_state(state, byte);
            if self.table.is_special_state(state) {
                if self.table.is_match_state(state) {
                    return Some(true);
                }
                if self.table.is_dead_state(state) {
                    return Some(false);
                }
                if self.table.is_quit_state(state) {
                    return None;
                }
            }
        }
        Some(self.table.is_match_state(self.table.next_eoi_state(state)))
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
