//! XML as values and texts: `ParseXML`, `ParseSimplifiedXML`, `GetXML`, `InsertXML`, `RemoveXML`,
//! `ConvertAttributesToElementsXML`, `ConvertTextToElementsXML`.
//!
//! Where an XPath selects elements within elements, upstream's `GetXML` tears the outer ones apart, and so does this one. What
//! then repeats itself without end, on which upstream hangs, is an error here.

use std::borrow::Cow;

use super::{Call, Function, Literals, Param, ParamKind, Prepared, Refusal, text_form::bounded};
use crate::{
    error::EvalError,
    go::xml::{
        self, Element, Kind, Name, NodeId, Tree,
        xpath::{Selected, XPath},
    },
    ir::Type,
    value::Value,
};

const TARGET: Param = Param::required("Target", ParamKind::String);
const XPATH: Param = Param::required("XPath", ParamKind::LiteralString);
const OPTIONAL_XPATH: Param = Param::optional("XPath", ParamKind::LiteralString);

pub(super) static PARSE: Function = Function::new(
    "ParseXML",
    &[TARGET],
    Type::Map,
    parse_xml,
    "an XML element as a map of tag, attributes, content and children",
);
pub(super) static PARSE_SIMPLIFIED: Function = Function::new(
    "ParseSimplifiedXML",
    &[TARGET],
    Type::Map,
    parse_simplified,
    "XML as a map of texts by element name, without attributes and mixed text",
);
pub(super) static GET: Function = Function {
    prepare: Some(|literals| xpath(literals, "")),
    ..Function::new("GetXML", &[TARGET, XPATH], Type::String, get, "the XML that an XPath selects")
};
pub(super) static INSERT: Function = Function {
    prepare: Some(|literals| xpath(literals, "")),
    ..Function::new(
        "InsertXML",
        &[TARGET, XPATH, Param::required("SubDocument", ParamKind::String)],
        Type::String,
        insert,
        "XML with a document added to each element that an XPath selects",
    )
};
pub(super) static REMOVE: Function = Function {
    prepare: Some(|literals| xpath(literals, "")),
    ..Function::new("RemoveXML", &[TARGET, XPATH], Type::String, remove, "XML without what an XPath selects")
};
pub(super) static ATTRIBUTES_TO_ELEMENTS: Function = Function {
    prepare: Some(|literals| xpath(literals, "//@*")),
    ..Function::new(
        "ConvertAttributesToElementsXML",
        &[TARGET, OPTIONAL_XPATH],
        Type::String,
        attributes_to_elements,
        "XML with attributes made child elements: all, or those that an XPath selects",
    )
};
pub(super) static TEXT_TO_ELEMENTS: Function = Function {
    prepare: Some(|literals| xpath(literals, "/")),
    ..Function::new(
        "ConvertTextToElementsXML",
        &[TARGET, OPTIONAL_XPATH, Param::optional("ElementName", ParamKind::LiteralString)],
        Type::String,
        text_to_elements,
        "XML with text that stands beside elements wrapped in an element of its own",
    )
};

/// The XPath is always the second parameter; an empty one means the default, if there is one.
fn xpath(literals: &Literals<'_>, default: &str) -> Result<Prepared, Refusal> {
    let text = match literals.str(1) {
        None | Some("") => default,
        Some(text) => text,
    };
    match XPath::new(text) {
        Ok(compiled) => Ok(Some(Box::new(compiled))),
        Err(error) => Err(Refusal::of(1)(format!("invalid xpath: {error}"))),
    }
}

fn tree(text: &[u8]) -> Result<Tree, EvalError> {
    let mut tree = Tree::parse(text).map_err(|xml::Malformed| EvalError::Parse)?;
    // A declaration stays only where it is the very first thing.
    let first = tree.children(Tree::ROOT).first().copied();
    if let Some(first) = first.filter(|first| matches!(tree.kind(*first), Kind::Declaration(_)))
        && !text.starts_with(b"<?xml")
    {
        tree.remove(&[first]);
    }
    Ok(tree)
}

fn printed<'e>(call: &Call<'_, 'e>, tree: &Tree) -> Result<Value<'e>, EvalError> {
    bounded(tree.text().into_bytes(), call.limits()).map(Value::string)
}

fn key(name: &'static str) -> Cow<'static, [u8]> {
    Cow::Borrowed(name.as_bytes())
}

fn parse_xml<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let target = call.str(0)?;
    xml::parse_element(&target).map(element_map).map_err(|xml::Malformed| EvalError::Parse)
}

fn element_map<'e>(element: Element) -> Value<'e> {
    let mut entries = vec![(key("tag"), Value::string(element.tag))];
    if !element.text.is_empty() {
        entries.push((key("content"), Value::string(element.text)));
    }
    if !element.attributes.is_empty() {
        let pairs = element.attributes.into_iter().map(|(name, value)| (name.into_bytes(), Value::string(value)));
        let attributes = super::parse_key_value::last_of_equal_keys(pairs.collect());
        entries.push((key("attributes"), Value::map(attributes)));
    }
    if !element.children.is_empty() {
        let children = element.children.into_iter().map(element_map).collect();
        entries.push((key("children"), Value::slice(children)));
    }
    Value::map(entries)
}

fn parse_simplified<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let tree = tree(&call.str(0)?)?;
    Ok(Value::map(simplified(&tree, Tree::ROOT)))
}

/// An element's child elements by name: text, a map, or a list of both where a name repeats. Empty ones are left out.
fn simplified<'e>(tree: &Tree, of: NodeId) -> Vec<(Cow<'e, [u8]>, Value<'e>)> {
    let name_of = |id: NodeId| match tree.kind(id) {
        Kind::Element(name, _) => Some(name.local.as_bytes()),
        _ => None,
    };
    let children = tree.children(of);
    let mut counts = hashbrown::HashMap::<&[u8], usize, foldhash::fast::RandomState>::default();
    for name in children.iter().filter_map(|child| name_of(*child)) {
        *counts.entry(name).or_default() += 1;
    }
    let mut keys: Vec<&[u8]> = Vec::new();
    let mut values: Vec<(bool, Vec<Value<'e>>)> = Vec::new();
    let mut places = hashbrown::HashMap::<&[u8], usize, foldhash::fast::RandomState>::default();
    for &child in children {
        let Some(name) = name_of(child) else { continue };
        if tree.children(child).is_empty() {
            continue;
        }
        let text = leaf_text(tree, child);
        let value = if text.is_empty() {
            let below = simplified(tree, child);
            (!below.is_empty()).then(|| Value::map(below))
        } else {
            Some(Value::string(text))
        };
        let repeats = counts.get(name).is_some_and(|count| *count > 1);
        // A list is there even if nothing gets into it.
        if value.is_none() && !repeats {
            continue;
        }
        let place = *places.entry(name).or_insert(keys.len());
        if place == keys.len() {
            keys.push(name);
            values.push((repeats, Vec::new()));
        }
        if let Some((_, list)) = values.get_mut(place) {
            list.extend(value);
        }
    }
    let entries = keys.into_iter().zip(values).map(|(name, (repeats, mut list))| {
        let value = if repeats { Value::slice(list) } else { list.pop().unwrap_or_default() };
        (Cow::Owned(name.to_vec()), value)
    });
    entries.collect()
}

/// The first text of an element without child elements.
fn leaf_text(tree: &Tree, id: NodeId) -> &str {
    let children = tree.children(id);
    if children.iter().any(|child| matches!(tree.kind(*child), Kind::Element(..))) {
        return "";
    }
    let texts = children.iter().filter_map(|child| match tree.kind(*child) {
        Kind::Text(text) | Kind::Cdata(text) => Some(text.as_str()),
        _ => None,
    });
    texts.into_iter().next().unwrap_or("")
}

fn prepared_xpath<'e>(call: &Call<'_, 'e>) -> Result<&'e XPath, EvalError> {
    call.prepared::<XPath>().ok_or(EvalError::Argument)
}

fn get<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let xpath = prepared_xpath(call)?;
    let target = call.str(0)?;
    if target.is_empty() {
        return Ok(Value::str(""));
    }
    let mut source = tree(&target)?;
    let mut gathered = Vec::new();
    for selected in xpath.select(&source) {
        // Values of attributes and CDATA become texts of their own.
        let text = match selected {
            Selected::Attribute { value, .. } => value,
            Selected::Node(id) => match source.kind(id) {
                Kind::Cdata(text) => text.clone(),
                Kind::Element(..) | Kind::Text(_) => {
                    gathered.push(id);
                    continue;
                }
                _ => continue,
            },
        };
        gathered.push(source.add(Tree::ROOT, Kind::Text(text)));
    }
    let text = source.gathered_text(&gathered, call.limits().result_bytes).ok_or(EvalError::Limit)?;
    Ok(Value::string(text))
}

fn insert<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let xpath = prepared_xpath(call)?;
    let target = call.str(0)?;
    // An empty text is an empty document here, though nowhere else.
    let mut target = if target.is_empty() { Tree::empty() } else { tree(&target)? };
    let sub_document = tree(&call.str(2)?)?;
    let mut added = 0usize;
    for selected in xpath.select(&target) {
        match selected {
            Selected::Node(id) if matches!(target.kind(id), Kind::Element(..) | Kind::Document) => {
                added += 1;
                // Copies multiply; the text they make is bounded, so the tree must be too.
                if added.saturating_mul(sub_document.n_nodes()) > call.limits().result_bytes {
                    return Err(EvalError::Limit);
                }
                target.add_copies(id, &sub_document);
            }
            _ => return Err(EvalError::Argument),
        }
    }
    printed(call, &target)
}

fn remove<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let xpath = prepared_xpath(call)?;
    let target = call.str(0)?;
    if target.is_empty() {
        return Ok(Value::str(""));
    }
    let mut tree = tree(&target)?;
    let selected = xpath.select(&tree);
    let removable =
        |id: &NodeId| matches!(tree.kind(*id), Kind::Element(..) | Kind::Comment(_) | Kind::Cdata(_) | Kind::Text(_));
    let nodes = selected.iter().filter_map(|selected| match selected {
        Selected::Node(id) => Some(*id).filter(removable),
        Selected::Attribute { .. } => None,
    });
    let nodes: Vec<NodeId> = nodes.collect();
    for (of, attributes) in by_element(selected) {
        let names: Vec<String> = attributes.into_iter().map(|(name, _)| name).collect();
        tree.remove_attributes(of, &names);
    }
    tree.remove(&nodes);
    printed(call, &tree)
}

/// The selected attributes, those of one element together: they are in document order.
fn by_element(selected: Vec<Selected>) -> Vec<(NodeId, Vec<(String, String)>)> {
    let mut elements: Vec<(NodeId, Vec<(String, String)>)> = Vec::new();
    for selected in selected {
        let Selected::Attribute { of, name, value } = selected else { continue };
        match elements.last_mut() {
            Some((last, attributes)) if *last == of => attributes.push((name, value)),
            _ => elements.push((of, vec![(name, value)])),
        }
    }
    elements
}

fn attributes_to_elements<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let xpath = prepared_xpath(call)?;
    let mut tree = tree(&call.str(0)?)?;
    for (of, attributes) in by_element(xpath.select(&tree)) {
        let names: Vec<String> = attributes.iter().map(|(name, _)| name.clone()).collect();
        tree.remove_attributes(of, &names);
        for (name, value) in attributes {
            let element = tree.add(of, Kind::Element(Name { prefix: String::new(), local: name }, Vec::new()));
            tree.add(element, Kind::Text(value));
        }
    }
    printed(call, &tree)
}

fn text_to_elements<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let xpath = prepared_xpath(call)?;
    let mut tree = tree(&call.str(0)?)?;
    let name = match call.opt_str(2)? {
        Some(name) if !name.is_empty() => String::from_utf8_lossy(&name).into_owned(),
        _ => "value".to_owned(),
    };
    for selected in xpath.select(&tree) {
        if let Selected::Node(id) = selected {
            wrap_text(&mut tree, id, &name);
        }
    }
    printed(call, &tree)
}

/// Wraps texts that stand beside elements or other texts, here and below.
fn wrap_text(tree: &mut Tree, id: NodeId, name: &str) {
    if !matches!(tree.kind(id), Kind::Element(..) | Kind::Document) {
        return;
    }
    let children = tree.children(id).to_vec();
    let mut n_elements = 0;
    let mut texts = Vec::new();
    for child in children {
        match tree.kind(child) {
            Kind::Element(..) => {
                wrap_text(tree, child, name);
                n_elements += 1;
            }
            Kind::Text(text) => texts.push((child, text.clone())),
            _ => {}
        }
    }
    if n_elements + texts.len() <= 1 {
        return;
    }
    for (child, text) in texts {
        tree.set_kind(child, Kind::Element(Name { prefix: String::new(), local: name.to_owned() }, Vec::new()));
        tree.add(child, Kind::Text(text));
    }
}
