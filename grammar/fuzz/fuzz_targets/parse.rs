//! Any text is answered: see `any_text.rs`.

#![no_main]

#[path = "../any_text.rs"]
mod any_text;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| any_text::check(text));
