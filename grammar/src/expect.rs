//! From the rules that failed furthest to a sentence: expected this, found that.

use pest::error::{ErrorVariant, InputLocation};

use crate::{
    error::{Code, Error},
    hint::{Around, CALL, OPERATOR, VALUE},
    parse::{Limits, Rule},
    span::Span,
};

/// Explains why the grammar refused a text.
pub(crate) fn explain(text: &str, limits: &Limits, failure: &pest::error::Error<Rule>) -> Error {
    let place = match failure.location {
        InputLocation::Pos(at) | InputLocation::Span((at, _)) => at,
    };
    let rules = match &failure.variant {
        ErrorVariant::ParsingError { positives, .. } => positives.as_slice(),
        // The only error of another kind is pest's own guard of the stack, for threads with a very small one.
        ErrorVariant::CustomError { message } => {
            let message =
                format!("nested too deeply for this thread's stack, within {} levels: {message}", limits.nesting);
            return Error::new(Code::NestingLimit, Span::new(place, place), message);
        }
    };
    let around = Around::new(text, place);
    let expected = expectations(rules);
    let (code, span) = match around.here {
        Some(lexeme) => (Code::Unexpected, lexeme.span()),
        None => (Code::UnexpectedEnd, Span::new(text.trim_end().len(), text.trim_end().len())),
    };
    let message = match expected.is_empty() {
        true => format!("unexpected {}", around.found()),
        false => format!("expected {}, found {}", alternatives(&expected), around.found()),
    };
    let mut error = Error::new(code, span, message);
    error.hint = around.hint(&expected);
    error.expected = expected;
    error
}

/// What the rules are called, each once, the general ones in place of their parts.
fn expectations(rules: &[Rule]) -> Vec<&'static str> {
    let mut found: Vec<&'static str> = Vec::new();
    let has = |rule| rules.contains(&rule);
    let condition = [Rule::bool_expr, Rule::term, Rule::bool_val].into_iter().any(has);
    // Only values begin with `nil`, so its failure stands for them all; a key takes fewer.
    let value = !condition && (has(Rule::nil) || has(Rule::comparison));
    let operand = [Rule::math, Rule::add_term, Rule::math_val, Rule::float, Rule::group].into_iter().any(has);
    let add = |found: &mut Vec<&'static str>, what| {
        if !found.contains(&what) {
            found.push(what);
        }
    };
    if condition {
        add(&mut found, "a condition");
    } else if value {
        add(&mut found, VALUE);
    } else {
        if has(Rule::string) || has(Rule::entry) {
            add(&mut found, "a string");
        }
        if operand {
            add(&mut found, "a number, a path or a call");
        }
    }
    for rule in rules {
        let what = match rule {
            Rule::compare_op => OPERATOR,
            Rule::and => "`and`",
            Rule::or => "`or`",
            Rule::comma => "`,`",
            Rule::colon => "`:`",
            Rule::close_paren => "`)`",
            Rule::close_bracket => "`]`",
            Rule::close_brace => "`}`",
            Rule::arrow => "`=>`",
            Rule::where_word => "`where`",
            Rule::param if !value && !condition => "a parameter",
            Rule::call | Rule::uname_of_call | Rule::lname_of_call if !value && !condition && !operand => CALL,
            Rule::field | Rule::lowercase if !value && !condition && !operand => "a name",
            _ => continue,
        };
        add(&mut found, what);
    }
    if has(Rule::EOI) {
        add(&mut found, "the end");
    }
    // More keys and more arithmetic are possible nearly everywhere; they are told where nothing else would do.
    if found.is_empty() {
        if has(Rule::add_sub) || has(Rule::mult_div) {
            add(&mut found, OPERATOR);
        }
        if has(Rule::key) {
            add(&mut found, "`[`");
        }
    }
    found
}

/// `a`, `a or b`, `a, b or c`.
fn alternatives(expected: &[&'static str]) -> String {
    match expected {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
