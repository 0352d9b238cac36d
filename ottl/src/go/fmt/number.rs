//! Integers and hexadecimal texts as `fmt` writes them.

use super::Flags;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Radix {
    Binary,
    Octal,
    /// `%O`: always with its prefix.
    OctalPrefixed,
    Decimal,
    Hex,
    UpperHex,
}

/// The number with sign, prefix and the digits that the precision or zero padding asks for; spaces alone may pad it further.
pub(super) fn integer(size: u64, negative: bool, radix: Radix, flags: &Flags) -> String {
    // An explicit precision of zero shows zero as nothing.
    if flags.precision == Some(0) && size == 0 {
        return " ".repeat(flags.width.unwrap_or(0));
    }
    let signed = negative || flags.plus || flags.space;
    let min_digits = match (flags.precision, flags.width) {
        (Some(precision), _) => precision,
        (None, Some(width)) if flags.zero && !flags.minus => width.saturating_sub(usize::from(signed)),
        _ => 0,
    };
    let digits = match radix {
        Radix::Binary => format!("{size:b}"),
        Radix::Octal | Radix::OctalPrefixed => format!("{size:o}"),
        Radix::Decimal => size.to_string(),
        Radix::Hex => format!("{size:x}"),
        Radix::UpperHex => format!("{size:X}"),
    };
    let digits = "0".repeat(min_digits.saturating_sub(digits.len())) + &digits;
    let prefix = match radix {
        Radix::Binary if flags.sharp => "0b",
        Radix::Octal if flags.sharp && !digits.starts_with('0') => "0",
        Radix::OctalPrefixed if flags.sharp && !digits.starts_with('0') => "0o0",
        Radix::Hex if flags.sharp => "0x",
        Radix::UpperHex if flags.sharp => "0X",
        Radix::OctalPrefixed => "0o",
        _ => "",
    };
    let sign = match (negative, flags.plus, flags.space) {
        (true, ..) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        _ => "",
    };
    format!("{sign}{prefix}{digits}")
}

/// `%x` of a string: its bytes, the precision counts them; a space between them with the space flag.
pub(super) fn hex_text(text: &[u8], upper: bool, flags: &Flags) -> String {
    let length = flags.precision.unwrap_or(text.len()).min(text.len());
    let prefix = match (flags.sharp && length > 0, upper) {
        (false, _) => "",
        (true, false) => "0x",
        (true, true) => "0X",
    };
    let mut out = String::from(prefix);
    for (idx, byte) in text[..length].iter().enumerate() {
        if idx > 0 && flags.space {
            out.push(' ');
            out.push_str(prefix);
        }
        out.push_str(&if upper { format!("{byte:02X}") } else { format!("{byte:02x}") });
    }
    out
}
