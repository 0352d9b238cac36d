//! Random calls of every converter: mostly with arguments of the right types, sometimes not, and with texts of the forms
//! that its body reads.

use super::{Random, attribute_path, literal, number, quoted, text, time, value};

/// What stands in an argument's place.
enum Arg {
    /// A text, often one of these.
    Text(&'static [&'static str]),
    /// One of these string literals.
    Literal(&'static [&'static str]),
    /// One of these, as it is.
    Verbatim(&'static [&'static str]),
    Number,
    Time,
    Duration,
    Map,
    List,
    /// A list literal of scalars.
    Scalars,
    Any,
}

use Arg::{Any, Duration, List, Literal, Map, Number, Scalars, Text, Time, Verbatim};

const DURATIONS: &[&str] = &[
    "1h",
    "1h30m",
    "-1.5s",
    "100ns",
    "1us",
    "1\u{b5}s",
    "0",
    "1d",
    "2562047h47m16.854775807s",
    "2562047h47m16.854775808s",
    "9999999h",
    ".5s",
    "1.s",
    "+1s",
    "1h-1m",
    "1.0000000001s",
    "ms",
    "1 s",
    "-.0s",
    "-0",
];
const FORMATS: &[&str] = &[
    "%Y-%m-%d",
    "%Y-%m-%dT%H:%M:%S%z",
    "%d/%b/%Y:%H:%M:%S %z",
    "%A %d %B %Y",
    "%a %b %e %Y",
    "%Y %I:%M %p",
    "%Y-%m-%d %H:%M:%S.%f",
    "%Y-%m-%d %H:%M:%S.%L",
    "%F %T",
    "%D",
    "%y%m%d",
    "%Y %Z",
    "%Y%%",
    "%Y %q",
    "%",
    "%s",
    "%Y-%j",
    "%Y %g",
    "%i %Y",
    "%Y-%m-%dT%H:%M:%S%j",
    "%Y %l %k",
    "%c",
    "%Y-%o-%v",
    "%n%Y%t",
    "%h %Y %R",
    "%Y %U %w %u",
];
const TIMES: &[&str] = &[
    "2024-01-02",
    "2024-02-29",
    "2023-02-29",
    "2024-01-02T03:04:05Z",
    "2024-01-02T03:04:05+0530",
    "2024-01-02T03:04:05-07:00",
    "02/Jan/2024:03:04:05 +0100",
    "Monday 05 February 2024",
    "Mon Feb  5 2024",
    "2024 12:34 PM",
    "2024 00:34 AM",
    "2024-01-02 03:04:05.123456",
    "2024-01-02 03:04:05.123",
    "2024-01-02 03:04:05",
    "2024-01-02 03:04:05.123456789",
    "01/02/24",
    "240102",
    "690102",
    "2024 EST",
    "2024 UTC",
    "2024%",
    "2024-060",
    "2024-366",
    "Jan 2024 03:04",
    "0000-01-01",
    "9999-12-31",
    " 2024-01-02",
    "2024-01-02 ",
    "1700000000",
];
const ZONES: &[&str] = &[
    "America/New_York",
    "Europe/Berlin",
    "Asia/Kolkata",
    "UTC",
    "Local",
    "",
    "Nope/Zone",
    "Etc/GMT+5",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "america/new_york",
];
const LOCALES: &[&str] = &["en", "en-US", "de", "fr", "es-ES", "", "xx", "pt_BR"];
const JSONS: &[&str] = &[
    r#"{"a":1}"#,
    r#"{"a":1.0,"b":[1,2.5,null,true],"c":{"d":"e"}}"#,
    "[1,null]",
    "[]",
    "{}",
    "1",
    "null",
    "\"x\"",
    "{",
    r#"{"a":1,"a":2}"#,
    r#"{"n":12345678901234567890}"#,
    r#"{"n":9223372036854775807}"#,
    r#"{"n":1e400}"#,
    r#"{"u":"\u00e9\ud83d\ude00"}"#,
    r#"{"u":"\ud83d"}"#,
    r#" {"a" : [ 1 , 2 ] } "#,
    r#"{"a":1}x"#,
    r#"{"a":01}"#,
    r#"{"a":-0}"#,
    r#"[true,false,"a\nb"]"#,
    r#"{'a':1}"#,
    r#"[1,]"#,
];
const PAIRS: &[&str] = &[
    "a=1 b=2",
    "a=1,b=2",
    r#"a="x y" b='q'"#,
    "a:1;b:2",
    "a=1 b",
    "a==1",
    "=1",
    "",
    "a=1  b=2",
    r#"a="1"#,
    "k1=v1!!k2=v2",
    "a=\"\" b=",
    " a=1 ",
    "a=1=2",
];
const CSVS: &[&str] = &[
    "1,2",
    "1,2,3",
    r#""a,b",c"#,
    r#"a"b,c"#,
    r#""a"b,c"#,
    "",
    "a|b",
    "1\t2",
    " 1 , 2 ",
    r#""a""b",c"#,
    "a,b\nc,d",
    "\"a",
];
const HEADERS: &[&str] = &["a,b", "a", "a,b,c", "a|b", "a\tb", "", "a,a", " a,b"];
const URLS: &[&str] = &[
    "https://u:p@h.com:8080/p/a.txt?q=1#f",
    "http://h",
    "/just/path.tar.gz",
    "h.com/x",
    "http://[::1]:80/",
    "http://h:99999/",
    "http://h:/",
    "http://h:x/",
    "mailto:a@b",
    "http://a b/",
    "http://h/%zz",
    "http://h/%41?%41#%41",
    "",
    "//h/p",
    "http://u@h/",
    "http://h?x",
    "http://h#",
    "http://h?",
    ":x",
    "http://\u{e9}.com/\u{e9}",
    "http://h/a.b.c/",
    "1http://h",
    "http://%41/",
    "http://h/..",
];
const AGENTS: &[&str] = &[
    "curl/7.0",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 16_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.5 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:109.0) Gecko/20100101 Firefox/115.0",
    "Googlebot/2.1 (+http://www.google.com/bot.html)",
    "Go-http-client/1.1",
    "python-requests/2.31.0",
    "kube-probe/1.27",
    "",
    "x",
];
const XMLS: &[&str] = &[
    r#"<a b="1">t</a>"#,
    "<a/>",
    "<a><b>1</b><b>2</b></a>",
    "<a>x<b/>y</a>",
    "<a><![CDATA[<x>]]></a>",
    "<a><!-- c --></a>",
    r#"<?xml version="1.0"?><a/>"#,
    "<a>&lt;&amp;&#65;</a>",
    "<a",
    "",
    "text",
    r#"<n:a xmlns:n="u" n:b="1"/>"#,
    "<a><b x='1'/><c><b>2</b></c></a>",
    "<a> <b> x </b> </a>",
    "<a></b>",
    "<a/><b/>",
];
const XPATHS: &[&str] = &[
    "/a",
    "//b",
    "/a/b",
    "//@*",
    "/a/@b",
    "//text()",
    "/a/b[1]",
    "//b[@x='1']",
    "/",
    "a",
    "//*",
    "/a/b/text()",
    "//comment()",
];
const GROKS: &[&str] = &[
    "%{IP:ip}",
    "%{WORD:w} %{NUMBER:n:int}",
    "%{INT:i:int}",
    "%{NOTSPACE:a}",
    "%{GREEDYDATA:rest}",
    "(?P<x>a)",
    "%{NOPE:x}",
    "%{WORD}",
    "%{NUMBER:n:float}",
    "%{HOSTNAME:host.name}",
    "%{DATA:d}",
    "%{LOGLEVEL:l}",
];
const GROK_TEXTS: &[&str] = &["10.0.0.1", "GET 42", "ERROR x", "-7", "host-1.example.com", "3.5 abc", "a", ""];
const NAMED_PATTERNS: &[&str] = &[
    "(?P<l>[a-z])(?P<d>\\\\d)",
    "^(?P<first>\\\\w+)",
    "(?P<x>y)?(?P<z>.)",
    "(?<n>h)",
    "a",
    "(",
    "(?P<a>a)|(?P<b>b)",
    "(?i)(?P<g>GET)",
];
const CODES: &[&str] =
    &["base64", "base64-raw", "base64-url", "base64-raw-url", "utf-8", "utf8", "us-ascii", "ascii", "nope"];
const DECODES: &[&str] = &[
    "base64",
    "base64-raw",
    "base64-url",
    "base64-raw-url",
    "utf-8",
    "us-ascii",
    "utf-16",
    "utf-16le",
    "utf-16be",
    "iso-8859-1",
    "windows-1252",
    "shift_jis",
    "gbk",
    "nope",
];
const ENCODED: &[&str] = &["YQ==", "YQ", "4pyT", "_-8=", "+/8=", "a?", "", "YWJj\\nZA==", "!!"];
const LUHNS: &[&str] =
    &["17893729974", "4539 1488 0343 6467", "4539148803436467", "0", "", "abc", "1", "-18", "79927398713"];
const ADDRESSES: &[&str] = &[
    "10.0.0.1",
    "::ffff:10.0.0.1",
    "192.168.1.255",
    "fe80::1",
    "fe80::1%eth0",
    "x",
    "",
    "010.0.0.1",
    "1.2.3",
    "255.255.255.255",
];
const NETWORKS: &[&str] = &[
    r#"["10.0.0.0/8"]"#,
    r#"["192.168.0.0/16", "fe80::/10"]"#,
    r#"["::ffff:10.0.0.0/104"]"#,
    r#"["10.0.0.1"]"#,
    r#"["10.0.0.1/33"]"#,
    "[]",
    r#"["0.0.0.0/0", "::/0"]"#,
];
const NUMBERS: &[&str] =
    &["42", "0x1f", "ff", "-7", "+5", "1_000", "0b11", "0o17", "", "zz", "9223372036854775808", "1e3", " 1"];
const IDS: &[&str] = &[
    "0x0102030405060708090a0b0c0d0e0f10",
    "0x0102030405060708",
    "\"0102030405060708090a0b0c0d0e0f10\"",
    "\"0102030405060708\"",
    "\"zz\"",
    "\"\"",
    "attributes[\"bytes\"]",
    "42",
    "0x00000000000000000000000000000000",
];
const VERBS: &[&str] = &[
    "%s", "%d", "%v", "%q", "%x", "%X", "%5d|", "%-5s|", "%05d", "%.2f", "%e", "%g", "%t", "%T", "%+d", "%#x", "%%",
    "%c", "%U", "%b", "%o", "%O", "%!", "%[1]d", "%[3]s", "%*d", "%6.2f|", "% d", "%+v", "%#v", "%z", "100%",
];
const SEVERITIES: &[&str] = &[
    r#"{"info": ["inf", 1], "error": [{"min": 400, "max": 499}]}"#,
    r#"{"info":[{"range":"2xx"}]}"#,
    r#"{"warn": [3, "w"], "error": [{"equals": ["err", 5]}]}"#,
    "{}",
    r#"{"a": "b"}"#,
    r#"{"info": []}"#,
];

/// Converters and their arguments; those behind the first number are optional.
const CONVERTERS: &[(&str, usize, &[Arg])] = &[
    ("HasPrefix", 2, &[Text(&[]), Text(&[])]),
    ("HasSuffix", 2, &[Text(&[]), Text(&[])]),
    ("TrimPrefix", 2, &[Text(&[]), Text(&["a", "h"])]),
    ("TrimSuffix", 2, &[Text(&[]), Text(&["b", "o"])]),
    ("Day", 1, &[Time]),
    ("Hour", 1, &[Time]),
    ("Minute", 1, &[Time]),
    ("Month", 1, &[Time]),
    ("Nanosecond", 1, &[Time]),
    ("Second", 1, &[Time]),
    ("UnixMicro", 1, &[Time]),
    ("UnixMilli", 1, &[Time]),
    ("UnixNano", 1, &[Time]),
    ("UnixSeconds", 1, &[Time]),
    ("Weekday", 1, &[Time]),
    ("Year", 1, &[Time]),
    ("ConvertCase", 2, &[Text(CASED), Literal(&["upper", "lower", "snake", "camel", "UPPER", "title"])]),
    ("ToCamelCase", 1, &[Text(CASED)]),
    ("ToLowerCase", 1, &[Text(CASED)]),
    ("ToSnakeCase", 1, &[Text(CASED)]),
    ("ToUpperCase", 1, &[Text(CASED)]),
    ("Coalesce", 1, &[List]),
    (
        "CommunityID",
        4,
        &[
            Text(ADDRESSES),
            Number,
            Text(ADDRESSES),
            Number,
            Text(&["TCP", "UDP", "icmp", "SCTP", "x"]),
            Verbatim(&["0", "1", "65535", "65536", "-1"]),
        ],
    ),
    ("Concat", 2, &[List, Text(&["-", ""])]),
    ("ContainsValue", 2, &[List, Any]),
    ("Index", 2, &[Any, Any]),
    ("Index", 2, &[Text(&[]), Text(&[])]),
    ("Base64Encode", 1, &[Text(&[]), Literal(CODES)]),
    ("Decode", 2, &[Text(ENCODED), Literal(DECODES)]),
    (
        "Decode",
        2,
        &[Verbatim(&["0xe9", "0x41fe", "0x82a0", "0xfffe4100", "0xc3a9", "attributes[\"bytes\"]"]), Literal(DECODES)],
    ),
    ("Duration", 1, &[Text(DURATIONS)]),
    ("Hours", 1, &[Duration]),
    ("Microseconds", 1, &[Duration]),
    ("Milliseconds", 1, &[Duration]),
    ("Minutes", 1, &[Duration]),
    ("Nanoseconds", 1, &[Duration]),
    ("Seconds", 1, &[Duration]),
    (
        "ExtractGrokPatterns",
        2,
        &[Text(GROK_TEXTS), Literal(GROKS), Verbatim(&["true", "false"]), Verbatim(&["[]", r#"["A=a+"]"#])],
    ),
    ("ExtractPatterns", 2, &[Text(&["a1", "x9"]), Verbatim(NAMED_PATTERNS)]),
    ("Format", 2, &[Literal(VERBS), Scalars]),
    ("Format", 2, &[Literal(VERBS), List]),
    ("FNV", 1, &[Text(&[])]),
    ("MD5", 1, &[Text(&[])]),
    ("Murmur3Hash", 1, &[Text(&[])]),
    ("Murmur3Hash128", 1, &[Text(&[])]),
    ("SHA1", 1, &[Text(&[])]),
    ("SHA256", 1, &[Text(&[])]),
    ("SHA512", 1, &[Text(&[])]),
    ("XXH128", 1, &[Text(&[])]),
    ("XXH3", 1, &[Text(&[])]),
    ("Hex", 1, &[Any]),
    ("SpanID", 1, &[Verbatim(IDS)]),
    ("TraceID", 1, &[Verbatim(IDS)]),
    ("TruncateTime", 2, &[Time, Duration]),
    ("Unix", 1, &[Number, Number]),
    ("IsEmpty", 1, &[Any]),
    ("IsInCIDR", 2, &[Text(ADDRESSES), Verbatim(NETWORKS)]),
    ("IsMatch", 2, &[Any, Text(&["a", "^h", "1", "[[:alpha:]]"])]),
    ("IsBool", 1, &[Any]),
    ("IsDouble", 1, &[Any]),
    ("IsInt", 1, &[Any]),
    ("IsList", 1, &[Any]),
    ("IsMap", 1, &[Any]),
    ("IsString", 1, &[Any]),
    ("IsValidLuhn", 1, &[Text(LUHNS)]),
    ("Keys", 1, &[Map]),
    ("Values", 1, &[Map]),
    ("Len", 1, &[Any]),
    ("Bool", 1, &[Any]),
    ("Bool", 1, &[Text(&["T", "1", "yes", "FALSE", "tRue"])]),
    ("Double", 1, &[Any]),
    ("Double", 1, &[Text(NUMBERS)]),
    (
        "Double",
        1,
        &[Text(&["inf", "-Infinity", "nan", "0x1p-2", "1_0", ".5", "1e400", "1e-400", "1.7976931348623159e308"])],
    ),
    ("Int", 1, &[Any]),
    ("Int", 1, &[Text(NUMBERS)]),
    ("Log", 1, &[Any]),
    ("ParseInt", 2, &[Text(NUMBERS), Verbatim(&["10", "16", "0", "2", "36", "37", "1", "-1"])]),
    ("String", 1, &[Any]),
    (
        "ParseCSV",
        2,
        &[
            Text(CSVS),
            Text(HEADERS),
            Literal(&[",", "|", "\t", ";;", ""]),
            Verbatim(&["\",\"", "\"|\"", "\"\""]),
            Literal(&["strict", "lazyQuotes", "ignoreQuotes", "x"]),
        ],
    ),
    ("ParseJSON", 1, &[Text(JSONS)]),
    ("ParseKeyValue", 1, &[Text(PAIRS), Literal(&["=", ":", "==", ""]), Literal(&[" ", ",", ";", "!!", ""])]),
    ("ParseSeverity", 2, &[Any, Verbatim(SEVERITIES)]),
    (
        "SliceToMap",
        1,
        &[List, Verbatim(&[r#"["a"]"#, r#"["s"]"#, "[]", r#"["m","s"]"#]), Verbatim(&[r#"["a"]"#, r#"["n"]"#])],
    ),
    ("Sort", 1, &[List, Literal(&["asc", "desc", "up"])]),
    ("Split", 2, &[Text(&["a,b", "a b c", ""]), Text(&[",", "", " "])]),
    ("Substring", 3, &[Text(&["h\u{e9}llo", "abc"]), Number, Number, Verbatim(&["true", "false"])]),
    (
        "Substring",
        3,
        &[
            Text(&["h\u{e9}llo", "abc"]),
            Verbatim(&["0", "1", "2"]),
            Verbatim(&["1", "2", "3"]),
            Verbatim(&["true", "false"]),
        ],
    ),
    ("FormatTime", 2, &[Time, Literal(FORMATS)]),
    ("Time", 2, &[Text(TIMES), Literal(FORMATS), Literal(ZONES), Literal(LOCALES)]),
    ("ToKeyValueString", 1, &[Map, Literal(&["=", ":", "=="]), Literal(&[" ", ",", "!!"]), Verbatim(&["true"])]),
    ("Trim", 1, &[Text(&[" a ", "\t\u{a0}x "]), Text(&["a", " ", ""])]),
    ("URL", 1, &[Text(URLS)]),
    ("UserAgent", 1, &[Text(AGENTS)]),
    ("ConvertAttributesToElementsXML", 1, &[Text(XMLS), Literal(XPATHS)]),
    ("ConvertTextToElementsXML", 1, &[Text(XMLS), Literal(XPATHS), Literal(&["v", "1x", ""])]),
    ("GetXML", 2, &[Text(XMLS), Literal(XPATHS)]),
    ("InsertXML", 3, &[Text(XMLS), Literal(XPATHS), Text(XMLS)]),
    ("ParseXML", 1, &[Text(XMLS)]),
    ("ParseSimplifiedXML", 1, &[Text(XMLS)]),
    ("RemoveXML", 2, &[Text(XMLS), Literal(XPATHS)]),
];

const CASED: &[&str] = &[
    "some_name-x y",
    "HTTPServer",
    "aB c",
    "With Space-dash.dot",
    "stra\u{df}e",
    "\u{1c6}",
    "XMLHttpRequest2",
    "__a__",
    "a1B2",
    "\u{e9}_a",
    "URL",
];

/// A call of some converter.
pub(super) fn call(random: &mut Random, context: &str, depth: usize) -> String {
    let (name, required, params) = &CONVERTERS[random.below(CONVERTERS.len())];
    let given = required + random.below(params.len() - required + 1);
    let mut arguments: Vec<String> =
        params.iter().take(given).map(|arg| argument(random, context, depth, arg)).collect();
    match random.below(60) {
        0 => drop(arguments.pop()),
        1 => arguments.push(value(random, context, 0)),
        2 => {
            let at = random.below(arguments.len());
            arguments[at] = value(random, context, depth);
        }
        _ => {}
    }
    let keys = match random.below(12) {
        0 => "[0]",
        1 => "[\"a\"]",
        _ => "",
    };
    format!("{name}({}){keys}", arguments.join(", "))
}

fn argument(random: &mut Random, context: &str, depth: usize, arg: &Arg) -> String {
    let below = depth.saturating_sub(1);
    if random.one_in(20) {
        return value(random, context, below);
    }
    match arg {
        Text(texts) => match random.below(6) {
            0 => text(random, context, below),
            1 => attribute_path(random, context),
            // What is computed is converted when the condition runs, with errors then.
            2 | 3 if !texts.is_empty() => format!("Concat([{}], \"\")", quoted(random.pick(texts))),
            _ if !texts.is_empty() => quoted(random.pick(texts)),
            _ => quoted(random.pick(super::WORDS)),
        },
        Literal(texts) => quoted(random.pick(texts)),
        Verbatim(texts) => random.pick(texts).to_owned(),
        Number => number(random, context, below),
        Time => match random.below(4) {
            0 => time(random, context, below),
            1 => format!("Unix({})", number(random, context, 0)),
            2 => format!("Time({}, \"%Y-%m-%d\")", quoted(random.pick(&["2024-01-02", "1969-12-31", "2024-02-29"]))),
            _ => format!("Time(\"2024-07-02\", \"%Y-%m-%d\", {})", quoted(random.pick(ZONES))),
        },
        Duration => match random.below(3) {
            0 => time(random, context, below),
            _ => format!("Duration({})", quoted(random.pick(DURATIONS))),
        },
        Map => match random.below(6) {
            0 => "attributes".to_owned(),
            1 => "resource.attributes".to_owned(),
            2 => attribute_path(random, context),
            3 => format!("ParseJSON({})", quoted(random.pick(JSONS))),
            4 => format!("{{\"a b\": {}}}", value(random, context, below)),
            _ => random.pick(&["{}", r#"{"b": "x=y"}"#, r#"{"a": {"b": 1.5}}"#, "URL(\"http://h:1/\")"]).to_owned(),
        },
        List => match random.below(7) {
            0 => attribute_path(random, context),
            1 => format!("Split({}, \",\")", quoted(random.pick(&["a,b", "b,a,c", ""]))),
            2 => "Keys(attributes)".to_owned(),
            3 => "Values(attributes)".to_owned(),
            4 => random
                .pick(&["[]", "[3, 1, 2]", "[1.5, 1, \"a\"]", "[true, false]", "[nil]", r#"[{"a": "x", "n": 1}]"#])
                .to_owned(),
            _ => format!("[{}, {}]", value(random, context, below), value(random, context, 0)),
        },
        Scalars => {
            let word = format!("Concat([{}], \"\")", quoted(random.pick(super::WORDS)));
            format!("[{}, {word}]", literal(random))
        }
        Any => match random.below(8) {
            0 => call(random, context, below),
            1 => "attributes".to_owned(),
            _ => value(random, context, below),
        },
    }
}

/// A text with a character or a token taken out, put in or written twice: mostly refused, sometimes still a condition.
pub(super) fn damaged(random: &mut Random, text: &str) -> String {
    let pieces: Vec<&str> = text.split_inclusive([' ', '(', ')', ',', '[', ']', '.', '"']).collect();
    let at = random.below(pieces.len().max(1));
    let inserted = random.pick(&[
        "(", ")", "[", "]", "{", "}", ",", ".", "\"", "not ", "and ", "or ", "==", "=", "nil", "true", "-", "+", "*",
        "/", "0x", "1", "1.", "a", "A", "_", "\\\\", "\n", "\t", ":", "=>", "!", "where ", "\u{e9}", " ", "<", "#",
    ]);
    let mut out = String::new();
    for (place, piece) in pieces.iter().enumerate() {
        match (place == at, random.below(4)) {
            (true, 0) => {}
            (true, 1) => out.extend([*piece, *piece]),
            (true, 2) => out.extend([*piece, inserted]),
            (true, _) => out.extend([inserted, *piece]),
            (false, _) => out += piece,
        }
    }
    out
}
