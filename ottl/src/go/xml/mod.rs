//! XML as Go reads it strictly (`encoding/xml`), as a tree that can be queried, edited and printed (antchfx/xmlquery).
//!
//! Nodes live in one table and refer to each other by number. Nesting is bounded by [`MAX_DEPTH`]; Go stops at 10,000.
//! It knows no DTDs, and namespaces only as the prefixes that are written.

mod print;
mod token;
pub mod xpath;

use token::{Token, Tokens};

/// How deeply elements may nest.
pub const MAX_DEPTH: usize = 1000;

/// A node of a [`Tree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

/// A name with the prefix as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Name {
    /// Empty without one.
    pub prefix: String,
    /// The part after the colon.
    pub local: String,
}

/// An attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its name.
    pub name: Name,
    /// Its value, entities resolved.
    pub value: String,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The root of all.
    Document,
    /// `<?xml ...?>`
    Declaration(Vec<Attribute>),
    /// `<a b="c">`
    Element(Name, Vec<Attribute>),
    /// Character data, entities resolved.
    Text(String),
    /// `<![CDATA[..]]>`
    Cdata(String),
    /// `<!--..-->`
    Comment(String),
    /// `<?target text?>`
    Instruction(String, String),
    /// `<!..>`
    Directive(String),
}

#[derive(Clone, Debug)]
struct Node {
    kind: Kind,
    parent: Option<NodeId>,
    children: Vec<NodeId>,
}

/// A document.
#[derive(Clone, Debug)]
pub struct Tree {
    nodes: Vec<Node>,
}

/// Why a text is not XML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl Tree {
    /// A document without nodes.
    pub fn empty() -> Self {
        Tree { nodes: vec![Node { kind: Kind::Document, parent: None, children: Vec::new() }] }
    }

    /// Reads a document with everything in it: a declaration, comments, white space.
    ///
    /// As upstream, what stands before the first element or instruction is dropped, and so is an instruction that comes
    /// first without being a declaration.
    ///
    /// # Errors
    /// If Go would refuse it, if there is no element, or if elements nest too deeply.
    pub fn parse(text: &[u8]) -> Result<Self, Malformed> {
        let mut tree = Tree::empty();
        let mut open = vec![Tree::ROOT];
        let mut started = false;
        for token in Tokens::new(text)? {
            let parent = open.last().copied().unwrap_or(Tree::ROOT);
            match token? {
                Token::Start { name, attributes, empty } => {
                    started = true;
                    if open.len() > MAX_DEPTH {
                        return Err(Malformed);
                    }
                    let element = tree.add(parent, Kind::Element(name, attributes));
                    if !tree.prefix_is_declared(element) {
                        return Err(Malformed);
                    }
                    if !empty {
                        open.push(element);
                    }
                }
                Token::End(name) => {
                    let closes = matches!(&tree.node(parent).kind, Kind::Element(opened, _) if *opened == name);
                    if !closes {
                        return Err(Malformed);
                    }
                    open.pop();
                }
                Token::Instruction(target, body) if target == "xml" => {
                    started = true;
                    tree.add(parent, Kind::Declaration(token::pseudo_attributes(&body)));
                }
                Token::Instruction(target, body) => {
                    // Upstream takes the first node for the declaration and removes it.
                    if std::mem::replace(&mut started, true) {
                        tree.add(parent, Kind::Instruction(target, body.trim().to_owned()));
                    }
                }
                _ if !started => {}
                Token::Text(text) => {
                    tree.add(parent, Kind::Text(text));
                }
                Token::Cdata(text) => {
                    tree.add(parent, Kind::Cdata(text));
                }
                Token::Comment(text) => {
                    tree.add(parent, Kind::Comment(text));
                }
                Token::Directive(text) => {
                    tree.add(parent, Kind::Directive(text));
                }
            }
        }
        let has_element = tree.children(Tree::ROOT).iter().any(|id| matches!(tree.kind(*id), Kind::Element(..)));
        if open.len() > 1 || !has_element { Err(Malformed) } else { Ok(tree) }
    }

    /// The document node.
    pub const ROOT: NodeId = NodeId(0);

    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.0 as usize]
    }

    /// How many nodes were ever in it.
    pub fn n_nodes(&self) -> usize {
        self.nodes.len()
    }

    /// What a node is.
    pub fn kind(&self, id: NodeId) -> &Kind {
        &self.node(id).kind
    }

    /// Changes what a node is.
    pub fn set_kind(&mut self, id: NodeId, kind: Kind) {
        self.node_mut(id).kind = kind;
    }

    /// The node above.
    pub fn parent(&self, id: NodeId) -> Option<NodeId> {
        self.node(id).parent
    }

    /// The nodes below, in order.
    pub fn children(&self, id: NodeId) -> &[NodeId] {
        &self.node(id).children
    }

    /// The attributes of an element; nothing for other nodes.
    pub fn attributes(&self, id: NodeId) -> &[Attribute] {
        match &self.node(id).kind {
            Kind::Element(_, attributes) => attributes,
            _ => &[],
        }
    }

    /// Adds a last child.
    pub fn add(&mut self, parent: NodeId, kind: Kind) -> NodeId {
        // Every node takes at least a byte of text, and texts are far below 4 GiB.
        let id = NodeId(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        self.nodes.push(Node { kind, parent: Some(parent), children: Vec::new() });
        self.node_mut(parent).children.push(id);
        id
    }

    /// Adds copies of another document's top nodes as last children.
    pub fn add_copies(&mut self, parent: NodeId, other: &Tree) {
        self.add_copy(parent, other, Tree::ROOT);
    }

    fn add_copy(&mut self, parent: NodeId, other: &Tree, of: NodeId) {
        for &child in other.children(of) {
            let copy = self.add(parent, other.kind(child).clone());
            self.add_copy(copy, other, child);
        }
    }

    /// Removes nodes with all below them, in time linear in the table.
    pub fn remove(&mut self, ids: &[NodeId]) {
        let mut parents: Vec<NodeId> = ids.iter().filter_map(|id| self.node_mut(*id).parent.take()).collect();
        parents.sort_unstable();
        parents.dedup();
        for parent in parents {
            let mut children = std::mem::take(&mut self.node_mut(parent).children);
            children.retain(|child| self.node(*child).parent.is_some());
            self.node_mut(parent).children = children;
        }
    }

    /// Removes attributes of an element, one for each of the names. Those with a prefix stay: upstream looks attributes up
    /// by their local names only.
    pub fn remove_attributes(&mut self, id: NodeId, names: &[String]) {
        let mut wanted = hashbrown::HashMap::<&str, usize, foldhash::fast::RandomState>::default();
        for name in names {
            *wanted.entry(name).or_default() += 1;
        }
        if let Kind::Element(_, attributes) = &mut self.node_mut(id).kind {
            attributes.retain(|attribute| match wanted.get_mut(attribute.name.local.as_str()) {
                Some(count) if *count > 0 && attribute.name.prefix.is_empty() => {
                    *count -= 1;
                    false
                }
                _ => true,
            });
        }
    }

    /// All text in and below a node, without comments.
    pub fn inner_text(&self, id: NodeId) -> String {
        let mut out = String::new();
        self.push_inner_text(id, &mut out);
        out
    }

    fn push_inner_text(&self, id: NodeId, out: &mut String) {
        match &self.node(id).kind {
            Kind::Text(text) | Kind::Cdata(text) => out.push_str(text),
            Kind::Comment(_) => {}
            _ => self.children(id).iter().for_each(|child| self.push_inner_text(*child, out)),
        }
    }

    /// Whether an element's prefix was declared on it or above it; without a prefix there is nothing to declare.
    fn prefix_is_declared(&self, id: NodeId) -> bool {
        let Kind::Element(name, _) = &self.node(id).kind else { return true };
        if matches!(name.prefix.as_str(), "" | "xml") {
            return true;
        }
        let declares = |attribute: &Attribute| attribute.name.prefix == "xmlns" && attribute.name.local == name.prefix;
        let mut at = Some(id);
        while let Some(node) = at {
            if self.attributes(node).iter().any(declares) {
                return true;
            }
            at = self.parent(node);
        }
        false
    }
}

/// An element as `ParseXML` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// Local name.
    pub tag: String,
    /// In order; prefixes are dropped.
    pub attributes: Vec<(String, String)>,
    /// All text directly inside, each piece trimmed.
    pub text: String,
    /// In order.
    pub children: Vec<Element>,
}

/// Reads the one element that a text is, as Go's `xml.Decoder.Decode` does: what comes before it is skipped, nothing may
/// come after it.
///
/// # Errors
/// If Go would refuse it, or it nests too deeply.
pub fn parse_element(text: &[u8]) -> Result<Element, Malformed> {
    let mut open: Vec<(Name, Element)> = Vec::new();
    let mut tokens = Tokens::new(text)?;
    while let Some(token) = tokens.next() {
        let closed = match token? {
            Token::Start { name, attributes, empty } => {
                let attributes =
                    attributes.into_iter().map(|attribute| (attribute.name.local, attribute.value)).collect();
                let element = Element { tag: name.local.clone(), attributes, ..Element::default() };
                if open.len() >= MAX_DEPTH {
                    return Err(Malformed);
                }
                if empty {
                    element
                } else {
                    open.push((name, element));
                    continue;
                }
            }
            Token::End(name) => match open.pop() {
                Some((opened, element)) if opened == name => element,
                _ => return Err(Malformed),
            },
            Token::Text(text) | Token::Cdata(text) => {
                if let Some((_, element)) = open.last_mut() {
                    element.text.push_str(text.trim());
                }
                continue;
            }
            _ => continue,
        };
        match open.last_mut() {
            Some((_, parent)) => parent.children.push(closed),
            None if tokens.is_at_end() => return Ok(closed),
            None => return Err(Malformed),
        }
    }
    Err(Malformed)
}

#[cfg(test)]
mod tests;
