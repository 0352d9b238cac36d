//! `ot=th:` of trace states: how many spans a kept span stands for, in the form of OpenTelemetry's consistent
//! probability sampling. A span that is kept with probability p stands for 1/p spans.
//!
//! A threshold that is there already is an earlier sampler's. Our choice does not look at that sampler's randomness, so
//! the probabilities multiply (contrib, which chooses by the same randomness, takes the stricter of the two). Trace
//! states that cannot be read are left as they are, and counted by the caller.

/// 2^56: thresholds are below, and reject the share of all randomness values that are below them.
pub(super) const SPACE: u64 = 1 << 56;
const HEX_DIGITS: usize = 14;
const MAX_LEN: usize = 1024;
const MAX_MEMBERS: usize = 32;
const MAX_OT_LEN: usize = 256;

/// The threshold of a probability. One that is 0 or less cannot have kept anything and counts as 1.
pub(super) fn of_probability(probability: f64) -> u64 {
    if probability.is_nan() || probability <= 0.0 || probability >= 1.0 {
        return 0;
    }
    // `round` goes half away from zero, as contrib's does. The product is below 2^56.
    (SPACE - (probability * SPACE as f64).round() as u64).min(SPACE - 1)
}

/// The trace state with the threshold of having been kept by both, or none if it cannot be read.
pub(super) fn lowered(trace_state: &[u8], threshold: u64) -> Option<Vec<u8>> {
    if trace_state.len() > MAX_LEN {
        return None;
    }
    let members: Vec<&[u8]> =
        trace_state.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty()).collect();
    if members.len() > MAX_MEMBERS || !members.iter().all(|member| ottl::trace_state::is_member(member)) {
        return None;
    }
    let (mut randomness, mut before, mut rest) = (None, 0, Vec::new());
    let mut others = Vec::new();
    for member in members {
        let Some(value) = member.strip_prefix(b"ot=") else {
            others.push(member);
            continue;
        };
        (randomness, before, rest) = parse(value)?;
    }
    let kept = |threshold: u64| (SPACE - threshold) as f64 / SPACE as f64;
    let threshold = match (before, threshold) {
        (0, one) | (one, 0) => one,
        (before, threshold) => of_probability(kept(before) * kept(threshold)),
    };
    let mut out = b"ot=".to_vec();
    if let Some(value) = randomness {
        out.extend_from_slice(b"rv:");
        out.extend_from_slice(value);
        out.push(b';');
    }
    out.extend_from_slice(b"th:");
    out.extend_from_slice(text(threshold).as_bytes());
    for part in rest {
        out.push(b';');
        out.extend_from_slice(part);
    }
    for member in others {
        out.push(b',');
        out.extend_from_slice(member);
    }
    Some(out)
}

/// Hex digits without the zeros at the end.
fn text(threshold: u64) -> String {
    let digits = format!("{threshold:014x}");
    match digits.trim_end_matches('0') {
        "" => "0".to_owned(),
        short => short.to_owned(),
    }
}

type Section<'a> = (Option<&'a [u8]>, u64, Vec<&'a [u8]>);

/// Randomness, threshold (0 if none) and other parts of the `ot` member's value.
fn parse(value: &[u8]) -> Option<Section<'_>> {
    if value.is_empty() || value.len() > MAX_OT_LEN {
        return None;
    }
    let (mut randomness, mut threshold, mut rest) = (None, 0, Vec::new());
    for part in value.split(|byte| *byte == b';') {
        let colon = part.iter().position(|byte| *byte == b':')?;
        let (key, value) = (&part[..colon], &part[colon + 1..]);
        let is_key = matches!(key, [first, rest @ ..] if first.is_ascii_lowercase()
            && rest.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()));
        let is_value = value.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
        if !is_key || !is_value {
            return None;
        }
        match key {
            b"th" => threshold = hex(value)?,
            b"rv" => {
                hex(value).filter(|_| value.len() == HEX_DIGITS)?;
                randomness = Some(value);
            }
            _ => rest.push(part),
        }
    }
    Some((randomness, threshold, rest))
}

fn hex(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > HEX_DIGITS || !value.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let number = u64::from_str_radix(std::str::from_utf8(value).ok()?, 16).ok()?;
    Some(number << (4 * (HEX_DIGITS - value.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(before: &str, probability: f64) -> Option<String> {
        lowered(before.as_bytes(), of_probability(probability)).map(|state| String::from_utf8(state).unwrap())
    }

    #[test]
    fn thresholds_as_contrib_writes_them() {
        for (probability, written) in
            [(1.0, "0"), (0.5, "8"), (0.05, "f3333333333333"), (0.125, "e"), (0.001, "ffbe76c8b43958"), (0.75, "4")]
        {
            assert_eq!(state("", probability), Some(format!("ot=th:{written}")), "{probability}");
        }
        assert_eq!(of_probability(0.0), 0);
        assert_eq!(of_probability(f64::NAN), 0);
        assert_eq!(of_probability(1e-300), SPACE - 1);
    }

    #[test]
    fn what_is_there_stays_and_probabilities_multiply() {
        let rv = "rv:12345678901234";
        assert_eq!(state("vendor=x", 0.5).as_deref(), Some("ot=th:8,vendor=x"));
        assert_eq!(state("a=1, ot=th:8 ,b=2", 0.5).as_deref(), Some("ot=th:c,a=1,b=2"));
        assert_eq!(state(&format!("ot=xx:1;{rv}"), 0.5), Some(format!("ot={rv};th:8;xx:1")));
        assert_eq!(state("ot=th:c", 1.0).as_deref(), Some("ot=th:c"));
        assert_eq!(state("ot=th:0", 0.25).as_deref(), Some("ot=th:c"));
    }

    #[test]
    fn what_cannot_be_read_is_left() {
        for before in ["ot=", "ot=th:", "ot=th:xyz", "ot=rv:12", "ot=th", "ot=TH:8", "Bad=1", "a", "a=1,ot=th:8;"] {
            assert_eq!(state(before, 0.5), None, "{before}");
        }
        assert_eq!(state(&format!("a={}", "x".repeat(1024)), 0.5), None);
        assert_eq!(state(&vec!["a=1"; 33].join(","), 0.5), None);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_left(before: Vec<u8>, threshold in 0..SPACE) {
            if let Some(after) = lowered(&before, threshold) {
                assert!(lowered(&after, 0).is_some());
            }
        }
    }
}
