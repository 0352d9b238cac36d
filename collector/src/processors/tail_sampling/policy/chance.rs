//! Where votes depend on more than a trace's entry: hashes of its id, token buckets, shares of a second.
//!
//! A decision draws from [`Live`], which spends tokens. How likely a trace was to be kept is found by asking the same
//! clauses in every [`World`]: one for each way in which the hashes could have fallen and the limits could have
//! answered, weighted by how likely that way is. Salted hashes are independent of each other, and a hash under one salt
//! is the same for all policies that use it. For limits the share of what they were offered that they let pass stands
//! for the chance of one trace.

use pdata::TraceId;

use super::State;
use super::clause::Now;
use super::probabilistic::Probabilistic;

/// Answers the questions that an entry cannot.
pub(super) trait Chance {
    /// Does a `probabilistic` policy keep the trace?
    fn keeps(&mut self, policy: Probabilistic, id: &TraceId) -> bool;
    /// Does a token bucket have `cost` tokens?
    fn take(&mut self, bucket: usize, cost: u64) -> bool;
    /// Do `spans` more fit into the share of a `composite`'s member?
    fn admit(&mut self, window: usize, member: usize, spans: i64, share: i64, max_total: i64) -> bool;
}

/// The limits of a shard at a decision.
pub(super) struct Live<'a> {
    pub(super) state: &'a mut State,
    pub(super) now: Now,
}

impl Chance for Live<'_> {
    fn keeps(&mut self, policy: Probabilistic, id: &TraceId) -> bool {
        policy.keeps(id)
    }

    fn take(&mut self, bucket: usize, cost: u64) -> bool {
        let (now, part) = (self.now.monotonic, self.state.share);
        self.state
            .buckets
            .get_mut(bucket)
            .is_some_and(|(bucket, tally)| tally.note(cost, bucket.allow(cost, now, part)))
    }

    fn admit(&mut self, window: usize, member: usize, spans: i64, share: i64, max_total: i64) -> bool {
        let (second, part) = (self.now.unix_seconds(), self.state.share);
        // Upstream compares the total limit with the member's own counter, never with the sum.
        let limit = share.min(max_total);
        self.state.windows.get_mut(window).is_some_and(|window| window.admit(member, spans, limit, part, second))
    }
}

/// What a limit was offered since the last tick, and what it let pass.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tally {
    offered: u64,
    passed: u64,
    /// The share of earlier ticks, for a tick that offers nothing.
    before: f64,
}

impl Default for Tally {
    fn default() -> Self {
        Self { offered: 0, passed: 0, before: 1.0 }
    }
}

impl Tally {
    pub(super) fn note(&mut self, cost: u64, passed: bool) -> bool {
        self.offered = self.offered.saturating_add(cost);
        self.passed = self.passed.saturating_add(if passed { cost } else { 0 });
        passed
    }

    fn share(&self) -> f64 {
        if self.offered == 0 { self.before } else { self.passed as f64 / self.offered as f64 }
    }

    /// A tick is over.
    pub(super) fn settle(&mut self) {
        *self = Self { before: self.share(), ..Self::default() };
    }
}

/// The independent ways in which votes can fall, found when policies are compiled.
#[derive(Clone, Debug, Default)]
pub(super) struct Ways {
    /// Salted hash states, each with the hashes that some policy keeps up to: ascending, ending with all.
    salts: Vec<(u64, Vec<u64>)>,
    buckets: usize,
    /// Members of each window.
    windows: Vec<usize>,
}

/// Most worlds that a trace is asked in. One takes about 0.1 us.
const MAX_WORLDS: usize = 4096;

/// One way in which all could have fallen.
pub(super) struct World<'a> {
    ways: &'a Ways,
    hashes: Vec<u64>,
    /// A bit for each bucket, then for each member of each window.
    passes: u64,
}

impl Ways {
    pub(super) fn add_hash(&mut self, policy: Probabilistic) {
        let (salted, at_most) = policy.parts();
        let cuts = match self.salts.iter().position(|(known, _)| *known == salted) {
            Some(at) => &mut self.salts[at].1,
            None => {
                self.salts.push((salted, vec![u64::MAX]));
                let last = self.salts.len() - 1;
                &mut self.salts[last].1
            }
        };
        if let Err(at) = cuts.binary_search(&at_most) {
            cuts.insert(at, at_most);
        }
    }

    pub(super) fn add_bucket(&mut self) {
        self.buckets += 1;
    }

    pub(super) fn add_window(&mut self, members: usize) {
        self.windows.push(members);
    }

    /// True if some policy is a limit: then what a tick lets pass is known at its end.
    pub(super) fn has_limits(&self) -> bool {
        self.buckets > 0 || !self.windows.is_empty()
    }

    /// True if [`Ways::weigh`] can ask in all worlds.
    pub(super) fn are_few(&self) -> bool {
        let limits = self.windows.iter().sum::<usize>() + self.buckets;
        let hashes = self.salts.iter().fold(1_usize, |all, (_, cuts)| all.saturating_mul(cuts.len()));
        limits < 32 && hashes.saturating_mul(1 << limits) <= MAX_WORLDS
    }

    /// The probability of the worlds in which `kept` holds, between 0 and 1.
    pub(super) fn weigh(&self, state: &State, mut kept: impl FnMut(&mut World<'_>) -> bool) -> f64 {
        let shares: Vec<f64> = (state.buckets.iter().map(|(_, tally)| tally.share()))
            .chain(state.windows.iter().flat_map(|window| window.tallies().iter().map(Tally::share)))
            .collect();
        let mut total = 0.0;
        let mut world = World { ways: self, hashes: vec![0; self.salts.len()], passes: 0 };
        // Counts through all combinations: one digit a salt, then one bit a limit.
        let mut digits = vec![0_usize; self.salts.len()];
        loop {
            let mut weight = 1.0;
            for ((digit, hash), (_, cuts)) in digits.iter().zip(&mut world.hashes).zip(&self.salts) {
                let below = digit.checked_sub(1).and_then(|below| cuts.get(below)).map_or(0.0, |cut| *cut as f64 + 1.0);
                *hash = cuts.get(*digit).copied().unwrap_or(u64::MAX);
                weight *= (*hash as f64 + 1.0 - below) / TWO_TO_64;
            }
            for passes in 0..1_u64 << shares.len().min(63) {
                world.passes = passes;
                let chance: f64 =
                    (0..).zip(&shares).map(|(bit, p)| if passes >> bit & 1 == 1 { *p } else { 1.0 - *p }).product();
                if weight * chance > 0.0 && kept(&mut world) {
                    total += weight * chance;
                }
            }
            let Some(at) = (0..digits.len()).find(|at| digits[*at] + 1 < self.salts[*at].1.len()) else { break };
            digits[at] += 1;
            digits[..at].fill(0);
        }
        total.clamp(0.0, 1.0)
    }
}

const TWO_TO_64: f64 = 18_446_744_073_709_551_616.0;

impl World<'_> {
    fn passes(&self, limit: usize) -> bool {
        limit < 64 && self.passes >> limit & 1 == 1
    }
}

impl Chance for World<'_> {
    fn keeps(&mut self, policy: Probabilistic, _: &TraceId) -> bool {
        let (salted, at_most) = policy.parts();
        let at = self.ways.salts.iter().position(|(known, _)| *known == salted);
        at.and_then(|at| self.hashes.get(at)).is_some_and(|hash| *hash <= at_most)
    }

    fn take(&mut self, bucket: usize, _: u64) -> bool {
        self.passes(bucket)
    }

    fn admit(&mut self, window: usize, member: usize, _: i64, _: i64, _: i64) -> bool {
        let before: usize = self.ways.windows.iter().take(window).sum();
        self.passes(self.ways.buckets + before + member)
    }
}

#[cfg(test)]
mod tests {
    use super::super::bucket::Bucket;
    use super::*;

    const ID: TraceId = [0; 16];

    #[test]
    fn one_salt_nests_and_two_are_independent() {
        let (tenth, half) = (Probabilistic::new("", 10.0), Probabilistic::new("", 50.0));
        let other = Probabilistic::new("other", 50.0);
        let mut ways = Ways::default();
        for policy in [tenth, half, other] {
            ways.add_hash(policy);
        }
        assert!(ways.are_few() && !ways.has_limits());
        let state = State::default();
        let close = |got: f64, expected: f64| assert!((got - expected).abs() < 1e-12, "{got} {expected}");
        close(ways.weigh(&state, |_| true), 1.0);
        close(ways.weigh(&state, |world| world.keeps(tenth, &ID) || world.keeps(half, &ID)), 0.5);
        close(ways.weigh(&state, |world| world.keeps(tenth, &ID) && world.keeps(half, &ID)), 0.1);
        close(ways.weigh(&state, |world| world.keeps(half, &ID) || world.keeps(other, &ID)), 0.75);
        close(ways.weigh(&state, |world| !world.keeps(half, &ID)), 0.5);
    }

    #[test]
    fn a_limit_passes_as_often_as_it_did() {
        let mut ways = Ways::default();
        ways.add_bucket();
        ways.add_window(2);
        let mut state = State::default();
        state.buckets.push((Bucket::new(5, 5), Tally::default()));
        state.windows.push(super::super::clause::Window::new(2));
        let mut live = Live { state: &mut state, now: Now::default() };
        assert!(live.take(0, 4) && !live.take(0, 4));
        assert!(live.admit(0, 1, 3, 5, 9) && !live.admit(0, 1, 9, 5, 9));
        assert!((ways.weigh(&state, |world| world.take(0, 1)) - 0.5).abs() < 1e-12);
        assert!((ways.weigh(&state, |world| world.admit(0, 1, 1, 1, 1)) - 0.25).abs() < 1e-12);
        // Not asked, so nothing is known against it.
        assert!((ways.weigh(&state, |world| world.admit(0, 0, 1, 1, 1)) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn too_many_limits_are_too_many() {
        let mut ways = Ways::default();
        for _ in 0..12 {
            ways.add_bucket();
        }
        assert!(ways.are_few());
        ways.add_window(1);
        assert!(!ways.are_few());
    }
}
