//! The natural logarithm as Go computes it on amd64 (`math/log_amd64.s`, Go 1.26), to the last bit: the platform's own
//! rounds some results the other way.

const LN_2_HIGH: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
const LN_2_LOW: f64 = f64::from_bits(0x3dea_39ef_3579_3c76);
const L1: f64 = f64::from_bits(0x3fe5_5555_5555_5593);
const L2: f64 = f64::from_bits(0x3fd9_9999_9997_fa04);
const L3: f64 = f64::from_bits(0x3fd2_4924_9422_9359);
const L4: f64 = f64::from_bits(0x3fcc_71c5_1d8e_78af);
const L5: f64 = f64::from_bits(0x3fc7_4664_96cb_03de);
const L6: f64 = f64::from_bits(0x3fc3_9a09_d078_c69f);
const L7: f64 = f64::from_bits(0x3fc2_f112_df3e_5244);
const MANTISSA: u64 = (1 << 52) - 1;
const HALF_EXPONENT: i32 = 0x3fe;

/// `math.Log`. Numbers too small to be normal come out as Go's assembly gives them, which does not scale them first.
#[must_use]
pub fn log(x: f64) -> f64 {
    if x == 0.0 {
        return f64::NEG_INFINITY;
    }
    if x.is_nan() || x == f64::INFINITY {
        return x;
    }
    if x < 0.0 {
        return f64::NAN;
    }
    let bits = x.to_bits();
    let mut fraction = f64::from_bits(bits & MANTISSA | 0.5_f64.to_bits());
    // Sixteen bits at most.
    let mut exponent = f64::from((bits >> 52) as i32 - HALF_EXPONENT);
    if fraction < std::f64::consts::FRAC_1_SQRT_2 {
        fraction *= 2.0;
        exponent -= 1.0;
    }
    let f = fraction - 1.0;
    let s = f / (2.0 + f);
    let s2 = s * s;
    let s4 = s2 * s2;
    let t1 = s2 * (L1 + s4 * (L3 + s4 * (L5 + s4 * L7)));
    let t2 = s4 * (L2 + s4 * (L4 + s4 * L6));
    let r = t1 + t2;
    let half_square = 0.5 * f * f;
    exponent * LN_2_HIGH - ((half_square - (s * (half_square + r) + exponent * LN_2_LOW)) - f)
}

#[cfg(test)]
mod tests {
    use super::log;

    /// Answers of Go 1.26 on amd64.
    #[test]
    fn gives_the_bits_of_go() {
        for (x, bits) in [
            (3.0, 0x3ff1_93ea_7aad_030a_u64),
            (10.0, 0x4002_6bb1_bbb5_5516),
            (0.5, 0xbfe6_2e42_fefa_39ef),
            (std::f64::consts::E, 0x3ff0_0000_0000_0000),
            (1.0, 0),
        ] {
            assert_eq!(log(x).to_bits(), bits, "{x}");
        }
        assert!(log(f64::NAN).is_nan() && log(-1.0).is_nan());
        assert_eq!((log(0.0), log(f64::INFINITY)), (f64::NEG_INFINITY, f64::INFINITY));
    }
}
