//! Names of policies as numbers, so that a decision that is remembered names its policy in two bytes.
//!
//! Numbers stay good when policies are replaced: names are only ever added.

use std::sync::Arc;

/// The number of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) struct Label(u16);

impl Label {
    /// No policy.
    pub(in super::super) const NONE: Self = Self(u16::MAX);
}

/// The names.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Labels(Vec<Arc<str>>);

impl Labels {
    /// The name's number. With more names than numbers there is none for the rest.
    pub(super) fn add(&mut self, name: &str) -> Label {
        let at = self.0.iter().position(|known| **known == *name).unwrap_or_else(|| {
            self.0.push(name.into());
            self.0.len() - 1
        });
        u16::try_from(at).map_or(Label::NONE, Label)
    }

    /// The name; empty for [`Label::NONE`].
    pub(in super::super) fn name(&self, label: Label) -> &str {
        self.0.get(usize::from(label.0)).map_or("", |name| name)
    }
}
