//! From the rules that failed furthest to a sentence: expected this, found that.

use pest::error::{ErrorVariant, InputLocation};

use crate::{
    error::{Code, Error},
    hint::{ARITHMETIC, Around, CONDITION, OPERAND, OPERATOR, STRING, VALUE},
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
    let any = |wanted: &[Rule]| wanted.iter().any(|rule| rules.contains(rule));
    let condition = any(&[Rule::condition, Rule::bool_expr, Rule::term, Rule::bool_val]);
    // Only values begin with `nil`, so its failure stands for them all; a key takes fewer.
    let value = any(&[Rule::nil, Rule::comparison, Rule::value_expression, Rule::arg]);
    let math = any(&[Rule::math, Rule::add_term, Rule::math_val, Rule::float, Rule::group]);
    let call = any(&[Rule::statement, Rule::call, Rule::uname_of_call, Rule::lname_of_call]);
    let mut found = Vec::new();
    if condition {
        found.push(CONDITION);
    } else if value {
        found.push(VALUE);
    } else {
        let string = any(&[Rule::string, Rule::entry]);
        found.extend(string.then_some(STRING));
        if math && string {
            found.extend(["an int", ARITHMETIC]);
        } else if math {
            found.push(OPERAND);
        } else {
            found.extend(call.then_some("an editor call"));
            found.extend(any(&[Rule::field, Rule::lowercase]).then_some("a name"));
            found.extend(any(&[Rule::param]).then_some("a parameter"));
        }
    }
    let tokens = [
        (Rule::compare_op, OPERATOR),
        (Rule::and, "`and`"),
        (Rule::or, "`or`"),
        (Rule::comma, "`,`"),
        (Rule::colon, "`:`"),
        (Rule::arrow, "`=>`"),
        (Rule::where_word, "`where`"),
        (Rule::close_paren, "`)`"),
        (Rule::close_bracket, "`]`"),
        (Rule::close_brace, "`}`"),
        (Rule::EOI, "the end"),
    ];
    found.extend(tokens.into_iter().filter(|(rule, _)| rules.contains(rule)).map(|(_, what)| what));
    // More keys and more arithmetic are possible nearly everywhere; they are told where nothing else would do.
    if found.is_empty() && any(&[Rule::add_sub, Rule::mult_div]) {
        found.push(OPERATOR);
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
