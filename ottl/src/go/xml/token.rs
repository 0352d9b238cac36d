//! The tokens of a document, as Go's strict decoder gives them.

use super::{Attribute, Malformed, Name};

pub(super) enum Token {
    Start { name: Name, attributes: Vec<Attribute>, empty: bool },
    End(Name),
    Text(String),
    Cdata(String),
    Comment(String),
    Instruction(String, String),
    Directive(String),
}

pub(super) struct Tokens<'t> {
    text: &'t str,
}

impl<'t> Tokens<'t> {
    /// Go checks the encoding token by token; checking it all at once refuses no more documents, only earlier.
    pub(super) fn new(text: &'t [u8]) -> Result<Self, Malformed> {
        std::str::from_utf8(text).map(|text| Tokens { text }).map_err(|_| Malformed)
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.text.is_empty()
    }

    fn eat(&mut self, prefix: &str) -> bool {
        match self.text.strip_prefix(prefix) {
            Some(rest) => {
                self.text = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, prefix: &str) -> Result<(), Malformed> {
        if self.eat(prefix) { Ok(()) } else { Err(Malformed) }
    }

    fn skip_space(&mut self) {
        self.text = self.text.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    /// The text up to an end mark, which is consumed too.
    fn until(&mut self, mark: &str) -> Result<&'t str, Malformed> {
        let (before, after) = self.text.split_once(mark).ok_or(Malformed)?;
        self.text = after;
        Ok(before)
    }

    fn plain_name(&mut self) -> Result<&'t str, Malformed> {
        let is_start = |c: char| c.is_alphabetic() || matches!(c, '_' | ':');
        let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '.' | '-' | '\u{b7}');
        let end = self.text.find(|c| !is_name(c)).unwrap_or(self.text.len());
        let (name, rest) = self.text.split_at(end);
        if !name.starts_with(is_start) {
            return Err(Malformed);
        }
        self.text = rest;
        Ok(name)
    }

    fn name(&mut self) -> Result<Name, Malformed> {
        let name = self.plain_name()?;
        match name.split_once(':') {
            Some((_, local)) if local.contains(':') => Err(Malformed),
            Some((prefix, local)) if !prefix.is_empty() && !local.is_empty() => {
                Ok(Name { prefix: prefix.to_owned(), local: local.to_owned() })
            }
            _ => Ok(Name { prefix: String::new(), local: name.to_owned() }),
        }
    }

    fn token(&mut self) -> Result<Token, Malformed> {
        if !self.text.starts_with('<') {
            let end = self.text.find('<').unwrap_or(self.text.len());
            let (text, rest) = self.text.split_at(end);
            self.text = rest;
            if text.contains("]]>") {
                return Err(Malformed);
            }
            return Ok(Token::Text(resolved(text)?));
        }
        self.text = &self.text[1..];
        if self.eat("/") {
            let name = self.name()?;
            self.skip_space();
            self.expect(">")?;
            return Ok(Token::End(name));
        }
        if self.eat("?") {
            let target = self.plain_name()?;
            self.skip_space();
            let body = self.until("?>")?;
            if target == "xml" {
                check_declaration(body)?;
            }
            return Ok(Token::Instruction(target.to_owned(), body.to_owned()));
        }
        if self.eat("!--") {
            let comment = self.until("--")?;
            self.expect(">")?;
            return Ok(Token::Comment(comment.to_owned()));
        }
        if self.eat("![CDATA[") {
            return Ok(Token::Cdata(
                checked(&self.until("]]>")?.replace("\r\n", "\n").replace('\r', "\n"))?.to_owned(),
            ));
        }
        if self.text.starts_with("!-") || self.text.starts_with("![") {
            return Err(Malformed);
        }
        if self.eat("!") {
            return self.directive();
        }
        let name = self.name()?;
        let mut attributes = Vec::new();
        loop {
            self.skip_space();
            if self.eat("/") {
                self.expect(">")?;
                return Ok(Token::Start { name, attributes, empty: true });
            }
            if self.eat(">") {
                return Ok(Token::Start { name, attributes, empty: false });
            }
            let name = self.name()?;
            self.skip_space();
            self.expect("=")?;
            self.skip_space();
            let quote = if self.eat("\"") {
                "\""
            } else {
                self.expect("'")?;
                "'"
            };
            let value = self.until(quote)?;
            if value.contains('<') {
                return Err(Malformed);
            }
            attributes.push(Attribute { name, value: resolved(value)? });
        }
    }

    /// `<!DOCTYPE ..>`: up to the bracket that closes it; quoted brackets do not count, comments become spaces.
    fn directive(&mut self) -> Result<Token, Malformed> {
        let mut out = String::new();
        let mut depth = 0u32;
        let mut quote = None;
        loop {
            if quote.is_none() && self.eat("<!--") {
                self.until("-->")?;
                out.push(' ');
                continue;
            }
            let c = self.text.chars().next().ok_or(Malformed)?;
            self.text = &self.text[c.len_utf8()..];
            match (quote, c) {
                (None, '>') if depth == 0 => return Ok(Token::Directive(out)),
                (None, '>') => depth -= 1,
                (None, '<') => depth += 1,
                (None, '"' | '\'') => quote = Some(c),
                (Some(open), c) if open == c => quote = None,
                _ => {}
            }
            out.push(c);
        }
    }
}

impl Iterator for Tokens<'_> {
    type Item = Result<Token, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.text.is_empty() {
            return None;
        }
        let token = self.token();
        if token.is_err() {
            self.text = "";
        }
        Some(token)
    }
}

/// Only version 1.0, and only UTF-8: character sets of other names would need the document decoded before. What stands
/// there without quotes is not looked at, as by Go's `encoding/xml`.
fn check_declaration(body: &str) -> Result<(), Malformed> {
    let version = quoted(body, "version=").is_none_or(|version| version == "1.0");
    let encoding = quoted(body, "encoding=").is_none_or(|encoding| encoding.eq_ignore_ascii_case("utf-8"));
    if version && encoding { Ok(()) } else { Err(Malformed) }
}

/// The first quoted value behind `name`; `None` if there is none, or an empty one.
fn quoted<'t>(body: &'t str, name: &str) -> Option<&'t str> {
    let value = body.match_indices(name).find_map(|(at, _)| {
        let value = body.get(at + name.len()..)?;
        value.starts_with(['"', '\'']).then_some(value)
    })?;
    let (value, _) = value.get(1..)?.split_once(value.chars().next()?)?;
    Some(value).filter(|value| !value.is_empty())
}

/// `version="1.0"` and the like inside a declaration.
pub(super) fn pseudo_attributes(body: &str) -> Vec<Attribute> {
    let pairs = body.split(' ').filter_map(|pair| pair.trim().split_once('='));
    let pairs = pairs.filter(|(name, _)| !name.is_empty());
    let attribute = |(name, value): (&str, &str)| Attribute {
        name: Name { prefix: String::new(), local: name.to_owned() },
        value: value.trim_matches(['"', '\'']).to_owned(),
    };
    pairs.map(attribute).collect()
}

/// Text with entities resolved and line ends made `\n`.
fn resolved(text: &str) -> Result<String, Malformed> {
    let mut out = String::with_capacity(text.len());
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let (entity, after) = after.split_once(';').ok_or(Malformed)?;
        out.push(match entity {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "apos" => '\'',
            "quot" => '"',
            entity => {
                let number = entity.strip_prefix('#').ok_or(Malformed)?;
                let (digits, radix) = number.strip_prefix('x').map_or((number, 10), |digits| (digits, 16));
                // Rust would also read a sign.
                if digits.starts_with('+') {
                    return Err(Malformed);
                }
                let code = u32::from_str_radix(digits, radix).map_err(|_| Malformed)?;
                match char::from_u32(code) {
                    Some(c) => c,
                    // Go turns a surrogate into U+FFFD, and refuses what is too large.
                    None if code <= 0x10_FFFF => char::REPLACEMENT_CHARACTER,
                    None => return Err(Malformed),
                }
            }
        });
        rest = after;
    }
    out.push_str(rest);
    checked(&out)?;
    Ok(out)
}

/// Refuses characters that XML does not have.
fn checked(text: &str) -> Result<&str, Malformed> {
    let allowed =
        |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    if text.chars().all(allowed) { Ok(text) } else { Err(Malformed) }
}
