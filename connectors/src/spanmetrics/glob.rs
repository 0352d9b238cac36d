//! Globs over dotted names, as the Go connector's glob library reads them with `.` as separator.
//!
//! `*` stays inside one segment, `**` crosses segments, `?` is one character that is no dot, `[abc]`, `[!a-z]` and
//! `{one,two}` as usual, `\` takes the next character as it is. Compiled to a regex, so matching is linear.

use regex::Regex;

/// A compiled glob.
#[derive(Clone, Debug)]
pub struct Glob {
    source: String,
    regex: Regex,
}

/// Why a glob is refused; texts are those of the Go parser where it has one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct GlobError(&'static str);

impl Glob {
    /// Compiles a glob.
    pub fn new(source: &str) -> Result<Self, GlobError> {
        let pattern = Parser { rest: source.chars().peekable(), depth: 0, out: String::from("^(?s:") }.pattern()?;
        let regex = Regex::new(&pattern).map_err(|_| GlobError("the glob is too long"))?;
        Ok(Self { source: source.to_owned(), regex })
    }

    /// True if the whole name matches.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.regex.is_match(name)
    }

    /// The glob as written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }
}

struct Parser<'text> {
    rest: std::iter::Peekable<std::str::Chars<'text>>,
    depth: usize,
    out: String,
}

impl Parser<'_> {
    fn pattern(mut self) -> Result<String, GlobError> {
        while let Some(char) = self.rest.next() {
            match char {
                '*' if self.rest.next_if_eq(&'*').is_some() => self.out.push_str(".*"),
                '*' => self.out.push_str("[^.]*"),
                '?' => self.out.push_str("[^.]"),
                '[' => self.range()?,
                '{' => {
                    self.depth += 1;
                    self.out.push_str("(?:");
                }
                ',' if self.depth > 0 => self.out.push('|'),
                '}' if self.depth > 0 => {
                    self.depth -= 1;
                    self.out.push(')');
                }
                '\\' => {
                    if let Some(char) = self.rest.next() {
                        self.literal(char);
                    }
                }
                char => self.literal(char),
            }
        }
        if self.depth > 0 {
            // Go closes the list at the end of the text, or crashes on an empty one; a typo is better named.
            return Err(GlobError("expected closing brace"));
        }
        self.out.push_str(")$");
        Ok(self.out)
    }

    fn literal(&mut self, char: char) {
        self.out.push_str(&regex::escape(char.encode_utf8(&mut [0; 4])));
    }

    fn range(&mut self) -> Result<(), GlobError> {
        const END: GlobError = GlobError("unexpected end of input");
        self.out.push('[');
        if self.rest.next_if_eq(&'!').is_some() {
            self.out.push('^');
        }
        let first = self.rest.next().ok_or(END)?;
        if self.rest.next_if_eq(&'-').is_some() {
            let last = self.rest.next().ok_or(END)?;
            if last < first {
                return Err(GlobError("hi character should be greater than lo"));
            }
            self.class_char(first);
            self.out.push('-');
            self.class_char(last);
            if self.rest.next() != Some(']') {
                return Err(GlobError("expected close range character"));
            }
        } else {
            if first == ']' {
                return Err(GlobError("could not parse range"));
            }
            let mut char = first;
            while char != ']' {
                let taken = if char == '\\' { self.rest.next().ok_or(END)? } else { char };
                self.class_char(taken);
                char = self.rest.next().ok_or(END)?;
            }
        }
        self.out.push(']');
        Ok(())
    }

    fn class_char(&mut self, char: char) {
        if !char.is_alphanumeric() {
            self.out.push('\\');
        }
        // Only ASCII punctuation may be escaped in a class; other characters stand for themselves.
        if !char.is_ascii() && self.out.ends_with('\\') {
            self.out.pop();
        }
        self.out.push(char);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_segments() {
        for (glob, name, want) in [
            ("rpc.*", "rpc.method", true),
            ("rpc.*", "rpc.grpc.status", false),
            ("rpc.*", "rpcx", false),
            ("net.**", "net.peer.name", true),
            ("*.id", "service.id", true),
            ("*", "a.b", false),
            ("**", "a.b", true),
            ("a?c", "abc", true),
            ("a?c", "a.c", false),
            ("[ab]x", "bx", true),
            ("[!ab]x", "bx", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "dx", true),
            ("{http,rpc}.*", "rpc.x", true),
            ("{http,rpc}.*", "sql.x", false),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("a.b", "axb", false),
            ("a,b}", "a,b}", true),
        ] {
            assert_eq!(Glob::new(glob).unwrap().matches(name), want, "{glob} {name}");
        }
    }

    #[test]
    fn broken_globs_are_refused() {
        for glob in ["[a", "[", "[^-]", "[]", "[z-a]", "[a-zx]", "{a"] {
            assert!(Glob::new(glob).is_err(), "{glob}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_compiles_or_is_refused(text in ".{0,20}", name in ".{0,20}") {
            if let Ok(glob) = Glob::new(&text) {
                let _ = glob.matches(&name);
            }
        }
    }
}
