//! Guesses what was meant: the slips that people bring from other languages.
//!
//! A hint never changes what is accepted. Where no slip is recognised there is none.

use crate::{
    error::{Code, Error},
    render::printable,
    scan::{self, Kind, Lexeme},
    span::Span,
};

/// The error for a character that no token begins with.
pub(crate) fn stray(text: &str, lexeme: &Lexeme<'_>) -> Error {
    let before = &text[..lexeme.start];
    let first = lexeme.text.chars().next().unwrap_or_default();
    if let '\'' | '`' | '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{2018}' | '\u{2019}' = first {
        let error = Error::new(Code::StrayCharacter, lexeme.span(), "strings do not take this quote");
        let mut inner = lexeme.text.chars();
        return match (inner.next(), inner.next_back(), inner.as_str()) {
            (Some(_), Some(_), inner) if !inner.contains(['"', '\\']) => {
                error.hint(format!("write `\"{}\"`", printable(inner)))
            }
            _ => error.hint("strings take double quotes"),
        };
    }
    let what = match first {
        c if c.is_control() || c.is_whitespace() => format!("U+{:04X}", u32::from(c)),
        _ => format!("`{}`", printable(lexeme.text)),
    };
    let error = Error::new(Code::StrayCharacter, lexeme.span(), format!("unexpected character {what}"));
    match lexeme.text {
        "&&" | "&" => error.hint("write `and`"),
        "||" | "|" => error.hint("write `or`"),
        "!" if before.ends_with('=') => error.hint("write `!=`"),
        "!" => error.hint("write `not`"),
        "!~" => error.hint("write `not IsMatch(value, \"pattern\")`"),
        "=~" | "~" => error.hint("write `IsMatch(value, \"pattern\")`"),
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

/// The text with what stray characters stand for, of the same length, so that what else is wrong can be told at its place;
/// `None` where that is not plain. Whether `and` or `or` was meant makes no difference to the grammar.
pub(crate) fn mended(text: &str) -> Option<String> {
    let mut mended = text.to_owned();
    for lexeme in scan::lexemes(text).filter(|lexeme| lexeme.kind == Kind::Stray) {
        let range = lexeme.start..lexeme.end();
        match lexeme.text.as_bytes() {
            b"&&" | b"||" => mended.replace_range(range, "or"),
            [b'\'', inner @ .., b'\''] | [b'`', inner @ .., b'`']
                if !inner.iter().any(|byte| b"\"\\".contains(byte)) =>
            {
                mended.replace_range(range.start..=range.start, "\"");
                mended.replace_range(range.end - 1..range.end, "\"");
            }
            _ => return None,
        }
    }
    Some(mended)
}

/// The error for a quote without its partner.
pub(crate) fn open_string(lexeme: &Lexeme<'_>) -> Error {
    let at = Span::new(lexeme.start, lexeme.start + 1);
    let error = Error::new(Code::OpenString, at, "this quote has no partner");
    if lexeme.text.contains("\\\n") {
        return error.hint("a backslash is written `\\\\`, also before a line break");
    }
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
                format!("`{}...`", printable(&start))
            }
            Some(lexeme) => format!("`{}`", printable(lexeme.text)),
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
        // Where nothing but a closing bracket can follow, it is missing, whatever stands there instead.
        if let [only] = expected
            && ["`)`", "`]`", "`}`"].contains(only)
        {
            let key = (self.before(1), *only) == ("[", "`]`");
            return match self.here() {
                "," if key => Some("each key has its own brackets: `[..][..]`".to_owned()),
                "+" | "-" | "*" | "/" if key => {
                    Some("arithmetic that begins with an int takes parentheses: `[(..)]`".to_owned())
                }
                _ => self.close_it(),
            };
        }
        self.operator_slip(expected)
            .or_else(|| self.word_slip(expected))
            .or_else(|| self.literal_slip(expected))
            .or_else(|| self.bracket_slip(expected))
    }

    fn here(&self) -> &'s str {
        self.here.map_or("", |lexeme| lexeme.text)
    }

    /// What stands before, if there is no white space between.
    fn touching(&self) -> &'s str {
        match (self.before.last(), self.here) {
            (Some(last), Some(here)) if last.end() == here.start => last.text,
            // The place is inside a lexeme, which is then cut.
            (_, Some(here)) if here.start > 0 && !self.text[..here.start].ends_with(BLANKS) => {
                let before = &self.text[..here.start];
                before.rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.').next().unwrap_or("")
            }
            _ => "",
        }
    }

    fn operator_slip(&self, expected: &[&'static str]) -> Option<String> {
        let next = self.after.first().map_or("", |lexeme| lexeme.text);
        let comparison = matches!(self.here(), "==" | "!=" | "<" | "<=" | ">" | ">=");
        let boolean = comparison || matches!(self.here(), "and" | "or" | "not");
        let hint = match (self.before(0), self.here()) {
            ("==", "=") => "write `==`",
            ("!=", "=") => "write `!=`",
            ("<", ">") => "write `!=`",
            (_, "=") if next == "<" => "write `<=`",
            (_, "=>") if expected.contains(&OPERATOR) => "write `>=`; `=>` begins a lambda's body",
            (_, "=") if expected.contains(&OPERATOR) => "to compare, write `==`",
            ("/", "/") => "there are no comments",
            (_, "/") if next == "/" => "there are no comments",
            ("*", "*") => "there is no power operator",
            (sign @ ("-" | "+"), again @ ("-" | "+")) => {
                return Some(format!("an operand takes one sign; write `{sign}({again}..)`"));
            }
            _ if boolean && self.before.is_empty() && expected.contains(&CONDITION) => return None,
            _ if comparison && expected.contains(&"`and`") => "comparisons do not chain; join two with `and`",
            _ if boolean && expected.contains(&"`where`") => "a condition follows `where`",
            _ if boolean && !expected.contains(&"`and`") && expected.iter().any(|what| ENDS.contains(what)) => {
                "only a value can stand here, and a condition is none"
            }
            (_, "not") if expected.contains(&VALUE) && self.before(0) == "not" => "write `not (not ..)`",
            (_, "not") if expected.contains(&VALUE) => "`not` stands before a whole comparison",
            (last @ ("and" | "or"), here @ ("and" | "or")) => {
                return Some(format!("one of `{last}` and `{here}` is too much"));
            }
            (last, "+") if last.starts_with('"') => CONCAT,
            ("+", here) if here.starts_with('"') => CONCAT,
            (_, "+" | "-" | "*" | "/") if expected.contains(&"`and`") => {
                "arithmetic takes numbers, paths and calls; other literals are no operands"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }

    fn word_slip(&self, expected: &[&'static str]) -> Option<String> {
        let next = self.after.first().map_or("", |lexeme| lexeme.text);
        for word in [self.here(), self.before(0)] {
            if matches!(word, "AND" | "And" | "OR" | "Or" | "NOT" | "Not") {
                return Some(format!("keywords are lower case: `{}`", word.to_ascii_lowercase()));
            }
        }
        let hint = match self.here() {
            "in" | "IN" if next == "[" => "write `ContainsValue([..], value)`",
            "contains" if expected.contains(&OPERATOR) => {
                "write `IsMatch(text, \"part\")`, or for lists `ContainsValue(list, value)`"
            }
            "in" | "IN" if expected.contains(&OPERATOR) => "write `ContainsValue(list, value)`",
            "matches" | "like" | "LIKE" if expected.contains(&OPERATOR) => "write `IsMatch(value, \"pattern\")`",
            "is" | "IS" if expected.contains(&OPERATOR) => "write `== nil` or `!= nil`",
            "where" if self.before.first().is_some_and(|first| is_action(first.text)) => ACTION,
            _ if self.before.len() == 1 && is_action(self.before(0)) => ACTION,
            "where" => "`where` belongs to statements; join conditions with `and`",
            _ => return None,
        };
        Some(hint.to_owned())
    }

    fn literal_slip(&self, expected: &[&'static str]) -> Option<String> {
        let (touching, here) = (self.touching(), self.here());
        let next = self.after.first().map_or("", |lexeme| lexeme.text);
        if touching.starts_with(|c: char| c.is_ascii_digit()) {
            return match here.chars().next()? {
                'e' | 'E' => Some(format!("a float has a dot: `{touching}.0{here}`")),
                'X' if touching == "0" => Some("bytes begin with a lower-case `0x`".to_owned()),
                'x' if touching == "0" => Some("bytes have at least one pair of digits: `0x00`".to_owned()),
                '_' | ',' => Some("digits are not grouped".to_owned()),
                _ => None,
            };
        }
        if touching.starts_with(|c: char| c.is_ascii_lowercase()) && here.starts_with(|c: char| c.is_ascii_uppercase())
        {
            return Some("names of paths are lower case".to_owned());
        }
        if is_converter_name(here) && next != "(" {
            let wanted = [CONDITION, VALUE].iter().any(|what| expected.contains(what));
            return wanted
                .then(|| format!("paths and enum symbols have no mixed case; a function is called: `{here}(..)`"));
        }
        if here.starts_with('_') && self.here.is_some_and(|lexeme| lexeme.kind == Kind::Word) {
            return Some("names begin with a letter".to_owned());
        }
        if here.starts_with(|c: char| c.is_ascii_lowercase())
            && expected.contains(&STRING)
            && !expected.contains(&ARITHMETIC)
        {
            return Some(format!("a map's keys are strings: `\"{here}\"`"));
        }
        None
    }

    fn bracket_slip(&self, expected: &[&'static str]) -> Option<String> {
        match (self.before(0), self.here()) {
            (",", ")" | "]") => Some("remove the trailing comma".to_owned()),
            ("(", ")") if expected.contains(&"`=>`") => Some("the parentheses are empty".to_owned()),
            ("[", "]") if expected.contains(&ARITHMETIC) => Some("the key is missing".to_owned()),
            ("]" | "}", "[") => Some("list and map literals take no keys".to_owned()),
            (last, "[") if last.starts_with(|c: char| c.is_ascii_uppercase()) => {
                Some("enum symbols take no keys".to_owned())
            }
            (_, "") => self.close_it(),
            (_, here @ (")" | "]" | "}")) => match self.open_bracket() {
                None => Some(format!("this `{here}` closes nothing")),
                Some(open) if closing(open.text) != here => self.close_it(),
                Some(_) => None,
            },
            _ => None,
        }
    }

    /// Tells about the innermost open bracket.
    fn close_it(&self) -> Option<String> {
        let open = self.open_bracket()?;
        let (line, column) = crate::render::line_column(self.text, open.span());
        let place = if line == 1 { format!("column {column}") } else { format!("line {line}, column {column}") };
        Some(format!("the `{}` at {place} needs its `{}`", open.text, closing(open.text)))
    }
}

/// How an expectation of a condition is written.
pub(crate) const CONDITION: &str = "a condition";
/// How an expectation of any value is written.
pub(crate) const VALUE: &str = "a value";
/// How an expectation of an operand of arithmetic is written.
pub(crate) const OPERAND: &str = "an operand";
/// How an expectation of arithmetic is written where a key may be that.
pub(crate) const ARITHMETIC: &str = "arithmetic";
/// How an expectation of a comparison operator is written.
pub(crate) const OPERATOR: &str = "an operator";
/// How an expectation of a string literal is written.
pub(crate) const STRING: &str = "a string";

/// What can only follow where a value was read for itself.
const ENDS: [&str; 5] = ["the end", "`,`", "`)`", "`]`", "`}`"];

const BLANKS: [char; 5] = [' ', '\t', '\n', '\x0c', '\r'];

const CONCAT: &str = "strings are joined by `Concat([..], \"\")`";

/// What to say where a condition begins with what should happen.
pub(crate) const ACTION: &str = "a condition has no action; write only what would follow `where`";

/// Words that people begin a condition with who mean what is to happen to what it is true for.
pub(crate) fn is_action(word: &str) -> bool {
    matches!(word, "keep" | "drop" | "include" | "exclude" | "allow" | "deny")
}

fn closing(open: &str) -> &'static str {
    match open {
        "(" => ")",
        "[" => "]",
        _ => "}",
    }
}

/// Upper-case first, with lower case somewhere: not an enum symbol.
fn is_converter_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_uppercase()) && text.contains(|c: char| c.is_ascii_lowercase())
}
