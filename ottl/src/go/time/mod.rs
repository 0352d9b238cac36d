//! Go's `time` on [`Time`]: calendar parts, layouts, zones.
//!
//! The process's own zone is always a parameter. Zone data is chrono-tz's, which ends with this century: later times have
//! no daylight saving. A zone's abbreviations are looked up around the date at hand only, while Go knows all it ever had.

mod layout;
mod parse;

pub use layout::format;
pub(in crate::go) use layout::{LONG_DAYS, LONG_MONTHS};
pub use parse::{ParseError, Parsed, parse_in_location};

use std::borrow::Cow;

use chrono::{DateTime, Offset as _, TimeZone as _};
use chrono_tz::OffsetName as _;

use crate::value::{GO_ZERO_SEC, Time, Zone};

/// Seconds from Go's zero time, the start of year 1, to 1970.
const ZERO_TO_UNIX: i64 = -GO_ZERO_SEC;

const SECOND: i64 = super::duration::SECOND;

/// `time.LoadLocation` of a zone name; the empty name is UTC. `Local` is the caller's to resolve.
pub fn load_location(name: &str) -> Option<Zone> {
    match name {
        "" | "UTC" => Some(Zone::Utc),
        name => name.parse().ok().map(Zone::Named),
    }
}

/// A zone's abbreviation and offset in seconds east of UTC at an instant. A fixed offset has no abbreviation.
pub fn lookup(zone: Zone, unix_secs: i64) -> (Cow<'static, str>, i32) {
    match zone {
        Zone::Utc => (Cow::Borrowed("UTC"), 0),
        Zone::Fixed(offset) => (Cow::Borrowed(""), offset),
        Zone::Named(zone) => {
            // Beyond chrono's years a zone has no rules; those of 1970 are a guess as good as any.
            let instant = DateTime::from_timestamp(unix_secs, 0).unwrap_or_default();
            let offset = zone.offset_from_utc_datetime(&instant.naive_utc());
            let seconds = offset.fix().local_minus_utc();
            let name = match offset.abbreviation() {
                Some(name) => name.to_owned(),
                None => numeric_name(seconds),
            };
            (Cow::Owned(name), seconds)
        }
    }
}

/// What the tz database calls a zone without letters: `-03`, `+0530`.
fn numeric_name(offset: i32) -> String {
    let sign = if offset < 0 { '-' } else { '+' };
    let size = offset.unsigned_abs();
    match (size / 3600, size / 60 % 60) {
        (hours, 0) => format!("{sign}{hours:02}"),
        (hours, minutes) => format!("{sign}{hours:02}{minutes:02}"),
    }
}

/// The offset that an abbreviation means in a zone around an instant given as local seconds.
fn offset_named(zone: Zone, name: &str, local_secs: i64) -> Option<i32> {
    const HALF_YEAR: i64 = 182 * 86_400;
    [0, -HALF_YEAR, HALF_YEAR].into_iter().find_map(|shift| {
        let (_, near) = lookup(zone, local_secs + shift);
        let (found, offset) = lookup(zone, local_secs + shift - i64::from(near));
        (found == name).then_some(offset)
    })
}

/// A time's parts in its own zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// Year; 0 is the year before 1.
    pub year: i64,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
    /// Sunday is 0.
    pub weekday: u8,
}

/// `time.Unix(seconds, nanoseconds)`; the nanoseconds may be any number.
pub fn unix(seconds: i64, nanoseconds: i64, zone: Zone) -> Time {
    let sec = seconds.wrapping_add(nanoseconds.div_euclid(SECOND));
    Time { sec, nsec: nanoseconds.rem_euclid(SECOND) as u32, zone }
}

/// Go's `time.Date`: parts read in a zone. Where the zone's clock skips or repeats them, Go's choice.
pub fn from_civil(civil: Civil, nsec: u32, zone: Zone) -> Time {
    let days = days_from_civil(civil.year, i64::from(civil.month), i64::from(civil.day));
    let clock = i64::from(civil.hour) * 3600 + i64::from(civil.minute) * 60 + i64::from(civil.second);
    let mut sec = days * 86_400 + clock;
    let (_, guess) = lookup(zone, sec);
    if guess != 0 {
        let (_, offset) = lookup(zone, sec - i64::from(guess));
        sec -= i64::from(offset);
    }
    Time { sec, nsec, zone }
}

/// The parts in the time's own zone.
pub fn civil(time: &Time) -> Civil {
    let (_, offset) = lookup(time.zone, time.sec);
    let local = time.sec.saturating_add(i64::from(offset));
    let days = local.div_euclid(86_400);
    let clock = local.rem_euclid(86_400);
    let (year, month, day) = civil_from_days(days);
    Civil {
        year,
        month,
        day,
        hour: (clock / 3600) as u8,
        minute: (clock / 60 % 60) as u8,
        second: (clock % 60) as u8,
        weekday: (days + 4).rem_euclid(7) as u8,
    }
}

/// Milliseconds since 1970; wraps where they do not fit, as Go's do.
pub fn unix_milli(time: &Time) -> i64 {
    time.sec.wrapping_mul(1_000).wrapping_add(i64::from(time.nsec / 1_000_000))
}

/// Microseconds since 1970; wraps where they do not fit, as Go's do.
pub fn unix_micro(time: &Time) -> i64 {
    time.sec.wrapping_mul(1_000_000).wrapping_add(i64::from(time.nsec / 1_000))
}

/// `Time.Truncate`: down to a multiple of the duration since the zero time. Zero and less change nothing.
pub fn truncate(time: &Time, nanos: i64) -> Time {
    if nanos <= 0 {
        return *time;
    }
    let since_zero = (i128::from(time.sec) + i128::from(ZERO_TO_UNIX)) * i128::from(SECOND) + i128::from(time.nsec);
    // Go's remainder keeps the sign of times before the zero time and then adds the duration: that is Euclid's.
    let remainder = since_zero.rem_euclid(i128::from(nanos));
    time.add(-(remainder as i64))
}

/// RFC 3339 with the nanoseconds trimmed.
pub fn rfc3339_nano(time: &Time) -> String {
    format(time, "2006-01-02T15:04:05.999999999Z07:00")
}

/// As JSON shows times, as [`rfc3339_nano`]; `None` for what has no such form, as `Time.MarshalJSON`
/// refuses it: years that do not have four digits, and zones a day or more from UTC.
pub fn json(time: &Time) -> Option<String> {
    let (_, offset) = lookup(time.zone, time.sec);
    let has_form = (0..=9999).contains(&civil(time).year) && offset.unsigned_abs() < 24 * 3600;
    has_form.then(|| rfc3339_nano(time))
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar. Months beyond 1..=12 carry into the year.
pub fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year + (month - 1).div_euclid(12);
    let month = (month - 1).rem_euclid(12) + 1;
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_from_days(days: i64) -> (i64, u8, u8) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month as u8, day as u8)
}

fn days_in_month(year: i64, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests;
