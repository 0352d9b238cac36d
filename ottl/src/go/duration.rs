//! Go's `time.Duration`: signed nanoseconds, read and printed as Go does.

use std::fmt;

/// Nanoseconds in a second.
pub const SECOND: i64 = 1_000_000_000;

/// Why a text is not a duration, in Go's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    input: String,
    reason: Reason,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Reason {
    Invalid,
    MissingUnit,
    UnknownUnit(String),
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            Reason::Invalid => write!(f, "time: invalid duration {:?}", self.input),
            Reason::MissingUnit => write!(f, "time: missing unit in duration {:?}", self.input),
            Reason::UnknownUnit(unit) => write!(f, "time: unknown unit {unit:?} in duration {:?}", self.input),
        }
    }
}

impl std::error::Error for ParseError {}

/// `time.ParseDuration`: an optional sign, then decimals with a unit each, such as `-1h30.5m`. `0` needs no unit.
///
/// # Errors
/// On anything else, and where the sum does not fit.
pub fn parse(text: &[u8]) -> Result<i64, ParseError> {
    let fail = |reason| ParseError { input: String::from_utf8_lossy(text).into_owned(), reason };
    let (negative, mut rest) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    match rest {
        b"0" => return Ok(0),
        b"" => return Err(fail(Reason::Invalid)),
        _ => {}
    }
    // Magnitudes up to 2^63 are allowed, so that the smallest duration can be written.
    let mut total = 0u64;
    while !rest.is_empty() {
        let digits_in = |text: &[u8]| text.iter().take_while(|b| b.is_ascii_digit()).count();
        let n_whole = digits_in(rest);
        let mut whole = 0u64;
        for &digit in &rest[..n_whole] {
            whole = match whole.checked_mul(10).and_then(|n| n.checked_add(u64::from(digit - b'0'))) {
                Some(n) if n <= 1 << 63 => n,
                _ => return Err(fail(Reason::Invalid)),
            };
        }
        rest = &rest[n_whole..];
        let mut n_fraction = 0;
        let (mut fraction, mut scale) = (0u64, 1.0f64);
        if let [b'.', after @ ..] = rest {
            n_fraction = digits_in(after);
            let mut full = false;
            for &digit in &after[..n_fraction] {
                // Digits beyond the precision are dropped, as in Go.
                match fraction.checked_mul(10).and_then(|n| n.checked_add(u64::from(digit - b'0'))) {
                    Some(n) if !full && n <= 1 << 63 => {
                        fraction = n;
                        scale *= 10.0;
                    }
                    _ => full = true,
                }
            }
            rest = &after[n_fraction..];
        }
        if n_whole == 0 && n_fraction == 0 {
            return Err(fail(Reason::Invalid));
        }
        let n_unit = rest.iter().take_while(|b| !b.is_ascii_digit() && **b != b'.').count();
        if n_unit == 0 {
            return Err(fail(Reason::MissingUnit));
        }
        let unit = match std::str::from_utf8(&rest[..n_unit]).unwrap_or("") {
            "ns" => 1,
            "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
            "ms" => 1_000_000,
            "s" => SECOND as u64,
            "m" => 60 * SECOND as u64,
            "h" => 3600 * SECOND as u64,
            _ => {
                let unit = String::from_utf8_lossy(&rest[..n_unit]).into_owned();
                return Err(fail(Reason::UnknownUnit(unit)));
            }
        };
        rest = &rest[n_unit..];
        let part = whole
            .checked_mul(unit)
            .and_then(|nanos| nanos.checked_add((fraction as f64 * (unit as f64 / scale)) as u64))
            .filter(|&nanos| nanos <= 1 << 63);
        total = match part.and_then(|nanos| total.checked_add(nanos)) {
            Some(sum) if sum <= 1 << 63 => sum,
            _ => return Err(fail(Reason::Invalid)),
        };
    }
    match (negative, i64::try_from(total)) {
        (true, _) => Ok((total as i64).wrapping_neg()),
        (false, Ok(nanos)) => Ok(nanos),
        (false, Err(_)) => Err(fail(Reason::Invalid)),
    }
}

/// `Duration.String`: `1h2m3.5s`, `1.5ms`, `0s`.
pub fn format(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let size = nanos.unsigned_abs();
    let second = SECOND as u64;
    let decimal = |whole: u64, fraction: u64, width: usize| {
        if fraction == 0 {
            return whole.to_string();
        }
        let digits = format!("{fraction:0width$}");
        format!("{whole}.{}", digits.trim_end_matches('0'))
    };
    if size == 0 {
        return "0s".to_owned();
    }
    if size < 1_000 {
        return format!("{sign}{size}ns");
    }
    if size < 1_000_000 {
        return format!("{sign}{}\u{b5}s", decimal(size / 1_000, size % 1_000, 3));
    }
    if size < second {
        return format!("{sign}{}ms", decimal(size / 1_000_000, size % 1_000_000, 6));
    }
    let whole_seconds = size / second;
    let seconds = decimal(whole_seconds % 60, size % second, 9);
    let minutes = whole_seconds / 60;
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
        (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

/// `Duration.Hours` and its like: whole units plus the fraction, which rounds as Go's does.
pub fn as_units(nanos: i64, unit: i64) -> f64 {
    (nanos / unit) as f64 + (nanos % unit) as f64 / unit as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints() {
        let check = |text: &str, nanos: Option<i64>| assert_eq!(parse(text.as_bytes()).ok(), nanos, "{text}");
        check("1h30m", Some(5400 * SECOND));
        check("-1.5h", Some(-5400 * SECOND));
        check("+.5s", Some(SECOND / 2));
        check("1\u{b5}s", Some(1000));
        check("0", Some(0));
        check("-0", Some(0));
        check("9999999999h", None);
        check("-9223372036854775808ns", Some(i64::MIN));
        check("9223372036854775808ns", None);
        check("0.100000000000000000000h", Some(360 * SECOND));
        for text in ["", "1", "1d", "1 s", "abc", ".s", "-", "1s ", "s"] {
            check(text, None);
        }
        assert_eq!(format(3_723_500_000_000), "1h2m3.5s");
        assert_eq!(format(-1_500_000), "-1.5ms");
        assert_eq!(format(60 * SECOND), "1m0s");
        assert_eq!(format(1_001), "1.001\u{b5}s");
        assert_eq!(as_units(5405 * SECOND, 3600 * SECOND), 1.501_388_888_888_888_9);
    }
}
