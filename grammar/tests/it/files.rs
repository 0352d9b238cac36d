//! One text file per idea in `filetests/`, one snapshot per file: the tree and the printed form of each text in it, or
//! what was wrong with it.
//!
//! A file begins with `;;! parse = "condition"` (or `value`, `statement`); then follow texts with blank lines between.

use std::{fmt::Write as _, fs, path::Path};

use grammar::{Error, ast::Root, dump, parse_condition, parse_statement, parse_value, render::Style};

fn parse(what: &str, text: &str) -> Result<Root, Vec<Error>> {
    match what {
        "condition" => parse_condition(text).map(Root::Condition),
        "value" => parse_value(text).map(Root::Value),
        "statement" => parse_statement(text).map(Root::Statement),
        other => panic!("no such entry point: {other}"),
    }
}

fn show(file: &str) -> String {
    let (head, texts) = file.split_once('\n').unwrap();
    let what = head.strip_prefix(";;! parse = \"").and_then(|rest| rest.strip_suffix('"')).unwrap();
    let mut out = String::new();
    for text in texts.split("\n\n").map(|text| text.trim_matches('\n')).filter(|text| !text.is_empty()) {
        let _ = writeln!(out, "> {}", text.replace('\n', "\n> "));
        match parse(what, text) {
            Ok(tree) => {
                let _ = writeln!(out, "{}= {tree}\n", dump::root(&tree));
            }
            Err(errors) => {
                for error in errors {
                    let _ = write!(out, "{}", error.render(text, Style::Plain));
                    let _ = writeln!(out, "{}\n", error.one_line(text));
                }
            }
        }
    }
    out
}

#[test]
fn files_give_what_their_snapshots_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("filetests");
    let list = |path: &Path| {
        let mut paths: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    };
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(root.join("snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for folder in list(&root).iter().filter(|path| !path.ends_with("snapshots")) {
        for path in list(folder) {
            let name = format!("{}__{}", folder.file_name().unwrap().display(), path.file_stem().unwrap().display());
            settings.set_input_file(&path);
            settings.bind(|| insta::assert_snapshot!(name, show(&fs::read_to_string(&path).unwrap())));
        }
    }
}

#[test]
fn colours_only_add_escape_sequences() {
    let text = "name = \"x\"";
    let error = &parse_condition(text).unwrap_err()[0];
    let coloured = error.render(text, Style::Coloured);
    let expected = concat!(
        "\x1b[1;31merror[101]\x1b[0m\x1b[1m: expected an operator, `and`, `or` or the end, found `=`\x1b[0m\n",
        "  name = \"x\"\n",
        "       \x1b[1;31m^\x1b[0m\n",
        "  \x1b[1;34m=\x1b[0m hint: to compare, write `==`\n",
    );
    assert_eq!(coloured, expected);
    let plain = ["\x1b[1;31m", "\x1b[1;34m", "\x1b[1m", "\x1b[0m"]
        .iter()
        .fold(coloured, |text, sequence| text.replace(sequence, ""));
    assert_eq!(plain, error.render(text, Style::Plain));
}
