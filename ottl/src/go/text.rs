//! Go's `strings` and `unicode` where they differ from Rust's, and the case conversions of iancoleman/strcase.

/// Maps each character through `unicode.ToLower` or `unicode.ToUpper`: always one to one, so the sharp s stays.
/// Bytes that are not UTF-8 become U+FFFD, as in Go's `strings.Map`.
fn map_chars(text: &[u8], map: impl Fn(char) -> char) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut push = |c: char| out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    for chunk in text.utf8_chunks() {
        chunk.valid().chars().map(&map).for_each(&mut push);
        chunk.invalid().iter().for_each(|_| push(char::REPLACEMENT_CHARACTER));
    }
    out
}

/// `unicode.ToLower`: the simple mapping.
pub fn simple_lower(c: char) -> char {
    match c {
        // The one letter whose full mapping is longer than its simple one.
        '\u{130}' => 'i',
        _ => c.to_lowercase().next().unwrap_or(c),
    }
}

/// `unicode.ToUpper`: the simple mapping. A letter whose full mapping is several characters has a simple mapping of its
/// own, or none.
pub fn simple_upper(c: char) -> char {
    let mut full = c.to_uppercase();
    match (full.next(), full.next()) {
        (Some(upper), None) => upper,
        _ => match c {
            // Greek letters with iota below map to their precomposed titlecase forms.
            '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => {
                char::from_u32(u32::from(c) + 8).unwrap_or(c)
            }
            '\u{1fb3}' => '\u{1fbc}',
            '\u{1fc3}' => '\u{1fcc}',
            '\u{1ff3}' => '\u{1ffc}',
            _ => c,
        },
    }
}

/// `strings.ToLower`.
pub fn to_lower(text: &[u8]) -> Vec<u8> {
    if text.is_ascii() { text.to_ascii_lowercase() } else { map_chars(text, simple_lower) }
}

/// `strings.ToUpper`.
pub fn to_upper(text: &[u8]) -> Vec<u8> {
    if text.is_ascii() { text.to_ascii_uppercase() } else { map_chars(text, simple_upper) }
}

/// The characters of a text with their bytes; a byte that is not UTF-8 is a U+FFFD of one byte.
pub fn chars(text: &[u8]) -> impl Iterator<Item = (char, &[u8])> {
    text.utf8_chunks().flat_map(|chunk| {
        let valid = chunk.valid();
        let of_valid = valid.char_indices().map(move |(at, c)| (c, &valid.as_bytes()[at..at + c.len_utf8()]));
        of_valid.chain(chunk.invalid().chunks(1).map(|byte| (char::REPLACEMENT_CHARACTER, byte)))
    })
}

/// `strings.Trim`: removes characters of the cutset from both ends.
pub fn trim<'t>(text: &'t [u8], cutset: &[u8]) -> &'t [u8] {
    let cut: Vec<char> = chars(cutset).map(|(c, _)| c).collect();
    let is_cut = |c: &char| cut.contains(c);
    let leading: usize = chars(text).take_while(|(c, _)| is_cut(c)).map(|(_, bytes)| bytes.len()).sum();
    let rest = text.get(leading..).unwrap_or_default();
    let mut end = 0;
    let mut at = 0;
    for (c, bytes) in chars(rest) {
        at += bytes.len();
        if !is_cut(&c) {
            end = at;
        }
    }
    rest.get(..end).unwrap_or_default()
}

/// `strings.TrimSpace`: the characters with Unicode's White_Space property.
pub fn trim_space(text: &[u8]) -> &[u8] {
    let leading: usize = chars(text).take_while(|(c, _)| c.is_whitespace()).map(|(_, bytes)| bytes.len()).sum();
    let rest = text.get(leading..).unwrap_or_default();
    let mut end = 0;
    let mut at = 0;
    for (c, bytes) in chars(rest) {
        at += bytes.len();
        if !c.is_whitespace() {
            end = at;
        }
    }
    rest.get(..end).unwrap_or_default()
}

/// `strings.Split`: an empty delimiter splits into characters, of which an empty text has none.
pub fn split<'t>(text: &'t [u8], delimiter: &[u8]) -> Vec<&'t [u8]> {
    if delimiter.is_empty() {
        return chars(text).map(|(_, bytes)| bytes).collect();
    }
    let mut parts = Vec::new();
    let mut from = 0;
    for at in memchr::memmem::find_iter(text, delimiter) {
        parts.push(&text[from..at]);
        from = at + delimiter.len();
    }
    parts.push(&text[from..]);
    parts
}

/// `strcase.ToSnake` v0.3.0, byte by byte: only ASCII letters have case.
pub fn to_snake(text: &[u8]) -> Vec<u8> {
    let text = trim_space(text);
    let mut out = Vec::with_capacity(text.len() + 2);
    for (idx, &original) in text.iter().enumerate() {
        let lowered = original.to_ascii_lowercase();
        let is_upper = original.is_ascii_uppercase();
        let is_lower = original.is_ascii_lowercase();
        let is_digit = original.is_ascii_digit();
        if let Some(next) = text.get(idx + 1) {
            let next_upper = next.is_ascii_uppercase();
            let next_lower = next.is_ascii_lowercase();
            let next_digit = next.is_ascii_digit();
            let changes = (is_upper && (next_lower || next_digit))
                || (is_lower && (next_upper || next_digit))
                || (is_digit && (next_upper || next_lower));
            if changes {
                // A run of capitals is a word of its own: the last one starts the next word.
                let after_upper = idx > 0 && text.get(idx - 1).is_some_and(u8::is_ascii_uppercase);
                if is_upper && next_lower && after_upper {
                    out.push(b'_');
                }
                out.push(lowered);
                if is_lower || is_digit || next_digit {
                    out.push(b'_');
                }
                continue;
            }
        }
        out.push(if matches!(original, b' ' | b'_' | b'-' | b'.') { b'_' } else { lowered });
    }
    out
}

/// `strcase.ToCamel` v0.3.0, byte by byte: everything but ASCII letters and digits is dropped.
pub fn to_camel(text: &[u8]) -> Vec<u8> {
    let text = trim_space(text);
    let mut out = Vec::with_capacity(text.len());
    let mut capital_next = true;
    let mut after_upper = false;
    for &byte in text {
        let is_upper = byte.is_ascii_uppercase();
        if byte.is_ascii_alphabetic() {
            out.push(match (capital_next, after_upper && is_upper) {
                (true, _) => byte.to_ascii_uppercase(),
                (false, true) => byte.to_ascii_lowercase(),
                (false, false) => byte,
            });
            capital_next = false;
        } else if byte.is_ascii_digit() {
            out.push(byte);
            capital_next = true;
        } else {
            capital_next = matches!(byte, b'_' | b' ' | b'-' | b'.');
        }
        after_upper = is_upper;
    }
    out
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]]).collect()
}

/// The bytes of a text of hexadecimal digits, of either case; nothing if it is none.
pub fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |b: u8| char::from(b).to_digit(16).map(|d| d as u8);
    let (pairs, rest) = text.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_mapping_is_one_to_one() {
        assert_eq!(to_upper("stra\u{df}e \u{149}".as_bytes()), "STRA\u{df}E \u{149}".as_bytes());
        assert_eq!(to_lower("\u{130}X".as_bytes()), b"ix");
        assert_eq!(to_upper("\u{1f80}\u{1fb3}\u{1f50}".as_bytes()), "\u{1f88}\u{1fbc}\u{1f50}".as_bytes());
        assert_eq!(to_lower("\u{3a3}\u{3a3}".as_bytes()), "\u{3c3}\u{3c3}".as_bytes());
        assert_eq!(to_upper(b"\xc3\xa9\xff"), "\u{c9}\u{fffd}".as_bytes());
    }

    #[test]
    fn cases() {
        let snake = |text: &str| String::from_utf8(to_snake(text.as_bytes())).unwrap();
        let camel = |text: &str| String::from_utf8(to_camel(text.as_bytes())).unwrap();
        assert_eq!(snake("HTTPServer2Go"), "http_server_2_go");
        assert_eq!(snake("With Space-dash.dot"), "with_space_dash_dot");
        assert_eq!(snake("a1b2C3"), "a_1_b_2_c_3");
        assert_eq!(snake("\u{dc}ber_Stra\u{df}e"), "\u{dc}ber_stra\u{df}e");
        assert_eq!(camel("HTTP_server id"), "HttpServerId");
        assert_eq!(camel("someHTTPServer_name-x y"), "SomeHttpserverNameXY");
        assert_eq!(camel("\u{e9}_a"), "A");
        assert_eq!(camel("ABC"), "Abc");
    }

    #[test]
    fn trimming_and_splitting() {
        assert_eq!(trim("\u{e9}\u{e9}a\u{e9}".as_bytes(), "\u{e9}".as_bytes()), b"a");
        assert_eq!(trim(b"xyaxy", b"yx"), b"a");
        assert_eq!(trim(b"xxx", b"x"), b"");
        assert_eq!(split(b"a,,b,", b","), [&b"a"[..], b"", b"b", b""]);
        assert_eq!(split(b"", b",").len(), 1);
        assert!(split(b"", b"").is_empty());
    }
}
