//! Go's `fmt.Sprintf`: verbs, flags, widths, argument indexes and its way of reporting mistakes inside the text.
//!
//! It does not print Go pointers: what Go shows as an address has no meaning outside its process.

mod float;
mod number;
mod quote;

use std::borrow::Cow;

use number::Radix;

/// An argument, as the Go value it stands for.
#[derive(Clone, Debug)]
pub enum Arg<'a> {
    /// The nil interface.
    Nil,
    /// `bool`
    Bool(bool),
    /// A signed integer of the named type.
    Int(i64, &'static str),
    /// An unsigned integer of the named type.
    Uint(u64, &'static str),
    /// `float64`
    Float(f64),
    /// `string`
    Str(Cow<'a, [u8]>),
    /// `[]uint8`
    Bytes(Cow<'a, [u8]>),
    /// A slice or array of the named type.
    List(Vec<Arg<'a>>, &'static str),
    /// A nil slice of the named type.
    NilList(&'static str),
    /// A map of the named type; printed in order of keys.
    Map(Vec<(Cow<'a, [u8]>, Arg<'a>)>, &'static str),
    /// A type with a `String` method: that text, what it is without the method, and its name.
    Stringer(Vec<u8>, Box<Arg<'a>>, &'static str),
}

impl Arg<'_> {
    fn type_name(&self) -> &'static str {
        match self {
            Arg::Nil => "<nil>",
            Arg::Bool(_) => "bool",
            Arg::Float(_) => "float64",
            Arg::Str(_) => "string",
            Arg::Bytes(_) => "[]uint8",
            Arg::Int(_, name)
            | Arg::Uint(_, name)
            | Arg::List(_, name)
            | Arg::NilList(name)
            | Arg::Map(_, name)
            | Arg::Stringer(.., name) => name,
        }
    }
}

/// Widths and precisions beyond this are mistakes to Go.
const MAX_WIDTH: i64 = 1_000_000;

/// `fmt.Sprintf(format, args...)`, or nothing if the text exceeds `max_bytes`.
pub fn sprintf(format: &[u8], args: &[Arg<'_>], max_bytes: usize) -> Option<Vec<u8>> {
    let mut printer = Printer { out: Vec::new(), flags: Flags::default(), max_bytes };
    printer.run(format, args)?;
    (printer.out.len() <= max_bytes).then_some(printer.out)
}

#[derive(Clone, Copy, Default)]
struct Flags {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    /// `%+v` and `%#v` have meanings of their own.
    sharp_v: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

struct Printer {
    out: Vec<u8>,
    flags: Flags,
    max_bytes: usize,
}

/// Which argument is next, and whether an index such as `[2]` was used.
struct Cursor {
    next: usize,
    reordered: bool,
    good_index: bool,
}

impl Printer {
    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// Ends the work when the text is too long already.
    fn check(&self) -> Option<()> {
        (self.out.len() <= self.max_bytes).then_some(())
    }

    fn run(&mut self, format: &[u8], args: &[Arg<'_>]) -> Option<()> {
        let mut cursor = Cursor { next: 0, reordered: false, good_index: true };
        let mut after_index;
        let mut at = 0;
        while at < format.len() {
            cursor.good_index = true;
            let plain = memchr::memchr(b'%', &format[at..]).map_or(format.len(), |found| at + found);
            self.out.extend_from_slice(&format[at..plain]);
            self.check()?;
            if plain >= format.len() {
                break;
            }
            at = plain + 1;
            self.flags = Flags::default();
            while let Some(&flag) = format.get(at) {
                match flag {
                    b'#' => self.flags.sharp = true,
                    b'0' => self.flags.zero = true,
                    b'+' => self.flags.plus = true,
                    b'-' => self.flags.minus = true,
                    b' ' => self.flags.space = true,
                    _ => break,
                }
                at += 1;
            }
            after_index = cursor.index(format, &mut at, args.len());
            if format.get(at) == Some(&b'*') {
                at += 1;
                match cursor.int(args) {
                    Some(width) => {
                        // A negative width is the minus flag, which rules zeros out.
                        if width < 0 {
                            self.flags.minus = true;
                            self.flags.zero = false;
                        }
                        self.flags.width = Some(width.unsigned_abs() as usize);
                    }
                    None => self.text("%!(BADWIDTH)"),
                }
                after_index = false;
            } else {
                self.flags.width = number(format, &mut at);
                // Such as "%[3]2d".
                if after_index && self.flags.width.is_some() {
                    cursor.good_index = false;
                }
            }
            // A point that ends the format is its verb.
            if format.get(at) == Some(&b'.') && at + 1 < format.len() {
                at += 1;
                // Such as "%[3].2d".
                if after_index {
                    cursor.good_index = false;
                }
                after_index = cursor.index(format, &mut at, args.len());
                if format.get(at) == Some(&b'*') {
                    at += 1;
                    match cursor.int(args) {
                        Some(precision) if precision >= 0 => self.flags.precision = Some(precision as usize),
                        // A negative precision counts as none.
                        _ => self.text("%!(BADPREC)"),
                    }
                    after_index = false;
                } else {
                    self.flags.precision = Some(number(format, &mut at).unwrap_or(0));
                }
            }
            if !after_index {
                cursor.index(format, &mut at, args.len());
            }
            let Some((verb, bytes)) = super::text::chars(&format[at..]).next() else {
                self.text("%!(NOVERB)");
                break;
            };
            at += bytes.len();
            match args.get(cursor.next) {
                _ if verb == '%' => self.out.push(b'%'),
                _ if !cursor.good_index => self.text(&format!("%!{verb}(BADINDEX)")),
                None => self.text(&format!("%!{verb}(MISSING)")),
                Some(arg) => {
                    cursor.next += 1;
                    if verb == 'v' {
                        // Both flags ask for field names and Go syntax here, not for a sign or prefix.
                        self.flags.sharp_v = std::mem::take(&mut self.flags.sharp);
                        self.flags.plus = false;
                    }
                    self.arg(arg, verb, 0)?;
                }
            }
        }
        if !cursor.reordered && cursor.next < args.len() {
            self.flags = Flags::default();
            self.text("%!(EXTRA ");
            for (idx, arg) in args[cursor.next..].iter().enumerate() {
                if idx > 0 {
                    self.text(", ");
                }
                match arg {
                    Arg::Nil => self.text("<nil>"),
                    arg => {
                        self.text(arg.type_name());
                        self.text("=");
                        self.arg(arg, 'v', 0)?;
                    }
                }
            }
            self.text(")");
        }
        self.check()
    }

    fn arg(&mut self, arg: &Arg<'_>, verb: char, depth: usize) -> Option<()> {
        self.check()?;
        if verb == 'T' && depth == 0 {
            match arg {
                Arg::Nil => self.padded(b"<nil>"),
                arg => self.padded(self.flags.cut(arg.type_name().as_bytes())),
            }
            return Some(());
        }
        match arg {
            // Inside a list nil is nil whatever the verb.
            Arg::Nil if depth > 0 => self.text(if self.flags.sharp_v { "interface {}(nil)" } else { "<nil>" }),
            Arg::Nil if verb == 'v' => self.padded(b"<nil>"),
            Arg::Nil => self.text(&format!("%!{verb}(<nil>)")),
            Arg::Bool(flag) if matches!(verb, 't' | 'v') => self.padded(if *flag { b"true" } else { b"false" }),
            Arg::Int(value, _) => {
                if !self.integer(value.unsigned_abs(), *value < 0, verb) {
                    self.bad_verb(arg, verb)?;
                }
            }
            Arg::Uint(value, _) => {
                if verb == 'v' && self.flags.sharp_v {
                    self.text(&format!("{value:#x}"));
                } else if !self.integer(*value, false, verb) {
                    self.bad_verb(arg, verb)?;
                }
            }
            Arg::Float(value) => {
                if !self.float(*value, verb) {
                    self.bad_verb(arg, verb)?;
                }
            }
            Arg::Str(text) => {
                if !self.string(text, verb) {
                    self.bad_verb(arg, verb)?;
                }
            }
            Arg::Bytes(bytes) if matches!(verb, 's' | 'q' | 'x' | 'X') => {
                self.string(bytes, verb);
            }
            Arg::Bytes(bytes) if verb == 'v' && self.flags.sharp_v => {
                let items: Vec<String> = bytes.iter().map(|byte| format!("{byte:#x}")).collect();
                self.text(&format!("[]byte{{{}}}", items.join(", ")));
            }
            Arg::Bytes(bytes) => {
                let items: Vec<Arg<'_>> = bytes.iter().map(|byte| Arg::Uint(u64::from(*byte), "uint8")).collect();
                self.list(&items, "[]uint8", verb, depth)?;
            }
            Arg::NilList(name) if self.flags.sharp_v => self.text(&format!("{name}(nil)")),
            Arg::NilList(name) => self.list(&[], name, verb, depth)?,
            Arg::List(items, name) => self.list(items, name, verb, depth)?,
            Arg::Map(entries, name) => self.map(entries, name, verb, depth)?,
            Arg::Stringer(text, _, _) if matches!(verb, 'v' | 's' | 'x' | 'X' | 'q') && !self.flags.sharp_v => {
                self.string(text, verb);
            }
            Arg::Stringer(_, plain, _) => self.arg(plain, verb, depth)?,
            arg => self.bad_verb(arg, verb)?,
        }
        Some(())
    }

    fn list(&mut self, items: &[Arg<'_>], name: &str, verb: char, depth: usize) -> Option<()> {
        let (open, separator, close) = if self.flags.sharp_v { ("{", ", ", "}") } else { ("[", " ", "]") };
        if self.flags.sharp_v {
            self.text(name);
        }
        self.text(open);
        for (idx, item) in items.iter().enumerate() {
            if idx > 0 {
                self.text(separator);
            }
            self.arg(item, verb, depth + 1)?;
        }
        self.text(close);
        Some(())
    }

    fn map(&mut self, entries: &[(Cow<'_, [u8]>, Arg<'_>)], name: &str, verb: char, depth: usize) -> Option<()> {
        let mut sorted: Vec<_> = entries.iter().collect();
        sorted.sort_by(|(left, _), (right, _)| left.cmp(right));
        let (open, separator, close) = if self.flags.sharp_v { ("{", ", ", "}") } else { ("map[", " ", "]") };
        if self.flags.sharp_v {
            self.text(name);
        }
        self.text(open);
        for (idx, (key, value)) in sorted.into_iter().enumerate() {
            if idx > 0 {
                self.text(separator);
            }
            self.arg(&Arg::Str(Cow::Borrowed(key)), verb, depth + 1)?;
            self.text(":");
            self.arg(value, verb, depth + 1)?;
        }
        self.text(close);
        Some(())
    }

    fn bad_verb(&mut self, arg: &Arg<'_>, verb: char) -> Option<()> {
        self.text(&format!("%!{verb}({}=", arg.type_name()));
        self.arg(arg, 'v', 1)?;
        self.text(")");
        Some(())
    }

    fn integer(&mut self, size: u64, negative: bool, verb: char) -> bool {
        let radix = match verb {
            'v' | 'd' => Radix::Decimal,
            'b' => Radix::Binary,
            'o' => Radix::Octal,
            'O' => Radix::OctalPrefixed,
            'x' => Radix::Hex,
            'X' => Radix::UpperHex,
            'c' | 'q' | 'U' => {
                let code = if negative { None } else { u32::try_from(size).ok().and_then(char::from_u32) };
                let shown = code.unwrap_or(char::REPLACEMENT_CHARACTER);
                match verb {
                    'c' => self.padded(shown.encode_utf8(&mut [0; 4]).as_bytes()),
                    'q' => {
                        let quoted = quote::rune(shown, self.flags.plus);
                        self.padded(quoted.as_bytes());
                    }
                    _ => {
                        let digits = self.flags.precision.unwrap_or(4).max(4);
                        // Go shows a negative number's bits.
                        let bits = if negative { size.wrapping_neg() } else { size };
                        let hex = format!("{bits:X}");
                        let mut text = format!("U+{}{hex}", "0".repeat(digits.saturating_sub(hex.len())));
                        if let Some(code) = code.filter(|code| self.flags.sharp && quote::is_print(*code)) {
                            text.push_str(&format!(" '{code}'"));
                        }
                        // Never padded with zeros.
                        let zero = std::mem::take(&mut self.flags.zero);
                        self.padded(text.as_bytes());
                        self.flags.zero = zero;
                    }
                }
                return true;
            }
            _ => return false,
        };
        let text = number::integer(size, negative, radix, &self.flags);
        let zero = std::mem::take(&mut self.flags.zero);
        self.padded(text.as_bytes());
        self.flags.zero = zero;
        true
    }

    fn float(&mut self, value: f64, verb: char) -> bool {
        let (verb, precision) = match verb {
            'v' => ('g', None),
            'b' | 'g' | 'G' | 'x' | 'X' => (verb, None),
            'f' | 'e' | 'E' => (verb, Some(6)),
            'F' => ('f', Some(6)),
            _ => return false,
        };
        let text = float::format(value, verb, self.flags.precision.or(precision), &self.flags);
        let zero = self.flags.zero;
        if !value.is_finite() {
            // Words are not padded with zeros.
            self.flags.zero = false;
        }
        match text.as_bytes() {
            // The sign comes before the zeros.
            [sign @ (b'+' | b'-' | b' '), digits @ ..] if self.flags.zero && !self.flags.minus => {
                self.out.push(*sign);
                let width = self.flags.width;
                self.flags.width = width.map(|width| width.saturating_sub(1));
                self.padded(digits);
                self.flags.width = width;
            }
            bytes => self.padded(bytes),
        }
        self.flags.zero = zero;
        true
    }

    fn string(&mut self, text: &[u8], verb: char) -> bool {
        match verb {
            'v' if self.flags.sharp_v => {
                let quoted = quote::string(self.flags.cut(text), false);
                self.padded(quoted.as_bytes());
            }
            'v' | 's' => self.padded(self.flags.cut(text)),
            'x' | 'X' => {
                let shown = number::hex_text(text, verb == 'X', &self.flags);
                self.padded(shown.as_bytes());
            }
            'q' => {
                let text = self.flags.cut(text);
                let quoted = match std::str::from_utf8(text) {
                    Ok(text) if self.flags.sharp && quote::can_backquote(text) => format!("`{text}`"),
                    _ => quote::string(text, self.flags.plus),
                };
                self.padded(quoted.as_bytes());
            }
            _ => return false,
        }
        true
    }

    /// Appends a text, padded to the width in characters.
    fn padded(&mut self, text: &[u8]) {
        let n_chars = super::text::chars(text).count();
        // Beyond the limit the work ends at the next check; no need to build the padding.
        let n_pad = self.flags.width.unwrap_or(0).saturating_sub(n_chars).min(MAX_WIDTH as usize);
        let pad = if self.flags.zero && !self.flags.minus { b'0' } else { b' ' };
        if !self.flags.minus {
            self.out.extend(std::iter::repeat_n(pad, n_pad));
        }
        self.out.extend_from_slice(text);
        if self.flags.minus {
            self.out.extend(std::iter::repeat_n(pad, n_pad));
        }
    }
}

impl Flags {
    /// The text cut to the precision, counted in characters.
    fn cut<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        match self.precision {
            None => text,
            Some(n_chars) => {
                let end: usize = super::text::chars(text).take(n_chars).map(|(_, bytes)| bytes.len()).sum();
                &text[..end]
            }
        }
    }
}

impl Cursor {
    /// Reads an index such as `[3]`; whether there was one.
    fn index(&mut self, format: &[u8], at: &mut usize, n_args: usize) -> bool {
        if format.get(*at) != Some(&b'[') {
            return false;
        }
        self.reordered = true;
        let Some(end) = memchr::memchr(b']', &format[*at..]) else {
            *at += 1;
            self.good_index = false;
            return false;
        };
        let inside = &format[*at + 1..*at + end];
        *at += end + 1;
        let mut digits = 0;
        let index = number(inside, &mut digits).filter(|_| digits == inside.len());
        match index {
            Some(index) if (1..=n_args).contains(&index) => {
                self.next = index - 1;
                true
            }
            Some(_) => {
                self.good_index = false;
                true
            }
            None => {
                self.good_index = false;
                false
            }
        }
    }

    /// The next argument as a width or precision.
    fn int(&mut self, args: &[Arg<'_>]) -> Option<i64> {
        let arg = args.get(self.next)?;
        self.next += 1;
        let value = match arg {
            Arg::Int(value, _) => *value,
            Arg::Uint(value, _) => i64::try_from(*value).ok()?,
            Arg::Stringer(_, plain, _) => match **plain {
                Arg::Int(value, _) => value,
                _ => return None,
            },
            _ => return None,
        };
        (-MAX_WIDTH..=MAX_WIDTH).contains(&value).then_some(value)
    }
}

/// Decimal digits; nothing if there are none or they are too large.
fn number(text: &[u8], at: &mut usize) -> Option<usize> {
    let digits = text.get(*at..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let value =
        text[*at..*at + digits].iter().fold(0i64, |n, digit| (n * 10 + i64::from(digit - b'0')).min(MAX_WIDTH + 1));
    *at += digits;
    (digits > 0 && value <= MAX_WIDTH).then_some(value as usize)
}

#[cfg(test)]
mod tests;
