//! Browsers and systems by their user agent texts: the regular expressions of uap-core, tried in order.

use std::sync::LazyLock;

use super::regexp::Regexp;

/// Kind, flags, expression and replacements, separated by tabs; see the file's head.
static RULES: &str = include_str!("data/user_agents.txt");

/// What a user agent was found to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Browser or tool; `Other` if none is known.
    pub name: String,
    /// Its version, perhaps empty.
    pub version: String,
    /// System; `Other` if none is known.
    pub os_name: String,
    /// Its version, perhaps empty.
    pub os_version: String,
}

struct Rule {
    pattern: Regexp,
    /// Templates of the name and up to four version parts.
    parts: Vec<&'static str>,
}

/// All rules, compiled when first used: about six hundred expressions.
#[derive(Default)]
struct Rules {
    agents: Vec<Rule>,
    systems: Vec<Rule>,
}

static COMPILED: LazyLock<Rules> = LazyLock::new(|| {
    let mut rules = Rules::default();
    for line in RULES.lines().filter(|line| !line.starts_with('#')) {
        let mut fields = line.split('\t');
        let (Some(kind), Some(flags), Some(expression)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let expression = if flags.is_empty() { expression.to_owned() } else { format!("(?{flags}){expression}") };
        // The set is part of the program; a test says that all of it compiles.
        let Ok(pattern) = Regexp::new(&expression) else { continue };
        let (defaults, list): (&[&str], _) = match kind {
            "ua" => (&["$1", "$2", "$3", "$4"], &mut rules.agents),
            _ => (&["$1", "$2", "$3", "$4", "$5"], &mut rules.systems),
        };
        let parts = defaults.iter().map(|default| fields.next().filter(|part| !part.is_empty()).unwrap_or(default));
        list.push(Rule { pattern, parts: parts.collect() });
    }
    rules
});

/// Compiles the rules, so that the first span does not pay for it.
pub fn warm_up() {
    LazyLock::force(&COMPILED);
}

/// Looks a user agent up.
pub fn parse(text: &[u8]) -> Agent {
    let (name, version) = first_match(&COMPILED.agents, text);
    let (os_name, os_version) = first_match(&COMPILED.systems, text);
    Agent { name, version, os_name, os_version }
}

/// Name and version by the first rule that gives a name.
fn first_match(rules: &[Rule], text: &[u8]) -> (String, String) {
    let mut version = String::new();
    for rule in rules {
        let Some(groups) = rule.pattern.captures(text) else { continue };
        let mut parts = rule.parts.iter().map(|template| expand(template, &groups, text));
        let name = parts.next().unwrap_or_default();
        // Upstream joins what is there, with dots before all but the major part.
        version.clear();
        for (idx, part) in parts.enumerate().filter(|(_, part)| !part.is_empty()) {
            if idx > 0 {
                version.push('.');
            }
            version.push_str(&part);
        }
        if !name.is_empty() {
            return (name, version);
        }
    }
    ("Other".to_owned(), version)
}

/// Go's `Regexp.Expand` for numbered groups: `$1`, `${1}`, `$$`. A name that is no number gives nothing.
fn expand(template: &str, groups: &[Option<(usize, usize)>], text: &[u8]) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let braced = after.strip_prefix('{');
        let body = braced.unwrap_or(after);
        let end = body.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(body.len());
        let (name, tail) = body.split_at(end);
        let tail = if braced.is_some() { tail.strip_prefix('}') } else { Some(tail) };
        match tail {
            Some(tail) if !name.is_empty() => {
                let group = name.parse::<usize>().ok().and_then(|number| groups.get(number).copied().flatten());
                if let Some((start, end)) = group {
                    out.push_str(&String::from_utf8_lossy(text.get(start..end).unwrap_or_default()));
                }
                rest = tail;
            }
            // Malformed: the dollar stands for itself.
            _ => {
                out.push('$');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: [&str; 4]) {
        let agent = parse(text.as_bytes());
        assert_eq!([&agent.name, &agent.version, &agent.os_name, &agent.os_version], expected, "{text}");
    }

    #[test]
    fn the_whole_set_compiles() {
        assert_eq!((COMPILED.agents.len(), COMPILED.systems.len()), (365, 202));
    }

    #[test]
    fn known_agents() {
        check("curl/7.81.0", ["curl", "7.81.0", "Other", ""]);
        check(
            "Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0",
            ["Firefox", "115.0", "Linux", ""],
        );
        check(
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
            ["Chrome", "120.0.0", "Mac OS X", "10.15.7"],
        );
        check(
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 Mobile/15E148 Safari/604.1",
            ["Mobile Safari", "17.1", "iOS", "17.1"],
        );
        check("nobody knows this", ["Other", "", "Other", ""]);
    }

    #[test]
    fn templates() {
        let groups = [Some((0, 3)), Some((0, 1)), None];
        assert_eq!(expand("$1 ${1}x $2|$1x|$$|$|${1", &groups, b"abc"), "a ax ||$|$|${1");
    }
}
