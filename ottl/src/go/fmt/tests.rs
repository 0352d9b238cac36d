use super::*;

fn check(format: &str, args: &[Arg<'_>], expected: &str) {
    let text = sprintf(format.as_bytes(), args, 1 << 20).unwrap();
    assert_eq!(String::from_utf8_lossy(&text), expected, "{format}");
}

fn int(value: i64) -> Arg<'static> {
    Arg::Int(value, "int64")
}

fn str(text: &str) -> Arg<'_> {
    Arg::Str(Cow::Borrowed(text.as_bytes()))
}

#[test]
fn integers() {
    check("%05d|%x|%X", &[int(42), int(255), int(255)], "00042|ff|FF");
    check("%+d % d|%06d", &[int(1), int(2), int(-3)], "+1  2|-00003");
    check("%8.3d|%x|%c|%q", &[int(5), int(-255), int(128_512), int(128_512)], "     005|-ff|\u{1f600}|'\u{1f600}'");
    check("%#x|%#o|%O|%b", &[int(255), int(8), int(8), int(5)], "0xff|010|0o10|101");
    check("%c%U|%#U", &[int(65), int(65), int(0x1f600)], "AU+0041|U+1F600 '\u{1f600}'");
    check("%.0d|%5.0d|%05d", &[int(0), int(0), int(-3)], "|     |-0003");
    check("%-5d|%*d|%-*d|", &[int(1), int(5), int(2), int(4), int(3)], "1    |    2|3   |");
}

#[test]
fn floats() {
    let float = Arg::Float;
    check("%.2f|%e|%g|%v", &[float(2.71823), float(1234.5), float(1.0), float(1e6)], "2.72|1.234500e+03|1|1e+06");
    check(
        "%06.2f|%-8.2f|%+08.2f|% f",
        &[float(2.71823), float(2.71823), float(2.71823), float(2.5)],
        "002.72|2.72    |+0002.72| 2.500000",
    );
    check(
        "%g|%G|%e|%E|%.3g",
        &[float(1e8), float(1e-9), float(0.0), float(1.0), float(1234.5678)],
        "1e+08|1E-09|0.000000e+00|1.000000E+00|1.23e+03",
    );
    check("%x|%X|%b", &[float(1.5), float(1.5), float(1.5)], "0x1.8p+00|0X1.8P+00|6755399441055744p-52");
    check(
        "%.3g|%.10g|%.3g|%.2g",
        &[float(100.0), float(123456.0), float(0.00001234), float(123.0)],
        "100|123456|1.23e-05|1.2e+02",
    );
    check(
        "%v|%5v|%+v|%06v",
        &[float(f64::NAN), float(f64::INFINITY), float(f64::NEG_INFINITY), float(f64::INFINITY)],
        "NaN| +Inf|-Inf|  +Inf",
    );
    check("%v|%v|%v", &[float(-0.0), float(123_456_789.0), float(0.00001)], "-0|1.23456789e+08|1e-05");
    check("%.3x|%.2x|%X", &[float(1.0), float(1.999), float(0.0)], "0x1.000p+00|0x1.00p+01|0X0P+00");
    check(
        "%#g|%#.3g|%#f|%#e",
        &[float(1.0), float(100.0), float(2.0), float(3.0)],
        "1.00000|100.|2.000000|3.000000e+00",
    );
}

#[test]
fn texts() {
    check(
        "%-5s|%5s|%.2s|%q",
        &[str("a"), str("b"), str("h\u{e9}llo"), str("a\"b\u{1}")],
        "a    |    b|h\u{e9}|\"a\\\"b\\x01\"",
    );
    check(
        "%x|% x|%# x|%#q|%+q",
        &[str("hi"), str("abc"), str("abc"), str("a b"), str("\u{e9}")],
        "6869|61 62 63|0x61 0x62 0x63|`a b`|\"\\u00e9\"",
    );
    check("%5t|%-7t|", &[Arg::Bool(true), Arg::Bool(false)], " true|false  |");
}

#[test]
fn lists_and_maps() {
    let list = || Arg::List(vec![int(1), str("a"), Arg::Nil], "[]interface {}");
    check(
        "%v|%d|%s|%x",
        &[list(), list(), list(), list()],
        "[1 a <nil>]|[1 %!d(string=a) <nil>]|[%!s(int64=1) a <nil>]|[1 61 <nil>]",
    );
    check("%#v|%T", &[list(), list()], "[]interface {}{1, \"a\", interface {}(nil)}|[]interface {}");
    let bytes = || Arg::Bytes(Cow::Borrowed(&[1, 2]));
    check("%v|%d|%x|%q", &[bytes(), bytes(), bytes(), bytes()], "[1 2]|[1 2]|0102|\"\\x01\\x02\"");
    let map = Arg::Map(vec![(Cow::Borrowed(b"b"), int(1)), (Cow::Borrowed(b"a"), int(2))], "map[string]interface {}");
    check("%v", &[map], "map[a:2 b:1]");
    let second = Arg::Stringer(b"1s".to_vec(), Box::new(Arg::Int(1_000_000_000, "time.Duration")), "time.Duration");
    check("%v|%d|%T", &[second.clone(), second.clone(), second], "1s|1000000000|time.Duration");
}

#[test]
fn mistakes_are_shown_in_the_text() {
    check("%s", &[int(1)], "%!s(int64=1)");
    check("%d", &[], "%!d(MISSING)");
    check("none", &[int(1)], "none%!(EXTRA int64=1)");
    check("100%", &[], "100%!(NOVERB)");
    check("%v|%d", &[Arg::Nil, Arg::Nil], "<nil>|%!d(<nil>)");
    check("%[2]d %[1]d|%[5]d|%[x]d", &[int(1), int(2)], "2 1|%!d(BADINDEX)|%!d(BADINDEX)");
    check(
        "%[2]d %[1]d %[3]*.[2]*[1]f|%z",
        &[int(1), int(2), Arg::Float(3.0)],
        "2 1 %!(BADWIDTH)%!f(int64=01)|%!z(int64=2)",
    );
    check("%!", &[], "%!!(MISSING)");
}

#[test]
fn wide_fields_do_not_panic() {
    for verb in ["d", "x", "U", "f", "e", "g", "v", "s", "q", "X", "b", "c"] {
        for args in [int(65), Arg::Float(1.5), str("a")] {
            let format = format!("%.100000{verb}|%+0100000{verb}|%#.100000{verb}");
            let args = [args.clone(), args.clone(), args];
            assert!(sprintf(format.as_bytes(), &args, 1 << 20).is_some(), "{format}");
        }
    }
    check("%.1103f", &[Arg::Float(0.5)], &format!("0.5{}", "0".repeat(1102)));
    check("%.1102e", &[Arg::Float(0.5)], &format!("5.{}e-01", "0".repeat(1102)));
}

#[test]
fn long_texts_are_refused() {
    assert_eq!(sprintf(b"%1000000d", &[int(1)], 100), None);
}
