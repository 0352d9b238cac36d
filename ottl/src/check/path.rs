//! Resolution of paths: which table, which entry, which keys.

use grammar::{
    ast::{KeyKind, Path, Segment},
    span::Span,
};

use super::Checker;
use crate::{
    context::{PathEntry, PathMode, Table, Target},
    error::{self, Error, EvalError},
    ir::{Node, NodeId, Type},
    layout::SlotPath,
    nearest::nearest,
    value::Value,
};

impl Checker<'_> {
    pub(super) fn path(&mut self, path: &Path) -> Option<NodeId> {
        // Keys are checked whatever becomes of the path, so that their errors show too.
        let mut keys = Vec::with_capacity(path.segments.len());
        for segment in &path.segments {
            keys.push(self.keys(&segment.keys));
        }
        let keys: Vec<Vec<NodeId>> = keys.into_iter().collect::<Option<_>>()?;
        let (table, is_own, rest) = self.table(path)?;
        let names: Vec<&str> = rest.iter().map(|segment| segment.name.node.as_str()).collect();
        let Some(entry) = table.entries(is_own).find(|entry| entry.names == names) else {
            let is_prefixed = rest.len() < path.segments.len();
            let prefix = if is_prefixed { table.name } else { "" };
            let mut error = unknown(table, is_own, prefix, rest, path.span);
            if error.hint.is_none() && !is_prefixed {
                error.hint = self.misspelt_context(&names);
            }
            return self.fail(error);
        };
        let early = rest.iter().rev().skip(1).find(|segment| !segment.keys.is_empty());
        if let Some(segment) = early {
            let span = segment.keys.first().map_or(path.span, |key| key.span);
            return self.fail(Error::new(error::PATH_KEYS, span, format!("{} takes no keys", segment.name.node)));
        }
        let keys = keys.last().map_or(&[][..], |keys| keys);
        self.target(entry, rest, keys, path.span)
    }

    /// The table that a path's first segment selects, whether it is the own one, and the segments behind the context name.
    fn table<'p>(&mut self, path: &'p Path) -> Option<(&'static Table, bool, &'p [Segment])> {
        let own = self.context.own_table();
        let (first, rest) = path.segments.split_first()?;
        let name = first.name.node.as_str();
        let known = self.context.tables(self.mode).iter().find(|table| table.name == name);
        match known {
            Some(table) if !rest.is_empty() && first.keys.is_empty() => Some((table, table.name == own.name, rest)),
            Some(_) => self.fail(Error::new(
                error::CONTEXT_NAME,
                first.name.span,
                format!("{name} is the name of a context, a field must follow it"),
            )),
            None if self.mode == PathMode::Prefixed => {
                let hint = if own.entries(true).any(|entry| entry.names.first() == Some(&name)) {
                    format!("write {}.{name}", own.name)
                } else {
                    let names: Vec<&str> = path.segments.iter().map(|segment| segment.name.node.as_str()).collect();
                    self.misspelt_context(&names).unwrap_or_else(|| {
                        let names: Vec<&str> = self.context.tables(self.mode).iter().map(|table| table.name).collect();
                        format!("paths here start with one of {}", names.join(", "))
                    })
                };
                let message = format!("path does not start with a context name: {name}");
                self.fail(Error::new(error::CONTEXT_NAME, first.name.span, message).with_hint(hint))
            }
            None => Some((own, true, &path.segments)),
        }
    }

    /// What a path may have meant whose first name is nearly that of a context.
    fn misspelt_context(&self, names: &[&str]) -> Option<String> {
        let (first, rest) = names.split_first().filter(|(_, rest)| !rest.is_empty())?;
        let near = nearest(first, self.context.tables(self.mode).iter().map(|table| table.name))?;
        Some(format!("did you mean {near}.{}?", rest.join(".")))
    }

    fn target(&mut self, entry: &PathEntry, rest: &[Segment], keys: &[NodeId], span: Span) -> Option<NodeId> {
        let takes_keys = matches!(entry.target, Target::Map(_) | Target::Value(_) | Target::TraceState | Target::Cache);
        if !keys.is_empty() && !takes_keys {
            let span = rest.last().and_then(|segment| segment.keys.first()).map_or(span, |key| key.span);
            return self.fail(Error::new(error::PATH_KEYS, span, format!("{} takes no keys", entry.names.join("."))));
        }
        match &entry.target {
            Target::Slot(path) => Some(self.ir.slot_node(path.clone())),
            Target::Hex(path) => {
                let id = self.ir.slot_node(path.clone());
                Some(self.ir.node(Node::Hex(id), Type::String))
            }
            Target::KindText(form) => {
                let kind = self.ir.slot_node(SlotPath::SpanKind);
                Some(self.ir.node(Node::KindText(*form, kind), Type::String))
            }
            Target::Time(path) => {
                let nanos = self.ir.slot_node(path.clone());
                Some(self.ir.node(Node::UnixNano(nanos), Type::Time))
            }
            Target::Value(path) => {
                let base = self.ir.slot_node(path.clone());
                Some(self.path_index(base, keys))
            }
            Target::Text(path) => {
                let value = self.ir.slot_node(path.clone());
                Some(self.ir.node(Node::Text(value), Type::String))
            }
            Target::EventIndex => Some(self.ir.node(Node::Fail(EvalError::NoEventIndex), Type::Any)),
            Target::Cache => {
                let base = self.ir.constant(Value::map(Vec::new()));
                Some(self.path_index(base, keys))
            }
            Target::Map(source) => {
                let literal = rest.last().and_then(|segment| segment.keys.first()).map(|key| &key.kind);
                match (literal, keys.split_first()) {
                    (Some(KeyKind::String(key)), Some((_, keys))) => {
                        let base = self.ir.slot_node(SlotPath::Attribute(*source, key.as_str().into()));
                        Some(self.path_index(base, keys))
                    }
                    _ => {
                        let base = self.ir.slot_node(SlotPath::Map(*source));
                        Some(self.path_index(base, keys))
                    }
                }
            }
            Target::TraceState => self.trace_state(rest, keys, span),
        }
    }

    /// `trace_state` takes one key, which must be a string literal: another kind is an error at run time, a second key is
    /// refused.
    fn trace_state(&mut self, rest: &[Segment], keys: &[NodeId], span: Span) -> Option<NodeId> {
        let tree = rest.last().map_or(&[][..], |segment| &segment.keys);
        match (tree, keys) {
            ([], _) => Some(self.ir.slot_node(SlotPath::TraceState)),
            ([key], _) => match &key.kind {
                KeyKind::String(key) => Some(self.ir.slot_node(SlotPath::TraceStateMember(key.as_str().into()))),
                _ => Some(self.ir.node(Node::Fail(EvalError::KeyType), Type::Any)),
            },
            _ => self.fail(Error::new(error::PATH_KEYS, span, "trace_state takes one key")),
        }
    }

    fn path_index(&mut self, base: NodeId, keys: &[NodeId]) -> NodeId {
        if keys.is_empty() {
            return base;
        }
        self.ir.node(Node::PathIndex(base, keys.into()), Type::Any)
    }

    /// A slot that a converter reads without naming it: a path of the own context.
    pub(super) fn implicit(&mut self, name: &str, span: Span) -> Option<NodeId> {
        let entry = self.context.own_table().entries(true).find(|entry| entry.names == [name]);
        match entry {
            Some(entry) => self.target(entry, &[], &[], span),
            None => self.fail(Error::new(
                error::UNKNOWN_PATH,
                span,
                format!("the function reads {name}, which context {} does not have", self.context.name()),
            )),
        }
    }
}

/// `context` is what the path starts with, if it names one.
fn unknown(table: &Table, is_own: bool, context: &str, rest: &[Segment], span: Span) -> Error {
    let names: Vec<&str> = rest.iter().map(|segment| segment.name.node.as_str()).collect();
    let dot = if context.is_empty() { "" } else { "." };
    let wanted = names.join(".");
    let known: Vec<String> = table.entries(is_own).map(|entry| entry.names.join(".")).collect();
    let near =
        nearest(&wanted, known.iter().map(String::as_str)).map(|near| format!("did you mean {context}{dot}{near}?"));
    // A known path followed by more segments: those are what is wrong.
    let prefix = table.entries(is_own).filter(|entry| names.starts_with(entry.names)).max_by_key(|it| it.names.len());
    if let Some(entry) = prefix {
        let behind = rest.get(entry.names.len()).map_or(span, |segment| segment.name.span);
        let whole = entry.names.join(".");
        let message = format!("{}.{whole} has no field here", table.name);
        let mut error = Error::new(error::UNKNOWN_PATH, behind, message);
        // The path without the segments behind it is near, too, but not what was meant.
        error.hint = near
            .filter(|near| *near != format!("did you mean {context}{dot}{whole}?"))
            .or_else(|| fields(table, is_own, entry, &names));
        return error;
    }
    let mut error = Error::new(error::UNKNOWN_PATH, span, format!("context {} has no path {wanted}", table.name));
    error.hint = near.or_else(|| foreign(table, &wanted));
    error
}

/// What may follow a path; for maps, how their entries are read.
fn fields(table: &Table, is_own: bool, entry: &PathEntry, names: &[&str]) -> Option<String> {
    if matches!(entry.target, Target::Map(_) | Target::Value(_)) {
        let key = names.get(entry.names.len()..).unwrap_or_default().join(".");
        return Some(format!("entries are read with a key, `{}[\"{key}\"]`", entry.names.join(".")));
    }
    let below =
        table.entries(is_own).filter(|it| it.names.len() > entry.names.len() && it.names.starts_with(entry.names));
    let fields: Vec<String> = below.map(|it| it.names.join(".")).collect();
    (!fields.is_empty()).then(|| format!("there is {}", fields.join(", ")))
}

/// What other languages call something that has another form here.
fn foreign(table: &Table, wanted: &str) -> Option<String> {
    let hint = match wanted {
        "null" | "none" | "undefined" => "a missing value is `nil`",
        "duration" | "latency" if table.name == "span" => "write `end_time - start_time > Duration(\"500ms\")`",
        "is_root" | "root" if table.name == "span" => "write `IsRootSpan()`",
        "status_code" if table.name == "span" => "write `status.code`, or `attributes[\"http.status_code\"]`",
        "service" | "service.name" => "write `resource.attributes[\"service.name\"]`",
        name if name.contains('.') && ["http", "db", "rpc", "net", "url", "k8s"].contains(&name.split('.').next()?) => {
            return Some(format!("attributes are written `attributes[\"{name}\"]`"));
        }
        _ => return None,
    };
    Some(hint.to_owned())
}
