//! The tree of an OTTL text, as written: names are not resolved and nothing is typed.
//!
//! Every node knows its position. Equality ignores positions, so a printed text that parses back can be compared
//! with what it was printed from.

use crate::span::{Span, Spanned};

/// A whole text given to one of the three entry points of the parser.
#[derive(Clone, Debug, PartialEq)]
pub enum Root {
    /// A condition: `bool_expr EOI`.
    Condition(BoolExpr),
    /// A standalone value expression: `value EOI`.
    Value(Value),
    /// An editor call with an optional `where` clause.
    Statement(Statement),
}

/// `editor(args) [where condition]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// The editor with its arguments.
    pub editor: Call,
    /// What follows `where`.
    pub condition: Option<BoolExpr>,
}

/// A boolean expression.
#[derive(Clone, Debug, PartialEq)]
pub enum BoolExpr {
    /// Two or more operands joined by `or`. A nested `Or` was in parentheses.
    Or(Vec<BoolExpr>),
    /// Two or more operands joined by `and`. A nested `And` or `Or` was in parentheses.
    And(Vec<BoolExpr>),
    /// `not x`; the position is that of the keyword.
    Not(Spanned<()>, Box<BoolExpr>),
    /// `left op right`.
    Compare(Box<Comparison>),
    /// `true` or `false`.
    Literal(Spanned<bool>),
    /// A converter call that must give a bool.
    Call(Call),
}

impl BoolExpr {
    /// From its first to its last part. Parentheses around the whole are no part of the tree, so not of this either.
    #[must_use]
    pub fn span(&self) -> Span {
        match self {
            Self::Or(operands) | Self::And(operands) => match operands.as_slice() {
                [] => Span::default(),
                [first, .., last] => first.span().to(last.span()),
                [only] => only.span(),
            },
            Self::Not(keyword, operand) => keyword.span.to(operand.span()),
            Self::Compare(comparison) => comparison.left.span.to(comparison.right.span),
            Self::Literal(literal) => literal.span,
            Self::Call(call) => call.span,
        }
    }
}

/// `left op right`.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Left operand.
    pub left: Value,
    /// The operator.
    pub op: Spanned<CompareOp>,
    /// Right operand.
    pub right: Value,
}

/// The six comparison operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CompareOp {
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

/// A value with its position.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// What it is.
    pub kind: ValueKind,
    /// Where it stands.
    pub span: Span,
}

/// What a value can be.
#[derive(Clone, Debug, PartialEq)]
pub enum ValueKind {
    /// `nil`
    Nil,
    /// `true`, `false`
    Bool(bool),
    /// Digits, always non-negative: the sign is an operator.
    Int(i64),
    /// A number with a dot, always non-negative.
    Float(f64),
    /// The text between the quotes, unescaped.
    String(String),
    /// `0x..`
    Bytes(Vec<u8>),
    /// An upper-case symbol such as `STATUS_CODE_ERROR`.
    Enum(String),
    /// A bare function name such as `SHA256` where an argument takes a function.
    FunctionRef(String),
    /// `[a, b]`
    List(Vec<Value>),
    /// `{"k": v}`; a repeated key stays as written.
    Map(Vec<(Spanned<String>, Value)>),
    /// `resource.attributes["k"]`
    Path(Path),
    /// `Converter(args)[key]`, or an editor (lower-case name) where the grammar lets one through.
    Call(Call),
    /// `left op right`; left associative.
    Binary(Box<Value>, Spanned<MathOp>, Box<Value>),
    /// One sign before an operand.
    Unary(Spanned<Sign>, Box<Value>),
    /// A lone number in parentheses behind a sign, `-(2)`. Only there are a number's parentheses kept: contrib counts `-2`
    /// as a literal and `-(2)` as arithmetic.
    Group(Box<Value>),
    /// `(a, _) => body`
    Lambda(Box<Lambda>),
}

/// `+ - * /`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MathOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
}

/// A unary sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sign {
    /// `+`
    Plus,
    /// `-`
    Minus,
}

/// A call of a converter (upper-case first letter) or an editor (lower-case).
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The glued name, without white space: `Is Match(..)` is `IsMatch`.
    pub name: Spanned<String>,
    /// Arguments in order.
    pub args: Vec<Arg>,
    /// Keys behind the call.
    pub keys: Vec<Key>,
    /// From the name to the last key.
    pub span: Span,
}

/// One argument.
#[derive(Clone, Debug, PartialEq)]
pub struct Arg {
    /// `name=`, if given.
    pub name: Option<Spanned<String>>,
    /// The value.
    pub value: Value,
}

/// A dotted path; whether the first segment is a context name is for the resolver to say.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// At least one.
    pub segments: Vec<Segment>,
    /// The whole path.
    pub span: Span,
}

/// `name[key][key]`
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// The lower-case name.
    pub name: Spanned<String>,
    /// Keys behind it.
    pub keys: Vec<Key>,
}

/// What stands in square brackets.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// The key.
    pub kind: KeyKind,
    /// With the brackets.
    pub span: Span,
}

/// A literal key, or an expression.
#[derive(Clone, Debug, PartialEq)]
pub enum KeyKind {
    /// `["k"]`
    String(String),
    /// `[0]`
    Int(i64),
    /// `[-1]`, `[0.0]`, `[Len(x)]`, `[other.path]`
    Expr(Box<Value>),
}

/// `(params) => body`
#[derive(Clone, Debug, PartialEq)]
pub struct Lambda {
    /// Lower-case names, or `_`.
    pub params: Vec<Spanned<String>>,
    /// What it computes.
    pub body: LambdaBody,
}

/// A lambda's body.
#[derive(Clone, Debug, PartialEq)]
pub enum LambdaBody {
    /// A value.
    Value(Value),
    /// A condition.
    Condition(BoolExpr),
}
