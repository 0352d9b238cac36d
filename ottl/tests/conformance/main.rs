//! Recorded answers of contrib's OTTL module v1.3.1 (collector-contrib v0.164.1): 11 984 conditions and value expressions on
//! 264 spans, kept compressed in `filetests/contrib`. Each must come out the same with every engine and in both ways of
//! naming contexts.

#![allow(clippy::unwrap_used, reason = "damage to the files of a test must stop it")]

mod converters;
mod vectors;

use std::{fs::File, io::Read as _, path::Path};

use ottl::Engine;

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("filetests/contrib").join(name);
    let mut text = String::new();
    flate2::read::GzDecoder::new(File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn same_answers_as_contrib() {
    let texts =
        vectors::Texts { inputs: read("inputs.jsonl.gz"), cases: vec![read("hand.jsonl.gz"), read("random.jsonl.gz")] };
    let report = vectors::run(&texts, &[Engine::Interpreter, Engine::Jit]);
    let failures: Vec<&String> = report.failed.values().flatten().collect();
    assert_eq!(report.n_failed(), 0, "such as {:#?}", failures.first());
    assert_eq!(report.n_passed(), 11_984);
}
