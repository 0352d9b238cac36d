//! Shows an error under the line it is about.
//!
//! ```text
//! error[101]: expected a value, found `=`
//!   name === "x"
//!          ^ here
//!   = hint: the operator is `==`
//! ```
//!
//! Any crate with positions in an OTTL text can use this: it asks for a [`Report`], not for an error type. It is total
//! for every source and every span, also one that does not belong to the source.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthChar as _;

use crate::span::Span;

/// Columns of source text that are shown at most; a longer line is cut on both sides.
const MAX_COLUMNS: usize = 160;

/// What is to be shown.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// The number of the error's kind.
    pub code: u16,
    /// What is wrong, without a full stop.
    pub message: &'a str,
    /// Where in the source.
    pub span: Span,
    /// A few words behind the carets; may be empty.
    pub label: &'a str,
    /// What to write instead.
    pub hint: Option<&'a str>,
    /// Where the source comes from, such as `processors::filter/slow::traces::span[0]`.
    pub origin: Option<&'a str>,
}

/// Whether to write terminal colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Text only.
    Plain,
    /// With ANSI escape sequences.
    Coloured,
}

impl Style {
    fn paint(self, colour: &str, text: &str) -> String {
        match self {
            Self::Coloured if !text.is_empty() => format!("\x1b[{colour}m{text}\x1b[0m"),
            _ => text.to_owned(),
        }
    }
}

const RED: &str = "1;31";
const BLUE: &str = "1;34";
const BOLD: &str = "1";

/// Several lines, each ended by a line break.
#[must_use]
pub fn lines(source: &str, report: &Report<'_>, style: Style) -> String {
    let excerpt = Excerpt::of(source, report.span);
    let head = style.paint(RED, &format!("error[{}]", report.code));
    let mut out = format!("{head}{}\n", style.paint(BOLD, &format!(": {}", report.message)));
    // A text of one line is the rule in configurations, and there its number says nothing.
    let margin = match source.contains('\n') {
        true => format!("{} | ", excerpt.line),
        false => String::new(),
    };
    let mut carets = "^".repeat(excerpt.width);
    if !report.label.is_empty() {
        carets = format!("{carets} {}", report.label);
    }
    let indent = " ".repeat(margin.len() + excerpt.indent);
    let _ = writeln!(out, "  {}{}", style.paint(BLUE, &margin), excerpt.text);
    let _ = writeln!(out, "  {indent}{}", style.paint(RED, &carets));
    for (what, text) in [("hint: ", report.hint), ("in ", report.origin)] {
        if let Some(text) = text {
            let _ = writeln!(out, "  {} {what}{text}", style.paint(BLUE, "="));
        }
    }
    out
}

/// One line without a line break: `error[101] at 1:6: message (hint)`.
#[must_use]
pub fn one_line(source: &str, report: &Report<'_>) -> String {
    let (line, column) = line_column(source, report.span);
    let mut out = format!("error[{}] at {line}:{column}: {}", report.code, report.message);
    if let Some(hint) = report.hint {
        let _ = write!(out, " ({hint})");
    }
    if let Some(origin) = report.origin {
        let _ = write!(out, " in {origin}");
    }
    out
}

/// Line and column of a span's beginning, both from 1, the column in characters.
#[must_use]
pub fn line_column(source: &str, span: Span) -> (usize, usize) {
    let before = &source[..floor(source, span.start)];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// The nearest character boundary at or before `at`.
fn floor(source: &str, at: u32) -> usize {
    let mut at = usize::try_from(at).unwrap_or(usize::MAX).min(source.len());
    while !source.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The part of the source that is shown, ready to print, with the carets' place in columns.
struct Excerpt {
    line: usize,
    text: String,
    indent: usize,
    width: usize,
}

impl Excerpt {
    fn of(source: &str, span: Span) -> Self {
        let start = floor(source, span.start);
        let line_start = source[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = source[start..].find('\n').map_or(source.len(), |at| start + at);
        // Carets stay on the first line of what they mark.
        let end = floor(source, span.end).clamp(start, line_end);

        let before = printable(&source[line_start..start]);
        let marked = printable(&source[start..end]);
        let after = printable(&source[end..line_end]);

        let (before, cut) = keep_end(&before, MAX_COLUMNS / 2);
        let room = MAX_COLUMNS - columns(&before);
        let marked_columns = columns(&marked).min(room);
        let (tail, cut_tail) = keep_start(&format!("{marked}{after}"), room);
        let (lead, trail) = (if cut { "..." } else { "" }, if cut_tail { "..." } else { "" });
        Self {
            line: source[..start].matches('\n').count() + 1,
            indent: columns(&before) + lead.len(),
            width: marked_columns.max(1),
            text: format!("{lead}{before}{tail}{trail}"),
        }
    }
}

fn columns(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// Without the characters that would move the carets, or the reader's cursor, or turn the line around.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\t' | '\n' | '\r' => ' ',
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
            c if c.width().is_none() => '\u{fffd}',
            c => c,
        })
        .collect()
}

fn keep_start(text: &str, room: usize) -> (String, bool) {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += c.width().unwrap_or(0);
        if used > room {
            return (text[..at].to_owned(), true);
        }
    }
    (text.to_owned(), false)
}

fn keep_end(text: &str, room: usize) -> (String, bool) {
    let mut used = 0;
    for (at, c) in text.char_indices().rev() {
        used += c.width().unwrap_or(0);
        if used > room {
            return (text[at + c.len_utf8()..].to_owned(), true);
        }
    }
    (text.to_owned(), false)
}
