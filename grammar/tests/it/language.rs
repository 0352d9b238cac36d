//! What is accepted and what is not, against what the Go parser does.
//!
//! `observed.txt` holds expressions that were run through pkg/ottl v1.3.1, a line each: entry point, `+` or `-`, text.
//! `-` are those it refused for their syntax. What it refused for other reasons (unknown names, wrong arguments) is
//! `+` here, for this crate knows no names.

use grammar::{
    Code,
    ast::{BoolExpr, KeyKind, ValueKind},
    parse_condition, parse_statement, parse_value,
};

fn accepts(entry: &str, text: &str) -> bool {
    match entry {
        "condition" => parse_condition(text).is_ok(),
        "value" => parse_value(text).is_ok(),
        "statement" => parse_statement(text).is_ok(),
        other => panic!("no such entry point: {other}"),
    }
}

#[test]
fn observed_expressions() {
    let rows: Vec<_> = include_str!("observed.txt").lines().map(|row| row.splitn(3, ' ').collect::<Vec<_>>()).collect();
    assert!(rows.len() > 800);
    for row in rows {
        let [entry, expected, text] = row[..] else { panic!("{row:?}") };
        assert_eq!(accepts(entry, text), expected == "+", "{entry} {text}");
    }
}

/// One row for each sentence about tokens and syntax in the language's description.
#[test]
fn conditions() {
    let accepted = [
        // Numbers.
        "007 == 7",
        "1. == 1",
        ".5 == 0.5",
        "1.e5 == 1",
        "1.5E+3 == 1",
        "9223372036854775807 == 1",
        "1.0e-400 == 0.0",
        // Strings.
        "\"a\nb\" == \"a\\nb\"",
        "\"\t\" == \"\\t\"",
        r#""\a\b\f\n\r\t\v\\\"" == "\x41\101\u0041\U00000041""#,
        // White space: the five that Go's `\s` has.
        "\n name\n ==\t\"x\" \r\n",
        "\x0ctrue\x0c",
        // Keywords end at word boundaries of the remaining text.
        "1==1and 2==2",
        "1==1or 2==2",
        "name==\"x\"and true",
        "\"a\"==\"a\"and\"b\"==\"b\"",
        "not(true)or(true)",
        "nil_x == 1",
        "nilx == 1",
        "true_x == 1",
        "nottrue == 1",
        "order == android",
        "a.true_x == 1",
        // Names are glued without regard to white space.
        "Is Match(name, \"x\")",
        "Is\nMatch (name, \"x\")",
        "I s M a t c h(name)",
        "UUIDv7() == 1",
        "F(my Name = 1)",
        "F(name = 1, b = x)",
        // Paths.
        "resource . attributes [ \"x\" ] == 1",
        "where == 1",
        "where.where[\"where\"] == where",
        // Enums and function references.
        "FOO == 1",
        "Replace(a, SHA256)",
        "Replace(a, Sha256)",
        "Replace(a, function=Sha256)",
        // Signs.
        "-(1) == - 1",
        "+1 == 3*-5",
        "a-1 == a -1",
        "1 + + 1 == 2",
        // Groups.
        "(name) == \"x\"",
        "((1 + 2)) == 3",
        "(IsMatch(a)) and (true)",
        "(IsMatch(a)) == true",
        "not (not true)",
        "(((a == 1)))",
        // Keys.
        "x[-1] == 1",
        "x[+1] == 1",
        "x[0.0] == 1",
        "x[(1-1)] == 1",
        "x[Len(y) - 1] == 1",
        "x[y] == 1",
        "x[Y(z)] == 1",
        "F(x)[\"a\"][0] == 1",
        // Lists and maps.
        "[] == [1, [2], {}]",
        "{} == {\"a\": 1}",
        "{\"a\": 1,} == {\"a\": 1 \"b\": 2}",
        "{\"a\": 1, \"a\": 2} == nil",
        // Lambdas.
        "F(() => true)",
        "F((x) => x)",
        "F((x, _) => x == 1 or x == 2)",
        "F((x) => not x == 1, 2)",
        "F(f=(x) => {\"a\": x})",
        "F((x) => (x == 1))",
    ];
    let refused = [
        "",
        " \n",
        // Numbers.
        "1e5 == 1",
        "1_0 == 1",
        "9223372036854775808 == 1",
        "-9223372036854775808 == 1",
        "1.5e400 == 1",
        "0x == 1",
        "0x1 == 1",
        "0X01 == 1",
        "1..2 == 1",
        // Strings.
        "'a' == 1",
        "\"a == 1",
        "\"a\\\nb\" == 1",
        r#""\d" == 1"#,
        r#""\'" == 1"#,
        r#""\x4" == 1"#,
        r#""\400" == 1"#,
        r#""\08" == 1"#,
        r#""\uD800" == 1"#,
        r#""\U00110000" == 1"#,
        // White space that is none, and what no token begins with.
        "true\x0b",
        "true\u{a0}",
        "true # yes",
        "true // yes",
        "true;",
        "true & true",
        "a ! b",
        // Keywords.
        "1==1 and2==2",
        "nottrue",
        "true AND true",
        "Xor(a)",
        "nil.x == 1",
        "not == 1",
        "not not true",
        "true not true",
        // Names.
        "_x == 1",
        "_ == 1",
        "Foo == 1",
        "FOO bar == 1",
        "a.B == 1",
        "a.0 == 1",
        "F(Foo = 1)",
        // Signs and operands.
        "--1 == 1",
        "-+1 == 1",
        "-\"a\" == 1",
        "\"a\" + \"b\" == 1",
        "1 + nil == 1",
        "1 + FOO == 1",
        "[1] + 1 == 1",
        // Comparisons and groups.
        "a == b == c",
        "(1 == 1) == true",
        "(true) == true",
        "1 == (2 == 3)",
        "(\"a\") == \"a\"",
        "(nil) == nil",
        "([1]) == [1]",
        "(FOO) == 1",
        "a and b",
        "attributes[\"t\"]",
        "(a)",
        "-F()",
        "F() + 1",
        "1 =! 1",
        "1 = 1",
        // Keys.
        "x[1-1] == 1",
        "x[nil] == 1",
        "x[true] == 1",
        "x[FOO] == 1",
        "x[{}] == 1",
        "x[[1]] == 1",
        "x[0x01] == 1",
        "x[\"a\" + 1] == 1",
        "x[] == 1",
        "[1][0] == 1",
        "{\"a\": 1}[\"a\"] == 1",
        "FOO[0] == 1",
        // Lists, maps, arguments.
        "[1,] == 1",
        "[,] == 1",
        "[1 2] == 1",
        "[a == b] == 1",
        "{a: 1} == 1",
        "{,} == 1",
        "{\"a\"} == 1",
        "{\"a\": 1,,} == 1",
        "F(1,)",
        "F(,)",
        "F(1 2)",
        "F(a == 1)",
        "F(true and true)",
        // The Go parser looks at a token's text alone and takes these strings for punctuation. Nobody means that.
        "[\"a\" \",\" \"b\"] == 1",
        "\"(\" name \")\" == 1",
        // Lambdas.
        "(x) => x",
        "(x) => x == 1",
        "a == (x) => x",
        "F([(x) => x])",
        "F((x) => (y) => x)",
        "F((X) => 1)",
        "F((x,) => 1)",
        "F((_a) => 1)",
        "F((x) = > 1)",
        // Editors.
        "set(a, 1)",
        "set(a, 1) == 1",
        "a == set(a, 1)",
        "F(set(a, 1))",
        "x[set(a)] == 1",
        "true where true",
    ];
    for text in accepted {
        assert!(accepts("condition", text), "{text:?}: {:?}", parse_condition(text));
    }
    for text in refused {
        assert!(!accepts("condition", text), "{text:?}");
    }
}

#[test]
fn statements() {
    let accepted = [
        "set(name, \"x\")",
        "set(name, \"x\") where true",
        "set(name, \"x\")where(true)",
        "set(a, 1) where not a == 1",
        "set(a, 1) where where == where",
        "set(a, 1) whereX()",
        "myEditor()",
        "my Editor()",
    ];
    let refused = [
        "",
        "set",
        "set()()",
        "Set(name, \"x\")",
        "set(name, \"x\")[0]",
        "set(name, \"x\") where",
        "set(name, \"x\") where name",
        "set(name, \"x\") wherever == 1",
        "set(name, \"x\") true",
        "set(a, 1) set(b, 2)",
        "true",
        "a == 1",
    ];
    for text in accepted {
        assert!(accepts("statement", text), "{text:?}: {:?}", parse_statement(text));
    }
    for text in refused {
        assert!(!accepts("statement", text), "{text:?}");
    }
}

/// `where` counts as a keyword only as a whole token, and a name may follow without a space.
#[test]
fn where_is_a_token() {
    let statement = parse_statement("set(a, 1) whereX()").unwrap();
    assert_eq!(statement.to_string(), "set(a, 1) where X()");
}

#[test]
fn strings_mean_what_go_says() {
    let table = [
        (r#""""#, ""),
        (r#""\xff""#, "\u{ff}"),
        (r#""\377""#, "\u{ff}"),
        (r#""\x41\x4a""#, "AJ"),
        (r#""\1011""#, "A1"),
        (r#""\u00e9""#, "\u{e9}"),
        (r#""\U0001F600""#, "\u{1f600}"),
        (r#""\a\b\f\n\r\t\v""#, "\x07\x08\x0c\n\r\t\x0b"),
        (r#""\\d+\"""#, "\\d+\""),
        ("\"a\n\tb\"", "a\n\tb"),
        ("\"\u{e9}'/$#\"", "\u{e9}'/$#"),
    ];
    for (text, expected) in table {
        assert_eq!(parse_value(text).unwrap().kind, ValueKind::String(expected.to_owned()), "{text}");
    }
}

#[test]
fn numbers_mean_what_go_says() {
    let table = [
        ("007", ValueKind::Int(7)),
        ("9223372036854775807", ValueKind::Int(i64::MAX)),
        ("00009223372036854775807", ValueKind::Int(i64::MAX)),
        ("1.", ValueKind::Float(1.0)),
        (".5", ValueKind::Float(0.5)),
        ("1.e5", ValueKind::Float(100_000.0)),
        (".5E-1", ValueKind::Float(0.05)),
        ("1.0e-400", ValueKind::Float(0.0)),
        ("9007199254740993.0", ValueKind::Float(9_007_199_254_740_992.0)),
        ("0x00fF", ValueKind::Bytes(vec![0, 255])),
    ];
    for (text, expected) in table {
        assert_eq!(parse_value(text).unwrap().kind, expected, "{text}");
    }
}

#[test]
fn a_key_is_an_int_if_it_begins_with_one() {
    let key = |text: &str| match parse_value(text).unwrap().kind {
        ValueKind::Path(path) => path.segments[0].keys[0].kind.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(key("x[1]"), KeyKind::Int(1));
    assert_eq!(key("x[\"a\"]"), KeyKind::String("a".to_owned()));
    for text in ["x[(1)]", "x[+1]", "x[1.0]", "x[(1) - 1]"] {
        assert!(matches!(key(text), KeyKind::Expr(_)), "{text}");
    }
}

#[test]
fn parentheses_leave_no_node() {
    let plain = parse_condition("a == 1 and b == 2").unwrap();
    assert_eq!(parse_condition("((a) == (1)) and (b == 2)").unwrap(), plain);
    assert!(
        matches!(parse_condition("a == 1 and (b == 2 and c == 3)").unwrap(), BoolExpr::And(list) if list.len() == 2)
    );
}

/// All mistakes that do not hide each other are told, in the order of the text.
#[test]
fn mistakes_are_collected() {
    let codes = |text| parse_condition(text).unwrap_err().iter().map(|error| error.code).collect::<Vec<_>>();
    assert_eq!(codes("a = 1 && name == 'pay'"), [Code::Unexpected, Code::StrayCharacter, Code::StrayCharacter]);
    assert_eq!(codes("a && b || c"), [Code::StrayCharacter; 2]);
    assert_eq!(
        codes(r#"a and "\q" == 1 and set(b) and ("x") == 9223372036854775808"#),
        [Code::NotACondition, Code::BadEscape, Code::EditorAsValue, Code::GroupedLiteral, Code::IntRange,]
    );
}

#[test]
fn codes_have_their_own_numbers() {
    let numbers: Vec<u16> = Code::ALL.iter().map(|code| code.number()).collect();
    assert!(
        numbers.windows(2).all(|pair| pair[0] < pair[1]) && numbers.iter().all(|number| (101..200).contains(number))
    );
}
