//! Durations as Go writes them: `200ms`, `1m30s`, `1.5h`. A bare number other than 0 is refused for its missing unit.

use std::fmt;
use std::time::Duration as Span;

use serde::de::{self, Deserialize, Deserializer, Visitor};

/// A signed Go duration, in nanoseconds. Signed, so that a negative value can be refused with its own text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration {
    nanos: i64,
}

/// Why a text is no duration. The wording is Go's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// No number, or one that does not fit.
    #[error("time: invalid duration {0:?}")]
    Invalid(String),
    /// A number without a unit.
    #[error("time: missing unit in duration {0:?}")]
    MissingUnit(String),
    /// A unit other than ns, us, ms, s, m, h.
    #[error("time: unknown unit {1:?} in duration {0:?}")]
    UnknownUnit(String, String),
}

impl Duration {
    /// From whole nanoseconds.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self { nanos }
    }

    /// From whole milliseconds.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self { nanos: millis.saturating_mul(1_000_000) }
    }

    /// From whole seconds.
    #[must_use]
    pub const fn from_secs(secs: i64) -> Self {
        Self { nanos: secs.saturating_mul(1_000_000_000) }
    }

    /// Nanoseconds, negative for a negative duration.
    #[must_use]
    pub const fn nanos(self) -> i64 {
        self.nanos
    }

    /// True below zero.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.nanos < 0
    }

    /// True for exactly zero, which most keys read as "off".
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.nanos == 0
    }

    /// As a std duration; negative values become zero (validation refuses them before).
    #[must_use]
    pub const fn span(self) -> Span {
        if self.nanos < 0 { Span::ZERO } else { Span::from_nanos(self.nanos.unsigned_abs()) }
    }

    /// As a std duration, or nothing where zero means "off".
    #[must_use]
    pub const fn positive(self) -> Option<Span> {
        if self.nanos > 0 { Some(self.span()) } else { None }
    }

    /// Parses what Go's `time.ParseDuration` parses.
    pub fn parse(text: &str) -> Result<Self, DurationError> {
        let invalid = || DurationError::Invalid(text.to_owned());
        let (negative, mut rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        if rest == "0" {
            return Ok(Self::default());
        }
        if rest.is_empty() {
            return Err(invalid());
        }
        let mut total: i128 = 0;
        while !rest.is_empty() {
            let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
            let (whole, tail) = rest.split_at(digits(rest));
            let (fraction, tail) = match tail.strip_prefix('.') {
                Some(tail) => tail.split_at(digits(tail)),
                None => ("", tail),
            };
            if whole.is_empty() && fraction.is_empty() {
                return Err(invalid());
            }
            let (unit, tail) = tail.split_at(tail.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(tail.len()));
            let scale: i128 = match unit {
                "" => return Err(DurationError::MissingUnit(text.to_owned())),
                "ns" => 1,
                // Both micro signs: U+00B5 and the Greek letter mu.
                "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
                "ms" => 1_000_000,
                "s" => 1_000_000_000,
                "m" => 60_000_000_000,
                "h" => 3_600_000_000_000,
                other => return Err(DurationError::UnknownUnit(text.to_owned(), other.to_owned())),
            };
            let whole: i128 = if whole.is_empty() { 0 } else { whole.parse::<i64>().map_err(|_| invalid())?.into() };
            total += whole * scale;
            // Digits beyond what 18 places hold are below a nanosecond for every unit.
            let mut place: i128 = 1;
            let mut part: i128 = 0;
            for digit in fraction.bytes().take(18) {
                part = part * 10 + i128::from(digit - b'0');
                place *= 10;
            }
            total += part * scale / place;
            rest = tail;
        }
        let signed = if negative { -total } else { total };
        i64::try_from(signed).map(Self::from_nanos).map_err(|_| invalid())
    }
}

impl fmt::Display for Duration {
    /// As Go's `Duration.String`: `1m30s`, `200ms`, `0s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.nanos.unsigned_abs();
        if self.nanos < 0 {
            f.write_str("-")?;
        }
        let decimal = |f: &mut fmt::Formatter<'_>, value: u64, unit: u64, name: &str| {
            let (whole, rest) = (value / unit, value % unit);
            if rest == 0 {
                return write!(f, "{whole}{name}");
            }
            let width = unit.ilog10() as usize;
            let fraction = format!("{rest:0width$}");
            write!(f, "{whole}.{}{name}", fraction.trim_end_matches('0'))
        };
        match nanos {
            0 => f.write_str("0s"),
            1..1_000 => write!(f, "{nanos}ns"),
            1_000..1_000_000 => decimal(f, nanos, 1_000, "\u{b5}s"),
            1_000_000..1_000_000_000 => decimal(f, nanos, 1_000_000, "ms"),
            _ => {
                let (hours, minutes) = (nanos / 3_600_000_000_000, nanos / 60_000_000_000 % 60);
                if hours > 0 {
                    write!(f, "{hours}h")?;
                }
                if hours > 0 || minutes > 0 {
                    write!(f, "{minutes}m")?;
                }
                decimal(f, nanos % 60_000_000_000, 1_000_000_000, "s")
            }
        }
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Duration;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as 200ms or 1m30s")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
                Duration::parse(text).map_err(E::custom)
            }
            // Upstream's decoder would take `timeout: 5` for five nanoseconds, which nobody means.
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Duration, E> {
                self.visit_str(&number.to_string())
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Duration, E> {
                self.visit_str(&number.to_string())
            }
        }
        deserializer.deserialize_any(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::Duration;

    fn check(text: &str, shown: &str) {
        let parsed =
            Duration::parse(text).map(|duration| duration.to_string()).unwrap_or_else(|error| error.to_string());
        assert_eq!(parsed, shown, "{text}");
    }

    #[test]
    fn reads_and_prints_as_go() {
        check("200ms", "200ms");
        check("90s", "1m30s");
        check("1.5h", "1h30m0s");
        check("0", "0s");
        check("-5s", "-5s");
        check("1h0.5s", "1h0m0.5s");
        check("1500us", "1.5ms");
        check(".5s", "500ms");
        check("7ns", "7ns");
    }

    #[test]
    fn refuses_as_go() {
        check("", "time: invalid duration \"\"");
        check("5", "time: missing unit in duration \"5\"");
        check("5 s", "time: unknown unit \" s\" in duration \"5 s\"");
        check("s", "time: invalid duration \"s\"");
        check("9999999999h", "time: invalid duration \"9999999999h\"");
    }
}
