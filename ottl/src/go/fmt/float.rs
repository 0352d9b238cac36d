//! Floats as `fmt` writes them: `strconv.FormatFloat` with the flags on top.

use super::Flags;
use crate::go::strconv;

/// No double has more digits than this; what a precision asks beyond is zeros. (Rust's own formatting takes 16 bits.)
const EXACT_DIGITS: usize = 1100;

/// The number with its sign, if one is shown, without padding.
pub(super) fn format(value: f64, verb: char, precision: Option<usize>, flags: &Flags) -> String {
    if value.is_nan() {
        let sign = match (flags.plus, flags.space) {
            (true, _) => "+",
            (false, true) => " ",
            _ => "",
        };
        return format!("{sign}NaN");
    }
    let sign = match (value.is_sign_negative(), flags.plus, flags.space) {
        (true, ..) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        _ => "",
    };
    if value.is_infinite() {
        // Go always shows the sign of an infinity.
        let sign = if sign.is_empty() { "+" } else { sign };
        return format!("{sign}Inf");
    }
    let size = value.abs();
    let upper = verb.is_ascii_uppercase();
    let mut text = match verb {
        'f' => precision.map_or_else(
            || strconv::format_plain(size),
            |precision| {
                let exact = precision.min(EXACT_DIGITS);
                format!("{size:.exact$}{}", "0".repeat(precision - exact))
            },
        ),
        'e' | 'E' => exponent(size, precision),
        'x' | 'X' => hex(size, precision),
        'b' => binary(size),
        _ => general(size, precision),
    };
    if flags.sharp && verb != 'b' {
        text = with_point(&text, verb, precision);
    }
    if upper {
        text.make_ascii_uppercase();
    }
    format!("{sign}{text}")
}

/// `%e`: one digit before the point, at least two in the exponent.
fn exponent(size: f64, precision: Option<usize>) -> String {
    match precision {
        None => strconv::format_exponent(size),
        Some(precision) => {
            let exact = precision.min(EXACT_DIGITS);
            let text = go_exponent(&format!("{size:.exact$e}"));
            let zeros = "0".repeat(precision - exact);
            text.replacen('e', &format!("{zeros}e"), 1)
        }
    }
}

/// Rust's `1.5e-7` as Go's `1.5e-07`.
fn go_exponent(text: &str) -> String {
    let Some((mantissa, exponent)) = text.split_once('e') else { return text.to_owned() };
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
}

/// `%g`: `%e` for small and large exponents, else plain, without trailing zeros.
fn general(size: f64, precision: Option<usize>) -> String {
    let text = match precision {
        None => format!("{size:e}"),
        Some(precision) => format!("{size:.*e}", precision.clamp(1, EXACT_DIGITS) - 1),
    };
    let Some((mantissa, power)) = text.split_once('e') else { return text };
    let power: i64 = power.parse().unwrap_or(0);
    let digits = mantissa.replace('.', "");
    let digits = match digits.trim_end_matches('0') {
        "" => "0",
        digits => digits,
    };
    let n_digits = digits.len() as i64;
    let exponent_from = match precision.map(|precision| precision.max(1) as i64) {
        None => 6,
        Some(precision) if precision > n_digits && n_digits > power => n_digits,
        Some(precision) => precision,
    };
    if power < -4 || power >= exponent_from {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        return go_exponent(&format!("{first}{point}{rest}e{power}"));
    }
    if power < 0 {
        return format!("0.{}{digits}", "0".repeat((-power - 1) as usize));
    }
    if power + 1 >= n_digits {
        return format!("{digits}{}", "0".repeat((power + 1 - n_digits) as usize));
    }
    let (whole, fraction) = digits.split_at((power + 1) as usize);
    format!("{whole}.{fraction}")
}

/// `%b`: the mantissa as an integer and the exponent of two.
fn binary(size: f64) -> String {
    let bits = size.to_bits();
    let (fraction, exponent) = (bits & ((1 << 52) - 1), (bits >> 52) as i64);
    let (mantissa, exponent) = if exponent == 0 { (fraction, -1074) } else { (fraction | 1 << 52, exponent - 1075) };
    format!("{mantissa}p{exponent:+}")
}

/// `%x`: one hexadecimal digit before the point, the exponent of two with at least two digits.
fn hex(size: f64, precision: Option<usize>) -> String {
    if size == 0.0 {
        let zeros =
            precision.filter(|precision| *precision > 0).map_or(String::new(), |n| format!(".{}", "0".repeat(n)));
        return format!("0x0{zeros}p+00");
    }
    let bits = size.to_bits();
    let fraction = bits & ((1 << 52) - 1);
    let mut exponent = (bits >> 52) as i64 - 1023;
    // The leading one at bit 60, as in Go, so that rounding may carry.
    let mut mantissa = if exponent == -1023 {
        exponent = -1022;
        fraction << 8
    } else {
        (fraction | 1 << 52) << 8
    };
    while mantissa & 1 << 60 == 0 {
        mantissa <<= 1;
        exponent -= 1;
    }
    if let Some(precision) = precision.filter(|precision| *precision < 15) {
        let shift = precision as u32 * 4;
        let extra = (mantissa << shift) & ((1 << 60) - 1);
        mantissa >>= 60 - shift;
        if extra | (mantissa & 1) > 1 << 59 {
            mantissa += 1;
        }
        mantissa <<= 60 - shift;
        if mantissa & 1 << 61 != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let all = format!("{:015x}", mantissa & ((1 << 60) - 1));
    let digits = match precision {
        None => all.trim_end_matches('0').to_owned(),
        Some(precision) => all.chars().chain(std::iter::repeat('0')).take(precision).collect(),
    };
    let point = if digits.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("0x{}{point}{digits}p{sign}{:02}", mantissa >> 60, exponent.unsigned_abs())
}

/// The sharp flag: always a point, and for `%g` all the digits of the precision.
fn with_point(text: &str, verb: char, precision: Option<usize>) -> String {
    let tail_at = match verb {
        'x' | 'X' => text.find('p'),
        _ => text.find('e'),
    }
    .unwrap_or(text.len());
    let (number, tail) = text.split_at(tail_at);
    let mut number = number.to_owned();
    let mut wanted = match verb {
        'g' | 'G' | 'x' => precision.unwrap_or(6) as i64,
        _ => 0,
    };
    let significant = number.trim_start_matches(['0', '.']).bytes().filter(|b| *b != b'.').count() as i64;
    wanted -= significant;
    if !number.contains('.') {
        if number == "0" {
            wanted -= 1;
        }
        number.push('.');
    }
    number.push_str(&"0".repeat(wanted.max(0) as usize));
    number + tail
}
