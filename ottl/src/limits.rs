//! Bounds on what a text may ask for. Each has its name in the error that reports it.

/// Bounds of a builder. The defaults are far above what configurations hold.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of one text.
    pub text_bytes: usize,
    /// Nesting of parentheses, calls, lists, maps and keys in one text.
    pub nesting: usize,
    /// Conditions of one program.
    pub conditions: usize,
    /// Slots of one program.
    pub slots: usize,
    /// Bytes that one compiled regular expression may take, in each of its two forms.
    pub regex_bytes: usize,
    /// Bytes of a text that a converter makes (`Concat`, `Format`, JSON forms).
    pub result_bytes: usize,
    /// Nesting of values that are turned into text or compared deeply.
    pub value_depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            text_bytes: 64 * 1024,
            nesting: 128,
            conditions: 4096,
            slots: 4096,
            regex_bytes: 4 * 1024 * 1024,
            result_bytes: 4 * 1024 * 1024,
            value_depth: 128,
        }
    }
}
