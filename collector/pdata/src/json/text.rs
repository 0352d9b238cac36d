//! A pull reader of JSON text: the caller says what it expects next and nothing is built. Strings are borrowed unless
//! they have escapes. It is strict about JSON's grammar, bounds nesting, and does not demand UTF-8 (nor does Go's reader).

use std::borrow::Cow;

use super::Problem;

/// How deep objects and lists may nest where they are passed over.
const SKIP_DEPTH: u32 = 500;

pub(super) struct Text<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Object,
    List,
    String,
    Number,
    True,
    False,
    Null,
}

impl<'a> Text<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Offset of the next byte.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// The next byte that is not white space.
    fn byte(&mut self) -> Result<u8, Problem> {
        while let Some(&byte) = self.bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Ok(byte);
            }
            self.at += 1;
        }
        Err(Problem::End)
    }

    /// Nothing but white space is left.
    pub(super) fn finish(&mut self) -> Result<(), Problem> {
        if self.byte().is_ok() { Err(Problem::Trailing) } else { Ok(()) }
    }

    pub(super) fn next(&mut self) -> Result<Next, Problem> {
        Ok(match self.byte()? {
            b'{' => Next::Object,
            b'[' => Next::List,
            b'"' => Next::String,
            b'-' | b'0'..=b'9' => Next::Number,
            b't' => Next::True,
            b'f' => Next::False,
            b'n' => Next::Null,
            _ => return Err(Problem::Syntax),
        })
    }

    fn expect(&mut self, wanted: u8, otherwise: Problem) -> Result<(), Problem> {
        if self.byte()? != wanted {
            return Err(otherwise);
        }
        self.at += 1;
        Ok(())
    }

    /// True if the value is null, which is then passed over.
    pub(super) fn null(&mut self) -> Result<bool, Problem> {
        if self.byte()? != b'n' {
            return Ok(false);
        }
        self.word(b"null")?;
        Ok(true)
    }

    pub(super) fn boolean(&mut self) -> Result<bool, Problem> {
        match self.next()? {
            Next::True => self.word(b"true").map(|()| true),
            Next::False => self.word(b"false").map(|()| false),
            _ => Err(Problem::Expected("true or false")),
        }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Problem> {
        if !self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            return Err(Problem::Syntax);
        }
        self.at += word.len();
        Ok(())
    }

    pub(super) fn open_object(&mut self) -> Result<(), Problem> {
        self.expect(b'{', Problem::Expected("an object"))
    }

    pub(super) fn open_list(&mut self) -> Result<(), Problem> {
        self.expect(b'[', Problem::Expected("a list"))
    }

    /// The next key of an object and its colon, or `None` at its end. `first` is true right after the brace.
    #[inline]
    pub(super) fn key(&mut self, first: bool) -> Result<Option<Cow<'a, [u8]>>, Problem> {
        match self.byte()? {
            b'}' => {
                self.at += 1;
                return Ok(None);
            }
            b',' if !first => {
                self.at += 1;
                self.byte()?;
            }
            b'"' if first => {}
            _ => return Err(Problem::Syntax),
        }
        let key = self.string().map_err(|problem| match problem {
            Problem::Expected(_) => Problem::Syntax,
            other => other,
        })?;
        self.expect(b':', Problem::Syntax)?;
        Ok(Some(key))
    }

    /// Whether a list has another item. `first` is true right after the bracket.
    pub(super) fn item(&mut self, first: bool) -> Result<bool, Problem> {
        match self.byte()? {
            b']' => {
                self.at += 1;
                Ok(false)
            }
            b',' if !first => {
                self.at += 1;
                // What follows a comma must be a value, not the end.
                if self.byte()? == b']' { Err(Problem::Syntax) } else { Ok(true) }
            }
            _ if first => Ok(true),
            _ => Err(Problem::Syntax),
        }
    }

    pub(super) fn string(&mut self) -> Result<Cow<'a, [u8]>, Problem> {
        self.expect(b'"', Problem::Expected("a string"))?;
        let start = self.at;
        let rest = self.bytes.get(start..).unwrap_or_default();
        let len = memchr::memchr2(b'"', b'\\', rest).ok_or(Problem::End)?;
        let (plain, end) = rest.split_at(len);
        if has_control(plain) {
            return Err(Problem::Control);
        }
        if end.first() == Some(&b'"') {
            self.at = start + len + 1;
            return Ok(Cow::Borrowed(plain));
        }
        self.at = start + len;
        self.escaped(plain.to_vec()).map(Cow::Owned)
    }

    /// The rest of a string from its first escape on.
    fn escaped(&mut self, mut out: Vec<u8>) -> Result<Vec<u8>, Problem> {
        loop {
            let Some(&byte) = self.bytes.get(self.at) else { return Err(Problem::End) };
            match byte {
                b'"' => {
                    self.at += 1;
                    return Ok(out);
                }
                0..0x20 => return Err(Problem::Control),
                b'\\' => {
                    let Some(&escape) = self.bytes.get(self.at + 1) else { return Err(Problem::End) };
                    self.at += 2;
                    out.push(match escape {
                        b'"' | b'\\' | b'/' => escape,
                        b'b' => 8,
                        b'f' => 12,
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        b'u' => {
                            let letter = self.unicode()?;
                            out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                            continue;
                        }
                        _ => return Err(Problem::Escape),
                    });
                }
                _ => {
                    out.push(byte);
                    self.at += 1;
                }
            }
        }
    }

    /// After `\u`. Half a surrogate pair becomes U+FFFD.
    fn unicode(&mut self) -> Result<char, Problem> {
        let high = self.hex4()?;
        if (0xd800..0xdc00).contains(&high) && self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(b"\\u")) {
            let before = self.at;
            self.at += 2;
            let low = self.hex4()?;
            if (0xdc00..0xe000).contains(&low) {
                let code = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            // Not the other half: it is read again as a letter of its own.
            self.at = before;
        }
        Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex4(&mut self) -> Result<u32, Problem> {
        let Some(digits) = self.bytes.get(self.at..self.at + 4) else { return Err(Problem::End) };
        let mut code = 0;
        for &digit in digits {
            code = code << 4 | char::from(digit).to_digit(16).ok_or(Problem::Escape)?;
        }
        self.at += 4;
        Ok(code)
    }

    /// The letters of a number.
    pub(super) fn number(&mut self) -> Result<&'a str, Problem> {
        if self.next()? != Next::Number {
            return Err(Problem::Expected("a number"));
        }
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => drop(self.digits()),
            _ => return Err(Problem::Number),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return Err(Problem::Number);
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            if self.digits() == 0 {
                return Err(Problem::Number);
            }
        }
        if matches!(self.peek(), Some(b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'.' | b'_')) {
            return Err(Problem::Number);
        }
        // Digits, signs and letters are ASCII.
        std::str::from_utf8(self.bytes.get(start..self.at).unwrap_or_default()).map_err(|_| Problem::Number)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn digits(&mut self) -> usize {
        let n = self.bytes.get(self.at..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += n;
        n
    }

    /// Passes over a value of any kind.
    pub(super) fn skip(&mut self) -> Result<(), Problem> {
        self.skip_within(SKIP_DEPTH)
    }

    fn skip_within(&mut self, depth: u32) -> Result<(), Problem> {
        match self.next()? {
            Next::String => self.string().map(drop),
            Next::Number => self.number().map(drop),
            Next::True | Next::False => self.boolean().map(drop),
            Next::Null => self.word(b"null"),
            kind => {
                let Some(depth) = depth.checked_sub(1) else { return Err(Problem::Depth) };
                self.at += 1;
                let mut first = true;
                while match kind {
                    Next::Object => self.key(first)?.is_some(),
                    _ => self.item(first)?,
                } {
                    self.skip_within(depth)?;
                    first = false;
                }
                Ok(())
            }
        }
    }
}

/// No early end, so that it runs on many bytes at once.
fn has_control(text: &[u8]) -> bool {
    text.iter().fold(false, |found, &byte| found | (byte < 0x20))
}
