use super::{
    xpath::{Selected, XPath},
    *,
};

fn round_trip(text: &str, expected: &str) {
    assert_eq!(Tree::parse(text.as_bytes()).unwrap().text(), expected);
}

#[test]
fn reads_and_prints() {
    round_trip("<a b='1&amp;2'>x<c/></a>", "<a b=\"1&amp;2\">x<c></c></a>");
    round_trip("<?xml version=\"1.0\" encoding=\"UTF-8\"?><a/>", "<?xml version=\"1.0\" encoding=\"UTF-8\"?><a></a>");
    round_trip(
        "<!-- lost --><a><!-- kept --><![CDATA[<&>]]>&lt;\"</a>",
        "<a><!-- kept --><![CDATA[<&>]]>&lt;&#34;</a>",
    );
    round_trip("<n:a xmlns:n=\"u\" n:b=\"1\"/>", "<n:a xmlns:n=\"u\" n:b=\"1\"></n:a>");
    round_trip("<a/>\n<b/>", "<a></a>\n<b></b>");
}

#[test]
fn refuses_what_go_refuses() {
    for text in [
        "",
        "<!-- c -->",
        "<a>",
        "</a>",
        "<a></b>",
        "<a b></a>",
        "<a b=c/>",
        "<a>&nbsp;</a>",
        "<a>&amp</a>",
        "<a>]]></a>",
        "<a b=\"<\"/>",
        "<!-- a -- b --><a/>",
        "<n:a/>",
        "<?xml version=\"1.1\"?><a/>",
        "<1/>",
        "<a",
        "<![CDATA[x",
        "<a>\u{1}</a>",
        "<a:b:c/>",
    ] {
        assert!(Tree::parse(text.as_bytes()).is_err(), "{text}");
    }
    assert!(Tree::parse("<a>".repeat(MAX_DEPTH + 1).as_bytes()).is_err());
    assert!(Tree::parse(b"<a>\xff</a>").is_err());
}

#[test]
fn one_element() {
    let element = parse_element(b"<?xml version='1.0'?>\n<a b=\"1\"> x <c/> y</a>").unwrap();
    assert_eq!((element.tag.as_str(), element.text.as_str(), element.children.len()), ("a", "xy", 1));
    for text in ["", "<a/> ", "<a/><b/>", "text", "<a>"] {
        assert!(parse_element(text.as_bytes()).is_err(), "{text:?}");
    }
    assert!(parse_element(b"<n:a/>").is_ok());
}

fn select(xpath: &str) -> Vec<String> {
    let tree =
        Tree::parse(b"<r><a id='1'>one</a><b><a id='2' k='v'>two</a><!--c--></b><a id='3'>th<![CDATA[re]]>e</a></r>")
            .unwrap();
    let show = |selected| match selected {
        Selected::Node(id) => tree.gathered_text(&[id], usize::MAX).unwrap(),
        Selected::Attribute { name, value, .. } => format!("{name}={value}"),
    };
    XPath::new(xpath).unwrap_or_else(|error| panic!("{xpath}: {error}")).select(&tree).into_iter().map(show).collect()
}

#[test]
fn paths() {
    assert_eq!(select("/r/b/a"), ["<a id=\"2\" k=\"v\">two</a>"]);
    assert_eq!(select("//a/@id"), ["id=1", "id=2", "id=3"]);
    assert_eq!(select("//@*"), ["id=1", "id=2", "k=v", "id=3"]);
    assert_eq!(select("//a[@id='2']/text()"), ["two"]);
    assert_eq!(select("/r/a[last()]/@id"), ["id=3"]);
    assert_eq!(select("/r/a[2]/@id"), ["id=3"]);
    assert_eq!(select("(//a)[2]/@id"), ["id=2"]);
    assert_eq!(select("//a[not(@k)]/@id"), ["id=1", "id=3"]);
    assert_eq!(select("//a[contains(., 'w') or @id > 2]/@id"), ["id=2", "id=3"]);
    assert_eq!(select("//comment()"), ["<!--c-->"]);
    assert_eq!(select("//b/.."), select("/r"));
    assert_eq!(select("//a[@id='3']/preceding-sibling::*[1]/a/@id | //b/following::a/@id"), ["id=2", "id=3"]);
    assert_eq!(select("//*[local-name()='b']/*/@k"), ["k=v"]);
    assert_eq!(select("/none"), [""; 0]);
    assert_eq!(select("//a[position() mod 2 = 1][1]/@id"), ["id=1", "id=2"]);
}

/// Seen in contrib's `pkg/ottl` v1.3.1 by the differential run: it accepts them and selects nothing.
#[test]
fn what_gives_no_nodes_selects_nothing() {
    for xpath in ["1", "-1", "'x'", "count(//a)", "not(//a)", "//a = 'x'", "1 + 1"] {
        assert_eq!(select(xpath), [""; 0], "{xpath}");
    }
}

#[test]
fn refused_expressions() {
    for xpath in ["///", "", "/a[", "/a/@", "$x", "nope()", "/a]", "//a[position(1)]", "a b", "foo::a", "//a and //b"] {
        assert!(XPath::new(xpath).is_err(), "{xpath}");
    }
    assert!(XPath::new("\u{e9}\u{20ac}").is_err());
    assert!(XPath::new(&"(".repeat(10_000)).is_err());
}

/// Answers of contrib's `GetXML` (pkg/ottl v0.159.0), which makes what is selected siblings where it stands.
#[test]
fn gathered_nodes_take_their_later_siblings_along() {
    let gathered = |text: &str, xpath: &str, limit| {
        let tree = Tree::parse(text.as_bytes()).unwrap();
        let nodes = XPath::new(xpath).unwrap().select(&tree).into_iter();
        let ids: Vec<_> = nodes.map(|node| if let Selected::Node(id) = node { id } else { panic!() }).collect();
        tree.gathered_text(&ids, limit)
    };
    let text = "<a><c><b></b></c></a>";
    let answer = "<a><c><b></b></c><b></b></a><c><b></b></c><b></b>";
    assert_eq!(gathered(text, "//*", 1000).as_deref(), Some(answer));
    assert_eq!(gathered(text, "//*", answer.len() - 1), None);
    // Each level doubles what is printed.
    let deep = "<a>".repeat(200) + &"</a>".repeat(200);
    assert_eq!(gathered(&deep, "//a", 1 << 20), None);
    assert_eq!(gathered(&deep, "/a", 1 << 20), Some(deep));
}
