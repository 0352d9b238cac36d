//! Random conditions and any bytes as telemetry: the interpreter and machine code give the same answers, and nothing panics.

#![no_main]

// The requests that the generator makes are for other tests.
#[allow(dead_code)]
#[path = "../../tests/engines/generate.rs"]
mod generate;
#[path = "../../tests/engines/hostile.rs"]
mod hostile;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| hostile::check(data));
