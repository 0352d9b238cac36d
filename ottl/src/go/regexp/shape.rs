//! Patterns that are a compare or a substring search in disguise.
//!
//! Only the answer of "does it match" is kept, not where: `lit.*` and `lit` are the same shape.

/// A token of a pattern without groups, alternation and case folding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A literal character.
    Literal(char),
    /// Start of text.
    Start,
    /// End of text.
    End,
    /// An atom that may match nothing, such as `.*` or `x?`.
    Optional,
    /// Anything else.
    Other,
}

/// What a pattern asks of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Matches every text.
    Always,
    /// Equal to this text.
    Exact(Vec<u8>),
    /// Starts with it.
    Prefix(Vec<u8>),
    /// Ends with it.
    Suffix(Vec<u8>),
    /// Contains it.
    Contains(Vec<u8>),
    /// Needs the regular expression engine.
    Regex,
}

impl Shape {
    /// The answer, for all shapes but [`Shape::Regex`], which never matches here.
    pub fn is_match(&self, text: &[u8]) -> bool {
        match self {
            Shape::Always => true,
            Shape::Exact(literal) => text == literal.as_slice(),
            Shape::Prefix(literal) => text.starts_with(literal),
            Shape::Suffix(literal) => text.ends_with(literal),
            Shape::Contains(literal) => memchr::memmem::find(text, literal).is_some(),
            Shape::Regex => false,
        }
    }
}

pub(super) fn recognise(tokens: &[Token]) -> Shape {
    let mut rest = tokens;
    let mut anchored_start = false;
    let mut anchored_end = false;
    while let Some((Token::Start, tail)) = rest.split_first() {
        anchored_start = true;
        rest = tail;
    }
    while let Some((Token::End, head)) = rest.split_last() {
        anchored_end = true;
        rest = head;
    }
    // A search finds the literal wherever it is, so what may match nothing at an open end asks nothing.
    if !anchored_start {
        while let Some((Token::Optional, tail)) = rest.split_first() {
            rest = tail;
        }
    }
    if !anchored_end {
        while let Some((Token::Optional, head)) = rest.split_last() {
            rest = head;
        }
    }
    let mut literal = String::new();
    for token in rest {
        match token {
            // U+FFFD also matches a byte that is not UTF-8, which a plain compare would miss.
            Token::Literal(c) if *c != char::REPLACEMENT_CHARACTER => literal.push(*c),
            _ => return Shape::Regex,
        }
    }
    let literal = literal.into_bytes();
    match (anchored_start, anchored_end) {
        (true, true) => Shape::Exact(literal),
        _ if literal.is_empty() => Shape::Always,
        (true, false) => Shape::Prefix(literal),
        (false, true) => Shape::Suffix(literal),
        (false, false) => Shape::Contains(literal),
    }
}
