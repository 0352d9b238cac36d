//! Points in time as OTTL sees them: an instant plus the zone it is shown in.

use std::cmp::Ordering;

use chrono::{DateTime, Offset, TimeZone, Utc};

/// The zone a time is shown in. Comparison ignores it, `Hour`, `FormatTime` and text forms use it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Zone {
    /// UTC, as all paths give it.
    #[default]
    Utc,
    /// A fixed offset in seconds east of UTC.
    Fixed(i32),
    /// A zone of the IANA database.
    Named(chrono_tz::Tz),
}

/// An instant with a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Time {
    /// Seconds since the Unix epoch, negative before it.
    pub sec: i64,
    /// Nanoseconds within the second, below 1e9.
    pub nsec: u32,
    /// The zone it is shown in.
    pub zone: Zone,
}

const NANOS: i64 = 1_000_000_000;

/// Seconds of Go's zero time, 0001-01-01T00:00:00Z.
pub const GO_ZERO_SEC: i64 = -62_135_596_800;

impl Time {
    /// The instant `nanos` after the epoch, in UTC. OTLP stores u64; contrib reads the bits as i64.
    #[must_use]
    pub fn from_unix_nano(nanos: i64) -> Self {
        let nsec = u32::try_from(nanos.rem_euclid(NANOS)).unwrap_or(0);
        Self { sec: nanos.div_euclid(NANOS), nsec, zone: Zone::Utc }
    }

    /// Nanoseconds since the epoch, wrapping like Go's `UnixNano` outside the years 1678 to 2262.
    #[must_use]
    pub fn unix_nano(&self) -> i64 {
        self.sec.wrapping_mul(NANOS).wrapping_add(i64::from(self.nsec))
    }

    /// The same instant moved by `nanos`; the zone stays.
    #[must_use]
    pub fn add(&self, nanos: i64) -> Self {
        let sum = i64::from(self.nsec) + nanos.rem_euclid(NANOS);
        let sec = self.sec.wrapping_add(nanos.div_euclid(NANOS)).wrapping_add(sum.div_euclid(NANOS));
        Self { sec, nsec: u32::try_from(sum.rem_euclid(NANOS)).unwrap_or(0), zone: self.zone }
    }

    /// `self - other` in nanoseconds, saturating at the limits of i64 as Go's `Sub` does.
    #[must_use]
    pub fn since(&self, other: &Self) -> i64 {
        let exact = (i128::from(self.sec) - i128::from(other.sec)) * i128::from(NANOS) + i128::from(self.nsec)
            - i128::from(other.nsec);
        i64::try_from(exact).unwrap_or(if exact < 0 { i64::MIN } else { i64::MAX })
    }

    /// Order of the instants; zones are ignored.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Ordering {
        (self.sec, self.nsec).cmp(&(other.sec, other.nsec))
    }

    /// Go's `IsZero`: the first second of year 1, not the Unix epoch.
    #[must_use]
    pub fn is_go_zero(&self) -> bool {
        self.sec == GO_ZERO_SEC && self.nsec == 0
    }

    /// Offset of the zone at this instant, in seconds east of UTC.
    #[must_use]
    pub fn offset_seconds(&self) -> i32 {
        match self.zone {
            Zone::Utc => 0,
            Zone::Fixed(seconds) => seconds,
            Zone::Named(tz) => match self.utc() {
                Some(utc) => tz.offset_from_utc_datetime(&utc.naive_utc()).fix().local_minus_utc(),
                None => 0,
            },
        }
    }

    /// The instant as chrono's UTC time; `None` outside chrono's range (about 262 000 years around the epoch).
    #[must_use]
    pub fn utc(&self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp(self.sec, self.nsec)
    }

    /// Date and clock in the time's own zone.
    #[must_use]
    pub fn local(&self) -> Option<chrono::NaiveDateTime> {
        let sec = self.sec.checked_add(i64::from(self.offset_seconds()))?;
        DateTime::from_timestamp(sec, self.nsec).map(|at| at.naive_utc())
    }

    /// RFC 3339 with nanoseconds, trailing zeros of the fraction trimmed (Go's `RFC3339Nano`).
    #[must_use]
    pub fn rfc3339(&self) -> Option<String> {
        let mut text = self.local()?.format("%Y-%m-%dT%H:%M:%S").to_string();
        if self.nsec != 0 {
            let fraction = format!("{:09}", self.nsec);
            text.push('.');
            text.push_str(fraction.trim_end_matches('0'));
        }
        let offset = self.offset_seconds();
        if offset == 0 {
            text.push('Z');
        } else {
            let minutes = offset.abs() / 60;
            let sign = if offset < 0 { '-' } else { '+' };
            text.push_str(&format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60));
        }
        Some(text)
    }
}
