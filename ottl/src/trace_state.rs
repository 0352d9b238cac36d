//! The W3C `tracestate` header as the OpenTelemetry Go API parses it, for `trace_state["k"]` and wherever contrib reads one.
//!
//! Parsing is all or nothing: one bad member makes every lookup nil, while a key that a good header lacks is "".

/// At most this many members; more make the header unparsable.
const MAX_MEMBERS: usize = 32;

/// The value of `key`, `Some("")` if the header has no such member, `None` if the header does not parse.
pub(crate) fn member<'h>(header: &'h [u8], key: &[u8]) -> Option<&'h [u8]> {
    let mut seen: [&[u8]; MAX_MEMBERS] = [&[]; MAX_MEMBERS];
    let mut n_seen = 0;
    let mut found: &[u8] = &[];
    for part in header.split(|&byte| byte == b',') {
        if part.is_empty() {
            continue;
        }
        let (name, value) = split(part)?;
        if seen[..n_seen].contains(&name) {
            return None;
        }
        *seen.get_mut(n_seen)? = name;
        n_seen += 1;
        if name == key {
            found = value;
        }
    }
    Some(found)
}

/// Whether a text is one well-formed member, `key=value`.
#[must_use]
pub fn is_member(member: &[u8]) -> bool {
    split(member).is_some()
}

/// `key=value`, without the blanks before the key and behind the value; `None` if it is not well-formed.
fn split(member: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = member.iter().position(|&byte| byte == b'=')?;
    let (key, value) = (trim_start(&member[..at]), trim_end(&member[at + 1..]));
    (is_key(key) && is_value(value)).then_some((key, value))
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

fn trim_start(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|&byte| !is_blank(byte)).unwrap_or(text.len());
    &text[start..]
}

fn trim_end(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|&byte| !is_blank(byte)).map_or(0, |at| at + 1);
    &text[..end]
}

fn is_key_rest(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-' | b'*' | b'/')
}

/// `lcalpha` plus up to 255 more, or `tenant@system` with at most 241 and 14 characters.
fn is_key(key: &[u8]) -> bool {
    let part = |part: &[u8], digit_first: bool, max: usize| match part.split_first() {
        Some((&first, rest)) => {
            (first.is_ascii_lowercase() || digit_first && first.is_ascii_digit())
                && part.len() <= max
                && rest.iter().all(|&byte| is_key_rest(byte))
        }
        None => false,
    };
    match key.iter().position(|&byte| byte == b'@') {
        Some(at) => part(&key[..at], true, 241) && part(&key[at + 1..], false, 14),
        None => part(key, false, 256),
    }
}

/// 1 to 256 printable ASCII characters without `,` and `=`; trailing blanks are gone already.
fn is_value(value: &[u8]) -> bool {
    (1..=256).contains(&value.len())
        && value.iter().all(|&byte| (b' '..=b'~').contains(&byte) && byte != b',' && byte != b'=')
}

#[cfg(test)]
mod tests {
    use super::member;

    #[test]
    fn members_and_damage() {
        let header = b"k1=v1,, k2=v 2 ,t1@sys=x";
        assert_eq!(member(header, b"k1"), Some(&b"v1"[..]));
        assert_eq!(member(header, b"k2"), Some(&b"v 2"[..]));
        assert_eq!(member(header, b"t1@sys"), Some(&b"x"[..]));
        assert_eq!(member(header, b"zz"), Some(&b""[..]));
        assert_eq!(member(b"k1", b"k1"), None);
        assert_eq!(member(b"k1=", b"k1"), None);
        assert_eq!(member(b"K=v", b"K"), None);
        assert_eq!(member(b"a=1,a=2", b"a"), None);
        assert_eq!(member(b"", b"a"), Some(&b""[..]));
        for (header, expected) in [
            ("x=1, k=a b \t,y=2", Some("a b")),
            ("\tk=a", Some("a")),
            ("k =a", None),
            ("k=a=b", None),
            ("k=a, ", None),
            ("1t@sys=1,k=a", Some("a")),
            ("t@1sys=1,k=a", None),
            ("1x=1,k=a", None),
        ] {
            assert_eq!(member(header.as_bytes(), b"k"), expected.map(str::as_bytes), "{header:?}");
        }
        let many: String = (0..32).map(|at| format!("k{at}=v,")).collect();
        assert_eq!(member(many.as_bytes(), b"k31"), Some(&b"v"[..]));
        let many: String = (0..33).map(|at| format!("k{at}=v,")).collect();
        assert_eq!(member(many.as_bytes(), b"k1"), None);
    }
}
