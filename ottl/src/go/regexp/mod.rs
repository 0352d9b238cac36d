//! Go's `regexp` package on Rust's `regex`: the same patterns are accepted, the same texts match.
//!
//! Invariant: a pattern that Go refuses is refused here. Matching is linear in the haystack, as in Go. Sizes are
//! bounded by [`Limits`]; Go bounds them too, a little further out.
//! It does not do replacement templates: editors do.

mod class;
mod engine;
mod search;
mod table;
mod translate;

pub use engine::Engine;
pub use search::{Literals, Search};

use std::fmt;

/// How large a compiled pattern may get. Patterns come from the configuration, or (rarely) from telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the compiled program.
    pub program_bytes: usize,
    /// Bytes of the lazy automaton's cache, per thread that matches.
    pub cache_bytes: usize,
    /// Groups within groups.
    pub nesting: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { program_bytes: 10 << 20, cache_bytes: 2 << 20, nesting: 250 }
    }
}

/// Why a pattern was refused, in Go's words where Go refuses it too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    message: String,
}

impl Error {
    fn new(message: impl Into<String>) -> Self {
        Error { message: message.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Regexp {
    source: String,
    compiled: regex::Regex,
    names: Vec<Option<String>>,
    search: Search,
}

impl Regexp {
    /// Compiles a pattern in Go's syntax with the default limits.
    ///
    /// # Errors
    /// If Go refuses it, or if it is larger than the limits.
    pub fn new(pattern: &str) -> Result<Self, Error> {
        Regexp::with_limits(pattern, Limits::default())
    }

    /// Compiles a pattern in Go's syntax.
    ///
    /// # Errors
    /// If Go refuses it, or if it is larger than the limits.
    pub fn with_limits(pattern: &str, limits: Limits) -> Result<Self, Error> {
        let translated = translate::translate(pattern, limits)?;
        let compile = |text: &str| {
            regex::RegexBuilder::new(text)
                .size_limit(limits.program_bytes)
                .dfa_size_limit(limits.cache_bytes)
                // The translator has counted already; its own groups around atoms come on top.
                .nest_limit(limits.nesting.saturating_mul(2).saturating_add(16))
                .build()
        };
        let compiled = compile(&translated.text).map_err(|error| match error {
            regex::Error::CompiledTooBig(bytes) => {
                Error::new(format!("error parsing regexp: expression too large: its program exceeds {bytes} bytes"))
            }
            other => Error::new(format!("error parsing regexp: {other}")),
        })?;
        let search = Search::new(&translated.text, &compiled, compile);
        Ok(Regexp { source: pattern.to_owned(), compiled, names: translated.names, search })
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// What is asked for a plain yes or no; a compiler may lower it to compares instead of [`Regexp::is_match`].
    pub fn search(&self) -> &Search {
        &self.search
    }

    /// Group names by group number; group 0 is the whole match and has none.
    pub fn names(&self) -> &[Option<String>] {
        &self.names
    }

    /// Whether the pattern matches anywhere in the text.
    pub fn is_match(&self, haystack: &[u8]) -> bool {
        self.search.is_match(haystack)
    }

    /// The byte ranges of the leftmost match and of its groups, or nothing. A group that took no part is `None`.
    pub fn captures(&self, haystack: &[u8]) -> Option<Vec<Option<(usize, usize)>>> {
        match std::str::from_utf8(haystack) {
            Ok(text) => {
                let groups = self.compiled.captures(text)?;
                Some(groups.iter().map(|group| group.map(|g| (g.start(), g.end()))).collect())
            }
            Err(_) => {
                let repaired = Repaired::new(haystack);
                let groups = self.compiled.captures(&repaired.text)?;
                let place =
                    |group: regex::Match<'_>| (repaired.original(group.start()), repaired.original(group.end()));
                Some(groups.iter().map(|group| group.map(place)).collect())
            }
        }
    }
}

/// A haystack that is not UTF-8, as Go sees it: each byte that starts no valid sequence is one U+FFFD.
struct Repaired {
    text: String,
    /// Pairs of a position in `text` just after a replacement, and the position after it in the original.
    shifts: Vec<(usize, usize)>,
}

impl Repaired {
    fn new(haystack: &[u8]) -> Self {
        let mut repaired = Repaired { text: String::with_capacity(haystack.len() + 16), shifts: Vec::new() };
        let mut taken = 0;
        for chunk in haystack.utf8_chunks() {
            repaired.text.push_str(chunk.valid());
            taken += chunk.valid().len();
            // Rust would replace a truncated sequence as a whole, Go replaces it byte by byte.
            for _ in chunk.invalid() {
                repaired.text.push(char::REPLACEMENT_CHARACTER);
                taken += 1;
                repaired.shifts.push((repaired.text.len(), taken));
            }
        }
        repaired
    }

    fn original(&self, position: usize) -> usize {
        let after = self.shifts.partition_point(|&(text, _)| text <= position);
        match after.checked_sub(1).and_then(|idx| self.shifts.get(idx)) {
            Some(&(text, original)) => original + (position - text),
            None => position,
        }
    }
}

#[cfg(test)]
mod tests;
