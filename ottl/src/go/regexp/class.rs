//! Character classes as sets of code points: Go's own, POSIX's, and Unicode's by name.

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};

pub(super) fn fold(class: &mut ClassUnicode) {
    // Fails only if regex-syntax was built without case tables, which Cargo.toml does not allow.
    let folded = class.try_case_fold_simple();
    debug_assert!(folded.is_ok());
}

pub(super) fn ranges(ranges: &[(char, char)]) -> ClassUnicode {
    ClassUnicode::new(ranges.iter().map(|&(low, high)| ClassUnicodeRange::new(low, high)))
}

/// A range of code points without the surrogates in it, which no text contains.
pub(super) fn scalar_ranges(low: u32, high: u32) -> ClassUnicode {
    let below = (low, high.min(0xD7FF));
    let above = (low.max(0xE000), high);
    let parts = [below, above].into_iter().filter_map(|(low, high)| {
        let (low, high) = (char::from_u32(low)?, char::from_u32(high)?);
        (low <= high).then(|| ClassUnicodeRange::new(low, high))
    });
    ClassUnicode::new(parts)
}

pub(super) fn posix_class(name: &str, folded: bool) -> Option<ClassUnicode> {
    let (name, negated) = match name.strip_prefix('^') {
        Some(name) => (name, true),
        None => (name, false),
    };
    let mut class = match name {
        "alnum" => ranges(&[('0', '9'), ('A', 'Z'), ('a', 'z')]),
        "alpha" => ranges(&[('A', 'Z'), ('a', 'z')]),
        "ascii" => ranges(&[('\0', '\x7f')]),
        "blank" => ranges(&[('\t', '\t'), (' ', ' ')]),
        "cntrl" => ranges(&[('\0', '\x1f'), ('\x7f', '\x7f')]),
        "digit" => ranges(&[('0', '9')]),
        "graph" => ranges(&[('!', '~')]),
        "lower" => ranges(&[('a', 'z')]),
        "print" => ranges(&[(' ', '~')]),
        "punct" => ranges(&[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')]),
        "space" => ranges(&[('\t', '\r'), (' ', ' ')]),
        "upper" => ranges(&[('A', 'Z')]),
        "word" => ranges(&[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')]),
        "xdigit" => ranges(&[('0', '9'), ('A', 'F'), ('a', 'f')]),
        _ => return None,
    };
    if folded {
        fold(&mut class);
    }
    if negated {
        class.negate();
    }
    Some(class)
}

/// A general category or a script by name. Go 1.25 and later look names up loosely, as regex-syntax does.
pub(super) fn unicode_table(name: &str) -> Option<ClassUnicode> {
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b' ')) {
        return None;
    }
    // Go knows scripts by their names, not by their codes, which all have four letters.
    const NAMES_OF_FOUR: [&str; 8] = ["ahom", "cham", "kawi", "lisu", "modi", "newa", "thai", "toto"];
    let is_code = name.len() == 4 && !NAMES_OF_FOUR.contains(&name.to_ascii_lowercase().as_str());
    let properties: &[&str] = if is_code { &["gc"] } else { &["gc", "sc"] };
    properties.iter().find_map(|property| {
        let hir = regex_syntax::Parser::new().parse(&format!("\\p{{{property}={name}}}")).ok()?;
        match hir.into_kind() {
            HirKind::Class(Class::Unicode(class)) => Some(class),
            // A set of one character.
            HirKind::Literal(literal) => {
                let c = std::str::from_utf8(&literal.0).ok()?.chars().next()?;
                Some(ranges(&[(c, c)]))
            }
            _ => None,
        }
    })
}
