//! Any text is answered by every entry point: a tree that prints and parses back to itself, or errors that can be shown.
//! Shared by the fuzz target `parse` and the bounded run `ottl/examples/fuzz`.

use std::fmt::{Debug, Display};

use grammar::{Error, parse_condition, parse_statement, parse_value, render::Style};

pub(crate) fn check(text: &str) {
    entry(text, parse_condition);
    entry(text, parse_value);
    entry(text, parse_statement);
}

fn entry<T: Debug + Display + PartialEq>(text: &str, parse: fn(&str) -> Result<T, Vec<Error>>) {
    match parse(text) {
        Ok(tree) => {
            let printed = tree.to_string();
            // What is printed may be longer than the limit on texts, and may have more parentheses than the limit.
            if let Ok(again) = parse(&printed) {
                assert_eq!(again, tree, "{text:?} printed as {printed:?}");
            }
        }
        Err(errors) => {
            assert!(!errors.is_empty());
            for error in errors {
                assert!(!error.render(text, Style::Plain).is_empty());
                assert!(!error.one_line(text).is_empty());
            }
        }
    }
}
