use super::*;
use crate::{frame::Frame, interp::Interpreter, ir::Ir, limits::Limits, program::Host};

#[test]
fn ids_from_nowhere_are_answered() {
    let (ir, frame, host, limits) = (Ir::default(), Frame::empty(), Host::default(), Limits::default());
    let interpreter = Interpreter { ir: &ir, frame: &frame, host: &host, limits: &limits, keeping: None };
    let lent = Lent::new(&interpreter);
    let text = b"text";
    for id in [0, 1, 77, u32::MAX] {
        // SAFETY: what is lent lives on this stack frame.
        assert_eq!(unsafe { truth(&raw const lent, id) }, EvalError::Argument as u32);
        // SAFETY: as above.
        assert_eq!(unsafe { keep(&raw const lent, id) }, 0);
        // SAFETY: as above.
        assert_eq!(unsafe { row(&raw const lent, id as usize) }, 0);
        let mut out = RawSlot::default();
        // SAFETY: as above, and so does `out`.
        assert_eq!(unsafe { value(&raw const lent, id, &raw mut out) }, EvalError::Argument as u32);
        for (start, len) in [(text.as_ptr(), 4), (text.as_ptr(), 0), (std::ptr::null(), 9)] {
            // SAFETY: as above; `start` is null or points to `len` bytes of `text`.
            assert_eq!(unsafe { matches(&raw const lent, id, start, len) }, 0);
            // SAFETY: as above.
            assert_eq!(unsafe { in_set(&raw const lent, id, start, len) }, 0);
            // SAFETY: as above.
            assert_eq!(unsafe { holds_any(&raw const lent, id, start, len) }, 1);
            // SAFETY: as above.
            assert_eq!(unsafe { order_literal(&raw const lent, id, start, len) }, 0);
        }
    }
}

#[test]
fn order_is_that_of_bytes() {
    for (left, right, expected) in [("a", "b", -1), ("b", "a", 1), ("ab", "ab", 0), ("a", "ab", -1), ("", "", 0)] {
        // SAFETY: both are slices of that length.
        let got = unsafe { order(left.as_ptr(), left.len() as u32, right.as_ptr(), right.len() as u32) };
        assert_eq!(got, expected, "{left} {right}");
    }
}
