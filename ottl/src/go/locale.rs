//! Translation of localized times to English before they are read, as elastic/lunes does for contrib.
//!
//! The names come from the Unicode CLDR. The languages of [`Locale::find`] are the widely used ones, with all their
//! regions; others are refused, which upstream, with its thousand locales, does not do.

use super::time::{LONG_DAYS, LONG_MONTHS};

/// One line a set of names, see the file's head.
static NAMES: &str = include_str!("data/locales.txt");

/// A language's names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locale {
    short_days: Vec<&'static str>,
    long_days: Vec<&'static str>,
    short_months: Vec<&'static str>,
    long_months: Vec<&'static str>,
    day_periods: Vec<&'static str>,
}

impl Locale {
    /// The locale of a BCP 47 tag, spelled as the CLDR does: `fr`, `pt-BR`.
    pub fn find(tag: &str) -> Option<Locale> {
        NAMES.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
            let (tags, lists) = line.split_once('|')?;
            tags.split(' ').any(|known| known == tag).then(|| {
                let mut lists = lists.split('|').map(|list| list.split(';').filter(|name| !name.is_empty()).collect());
                let mut next = || lists.next().unwrap_or_default();
                Locale {
                    short_days: next(),
                    long_days: next(),
                    short_months: next(),
                    long_months: next(),
                    day_periods: next(),
                }
            })
        })
    }

    /// The text with its names in English, so that Go's layout reads it.
    ///
    /// # Errors
    /// The element of the layout that has no match in the text; empty if the locale has no such names.
    pub fn translate(&self, layout: &str, text: &str) -> Result<String, String> {
        let mut out = String::with_capacity(text.len() + 32);
        let mut rest_layout = layout;
        let mut rest = text;
        while let Some(c) = rest_layout.chars().next() {
            let lower_follows = |len: usize| rest_layout.as_bytes().get(len).is_some_and(u8::is_ascii_lowercase);
            let starts = |element: &str| rest_layout.starts_with(element);
            let names: Option<(&str, &[&str], Vec<&str>)> = if starts("January") {
                Some(("January", &self.long_months, LONG_MONTHS.to_vec()))
            } else if starts("Jan") && !lower_follows(3) {
                Some(("Jan", &self.short_months, LONG_MONTHS.iter().map(|name| &name[..3]).collect()))
            } else if starts("Monday") {
                Some(("Monday", &self.long_days, LONG_DAYS.to_vec()))
            } else if starts("Mon") && !lower_follows(3) {
                Some(("Mon", &self.short_days, LONG_DAYS.iter().map(|name| &name[..3]).collect()))
            } else if starts("PM") {
                Some(("PM", &self.day_periods, vec!["AM", "PM"]))
            } else if starts("pm") {
                Some(("pm", &self.day_periods, vec!["am", "pm"]))
            } else {
                None
            };
            if let Some((element, localized, english)) = names {
                if localized.is_empty() {
                    return Err(String::new());
                }
                let (spaces, after) = cut_spaces(rest);
                let (name, len) = longest(localized, &english, after).ok_or_else(|| element.to_owned())?;
                out.push_str(spaces);
                out.push_str(name);
                rest = &after[len..];
                rest_layout = &rest_layout[element.len()..];
                continue;
            }
            let previous_is_zero = layout.len() > rest_layout.len()
                && layout.as_bytes().get(layout.len() - rest_layout.len() - 1) == Some(&b'0');
            if starts("_2") && !starts("_2006") && rest.len() >= 2 {
                rest = copy_word(rest, 2, &mut out).ok_or_else(|| "_2".to_owned())?;
                rest_layout = &rest_layout[2..];
            } else if starts("_2006") && rest.len() >= 5 {
                rest = copy_word(rest, 5, &mut out).ok_or_else(|| "_2006".to_owned())?;
                rest_layout = &rest_layout[5..];
            } else if matches!(c, '3'..='5') && !previous_is_zero {
                // Hours, minutes and seconds may be one digit or two.
                let (spaces, after) = cut_spaces(rest);
                let n_digits = after.bytes().take(2).take_while(u8::is_ascii_digit).count();
                if n_digits == 0 {
                    return Err(c.to_string());
                }
                out.push_str(spaces);
                out.push_str(&after[..n_digits]);
                rest = &after[n_digits..];
                rest_layout = &rest_layout[1..];
            } else {
                if let Some(copied) = rest.chars().next() {
                    out.push(copied);
                    rest = &rest[copied.len_utf8()..];
                }
                rest_layout = &rest_layout[c.len_utf8()..];
            }
        }
        out.push_str(rest);
        Ok(out)
    }
}

fn cut_spaces(text: &str) -> (&str, &str) {
    text.split_at(text.len() - text.trim_start().len())
}

/// Copies spaces and then up to so many bytes that are no spaces; nothing if only spaces are left.
fn copy_word<'t>(text: &'t str, max: usize, out: &mut String) -> Option<&'t str> {
    let (spaces, after) = cut_spaces(text);
    let len = after.find(char::is_whitespace).unwrap_or(after.len()).min(after.floor_char_boundary(max));
    if after.is_empty() {
        return None;
    }
    out.push_str(spaces);
    out.push_str(&after[..len]);
    Some(&after[len..])
}

/// The English name of the longest localized one that the text starts with, in any case; and its length in the text.
fn longest<'n>(localized: &[&str], english: &[&'n str], text: &str) -> Option<(&'n str, usize)> {
    let matches = localized.iter().zip(english).filter_map(|(name, english)| {
        let head = text.get(..name.len())?;
        (head.to_lowercase() == name.to_lowercase()).then_some((*english, name.len()))
    });
    // Of equally long names the first counts.
    matches.reduce(|best, next| if next.1 > best.1 { next } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn translates() {
        let check = |tag: &str, layout: &str, text: &str, expected: &str| {
            assert_eq!(Locale::find(tag).unwrap().translate(layout, text).as_deref(), Ok(expected));
        };
        check("fr", "02 January 2006", "26 mai 2023", "26 May 2023");
        check(
            "es-ES",
            "January 2 Monday, 2006, 3:4:5 pm",
            "Febrero 25 jueves, 1993, 02:03:04 p.m.",
            "February 25 Thursday, 1993, 02:03:04 pm",
        );
        check("it-IT", "Monday Jan 2 2006", "mercoled\u{ec} set 4 2024", "Wednesday Sep 4 2024");
        check("en", "Jan _2 2006", "Jun  5 2024", "Jun  5 2024");
    }

    #[test]
    fn unknown_locales_and_names() {
        assert_eq!(Locale::find("foo-bar"), None);
        assert_eq!(Locale::find(""), None);
        assert_eq!(Locale::find("fr").unwrap().translate("January", "smarch"), Err("January".to_owned()));
    }
}
