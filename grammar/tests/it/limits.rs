//! Whatever a text looks like, the answer comes quickly and without a deep stack.

use grammar::{
    Code, Limits, dump, parse_condition, parse_condition_within, parse_statement, parse_value, parse_value_within,
};

/// The first error's code from each entry point.
fn codes(text: &str) -> [Code; 3] {
    [
        parse_condition(text).unwrap_err()[0].code,
        parse_value(text).unwrap_err()[0].code,
        parse_statement(text).unwrap_err()[0].code,
    ]
}

#[test]
fn deep_nesting_has_its_own_error() {
    const N: usize = 100_000;
    let openings =
        ["(", "[", "{\"a\":", "not (", "-(", "a[", "F(", "F([{\"k\":(", "(x) => ", "F((x) => ", "1 + ", "1 * -"];
    for opening in openings {
        for closing in ["", ")", "]"] {
            let text = format!("{}1{}", opening.repeat(N / opening.len()), closing.repeat(N / opening.len()));
            assert_eq!(codes(&text), [Code::NestingLimit; 3], "{opening} {closing}");
        }
    }
}

#[test]
fn what_does_not_nest_is_not_counted() {
    for text in ["not ", "- ", "+", "not", "a.", "a ", "A b", "\"", "0x", ".", ",", "=", "==", ")", "]", "}"] {
        // Whether these are refused is not the point here: only that nothing recurses.
        let long = text.repeat(50_000);
        let _ = (parse_condition(&long), parse_value(&long), parse_statement(&long));
    }
    let many = "1 == 1 + 1 and ".repeat(5_000) + "true";
    assert!(parse_condition(&many).is_ok());
    let list = format!("[{}]", "-1, ".repeat(5_000) + "2");
    assert!(parse_value(&list).is_ok());
    let map = format!("{{{}}}", "\"a\": 1 + 1 ".repeat(5_000));
    assert!(parse_value(&map).is_ok());
}

#[test]
fn nesting_up_to_the_limit_is_read() {
    let levels = Limits::default().nesting;
    let nested =
        |open: &str, inner: &str, close: &str, n: usize| format!("{}{inner}{}", open.repeat(n), close.repeat(n));
    assert!(parse_condition(&nested("(", "1 == 1", ")", levels)).is_ok());
    assert!(parse_condition(&nested("not (", "true", ")", levels)).is_ok());
    assert!(parse_value(&nested("(", "a", ")", levels)).is_ok());
    assert!(parse_value(&nested("[", "a", "]", levels)).is_ok());
    assert!(parse_value(&nested("a[", "b", "]", levels)).is_ok());
    assert!(parse_value(&nested("F(", "a", ")", levels)).is_ok());
    assert!(parse_value(&nested("{\"a\":", "nil", "}", levels)).is_ok());
    assert!(parse_value(&nested("F((x) => ", "true", ")", levels / 2)).is_ok());
    assert!(parse_value(&("1 + ".repeat(levels) + "1")).is_ok());
    assert!(parse_condition(&nested("(", "1 == 1", ")", levels + 1)).is_err());
}

#[test]
fn limits_can_be_set() {
    let narrow = Limits { length: 20, nesting: 2 };
    assert!(parse_condition_within("((1 == 1))", &narrow).is_ok());
    let code = |text| parse_condition_within(text, &narrow).unwrap_err()[0].code;
    assert_eq!(code("(((1 == 1)))"), Code::NestingLimit);
    assert_eq!(code("1 == 11111111111111111"), Code::LengthLimit);
}

/// Whatever limit a caller sets, and however small a thread's stack is.
#[test]
fn no_limit_overflows_the_stack() {
    let endless = Limits { length: usize::MAX, nesting: usize::MAX };
    let texts = [("(", ")"), ("[", "]"), ("a[", "]"), ("F(", ")"), ("F(() => ", ")"), ("-(", ")"), ("1 + ", "")];
    for (open, close) in texts {
        for n in [50, 100, 200, 500, 1_000, 100_000] {
            let text = format!("{}1{}", open.repeat(n), close.repeat(n));
            for stack in [256 * 1024, 2 * 1024 * 1024] {
                let text = text.clone();
                // A sum of a thousand parts needs the stack that `Limits::DEEPEST` promises to suffice.
                if close.is_empty() && stack < 2 * 1024 * 1024 && n > 100 {
                    continue;
                }
                let walk = move || match parse_value_within(&text, &endless) {
                    Ok(tree) => assert!(!tree.to_string().is_empty() && !dump::value(&tree.clone()).is_empty()),
                    Err(errors) => assert_eq!(errors[0].code, Code::NestingLimit),
                };
                std::thread::Builder::new().stack_size(stack).spawn(walk).unwrap().join().unwrap();
            }
        }
    }
}

/// Readings that a parser which tries one alternative after the other would repeat at every level.
#[test]
fn ambiguous_beginnings_are_read_once() {
    let levels = 24;
    let texts = [
        format!("{}1 == 1{}", "(".repeat(90), ")".repeat(90)),
        format!("{}a{} == 1", "F(".repeat(90), ")".repeat(90)),
        format!("{}true{}", "(F((x) => ".repeat(levels), ") == 1)".repeat(levels)),
        format!("{}true{}", "F((x) => (".repeat(levels), ") and true) == 1".repeat(levels)),
        format!("{}1{} == 1", "F(x = [{\"k\": a[".repeat(levels), "] + 1}])".repeat(levels)),
    ];
    for text in texts {
        assert!(parse_condition(&text).is_ok(), "{text}");
    }
}
