//! Go's `net/url`: `Parse`, `String` and `ParseQuery`.

/// A parsed URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Url {
    /// In lower case; empty for a relative reference.
    pub scheme: Vec<u8>,
    /// What follows the scheme where that is no path: `mailto:x`.
    pub opaque: Vec<u8>,
    /// User name and password, decoded.
    pub user: Option<User>,
    /// Host with port, decoded; IPv6 addresses in brackets.
    pub host: Vec<u8>,
    /// Decoded.
    pub path: Vec<u8>,
    /// As written, if the default encoding of `path` would differ.
    raw_path: Vec<u8>,
    /// As written, without the question mark.
    pub raw_query: Vec<u8>,
    /// A question mark with nothing behind it.
    force_query: bool,
    /// Decoded.
    pub fragment: Vec<u8>,
    raw_fragment: Vec<u8>,
    /// A scheme and a path without `//`.
    omit_host: bool,
}

/// The part before `@`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Decoded.
    pub name: Vec<u8>,
    /// Decoded; `None` without a colon.
    pub password: Option<Vec<u8>>,
}

/// Where in a URL a text stands, which decides what must be escaped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Path,
    Host,
    Zone,
    UserPassword,
    QueryComponent,
    Fragment,
}

fn is_plain(byte: u8, part: Part) -> bool {
    if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
        return true;
    }
    let extra: &[u8] = match part {
        Part::Path => b"$&+,/:;=@",
        Part::Host | Part::Zone => b"!$&'()*+,;=:[]<>\"",
        Part::UserPassword => b"$&+,;=",
        Part::QueryComponent => b"",
        Part::Fragment => b"!()*$&+,/:;=?@",
    };
    extra.contains(&byte)
}

fn hex_pair(text: &[u8]) -> Option<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).map(|digit| digit as u8);
    match text {
        [b'%', high, low, ..] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    }
}

fn unescape(text: &[u8], part: Part) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'%' => {
                let decoded = hex_pair(&text[at..])?;
                let is_percent = text[at..].starts_with(b"%25");
                // A host may only escape what is not ASCII, and the percent sign of a zone.
                if part == Part::Host && decoded < 0x80 && !is_percent {
                    return None;
                }
                if part == Part::Zone && !is_percent && decoded != b' ' && !is_plain(decoded, Part::Host) {
                    return None;
                }
                out.push(decoded);
                at += 3;
                continue;
            }
            b'+' if part == Part::QueryComponent => out.push(b' '),
            byte if matches!(part, Part::Host | Part::Zone) && byte < 0x80 && !is_plain(byte, part) => return None,
            byte => out.push(byte),
        }
        at += 1;
    }
    Some(out)
}

fn escape(text: &[u8], part: Part) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for &byte in text {
        if is_plain(byte, part) {
            out.push(byte);
        } else if byte == b' ' && part == Part::QueryComponent {
            out.push(b'+');
        } else {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
    out
}

fn cut(text: &[u8], at: u8) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(at, text) {
        Some(place) => (&text[..place], Some(&text[place + 1..])),
        None => (text, None),
    }
}

/// The scheme and what follows its colon; an empty scheme if there is none.
fn cut_scheme(text: &[u8]) -> Option<(&[u8], &[u8])> {
    for (idx, byte) in text.iter().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if idx > 0 => {}
            b':' if idx == 0 => return None,
            b':' => return Some((&text[..idx], &text[idx + 1..])),
            _ => break,
        }
    }
    Some((b"", text))
}

fn is_port(text: &[u8]) -> bool {
    match text {
        [] => true,
        [b':', digits @ ..] => digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

impl Url {
    /// `url.Parse`; nothing where Go gives an error.
    pub fn parse(text: &[u8]) -> Option<Url> {
        let (before, fragment) = cut(text, b'#');
        let mut url = Url::parse_before_fragment(before)?;
        if let Some(fragment) = fragment {
            url.fragment = unescape(fragment, Part::Fragment)?;
            if escape(&url.fragment, Part::Fragment) != fragment {
                url.raw_fragment = fragment.to_vec();
            }
        }
        Some(url)
    }

    fn parse_before_fragment(text: &[u8]) -> Option<Url> {
        if text.iter().any(|byte| *byte < b' ' || *byte == 0x7f) {
            return None;
        }
        let mut url = Url::default();
        if text == b"*" {
            url.path = text.to_vec();
            return Some(url);
        }
        let (scheme, rest) = cut_scheme(text)?;
        url.scheme = scheme.to_ascii_lowercase();
        let (mut rest, query) = cut(rest, b'?');
        url.force_query = query == Some(b"");
        url.raw_query = query.unwrap_or_default().to_vec();
        if !rest.starts_with(b"/") {
            if !url.scheme.is_empty() {
                url.opaque = rest.to_vec();
                return Some(url);
            }
            // Else it would read as a scheme.
            if cut(rest, b'/').0.contains(&b':') {
                return None;
            }
        }
        if let Some(after) = rest.strip_prefix(b"//").filter(|_| !url.scheme.is_empty() || !rest.starts_with(b"///")) {
            let end = memchr::memchr(b'/', after).unwrap_or(after.len());
            let (authority, path) = after.split_at(end);
            rest = path;
            url.parse_authority(authority)?;
        } else if !url.scheme.is_empty() && rest.starts_with(b"/") {
            url.omit_host = true;
        }
        url.path = unescape(rest, Part::Path)?;
        if escape(&url.path, Part::Path) != rest {
            url.raw_path = rest.to_vec();
        }
        Some(url)
    }

    fn parse_authority(&mut self, authority: &[u8]) -> Option<()> {
        let (user, host) = match memchr::memrchr(b'@', authority) {
            Some(at) => (Some(&authority[..at]), &authority[at + 1..]),
            None => (None, authority),
        };
        self.host = self.parse_host(host)?;
        if let Some(user) = user {
            let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(byte);
            if !user.iter().all(allowed) {
                return None;
            }
            let (name, password) = cut(user, b':');
            let password = match password {
                Some(password) => Some(unescape(password, Part::UserPassword)?),
                None => None,
            };
            self.user = Some(User { name: unescape(name, Part::UserPassword)?, password });
        }
        Some(())
    }

    fn parse_host(&self, host: &[u8]) -> Option<Vec<u8>> {
        match memchr::memrchr(b'[', host) {
            Some(0) => {
                let close = memchr::memrchr(b']', host)?;
                let port = &host[close + 1..];
                if !is_port(port) {
                    return None;
                }
                let inside = &host[1..close];
                let address = match memchr::memmem::find(inside, b"%25") {
                    Some(zone) => {
                        let mut address = unescape(&inside[..zone], Part::Host)?;
                        address.extend(unescape(&inside[zone..], Part::Zone)?);
                        address
                    }
                    None => unescape(inside, Part::Host)?,
                };
                // Only an IPv6 address, with or without a zone, may stand in brackets.
                let (digits, zone) = cut(&address, b'%');
                let is_v6 = std::str::from_utf8(digits).ok()?.parse::<std::net::Ipv6Addr>().is_ok();
                if !is_v6 || zone == Some(b"") {
                    return None;
                }
                Some([b"[", address.as_slice(), b"]", port].concat())
            }
            Some(_) => None,
            None => {
                if let Some(first) = memchr::memchr(b':', host) {
                    // Lists of hosts with ports are let through except in http, as Go does since 1.26.
                    let strict = matches!(self.scheme.as_slice(), b"http" | b"https");
                    let last = memchr::memrchr(b':', host).unwrap_or(first);
                    if !is_port(&host[if strict { first } else { last }..]) {
                        return None;
                    }
                }
                unescape(host, Part::Host)
            }
        }
    }

    /// Host name and port; brackets are removed.
    pub fn host_and_port(&self) -> (&[u8], &[u8]) {
        let (mut host, mut port): (&[u8], &[u8]) = (&self.host, b"");
        if let Some(colon) = memchr::memrchr(b':', host).filter(|colon| is_port(&host[*colon..])) {
            (host, port) = (&host[..colon], &host[colon + 1..]);
        }
        if let Some(inside) = host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]")) {
            host = inside;
        }
        (host, port)
    }

    fn escaped(text: &[u8], raw: &[u8], part: Part) -> Vec<u8> {
        let valid = |byte: &u8| is_plain(*byte, part) || b"!$&'()*+,;=:@[]%".contains(byte);
        if !raw.is_empty() && raw.iter().all(valid) && unescape(raw, part).is_some_and(|decoded| decoded == text) {
            return raw.to_vec();
        }
        if text == b"*" && part == Part::Path { text.to_vec() } else { escape(text, part) }
    }

    /// `URL.String`.
    pub fn text(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if !self.scheme.is_empty() {
            out.extend_from_slice(&self.scheme);
            out.push(b':');
        }
        if self.opaque.is_empty() {
            let has_authority = !self.scheme.is_empty() || !self.host.is_empty() || self.user.is_some();
            let omitted = self.omit_host && self.host.is_empty() && self.user.is_none();
            if has_authority && !omitted {
                if !self.host.is_empty() || !self.path.is_empty() || self.user.is_some() {
                    out.extend_from_slice(b"//");
                }
                if let Some(user) = &self.user {
                    out.extend(user.text());
                    out.push(b'@');
                }
                out.extend(escape(&self.host, Part::Host));
            }
            let path = Url::escaped(&self.path, &self.raw_path, Part::Path);
            if !path.is_empty() && !path.starts_with(b"/") && !self.host.is_empty() {
                out.push(b'/');
            }
            if out.is_empty() && cut(&path, b'/').0.contains(&b':') {
                out.extend_from_slice(b"./");
            }
            out.extend(path);
        } else {
            out.extend_from_slice(&self.opaque);
        }
        if self.force_query || !self.raw_query.is_empty() {
            out.push(b'?');
            out.extend_from_slice(&self.raw_query);
        }
        if !self.fragment.is_empty() {
            out.push(b'#');
            out.extend(Url::escaped(&self.fragment, &self.raw_fragment, Part::Fragment));
        }
        out
    }
}

impl User {
    /// `Userinfo.String`: encoded again.
    pub fn text(&self) -> Vec<u8> {
        let mut out = escape(&self.name, Part::UserPassword);
        if let Some(password) = &self.password {
            out.push(b':');
            out.extend(escape(password, Part::UserPassword));
        }
        out
    }
}

/// `url.ParseQuery`: decoded keys and values in order; nothing where Go gives an error.
pub fn parse_query(query: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut pairs = Vec::new();
    for pair in query.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        if pair.contains(&b';') {
            return None;
        }
        let (key, value) = cut(pair, b'=');
        pairs.push((unescape(key, Part::QueryComponent)?, unescape(value.unwrap_or_default(), Part::QueryComponent)?));
    }
    Some(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let printed = Url::parse(text.as_bytes()).map(|url| String::from_utf8(url.text()).unwrap());
        assert_eq!(printed.as_deref(), expected, "{text}");
    }

    #[test]
    fn parses_and_prints() {
        for text in [
            "http://user:pass@host:8080/a/b.txt?x=1#f",
            "http://[::1]:80/",
            "/relative/path?x=1",
            "mailto:a@b.c",
            "http://h",
            "http://EXAMPLE.com/%C3%A9?q=%20",
            "file:///etc/x",
            "a/b",
            "//host/path",
            "http:/path",
            "http://h/?",
            "*",
            "http://h/a%2Fb",
            "http://[fe80::1%25eth0]/",
            "http://a:b@h/x;y=(1)",
            "postgres://a:1,b:2/db",
        ] {
            check(text, Some(text));
        }
        check("HTTP://h/", Some("http://h/"));
        check("http://h/a b", Some("http://h/a%20b"));
        check("http://h/#a b", Some("http://h/#a%20b"));
    }

    #[test]
    fn what_go_refuses() {
        for text in [
            "http://a b",
            "%zz",
            "http://a:b/",
            ":x",
            "a:b:c/d\u{1}",
            "http://[::1",
            "http://[1.2.3.4]/",
            "http://h%41/",
            "1:2",
            "http://u{}@h/",
            "http://h:1:2/",
            "x[y]://h",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn queries() {
        let pairs = parse_query(b"a=1&b=2&a=x+y%21&c").unwrap();
        let expected: [(&[u8], &[u8]); 4] = [(b"a", b"1"), (b"b", b"2"), (b"a", b"x y!"), (b"c", b"")];
        assert!(pairs.iter().map(|(k, v)| (k.as_slice(), v.as_slice())).eq(expected));
        assert_eq!(parse_query(b"a;b"), None);
        assert_eq!(parse_query(b"%zz=1"), None);
    }
}
