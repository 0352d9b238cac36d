//! Laying one source over another: maps merge, everything else replaces.

use super::node::Node;

/// `over` wins. A null in `over` replaces too, as upstream's merge does.
pub(super) fn merge(base: &mut Node, over: Node) {
    match (base, over) {
        (Node::Map(base), Node::Map(over)) => {
            for (key, value) in over {
                match base.iter_mut().find(|(known, _)| *known == key) {
                    Some((_, known)) => merge(known, value),
                    None => base.push((key, value)),
                }
            }
        }
        (base, over) => *base = over,
    }
}

/// Splits top-level keys at `::`, so that `service::telemetry: x` and `yaml:a::b: x` reach into the tree.
pub(super) fn unflatten(root: Node) -> Node {
    let Node::Map(entries) = root else { return root };
    let mut out = Node::Map(Vec::new());
    for (key, mut value) in entries {
        let mut parts = key.rsplit("::").map(str::to_owned);
        let last = parts.next().unwrap_or_default();
        value = Node::Map(vec![(last, value)]);
        for part in parts {
            value = Node::Map(vec![(part, value)]);
        }
        merge(&mut out, value);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::yaml::parse;
    use super::*;

    #[test]
    fn maps_merge_and_the_rest_replaces() {
        for (base, over, expected) in [
            ("a: {b: 1, c: 2}", "a: {c: 3, d: 4}", "a: {b: 1, c: 3, d: 4}"),
            ("a: [1, 2]", "a: [3]", "a: [3]"),
            ("a: {b: 1}", "a: 5", "a: 5"),
            ("a: {b: 1}", "a: ", "a: "),
            ("a: {b: 1}", "{}", "a: {b: 1}"),
        ] {
            let mut base = parse(base).unwrap();
            merge(&mut base, parse(over).unwrap());
            assert_eq!(base, parse(expected).unwrap(), "{over}");
        }
    }

    #[test]
    fn double_colons_nest() {
        let root = unflatten(parse("a::b::c: 1\na: {b: {d: 2}}\n").unwrap());
        assert_eq!(root, parse("a: {b: {c: 1, d: 2}}").unwrap());
    }
}
