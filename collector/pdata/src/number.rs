//! Numbers as Go prints them. Bucket bounds and attribute values become label text, and so part of a series' identity:
//! their spelling must not differ.

use std::fmt::Write as _;

/// The shortest digits that read back as `value` (> 0, finite), and the exponent of the first digit.
fn digits(value: f64) -> (String, i32) {
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    (mantissa.replace('.', ""), exponent.parse().unwrap_or(0))
}

fn positional(out: &mut String, digits: &str, exponent: i32) {
    let n_digits = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    if exponent < 0 {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', usize::try_from(-exponent - 1).unwrap_or(0)));
        out.push_str(digits);
    } else if exponent + 1 >= n_digits {
        out.push_str(digits);
        out.extend(std::iter::repeat_n('0', usize::try_from(exponent + 1 - n_digits).unwrap_or(0)));
    } else {
        let (whole, fraction) = digits.split_at(usize::try_from(exponent + 1).unwrap_or(0));
        out.push_str(whole);
        out.push('.');
        out.push_str(fraction);
    }
}

fn scientific(out: &mut String, digits: &str, exponent: i32, least_exponent_digits: usize) {
    let (first, rest) = digits.split_at(1);
    out.push_str(first);
    if !rest.is_empty() {
        out.push('.');
        out.push_str(rest);
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    // Writing to a string cannot fail.
    let _ = write!(out, "e{sign}{:0least_exponent_digits$}", exponent.unsigned_abs());
}

/// As `FormatFloat(value, 'g', -1, 64)` with the special words of the text format: `+Inf`, `-Inf`, `NaN`; 1e6 and
/// more have an exponent. Minus zero prints `0`, as in the Go writer.
pub fn push_float(out: &mut String, value: f64) {
    if value == 0.0 {
        out.push('0');
    } else if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    } else {
        if value < 0.0 {
            out.push('-');
        }
        let (digits, exponent) = digits(value.abs());
        if (-4..6).contains(&exponent) {
            positional(out, &digits, exponent);
        } else {
            scientific(out, &digits, exponent, 2);
        }
    }
}

/// As [`push_float`], but never without `.` or `e`: OpenMetrics tells floats from integers by that.
pub fn push_open_metrics_float(out: &mut String, value: f64) {
    let start = out.len();
    push_float(out, value);
    if value.is_finite() && !out[start..].contains(['.', 'e']) {
        out.push_str(".0");
    }
}

/// As JSON prints numbers in Go (`Value.AsString` of pdata): exponent only below 1e-6 and from 1e21 on.
pub fn push_json_float(out: &mut String, value: f64) {
    if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
    } else {
        if value.is_sign_negative() {
            out.push('-');
        }
        if value == 0.0 {
            out.push('0');
            return;
        }
        let (digits, exponent) = digits(value.abs());
        if (-6..21).contains(&exponent) {
            positional(out, &digits, exponent);
        } else {
            // Go writes e+21 with two digits at least, but cleans e-09 up to e-9.
            scientific(out, &digits, exponent, if exponent < 0 { 1 } else { 2 });
        }
    }
}

/// A finite value as the stream writer of Go's pdata prints it: as [`push_json_float`], but exponents keep two digits.
pub(crate) fn push_go_float(out: &mut String, value: f64) {
    if value.is_sign_negative() {
        out.push('-');
    }
    if value == 0.0 {
        out.push('0');
        return;
    }
    let (digits, exponent) = digits(value.abs());
    if (-6..21).contains(&exponent) {
        positional(out, &digits, exponent);
    } else {
        scientific(out, &digits, exponent, 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(push: fn(&mut String, f64), value: f64) -> String {
        let mut out = String::new();
        push(&mut out, value);
        out
    }

    #[test]
    fn plain_floats_are_those_of_go() {
        for (value, want) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-1.0, "-1"),
            (3.0, "3"),
            (0.1, "0.1"),
            (-2.5, "-2.5"),
            (15000.0, "15000"),
            (999_999.0, "999999"),
            (1e6, "1e+06"),
            (1_234_567.0, "1.234567e+06"),
            (0.0001, "0.0001"),
            (0.000_012_5, "1.25e-05"),
            (1e100, "1e+100"),
            (1_795_228_773.100_200_7, "1.7952287731002007e+09"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(text(push_float, value), want);
        }
    }

    #[test]
    fn open_metrics_floats_look_like_floats() {
        for (value, want) in
            [(0.0, "0.0"), (2.0, "2.0"), (0.25, "0.25"), (1e6, "1e+06"), (f64::INFINITY, "+Inf"), (f64::NAN, "NaN")]
        {
            assert_eq!(text(push_open_metrics_float, value), want);
        }
    }

    #[test]
    fn json_floats_are_those_of_pdata() {
        for (value, want) in [
            (3.0, "3"),
            (-0.0, "-0"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1e-6, "0.000001"),
            (1.5e-7, "1.5e-7"),
            (1e-10, "1e-10"),
            (123.456, "123.456"),
            (f64::INFINITY, "Infinity"),
        ] {
            assert_eq!(text(push_json_float, value), want);
        }
    }
}
