//! Go's time layouts: a text written as the reference time `Mon Jan 2 15:04:05 MST 2006` would be.

use crate::value::Time;

pub(in crate::go) const LONG_MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(in crate::go) const LONG_DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// How an offset from UTC is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OffsetForm {
    /// `Z` for UTC.
    pub(super) zulu: bool,
    pub(super) colon: bool,
    pub(super) minutes: bool,
    pub(super) seconds: bool,
}

/// One element of a layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    LongMonth,
    Month,
    NumMonth,
    ZeroMonth,
    LongWeekDay,
    WeekDay,
    Day,
    UnderDay,
    ZeroDay,
    UnderYearDay,
    ZeroYearDay,
    Hour,
    Hour12,
    ZeroHour12,
    Minute,
    ZeroMinute,
    Second,
    ZeroSecond,
    LongYear,
    Year,
    UpperPm,
    LowerPm,
    ZoneName,
    Offset(OffsetForm),
    /// Digits, and whether trailing zeros are kept.
    Fraction(u8, bool),
}

/// The next element: what stands before it, itself, and its length in the layout.
pub(super) fn next_element(layout: &str) -> Option<(usize, Element, usize)> {
    let bytes = layout.as_bytes();
    (0..bytes.len()).find_map(|at| element_at(bytes, at).map(|(skip, element, len)| (at + skip, element, len)))
}

fn element_at(layout: &[u8], at: usize) -> Option<(usize, Element, usize)> {
    let rest = &layout[at..];
    let starts = |text: &str| rest.starts_with(text.as_bytes());
    let no_lower_after = |len: usize| !rest.get(len).is_some_and(u8::is_ascii_lowercase);
    let here = |element, len| Some((0, element, len));
    match rest[0] {
        b'J' if starts("January") => here(Element::LongMonth, 7),
        b'J' if starts("Jan") && no_lower_after(3) => here(Element::Month, 3),
        b'M' if starts("Monday") => here(Element::LongWeekDay, 6),
        b'M' if starts("Mon") && no_lower_after(3) => here(Element::WeekDay, 3),
        b'M' if starts("MST") => here(Element::ZoneName, 3),
        b'0' => match rest.get(1) {
            Some(b'1') => here(Element::ZeroMonth, 2),
            Some(b'2') => here(Element::ZeroDay, 2),
            Some(b'3') => here(Element::ZeroHour12, 2),
            Some(b'4') => here(Element::ZeroMinute, 2),
            Some(b'5') => here(Element::ZeroSecond, 2),
            Some(b'6') => here(Element::Year, 2),
            _ if starts("002") => here(Element::ZeroYearDay, 3),
            _ => None,
        },
        b'1' if starts("15") => here(Element::Hour, 2),
        b'1' => here(Element::NumMonth, 1),
        b'2' if starts("2006") => here(Element::LongYear, 4),
        b'2' => here(Element::Day, 1),
        // A literal underscore before the year.
        b'_' if starts("_2006") => Some((1, Element::LongYear, 4)),
        b'_' if starts("_2") => here(Element::UnderDay, 2),
        b'_' if starts("__2") => here(Element::UnderYearDay, 3),
        b'3' => here(Element::Hour12, 1),
        b'4' => here(Element::Minute, 1),
        b'5' => here(Element::Second, 1),
        b'P' if starts("PM") => here(Element::UpperPm, 2),
        b'p' if starts("pm") => here(Element::LowerPm, 2),
        first @ (b'-' | b'Z') => {
            let form =
                |colon, minutes, seconds| Element::Offset(OffsetForm { zulu: first == b'Z', colon, minutes, seconds });
            match rest.get(1..) {
                Some(tail) if tail.starts_with(b"070000") => here(form(false, true, true), 7),
                Some(tail) if tail.starts_with(b"07:00:00") => here(form(true, true, true), 9),
                Some(tail) if tail.starts_with(b"0700") => here(form(false, true, false), 5),
                Some(tail) if tail.starts_with(b"07:00") => here(form(true, true, false), 6),
                Some(tail) if tail.starts_with(b"07") => here(form(false, false, false), 3),
                _ => None,
            }
        }
        b'.' | b',' => {
            let digit = *rest.get(1).filter(|b| matches!(b, b'0' | b'9'))?;
            let n_digits = rest[1..].iter().take_while(|b| **b == digit).count();
            if rest.get(1 + n_digits).is_some_and(u8::is_ascii_digit) {
                return None;
            }
            here(Element::Fraction(n_digits.min(9) as u8, digit == b'0'), 1 + n_digits)
        }
        _ => None,
    }
}

/// `Time.Format`.
pub fn format(time: &Time, layout: &str) -> String {
    let mut out = String::with_capacity(layout.len() + 16);
    let (name, offset) = super::lookup(time.zone, time.sec);
    let civil = super::civil(time);
    let hour12 = match civil.hour % 12 {
        0 => 12,
        hour => hour,
    };
    let month = LONG_MONTHS[usize::from(civil.month.clamp(1, 12)) - 1];
    let weekday = LONG_DAYS[usize::from(civil.weekday.min(6))];
    let year_day = super::days_from_civil(civil.year, i64::from(civil.month), i64::from(civil.day))
        - super::days_from_civil(civil.year, 1, 1)
        + 1;
    let mut rest = layout;
    while let Some((before, element, len)) = next_element(rest) {
        out.push_str(&rest[..before]);
        match element {
            Element::LongMonth => out.push_str(month),
            Element::Month => out.push_str(&month[..3]),
            Element::NumMonth => out.push_str(&civil.month.to_string()),
            Element::ZeroMonth => out.push_str(&format!("{:02}", civil.month)),
            Element::LongWeekDay => out.push_str(weekday),
            Element::WeekDay => out.push_str(&weekday[..3]),
            Element::Day => out.push_str(&civil.day.to_string()),
            Element::UnderDay => out.push_str(&format!("{:2}", civil.day)),
            Element::ZeroDay => out.push_str(&format!("{:02}", civil.day)),
            Element::UnderYearDay => out.push_str(&format!("{year_day:3}")),
            Element::ZeroYearDay => out.push_str(&format!("{year_day:03}")),
            Element::Hour => out.push_str(&format!("{:02}", civil.hour)),
            Element::Hour12 => out.push_str(&hour12.to_string()),
            Element::ZeroHour12 => out.push_str(&format!("{hour12:02}")),
            Element::Minute => out.push_str(&civil.minute.to_string()),
            Element::ZeroMinute => out.push_str(&format!("{:02}", civil.minute)),
            Element::Second => out.push_str(&civil.second.to_string()),
            Element::ZeroSecond => out.push_str(&format!("{:02}", civil.second)),
            Element::LongYear => {
                let sign = if civil.year < 0 { "-" } else { "" };
                out.push_str(&format!("{sign}{:04}", civil.year.unsigned_abs()));
            }
            Element::Year => out.push_str(&format!("{:02}", civil.year.unsigned_abs() % 100)),
            Element::UpperPm => out.push_str(if civil.hour >= 12 { "PM" } else { "AM" }),
            Element::LowerPm => out.push_str(if civil.hour >= 12 { "pm" } else { "am" }),
            Element::ZoneName if name.is_empty() => {
                push_offset(&mut out, offset, OffsetForm { zulu: false, colon: false, minutes: true, seconds: false });
            }
            Element::ZoneName => out.push_str(&name),
            Element::Offset(form) => push_offset(&mut out, offset, form),
            Element::Fraction(n_digits, keep_zeros) => {
                let separator = &rest[before..before + 1];
                let digits = format!("{:09}", time.nsec);
                let mut digits = &digits[..usize::from(n_digits)];
                if !keep_zeros {
                    digits = digits.trim_end_matches('0');
                }
                if !digits.is_empty() {
                    out.push_str(separator);
                    out.push_str(digits);
                }
            }
        }
        rest = &rest[before + len..];
    }
    out.push_str(rest);
    out
}

fn push_offset(out: &mut String, offset: i32, form: OffsetForm) {
    if form.zulu && offset == 0 {
        out.push('Z');
        return;
    }
    // Go decides the sign on whole minutes.
    out.push(if offset / 60 < 0 { '-' } else { '+' });
    let size = offset.unsigned_abs();
    let colon = if form.colon { ":" } else { "" };
    out.push_str(&format!("{:02}", size / 3600));
    if form.minutes {
        out.push_str(&format!("{colon}{:02}", size / 60 % 60));
    }
    if form.seconds {
        out.push_str(&format!("{colon}{:02}", size % 60));
    }
}
