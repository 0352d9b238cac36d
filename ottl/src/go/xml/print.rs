//! A tree as text. Elements without children keep both tags, as upstream prints them.

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

impl Tree {
    /// The whole document.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for &child in self.children(Tree::ROOT) {
            self.push_node(&mut out, child, true);
        }
        out
    }

    /// One node with all below it.
    pub fn push_node_text(&self, out: &mut String, id: NodeId) {
        self.push_node(out, id, true);
    }

    fn push_node(&self, out: &mut String, id: NodeId, keep_space: bool) {
        match self.kind(id) {
            Kind::Document => self.children(id).iter().for_each(|child| self.push_node(out, *child, keep_space)),
            Kind::Declaration(attributes) => {
                out.push_str("<?xml");
                push_attributes(out, attributes);
                out.push_str("?>");
            }
            Kind::Element(name, attributes) => {
                let keep_space = keeps_space(attributes, keep_space);
                out.push('<');
                push_name(out, name);
                push_attributes(out, attributes);
                out.push('>');
                self.children(id).iter().for_each(|child| self.push_node(out, *child, keep_space));
                out.push_str("</");
                push_name(out, name);
                out.push('>');
            }
            Kind::Text(text) => push_escaped(out, if keep_space { text } else { text.trim() }),
            Kind::Cdata(text) => {
                out.push_str("<![CDATA[");
                out.push_str(text);
                out.push_str("]]>");
            }
            Kind::Comment(text) => {
                out.push_str("<!--");
                out.push_str(text);
                out.push_str("-->");
            }
            Kind::Instruction(target, body) => {
                out.push_str("<?");
                out.push_str(target);
                if !body.is_empty() {
                    out.push(' ');
                    out.push_str(body);
                }
                out.push_str("?>");
            }
            Kind::Directive(text) => {
                out.push_str("<!");
                out.push_str(text);
                out.push('>');
            }
        }
    }
}
