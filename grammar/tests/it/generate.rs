//! Random trees of everything the language can say, and random texts near it.

use grammar::{
    ast::{
        Arg, BoolExpr, Call, CompareOp, Comparison, Key, KeyKind, Lambda, LambdaBody, MathOp, Path, Root, Segment,
        Sign, Statement, Value, ValueKind,
    },
    span::{Span, Spanned},
};
use proptest::prelude::*;

fn at<T>(node: T) -> Spanned<T> {
    Spanned::new(node, Span::default())
}

fn value_of(kind: ValueKind) -> Value {
    Value { kind, span: Span::default() }
}

const KEYWORDS: [&str; 6] = ["nil", "not", "or", "and", "true", "false"];

/// A name of a path or a parameter.
fn lower() -> BoxedStrategy<String> {
    "[a-z][a-z0-9_]{0,6}".prop_filter("keywords are no names", |name| !KEYWORDS.contains(&name.as_str())).boxed()
}

/// A run of upper case that hides a keyword behind it would be cut there: `Xor`, `V6nil`.
fn cut_by_keyword(name: &str) -> bool {
    // Only the last run of lower case ends at a word boundary. Digits before it belong to the run of upper case.
    let rest = name.rsplit(|c: char| c.is_ascii_uppercase()).next().unwrap_or(name);
    KEYWORDS.contains(&rest.trim_start_matches(|c: char| c.is_ascii_digit()))
}

fn upper_name() -> BoxedStrategy<String> {
    "[A-Z][A-Za-z0-9]{0,6}".prop_filter("keywords cut names", |name| !cut_by_keyword(name)).boxed()
}

fn lower_name() -> BoxedStrategy<String> {
    "[a-z][a-zA-Z0-9]{0,6}".prop_filter("keywords cut names", |name| !cut_by_keyword(name)).boxed()
}

fn text() -> BoxedStrategy<String> {
    prop_oneof![any::<String>(), "[a-z\\\\\"'$\n\t]{0,8}"].boxed()
}

fn scalar() -> BoxedStrategy<ValueKind> {
    prop_oneof![
        Just(ValueKind::Nil),
        any::<bool>().prop_map(ValueKind::Bool),
        text().prop_map(ValueKind::String),
        proptest::collection::vec(any::<u8>(), 1..5).prop_map(ValueKind::Bytes),
        "[A-Z][A-Z0-9_]{0,6}".prop_map(ValueKind::Enum),
    ]
    .boxed()
}

fn number() -> BoxedStrategy<ValueKind> {
    prop_oneof![
        (0..=i64::MAX).prop_map(ValueKind::Int),
        (0..10_i64).prop_map(ValueKind::Int),
        prop::num::f64::POSITIVE.prop_filter("finite", |number| number.is_finite()).prop_map(ValueKind::Float),
        (prop::num::f64::NORMAL).prop_map(|number| ValueKind::Float(number.abs())),
    ]
    .boxed()
}

/// The four kinds of trees that contain each other, `depth` levels deep.
struct Level {
    /// What arithmetic takes, and arithmetic.
    math: BoxedStrategy<Value>,
    value: BoxedStrategy<Value>,
    editor: BoxedStrategy<Call>,
    condition: BoxedStrategy<BoolExpr>,
}

fn level(depth: u32) -> Level {
    let below = (depth > 0).then(|| level(depth - 1));

    let math_below = below.as_ref().map(|below| below.math.clone());
    let key = {
        let literal = prop_oneof![text().prop_map(KeyKind::String), (0..i64::MAX).prop_map(KeyKind::Int)].boxed();
        let kind = match &math_below {
            Some(math) => {
                prop_oneof![3 => literal, 1 => math.clone().prop_map(|value| KeyKind::Expr(Box::new(value)))].boxed()
            }
            None => literal,
        };
        kind.prop_map(|kind| Key { kind, span: Span::default() })
    };
    let keys = proptest::collection::vec(key, 0..3).boxed();

    let segment = (lower(), keys.clone()).prop_map(|(name, keys)| Segment { name: at(name), keys });
    let path = proptest::collection::vec(segment, 1..4).prop_map(|segments| Path { segments, span: Span::default() });

    let args = match &below {
        Some(below) => {
            let bool_body = below
                .condition
                .clone()
                .prop_filter("a bare literal or call is a value", |condition| !matches!(condition, BoolExpr::Call(_)));
            let body =
                prop_oneof![below.value.clone().prop_map(LambdaBody::Value), bool_body.prop_map(LambdaBody::Condition)];
            let params = proptest::collection::vec(prop_oneof![lower(), Just("_".to_owned())], 0..3);
            let lambda = (params, body).prop_map(|(params, body)| {
                let params = params.into_iter().map(at).collect();
                ValueKind::Lambda(Box::new(Lambda { params, body }))
            });
            let function = upper_name()
                .prop_filter("all upper case is an enum", |name| name.contains(|c: char| c.is_ascii_lowercase()))
                .prop_map(ValueKind::FunctionRef);
            let value = prop_oneof![
                6 => below.value.clone(),
                1 => lambda.prop_map(value_of),
                1 => function.prop_map(value_of)
            ];
            let arg =
                (proptest::option::of(lower_name()), value).prop_map(|(name, value)| Arg { name: name.map(at), value });
            proptest::collection::vec(arg, 0..4).boxed()
        }
        None => Just(Vec::new()).boxed(),
    };
    let converter = (upper_name(), args.clone(), keys)
        .prop_map(|(name, args, keys)| Call { name: at(name), args, keys, span: Span::default() })
        .boxed();
    let editor = (lower_name(), args)
        .prop_map(|(name, args)| Call { name: at(name), args, keys: vec![], span: Span::default() })
        .boxed();

    let operand = prop_oneof![number(), path.prop_map(ValueKind::Path), converter.clone().prop_map(ValueKind::Call),]
        .prop_map(value_of)
        .boxed();
    let math = match &math_below {
        Some(below) => {
            let op = prop_oneof![Just(MathOp::Add), Just(MathOp::Sub), Just(MathOp::Mul), Just(MathOp::Div)];
            let sign = prop_oneof![Just(Sign::Plus), Just(Sign::Minus)];
            let binary = (below.clone(), op, below.clone())
                .prop_map(|(left, op, right)| ValueKind::Binary(Box::new(left), at(op), Box::new(right)));
            let unary = (sign, below.clone()).prop_map(|(sign, inner)| ValueKind::Unary(at(sign), Box::new(inner)));
            prop_oneof![3 => operand, 2 => binary.prop_map(value_of), 1 => unary.prop_map(value_of)].boxed()
        }
        None => operand,
    };

    let value = match &below {
        Some(below) => {
            let list = proptest::collection::vec(below.value.clone(), 0..4).prop_map(ValueKind::List);
            let entry = (text().prop_map(at), below.value.clone());
            let map = proptest::collection::vec(entry, 0..4).prop_map(ValueKind::Map);
            prop_oneof![
                3 => math.clone(),
                3 => scalar().prop_map(value_of),
                1 => list.prop_map(value_of),
                1 => map.prop_map(value_of)
            ]
            .boxed()
        }
        None => prop_oneof![math.clone(), scalar().prop_map(value_of)].boxed(),
    };

    let op = prop_oneof![
        Just(CompareOp::Eq),
        Just(CompareOp::Ne),
        Just(CompareOp::Lt),
        Just(CompareOp::Le),
        Just(CompareOp::Gt),
        Just(CompareOp::Ge)
    ];
    let compare = (value.clone(), op, value.clone())
        .prop_map(|(left, op, right)| BoolExpr::Compare(Box::new(Comparison { left, op: at(op), right })));
    let simple = prop_oneof![
        4 => compare,
        1 => any::<bool>().prop_map(|literal| BoolExpr::Literal(at(literal))),
        1 => converter.clone().prop_map(BoolExpr::Call)
    ]
    .boxed();
    let condition = match &below {
        Some(below) => {
            let several = proptest::collection::vec(below.condition.clone(), 2..4);
            prop_oneof![
                3 => simple,
                1 => several.clone().prop_map(BoolExpr::And),
                1 => several.prop_map(BoolExpr::Or),
                1 => below.condition.clone().prop_map(|inner| BoolExpr::Not(at(()), Box::new(inner)))
            ]
            .boxed()
        }
        None => simple,
    };
    Level { math, value, editor, condition }
}

/// A condition that the language can say.
pub(crate) fn condition() -> BoxedStrategy<BoolExpr> {
    level(3).condition
}

/// A tree of any of the three kinds.
pub(crate) fn root() -> BoxedStrategy<Root> {
    let Level { value, editor, condition, .. } = level(3);
    let statement = (editor, proptest::option::of(condition.clone()))
        .prop_map(|(editor, condition)| Root::Statement(Statement { editor, condition }));
    prop_oneof![condition.prop_map(Root::Condition), value.prop_map(Root::Value), statement].boxed()
}

/// Pieces of the language in any order.
pub(crate) fn soup() -> BoxedStrategy<String> {
    let piece = prop_oneof![
        proptest::sample::select(vec![
            "nil",
            "not",
            "or",
            "and",
            "true",
            "false",
            "where",
            "==",
            "!=",
            "<",
            "<=",
            ">",
            ">=",
            "=",
            "=>",
            "+",
            "-",
            "*",
            "/",
            "(",
            ")",
            "[",
            "]",
            "{",
            "}",
            ":",
            ",",
            ".",
            "_",
            " ",
            "\n",
            "\"",
            "\\",
            "a",
            "name",
            "Is",
            "Match",
            "FOO",
            "0x",
            "0x0f",
            "1",
            "1.",
            ".5",
            "e5",
            "1.5e3",
            "\"x\"",
            "attributes[\"k\"]",
            "F(",
            "set(",
            "(x) => ",
            "&&",
            "'",
            "\u{e9}",
            "\u{1f600}",
        ])
        .prop_map(str::to_owned),
        ".{0,3}",
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat()).boxed()
}
