//! Tidying the log: a few old traces must not hold the memory of many decided ones.
//!
//! A segment is freed when no waiting trace began in it or before, so one trace that waits long (for its root, say, where
//! the others have theirs) holds everything that came after it. Where most records are of decided traces, the oldest
//! waiting traces are written again at the end of the log. The work is at most proportional to what was appended: each
//! record that is moved makes room of at least its own size.

use super::log::Link;
use super::output::DECOMPRESSION_WORK;
use super::sampler::Sampler;

/// Ticks for which a decided trace may still have to be found in the durable log: it is sent with the next tick.
const HANDED_ON: u32 = 1;

/// A span on its way from one end of the log to the other.
struct Moved {
    envelope: u32,
    start: usize,
    len: usize,
}

impl Sampler {
    /// Moves waiting traces from the oldest segments until about `work` spans were moved, or fewer if segments had to be
    /// decompressed. False if nothing is to be done.
    pub(super) fn relocate(&mut self, work: usize) -> bool {
        // Kept traces hold their segments only until they are sent.
        if self.has_output() || !self.log.is_sparse() {
            return false;
        }
        let (mut spans, mut bytes) = (Vec::new(), Vec::new());
        let (mut done, opened_before) = (0, self.log.decompressions());
        while self.log.is_sparse()
            && done + DECOMPRESSION_WORK * (self.log.decompressions() - opened_before) < work
            && let Some(at) = self.table.oldest()
        {
            let moved = self.relocate_trace(at, &mut spans, &mut bytes);
            if moved == 0 {
                break;
            }
            done += moved;
        }
        self.log.close();
        done > 0
    }

    /// Moves the trace and returns how many spans it has; 0 if the oldest segment is not held by it.
    fn relocate_trace(&mut self, at: u32, spans: &mut Vec<Moved>, bytes: &mut Vec<u8>) -> usize {
        let entry = self.table.entry(at);
        let (id, born, due, records) = (entry.id, entry.born, entry.due, entry.facts.spans);
        let mut link = entry.last;
        if link == Link::NONE || self.log.front().is_none_or(|(front, _)| front != born) {
            return 0;
        }
        spans.clear();
        bytes.clear();
        while link != Link::NONE {
            let Ok(record) = self.log.read(&id, link) else {
                // It stays where it is; whoever sends it says what is lost.
                return 0;
            };
            spans.push(Moved { envelope: record.envelope, start: bytes.len(), len: record.span.len() });
            bytes.extend_from_slice(record.span);
            link = record.previous;
        }
        // On disk it stays where it was.
        if let Some((_, epoch)) = self.log.front() {
            let held = self.held_epochs.entry(due.saturating_add(HANDED_ON)).or_insert(epoch);
            *held = epoch.min(*held);
        }
        let (mut last, mut first) = (Link::NONE, born);
        for span in spans.iter().rev() {
            let Some(text) = bytes.get(span.start..span.start + span.len) else { continue };
            let previous = last;
            last = self.log.append(&id, previous, span.envelope, (text, text.len()), &mut self.envelopes);
            if previous == Link::NONE {
                first = last.segment;
            }
        }
        let entry = self.table.entry_mut(at);
        (entry.last, entry.born) = (last, first);
        // It is the oldest again only when all that arrived before it was moved, too.
        self.table.renew(at);
        self.log.release(born, records, &mut self.envelopes);
        spans.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use pdata::{Traces, TracesBuilder};

    use super::super::tests::{Kind, counts, replay, span};

    /// Every 16th trace has no root and waits for long; the others are decided a second after theirs.
    fn batch(first: u8) -> Traces {
        let mut builder = TracesBuilder::new();
        for n in 0..16 {
            let kind = if n == 0 { Kind::Child } else { Kind::Root };
            let mut id = [n; 16];
            id[0] = first;
            builder.span(id, &span(first, kind, 40_000));
        }
        builder.build()
    }

    #[test]
    fn a_few_old_traces_do_not_hold_the_log() {
        let policies = "policies: [{name: all, type: span_count, span_count: {min_spans: 2}}]";
        let mut replay = replay(&format!("decision_wait: 200s\ndecision_wait_after_root_received: 1s\n{policies}"));
        let mut peak = 0;
        for second in 0..100 {
            assert!(replay.take(&batch(second)).is_empty());
            // The second span of an earlier trace, wherever its first one is now.
            if second >= 50 {
                let mut builder = TracesBuilder::new();
                let mut id = [0; 16];
                id[0] = second - 50;
                builder.span(id, &span(second, Kind::Child, 10));
                replay.take(&builder.build());
            }
            assert!(replay.second().is_empty());
            peak = peak.max(replay.records());
        }
        // 1,600 records were written, of which 150 are of waiting traces at the end.
        assert!(peak < 400, "{peak}");
        let mut out = BTreeMap::new();
        while replay.is_waiting() {
            for (id, spans) in counts(&replay.second()) {
                *out.entry(id).or_insert(0) += spans;
            }
        }
        assert_eq!(out, (0..50).map(|id| (id, 2)).collect());
    }
}
