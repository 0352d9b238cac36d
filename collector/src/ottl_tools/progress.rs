//! A bar on the terminal while a command works without printing.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Fewer are done before anybody looks.
const WORTH_SHOWING: usize = 200_000;

/// A bar on standard error, if that is a terminal and there are so many that they take a while.
pub(super) fn bar(count: usize) -> ProgressBar {
    if count < WORTH_SHOWING {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(count as u64), ProgressDrawTarget::stderr_with_hz(4));
    match ProgressStyle::with_template("{bar:40} {human_pos} of {human_len} spans, {eta} left") {
        Ok(style) => bar.with_style(style),
        // The built-in style shows the same numbers.
        Err(_) => bar,
    }
}
