//! W3C `tracestate`, as strictly as the OpenTelemetry Go API reads it: any mistake makes the whole header unreadable.

/// Most members a header may have.
const MAX_MEMBERS: usize = 32;

/// The value of `key`, if the header is well-formed and has it.
pub(super) fn value<'a>(header: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let mut keys: [&[u8]; MAX_MEMBERS] = [&[]; MAX_MEMBERS];
    let mut n_keys = 0;
    let mut found = None;
    for member in header.split(|byte| *byte == b',') {
        if member.is_empty() {
            continue;
        }
        let (name, member_value) = parse_member(member)?;
        if keys[..n_keys].contains(&name) {
            return None;
        }
        *keys.get_mut(n_keys)? = name;
        n_keys += 1;
        if name == key {
            found = Some(member_value);
        }
    }
    found
}

/// True for one well-formed `key=value`.
pub(in super::super) fn is_member(member: &[u8]) -> bool {
    parse_member(member).is_some()
}

/// `key=value`, with blanks and tabs before the key and behind the value taken off.
fn parse_member(member: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = member.iter().position(|byte| *byte == b'=')?;
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let key = &member[..equals];
    let key = &key[key.iter().position(|byte| !blank(byte)).unwrap_or(key.len())..];
    let value = &member[equals + 1..];
    let value = &value[..value.iter().rposition(|byte| !blank(byte)).map_or(0, |last| last + 1)];
    (key_is_valid(key) && value_is_valid(value)).then_some((key, value))
}

/// `simple-key = lcalpha 0*255(key-char)`, or `tenant@system` with at most 241 and 14 characters.
fn key_is_valid(key: &[u8]) -> bool {
    let chars = |part: &[u8]| part.iter().all(|byte| is_key_char(*byte));
    match key.iter().position(|byte| *byte == b'@') {
        None => key.first().is_some_and(u8::is_ascii_lowercase) && key.len() <= 256 && chars(key),
        Some(at) => {
            let (tenant, system) = (&key[..at], &key[at + 1..]);
            let starts_well = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            tenant.first().is_some_and(starts_well)
                && tenant.len() <= 241
                && chars(tenant)
                && system.first().is_some_and(u8::is_ascii_lowercase)
                && system.len() <= 14
                && chars(system)
        }
    }
}

fn is_key_char(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-' | b'*' | b'/')
}

/// 1 to 256 printable characters other than `,` and `=`, the last one no blank.
fn value_is_valid(value: &[u8]) -> bool {
    let Some((last, front)) = value.split_last() else { return false };
    let printable = |byte: &u8| matches!(byte, 0x20..=0x7e) && !matches!(byte, b',' | b'=');
    front.len() <= 255 && front.iter().all(printable) && printable(last) && *last != b' '
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_values() {
        let cases: &[(&str, Option<&str>)] = &[
            ("vendor=a", Some("a")),
            ("x=1, vendor=a b \t,y=2", Some("a b")),
            (",,vendor=a,", Some("a")),
            ("\tvendor=a", Some("a")),
            ("other=a", None),
            ("", None),
            ("vendor=", None),
            ("vendor=a,vendor=b", None),
            ("vendor =a", None),
            ("vendor=a=b", None),
            ("Vendor=a,vendor=b", None),
            ("vendor=a, ", None),
            ("vendor=a,no-equals", None),
            ("1t@sys=1,vendor=a", Some("a")),
            ("t@1sys=1,vendor=a", None),
            ("1x=1,vendor=a", None),
        ];
        for (header, expected) in cases {
            assert_eq!(value(header.as_bytes(), b"vendor"), expected.map(str::as_bytes), "{header:?}");
        }
    }

    #[test]
    fn at_most_32_members() {
        let members = |n: usize| (0..n).map(|i| format!("k{i}=v")).collect::<Vec<_>>().join(",");
        assert_eq!(value(members(32).as_bytes(), b"k31"), Some(&b"v"[..]));
        assert_eq!(value(members(33).as_bytes(), b"k31"), None);
    }
}
