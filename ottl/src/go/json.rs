//! JSON as the Go packages read and write it that OTTL uses: goccy/go-json for conversion, encoding/json inside pdata.
//!
//! Reading is as lenient as go-json is: control characters in strings and leading zeros pass. Numbers are doubles.
//! Nesting is bounded by [`MAX_DEPTH`]; Go stops at 10,000, deeper than any thread's stack here should be trusted with.

use std::fmt;

use super::strconv;

/// How deeply arrays and objects may nest when reading.
pub const MAX_DEPTH: usize = 1000;

/// A JSON value as read.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// Any number.
    Number(f64),
    /// A string; usually UTF-8, because go-json does not check it.
    String(Vec<u8>),
    /// An array.
    Array(Vec<Json>),
    /// An object; of equal keys the last value stands, in the place of the first.
    Object(Vec<(Vec<u8>, Json)>),
}

/// Why a text is not JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The byte at this offset cannot stand there; the offset is the text's length where it ended too early.
    Unexpected(usize),
    /// A number that is none, or is too large for a double.
    Number(strconv::ParseError),
    /// More than [`MAX_DEPTH`] levels.
    TooDeep,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Unexpected(at) => write!(f, "invalid JSON at byte {at}"),
            Error::Number(error) => error.fmt(f),
            Error::TooDeep => write!(f, "JSON nests deeper than {MAX_DEPTH} levels"),
        }
    }
}

impl std::error::Error for Error {}

/// Reads one JSON value that fills the text.
///
/// # Errors
/// If go-json would refuse the text, or it nests too deeply.
pub fn decode(text: &[u8]) -> Result<Json, Error> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    reader.skip_space();
    if reader.at < text.len() { Err(Error::Unexpected(reader.at)) } else { Ok(value) }
}

struct Reader<'t> {
    text: &'t [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn unexpected<T>(&self) -> Result<T, Error> {
        Err(Error::Unexpected(self.at))
    }

    fn word(&mut self, word: &[u8], value: Json) -> Result<Json, Error> {
        match self.text.get(self.at..) {
            Some(rest) if rest.starts_with(word) => {
                self.at += word.len();
                Ok(value)
            }
            _ => self.unexpected(),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Json, Error> {
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => Ok(Json::String(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word(b"true", Json::Bool(true)),
            Some(b'f') => self.word(b"false", Json::Bool(false)),
            Some(b'n') => self.word(b"null", Json::Null),
            _ => self.unexpected(),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json, Error> {
        if depth >= MAX_DEPTH {
            return Err(Error::TooDeep);
        }
        self.at += 1;
        let mut items = Vec::new();
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Json::Array(items));
                }
                _ => return self.unexpected(),
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, Error> {
        if depth >= MAX_DEPTH {
            return Err(Error::TooDeep);
        }
        self.at += 1;
        let mut fields = Fields::default();
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Json::Object(fields.list));
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return self.unexpected();
            }
            let key = self.string()?;
            self.skip_space();
            if self.peek() != Some(b':') {
                return self.unexpected();
            }
            self.at += 1;
            let value = self.value(depth + 1)?;
            fields.put(key, value);
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Json::Object(fields.list));
                }
                _ => return self.unexpected(),
            }
        }
    }

    fn number(&mut self) -> Result<Json, Error> {
        let started = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')) {
            self.at += 1;
        }
        if !matches!(self.peek(), None | Some(b' ' | b'\t' | b'\n' | b'\r' | b',' | b']' | b'}')) {
            return self.unexpected();
        }
        strconv::parse_float(&self.text[started..self.at]).map(Json::Number).map_err(Error::Number)
    }

    fn string(&mut self) -> Result<Vec<u8>, Error> {
        self.at += 1;
        let mut out = Vec::new();
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let Some(plain) = memchr::memchr2(b'"', b'\\', rest) else {
                self.at = self.text.len();
                return self.unexpected();
            };
            out.extend_from_slice(&rest[..plain]);
            self.at += plain + 1;
            if rest[plain] == b'"' {
                return Ok(out);
            }
            let escape = self.peek();
            self.at += 1;
            match escape {
                Some(c @ (b'"' | b'\\' | b'/')) => out.push(c),
                Some(b'b') => out.push(8),
                Some(b'f') => out.push(12),
                Some(b'n') => out.push(b'\n'),
                Some(b'r') => out.push(b'\r'),
                Some(b't') => out.push(b'\t'),
                Some(b'u') => {
                    let c = self.unicode_escape()?;
                    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
                _ => {
                    self.at -= 1;
                    return self.unexpected();
                }
            }
        }
    }

    fn hex4(&mut self) -> Result<u32, Error> {
        let mut code = 0;
        for _ in 0..4 {
            match self.peek().and_then(|b| char::from(b).to_digit(16)) {
                Some(digit) => code = code * 16 + digit,
                None => return self.unexpected(),
            }
            self.at += 1;
        }
        Ok(code)
    }

    /// What follows `\u`. Half of a surrogate pair alone becomes U+FFFD.
    fn unicode_escape(&mut self) -> Result<char, Error> {
        let first = self.hex4()?;
        if (0xD800..0xDC00).contains(&first) && self.text.get(self.at..).is_some_and(|rest| rest.starts_with(b"\\u")) {
            let restart = self.at;
            self.at += 2;
            let second = self.hex4()?;
            if (0xDC00..0xE000).contains(&second) {
                let code = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = restart;
        }
        Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))
    }
}

/// An object being read; the index keeps a hostile object of many keys linear.
#[derive(Default)]
struct Fields {
    list: Vec<(Vec<u8>, Json)>,
    places: hashbrown::HashMap<Vec<u8>, usize, foldhash::fast::RandomState>,
}

impl Fields {
    fn put(&mut self, key: Vec<u8>, value: Json) {
        let place = *self.places.entry(key.clone()).or_insert(self.list.len());
        match self.list.get_mut(place) {
            Some(field) => field.1 = value,
            None => self.list.push((key, value)),
        }
    }
}

/// Which of the two writers' habits to follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// goccy/go-json: `<`, `>` and `&` escaped, `\u0008`, exponents of two digits.
    GoJson,
    /// encoding/json with HTML escaping off, as pdata uses it: `\b`, exponents without the padding zero.
    Pdata,
}

/// Appends a quoted JSON string. Bytes that are not UTF-8 become `\ufffd`, one each.
pub fn push_string(out: &mut Vec<u8>, text: &[u8], style: Style) {
    out.push(b'"');
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            push_char(out, c, style);
        }
        for _ in chunk.invalid() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
    out.push(b'"');
}

fn push_char(out: &mut Vec<u8>, c: char, style: Style) {
    match c {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        '\x08' if style == Style::Pdata => out.extend_from_slice(b"\\b"),
        '\x0c' if style == Style::Pdata => out.extend_from_slice(b"\\f"),
        '<' | '>' | '&' if style == Style::GoJson => push_escape(out, c),
        '\0'..='\x1f' | '\u{2028}' | '\u{2029}' => push_escape(out, c),
        c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

fn push_escape(out: &mut Vec<u8>, c: char) {
    out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes());
}

/// Appends a number. NaN and the infinities have no JSON form.
///
/// # Errors
/// If the number is not finite.
pub fn push_number(out: &mut Vec<u8>, number: f64, style: Style) -> Result<(), NotFinite> {
    if !number.is_finite() {
        return Err(NotFinite);
    }
    out.extend_from_slice(strconv::format_json_number(number, style == Style::GoJson).as_bytes());
    Ok(())
}

/// NaN or an infinity where JSON is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotFinite;

impl fmt::Display for NotFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("json: unsupported value: not a finite number")
    }
}

impl std::error::Error for NotFinite {}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&Json>) {
        assert_eq!(decode(text.as_bytes()).ok().as_ref(), expected, "{text}");
    }

    #[test]
    fn reads_what_go_json_reads() {
        let one = |n| Json::Array(vec![Json::Number(n)]);
        check("[01]", Some(&one(1.0)));
        check("[1.]", Some(&one(1.0)));
        check("[1e-400]", Some(&one(0.0)));
        check(" [ -01 ] ", Some(&one(-1.0)));
        check("[\"a\tb\"]", Some(&Json::Array(vec![Json::String(b"a\tb".to_vec())])));
        let text = Json::String("\u{1f600} \u{fffd} x \u{e9}".as_bytes().to_vec());
        check(r#"["\ud83d\ude00 \ud83d x \u00e9"]"#, Some(&Json::Array(vec![text])));
        let object = Json::Object(vec![(b"a".to_vec(), Json::Number(3.0)), (b"b".to_vec(), Json::Number(2.0))]);
        check(r#"{"a":1,"b":2,"a":3}"#, Some(&object));
    }

    #[test]
    fn refuses_what_go_json_refuses() {
        for text in [
            "",
            " ",
            "[+1]",
            "[-]",
            "[.5]",
            "[1e]",
            "[1e400]",
            "[1,]",
            "[,1]",
            "{\"a\":1,}",
            "{a:1}",
            "[1] x",
            "[1]]",
            "[tru]",
            "[truex]",
            "[1e5x]",
            "[0x10]",
            "[NaN]",
            r#"["\x"]"#,
            r#"["\u12"]"#,
            "[\"a",
            "[1",
            "{\"a\" 1}",
            "\u{feff}{}",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn depth_is_bounded() {
        assert_eq!(decode("[".repeat(100_000).as_bytes()), Err(Error::TooDeep));
    }

    #[test]
    fn strings_by_style() {
        let text = "<\x08\u{2028}\"\\".as_bytes();
        let mut out = Vec::new();
        push_string(&mut out, text, Style::GoJson);
        assert_eq!(out, br#""\u003c\u0008\u2028\"\\""#);
        out.clear();
        push_string(&mut out, text, Style::Pdata);
        assert_eq!(out, br#""<\b\u2028\"\\""#);
        out.clear();
        push_string(&mut out, b"a\xe2\x82", Style::Pdata);
        assert_eq!(out, br#""a\ufffd\ufffd""#);
    }
}
