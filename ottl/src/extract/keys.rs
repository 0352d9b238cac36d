//! The table that attribute keys are looked up in: length first, because most keys of a span differ from the wanted ones in
//! that already.

/// Attribute keys and their slots. A key is looked up by its length first; most keys of a span end there.
#[derive(Clone, Debug, Default)]
pub(super) struct KeyTable {
    /// For each length up to the longest: where its keys are.
    by_len: Vec<(u16, u16)>,
    /// Sorted by length.
    keys: Vec<(Box<[u8]>, u32)>,
}

impl KeyTable {
    pub(super) fn new(mut keys: Vec<(Box<[u8]>, u32)>) -> Self {
        keys.sort_by(|left, right| (left.0.len(), &left.0).cmp(&(right.0.len(), &right.0)));
        let longest = keys.last().map_or(0, |(key, _)| key.len());
        let mut by_len = vec![(0_u16, 0_u16); longest + 1];
        for (at, (key, _)) in keys.iter().enumerate() {
            // The limit on slots keeps positions below 2^16.
            let at = u16::try_from(at).unwrap_or(u16::MAX);
            if let Some(range) = by_len.get_mut(key.len()) {
                if range.1 == 0 {
                    range.0 = at;
                }
                range.1 = at.saturating_add(1);
            }
        }
        if keys.is_empty() {
            by_len.clear();
        }
        Self { by_len, keys }
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    #[inline]
    pub(super) fn find(&self, key: &[u8]) -> Option<u32> {
        let &(start, end) = self.by_len.get(key.len())?;
        let candidates = self.keys.get(usize::from(start)..usize::from(end))?;
        candidates.iter().find(|(known, _)| known.as_ref() == key).map(|(_, position)| *position)
    }
}
