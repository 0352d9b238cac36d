//! The articles' files load as they are.

use e2e::Outcome;

use super::Parts;

/// Files that need a component which is not built yet, and the words that the refusal must contain.
const REFUSED: &[(&str, &str)] =
    &[("example-1-basic.yaml", "k8sattributes"), ("example-3-span-metrics.yaml", "k8sattributes")];

pub(crate) fn run(_: &Parts) -> Outcome {
    for entry in std::fs::read_dir(super::tests().join("data/seeds"))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (code, text) = e2e::collector::run(&["validate", "--config", &path.to_string_lossy()])?;
        match REFUSED.iter().find(|(file, _)| *file == name) {
            Some((_, words)) => {
                let refused = code == 1 && text.contains(words);
                e2e::check(refused, || format!("{name}: expected a refusal that names {words}, got {code}: {text}"))?;
                // Without the component that is missing the same file must be valid.
                let source = std::fs::read_to_string(&path)?;
                let without: String = source
                    .replace("k8sattributes, ", "")
                    .replace(", k8sattributes", "")
                    .lines()
                    .filter(|line| !line.trim_start().starts_with("k8sattributes:"))
                    .flat_map(|line| [line, "\n"])
                    .collect();
                let file = e2e::collector::config_file(&without)?;
                let (code, text) = e2e::collector::run(&["validate", "--config", &file.to_string_lossy()])?;
                e2e::check(code == 0, || format!("{name} without k8sattributes: {code}: {text}"))?;
            }
            None => e2e::check(code == 0 && text.is_empty(), || format!("{name}: {code}: {text}"))?,
        }
    }
    Ok(())
}
