//! Any text is refused or read, and what is read is well-formed unless its values nest too deeply; written again it reads
//! to the same.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use pdata::{Traces, WireErrorKind, json};

fuzz_target!(|text: &[u8]| {
    let _ = json::metrics_from_json(text);
    let Ok(bytes) = json::traces_from_json(text) else { return };
    let traces = match Traces::index(Bytes::from(bytes)) {
        Ok(traces) => traces,
        Err(error) => {
            assert_eq!(error.kind, WireErrorKind::Depth);
            return;
        }
    };
    let (mut once, mut twice) = (Vec::new(), Vec::new());
    json::traces_to_json(&traces.encode(), &mut once);
    let again = json::traces_from_json(&once).expect("what is written is read");
    let again = Traces::index(Bytes::from(again)).expect("well-formed");
    json::traces_to_json(&again.encode(), &mut twice);
    assert_eq!(once, twice);
});
