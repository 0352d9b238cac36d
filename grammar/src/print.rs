//! `Display` of the tree: OTTL text that parses back to the same tree.
//!
//! That holds for every tree the parser can give, and for those built by hand that the language can say (an int literal
//! is never negative, a name has only the characters of names).

use std::fmt::{Display, Formatter, Result, Write as _};

use crate::ast::{
    Arg, BoolExpr, Call, CompareOp, Comparison, Key, KeyKind, Lambda, LambdaBody, MathOp, Path, Root, Segment, Sign,
    Statement, Value, ValueKind,
};

impl Display for Root {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Condition(condition) => condition.fmt(f),
            Self::Value(value) => value.fmt(f),
            Self::Statement(statement) => statement.fmt(f),
        }
    }
}

impl Display for Statement {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.editor.fmt(f)?;
        match &self.condition {
            Some(condition) => write!(f, " where {condition}"),
            None => Ok(()),
        }
    }
}

impl Display for BoolExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Or(operands) => separated(f, operands, " or ", |operand, f| match operand {
                Self::Or(_) => write!(f, "({operand})"),
                _ => operand.fmt(f),
            }),
            Self::And(operands) => separated(f, operands, " and ", |operand, f| match operand {
                Self::Or(_) | Self::And(_) => write!(f, "({operand})"),
                _ => operand.fmt(f),
            }),
            Self::Not(_, operand) => match **operand {
                Self::Or(_) | Self::And(_) | Self::Not(..) => write!(f, "not ({operand})"),
                _ => write!(f, "not {operand}"),
            },
            Self::Compare(comparison) => comparison.fmt(f),
            Self::Literal(literal) => literal.node.fmt(f),
            Self::Call(call) => call.fmt(f),
        }
    }
}

impl Display for Comparison {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{} {} {}", self.left, self.op.node, self.right)
    }
}

impl Display for CompareOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Self::Eq => "==",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
        })
    }
}

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match &self.kind {
            ValueKind::Nil => f.write_str("nil"),
            ValueKind::Bool(literal) => literal.fmt(f),
            ValueKind::Int(number) => number.fmt(f),
            ValueKind::Float(number) => float(f, *number),
            ValueKind::String(text) => quoted(f, text),
            ValueKind::Bytes(bytes) => {
                f.write_str("0x")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            ValueKind::Enum(name) | ValueKind::FunctionRef(name) => f.write_str(name),
            ValueKind::List(items) => {
                f.write_char('[')?;
                separated(f, items, ", ", Value::fmt)?;
                f.write_char(']')
            }
            ValueKind::Map(entries) => {
                f.write_char('{')?;
                separated(f, entries, ", ", |(key, value), f| {
                    quoted(f, &key.node)?;
                    write!(f, ": {value}")
                })?;
                f.write_char('}')
            }
            ValueKind::Path(path) => path.fmt(f),
            ValueKind::Call(call) => call.fmt(f),
            ValueKind::Binary(left, op, right) => {
                let level = precedence(op.node);
                operand(f, left, level)?;
                write!(f, " {} ", op.node)?;
                // Chains lean to the left, so an equal level on the right was in parentheses.
                operand(f, right, level + 1)
            }
            ValueKind::Unary(sign, inner) => {
                sign.node.fmt(f)?;
                operand(f, inner, SIGNED + 1)
            }
            ValueKind::Group(number) => write!(f, "({number})"),
            ValueKind::Lambda(lambda) => lambda.fmt(f),
        }
    }
}

impl Display for MathOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_char(match self {
            Self::Add => '+',
            Self::Sub => '-',
            Self::Mul => '*',
            Self::Div => '/',
        })
    }
}

impl Display for Sign {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_char(match self {
            Self::Plus => '+',
            Self::Minus => '-',
        })
    }
}

impl Display for Call {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}(", self.name.node)?;
        separated(f, &self.args, ", ", Arg::fmt)?;
        f.write_char(')')?;
        self.keys.iter().try_for_each(|key| key.fmt(f))
    }
}

impl Display for Arg {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if let Some(name) = &self.name {
            write!(f, "{}=", name.node)?;
        }
        self.value.fmt(f)
    }
}

impl Display for Path {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        separated(f, &self.segments, ".", Segment::fmt)
    }
}

impl Display for Segment {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(&self.name.node)?;
        self.keys.iter().try_for_each(|key| key.fmt(f))
    }
}

impl Display for Key {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_char('[')?;
        match &self.kind {
            KeyKind::String(text) => quoted(f, text)?,
            KeyKind::Int(number) => number.fmt(f)?,
            // A key that begins with an int is read as that int alone.
            KeyKind::Expr(value) if begins_with_int(value) => write!(f, "({value})")?,
            KeyKind::Expr(value) => value.fmt(f)?,
        }
        f.write_char(']')
    }
}

impl Display for Lambda {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_char('(')?;
        separated(f, &self.params, ", ", |param, f| f.write_str(&param.node))?;
        f.write_str(") => ")?;
        match &self.body {
            LambdaBody::Value(value) => value.fmt(f),
            // Bare, these two would be read as values.
            LambdaBody::Condition(condition @ (BoolExpr::Literal(_) | BoolExpr::Call(_))) => write!(f, "({condition})"),
            LambdaBody::Condition(condition) => condition.fmt(f),
        }
    }
}

fn separated<T>(
    f: &mut Formatter<'_>,
    items: &[T],
    separator: &str,
    mut each: impl FnMut(&T, &mut Formatter<'_>) -> Result,
) -> Result {
    for (n, item) in items.iter().enumerate() {
        if n > 0 {
            f.write_str(separator)?;
        }
        each(item, f)?;
    }
    Ok(())
}

const SIGNED: u8 = 3;

fn precedence(op: MathOp) -> u8 {
    match op {
        MathOp::Add | MathOp::Sub => 1,
        MathOp::Mul | MathOp::Div => 2,
    }
}

/// An operand of arithmetic, in parentheses if it binds looser than `level`.
fn operand(f: &mut Formatter<'_>, value: &Value, level: u8) -> Result {
    let own = match &value.kind {
        ValueKind::Binary(_, op, _) => precedence(op.node),
        ValueKind::Unary(..) => SIGNED,
        _ => u8::MAX,
    };
    if own < level { write!(f, "({value})") } else { value.fmt(f) }
}

fn begins_with_int(value: &Value) -> bool {
    match &value.kind {
        ValueKind::Int(_) => true,
        ValueKind::Binary(left, op, _) => {
            let in_parentheses =
                matches!(&left.kind, ValueKind::Binary(_, inner, _) if precedence(inner.node) < precedence(op.node));
            !in_parentheses && begins_with_int(left)
        }
        _ => false,
    }
}

/// Rust's shortest form, with the dot that makes it a float.
fn float(f: &mut Formatter<'_>, number: f64) -> Result {
    let text = format!("{number:?}");
    match text.split_once('e') {
        Some((digits, exponent)) if !digits.contains('.') => write!(f, "{digits}.0e{exponent}"),
        _ => f.write_str(&text),
    }
}

/// With quotes and escapes. Printable characters stand for themselves.
fn quoted(f: &mut Formatter<'_>, text: &str) -> Result {
    f.write_char('"')?;
    for character in text.chars() {
        match character {
            '"' | '\\' => write!(f, "\\{character}")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}
