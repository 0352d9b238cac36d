//! Go's `strconv`: numbers and booleans from text and back.

use std::fmt;

/// Why a text is not a number, in Go's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    function: &'static str,
    input: String,
    reason: Reason,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Reason {
    Syntax,
    Range,
    Base(i64),
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "strconv.{}: parsing {:?}: ", self.function, self.input)?;
        match self.reason {
            Reason::Syntax => f.write_str("invalid syntax"),
            Reason::Range => f.write_str("value out of range"),
            Reason::Base(base) => write!(f, "invalid base {base}"),
        }
    }
}

impl std::error::Error for ParseError {}

fn fail(function: &'static str, input: &[u8], reason: Reason) -> ParseError {
    ParseError { function, input: String::from_utf8_lossy(input).into_owned(), reason }
}

/// `strconv.ParseInt(text, base, 64)`. Base 0 takes the prefixes `0x`, `0o`, `0b`, `0` and underscores.
///
/// # Errors
/// On bad digits, overflow, or a base that is neither 0 nor in 2..=36.
pub fn parse_int(text: &[u8], base: i64) -> Result<i64, ParseError> {
    let syntax = || fail("ParseInt", text, Reason::Syntax);
    let range = || fail("ParseInt", text, Reason::Range);
    let (negative, digits) = match text {
        [] => return Err(syntax()),
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return Err(syntax());
    }
    let (radix, digits) = match base {
        2..=36 => (base as u64, digits),
        0 => match digits {
            [b'0', b'x' | b'X', rest @ ..] if !rest.is_empty() => (16, rest),
            [b'0', b'b' | b'B', rest @ ..] if !rest.is_empty() => (2, rest),
            [b'0', b'o' | b'O', rest @ ..] if !rest.is_empty() => (8, rest),
            [b'0', rest @ ..] => (8, rest),
            rest => (10, rest),
        },
        other => return Err(fail("ParseInt", text, Reason::Base(other))),
    };
    let mut number = 0u64;
    let mut overflow = false;
    let mut saw_underscore = false;
    for &byte in digits {
        let digit = match byte {
            b'_' if base == 0 => {
                saw_underscore = true;
                continue;
            }
            b'0'..=b'9' => u64::from(byte - b'0'),
            b'a'..=b'z' => u64::from(byte - b'a') + 10,
            b'A'..=b'Z' => u64::from(byte - b'A') + 10,
            _ => return Err(syntax()),
        };
        if digit >= radix {
            return Err(syntax());
        }
        match number.checked_mul(radix).and_then(|n| n.checked_add(digit)) {
            Some(sum) => number = sum,
            None => overflow = true,
        }
    }
    if saw_underscore && !underscores_separate_digits(text) {
        return Err(syntax());
    }
    if overflow {
        return Err(range());
    }
    match (negative, number) {
        (false, n) => i64::try_from(n).map_err(|_| range()),
        (true, n) if n <= 1 << 63 => Ok((n as i64).wrapping_neg()),
        (true, _) => Err(range()),
    }
}

/// Go allows an underscore only between digits, or between a base prefix and a digit.
fn underscores_separate_digits(text: &[u8]) -> bool {
    let unsigned = match text {
        [b'-' | b'+', rest @ ..] => rest,
        rest => rest,
    };
    let (mut previous, hex, digits) = match unsigned {
        [b'0', prefix, rest @ ..] if matches!(prefix.to_ascii_lowercase(), b'b' | b'o' | b'x') => {
            (b'0', prefix.eq_ignore_ascii_case(&b'x'), rest)
        }
        rest => (b'^', false, rest),
    };
    for &byte in digits {
        if byte.is_ascii_digit() || (hex && byte.is_ascii_hexdigit()) {
            previous = b'0';
        } else if byte == b'_' {
            if previous != b'0' {
                return false;
            }
            previous = b'_';
        } else {
            if previous == b'_' {
                return false;
            }
            previous = b'!';
        }
    }
    previous != b'_'
}

/// `strconv.ParseFloat(text, 64)`: decimal, hexadecimal, infinities and NaN in any case.
///
/// Go documents underscores for base prefixes only, yet it takes `1_0.5` as 10.5; so does this.
///
/// # Errors
/// On bad syntax, and when a finite text is too large.
pub fn parse_float(text: &[u8]) -> Result<f64, ParseError> {
    let syntax = || fail("ParseFloat", text, Reason::Syntax);
    let (negative, unsigned) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let sign = if negative { -1.0 } else { 1.0 };
    if unsigned.eq_ignore_ascii_case(b"inf") || unsigned.eq_ignore_ascii_case(b"infinity") {
        return Ok(sign * f64::INFINITY);
    }
    if text.eq_ignore_ascii_case(b"nan") {
        // Go's own NaN, so that its bits agree too.
        return Ok(f64::from_bits(0x7ff8_0000_0000_0001));
    }
    if text.contains(&b'_') && !underscores_separate_digits(text) {
        return Err(syntax());
    }
    let plain: Vec<u8> = unsigned.iter().copied().filter(|&b| b != b'_').collect();
    let value = if let [b'0', b'x' | b'X', hex @ ..] = plain.as_slice() {
        parse_hex_float(hex).ok_or_else(syntax)?
    } else {
        // Rust also reads "inf" and "nan" spellings that are ruled out above, and nothing else beyond Go.
        let decimal = plain.iter().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
        let signed_first = matches!(plain.first(), Some(b'+' | b'-'));
        let parsed = std::str::from_utf8(&plain).ok().filter(|_| decimal && !signed_first);
        parsed.and_then(|text| text.parse::<f64>().ok()).ok_or_else(syntax)?
    };
    if value.is_infinite() {
        return Err(fail("ParseFloat", text, Reason::Range));
    }
    Ok(sign * value)
}

/// The part after `0x`: digits with at most one point, and an exponent of two that Go demands.
fn parse_hex_float(text: &[u8]) -> Option<f64> {
    let split = text.iter().position(|b| matches!(b, b'p' | b'P'))?;
    let (digits, exponent) = (&text[..split], &text[split + 1..]);
    let exponent_digits = match exponent {
        [b'+' | b'-', rest @ ..] => rest,
        rest => rest,
    };
    if exponent_digits.is_empty() || !exponent_digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let negative_exponent = exponent.first() == Some(&b'-');
    let size = exponent_digits.iter().fold(0i64, |n, b| (n * 10 + i64::from(b - b'0')).min(1 << 40));
    let mut exponent = if negative_exponent { -size } else { size };
    let mut mantissa = 0u64;
    let mut sticky = false;
    let mut saw_point = false;
    let mut n_digits = 0;
    for &byte in digits {
        if byte == b'.' && !saw_point {
            saw_point = true;
            continue;
        }
        let digit = u64::from(char::from(byte).to_digit(16)?);
        n_digits += 1;
        if mantissa >> 59 == 0 {
            mantissa = mantissa << 4 | digit;
            exponent -= if saw_point { 4 } else { 0 };
        } else {
            // Beyond the precision of any double: only whether it is exact matters.
            sticky |= digit != 0;
            exponent += if saw_point { 0 } else { 4 };
        }
    }
    if n_digits == 0 {
        return None;
    }
    Some(scale(mantissa | u64::from(sticky), exponent))
}

/// `mantissa * 2^exponent`, rounded once, to nearest even.
fn scale(mantissa: u64, exponent: i64) -> f64 {
    if mantissa == 0 {
        return 0.0;
    }
    let width = 64 - i64::from(mantissa.leading_zeros());
    // The exponent of the value's leading bit; subnormals keep fewer bits.
    let leading = exponent.saturating_add(width - 1);
    if leading > 1023 {
        return f64::INFINITY;
    }
    let lowest = (leading - 52).max(-1074);
    let shift = lowest - exponent;
    let kept = if shift <= 0 {
        // At most 53 bits, so shifting up is exact.
        mantissa << (-shift).min(63)
    } else if shift > 64 {
        0
    } else {
        let whole = u128::from(mantissa);
        let kept = whole >> shift;
        let remainder = whole & ((1u128 << shift) - 1);
        let half = 1u128 << (shift - 1);
        let up = remainder > half || (remainder == half && kept & 1 == 1);
        (kept + u128::from(up)) as u64
    };
    let two_to = |power: i64| f64::from_bits(((power + 1023) as u64) << 52);
    // Two exact steps: 2^-1074 itself has no normal representation.
    if lowest < -1022 { kept as f64 * two_to(-1022) * two_to(lowest + 1022) } else { kept as f64 * two_to(lowest) }
}

/// `strconv.ParseBool`.
///
/// # Errors
/// On anything but `1 t T TRUE true True 0 f F FALSE false False`.
pub fn parse_bool(text: &[u8]) -> Result<bool, ParseError> {
    match text {
        b"1" | b"t" | b"T" | b"true" | b"TRUE" | b"True" => Ok(true),
        b"0" | b"f" | b"F" | b"false" | b"FALSE" | b"False" => Ok(false),
        _ => Err(fail("ParseBool", text, Reason::Syntax)),
    }
}

/// The shortest digits that read back as the same finite double, and the power of ten of the first digit.
/// Zero is `("0", 0)`.
pub fn shortest_digits(value: f64) -> (String, i32) {
    let text = format!("{:e}", value.abs());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    (mantissa.replace('.', ""), exponent.parse().unwrap_or(0))
}

/// Plain decimal notation, shortest digits, no exponent (`strconv.FormatFloat(v, 'f', -1, 64)`).
pub fn format_plain(value: f64) -> String {
    format!("{value}")
}

/// Exponent notation with a sign and at least two exponent digits (`strconv.FormatFloat(v, 'e', -1, 64)`).
pub fn format_exponent(value: f64) -> String {
    let (digits, exponent) = shortest_digits(value);
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let (first, rest) = digits.split_at(1.min(digits.len()));
    let point = if rest.is_empty() { "" } else { "." };
    let direction = if exponent < 0 { '-' } else { '+' };
    format!("{sign}{first}{point}{rest}e{direction}{:02}", exponent.unsigned_abs())
}

/// How Go's JSON packages write a finite double: plain from 1e-6 up to 1e21, else with an exponent.
///
/// `padded` keeps two exponent digits (`1e-07`), as the string-like conversion does; encoding/json and pdata cut the zero
/// (`1e-7`).
pub fn format_json_number(value: f64, padded: bool) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format_exponent(value);
        return match text.rfind("e-0") {
            Some(at) if !padded => format!("{}e-{}", &text[..at], &text[at + 3..]),
            _ => text,
        };
    }
    format_plain(value)
}

/// `int64(f)` as the reference computes it on amd64: truncation, and the smallest integer for NaN and overflow.
pub fn truncate_to_int(value: f64) -> i64 {
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value) { value as i64 } else { i64::MIN }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers() {
        let parse = |text: &str, base| parse_int(text.as_bytes(), base).ok();
        assert_eq!(parse("0xff", 0), Some(255));
        assert_eq!(parse("0xff", 16), None);
        assert_eq!(parse("1_000", 0), Some(1000));
        assert_eq!(parse("1__0", 0), None);
        assert_eq!(parse("0_7", 0), Some(7));
        assert_eq!(parse("_7", 0), None);
        assert_eq!(parse("1_0", 10), None);
        assert_eq!(parse("-9223372036854775808", 10), Some(i64::MIN));
        assert_eq!(parse("9223372036854775808", 10), None);
        assert_eq!(parse("0", 0), Some(0));
        assert_eq!(parse("0x", 0), None);
        assert_eq!(parse("+", 10), None);
        assert_eq!(parse("z", 36), Some(35));
        assert_eq!(parse("1", 37), None);
    }

    #[test]
    fn floats() {
        let parse = |text: &str| parse_float(text.as_bytes()).ok();
        assert_eq!(parse("1_0.5"), Some(10.5));
        assert_eq!(parse(".5"), Some(0.5));
        assert_eq!(parse("5."), Some(5.0));
        assert_eq!(parse("."), None);
        assert_eq!(parse(""), None);
        assert_eq!(parse("1e400"), None);
        assert_eq!(parse("1e-400"), Some(0.0));
        assert_eq!(parse("0x1p-2"), Some(0.25));
        assert_eq!(parse("0x1"), None);
        assert_eq!(parse("0x1p-1074"), Some(5e-324));
        assert_eq!(parse("0x1.fffffffffffffp1023"), Some(f64::MAX));
        assert_eq!(parse("0x1p1024"), None);
        assert_eq!(parse("-Infinity"), Some(f64::NEG_INFINITY));
        assert_eq!(parse("-nan"), None);
        assert_eq!(parse("+-1"), None);
        assert_eq!(parse("1 "), None);
        assert_eq!(parse("1_"), None);
        assert!(parse("NaN").is_some_and(f64::is_nan));
    }

    #[test]
    fn float_texts() {
        assert_eq!(format_json_number(1e21, true), "1e+21");
        assert_eq!(format_json_number(1e20, true), "100000000000000000000");
        assert_eq!(format_json_number(1e-7, true), "1e-07");
        assert_eq!(format_json_number(1e-7, false), "1e-7");
        assert_eq!(format_json_number(1e-6, true), "0.000001");
        assert_eq!(format_json_number(-0.0, true), "-0");
        assert_eq!(format_json_number(42.0, true), "42");
        assert_eq!(format_json_number(5e-324, true), "5e-324");
        assert_eq!(format_json_number(1.5e300, false), "1.5e+300");
    }

    #[test]
    fn casts() {
        assert_eq!(truncate_to_int(-3.9), -3);
        assert_eq!(truncate_to_int(f64::NAN), i64::MIN);
        assert_eq!(truncate_to_int(9.3e18), i64::MIN);
    }
}
