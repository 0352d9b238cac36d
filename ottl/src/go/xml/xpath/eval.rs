//! Evaluation of an [`Expr`] over a [`Tree`].

use std::collections::BTreeMap;

use super::{Axis, Comparison, Expr, Function, Operator, Selected, Start, Step, Test};
use crate::go::{
    strconv,
    xml::{Kind, NodeId, Tree},
};

/// A node or an attribute of one, by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Place {
    node: NodeId,
    /// One more than the attribute's index; 0 is the node itself, so that attributes come after their element.
    attribute: usize,
}

enum Value {
    Nodes(Vec<Place>),
    Bool(bool),
    Number(f64),
    Text(String),
}

/// The context of an evaluation.
#[derive(Clone, Copy)]
struct Context {
    place: Place,
    position: usize,
    size: usize,
}

struct Evaluator<'t> {
    tree: &'t Tree,
    /// Document order of the nodes, because edits append to the table.
    order: BTreeMap<NodeId, usize>,
}

pub(super) fn select(tree: &Tree, expr: &Expr) -> Vec<Selected> {
    let mut evaluator = Evaluator { tree, order: BTreeMap::new() };
    evaluator.number(Tree::ROOT);
    let root = Place { node: Tree::ROOT, attribute: 0 };
    let Value::Nodes(places) = evaluator.eval(expr, Context { place: root, position: 1, size: 1 }) else {
        return Vec::new();
    };
    let selected = places.into_iter().filter_map(|place| match place.attribute.checked_sub(1) {
        None => Some(Selected::Node(place.node)),
        Some(idx) => tree.attributes(place.node).get(idx).map(|attribute| Selected::Attribute {
            of: place.node,
            name: attribute.name.local.clone(),
            value: attribute.value.clone(),
        }),
    });
    selected.collect()
}

impl Evaluator<'_> {
    fn number(&mut self, id: NodeId) {
        self.order.insert(id, self.order.len());
        for &child in self.tree.children(id) {
            self.number(child);
        }
    }

    fn sort(&self, places: &mut Vec<Place>) {
        places.sort_by_key(|place| (self.order.get(&place.node).copied().unwrap_or(usize::MAX), place.attribute));
        places.dedup();
    }

    fn eval(&self, expr: &Expr, context: Context) -> Value {
        match expr {
            Expr::Or(left, right) => Value::Bool(self.truth(left, context) || self.truth(right, context)),
            Expr::And(left, right) => Value::Bool(self.truth(left, context) && self.truth(right, context)),
            Expr::Compare(comparison, left, right) => {
                Value::Bool(self.compare(*comparison, &self.eval(left, context), &self.eval(right, context)))
            }
            Expr::Arithmetic(operator, left, right) => {
                let (left, right) =
                    (self.as_number(&self.eval(left, context)), self.as_number(&self.eval(right, context)));
                Value::Number(match operator {
                    Operator::Add => left + right,
                    Operator::Sub => left - right,
                    Operator::Mul => left * right,
                    Operator::Div => left / right,
                    Operator::Mod => left % right,
                })
            }
            Expr::Negate(operand) => Value::Number(-self.as_number(&self.eval(operand, context))),
            Expr::Union(left, right) => {
                let mut places = self.nodes(left, context);
                places.extend(self.nodes(right, context));
                self.sort(&mut places);
                Value::Nodes(places)
            }
            Expr::Path(start, steps) => {
                let mut places = match start {
                    Start::Root => vec![Place { node: Tree::ROOT, attribute: 0 }],
                    Start::Context => vec![context.place],
                    Start::Expr(expr) => self.nodes(expr, context),
                };
                for step in steps {
                    let mut next = Vec::new();
                    for place in places {
                        next.extend(self.step(step, place));
                    }
                    self.sort(&mut next);
                    places = next;
                }
                Value::Nodes(places)
            }
            Expr::Filter(expr, predicates) => {
                let mut places = self.nodes(expr, context);
                for predicate in predicates {
                    places = self.filter(places, predicate);
                }
                Value::Nodes(places)
            }
            Expr::Literal(literal) => Value::Text(literal.clone()),
            Expr::Number(number) => Value::Number(*number),
            Expr::Call(function, args) => self.call(*function, args, context),
        }
    }

    fn nodes(&self, expr: &Expr, context: Context) -> Vec<Place> {
        match self.eval(expr, context) {
            Value::Nodes(places) => places,
            _ => Vec::new(),
        }
    }

    fn step(&self, step: &Step, from: Place) -> Vec<Place> {
        let mut places = self.axis(step.axis, from);
        places.retain(|place| self.matches(&step.test, step.axis, *place));
        for predicate in &step.predicates {
            places = self.filter(places, predicate);
        }
        places
    }

    fn filter(&self, places: Vec<Place>, predicate: &Expr) -> Vec<Place> {
        let size = places.len();
        let keeps = |(idx, place): (usize, Place)| {
            let context = Context { place, position: idx + 1, size };
            let kept = match self.eval(predicate, context) {
                Value::Number(number) => number == (idx + 1) as f64,
                value => self.as_bool(&value),
            };
            kept.then_some(place)
        };
        places.into_iter().enumerate().filter_map(keeps).collect()
    }

    /// Nodes along an axis, nearest first: positions count away from the context node.
    fn axis(&self, axis: Axis, from: Place) -> Vec<Place> {
        let node = |node| Place { node, attribute: 0 };
        if from.attribute > 0 {
            // An attribute has only what is above it.
            return match axis {
                Axis::SelfNode | Axis::DescendantOrSelf => vec![from],
                Axis::Parent => vec![node(from.node)],
                Axis::Ancestor => self.axis(Axis::AncestorOrSelf, node(from.node)),
                Axis::AncestorOrSelf => {
                    let mut places = vec![from];
                    places.extend(self.axis(Axis::AncestorOrSelf, node(from.node)));
                    places
                }
                _ => Vec::new(),
            };
        }
        let id = from.node;
        let siblings = || self.tree.parent(id).map_or(Vec::new(), |parent| self.children(parent).collect());
        let place_among = |siblings: &[NodeId]| siblings.iter().position(|sibling| *sibling == id).unwrap_or(0);
        match axis {
            Axis::SelfNode => vec![from],
            Axis::Child => self.children(id).map(node).collect(),
            Axis::Attribute => {
                (1..=self.tree.attributes(id).len()).map(|attribute| Place { node: id, attribute }).collect()
            }
            Axis::Parent => self.tree.parent(id).map(node).into_iter().collect(),
            Axis::Ancestor | Axis::AncestorOrSelf => {
                let first = if axis == Axis::AncestorOrSelf { Some(id) } else { self.tree.parent(id) };
                std::iter::successors(first, |at| self.tree.parent(*at)).map(node).collect()
            }
            Axis::Descendant | Axis::DescendantOrSelf => {
                let mut places = Vec::new();
                if axis == Axis::DescendantOrSelf {
                    places.push(from);
                }
                self.push_descendants(id, &mut places);
                places
            }
            Axis::FollowingSibling => {
                let siblings = siblings();
                siblings.iter().skip(place_among(&siblings) + 1).copied().map(node).collect()
            }
            Axis::PrecedingSibling => {
                let siblings = siblings();
                siblings.iter().take(place_among(&siblings)).rev().copied().map(node).collect()
            }
            Axis::Following | Axis::Preceding => {
                let forward = axis == Axis::Following;
                let mut places = Vec::new();
                for ancestor in std::iter::successors(Some(id), |at| self.tree.parent(*at)) {
                    let side = if forward { Axis::FollowingSibling } else { Axis::PrecedingSibling };
                    for sibling in self.axis(side, node(ancestor)) {
                        let mut below = vec![sibling];
                        self.push_descendants(sibling.node, &mut below);
                        if !forward {
                            below.reverse();
                        }
                        places.extend(below);
                    }
                }
                places
            }
        }
    }

    fn push_descendants(&self, id: NodeId, places: &mut Vec<Place>) {
        for child in self.children(id) {
            places.push(Place { node: child, attribute: 0 });
            self.push_descendants(child, places);
        }
    }

    /// The children that upstream sees: white space alone is passed over, except where it comes first.
    fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> {
        let blank = |id: NodeId| matches!(self.tree.kind(id), Kind::Text(text) if text.trim().is_empty());
        self.tree
            .children(id)
            .iter()
            .copied()
            .enumerate()
            .filter(move |(idx, id)| *idx == 0 || !blank(*id))
            .map(|(_, id)| id)
    }

    fn matches(&self, test: &Test, axis: Axis, place: Place) -> bool {
        let name = match place.attribute.checked_sub(1) {
            Some(idx) => self.tree.attributes(place.node).get(idx).map(|attribute| &attribute.name),
            // A name test means elements, except along the attribute axis.
            None if axis == Axis::Attribute => None,
            None => match self.tree.kind(place.node) {
                Kind::Element(name, _) => Some(name),
                _ => None,
            },
        };
        let kind = (place.attribute == 0).then(|| self.tree.kind(place.node));
        match test {
            Test::Node => true,
            Test::AnyName => name.is_some(),
            Test::AnyNameOf(prefix) => name.is_some_and(|name| name.prefix == *prefix),
            Test::Name(prefix, local) => name.is_some_and(|name| name.prefix == *prefix && name.local == *local),
            Test::Text => matches!(kind, Some(Kind::Text(_) | Kind::Cdata(_))),
            Test::Comment => matches!(kind, Some(Kind::Comment(_))),
            Test::Instruction(None) => matches!(kind, Some(Kind::Instruction(..))),
            Test::Instruction(Some(wanted)) => matches!(kind, Some(Kind::Instruction(target, _)) if target == wanted),
        }
    }

    // ---- values ----

    fn text_of(&self, place: Place) -> String {
        match place.attribute.checked_sub(1) {
            Some(idx) => {
                self.tree.attributes(place.node).get(idx).map(|attribute| attribute.value.clone()).unwrap_or_default()
            }
            None => match self.tree.kind(place.node) {
                Kind::Comment(text) => text.clone(),
                _ => self.tree.inner_text(place.node),
            },
        }
    }

    fn truth(&self, expr: &Expr, context: Context) -> bool {
        self.as_bool(&self.eval(expr, context))
    }

    fn as_bool(&self, value: &Value) -> bool {
        match value {
            Value::Nodes(places) => !places.is_empty(),
            Value::Bool(flag) => *flag,
            Value::Number(number) => *number != 0.0 && !number.is_nan(),
            Value::Text(text) => !text.is_empty(),
        }
    }

    fn as_text(&self, value: &Value) -> String {
        match value {
            Value::Nodes(places) => places.first().map(|place| self.text_of(*place)).unwrap_or_default(),
            Value::Bool(flag) => flag.to_string(),
            Value::Number(number) if number.is_infinite() => {
                if *number > 0.0 {
                    "Infinity".to_owned()
                } else {
                    "-Infinity".to_owned()
                }
            }
            Value::Number(number) if *number == 0.0 => "0".to_owned(),
            Value::Number(number) => strconv::format_plain(*number),
            Value::Text(text) => text.clone(),
        }
    }

    fn as_number(&self, value: &Value) -> f64 {
        match value {
            Value::Number(number) => *number,
            Value::Bool(flag) => f64::from(u8::from(*flag)),
            value => number(&self.as_text(value)),
        }
    }

    /// Comparisons with a node set hold if they hold for any of its nodes.
    fn compare(&self, comparison: Comparison, left: &Value, right: &Value) -> bool {
        match (left, right) {
            (Value::Nodes(left), Value::Nodes(right)) => {
                let right: Vec<String> = right.iter().map(|place| self.text_of(*place)).collect();
                left.iter().any(|place| {
                    let left = self.text_of(*place);
                    right.iter().any(|right| compare_texts(comparison, &left, right))
                })
            }
            (Value::Nodes(_), Value::Bool(_)) | (Value::Bool(_), Value::Nodes(_)) => {
                compare_numbers(comparison, u8::from(self.as_bool(left)).into(), u8::from(self.as_bool(right)).into())
            }
            (Value::Nodes(places), other) => {
                places.iter().any(|place| self.compare(comparison, &Value::Text(self.text_of(*place)), other))
            }
            (other, Value::Nodes(places)) => {
                places.iter().any(|place| self.compare(comparison, other, &Value::Text(self.text_of(*place))))
            }
            (Value::Text(left), Value::Text(right)) => compare_texts(comparison, left, right),
            (Value::Bool(_), other) | (other, Value::Bool(_))
                if matches!(comparison, Comparison::Eq | Comparison::Ne) =>
            {
                let _ = other;
                (self.as_bool(left) == self.as_bool(right)) == (comparison == Comparison::Eq)
            }
            _ => compare_numbers(comparison, self.as_number(left), self.as_number(right)),
        }
    }

    fn call(&self, function: Function, args: &[Expr], context: Context) -> Value {
        let value = |idx: usize| match args.get(idx) {
            Some(arg) => self.eval(arg, context),
            // Without an argument functions take the context node.
            None => Value::Nodes(vec![context.place]),
        };
        let text = |idx| self.as_text(&value(idx));
        match function {
            Function::Boolean => Value::Bool(self.as_bool(&value(0))),
            Function::Not => Value::Bool(!self.as_bool(&value(0))),
            Function::True => Value::Bool(true),
            Function::False => Value::Bool(false),
            Function::Number => Value::Number(self.as_number(&value(0))),
            Function::Ceiling => Value::Number(self.as_number(&value(0)).ceil()),
            Function::Floor => Value::Number(self.as_number(&value(0)).floor()),
            Function::Round => Value::Number((self.as_number(&value(0)) + 0.5).floor()),
            Function::Last => Value::Number(context.size as f64),
            Function::Position => Value::Number(context.position as f64),
            Function::Count => match value(0) {
                Value::Nodes(places) => Value::Number(places.len() as f64),
                _ => Value::Number(f64::NAN),
            },
            Function::Sum => match value(0) {
                Value::Nodes(places) => Value::Number(places.iter().map(|place| number(&self.text_of(*place))).sum()),
                _ => Value::Number(f64::NAN),
            },
            Function::LocalName | Function::Name => {
                let Value::Nodes(places) = value(0) else { return Value::Text(String::new()) };
                Value::Text(
                    places.first().map(|place| self.name_of(*place, function == Function::Name)).unwrap_or_default(),
                )
            }
            Function::String => Value::Text(text(0)),
            Function::StringLength => Value::Number(text(0).chars().count() as f64),
            Function::NormalizeSpace => Value::Text(text(0).split_whitespace().collect::<Vec<_>>().join(" ")),
            Function::Concat => Value::Text((0..args.len()).map(text).collect()),
            Function::Contains => Value::Bool(text(0).contains(&text(1))),
            Function::StartsWith => Value::Bool(text(0).starts_with(&text(1))),
            Function::EndsWith => Value::Bool(text(0).ends_with(&text(1))),
            Function::SubstringBefore => {
                Value::Text(text(0).split_once(&text(1)).map(|(before, _)| before.to_owned()).unwrap_or_default())
            }
            Function::SubstringAfter => {
                Value::Text(text(0).split_once(&text(1)).map(|(_, after)| after.to_owned()).unwrap_or_default())
            }
            Function::Substring => {
                let start = (self.as_number(&value(1)) + 0.5).floor();
                let end =
                    if args.len() > 2 { start + (self.as_number(&value(2)) + 0.5).floor() } else { f64::INFINITY };
                let inside = |(idx, c): (usize, char)| {
                    let position = (idx + 1) as f64;
                    (position >= start && position < end).then_some(c)
                };
                Value::Text(text(0).chars().enumerate().filter_map(inside).collect())
            }
            Function::Translate => {
                let (from, to) = (text(1), text(2));
                let to: Vec<char> = to.chars().collect();
                let mapped = |c: char| match from.chars().position(|known| known == c) {
                    Some(idx) => to.get(idx).copied(),
                    None => Some(c),
                };
                Value::Text(text(0).chars().filter_map(mapped).collect())
            }
        }
    }

    fn name_of(&self, place: Place, with_prefix: bool) -> String {
        let name = match place.attribute.checked_sub(1) {
            Some(idx) => self.tree.attributes(place.node).get(idx).map(|attribute| &attribute.name),
            None => match self.tree.kind(place.node) {
                Kind::Element(name, _) => Some(name),
                _ => None,
            },
        };
        match name {
            None => String::new(),
            Some(name) if with_prefix && !name.prefix.is_empty() => format!("{}:{}", name.prefix, name.local),
            Some(name) => name.local.clone(),
        }
    }
}

/// An XPath number: digits with a point and a minus sign, nothing else.
fn number(text: &str) -> f64 {
    let text = text.trim_matches([' ', '\t', '\n', '\r']);
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return f64::NAN;
    }
    text.parse().unwrap_or(f64::NAN)
}

fn compare_texts(comparison: Comparison, left: &str, right: &str) -> bool {
    match comparison {
        Comparison::Eq => left == right,
        Comparison::Ne => left != right,
        _ => compare_numbers(comparison, number(left), number(right)),
    }
}

fn compare_numbers(comparison: Comparison, left: f64, right: f64) -> bool {
    match comparison {
        Comparison::Eq => left == right,
        Comparison::Ne => left != right,
        Comparison::Lt => left < right,
        Comparison::Le => left <= right,
        Comparison::Gt => left > right,
        Comparison::Ge => left >= right,
    }
}
