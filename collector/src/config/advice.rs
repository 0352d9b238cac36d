//! What to write instead, for the slips that people bring from other tools. Advice only adds a line to a mistake; it never
//! changes what is accepted. What the language of conditions itself can tell is in `grammar`.

use super::section::Problem;

/// The line to add to a mistake, if it is a known slip.
pub(super) fn on(problem: &Problem) -> Option<&'static str> {
    let component = component(&problem.path);
    if let Some(keys) = problem.message.strip_prefix("has invalid keys: ").or_else(|| after_keys(&problem.message)) {
        // "keep (did you mean ..?)" and "keep, span" begin with the key.
        let first = keys.split([',', ' ']).next().unwrap_or_default();
        return unknown_key(component, first);
    }
    let last = problem.path.rsplit("::").next().unwrap_or_default();
    if problem.message == "must not be null" && last.ends_with(']') {
        return Some("a text that begins with `!` is a tag to YAML; in conditions, write `not ..`");
    }
    if component == "filter" && says_keep(&problem.message) {
        return Some(FILTER_DROPS);
    }
    if component == "tail_sampling" && problem.message.contains("unknown sampling policy type keep") {
        return Some("`always_sample` keeps everything, `ottl_condition` what a condition is true for");
    }
    None
}

const FILTER_DROPS: &str =
    "a filter drops what a condition is true for; to keep only that, negate the condition: `not (..)`";

fn after_keys(message: &str) -> Option<&str> {
    message.split_once(" has invalid keys: ").map(|(_, keys)| keys)
}

/// `processors::filter/slow::traces` is about `filter`.
fn component(path: &str) -> &str {
    let id = path.split("::").nth(1).unwrap_or_default();
    id.split('/').next().unwrap_or_default()
}

fn unknown_key(component: &str, key: &str) -> Option<&'static str> {
    match (component, key) {
        ("filter", "keep" | "include" | "allow" | "keep_if") => Some(FILTER_DROPS),
        ("filter", "drop" | "exclude" | "deny" | "drop_if" | "conditions" | "condition") => {
            Some("what a filter drops is written as a list of conditions under `trace_conditions`")
        }
        ("filter", "span" | "spanevent" | "resource") => {
            Some("this list stands below `traces`, or write `trace_conditions` with paths that name their context")
        }
        ("tail_sampling", "ottl" | "condition" | "conditions" | "span" | "spanevent") => Some(
            "a policy with conditions has `type: ottl_condition` and the lists `span` and `spanevent` below `ottl_condition`",
        ),
        _ => None,
    }
}

/// A condition whose text begins with the word; it is the line below the message.
fn says_keep(message: &str) -> bool {
    message.lines().nth(1).is_some_and(|source| {
        let word: String = source.trim_start().chars().take_while(char::is_ascii_alphabetic).collect();
        matches!(word.as_str(), "keep" | "include" | "allow")
    })
}

/// The line to add where a reference cannot be resolved: most of them were meant as text.
pub(super) fn on_reference(message: &str) -> Option<&'static str> {
    let slips = ["has invalid name", "invalid uri", "is not supported for uri", "contains unsupported characters"];
    slips
        .iter()
        .any(|slip| message.contains(slip))
        .then_some("`${..}` is replaced before anything else is read; a literal `${` is written `$${`")
}

/// The line to add where a text is no YAML: a condition in quotes is what breaks most often.
pub(super) fn on_yaml(line: &str) -> Option<&'static str> {
    let value = line.trim_start().trim_start_matches("- ").trim_start();
    let value = value.split_once(": ").map_or(value, |(key, rest)| if key.contains('"') { value } else { rest });
    let condition = ["==", "!=", "[\"", "(", " and ", " or ", ">", "<"].iter().any(|sign| line.contains(sign));
    if !condition {
        return None;
    }
    match value.trim_start().chars().next()? {
        '"' => Some("put a condition into single quotes, 'name == \"x\"', or on lines of its own below `|`"),
        '\'' => Some("strings in conditions take double quotes; put the condition into single quotes, 'name == \"x\"'"),
        '[' | '{' | '*' | '&' | '!' | '%' | '@' | '`' => {
            Some("this character means something to YAML; put the condition into single quotes")
        }
        _ => Some("put a condition that YAML reads differently into single quotes, 'name == \"x\"'"),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{LoadError, Process, load};
    use crate::registry::Factories;

    /// What `validate` says about a file with these processors.
    fn report(processors: &str) -> String {
        let yaml = format!(
            "yaml:receivers: {{otlp: {{protocols: {{grpc: }}}}}}\nexporters: {{debug: }}\nprocessors:\n{processors}\nservice: {{pipelines: {{traces: {{receivers: [otlp], exporters: [debug]}}}}}}\n"
        );
        match load(&[yaml], &Process, &Factories::all()) {
            Ok(_) => "fine".to_owned(),
            Err(error) => LoadError::bare(error).to_string(),
        }
    }

    /// Each slip on its own, as its author sees it.
    #[test]
    fn slips() {
        let list = |condition: &str| format!("  filter:\n    traces:\n      span:\n        - {condition}");
        let inferred = |condition: &str| format!("  filter:\n    trace_conditions:\n      - {condition}");
        let slips = [
            ("= for ==", list(r#"'name = "x"'"#)),
            ("&& and ||", list(r#"'name == "x" && kind == 2 || IsRootSpan()'"#)),
            ("! for not", list(r#"'!IsRootSpan()'"#)),
            ("single quotes", list(r#""name == 'x'""#)),
            ("no context name", inferred(r#"'attributes["http.route"] == "/health"'"#)),
            ("one context name of two", inferred(r#"'span.name == "x" and attributes["a"] == 1'"#)),
            ("duration", list("'span.duration > 500'")),
            ("near names", list(r#"'atributes["x"] == 1 and status.code == STATUS_CODE_EROR and IsMach(name, "x")'"#)),
            (
                "a last name that is nearly right",
                list(r#"'status.cod == 2 and stauts.code == 1 and attributes.http.route == "x"'"#),
            ),
            ("matches", list(r#"'name =~ "^/health"'"#)),
            ("in", list(r#"'name in ["a", "b"]'"#)),
            ("is null", list(r#"'attributes["x"] == null'"#)),
            ("contains", list(r#"'name contains "x"'"#)),
            ("upper-case and", list(r#"'name == "x" AND kind == 2'"#)),
            ("a regex with a lone backslash", list(r#"'IsMatch(name, "\d+")'"#)),
            ("a statement", list(r#"'drop() where name == "x"'"#)),
            ("keep as a word", list(r#"'keep where name == "x"'"#)),
            ("keep as a call", list(r#"'keep() where name == "x"'"#)),
            ("keep as a key", "  filter:\n    keep:\n      span: ['name == \"x\"']".to_owned()),
            ("drop as a key", "  filter:\n    drop: ['name == \"x\"']".to_owned()),
            ("a list one level too high", "  filter:\n    span: ['name == \"x\"']".to_owned()),
            ("keep as a policy", "  tail_sampling:\n    policies: [{name: a, type: keep}]".to_owned()),
            (
                "ottl as a policy's key",
                "  tail_sampling:\n    policies: [{name: a, type: ottl_condition, ottl: {span: [\"true\"]}}]"
                    .to_owned(),
            ),
            ("a variable in a regex", list(r#"'IsMatch(name, "^/v${1}/")'"#)),
            ("a dollar outside a string", list(r#"'name == $x'"#)),
            ("a dollar escaped", list(r#"'IsMatch(name, "x$$")'"#)),
            ("YAML's double quotes around", list(r#""name == "x"""#)),
            ("a string first, unquoted", list(r#""x" == name"#)),
            ("a tag", list("!IsRootSpan()")),
        ];
        let told: Vec<String> =
            slips.iter().map(|(slip, processors)| format!("== {slip}\n{}\n", report(processors))).collect();
        insta::assert_snapshot!(told.join("\n"));
    }

    /// Nothing is told twice and nothing hides something else.
    #[test]
    fn all_at_once() {
        insta::assert_snapshot!(report(
            r#"  filter/a:
    error_mod: ignore
    traces:
      span:
        - 'name = "x"'
        - |
          status.code == STATUS_CODE_ERROR
          and nam == "y"
      spanevent: ['name == "e" && true']
  filter/b:
    trace_conditions:
      - context: spn
        conditions: ['name == "x"']
  tail_sampling:
    decision_wait: soon
    policies:
      - {name: a, type: ottl_condition, ottl_condition: {error_mode: ignore, span: ['kind == SPAN_KIND_SERVR', 'IsRootSpan']}}
      - {name: b, type: latency, latency: {threshold_ms: x}}"#
        ));
    }
}
