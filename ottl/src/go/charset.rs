//! Character sets by the names that contrib takes: IANA's, and a few of its own.
//!
//! The IBM code pages other than 866 and HZ-GB-2312 are not there: encoding_rs has no tables for them.

use std::borrow::Cow;

use encoding_rs::{
    BIG5, EUC_JP, EUC_KR, Encoding, GB18030, GBK, IBM866, ISO_2022_JP, ISO_8859_2, ISO_8859_3, ISO_8859_4, ISO_8859_5,
    ISO_8859_6, ISO_8859_7, ISO_8859_8, ISO_8859_10, ISO_8859_13, ISO_8859_14, ISO_8859_15, ISO_8859_16, KOI8_R,
    KOI8_U, MACINTOSH, SHIFT_JIS, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_874, WINDOWS_1250, WINDOWS_1251, WINDOWS_1252,
    WINDOWS_1253, WINDOWS_1254, WINDOWS_1255, WINDOWS_1256, WINDOWS_1257, WINDOWS_1258,
};

/// A character set.
#[derive(Clone, Copy, Debug)]
pub enum Charset {
    /// Bytes stay as they are.
    Raw,
    /// ISO 8859-1, which web browsers read as something else.
    Latin1,
    /// ISO 8859-9, likewise.
    Latin5,
    /// As browsers read it.
    Web(&'static Encoding),
}

/// Names in lower case. `utf-16` is little-endian whatever its byte order mark says, as contrib overrides it.
static NAMES: &[(&Encoding, &[&str])] = &[
    (UTF_16BE, &["csutf16be", "utf-16be"]),
    (UTF_16LE, &["csutf16le", "utf-16le", "utf-16", "utf16"]),
    (
        UTF_8,
        &[
            "csutf8",
            "utf-8",
            "utf8",
            "ascii",
            "us-ascii",
            "ansi_x3.4-1968",
            "ansi_x3.4-1986",
            "cp367",
            "csascii",
            "ibm367",
            "iso-ir-6",
            "iso646-us",
            "iso_646.irv:1991",
            "us",
        ],
    ),
    (ISO_8859_2, &["csisolatin2", "iso-8859-2", "iso-ir-101", "iso_8859-2", "iso_8859-2:1987", "l2", "latin2"]),
    (ISO_8859_3, &["csisolatin3", "iso-8859-3", "iso-ir-109", "iso_8859-3", "iso_8859-3:1988", "l3", "latin3"]),
    (ISO_8859_4, &["csisolatin4", "iso-8859-4", "iso-ir-110", "iso_8859-4", "iso_8859-4:1988", "l4", "latin4"]),
    (ISO_8859_5, &["csisolatincyrillic", "cyrillic", "iso-8859-5", "iso-ir-144", "iso_8859-5", "iso_8859-5:1988"]),
    (
        ISO_8859_6,
        &[
            "csisolatinarabic",
            "arabic",
            "asmo-708",
            "ecma-114",
            "iso-8859-6",
            "iso-ir-127",
            "iso_8859-6",
            "iso_8859-6:1987",
            "csiso88596e",
            "iso-8859-6-e",
            "iso_8859-6-e",
            "csiso88596i",
            "iso-8859-6-i",
            "iso_8859-6-i",
        ],
    ),
    (
        ISO_8859_7,
        &[
            "csisolatingreek",
            "ecma-118",
            "elot_928",
            "greek",
            "greek8",
            "iso-8859-7",
            "iso-ir-126",
            "iso_8859-7",
            "iso_8859-7:1987",
        ],
    ),
    (
        ISO_8859_8,
        &[
            "csisolatinhebrew",
            "hebrew",
            "iso-8859-8",
            "iso-ir-138",
            "iso_8859-8",
            "iso_8859-8:1988",
            "csiso88598e",
            "iso-8859-8-e",
            "iso_8859-8-e",
            "csiso88598i",
            "iso-8859-8-i",
            "iso_8859-8-i",
        ],
    ),
    (ISO_8859_10, &["csisolatin6", "iso-8859-10", "iso-ir-157", "iso_8859-10:1992", "l6", "latin6"]),
    (ISO_8859_13, &["csiso885913", "iso-8859-13"]),
    (
        ISO_8859_14,
        &["csiso885914", "iso-8859-14", "iso-celtic", "iso-ir-199", "iso_8859-14", "iso_8859-14:1998", "l8", "latin8"],
    ),
    (ISO_8859_15, &["csiso885915", "iso-8859-15", "iso_8859-15", "latin-9"]),
    (ISO_8859_16, &["csiso885916", "iso-8859-16", "iso-ir-226", "iso_8859-16", "iso_8859-16:2001", "l10", "latin10"]),
    (SHIFT_JIS, &["csshiftjis", "ms_kanji", "shift_jis"]),
    (EUC_JP, &["cseucpkdfmtjapanese", "euc-jp", "extended_unix_code_packed_format_for_japanese"]),
    (EUC_KR, &["cseuckr", "euc-kr"]),
    (ISO_2022_JP, &["csiso2022jp", "iso-2022-jp"]),
    (GBK, &["cp936", "csgbk", "gbk", "ms936", "windows-936"]),
    (GB18030, &["csgb18030", "gb18030"]),
    (BIG5, &["big5", "csbig5"]),
    (MACINTOSH, &["csmacintosh", "mac", "macintosh"]),
    (KOI8_R, &["cskoi8r", "koi8-r"]),
    (KOI8_U, &["cskoi8u", "koi8-u"]),
    (IBM866, &["866", "cp866", "csibm866", "ibm866"]),
    (WINDOWS_874, &["cswindows874", "windows-874"]),
    (WINDOWS_1250, &["cswindows1250", "windows-1250"]),
    (WINDOWS_1251, &["cswindows1251", "windows-1251"]),
    (WINDOWS_1252, &["cswindows1252", "windows-1252"]),
    (WINDOWS_1253, &["cswindows1253", "windows-1253"]),
    (WINDOWS_1254, &["cswindows1254", "windows-1254"]),
    (WINDOWS_1255, &["cswindows1255", "windows-1255"]),
    (WINDOWS_1256, &["cswindows1256", "windows-1256"]),
    (WINDOWS_1257, &["cswindows1257", "windows-1257"]),
    (WINDOWS_1258, &["cswindows1258", "windows-1258"]),
];

const LATIN1_NAMES: &[&str] =
    &["cp819", "csisolatin1", "ibm819", "iso-8859-1", "iso-ir-100", "iso_8859-1", "iso_8859-1:1987", "l1", "latin1"];
const LATIN5_NAMES: &[&str] =
    &["csisolatin5", "iso-8859-9", "iso-ir-148", "iso_8859-9", "iso_8859-9:1989", "l5", "latin5"];

impl Charset {
    /// The character set of that name, in any case.
    pub fn find(name: &str) -> Option<Charset> {
        let name = name.to_lowercase();
        // Upstream trims names it looks up at IANA, but not those of its own.
        match (name.as_str(), name.trim()) {
            ("nop" | "utf-8-raw" | "utf8-raw", _) => Some(Charset::Raw),
            ("", _) => Some(Charset::Web(UTF_8)),
            (_, name) if LATIN1_NAMES.contains(&name) => Some(Charset::Latin1),
            (_, name) if LATIN5_NAMES.contains(&name) => Some(Charset::Latin5),
            (_, name) => {
                NAMES.iter().find(|(_, names)| names.contains(&name)).map(|(encoding, _)| Charset::Web(encoding))
            }
        }
    }

    /// The text as UTF-8; what the character set does not have becomes U+FFFD.
    pub fn decode<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        // ISO character sets keep the C1 controls where the Windows ones have other characters.
        let with_controls = |encoding: &'static Encoding| {
            let mut out = String::with_capacity(text.len() + text.len() / 2);
            for byte in text {
                match byte {
                    0x80..=0x9f => out.push(char::from(*byte)),
                    byte => out.push_str(&encoding.decode_without_bom_handling(std::slice::from_ref(byte)).0),
                }
            }
            Cow::Owned(out.into_bytes())
        };
        match self {
            Charset::Raw => Cow::Borrowed(text),
            Charset::Latin1 => Cow::Owned(text.iter().map(|byte| char::from(*byte)).collect::<String>().into_bytes()),
            Charset::Latin5 => with_controls(WINDOWS_1254),
            Charset::Web(encoding) => {
                let decoded = encoding.decode_without_bom_handling(text).0;
                // Where Go's tables have gaps, those of browsers have controls, or private characters in East Asian sets.
                let gaps = match encoding.name() {
                    name if name.starts_with("windows-") || name.starts_with("ISO-8859-") => '\u{80}'..='\u{9f}',
                    "Shift_JIS" | "GBK" | "gb18030" => '\u{e000}'..='\u{f8ff}',
                    _ => '\u{fffd}'..='\u{fffd}',
                };
                if decoded.chars().any(|c| gaps.contains(&c)) {
                    return Cow::Owned(decoded.replace(|c| gaps.contains(&c), "\u{fffd}").into_bytes());
                }
                match decoded {
                    Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
                    Cow::Owned(text) => Cow::Owned(text.into_bytes()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, bytes: &[u8], expected: &str) {
        assert_eq!(Charset::find(name).unwrap().decode(bytes), expected.as_bytes(), "{name}");
    }

    #[test]
    fn decodes() {
        check("ISO-8859-1", b"\xe9\x80", "\u{e9}\u{80}");
        check("windows-1252", b"\x80\x81", "\u{20ac}\u{fffd}");
        check("utf-16", b"h\0\xff\xfe", "h\u{feff}");
        check("UTF-16BE", b"\0A", "A");
        check("utf-8", b"\xe2\x82\xffa", "\u{fffd}\u{fffd}a");
        check("us-ascii", b"hello", "hello");
        check("Shift_JIS", b"\x82\xa0", "\u{3042}");
        check("iso-8859-15", b"\x80\xa4", "\u{fffd}\u{20ac}");
        check("latin5", b"\xd0", "\u{11e}");
        assert_eq!(Charset::find("nop").unwrap().decode(b"\xff").as_ref(), b"\xff");
    }

    #[test]
    fn unknown_names() {
        for name in ["nope", "cp1252", "x-user-defined", "windows-31j", "gb2312"] {
            assert!(Charset::find(name).is_none(), "{name}");
        }
    }
}
