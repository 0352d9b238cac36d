//! Guesses what was meant: the slips that people bring from other languages.
//!
//! A hint never changes what is accepted. Where no slip is recognised there is none.

use crate::{
    error::{Code, Error},
    scan::{self, Kind, Lexeme},
    span::Span,
};

/// The error for a character that no token begins with.
pub(crate) fn stray(text: &str, lexeme: &Lexeme<'_>) -> Error {
    let error = Error::new(Code::StrayCharacter, lexeme.span(), format!("unexpected character `{}`", lexeme.text));
    let behind = &text[lexeme.end()..];
    match lexeme.text {
        "&&" | "&" => error.hint("write `and`"),
        "||" | "|" => error.hint("write `or`"),
        "!" if behind.starts_with('~') => error.hint("write `not IsMatch(value, \"pattern\")`"),
        "!" => error.hint("write `not`"),
        "~" => error.hint("write `IsMatch(value, \"pattern\")`"),
        "'" | "`" => error.hint("strings take double quotes"),
        "\u{201c}" | "\u{201d}" | "\u{201e}" | "\u{2018}" | "\u{2019}" => {
            error.hint("this is a typographic quote; strings take the plain double quote")
        }
        "%" => error.hint("there is no remainder operator"),
        "#" => error.hint("there are no comments"),
        ";" => error.hint("a text is one expression; it has no end mark"),
        "$" => error.hint("there are no variables; `$` can only stand in a string"),
        "\\" => error.hint("a backslash can only stand in a string"),
        "?" => error.hint("there is no conditional operator"),
        "^" => error.hint("there is no power operator"),
        "\u{a0}" => error.hint("this is a no-break space; write an ordinary one"),
        other if !other.is_ascii() => error.hint("characters beyond ASCII can only stand in a string"),
        _ => error,
    }
}

/// The error for a quote without its partner.
pub(crate) fn open_string(lexeme: &Lexeme<'_>) -> Error {
    let at = Span::new(lexeme.start, lexeme.start + 1);
    let error = Error::new(Code::OpenString, at, "this quote has no partner");
    if lexeme.text.ends_with("\\\"") {
        return error.hint("`\\\"` is a quote inside a string; a backslash is written `\\\\`");
    }
    error.hint("one of the quotes before it may be missing; a quote inside a string is written `\\\"`")
}

/// What stands around the place where the grammar stopped.
pub(crate) struct Around<'s> {
    text: &'s str,
    /// The lexeme the place is in, cut off before the place.
    pub(crate) here: Option<Lexeme<'s>>,
    before: Vec<Lexeme<'s>>,
    after: Vec<Lexeme<'s>>,
}

impl<'s> Around<'s> {
    /// Looks around byte `place` of a text, which must be a character boundary.
    pub(crate) fn new(text: &'s str, place: usize) -> Self {
        let (mut before, mut here, mut after) = (Vec::new(), None, Vec::new());
        for lexeme in scan::lexemes(text) {
            if lexeme.end() <= place {
                before.push(lexeme);
            } else if here.is_none() {
                let cut = place.saturating_sub(lexeme.start);
                here = Some(Lexeme { text: &lexeme.text[cut..], start: lexeme.start + cut, ..lexeme });
            } else {
                after.push(lexeme);
            }
        }
        Self { text, here, before, after }
    }

    /// What the place holds, in words.
    pub(crate) fn found(&self) -> String {
        match self.here {
            None => "the end".to_owned(),
            Some(lexeme) if lexeme.text.chars().count() > 40 => {
                let start: String = lexeme.text.chars().take(37).collect();
                format!("`{start}...`")
            }
            Some(lexeme) => format!("`{}`", lexeme.text),
        }
    }

    /// The closing bracket that may be missing here: that of the innermost open one.
    fn open_bracket(&self) -> Option<&Lexeme<'s>> {
        let mut open = Vec::new();
        for lexeme in &self.before {
            match lexeme.kind {
                Kind::Open => open.push(lexeme),
                Kind::Close => drop(open.pop()),
                _ => {}
            }
        }
        open.pop()
    }

    fn before(&self, back: usize) -> &'s str {
        self.before.iter().rev().nth(back).map_or("", |lexeme| lexeme.text)
    }

    /// A guess at the slip, given what the grammar would have taken.
    pub(crate) fn hint(&self, expected: &[&'static str]) -> Option<String> {
        let here = self.here.map_or("", |lexeme| lexeme.text);
        let next = self.after.first().map_or("", |lexeme| lexeme.text);
        let (last, last_but_one) = (self.before(0), self.before(1));
        let adjacent = |at: usize| {
            let end = self.before.iter().rev().nth(at).map(Lexeme::end);
            end.is_some() && end == self.here.map(|lexeme| lexeme.start)
        };
        let hint = match (last, here) {
            (_, "=") if next == "!" => "write `!=`".to_owned(),
            ("==", "=") => "write `==`".to_owned(),
            ("!=", "=") => "write `!=`".to_owned(),
            ("=" | "<", ">") if last == "<" => "write `!=`".to_owned(),
            (_, "=") if next == "<" => "write `<=`".to_owned(),
            (_, "=>") if expected.contains(&OPERATOR) => "write `>=`; `=>` begins a lambda's body".to_owned(),
            (_, "=") => "to compare, write `==`".to_owned(),
            ("/", "/") => "there are no comments".to_owned(),
            (_, word @ ("AND" | "And" | "OR" | "Or" | "NOT" | "Not")) => lower_case(word),
            (word @ ("AND" | "And" | "OR" | "Or" | "NOT" | "Not"), _) => lower_case(word),
            (_, "in" | "IN") if next == "[" => "write `ContainsValue([..], value)`".to_owned(),
            (_, "in" | "IN") => "write `ContainsValue(list, value)`".to_owned(),
            (_, "matches" | "like" | "LIKE") => "write `IsMatch(value, \"pattern\")`".to_owned(),
            (_, "contains") => "write `ContainsValue(list, value)` or `IsMatch(value, \"pattern\")`".to_owned(),
            (_, "where") => "`where` belongs to statements; join conditions with `and`".to_owned(),
            ("not", "not") => "write `not (not ..)`".to_owned(),
            ("and" | "or", "and" | "or") => format!("one of `{last}` and `{here}` is too much"),
            ("-" | "+", "-" | "+") => format!("an operand takes one sign; write `{last}({here}..)`"),
            ("*", "*") => "there is no power operator".to_owned(),
            (",", ")" | "]") => "remove the trailing comma".to_owned(),
            ("[", "]") => "a key is a string, an int, or arithmetic".to_owned(),
            (_, text) if text.starts_with('"') && matches!(last, "+") && last_but_one.starts_with('"') => CONCAT.into(),
            (_, text) if text.starts_with('"') && matches!(last, "+") => CONCAT.into(),
            (text, "+") if text.starts_with('"') => CONCAT.into(),
            (number, text) if adjacent(0) && is_number(number) && text.starts_with(['e', 'E']) => {
                format!("a float has a dot: `{number}.0{text}`")
            }
            ("0", text) if adjacent(0) && text.starts_with('X') => "bytes begin with a lower-case `0x`".to_owned(),
            ("0", "x") if adjacent(0) => "bytes have at least one pair of digits: `0x00`".to_owned(),
            (number, text) if adjacent(0) && is_number(number) && text.starts_with('_') => {
                "digits are not grouped".to_owned()
            }
            ("[", "nil" | "true" | "false") => "a key is a string, an int, or arithmetic".to_owned(),
            (_, "==" | "!=" | "<" | "<=" | ">" | ">=")
                if !expected.contains(&OPERATOR) && !expected.contains(&VALUE) =>
            {
                "comparisons do not chain; join two with `and`".to_owned()
            }
            ("(", "") | (_, "") if self.open_bracket().is_some() => self.close_it()?,
            (_, "[") if matches!(last, "]" | "}") => "list and map literals take no keys".to_owned(),
            (name, _) if is_converter_name(name) && expected.contains(&CALL) => format!("call it: `{name}(..)`"),
            (_, name) if is_converter_name(name) && next != "(" => format!("a function is called: `{name}(..)`"),
            (_, ")" | "]" | "}") => match self.open_bracket() {
                None => format!("this `{here}` closes nothing"),
                Some(open) if closing(open.text) != here => self.close_it()?,
                Some(_) => return None,
            },
            _ => return None,
        };
        Some(hint)
    }

    /// Tells about the innermost open bracket.
    fn close_it(&self) -> Option<String> {
        let open = self.open_bracket()?;
        let (line, column) = crate::render::line_column(self.text, open.span());
        let place = if line == 1 { format!("column {column}") } else { format!("line {line}, column {column}") };
        Some(format!("the `{}` at {place} needs its `{}`", open.text, closing(open.text)))
    }
}

/// How an expectation of a comparison operator is written.
pub(crate) const OPERATOR: &str = "an operator";
/// How an expectation of any value is written.
pub(crate) const VALUE: &str = "a value";
/// How an expectation of a function call is written.
pub(crate) const CALL: &str = "a call";

const CONCAT: &str = "strings are joined by `Concat([..], \"\")`";

fn lower_case(word: &str) -> String {
    format!("keywords are lower case: `{}`", word.to_ascii_lowercase())
}

fn closing(open: &str) -> &'static str {
    match open {
        "(" => ")",
        "[" => "]",
        _ => "}",
    }
}

fn is_number(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

/// Upper-case first, with lower case somewhere: not an enum symbol.
fn is_converter_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_uppercase()) && text.contains(|c: char| c.is_ascii_lowercase())
}
