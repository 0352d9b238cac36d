//! XPath 1.0: location paths with all axes but `namespace`, predicates, unions, and the core functions that predicates use.
//!
//! Nodes come in document order and once each, as the recommendation has it; upstream's engine departs from both where
//! several descendant steps meet, and its `last()` counts text that a name test leaves out.
//!
//! An expression must select nodes. Upstream takes numbers, texts and truths as well and then selects nothing; here such
//! a mistake is refused. Variables and the functions of section 4 that are not in `eval.rs` are refused too.

mod eval;
mod parse;

use super::{NodeId, Tree};

/// A compiled expression.
#[derive(Clone, Debug, PartialEq)]
pub struct XPath {
    root: Expr,
}

/// What an expression selects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selected {
    /// A node of the tree.
    Node(NodeId),
    /// An attribute of an element: local name and value.
    Attribute {
        /// The element.
        of: NodeId,
        /// Local name.
        name: String,
        /// Value.
        value: String,
    },
}

/// An expression. Text positions are not kept: a wrong one is refused when the condition is built, as a whole.
#[derive(Clone, Debug, PartialEq)]
enum Expr {
    Or(Box<Expr>, Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Compare(Comparison, Box<Expr>, Box<Expr>),
    Arithmetic(Operator, Box<Expr>, Box<Expr>),
    Negate(Box<Expr>),
    Union(Box<Expr>, Box<Expr>),
    /// From the root or the context node, or from what an expression selects.
    Path(Start, Vec<Step>),
    Filter(Box<Expr>, Vec<Expr>),
    Literal(String),
    Number(f64),
    Call(Function, Vec<Expr>),
}

#[derive(Clone, Debug, PartialEq)]
enum Start {
    Root,
    Context,
    Expr(Box<Expr>),
}

#[derive(Clone, Debug, PartialEq)]
struct Step {
    axis: Axis,
    test: Test,
    predicates: Vec<Expr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Axis {
    Ancestor,
    AncestorOrSelf,
    Attribute,
    Child,
    Descendant,
    DescendantOrSelf,
    Following,
    FollowingSibling,
    Parent,
    Preceding,
    PrecedingSibling,
    SelfNode,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    /// `*`
    AnyName,
    /// `p:*`
    AnyNameOf(String),
    /// `name`, `p:name`
    Name(String, String),
    Node,
    Text,
    Comment,
    /// `processing-instruction()`, perhaps of one target.
    Instruction(Option<String>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    Boolean,
    Ceiling,
    Concat,
    Contains,
    Count,
    EndsWith,
    False,
    Floor,
    Last,
    LocalName,
    Name,
    NormalizeSpace,
    Not,
    Number,
    Position,
    Round,
    StartsWith,
    String,
    StringLength,
    Substring,
    SubstringAfter,
    SubstringBefore,
    Sum,
    Translate,
    True,
}

impl XPath {
    /// Compiles an expression. One that gives a number, a text or a flag selects nothing, as upstream.
    ///
    /// # Errors
    /// If it is not XPath, uses what is not supported, or is a logical expression, of which upstream selects parts.
    pub fn new(text: &str) -> Result<Self, String> {
        let root = parse::parse(text)?;
        match root {
            Expr::And(..) | Expr::Or(..) => Err("expression must evaluate to a node-set".to_owned()),
            _ => Ok(XPath { root }),
        }
    }

    /// What it selects in a document, in document order.
    pub fn select(&self, tree: &Tree) -> Vec<Selected> {
        match self.root {
            Expr::Path(..) | Expr::Union(..) | Expr::Filter(..) => eval::select(tree, &self.root),
            _ => Vec::new(),
        }
    }
}
