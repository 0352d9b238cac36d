use super::*;
use crate::value::Zone;

fn zone(name: &str) -> Zone {
    load_location(name).unwrap()
}

#[test]
fn skipped_hour_is_read_as_go_reads_it() {
    let time = parse_in_location("2006-01-02 15:04:05", "2023-03-12 02:30:00", zone("America/New_York")).unwrap().time;
    assert_eq!(time.sec, 1_678_602_600);
    assert_eq!(rfc3339_nano(&time), "2023-03-12T01:30:00-05:00");
    let time = parse_in_location("2006-01-02 15:04:05", "2023-11-05 01:30:00", zone("America/New_York")).unwrap().time;
    assert_eq!(time.sec, 1_699_162_200);
}

#[test]
fn civil_round_trips() {
    for unix_secs in [-ZERO_TO_UNIX, -1, 0, 951_782_400, 1_700_000_000, 253_402_300_799, -100_000_000_000] {
        let time = unix(unix_secs, 5, Zone::Utc);
        assert_eq!(from_civil(civil(&time), 5, Zone::Utc), time);
    }
    assert_eq!(civil(&unix(0, 0, Zone::Utc)).weekday, 4);
}

#[test]
fn formats() {
    let time = unix(1_700_000_000, 123_000_000, zone("Asia/Tokyo"));
    assert_eq!(
        format(&time, "Mon Jan _2 2006 03:04:05.000pm MST -07:00 Z0700"),
        "Wed Nov 15 2023 07:13:20.123am JST +09:00 +0900"
    );
    assert_eq!(format(&time, "15h .999999 ,00 002 __2"), "07h .123 ,12 319 319");
    assert_eq!(rfc3339_nano(&unix(0, 0, Zone::Utc)), "1970-01-01T00:00:00Z");
}

/// The differential run found a time beyond year 9999, which Go's JSON refuses.
#[test]
fn json_refuses_what_has_no_form() {
    let seconds = |year, offset: i64| days_from_civil(year, 1, 1) * 86_400 - offset;
    let text = |year, offset: i32| json(&unix(seconds(year, i64::from(offset)), 0, Zone::Fixed(offset)));
    assert_eq!(text(9999, 0).as_deref(), Some("9999-01-01T00:00:00Z"));
    assert_eq!(text(0, 3600).as_deref(), Some("0000-01-01T00:00:00+01:00"));
    assert_eq!(
        [(10_000, 0), (-1, 0), (2024, 86_400), (2024, -90_000)].map(|(year, offset)| text(year, offset)),
        [const { None }; 4]
    );
}

#[test]
fn truncation_counts_from_year_one() {
    let time = unix(1_700_000_000, 123_456_789, Zone::Utc);
    assert_eq!(truncate(&time, 3_600 * 1_000_000_000).sec, 1_699_999_200);
    assert_eq!(truncate(&time, 7 * 86_400 * 1_000_000_000).sec, 1_699_833_600);
    assert_eq!(truncate(&time, 0), time);
}

#[test]
fn errors_name_the_element() {
    let error = parse_in_location("2006-01-02", "2023-xx-01", Zone::Utc).unwrap_err();
    assert_eq!((error.layout_element.as_str(), error.value_rest.as_str()), ("01", "xx-01"));
    assert_eq!(parse_in_location("2006-1-2", "2023-02-30", Zone::Utc).unwrap_err().message, Some("day out of range"));
}
