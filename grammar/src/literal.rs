//! Literals: from their spelling to what they mean.

use crate::{
    error::{Code, Error},
    render::printable,
    span::Span,
};

/// The text of a string literal, which is given with its quotes and starts at byte `start` of the source.
///
/// All bad escapes are reported.
pub(crate) fn string(literal: &str, start: usize) -> Result<String, Vec<Error>> {
    let inner = literal.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(literal);
    if !inner.contains('\\') {
        return Ok(inner.to_owned());
    }
    let mut out = String::with_capacity(inner.len());
    let mut errors = Vec::new();
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let sequence = &rest[at..];
        let (length, meaning) = escape(sequence);
        match meaning {
            Some(character) => out.push(character),
            None => {
                let from = start + 1 + (inner.len() - sequence.len());
                errors.push(bad_escape(&sequence[..length], Span::new(from, from + length)));
            }
        }
        rest = &sequence[length..];
    }
    out.push_str(rest);
    if errors.is_empty() { Ok(out) } else { Err(errors) }
}

/// The length in bytes of the escape that `text` begins with, and the character it stands for, if it is a legal one.
fn escape(text: &str) -> (usize, Option<char>) {
    let Some(kind) = text[1..].chars().next() else { return (1, None) };
    let simple = match kind {
        'a' => Some('\x07'),
        'b' => Some('\x08'),
        'f' => Some('\x0c'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        'v' => Some('\x0b'),
        '\\' | '"' => Some(kind),
        _ => None,
    };
    if simple.is_some() {
        return (2, simple);
    }
    // Go's `UnquoteChar` gives a number, and the Go parser writes it as a character: `\xff` is U+00FF, not a byte.
    let (skip, digits, radix) = match kind {
        'x' => (2, 2, 16),
        'u' => (2, 4, 16),
        'U' => (2, 8, 16),
        '0'..='7' => (1, 3, 8),
        _ => return (1 + kind.len_utf8(), None),
    };
    let found = text[skip..].bytes().take(digits).take_while(|byte| char::from(*byte).is_digit(radix)).count();
    let length = (skip + found).max(2);
    if found < digits {
        return (length, None);
    }
    let number = u32::from_str_radix(&text[skip..skip + digits], radix).ok();
    (length, number.filter(|number| radix == 16 || *number <= 0xff).and_then(char::from_u32))
}

fn bad_escape(sequence: &str, span: Span) -> Error {
    let sequence = &printable(sequence);
    let error = Error::new(Code::BadEscape, span, format!("strings have no escape `{sequence}`"));
    match sequence[1..].chars().next() {
        Some('x') => error.hint("`\\x` takes two hexadecimal digits"),
        Some('u') => error.hint("`\\u` takes four hexadecimal digits and no surrogate"),
        Some('U') => error.hint("`\\U` takes eight hexadecimal digits, at most `0010FFFF`"),
        Some('0'..='7') => error.hint("an octal escape has three digits, at most `\\377`"),
        Some('\'') => error.hint("a single quote needs no backslash"),
        Some('\n') | None => error.hint("a backslash is written `\\\\`"),
        Some(_) => error.hint(format!("for a backslash in a regular expression write `\\{sequence}`")),
    }
}

/// A run of decimal digits.
pub(crate) fn int(literal: &str, span: Span) -> Result<i64, Error> {
    literal.parse().map_err(|_| {
        let error = Error::new(Code::IntRange, span, format!("`{literal}` does not fit a 64-bit int"));
        // The sign is an operator, so the smallest int has no literal; the Go parser refuses it too.
        match literal.trim_start_matches('0') {
            "9223372036854775808" => error.hint("write the smallest int as `-9223372036854775807 - 1`"),
            _ => error.hint("the largest int is 9223372036854775807; with a dot it is a float"),
        }
    })
}

/// Digits with a dot.
pub(crate) fn float(literal: &str, span: Span) -> Result<f64, Error> {
    match literal.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err(Error::new(Code::FloatRange, span, format!("`{literal}` is too large for a float"))),
    }
}

/// `0x` and hexadecimal digits.
pub(crate) fn bytes(literal: &str, span: Span) -> Result<Vec<u8>, Error> {
    let digits = literal.strip_prefix("0x").unwrap_or(literal).as_bytes();
    let (pairs, odd) = digits.as_chunks::<2>();
    if !odd.is_empty() {
        let error = Error::new(Code::OddBytes, span, "a bytes literal has two digits for every byte");
        return Err(error.hint(format!("write `0x0{}`", &literal[literal.len() - digits.len()..])));
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).unwrap_or(0);
    Ok(pairs.iter().map(|[high, low]| digit(*high) << 4 | digit(*low)).collect())
}
