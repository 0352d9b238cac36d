//! Go's `strconv.Quote` and `strconv.QuoteRune`.

use std::sync::LazyLock;

use regex_syntax::hir::{Class, ClassUnicode, HirKind};

/// Letters, marks, numbers, punctuation, symbols and the space, as `unicode.IsPrint` has it.
static PRINTABLE: LazyLock<Option<ClassUnicode>> = LazyLock::new(|| {
    let hir = regex_syntax::Parser::new().parse(r"[\pL\pM\pN\pP\pS\x20]").ok()?;
    match hir.into_kind() {
        HirKind::Class(Class::Unicode(class)) => Some(class),
        _ => None,
    }
});

pub(super) fn is_print(c: char) -> bool {
    if c.is_ascii() {
        return matches!(c, ' '..='~');
    }
    let Some(class) = PRINTABLE.as_ref() else { return false };
    let after = class.ranges().partition_point(|range| range.start() <= c);
    after.checked_sub(1).and_then(|idx| class.ranges().get(idx)).is_some_and(|range| c <= range.end())
}

/// A double-quoted text; what cannot be printed is escaped, bytes that are not UTF-8 as `\xff`.
pub(super) fn string(text: &[u8], ascii: bool) -> String {
    let mut out = String::from("\"");
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            push_escaped(&mut out, c, '"', ascii);
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out.push('"');
    out
}

/// A character in single quotes.
pub(super) fn rune(c: char, ascii: bool) -> String {
    let mut out = String::from("'");
    push_escaped(&mut out, c, '\'', ascii);
    out.push('\'');
    out
}

fn push_escaped(out: &mut String, c: char, quote: char, ascii: bool) {
    match c {
        '\\' => out.push_str("\\\\"),
        c if c == quote => {
            out.push('\\');
            out.push(c);
        }
        c if is_print(c) && (!ascii || c.is_ascii()) => out.push(c),
        '\x07' => out.push_str("\\a"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x0b' => out.push_str("\\v"),
        c if c < ' ' || c == '\x7f' => out.push_str(&format!("\\x{:02x}", u32::from(c))),
        c if u32::from(c) < 0x1_0000 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
        c => out.push_str(&format!("\\U{:08x}", u32::from(c))),
    }
}

/// Whether a text can stand between backquotes: one line, no control characters but tabs.
pub(super) fn can_backquote(text: &str) -> bool {
    text.chars().all(|c| c == '\t' || (c >= ' ' && !matches!(c, '`' | '\x7f' | '\u{feff}')))
}
