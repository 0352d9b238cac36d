//! `${...}` in values, after all sources are merged; the rules and the order are the Go resolver's.
//!
//! References are replaced inside out, fetched text is expanded again, and at the very end each `$$` becomes `$`.

use super::node::Node;
use super::source::{self, Fetched, Outside, Remark};

/// Upstream's bound on rounds over one value.
const MAX_ROUNDS: usize = 1000;
/// A bound that upstream lacks: text may not grow without end while the rounds last.
const MAX_TEXT_BYTES: usize = 16 << 20;

/// Expands everything in `root`. The error is upstream's text.
pub(super) fn expand(root: Node, outside: &dyn Outside, remarks: &mut Vec<Remark>) -> Result<Node, ExpandError> {
    let mut expander = Expander { outside, remarks, path: Vec::new() };
    let Node::Map(entries) = root else { return Ok(root) };
    let mut out = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        expander.path = vec![key.clone()];
        let value = expander.until_stable(value).map_err(|message| expander.error(message))?;
        out.push((key, unescape(value)));
    }
    Ok(Node::Map(out))
}

/// What went wrong, and at which key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(super) struct ExpandError {
    pub(super) message: String,
    pub(super) path: String,
}

struct Expander<'a> {
    outside: &'a dyn Outside,
    remarks: &'a mut Vec<Remark>,
    /// Keys down to the value at hand.
    path: Vec<String>,
}

type Changed = bool;

impl Expander<'_> {
    fn error(&self, message: String) -> ExpandError {
        ExpandError { message, path: self.path.iter().fold(String::new(), |path, key| super::decode::join(&path, key)) }
    }

    fn until_stable(&mut self, mut value: Node) -> Result<Node, String> {
        for _ in 0..MAX_ROUNDS {
            let (next, changed) = self.value(value)?;
            if !changed {
                return Ok(next);
            }
            value = next;
        }
        Err("too many recursive expansions".to_owned())
    }

    fn value(&mut self, value: Node) -> Result<(Node, Changed), String> {
        match value {
            Node::String(text) => self.text(text),
            Node::Expanded { value, text } => {
                let (value, changed) = self.value(*value)?;
                if matches!(value, Node::Expanded { .. } | Node::String(_)) {
                    return Ok((value, changed));
                }
                // The field is not known yet, so its text form is expanded as well.
                let (expanded, text_changed) = self.text(text)?;
                Ok(match expanded {
                    Node::String(text) | Node::Expanded { text, .. } => {
                        (Node::Expanded { value: Box::new(value), text }, changed || text_changed)
                    }
                    _ => (value, changed),
                })
            }
            Node::List(items) => {
                let mut any = false;
                let mut out = Vec::with_capacity(items.len());
                for (index, item) in items.into_iter().enumerate() {
                    self.path.push(format!("[{index}]"));
                    let (item, changed) = self.value(item)?;
                    self.path.pop();
                    any |= changed;
                    out.push(item);
                }
                Ok((Node::List(out), any))
            }
            Node::Map(entries) => {
                let mut any = false;
                let mut out = Vec::with_capacity(entries.len());
                for (key, item) in entries {
                    self.path.push(key.clone());
                    let (item, changed) = self.value(item)?;
                    self.path.pop();
                    any |= changed;
                    out.push((key, item));
                }
                Ok((Node::Map(out), any))
            }
            other => Ok((other, false)),
        }
    }

    fn text(&mut self, text: String) -> Result<(Node, Changed), String> {
        let Some(reference) = find(&text) else { return Ok((Node::String(text), false)) };
        let inner = &reference[2..reference.len() - 1];
        let uri = if inner.contains(':') { inner.to_owned() } else { format!("env:{inner}") };
        if source::split_uri(&uri).is_some_and(|(_, opaque)| opaque.contains('$')) {
            return Err(format!("the uri {uri:?} contains unsupported characters ('$')"));
        }
        let Fetched { text: fetched, value, .. } =
            source::fetch(&uri, self.outside, self.remarks).map_err(|error| error.to_string())?;
        if reference.len() == text.len() {
            return Ok((Node::Expanded { value: Box::new(value), text: fetched }, true));
        }
        let replaced = text.replace(reference, &fetched);
        if replaced.len() > MAX_TEXT_BYTES {
            return Err("too many recursive expansions".to_owned());
        }
        Ok((Node::String(replaced), true))
    }
}

/// The first reference that is closed and not escaped: the innermost `${` before the first `}`.
fn find(text: &str) -> Option<&str> {
    let mut from = 0;
    while let Some(close) = text[from..].find('}').map(|at| from + at) {
        if let Some(open) = text[from..close].rfind("${").map(|at| from + at) {
            let dollars = text[from..open].bytes().rev().take_while(|byte| *byte == b'$').count();
            if dollars % 2 == 0 {
                return Some(&text[open..=close]);
            }
        }
        from = close + 1;
    }
    None
}

fn unescape(value: Node) -> Node {
    match value {
        Node::String(text) => Node::String(text.replace("$$", "$")),
        Node::Expanded { value, text } => {
            Node::Expanded { value: Box::new(unescape(*value)), text: text.replace("$$", "$") }
        }
        Node::List(items) => Node::List(items.into_iter().map(unescape).collect()),
        Node::Map(entries) => Node::Map(entries.into_iter().map(|(key, value)| (key, unescape(value))).collect()),
        other => other,
    }
}
