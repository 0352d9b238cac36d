//! Waiting for conditions.

use std::time::Duration;

use crate::{Failure, Outcome};

/// Asks every 20 ms until `ask` gives something, at most `seconds` long.
pub fn until<T>(what: &str, seconds: u64, mut ask: impl FnMut() -> Option<T>) -> Outcome<T> {
    for _ in 0..seconds * 50 {
        if let Some(answer) = ask() {
            return Ok(answer);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err(Failure(format!("{what}: not within {seconds} s")))
}

/// Asks until the answer has stayed the same for `quiet_ms`, at most `seconds` long, and gives that answer.
pub fn until_still<T: PartialEq>(what: &str, seconds: u64, quiet_ms: u64, mut ask: impl FnMut() -> T) -> Outcome<T> {
    let mut last = ask();
    let mut still = 0;
    for _ in 0..seconds * 50 {
        std::thread::sleep(Duration::from_millis(20));
        let now = ask();
        still = if now == last { still + 20 } else { 0 };
        last = now;
        if still >= quiet_ms {
            return Ok(last);
        }
    }
    Err(Failure(format!("{what}: still changing after {seconds} s")))
}
