//! Go's `time.ParseInLocation`: reads a text by a layout.

use std::fmt;

use super::layout::{Element, LONG_DAYS, LONG_MONTHS, OffsetForm, next_element};
use super::{Civil, days_in_month, from_civil, lookup, offset_named};
use crate::value::{Time, Zone};

/// Where and why a text does not fit its layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The element of the layout that did not match, or the literal text; empty for an error of the whole.
    pub layout_element: String,
    /// The rest of the text at that place.
    pub value_rest: String,
    /// What is out of range, if that is it.
    pub message: Option<&'static str>,
    input: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "parsing time {:?}: ", self.input)?;
        match self.message {
            Some(message) => f.write_str(message),
            None => write!(f, "cannot parse {:?} as {:?}", self.value_rest, self.layout_element),
        }
    }
}

impl std::error::Error for ParseError {}

/// What an element said.
#[derive(Default)]
struct Parts {
    year: i64,
    month: Option<u8>,
    day: Option<u8>,
    year_day: Option<i64>,
    hour: u8,
    minute: u8,
    second: u8,
    nanos: u32,
    /// `Some(true)` for the afternoon.
    afternoon: Option<bool>,
    utc: bool,
    offset: Option<i32>,
    zone_name: Option<String>,
}

/// Why an element was not read.
enum Failure {
    Mismatch,
    Range(&'static str),
}

/// A time as read, and the name of its zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The time.
    pub time: Time,
    /// The abbreviation: the text's if it had one, else its zone's.
    pub zone_name: String,
}

/// `time.ParseInLocation(layout, text, zone)`.
///
/// # Errors
/// If the text does not match the layout or names a time that does not exist.
pub fn parse_in_location(layout: &str, text: &str, zone: Zone) -> Result<Parsed, ParseError> {
    let error = |element: &str, rest: &str, message| ParseError {
        layout_element: element.to_owned(),
        value_rest: rest.to_owned(),
        message,
        input: text.to_owned(),
    };
    let mut parts = Parts::default();
    let mut rest_layout = layout;
    let mut value = text;
    loop {
        let found = next_element(rest_layout);
        let prefix = found.map_or(rest_layout, |(before, ..)| &rest_layout[..before]);
        value = skip(value, prefix).map_err(|at| error(prefix, at, None))?;
        let Some((before, element, len)) = found else {
            if !value.is_empty() {
                return Err(error("", value, Some("extra text")));
            }
            break;
        };
        let written = &rest_layout[before..before + len];
        rest_layout = &rest_layout[before + len..];
        let mut reader = Reader { value };
        match reader.element(element, written, rest_layout, &mut parts) {
            Ok(()) => value = reader.value,
            Err(Failure::Mismatch) => return Err(error(written, value, None)),
            Err(Failure::Range(what)) => return Err(error(written, reader.value, Some(what))),
        }
    }
    let (month, day) = date_of(&parts).map_err(|what| error("", value, Some(what)))?;
    let hour = match (parts.afternoon, parts.hour) {
        (Some(true), hour) if hour < 12 => hour + 12,
        (Some(false), 12) => 0,
        (_, hour) => hour,
    };
    let civil = Civil { year: parts.year, month, day, hour, minute: parts.minute, second: parts.second, weekday: 0 };
    let in_zone = |zone| from_civil(civil, parts.nanos, zone);
    let named = |time: Time| Parsed { time, zone_name: lookup(time.zone, time.sec).0.into_owned() };
    if parts.utc {
        return Ok(named(in_zone(Zone::Utc)));
    }
    if let Some(offset) = parts.offset {
        let shown = in_zone(Zone::Utc);
        let instant = Time { sec: shown.sec - i64::from(offset), ..shown };
        let (name, local_offset) = lookup(zone, instant.sec);
        let name_fits = parts.zone_name.as_deref().is_none_or(|wanted| wanted == name);
        if local_offset == offset && name_fits {
            return Ok(named(Time { zone, ..instant }));
        }
        let zone_name = parts.zone_name.unwrap_or_default();
        return Ok(Parsed { time: Time { zone: Zone::Fixed(offset), ..instant }, zone_name });
    }
    if let Some(zone_name) = parts.zone_name {
        let shown = in_zone(Zone::Utc);
        if let Some(offset) = offset_named(zone, &zone_name, shown.sec) {
            return Ok(named(Time { sec: shown.sec - i64::from(offset), zone, ..shown }));
        }
        // A made-up zone of unknown offset. GMT may carry one, which Go shows without moving the instant by it.
        let hours = zone_name.strip_prefix("GMT").and_then(|hours| hours.parse::<i32>().ok()).unwrap_or(0);
        return Ok(Parsed { time: Time { zone: Zone::Fixed(hours * 3600), ..shown }, zone_name });
    }
    Ok(named(in_zone(zone)))
}

fn date_of(parts: &Parts) -> Result<(u8, u8), &'static str> {
    let (month, day) = match parts.year_day {
        None => (parts.month.unwrap_or(1), parts.day.unwrap_or(1)),
        Some(year_day) => {
            let leap = days_in_month(parts.year, 2) == 29;
            if year_day < 1 || year_day > if leap { 366 } else { 365 } {
                return Err("day-of-year out of range");
            }
            let mut month = 1;
            let mut day = year_day;
            while day > i64::from(days_in_month(parts.year, month)) {
                day -= i64::from(days_in_month(parts.year, month));
                month += 1;
            }
            if parts.month.is_some_and(|seen| seen != month) {
                return Err("day-of-year does not match month");
            }
            let day = day as u8;
            if parts.day.is_some_and(|seen| seen != day) {
                return Err("day-of-year does not match day");
            }
            (month, day)
        }
    };
    if day < 1 || day > days_in_month(parts.year, month) {
        return Err("day out of range");
    }
    Ok((month, day))
}

/// Removes literal text; a run of spaces matches any run, also at the end.
fn skip<'v>(mut value: &'v str, mut prefix: &str) -> Result<&'v str, &'v str> {
    while let Some(wanted) = prefix.chars().next() {
        if wanted == ' ' {
            if !value.is_empty() && !value.starts_with(' ') {
                return Err(value);
            }
            prefix = prefix.trim_start_matches(' ');
            value = value.trim_start_matches(' ');
            continue;
        }
        value = value.strip_prefix(wanted).ok_or(value)?;
        prefix = &prefix[wanted.len_utf8()..];
    }
    Ok(value)
}

struct Reader<'v> {
    value: &'v str,
}

impl<'v> Reader<'v> {
    fn digit(&self, at: usize) -> Option<u8> {
        self.value.as_bytes().get(at).filter(|b| b.is_ascii_digit()).map(|b| b - b'0')
    }

    fn cut(&mut self, len: usize) -> Result<&'v str, Failure> {
        let (head, tail) = self.value.split_at_checked(len).ok_or(Failure::Mismatch)?;
        self.value = tail;
        Ok(head)
    }

    /// One or two digits; two if fixed.
    fn number(&mut self, fixed: bool) -> Result<u8, Failure> {
        let first = self.digit(0).ok_or(Failure::Mismatch)?;
        let Some(second) = self.digit(1) else {
            if fixed {
                return Err(Failure::Mismatch);
            }
            self.cut(1)?;
            return Ok(first);
        };
        self.cut(2)?;
        Ok(first * 10 + second)
    }

    /// The first name, in order, that the text starts with in any case.
    fn name(&mut self, names: impl Iterator<Item = &'static str>) -> Result<u8, Failure> {
        for (idx, name) in names.enumerate() {
            if self.value.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name)) {
                self.cut(name.len())?;
                return Ok(idx as u8);
            }
        }
        Err(Failure::Mismatch)
    }

    fn element(
        &mut self,
        element: Element,
        written: &str,
        layout_after: &str,
        parts: &mut Parts,
    ) -> Result<(), Failure> {
        let fixed = written.starts_with('0');
        let ranged = |number: u8, low: u8, high: u8, what| {
            if (low..=high).contains(&number) { Ok(number) } else { Err(Failure::Range(what)) }
        };
        match element {
            Element::LongMonth => parts.month = Some(self.name(LONG_MONTHS.into_iter())? + 1),
            Element::Month => parts.month = Some(self.name(LONG_MONTHS.iter().map(|name| &name[..3]))? + 1),
            Element::NumMonth | Element::ZeroMonth => {
                parts.month = Some(ranged(self.number(fixed)?, 1, 12, "month out of range")?);
            }
            Element::LongWeekDay => {
                self.name(LONG_DAYS.into_iter())?;
            }
            Element::WeekDay => {
                self.name(LONG_DAYS.iter().map(|name| &name[..3]))?;
            }
            Element::Day | Element::UnderDay | Element::ZeroDay => {
                if element == Element::UnderDay {
                    self.value = self.value.strip_prefix(' ').unwrap_or(self.value);
                }
                parts.day = Some(self.number(fixed)?);
            }
            Element::UnderYearDay | Element::ZeroYearDay => {
                for _ in 0..2 {
                    if element == Element::UnderYearDay {
                        self.value = self.value.strip_prefix(' ').unwrap_or(self.value);
                    }
                }
                let n_digits = (0..3).take_while(|at| self.digit(*at).is_some()).count();
                if n_digits == 0 || (fixed && n_digits != 3) {
                    return Err(Failure::Mismatch);
                }
                parts.year_day = self.cut(n_digits)?.parse().ok();
            }
            Element::Hour => parts.hour = ranged(self.number(false)?, 0, 23, "hour out of range")?,
            Element::Hour12 | Element::ZeroHour12 => {
                parts.hour = ranged(self.number(fixed)?, 0, 12, "hour out of range")?;
            }
            Element::Minute | Element::ZeroMinute => {
                parts.minute = ranged(self.number(fixed)?, 0, 59, "minute out of range")?;
            }
            Element::Second | Element::ZeroSecond => {
                parts.second = ranged(self.number(fixed)?, 0, 59, "second out of range")?;
                // A fraction in the text passes even where the layout has none.
                let fraction_follows = matches!(next_element(layout_after), Some((_, Element::Fraction(..), _)));
                if self.value.starts_with(['.', ',']) && self.digit(1).is_some() && !fraction_follows {
                    parts.nanos = self.fraction(usize::MAX)?;
                }
            }
            Element::LongYear => {
                self.digit(0).ok_or(Failure::Mismatch)?;
                parts.year = decimal(self.cut(4)?)?;
            }
            Element::Year => {
                let year = decimal(self.cut(2)?)?;
                parts.year = if year >= 69 { year + 1900 } else { year + 2000 };
            }
            Element::UpperPm | Element::LowerPm => {
                let upper = element == Element::UpperPm;
                parts.afternoon = Some(match (self.cut(2)?, upper) {
                    ("PM", true) | ("pm", false) => true,
                    ("AM", true) | ("am", false) => false,
                    _ => return Err(Failure::Mismatch),
                });
            }
            Element::ZoneName => {
                if let Some(rest) = self.value.strip_prefix("UTC") {
                    self.value = rest;
                    parts.utc = true;
                } else {
                    let len = zone_name_len(self.value).ok_or(Failure::Mismatch)?;
                    parts.zone_name = Some(self.cut(len)?.to_owned());
                }
            }
            Element::Offset(form) => match self.value.strip_prefix('Z').filter(|_| form.zulu) {
                Some(rest) => {
                    self.value = rest;
                    parts.utc = true;
                }
                None => parts.offset = Some(self.offset(form)?),
            },
            Element::Fraction(n_digits, true) => {
                let len = 1 + usize::from(n_digits);
                let starts = self.value.starts_with(['.', ',']);
                if !starts || !(1..len).all(|at| self.digit(at).is_some()) {
                    return Err(Failure::Mismatch);
                }
                parts.nanos = self.fraction(usize::from(n_digits))?;
            }
            // The fraction may be missing, and may have more digits than asked for.
            Element::Fraction(_, false) if self.value.starts_with(['.', ',']) && self.digit(1).is_some() => {
                parts.nanos = self.fraction(usize::MAX)?;
            }
            Element::Fraction(_, false) => {}
        }
        Ok(())
    }

    /// A separator and up to so many digits, as nanoseconds; digits beyond the ninth are dropped.
    fn fraction(&mut self, max_digits: usize) -> Result<u32, Failure> {
        let n_digits = self.value.bytes().skip(1).take(max_digits).take_while(u8::is_ascii_digit).count();
        let digits = self.cut(1 + n_digits)?.as_bytes().iter().skip(1).copied();
        Ok(digits.chain(std::iter::repeat(b'0')).take(9).fold(0, |nanos, digit| nanos * 10 + u32::from(digit - b'0')))
    }

    fn offset(&mut self, form: OffsetForm) -> Result<i32, Failure> {
        let mut pairs = [0i32; 3];
        let wanted = [true, form.minutes, form.seconds];
        let colons = usize::from(form.colon);
        let n_pairs = wanted.iter().filter(|wanted| **wanted).count();
        // Length first: the sign may be anything that is one byte, and is judged last, as in Go.
        let mut text = Reader { value: self.cut(1 + 2 * n_pairs + colons * (n_pairs - 1))? };
        let sign = text.cut(1)?;
        for (idx, pair) in pairs.iter_mut().take(n_pairs).enumerate() {
            if idx > 0 && form.colon && text.cut(1)? != ":" {
                return Err(Failure::Mismatch);
            }
            *pair = i32::from(text.number(true)?);
        }
        let [hours, minutes, seconds] = pairs;
        // People do write 24 hours and 60 minutes.
        if hours > 24 {
            return Err(Failure::Range("time zone offset hour out of range"));
        }
        if minutes > 60 {
            return Err(Failure::Range("time zone offset minute out of range"));
        }
        if seconds > 60 {
            return Err(Failure::Range("time zone offset second out of range"));
        }
        let offset = (hours * 60 + minutes) * 60 + seconds;
        match sign {
            "+" => Ok(offset),
            "-" => Ok(-offset),
            _ => Err(Failure::Mismatch),
        }
    }
}

/// Digits with an optional sign, as Go's own `atoi` reads a year.
fn decimal(text: &str) -> Result<i64, Failure> {
    text.parse().map_err(|_| Failure::Mismatch)
}

/// How much of the text looks like a zone abbreviation.
fn zone_name_len(value: &str) -> Option<usize> {
    let bytes = value.as_bytes();
    if bytes.len() < 3 {
        return None;
    }
    if value.starts_with("ChST") || value.starts_with("MeST") {
        return Some(4);
    }
    if let Some(rest) = value.strip_prefix("GMT") {
        return Some(3 + signed_offset_len(rest));
    }
    if value.starts_with(['+', '-']) {
        return Some(signed_offset_len(value)).filter(|len| *len > 0);
    }
    match bytes.iter().take(6).take_while(|b| b.is_ascii_uppercase()).count() {
        5 if bytes[4] == b'T' => Some(5),
        4 if bytes[3] == b'T' || value.starts_with("WITA") => Some(4),
        3 => Some(3),
        _ => None,
    }
}

/// The length of a sign and an hour up to 23; nothing of it otherwise.
fn signed_offset_len(value: &str) -> usize {
    let Some(digits) = value.strip_prefix(['+', '-']) else { return 0 };
    let n_digits = digits.bytes().take_while(u8::is_ascii_digit).count();
    match digits[..n_digits].parse::<u64>() {
        Ok(0..=23) => 1 + n_digits,
        _ => 0,
    }
}
