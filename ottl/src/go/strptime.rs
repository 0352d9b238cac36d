//! contrib's `timeutils`: strptime-like formats on top of Go's layouts.
//!
//! A format becomes a Go layout directive by directive, and literal text of a format goes into that layout as it is: so
//! `Jan` in a format means the month, as upstream has it. Reading is lenient about widths, spaces before numbers and the
//! forms of offsets, by trying layouts one after the other.

use super::{
    locale::Locale,
    time::{self, Civil, Parsed, load_location, parse_in_location},
};
use crate::value::{Time, Zone};

/// How a directive is printed.
fn printed(directive: char) -> Option<&'static str> {
    Some(match directive {
        'Y' => "2006",
        'y' => "06",
        'm' => "01",
        'o' => "_1",
        'q' => "1",
        'b' | 'h' => "Jan",
        'B' => "January",
        'd' => "02",
        'e' => "_2",
        'g' => "2",
        'a' => "Mon",
        'A' => "Monday",
        'H' => "15",
        'l' => "3",
        'I' => "03",
        'p' => "PM",
        'P' => "pm",
        'M' => "04",
        'S' => "05",
        'L' => "999",
        'f' => "999999",
        's' => "999999999",
        'Z' => "MST",
        'z' => "Z0700",
        'w' => "-070000",
        'i' => "-07",
        'j' => "-07:00",
        'k' => "-07:00:00",
        'D' | 'x' => "01/02/2006",
        'F' => "2006-01-02",
        'T' | 'X' => "15:04:05",
        'r' => "03:04:05 pm",
        'R' => "15:04",
        'n' => "\n",
        't' => "\t",
        '%' => "%",
        'c' => "Mon Jan 02 15:04:05 2006",
        _ => return None,
    })
}

/// The layouts a directive is read by, in order of trial, each in its elements.
fn read_by(directive: char) -> &'static [&'static [&'static str]] {
    match directive {
        'm' | 'o' | 'q' => &[&["1"]],
        'd' | 'e' | 'g' => &[&["2"]],
        'I' => &[&["3"]],
        'M' => &[&["4"]],
        'S' => &[&["5"]],
        'D' | 'x' => &[&["1", "/", "2", "/", "2006"], &["1", "/", "2", "/", "06"]],
        'F' => &[&["2006", "-", "1", "-", "2"]],
        'T' | 'X' => &[&["15", ":", "4", ":", "5"]],
        'r' => &[&["3", ":", "4", ":", "5", " ", "pm"]],
        'R' => &[&["15", ":", "4"]],
        'c' => &[&["Mon", " ", "Jan", " ", "2", " ", "15", ":", "4", ":", "5", " ", "2006"]],
        'z' => &[&["Z0700"], &["Z07:00"], &["Z07"]],
        // The rest is read as it is printed.
        _ => &[],
    }
}

/// The text before the next directive, the directive, and the text after it.
fn next_directive(format: &str) -> Option<(&str, char, &str)> {
    let mut from = 0;
    while let Some(found) = format.get(from..)?.find('%') {
        let at = from + found;
        let directive = format[at + 1..].chars().next()?;
        // A line break makes no directive.
        if directive != '\n' {
            return Some((&format[..at], directive, &format[at + 1 + directive.len_utf8()..]));
        }
        from = at + 1;
    }
    None
}

/// A format that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format(String);

impl Format {
    /// Checks a format.
    ///
    /// # Errors
    /// On an empty format, digits, unknown directives, and fractions of a second without `.` or `,` before them.
    pub fn new(format: &str) -> Result<Self, String> {
        if format.is_empty() {
            return Err("format cannot be nil".to_owned());
        }
        if format.bytes().any(|byte| byte.is_ascii_digit()) {
            return Err("format string should not contain decimals".to_owned());
        }
        let mut before = None;
        for (at, c) in format.char_indices() {
            let fraction = ["%L", "%f", "%s"].iter().any(|directive| format[at..].starts_with(directive));
            if let Some(separator) = before.filter(|separator| fraction && !matches!(separator, '.' | ',' | '\n')) {
                let directive = &format[at..at + 2];
                return Err(format!(
                    "invalid fractional seconds directive: '{separator}{directive}'. must be preceded with '.' or ','"
                ));
            }
            before = Some(c);
        }
        let mut rest = format;
        while let Some((_, directive, after)) = next_directive(rest) {
            if printed(directive).is_none() {
                return Err(format!("unsupported directive in time format: %{directive}"));
            }
            rest = after;
        }
        Ok(Format(format.to_owned()))
    }

    /// Whether times without a zone are UTC, because the format ends in a Z.
    pub fn ends_in_zulu(&self) -> bool {
        self.0.ends_with('Z')
    }

    /// Go's layout for printing.
    fn layout(&self) -> String {
        let mut layout = String::new();
        let mut rest = self.0.as_str();
        while let Some((before, directive, after)) = next_directive(rest) {
            layout.push_str(before);
            layout.push_str(printed(directive).unwrap_or_default());
            rest = after;
        }
        layout + rest
    }

    /// Prints a time in its own zone.
    pub fn print(&self, at: &Time) -> String {
        time::format(at, &self.layout())
    }

    /// Reads a time. `now` is asked only where the text has no year.
    ///
    /// Nothing if the text does not match, or has no year and there is no clock.
    pub fn read(
        &self,
        text: &str,
        zone: Zone,
        locale: Option<&Locale>,
        now: impl Fn() -> Option<Time>,
    ) -> Option<Time> {
        let attempt = |layout: &str| match locale {
            Some(locale) => {
                let english = locale.translate(layout, text).map_err(|layout_element| Failure {
                    layout_element,
                    // Upstream reports no rest here, so no spaces are tried.
                    rest: String::new(),
                })?;
                read_zoned(layout, &english, zone)
            }
            None => read_zoned(layout, text, zone),
        };
        let read = attempts(String::new(), &self.0, &attempt).ok()?;
        with_year(read, now)
    }
}

/// Which element of a layout did not match, and the text from there on.
struct Failure {
    layout_element: String,
    rest: String,
}

/// Builds the layout directive by directive; where one fails at its own place the next form of it is tried.
fn attempts(partial: String, format: &str, read: &dyn Fn(&str) -> Result<Time, Failure>) -> Result<Time, Failure> {
    let Some((before, directive, after)) = next_directive(format) else {
        return read(&(partial + format));
    };
    let partial = partial + before;
    let printed = [printed(directive).unwrap_or_default()];
    let printed: &[&[&str]] = &[&printed];
    let forms = match read_by(directive) {
        [] => printed,
        forms => forms,
    };
    let mut outcome = Err(Failure { layout_element: String::new(), rest: String::new() });
    for form in forms {
        let mut elements: Vec<String> = form.iter().map(|element| (*element).to_owned()).collect();
        loop {
            outcome = attempts(partial.clone() + &elements.concat(), after, read);
            let Err(failure) = &mut outcome else { return outcome };
            let place = elements.iter().position(|element| *element == failure.layout_element);
            let Some(place) = place.filter(|_| !failure.layout_element.is_empty()) else { return outcome };
            let is_number = elements[place].starts_with(|c: char| c.is_ascii_digit() || c == 'Z');
            let spaces: String =
                failure.rest.chars().take_while(|c| matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0c')).collect();
            // So that an outer directive does not take the failure for its own.
            failure.layout_element = format!("%{directive}");
            if !is_number || spaces.is_empty() {
                break;
            }
            elements.insert(place, spaces);
        }
    }
    outcome
}

/// Reads by a Go layout. An abbreviation that the zone does not know is looked up as a zone of its own.
fn read_zoned(layout: &str, text: &str, zone: Zone) -> Result<Time, Failure> {
    let read = |zone| {
        parse_in_location(layout, text, zone)
            .map_err(|error| Failure { layout_element: error.layout_element, rest: error.value_rest })
    };
    let Parsed { time, zone_name } = read(zone)?;
    let (_, offset) = time::lookup(time.zone, time.sec);
    let (local_name, _) = time::lookup(zone, time.sec);
    if offset != 0 || zone_name == "UTC" || zone_name == local_name {
        return Ok(time);
    }
    let unknown = || Failure { layout_element: String::new(), rest: String::new() };
    let named = load_location(&zone_name).ok_or_else(unknown)?;
    Ok(read(named).map_or(time, |parsed| parsed.time))
}

/// A time of year 0 gets the current year, or the last one if it would lie more than a week ahead.
fn with_year(read: Time, now: impl Fn() -> Option<Time>) -> Option<Time> {
    const WEEK: i64 = 7 * 86_400 * super::duration::SECOND;
    let civil = time::civil(&read);
    if civil.year > 0 {
        return Some(read);
    }
    let now = now()?;
    let in_year = |year| time::from_civil(normal(Civil { year, ..civil }), read.nsec, read.zone);
    let year = time::civil(&now).year;
    let this_year = in_year(year);
    let too_far = this_year.compare(&now.add(WEEK)).is_gt();
    Some(if too_far { in_year(year - 1) } else { this_year })
}

/// February 29 of a year without one is March 1.
fn normal(civil: Civil) -> Civil {
    let leap = civil.year % 4 == 0 && (civil.year % 100 != 0 || civil.year % 400 == 0);
    if (civil.month, civil.day) == (2, 29) && !leap { Civil { month: 3, day: 1, ..civil } } else { civil }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Option<Time> {
        // 2026-06-15T12:00:00Z
        Some(time::unix(1_781_524_800, 0, Zone::Utc))
    }

    fn check(text: &str, format: &str, expected: Option<&str>) {
        let read = Format::new(format).unwrap().read(text, Zone::Utc, None, now);
        assert_eq!(read.map(|time| time::rfc3339_nano(&time)).as_deref(), expected, "{text} {format}");
    }

    #[test]
    fn reads() {
        check("2023-05-26T12:34:56+0200", "%Y-%m-%dT%H:%M:%S%z", Some("2023-05-26T12:34:56+02:00"));
        check("2023-05-26T12:34:56+02:00", "%Y-%m-%dT%H:%M:%S%z", Some("2023-05-26T12:34:56+02:00"));
        check("2023-05-26T12:34:56+02", "%Y-%m-%dT%H:%M:%S%z", Some("2023-05-26T12:34:56+02:00"));
        check("2023-05-26T12:34:56Z", "%Y-%m-%dT%H:%M:%S%z", Some("2023-05-26T12:34:56Z"));
        check("05/26/23", "%D", Some("2023-05-26T00:00:00Z"));
        check("05/26/2023", "%D", Some("2023-05-26T00:00:00Z"));
        check("2023-05-26 01:02 PM", "%Y-%m-%d %I:%M %p", Some("2023-05-26T13:02:00Z"));
        check("2023-05-26 12:34:56 EST", "%Y-%m-%d %H:%M:%S %Z", Some("2023-05-26T12:34:56-05:00"));
        check("2023- 5- 6", "%Y-%m-%d", Some("2023-05-06T00:00:00Z"));
        check("2023-02-30", "%Y-%m-%d", None);
        check("2023 146", "%Y %j", None);
        check("1685104496", "%s", None);
        check("2023-05-26 12:34:56 BST", "%Y-%m-%d %H:%M:%S %Z", None);
        check("12:34:56.123456789", "%H:%M:%S.%s", Some("2026-01-01T12:34:56.123456789Z"));
    }

    #[test]
    fn a_missing_year_is_this_or_the_last() {
        check("Jun 20 10:00:00", "%b %d %H:%M:%S", Some("2026-06-20T10:00:00Z"));
        check("Jun 30 10:00:00", "%b %d %H:%M:%S", Some("2025-06-30T10:00:00Z"));
    }

    #[test]
    fn prints() {
        let time = time::unix(1_700_000_000, 0, Zone::Utc);
        let print = |format: &str| Format::new(format).unwrap().print(&time);
        assert_eq!(print("%a %b %q %g %o %i"), "Tue Nov 11 14 _11 +00");
        assert_eq!(print("%T.%LZ %r %%"), "22:13:20Z 10:13:20 pm %");
    }

    #[test]
    fn refused_formats() {
        for format in ["", "%Q", "%s %f", "%e %v", "2006", "%H:%M:%S%L", "% Y"] {
            assert!(Format::new(format).is_err(), "{format}");
        }
    }
}
