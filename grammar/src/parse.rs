//! The three entry points.
//!
//! Each takes a whole text and gives a tree, or everything that is wrong with the text, in the order of the text.

// The derived parser has public items without documents and qualified names where short ones would do.
#![allow(missing_docs, unreachable_pub, unused_qualifications, reason = "pest_derive writes the rules' enum")]

use pest::{Parser as _, iterators::Pair};

use crate::{
    ast::{BoolExpr, Statement, Value},
    error::Error,
    expect, hint, scan,
    tree::Builder,
};

/// Bounds on what is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest text in bytes; beyond [`Limits::LONGEST`] it has no effect.
    pub length: usize,
    /// The deepest nesting: brackets, lambdas, and the operators of one arithmetic chain. The parser and everything
    /// that walks a tree need stack in proportion; beyond [`Limits::DEEPEST`] it has no effect. On a thread whose stack
    /// is too small for the grammar, a text is refused before it overflows, with the same error.
    pub nesting: usize,
}

impl Limits {
    /// Positions are 32 bits.
    pub const LONGEST: usize = u32::MAX as usize;

    /// A tree of this height can be walked and dropped within 2 MiB of stack, also without optimisation.
    pub const DEEPEST: usize = 1_000;
}

impl Default for Limits {
    /// 256 KiB and 100 levels.
    fn default() -> Self {
        Self { length: 256 * 1024, nesting: 100 }
    }
}

#[derive(pest_derive::Parser)]
#[grammar = "ottl.pest"]
struct Ottl;

/// Reads a condition.
///
/// # Errors
/// Everything that is wrong with the text.
pub fn parse_condition(text: &str) -> Result<BoolExpr, Vec<Error>> {
    parse_condition_within(text, &Limits::default())
}

/// Reads a condition within other limits than the usual ones.
///
/// # Errors
/// Everything that is wrong with the text.
pub fn parse_condition_within(text: &str, limits: &Limits) -> Result<BoolExpr, Vec<Error>> {
    read(text, limits, Rule::condition, Builder::condition_text)
}

/// Reads a standalone value expression.
///
/// # Errors
/// Everything that is wrong with the text.
pub fn parse_value(text: &str) -> Result<Value, Vec<Error>> {
    parse_value_within(text, &Limits::default())
}

/// Reads a standalone value expression within other limits than the usual ones.
///
/// # Errors
/// Everything that is wrong with the text.
pub fn parse_value_within(text: &str, limits: &Limits) -> Result<Value, Vec<Error>> {
    read(text, limits, Rule::value_expression, Builder::value_text)
}

/// Reads an editor call with an optional `where` clause.
///
/// # Errors
/// Everything that is wrong with the text.
pub fn parse_statement(text: &str) -> Result<Statement, Vec<Error>> {
    parse_statement_within(text, &Limits::default())
}

/// Reads a statement within other limits than the usual ones.
///
/// # Errors
/// Everything that is wrong with the text.
pub fn parse_statement_within(text: &str, limits: &Limits) -> Result<Statement, Vec<Error>> {
    read(text, limits, Rule::statement, Builder::statement_text)
}

/// Adds what the grammar has against a text whose characters are wrong, so that all mistakes show at once.
fn with_grammar(text: &str, limits: &Limits, rule: Rule, mut errors: Vec<Error>) -> Vec<Error> {
    let mended = hint::mended(text).filter(|mended| scan::check(mended, limits).is_ok());
    if let Some(mended) = mended
        && let Err(failure) = Ottl::parse(rule, &mended)
    {
        let more = expect::explain(&mended, limits, &failure);
        // What stands where something was mended is told already.
        if errors.iter().all(|error| more.span.end <= error.span.start || error.span.end <= more.span.start) {
            errors.push(more);
            errors.sort_by_key(|error| error.span.start);
        }
    }
    errors
}

fn read<'s, T>(
    text: &'s str,
    limits: &Limits,
    rule: Rule,
    build: fn(&mut Builder, Pair<'s, Rule>) -> T,
) -> Result<T, Vec<Error>> {
    scan::check(text, limits).map_err(|errors| with_grammar(text, limits, rule, errors))?;
    let explain = |failure: &pest::error::Error<Rule>| vec![expect::explain(text, limits, failure)];
    let mut pairs = Ottl::parse(rule, text).map_err(|failure| explain(&failure))?;
    let mut builder = Builder::default();
    let tree = pairs.next().map(|pair| build(&mut builder, pair));
    builder.finish(tree)
}
