//! Reads a pattern in Go's syntax (RE2 with Perl extensions, as `regexp.Compile` takes it) and writes the same
//! pattern for the `regex` crate.
//!
//! Nothing of the input is passed through: flags are resolved while reading, and every class is written out as ranges.
//! So no difference between the two syntaxes can leak.

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

use super::class::{fold, posix_class, ranges, scalar_ranges, unicode_table};
use super::{Error, Limits};

/// Go's limit for one repetition, and for the product of nested ones.
const MAX_REPEAT: u32 = 1000;

pub(super) struct Translated {
    pub(super) text: String,
    pub(super) names: Vec<Option<String>>,
}

pub(super) fn translate(pattern: &str, limits: Limits) -> Result<Translated, Error> {
    let mut reader = Reader {
        pattern,
        at: 0,
        out: String::with_capacity(pattern.len() + 16),
        names: vec![None],
        flags: Flags::default(),
        groups: Vec::new(),
        level: Level::default(),
        after_repeat: None,
        nesting: limits.nesting,
    };
    reader.run()?;
    Ok(Translated { text: reader.out, names: reader.names })
}

#[derive(Clone, Copy, Default)]
struct Flags {
    fold: bool,
    multi_line: bool,
    dot_newline: bool,
    swap_greed: bool,
}

/// One group's interior so far.
#[derive(Clone, Copy, Default)]
struct Level {
    /// How often the last atom may repeat what is inside it, or nothing if there is no atom to repeat.
    atom: Option<u32>,
    /// The largest such number in this group.
    widest: u32,
    /// Where the last atom starts in what is written.
    atom_start: usize,
    /// Whether an operator was written after it.
    repeated: bool,
}

struct Reader<'p> {
    pattern: &'p str,
    at: usize,
    out: String,
    names: Vec<Option<String>>,
    flags: Flags,
    groups: Vec<(Flags, Level)>,
    level: Level,
    /// Where the repetition operator just read began.
    after_repeat: Option<usize>,
    nesting: u32,
}

fn refuse(what: &str, text: &str) -> Error {
    Error::new(format!("error parsing regexp: {what}: `{text}`"))
}

impl<'p> Reader<'p> {
    fn rest(&self) -> &'p str {
        self.pattern.get(self.at..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn eat(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    fn run(&mut self) -> Result<(), Error> {
        while let Some(c) = self.peek() {
            let started = self.at;
            let mut repeat = None;
            match c {
                '(' if self.rest().starts_with("(?") => self.perl_group()?,
                '(' => {
                    self.at += 1;
                    self.names.push(None);
                    self.open("(")?;
                }
                ')' => self.close()?,
                '|' => {
                    self.at += 1;
                    self.out.push('|');
                    self.level.atom = None;
                }
                '*' | '+' | '?' => {
                    self.at += 1;
                    let (min, max) = match c {
                        '*' => (0, None),
                        '+' => (1, None),
                        _ => (0, Some(1)),
                    };
                    self.repeat(started, min, max)?;
                    repeat = Some(started);
                }
                '{' => match self.counted()? {
                    Some((min, max)) => {
                        self.repeat(started, min, max)?;
                        repeat = Some(started);
                    }
                    None => {
                        self.at += 1;
                        self.literal('{');
                    }
                },
                '^' => {
                    self.at += 1;
                    let look = if self.flags.multi_line { "(?m:^)" } else { r"(?:\A)" };
                    self.atom(look);
                }
                '$' => {
                    self.at += 1;
                    let look = if self.flags.multi_line { "(?m:$)" } else { r"(?:\z)" };
                    self.atom(look);
                }
                '.' => {
                    self.at += 1;
                    self.atom(if self.flags.dot_newline { "(?s:.)" } else { r"[^\n]" });
                }
                '[' => {
                    let class = self.class()?;
                    self.write_class(&class);
                }
                '\\' => self.backslash()?,
                _ => {
                    self.at += c.len_utf8();
                    self.literal(c);
                }
            }
            self.after_repeat = repeat;
        }
        if !self.groups.is_empty() {
            return Err(refuse("missing closing )", self.pattern));
        }
        Ok(())
    }

    fn atom(&mut self, text: &str) {
        self.level.atom_start = self.out.len();
        self.level.repeated = false;
        self.out.push_str(text);
        self.level.atom = Some(1);
        self.level.widest = self.level.widest.max(1);
    }

    fn literal(&mut self, c: char) {
        if self.flags.fold {
            let mut class = ClassUnicode::new([ClassUnicodeRange::new(c, c)]);
            fold(&mut class);
            // A character without other cases stays a literal.
            if class.ranges() != [ClassUnicodeRange::new(c, c)] {
                return self.write_class(&class);
            }
        }
        let mut utf8 = [0; 4];
        let escaped = regex_syntax::escape(c.encode_utf8(&mut utf8));
        self.atom(&escaped);
    }

    fn write_class(&mut self, class: &ClassUnicode) {
        if class.ranges().is_empty() {
            // A class that nothing can match.
            return self.atom(r"[^\x{0}-\x{10FFFF}]");
        }
        let mut text = String::from("[");
        for range in class.ranges() {
            text.push_str(&format!("\\x{{{:X}}}", u32::from(range.start())));
            if range.end() != range.start() {
                text.push_str(&format!("-\\x{{{:X}}}", u32::from(range.end())));
            }
        }
        text.push(']');
        self.atom(&text);
    }

    // ---- groups ----

    fn open(&mut self, text: &str) -> Result<(), Error> {
        if self.groups.len() >= self.nesting as usize {
            return Err(refuse("expression nests too deeply", self.pattern));
        }
        // The group is an atom of the level around it.
        self.level.atom_start = self.out.len();
        self.groups.push((self.flags, self.level));
        self.level = Level::default();
        self.out.push_str(text);
        Ok(())
    }

    fn close(&mut self) -> Result<(), Error> {
        let Some((flags, outer)) = self.groups.pop() else {
            return Err(refuse("unexpected )", self.pattern));
        };
        self.at += 1;
        self.out.push(')');
        let inner = self.level.widest.max(1);
        self.flags = flags;
        self.level = Level { atom: Some(inner), widest: outer.widest.max(inner), repeated: false, ..outer };
        Ok(())
    }

    /// `(?P<name>`, `(?<name>`, `(?flags)`, `(?flags:`.
    fn perl_group(&mut self) -> Result<(), Error> {
        let started = self.rest();
        for head in ["(?P<", "(?<"] {
            if started.starts_with("(?<=") || started.starts_with("(?<!") {
                return Err(refuse("invalid or unsupported Perl syntax", &started[..4]));
            }
            if let Some(tail) = started.strip_prefix(head) {
                let Some(end) = tail.find('>') else {
                    return Err(refuse("invalid named capture", started));
                };
                let name = &tail[..end];
                let whole = &started[..head.len() + end + 1];
                if name.is_empty() || !name.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric()) {
                    return Err(refuse("invalid named capture", whole));
                }
                self.at += whole.len();
                // Go takes names that start with a digit, and equal names, so names stay on this side.
                self.names.push(Some(name.to_owned()));
                return self.open("(");
            }
        }
        self.at += 2;
        let mut flags = self.flags;
        let mut on = true;
        let mut saw_flag = false;
        while let Some(c) = self.take() {
            match c {
                'i' => flags.fold = on,
                'm' => flags.multi_line = on,
                's' => flags.dot_newline = on,
                'U' => flags.swap_greed = on,
                '-' if on => {
                    on = false;
                    saw_flag = false;
                    continue;
                }
                ':' | ')' if on || saw_flag => {
                    if c == ':' {
                        self.open("(?:")?;
                    }
                    self.flags = flags;
                    return Ok(());
                }
                _ => {
                    let used = self.at - (self.pattern.len() - started.len());
                    return Err(refuse("invalid or unsupported Perl syntax", &started[..used]));
                }
            }
            saw_flag = true;
        }
        Err(refuse("missing closing )", self.pattern))
    }

    // ---- repetition ----

    /// `{n}`, `{n,}`, `{n,m}`; nothing if the brace is a literal.
    fn counted(&mut self) -> Result<Option<(u32, Option<u32>)>, Error> {
        let started = self.at;
        let text = self.rest();
        let Some(end) = text.find('}') else { return Ok(None) };
        let inside = &text[1..end];
        let (low, high) = match inside.split_once(',') {
            None => (inside, Some(inside)),
            Some((low, "")) => (low, None),
            Some((low, high)) => (low, Some(high)),
        };
        let (Some(min), Some(max)) = (count(low), high.map_or(Some(None), |high| count(high).map(Some))) else {
            return Ok(None);
        };
        if min > MAX_REPEAT || max.is_some_and(|max| max > MAX_REPEAT || max < min) {
            return Err(refuse("invalid repeat count", &text[..=end]));
        }
        self.at = started + end + 1;
        Ok(Some((min, max)))
    }

    fn repeat(&mut self, started: usize, min: u32, max: Option<u32>) -> Result<(), Error> {
        let mut greedy = !self.flags.swap_greed;
        if self.eat("?") {
            greedy = !greedy;
        }
        if let Some(first) = self.after_repeat {
            return Err(refuse("invalid nested repetition operator", &self.pattern[first..self.at]));
        }
        let operator = &self.pattern[started..self.at];
        let Some(inner) = self.level.atom else {
            return Err(refuse("missing argument to repetition operator", operator));
        };
        let times = match max {
            Some(max) => max,
            None => min,
        };
        let product = inner.saturating_mul(times.max(1));
        if (min >= 2 || max.is_some_and(|max| max >= 2)) && product > MAX_REPEAT {
            return Err(refuse("invalid repeat count", operator));
        }
        self.level.atom = Some(product);
        self.level.widest = self.level.widest.max(product);
        // In `a+(?s)?` the flags keep the operators apart for Go; here a group must.
        if std::mem::replace(&mut self.level.repeated, true) {
            self.out.insert_str(self.level.atom_start, "(?:");
            self.out.push(')');
        }
        match (min, max) {
            (0, None) => self.out.push('*'),
            (1, None) => self.out.push('+'),
            (0, Some(1)) => self.out.push('?'),
            (min, None) => self.out.push_str(&format!("{{{min},}}")),
            (min, Some(max)) => self.out.push_str(&format!("{{{min},{max}}}")),
        }
        if !greedy {
            self.out.push('?');
        }
        Ok(())
    }

    // ---- escapes and classes ----

    fn backslash(&mut self) -> Result<(), Error> {
        let text = self.rest();
        match text.chars().nth(1) {
            None => return Err(refuse("trailing backslash at end of expression", "")),
            Some('A') => {
                self.at += 2;
                self.atom(r"(?:\A)");
                return Ok(());
            }
            Some('z') => {
                self.at += 2;
                self.atom(r"(?:\z)");
                return Ok(());
            }
            Some('b') => {
                self.at += 2;
                self.atom(r"(?-u:\b)");
                return Ok(());
            }
            Some('B') => {
                self.at += 2;
                self.atom(r"(?-u:\B)");
                return Ok(());
            }
            Some('Q') => {
                let quoted = &text[2..];
                let (literal, used) = match quoted.find("\\E") {
                    Some(end) => (&quoted[..end], end + 2),
                    None => (quoted, quoted.len()),
                };
                self.at += 2 + used;
                for c in literal.chars() {
                    self.literal(c);
                }
                return Ok(());
            }
            _ => {}
        }
        if let Some(class) = self.named_class_escape()? {
            self.write_class(&class);
            return Ok(());
        }
        match self.escape()? {
            Some(c) => self.literal(c),
            // A surrogate: legal in the pattern, but in no text.
            None => self.write_class(&ClassUnicode::empty()),
        }
        Ok(())
    }

    /// `\d \D \s \S \w \W \pN \p{Name} \PN`, with the current case folding applied.
    fn named_class_escape(&mut self) -> Result<Option<ClassUnicode>, Error> {
        let text = self.rest();
        let Some(letter) = text.strip_prefix('\\').and_then(|tail| tail.chars().next()) else { return Ok(None) };
        let (mut class, mut negated) = match letter {
            'd' | 'D' => (ranges(&[('0', '9')]), letter == 'D'),
            's' | 'S' => (ranges(&[('\t', '\n'), ('\x0c', '\r'), (' ', ' ')]), letter == 'S'),
            'w' | 'W' => (ranges(&[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')]), letter == 'W'),
            'p' | 'P' => return self.unicode_class(letter == 'P').map(Some),
            _ => return Ok(None),
        };
        self.at += 2;
        if self.flags.fold {
            fold(&mut class);
        }
        if std::mem::take(&mut negated) {
            class.negate();
        }
        Ok(Some(class))
    }

    fn unicode_class(&mut self, mut negated: bool) -> Result<ClassUnicode, Error> {
        let text = self.rest();
        let tail = text.get(2..).unwrap_or("");
        let (mut name, used) = if let Some(braced) = tail.strip_prefix('{') {
            let Some(end) = braced.find('}') else {
                return Err(refuse("invalid character class range", text));
            };
            (&braced[..end], end + 4)
        } else {
            let Some(c) = tail.chars().next() else {
                return Err(refuse("invalid character class range", text));
            };
            (&tail[..c.len_utf8()], 2 + c.len_utf8())
        };
        let whole = &text[..used];
        if let Some(positive) = name.strip_prefix('^') {
            negated = !negated;
            name = positive;
        }
        let mut class = unicode_table(name).ok_or_else(|| refuse("invalid character class range", whole))?;
        self.at += used;
        if self.flags.fold {
            fold(&mut class);
        }
        if negated {
            class.negate();
        }
        Ok(class)
    }

    /// A backslash and what it escapes, as one character; nothing for a surrogate.
    fn escape(&mut self) -> Result<Option<char>, Error> {
        let started = self.at;
        self.at += 1;
        let Some(c) = self.take() else {
            return Err(refuse("trailing backslash at end of expression", ""));
        };
        let invalid = |reader: &Reader<'_>| Err(refuse("invalid escape sequence", &reader.pattern[started..reader.at]));
        let code = match c {
            // A single non-zero digit would be a back-reference.
            '1'..='7' if !self.peek().is_some_and(|next| next.is_digit(8)) => return invalid(self),
            '0'..='7' => {
                let mut code = c.to_digit(8).unwrap_or(0);
                for _ in 0..2 {
                    let Some(digit) = self.peek().and_then(|next| next.to_digit(8)) else { break };
                    self.at += 1;
                    code = code * 8 + digit;
                }
                code
            }
            'x' if self.eat("{") => {
                let mut code = 0u32;
                let mut n_digits = 0;
                loop {
                    match self.take() {
                        Some('}') if n_digits > 0 => break,
                        Some(digit) if digit.is_ascii_hexdigit() => {
                            code = code * 16 + digit.to_digit(16).unwrap_or(0);
                            n_digits += 1;
                            if code > 0x10_FFFF {
                                return invalid(self);
                            }
                        }
                        _ => return invalid(self),
                    }
                }
                code
            }
            'x' => {
                let mut code = 0;
                for _ in 0..2 {
                    match self.take().and_then(|digit| digit.to_digit(16)) {
                        Some(digit) => code = code * 16 + digit,
                        None => return invalid(self),
                    }
                }
                code
            }
            'a' => 7,
            'f' => 12,
            'n' => 10,
            'r' => 13,
            't' => 9,
            'v' => 11,
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => u32::from(c),
            _ => return invalid(self),
        };
        Ok(char::from_u32(code))
    }

    /// `[...]`. Set operators and nested brackets are literal characters in Go.
    fn class(&mut self) -> Result<ClassUnicode, Error> {
        let opened = self.rest();
        self.at += 1;
        let negated = self.eat("^");
        let mut class = ClassUnicode::empty();
        let mut first = true;
        loop {
            let text = self.rest();
            if text.is_empty() {
                return Err(refuse("missing closing ]", opened));
            }
            if !first && self.eat("]") {
                break;
            }
            first = false;
            if let Some(end) = text.strip_prefix("[:").and_then(|tail| tail.find(":]")) {
                let whole = &text[..end + 4];
                let named = posix_class(&text[2..end + 2], self.flags.fold)
                    .ok_or_else(|| refuse("invalid character class range", whole))?;
                class.union(&named);
                self.at += whole.len();
                continue;
            }
            if let Some(named) = self.named_class_escape()? {
                class.union(&named);
                continue;
            }
            let range_started = self.at;
            let low = self.class_char(opened)?;
            let mut high = low;
            let tail = self.rest();
            if tail.len() >= 2 && tail.starts_with('-') && !tail.starts_with("-]") {
                self.at += 1;
                high = self.class_char(opened)?;
                if high < low {
                    return Err(refuse("invalid character class range", &self.pattern[range_started..self.at]));
                }
            }
            let mut part = scalar_ranges(low, high);
            if self.flags.fold {
                fold(&mut part);
            }
            class.union(&part);
        }
        if negated {
            class.negate();
        }
        Ok(class)
    }

    /// A code point, surrogates included: they may be the ends of a range.
    fn class_char(&mut self, opened: &str) -> Result<u32, Error> {
        match self.peek() {
            None => Err(refuse("missing closing ]", opened)),
            Some('\\') => {
                let started = self.at;
                match self.escape()? {
                    Some(c) => Ok(u32::from(c)),
                    None => {
                        // Only \x{...} can spell a surrogate.
                        let digits = self.pattern[started..self.at].trim_start_matches("\\x{").trim_end_matches('}');
                        u32::from_str_radix(digits, 16).map_err(|_| refuse("invalid escape sequence", digits))
                    }
                }
            }
            Some(c) => {
                self.at += c.len_utf8();
                Ok(u32::from(c))
            }
        }
    }
}

/// Digits without a leading zero; huge counts become too large rather than wrong.
fn count(text: &str) -> Option<u32> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) || (text.len() > 1 && text.starts_with('0')) {
        return None;
    }
    Some(text.parse().unwrap_or(u32::MAX))
}
