//! Colours, on terminals only.

use std::io::{self, IsTerminal as _};

use clap::ValueEnum;

/// What `--color` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Colour {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Also in pipes.
    Always,
    /// Plain text.
    Never,
}

/// Paints or leaves text as it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint {
    pub(super) on: bool,
}

impl Paint {
    pub(super) fn new(colour: Colour) -> Self {
        let on = match colour {
            Colour::Always => true,
            Colour::Never => false,
            // https://no-color.org: any value that is not empty.
            Colour::Auto => {
                io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            }
        };
        Self { on }
    }

    #[cfg(test)]
    pub(super) const PLAIN: Self = Self { on: false };

    fn with(self, colour: &str, text: &str) -> String {
        if self.on && !text.is_empty() { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(super) fn heading(self, text: &str) -> String {
        self.with("1;34", text)
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    pub(super) fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    pub(super) fn bad(self, text: &str) -> String {
        self.with("31", text)
    }

    pub(super) fn value(self, text: &str) -> String {
        self.with("36", text)
    }

    pub(super) fn number(self, text: &str) -> String {
        self.with("33", text)
    }

    /// OTTL with its strings, numbers, keywords and calls in colours.
    pub(super) fn ottl(self, text: &str) -> String {
        if !self.on {
            return text.to_owned();
        }
        let mut out = String::with_capacity(text.len() * 2);
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let len = match first {
                '"' => string_len(rest),
                c if c.is_alphanumeric() || c == '_' => {
                    rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
                }
                c => c.len_utf8(),
            };
            let (token, after) = rest.split_at(len);
            out.push_str(&match first {
                '"' => self.good(token),
                c if c.is_ascii_digit() => self.number(token),
                _ if matches!(token, "and" | "or" | "not" | "nil" | "true" | "false") => self.bold(token),
                c if c.is_ascii_uppercase() => self.value(token),
                _ => token.to_owned(),
            });
            rest = after;
        }
        out
    }
}

/// Bytes of the string literal at the start of `text`.
fn string_len(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_change_nothing_but_colours() {
        let text = r#"not IsMatch(name, "a \" b") and kind == SPAN_KIND_SERVER or 1.5 > x["open"#;
        let painted = Paint { on: true }.ottl(text);
        assert!(painted.contains("\x1b[36mIsMatch\x1b[0m(name, \x1b[32m\"a \\\" b\"\x1b[0m)"), "{painted:?}");
        let mut plain = painted.clone();
        for code in ["\x1b[0m", "\x1b[1m", "\x1b[32m", "\x1b[33m", "\x1b[36m"] {
            plain = plain.replace(code, "");
        }
        assert_eq!(plain, text);
        assert_eq!(Paint::PLAIN.ottl(text), text);
    }
}
