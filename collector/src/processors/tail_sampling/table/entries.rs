//! The list of entries: it grows by chunks and does not move what is in it, so that an entry keeps its number.

use super::{Entry, INLINE_WORDS, NONE};

/// Entries of one chunk. A list that grows by doubling would copy all it has, and take three times its memory meanwhile.
pub(super) const CHUNK: usize = 1024;

pub(super) struct Chunk {
    pub(super) entries: Vec<Entry>,
    /// So many words an entry as the questions need, if those are more than an entry has room for.
    pub(super) answers: Vec<u64>,
}

/// A list that grows by chunks and does not move what is in it.
pub(super) struct Entries {
    pub(super) words: usize,
    pub(super) len: usize,
    pub(super) chunks: Vec<Chunk>,
}

impl Entries {
    pub(super) fn new(words: usize) -> Self {
        Self { words, len: 0, chunks: Vec::new() }
    }

    pub(super) fn bytes(&self) -> usize {
        self.chunks.len() * CHUNK * (size_of::<Entry>() + self.words_outside() * size_of::<u64>())
    }

    /// Words an entry that are not in it.
    pub(super) fn words_outside(&self) -> usize {
        if self.words > INLINE_WORDS { self.words } else { 0 }
    }

    #[inline]
    pub(super) fn get(&self, at: u32) -> Option<&Entry> {
        self.chunks.get(at as usize / CHUNK)?.entries.get(at as usize % CHUNK)
    }

    #[inline]
    pub(super) fn at(&self, at: u32) -> &Entry {
        &self.chunks[at as usize / CHUNK].entries[at as usize % CHUNK]
    }

    #[inline]
    pub(super) fn at_mut(&mut self, at: u32) -> &mut Entry {
        &mut self.chunks[at as usize / CHUNK].entries[at as usize % CHUNK]
    }

    #[inline]
    pub(super) fn answers(&self, at: u32) -> &[u64] {
        let chunk = &self.chunks[at as usize / CHUNK];
        match chunk.entries[at as usize % CHUNK].answers.get(..self.words) {
            Some(answers) => answers,
            None => &chunk.answers[at as usize % CHUNK * self.words..][..self.words],
        }
    }

    #[inline]
    pub(super) fn answers_mut(&mut self, at: u32) -> &mut [u64] {
        let chunk = &mut self.chunks[at as usize / CHUNK];
        match chunk.entries[at as usize % CHUNK].answers.get_mut(..self.words) {
            Some(answers) => answers,
            None => &mut chunk.answers[at as usize % CHUNK * self.words..][..self.words],
        }
    }

    /// Adds an entry, whose answers are to be set.
    pub(super) fn push(&mut self, entry: Entry) -> u32 {
        let at = self.len;
        if at.is_multiple_of(CHUNK) {
            let answers = vec![0; CHUNK * self.words_outside()];
            self.chunks.push(Chunk { entries: Vec::with_capacity(CHUNK), answers });
        }
        if let Some(chunk) = self.chunks.last_mut() {
            chunk.entries.push(entry);
        }
        self.len += 1;
        u32::try_from(at).unwrap_or(NONE)
    }
}
