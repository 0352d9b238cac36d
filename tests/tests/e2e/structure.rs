//! The layout of the tree and the direction of dependencies, as the README states them.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

#[test]
fn top_level_is_fixed() {
    let output = Command::new("git").args(["ls-tree", "--name-only", "HEAD"]).current_dir(root()).output();
    let output = output.expect("git runs");
    if !output.status.success() {
        // A source archive without history has nothing to compare.
        return;
    }
    let listing = String::from_utf8(output.stdout).expect("names are UTF-8");
    let visible: BTreeSet<_> = listing.lines().filter(|name| !name.starts_with('.')).collect();
    let expected = [
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE",
        "README.md",
        "collector",
        "connectors",
        "deploy",
        "grammar",
        "ottl",
        "tests",
    ];
    assert_eq!(visible, BTreeSet::from(expected));
}

/// Who may use whom, without tests and benches.
const ALLOWED: &[(&str, &[&str])] = &[
    ("grammar", &[]),
    ("pdata", &[]),
    ("component", &["pdata"]),
    ("peers", &[]),
    ("ottl", &["grammar", "pdata"]),
    ("connectors", &["pdata", "component", "ottl"]),
    ("collector", &["grammar", "ottl", "pdata", "component", "connectors", "peers"]),
    ("e2e", &["pdata"]),
];

#[test]
fn dependencies_point_one_way() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo metadata runs");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let ours: BTreeSet<_> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    assert_eq!(ours, ALLOWED.iter().map(|(name, _)| *name).collect());
    for package in packages {
        let name = package["name"].as_str().expect("a name");
        let allowed = ALLOWED.iter().find(|(known, _)| *known == name).expect("known").1;
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let used = dependency["name"].as_str().expect("a name");
            let for_tests = dependency["kind"] == "dev";
            assert!(for_tests || !ours.contains(used) || allowed.contains(&used), "{name} must not use {used}");
        }
    }
}

/// Crates that keep to the data path or to pure logic do not know the runtime, YAML or sockets.
#[test]
fn only_the_collector_knows_the_runtime() {
    for manifest in ["grammar", "ottl", "connectors", "collector/pdata", "collector/component", "collector/peers"] {
        let text = std::fs::read_to_string(root().join(manifest).join("Cargo.toml")).expect("a manifest");
        let needed = text.split("[dev-dependencies]").next().unwrap_or_default();
        for banned in ["tokio", "tonic", "serde_yaml", "axum", "hyper", "kube"] {
            let used = needed.lines().any(|line| line.starts_with(banned));
            assert!(!used, "{manifest} must not use {banned}");
        }
    }
}

/// `unsafe` lives in the call boundary of the JIT and in its tests, nowhere else.
#[test]
fn unsafe_code_is_where_it_may_be() {
    let allowed = ["ottl/src/jit/entry.rs", "ottl/src/jit/shims.rs", "ottl/src/jit/shims/tests.rs"];
    let mut found = Vec::new();
    for crate_root in ["grammar/src", "ottl/src", "connectors/src", "collector", "tests/src"] {
        rust_files(&root().join(crate_root), &mut found);
    }
    for file in found {
        let text = std::fs::read_to_string(&file).expect("a source file");
        let relative = file.strip_prefix(root()).expect("below the root").to_string_lossy().replace('\\', "/");
        let has_block = text.lines().any(|line| {
            let code = line.split("//").next().unwrap_or_default();
            code.contains("unsafe {") || code.contains("unsafe fn") || code.contains("unsafe impl")
        });
        assert!(!has_block || allowed.contains(&relative.as_str()), "unsafe code in {relative}");
    }
}

fn rust_files(directory: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("a directory").flatten() {
        let path = entry.path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}
