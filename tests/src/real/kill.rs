//! Five rounds of `e2e --kill`.

use e2e::{Outcome, kill};

use super::Parts;

pub(crate) fn run(_: &Parts) -> Outcome {
    let report = kill::run(5, 1, |_| {})?;
    crate::say(&format!("   {report:?}"));
    Ok(())
}
