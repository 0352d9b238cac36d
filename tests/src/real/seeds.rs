//! The articles' files load as they are.

use e2e::Outcome;

use super::Parts;

pub(crate) fn run(_: &Parts) -> Outcome {
    for entry in std::fs::read_dir(super::tests().join("data/seeds"))? {
        let path = entry?.path();
        let (code, text) = e2e::collector::run(&["validate", "--config", &path.to_string_lossy()])?;
        e2e::check(code == 0 && text.is_empty(), || format!("{}: {code}: {text}", path.display()))?;
    }
    Ok(())
}
