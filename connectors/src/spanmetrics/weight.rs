//! How many spans a span stands for, by the sampling threshold in its trace state.
//!
//! A probability sampler upstream leaves `ot=th:...`; each span then counts 2^56 / (2^56 - threshold), rounded at random
//! so that sums stay right on average. Syntax and limits are those of contrib's `pkg/sampling`: a trace state that is
//! not well-formed in any part counts as one.

/// 2^56: the number of thresholds.
const THRESHOLDS: u64 = 1 << 56;
const HEX_DIGITS: usize = 14;
const MAX_W3C_LEN: usize = 1024;
/// 32 pairs at most, and the Go scanner counts from one.
const MAX_W3C_ITEMS: usize = 31;
const MAX_OTEL_LEN: usize = 256;

/// A span's weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Weight {
    /// Spans it stands for.
    pub(super) count: u64,
    /// True if a threshold was given, even if it leads to one.
    pub(super) extrapolated: bool,
}

impl Weight {
    pub(super) const ONE: Self = Self { count: 1, extrapolated: false };
}

/// Finds weights; remembers the last trace state of the batch, so that a run of equal ones shares one rounding.
#[derive(Debug)]
pub(super) struct Weigher {
    random: u64,
    last_state: Vec<u8>,
    last: Weight,
}

impl Weigher {
    pub(super) fn new(seed: u64) -> Self {
        // xorshift never leaves zero.
        Self { random: seed.max(1), last_state: Vec::new(), last: Weight::ONE }
    }

    /// A new batch shares no rounding with the one before.
    pub(super) fn begin_batch(&mut self) {
        self.last_state.clear();
        self.last = Weight::ONE;
    }

    #[inline]
    pub(super) fn weigh(&mut self, trace_state: &[u8]) -> Weight {
        if trace_state.is_empty() {
            return Weight::ONE;
        }
        if trace_state != self.last_state.as_slice() {
            self.last_state.clear();
            // Longer ones are invalid; keeping only what can be valid bounds the buffer.
            self.last_state.extend_from_slice(trace_state.get(..=MAX_W3C_LEN).unwrap_or(trace_state));
            self.last = self.compute(trace_state);
        }
        self.last
    }

    fn compute(&mut self, trace_state: &[u8]) -> Weight {
        let Some(threshold) = threshold(trace_state) else { return Weight::ONE };
        let Some(denominator) = THRESHOLDS.checked_sub(threshold).filter(|denominator| *denominator > 0) else {
            return Weight::ONE;
        };
        let remainder = THRESHOLDS % denominator;
        let up = remainder != 0 && self.next_random() % denominator < remainder;
        Weight { count: THRESHOLDS / denominator + u64::from(up), extrapolated: true }
    }

    /// xorshift64*.
    fn next_random(&mut self) -> u64 {
        let mut x = self.random;
        x ^= x << 12;
        x ^= x >> 25;
        x ^= x << 27;
        self.random = x;
        x.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}

/// The threshold of `ot=th:...`, 0 to 2^56 - 1; `None` if there is none or anything is not well-formed.
fn threshold(trace_state: &[u8]) -> Option<u64> {
    if trace_state.len() > MAX_W3C_LEN || !trace_state.windows(3).any(|window| window == b"ot=") {
        return None;
    }
    let members = || trace_state.split(|byte| *byte == b',').map(trim);
    if members().count() > MAX_W3C_ITEMS || !members().all(is_w3c_member) {
        return None;
    }
    // Of several, the last one stands.
    let otel =
        members().filter_map(|member| member.strip_prefix(b"ot=")).map(parse_otel).collect::<Option<Vec<_>>>()?;
    otel.into_iter().next_back().flatten()
}

fn trim(mut member: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = member {
        member = rest;
    }
    member
}

/// Empty members are allowed.
fn is_w3c_member(member: &[u8]) -> bool {
    if member.is_empty() {
        return true;
    }
    let Some(equals) = member.iter().position(|byte| *byte == b'=') else { return false };
    let (key, value) = (&member[..equals], &member[equals + 1..]);
    is_w3c_key(key) && is_w3c_value(value)
}

fn is_w3c_key(key: &[u8]) -> bool {
    let is_rest = |part: &[u8]| {
        part.iter()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-' | b'*' | b'/'))
    };
    if key.len() > 256 {
        return false;
    }
    if let Some(at) = key.iter().position(|byte| *byte == b'@') {
        let (tenant, system) = (&key[..at], &key[at + 1..]);
        return match (tenant, system) {
            ([first, tenant_rest @ ..], [system_first, system_rest @ ..]) => {
                tenant.len() <= 241
                    && system.len() <= 14
                    && (first.is_ascii_lowercase() || first.is_ascii_digit())
                    && system_first.is_ascii_lowercase()
                    && is_rest(tenant_rest)
                    && is_rest(system_rest)
            }
            _ => false,
        };
    }
    matches!(key, [first, rest @ ..] if first.is_ascii_lowercase() && is_rest(rest))
}

fn is_w3c_value(value: &[u8]) -> bool {
    let printable = |byte: &u8| matches!(byte, 0x20..=0x2b | 0x2d..=0x3c | 0x3e..=0x7e);
    !value.is_empty() && value.len() <= 256 && value.iter().all(printable) && value.last() != Some(&b' ')
}

/// Outer `None`: not well-formed. Inner: no threshold.
fn parse_otel(value: &[u8]) -> Option<Option<u64>> {
    if value.is_empty() || value.len() > MAX_OTEL_LEN {
        return None;
    }
    let mut threshold = None;
    for member in value.split(|byte| *byte == b';') {
        let colon = member.iter().position(|byte| *byte == b':')?;
        let (key, value) = (&member[..colon], &member[colon + 1..]);
        let well_formed = matches!(key, [first, rest @ ..] if first.is_ascii_lowercase()
            && rest.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()))
            && value.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
        if !well_formed {
            return None;
        }
        match key {
            b"th" => threshold = Some(parse_hex(value, 1)?),
            b"rv" => {
                parse_hex(value, HEX_DIGITS)?;
            }
            _ => {}
        }
    }
    Some(threshold)
}

/// Up to 14 hex digits, at least `least`, aligned to the left.
fn parse_hex(value: &[u8], least: usize) -> Option<u64> {
    if value.len() < least || value.len() > HEX_DIGITS || !value.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let number = u64::from_str_radix(std::str::from_utf8(value).ok()?, 16).ok()?;
    Some(number << (4 * (HEX_DIGITS - value.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weigh(state: &str) -> (u64, bool) {
        let weight = Weigher::new(7).weigh(state.as_bytes());
        (weight.count, weight.extrapolated)
    }

    #[test]
    fn thresholds_become_weights() {
        assert_eq!(weigh(""), (1, false));
        assert_eq!(weigh("vendor=x"), (1, false));
        assert_eq!(weigh("ot=th:8"), (2, true));
        assert_eq!(weigh("ot=th:c"), (4, true));
        assert_eq!(weigh("ot=th:0"), (1, true));
        assert_eq!(weigh("vendor=x,ot=th:e"), (8, true));
        assert_eq!(weigh(" a=b , ot=rv:12345678901234;th:8\t"), (2, true));
        assert_eq!(weigh("ot=th:ffffffffffffff"), (1 << 56, true));
        assert_eq!(weigh("tenant@sys=1,ot=th:8"), (2, true));
        assert_eq!(weigh("ot=rv:12345678901234"), (1, false));
    }

    #[test]
    fn what_is_not_well_formed_counts_as_one() {
        for state in [
            "ot=th:zz",
            "ot=th:",
            "ot=th:123456789012345",
            "ot=",
            "ot=th:8;",
            "ot=th:8;rv:1",
            "ot=th",
            "ot=TH:8",
            "Bad=1,ot=th:8",
            "a,ot=th:8",
            "ot=th:8,b=",
            "ot=th:8,ot=th:zz",
            "not=th:8",
        ] {
            assert_eq!(weigh(state), (1, false), "{state}");
        }
        assert_eq!(weigh(&format!("{},ot=th:8", vec!["a=b"; 31].join(","))), (1, false));
        assert_eq!(weigh(&format!("ot=th:8,a={}", "x".repeat(1024))), (1, false));
    }

    #[test]
    fn fractions_are_right_on_average() {
        // th:5 keeps 11/16: each span stands for 1.4545.. spans.
        let mut weigher = Weigher::new(42);
        let mut total = 0;
        for _ in 0..100_000 {
            weigher.begin_batch();
            total += weigher.weigh(b"ot=th:5").count;
        }
        let mean = f64::from(u32::try_from(total).unwrap()) / 100_000.0;
        assert!((mean - 16.0 / 11.0).abs() < 0.01, "{mean}");
    }

    #[test]
    fn a_run_of_equal_states_shares_one_rounding() {
        let mut weigher = Weigher::new(3);
        let first = weigher.weigh(b"ot=th:5");
        assert!((0..100).all(|_| weigher.weigh(b"ot=th:5") == first));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_have_a_weight(state in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40)) {
            assert!(Weigher::new(1).weigh(&state).count >= 1);
        }
    }
}
