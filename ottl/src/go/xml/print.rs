//! A tree as text. Elements without children keep both tags, as upstream prints them.

use std::collections::HashMap;

use super::{Attribute, Kind, Name, NodeId, Tree};

/// Go's `html.EscapeString`.
fn push_escaped(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '\'' => out.push_str("&#39;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            c => out.push(c),
        }
    }
}

fn push_name(out: &mut String, name: &Name) {
    if !name.prefix.is_empty() {
        out.push_str(&name.prefix);
        out.push(':');
    }
    out.push_str(&name.local);
}

fn push_attributes(out: &mut String, attributes: &[Attribute]) {
    for attribute in attributes {
        out.push(' ');
        push_name(out, &attribute.name);
        out.push_str("=\"");
        push_escaped(out, &attribute.value);
        out.push('"');
    }
}

/// Whether white space at the ends of texts stays, by an element's `xml:space`.
fn keeps_space(attributes: &[Attribute], inherited: bool) -> bool {
    let space = attributes.iter().find(|attribute| attribute.name.prefix == "xml" && attribute.name.local == "space");
    match space.map(|attribute| attribute.value.as_str()) {
        Some("preserve") => true,
        Some("default") => false,
        _ => inherited,
    }
}

/// More nesting than this repeats the innermost node so often that no limit on the text would be kept.
const MAX_NESTING: u32 = 40;

impl Tree {
    /// The whole document.
    pub fn text(&self) -> String {
        let mut printer = Printer::new(self, &[], usize::MAX);
        for &child in self.children(Tree::ROOT) {
            printer.push_node(child, true);
        }
        printer.out
    }

    /// One node after the other with all below it, as upstream's `GetXML` prints what it selected: it makes them siblings
    /// without taking them from where they were, so a parent whose child is among them goes on from there with all that
    /// were selected after that child, and its other children are lost.
    ///
    /// `None` if that is longer than `limit` bytes or repeats itself without end, which upstream does not notice.
    pub fn gathered_text(&self, gathered: &[NodeId], limit: usize) -> Option<String> {
        let mut printer = Printer::new(self, gathered, limit);
        printer.push_gathered(0, true);
        if printer.is_full() { None } else { Some(printer.out) }
    }
}

struct Printer<'t> {
    tree: &'t Tree,
    gathered: &'t [NodeId],
    /// Where in `gathered` a node stands.
    places: HashMap<NodeId, usize>,
    out: String,
    limit: usize,
    /// Nodes printed, of which some print nothing.
    n_nodes: usize,
    nesting: u32,
}

impl<'t> Printer<'t> {
    fn new(tree: &'t Tree, gathered: &'t [NodeId], limit: usize) -> Self {
        let places = gathered.iter().enumerate().map(|(place, id)| (*id, place)).collect();
        Self { tree, gathered, places, out: String::new(), limit, n_nodes: 0, nesting: 0 }
    }

    fn is_full(&self) -> bool {
        self.nesting > MAX_NESTING || self.n_nodes > self.limit || self.out.len() > self.limit
    }

    fn push_gathered(&mut self, from: usize, keep_space: bool) {
        for &id in self.gathered.get(from..).unwrap_or_default() {
            if self.is_full() {
                return;
            }
            self.push_node(id, keep_space);
        }
    }

    fn push_children(&mut self, id: NodeId, keep_space: bool) {
        for &child in self.tree.children(id) {
            if let Some(&place) = self.places.get(&child) {
                self.nesting += 1;
                self.push_gathered(place, keep_space);
                // Left as it is where that was too deep, so that all above it stop.
                if !self.is_full() {
                    self.nesting -= 1;
                }
                return;
            }
            self.push_node(child, keep_space);
        }
    }

    fn push_node(&mut self, id: NodeId, keep_space: bool) {
        self.n_nodes += 1;
        let tree = self.tree;
        match tree.kind(id) {
            Kind::Document => self.push_children(id, keep_space),
            Kind::Declaration(attributes) => {
                self.out.push_str("<?xml");
                push_attributes(&mut self.out, attributes);
                self.out.push_str("?>");
            }
            Kind::Element(name, attributes) => {
                let keep_space = keeps_space(attributes, keep_space);
                self.out.push('<');
                push_name(&mut self.out, name);
                push_attributes(&mut self.out, attributes);
                self.out.push('>');
                self.push_children(id, keep_space);
                self.out.push_str("</");
                push_name(&mut self.out, name);
                self.out.push('>');
            }
            Kind::Text(text) => push_escaped(&mut self.out, if keep_space { text } else { text.trim() }),
            Kind::Cdata(text) => self.push_all(&["<![CDATA[", text, "]]>"]),
            Kind::Comment(text) => self.push_all(&["<!--", text, "-->"]),
            Kind::Instruction(target, body) if body.is_empty() => self.push_all(&["<?", target, "?>"]),
            Kind::Instruction(target, body) => self.push_all(&["<?", target, " ", body, "?>"]),
            Kind::Directive(text) => self.push_all(&["<!", text, ">"]),
        }
    }

    fn push_all(&mut self, pieces: &[&str]) {
        self.out.extend(pieces.iter().copied());
    }
}
