//! What must hold before the grammar may look at a text: its length, its characters, closed strings, and a bounded
//! nesting.
//!
//! The grammar is recursive, and so is everything that walks the tree. Nesting is therefore bounded here, by counting,
//! before anything recurses. Characters and strings are checked here because all mistakes of that kind can be told at
//! once, as the lexer of the Go parser would refuse them whatever stands around.

use crate::{
    error::{Code, Error},
    hint,
    parse::Limits,
    span::Span,
};

/// The kinds of lexemes that the checks and the hints tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// With its quotes.
    String,
    /// A quote without its partner.
    OpenString,
    /// Letters, digits and underscores.
    Word,
    /// Digits and dots.
    Number,
    /// `(`, `[` or `{`.
    Open,
    /// `)`, `]` or `}`.
    Close,
    /// Anything else the language has, as long as the language's own tokens.
    Symbol,
    /// Characters no token begins with.
    Stray,
}

/// A piece of text between white space. Words and numbers are as a reader sees them: `IsMatch` is one lexeme here
/// and four tokens in the language.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lexeme<'s> {
    pub(crate) kind: Kind,
    pub(crate) text: &'s str,
    pub(crate) start: usize,
}

impl Lexeme<'_> {
    pub(crate) fn end(&self) -> usize {
        self.start + self.text.len()
    }

    pub(crate) fn span(&self) -> Span {
        Span::new(self.start, self.end())
    }
}

/// All lexemes of a text, from left to right.
pub(crate) fn lexemes(text: &str) -> impl Iterator<Item = Lexeme<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = &text[at..];
        let rest = rest.trim_start_matches([' ', '\t', '\n', '\x0c', '\r']);
        let start = text.len() - rest.len();
        let (kind, length) = first(rest)?;
        at = start + length;
        Some(Lexeme { kind, text: &rest[..length], start })
    })
}

/// Kind and length of the lexeme that `text` begins with.
fn first(text: &str) -> Option<(Kind, usize)> {
    let run = |member: fn(u8) -> bool| text.bytes().take_while(|byte| member(*byte)).count();
    let found = match text.chars().next()? {
        '"' => match string_length(text) {
            Some(length) => (Kind::String, length),
            None => (Kind::OpenString, text.len()),
        },
        'a'..='z' | 'A'..='Z' | '_' => (Kind::Word, run(|byte| byte.is_ascii_alphanumeric() || byte == b'_')),
        '0' if is_bytes(text) => (Kind::Number, run(|byte| byte.is_ascii_hexdigit() || byte == b'x')),
        '0'..='9' => (Kind::Number, run(|byte| byte.is_ascii_digit() || byte == b'.')),
        '(' | '[' | '{' => (Kind::Open, 1),
        ')' | ']' | '}' => (Kind::Close, 1),
        // Operators of other languages are meant as one.
        '=' | '!' if text.starts_with("=~") || text.starts_with("!~") => (Kind::Stray, 2),
        '=' | '!' | '<' | '>' if ["==", "!=", "<=", ">=", "=>"].iter().any(|two| text.starts_with(two)) => {
            (Kind::Symbol, 2)
        }
        '=' | '<' | '>' | '+' | '-' | '*' | '/' | ',' | '.' | ':' => (Kind::Symbol, 1),
        '&' => (Kind::Stray, run(|byte| byte == b'&').min(2)),
        '|' => (Kind::Stray, run(|byte| byte == b'|').min(2)),
        // A whole text in wrong quotes is one mistake.
        open @ ('\'' | '`' | '\u{201c}' | '\u{2018}') => (Kind::Stray, wrong_quotes(text, open)),
        other => (Kind::Stray, other.len_utf8()),
    };
    Some(found)
}

fn is_bytes(text: &str) -> bool {
    text.strip_prefix("0x").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_hexdigit()))
}

/// The length of a text in quotes that strings do not have; of the quote alone if the line has no second one.
fn wrong_quotes(text: &str, open: char) -> usize {
    let close = match open {
        '\u{201c}' => '\u{201d}',
        '\u{2018}' => '\u{2019}',
        same => same,
    };
    let line = text.lines().next().unwrap_or_default();
    let skip = open.len_utf8();
    line[skip..].find(close).map_or(skip, |at| skip + at + close.len_utf8())
}

/// The length of the string literal `text` begins with, or nothing if it does not end, or has a backslash before a
/// line break, which the Go lexer takes for the same.
fn string_length(text: &str) -> Option<usize> {
    let mut bytes = text.bytes().enumerate().skip(1);
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some(at + 1),
            b'\\' if bytes.next()?.1 == b'\n' => return None,
            _ => {}
        }
    }
    None
}

/// The checks. A text that passes has at most [`Limits::nesting`] levels wherever the grammar or the tree recurses.
pub(crate) fn check(text: &str, limits: &Limits) -> Result<(), Vec<Error>> {
    let longest = limits.length.min(Limits::LONGEST);
    if text.len() > longest {
        let message = format!("the text has {} bytes, more than the limit of {longest}", text.len());
        return Err(vec![Error::new(Code::LengthLimit, Span::new(0, 0), message)]);
    }
    let nesting = limits.nesting.min(Limits::DEEPEST);
    let mut errors = Vec::new();
    let mut depth = Depth::default();
    for lexeme in lexemes(text) {
        match lexeme.kind {
            Kind::Stray => errors.push(hint::stray(text, &lexeme)),
            Kind::OpenString => errors.push(hint::open_string(&lexeme)),
            _ => {}
        }
        if depth.after(&lexeme) > nesting {
            let error = Error::new(Code::NestingLimit, lexeme.span(), format!("nested deeper than {nesting} levels"));
            errors.push(error.hint("levels are brackets, lambdas, and the operators of one arithmetic chain"));
            break;
        }
        if errors.len() >= MAX_ERRORS {
            break;
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// Stray characters that are reported at most: a binary file is wrong in one way, not in a million.
const MAX_ERRORS: usize = 10;

/// Counts levels: one for a bracket, one for each operator of an arithmetic chain (`a + b + c` leans to the left, one
/// level for each `+`), and one for an arrow, behind which a lambda's body begins.
///
/// It never counts less than the tree has, and counts afresh where the language cannot go on with what came before.
#[derive(Default)]
struct Depth {
    /// The brackets around the innermost one.
    outer: Vec<Bracket>,
    inner: Bracket,
    total: usize,
}

/// What counts in one bracket besides itself.
#[derive(Clone, Copy, Default)]
struct Bracket {
    arrows: usize,
    operators: usize,
}

impl Depth {
    fn after(&mut self, lexeme: &Lexeme<'_>) -> usize {
        match (lexeme.kind, lexeme.text) {
            (Kind::Open, _) => {
                self.outer.push(std::mem::take(&mut self.inner));
                self.total += 1;
            }
            (Kind::Close, _) => {
                self.end_operators();
                self.end_lambdas();
                if let Some(outer) = self.outer.pop() {
                    self.inner = outer;
                    self.total -= 1;
                }
            }
            (Kind::Symbol, "+" | "-" | "*" | "/") => {
                self.inner.operators += 1;
                self.total += 1;
            }
            (Kind::Symbol, "=>") => {
                self.inner.arrows += 1;
                self.total += 1;
            }
            (Kind::Symbol, ",") => {
                self.end_operators();
                self.end_lambdas();
            }
            // A comparison ends an arithmetic chain, and so does the colon in a map whose commas are left out.
            (Kind::Symbol, "==" | "!=" | "<" | "<=" | ">" | ">=" | ":") => self.end_operators(),
            _ => {}
        }
        self.total
    }

    fn end_operators(&mut self) {
        self.total -= std::mem::take(&mut self.inner.operators);
    }

    fn end_lambdas(&mut self) {
        self.total -= std::mem::take(&mut self.inner.arrows);
    }
}
