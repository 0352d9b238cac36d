//! Laying one source over another: maps merge, everything else replaces.

use super::node::Node;

/// `over` wins. A null in `over` replaces too, as upstream's merge does.
pub(super) fn merge(base: &mut Node, over: Node) {
    lay(base, over, "", false);
}

/// As [`merge`], but lists of extensions, receivers and exporters below `service` are joined, each item once (gate
/// `confmap.enableMergeAppendOption`).
pub(super) fn merge_appending(base: &mut Node, over: Node) {
    lay(base, over, "", true);
}

fn lay(base: &mut Node, over: Node, path: &str, append: bool) {
    match (base, over) {
        (Node::List(base), Node::List(over)) if append && is_joined(path) => {
            for item in over {
                if !base.contains(&item) {
                    base.push(item);
                }
            }
        }
        (Node::Map(base), Node::Map(over)) => {
            for (key, value) in over {
                match base.iter_mut().find(|(known, _)| *known == key) {
                    Some((_, known)) => lay(known, value, &super::decode::join(path, &key), append),
                    None => base.push((key, value)),
                }
            }
        }
        (base, over) => *base = over,
    }
}

fn is_joined(path: &str) -> bool {
    let Some(rest) = path.strip_prefix("service::") else { return false };
    rest == "extensions" || rest.ends_with("::receivers") || rest.ends_with("::exporters")
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
    fn the_gate_joins_some_lists() {
        let mut base =
            parse("service: {extensions: [a], pipelines: {traces: {receivers: [a], processors: [p]}}}").unwrap();
        let over = "service: {extensions: [b, a], pipelines: {traces: {receivers: [b], processors: [q]}}}";
        merge_appending(&mut base, parse(over).unwrap());
        let joined = "service: {extensions: [a, b], pipelines: {traces: {receivers: [a, b], processors: [q]}}}";
        assert_eq!(base, parse(joined).unwrap());
    }

    #[test]
    fn double_colons_nest() {
        let root = unflatten(parse("a::b::c: 1\na: {b: {d: 2}}\n").unwrap());
        assert_eq!(root, parse("a: {b: {c: 1, d: 2}}").unwrap());
    }
}
