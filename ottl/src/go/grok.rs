//! Grok patterns, as elastic/go-grok expands them: `%{WORD:method} %{INT:code:int}`.

use std::sync::LazyLock;

use super::{
    regexp::{self, Regexp},
    strconv,
};

/// One pattern a line: its name, a space, the regular expression.
static PATTERNS: &str = include_str!("data/grok_patterns.txt");

/// The pattern set by name.
static BY_NAME: LazyLock<hashbrown::HashMap<&str, &str, foldhash::fast::RandomState>> = LazyLock::new(|| {
    PATTERNS.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' ')).collect()
});

/// How often references are expanded before a pattern counts as endless.
const MAX_ROUNDS: usize = 1000;

/// Bytes of an expanded pattern. Definitions that refer to themselves grow without end.
const MAX_EXPANDED: usize = 1 << 20;

/// A dot in a name, which group names cannot have.
const DOT: &str = "___";

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Grok {
    regexp: Regexp,
    /// Types asked for, by group name.
    hints: Vec<(String, String)>,
}

/// A captured value.
#[derive(Clone, Debug, PartialEq)]
pub enum Captured {
    /// As matched.
    Text(Vec<u8>),
    /// `:int`, `:long`
    Int(i64),
    /// `:float`, `:double`
    Double(f64),
    /// `:bool`, `:boolean`
    Bool(bool),
}

/// A capture was not of the type that its pattern asks for, or the type is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongType;

impl Grok {
    /// Compiles a pattern. Without `named_only` every reference captures, under its own name if it has no other.
    /// `definitions` come before the pattern set.
    ///
    /// # Errors
    /// On unknown names, and if the expanded pattern is no regular expression.
    pub fn new(
        pattern: &str,
        named_only: bool,
        definitions: &[(String, String)],
        limits: regexp::Limits,
    ) -> Result<Self, String> {
        let mut hints: Vec<(String, String)> = Vec::new();
        let mut expanded = pattern.to_owned();
        for _ in 0..MAX_ROUNDS {
            let references = references(&expanded);
            if references.is_empty() {
                break;
            }
            for reference in references {
                let mut parts = reference.split(':');
                let name = parts.next().unwrap_or_default();
                let target = parts.next();
                let hint = parts.next();
                let group = target.map_or(name.to_owned(), |target| target.replace('.', DOT));
                if let Some(hint) = hint {
                    hints.retain(|(known, _)| *known != group);
                    hints.push((group.clone(), hint.to_owned()));
                }
                let own = definitions.iter().rev().find(|(known, _)| known == name).map(|(_, own)| own.as_str());
                let definition = own
                    .or_else(|| BY_NAME.get(name).copied())
                    .ok_or_else(|| format!("pattern definition {name:?} unknown"))?;
                let replacement = match target {
                    None if named_only => format!("({definition})"),
                    _ => format!("(?P<{group}>{definition})"),
                };
                expanded = expanded.replace(&format!("%{{{reference}}}"), &replacement);
                if expanded.len() > MAX_EXPANDED {
                    return Err(format!("pattern expands to more than {MAX_EXPANDED} bytes"));
                }
            }
        }
        let regexp = Regexp::with_limits(&expanded, limits).map_err(|error| error.to_string())?;
        Ok(Grok { regexp, hints })
    }

    /// Whether there is any named group.
    pub fn has_names(&self) -> bool {
        self.regexp.names().iter().any(Option::is_some)
    }

    /// What the named groups matched, empty matches left out; nothing in it if the text does not match.
    ///
    /// # Errors
    /// If a capture is not of its type.
    pub fn captures(&self, text: &[u8]) -> Result<Vec<(String, Captured)>, WrongType> {
        let groups = self.regexp.captures(text).unwrap_or_default();
        let mut out = Vec::new();
        for (name, group) in self.regexp.names().iter().zip(groups) {
            let (Some(name), Some((start, end))) = (name, group) else { continue };
            if start == end {
                continue;
            }
            let hint = self.hints.iter().find(|(known, _)| known == name).map(|(_, hint)| hint.as_str());
            out.push((name.replace(DOT, "."), typed(&text[start..end], hint)?));
        }
        Ok(out)
    }
}

fn typed(text: &[u8], hint: Option<&str>) -> Result<Captured, WrongType> {
    match hint {
        None | Some("string") => Ok(Captured::Text(text.to_vec())),
        Some("int" | "long") => strconv::parse_int(text, 10).map(Captured::Int).map_err(|_| WrongType),
        Some("float" | "double") => strconv::parse_float(text).map(Captured::Double).map_err(|_| WrongType),
        Some("bool" | "boolean") => strconv::parse_bool(text).map(Captured::Bool).map_err(|_| WrongType),
        Some(_) => Err(WrongType),
    }
}

/// The insides of `%{NAME}`, `%{NAME:id}` and `%{NAME:id:type}`, in order.
fn references(pattern: &str) -> Vec<String> {
    let is_word = |byte: u8| byte == b'_' || byte.is_ascii_alphanumeric();
    let fits = |inside: &str| {
        let parts: Vec<&str> = inside.split(':').collect();
        let allowed = |idx: usize, byte: u8| is_word(byte) || (idx == 1 && matches!(byte, b'+' | b'.'));
        parts.len() <= 3
            && parts
                .iter()
                .enumerate()
                .all(|(idx, part)| !part.is_empty() && part.bytes().all(|byte| allowed(idx, byte)))
    };
    let mut found = Vec::new();
    let mut rest = pattern;
    while let Some(at) = rest.find("%{") {
        let after = &rest[at + 2..];
        match after.find('}') {
            Some(end) if fits(&after[..end]) => {
                found.push(after[..end].to_owned());
                rest = &after[end + 1..];
            }
            _ => rest = after,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captures(pattern: &str, named_only: bool, text: &str) -> Result<Vec<(String, Captured)>, WrongType> {
        Grok::new(pattern, named_only, &[], regexp::Limits::default()).unwrap().captures(text.as_bytes())
    }

    fn text(text: &str) -> Captured {
        Captured::Text(text.into())
    }

    #[test]
    fn captures_by_name_and_type() {
        assert_eq!(
            captures("%{WORD:http.method} %{INT:code:int}", true, "GET 200"),
            Ok(vec![("http.method".to_owned(), text("GET")), ("code".to_owned(), Captured::Int(200))])
        );
        assert_eq!(captures("%{WORD:w:int}", true, "GET"), Err(WrongType));
        assert_eq!(captures("%{WORD:w:foo}", true, "GET"), Err(WrongType));
        assert_eq!(captures("%{INT:x}", true, "nope"), Ok(Vec::new()));
        assert_eq!(
            captures("%{IP:ip} %{GREEDYDATA}", true, "10.0.0.1 x"),
            Ok(vec![("ip".to_owned(), text("10.0.0.1"))])
        );
    }

    #[test]
    fn definitions() {
        let definitions = [("ID".to_owned(), "[a-z]+ %{POSINT}".to_owned())];
        let grok = Grok::new("%{ID:id}", true, &definitions, regexp::Limits::default()).unwrap();
        assert_eq!(grok.captures(b"ab 12"), Ok(vec![("id".to_owned(), text("ab 12"))]));
        let endless = [("A".to_owned(), "%{A}%{A}".to_owned())];
        assert!(Grok::new("%{A}", true, &endless, regexp::Limits::default()).is_err());
        assert!(Grok::new("%{NOPE}", true, &[], regexp::Limits::default()).is_err());
    }

    #[test]
    fn every_pattern_of_the_set_compiles() {
        // One is broken upstream too: a bracket is missing in it.
        for name in BY_NAME.keys().filter(|name| **name != "CISCOFW733100") {
            if let Err(error) = Grok::new(&format!("%{{{name}}}"), true, &[], regexp::Limits::default()) {
                panic!("{name}: {error}");
            }
        }
        assert_eq!(BY_NAME.len(), 245);
    }
}
