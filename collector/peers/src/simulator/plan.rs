//! What a seed has in store: how the network behaves, and what happens to members when.

use super::random::Random;
use crate::Millis;

/// Which faults a run has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Delays only: every decision must be agreed and whole.
    Calm,
    /// Messages are lost, repeated, late and out of order.
    Lossy,
    /// The list of members changes, and members learn it at different times.
    Scaling,
    /// Links are cut, one way or both, or the fleet in halves.
    Cut,
    /// Members die and come back, with or without their memory.
    Crash,
    /// Members stand still for a while.
    Hang,
    /// Hosts run out of room, and nodes too.
    Tight,
    /// Members see lists of their own, for much longer than the grace.
    Disagree,
    /// Clocks run fast or slow, members die, and the clock has gone back when they return.
    Clock,
    /// Members stop one after the other, and come back under their names.
    Rolling,
    /// Everything.
    Storm,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Calm,
        Self::Lossy,
        Self::Scaling,
        Self::Cut,
        Self::Crash,
        Self::Hang,
        Self::Tight,
        Self::Disagree,
        Self::Clock,
        Self::Rolling,
        Self::Storm,
    ];

    /// The profile that a seed runs.
    pub fn of(seed: u64) -> Self {
        Self::ALL[usize::try_from(seed % Self::ALL.len() as u64).unwrap_or(0)]
    }

    pub(super) fn has(self, fault: Self) -> bool {
        self == fault || self == Self::Storm
    }
}

/// When a trace's holder alone would decide it.
pub(super) const WAIT: Millis = 5_000;
pub(super) const GRACE: Millis = 4_000;
pub(super) const TICK: Millis = 400;
/// The last span of a new trace arrives before.
pub(super) const BUSY: Millis = 30_000;
/// All faults are over.
pub(super) const HEALED: Millis = 34_000;
pub(super) const END: Millis = HEALED + WAIT + 4 * GRACE;

/// Something that happens to the fleet.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// Messages from the first to the second are lost, until.
    Cut(usize, usize, Millis),
    /// The member dies; with its memory or without.
    Crash(usize, bool),
    Start(usize),
    /// The member does nothing until then; what is sent to it waits.
    Hang(usize, Millis),
    /// It stops owning and goes when it is done.
    Leave(usize),
    /// It may not wait any more.
    HandOver(usize),
    /// The resolver's list; members see it after a delay of their own.
    List(Vec<bool>),
    /// The list that this member sees from now on.
    Sees(usize, Vec<bool>),
    /// A member that has left comes back under its name, without memory.
    Return(usize),
    /// The member's host decides a waiting trace.
    Early(usize),
}

pub(super) struct Plan {
    pub(super) members: usize,
    pub(super) traces: u64,
    /// In percent.
    pub(super) loss: u64,
    pub(super) repeat: u64,
    pub(super) max_delay: Millis,
    pub(super) max_traces: usize,
    /// The first so many members are there from the beginning.
    pub(super) first: usize,
    pub(super) faults: Vec<(Millis, Fault)>,
}

impl Plan {
    pub(super) fn new(profile: Profile, random: &mut Random) -> Self {
        let members = random.between(2, 5) as usize;
        let lossy = profile.has(Profile::Lossy);
        let scaling = profile.has(Profile::Scaling);
        let first = if scaling { random.between(1, members as u64) as usize } else { members };
        let mut plan = Self {
            members,
            traces: random.between(5, 40),
            loss: if lossy { random.below(35) } else { 0 },
            repeat: if lossy { random.below(35) } else { 0 },
            max_delay: if lossy { random.between(20, 1_500) } else { random.between(1, 150) },
            max_traces: if profile.has(Profile::Tight) { random.between(2, 30) as usize } else { 1_000 },
            first,
            faults: Vec::new(),
        };
        if scaling {
            plan.scale(random);
        }
        if profile.has(Profile::Disagree) {
            plan.disagree(random);
        }
        // Who has left comes back: that is not for a fleet whose members never do.
        if profile == Profile::Rolling {
            plan.roll(random);
        }
        if profile.has(Profile::Cut) {
            plan.cut(random);
        }
        for _ in 0..random.between(1, 4) {
            let (at, member) = (random.below(HEALED - 8_000), random.index(members));
            if profile.has(Profile::Crash) || profile.has(Profile::Clock) {
                plan.faults.push((at, Fault::Crash(member, random.percent(50))));
                plan.faults.push((at + random.between(100, 7_900), Fault::Start(member)));
            }
            if profile.has(Profile::Hang) {
                plan.faults.push((at, Fault::Hang(member, at + random.between(100, 7_900))));
            }
            if profile.has(Profile::Tight) {
                plan.faults.push((at, Fault::Early(member)));
            }
        }
        plan.faults.sort_by_key(|(at, _)| *at);
        plan
    }

    /// Members come and go, one or several at a time.
    fn scale(&mut self, random: &mut Random) {
        let mut listed: Vec<bool> = (0..self.members).map(|member| member < self.first).collect();
        let mut left = vec![false; self.members];
        let mut at = random.between(2_000, 10_000);
        while at < HEALED - 2_000 {
            for member in 0..self.members {
                // Who has left does not come back: its successor has another name.
                if left[member] || !random.percent(40) {
                    continue;
                }
                if !listed[member] {
                    self.faults.push((at, Fault::Start(member)));
                    listed[member] = true;
                } else if listed.iter().filter(|listed| **listed).count() > 1 {
                    listed[member] = false;
                    // Sometimes a record is only missing for a while.
                    if random.percent(60) {
                        left[member] = true;
                        let leaves = at + random.below(1_000);
                        self.faults.push((leaves, Fault::Leave(member)));
                        if random.percent(50) {
                            self.faults.push((leaves + random.below(6_000), Fault::HandOver(member)));
                        }
                    }
                }
            }
            self.faults.push((at, Fault::List(listed.clone())));
            at += random.between(500, 12_000);
        }
        for (member, listed) in listed.iter_mut().enumerate() {
            *listed |= !left[member];
            if *listed {
                self.faults.push((HEALED - 1_000, Fault::Start(member)));
            }
        }
        self.faults.push((HEALED - 1_000, Fault::List(listed)));
    }

    /// Each sees what it sees; at last all see the same.
    fn disagree(&mut self, random: &mut Random) {
        for _ in 0..random.between(1, 3) {
            let at = random.below(HEALED - 10_000);
            for member in 0..self.members {
                if random.percent(70) {
                    let list = (0..self.members).map(|other| other == member || random.percent(60)).collect();
                    self.faults.push((at + random.below(2_000), Fault::Sees(member, list)));
                }
            }
        }
        self.faults.push((HEALED - 1_000, Fault::List(vec![true; self.members])));
    }

    /// One after the other leaves the list, stops, and is back some seconds later; sometimes the next does not wait for it.
    fn roll(&mut self, random: &mut Random) {
        let mut at = random.between(1_000, 8_000);
        let mut listed = vec![true; self.members];
        let may_wait = random.percent(50);
        for member in 0..self.members {
            listed[member] = false;
            self.faults.push((at, Fault::List(listed.clone())));
            let leaves = at + random.below(3_000);
            self.faults.push((leaves, Fault::Leave(member)));
            if !may_wait {
                self.faults.push((leaves + random.below(4_000), Fault::HandOver(member)));
            }
            let back = leaves + random.between(200, 9_000);
            self.faults.push((back, Fault::Return(member)));
            listed[member] = true;
            self.faults.push((back + random.below(1_000), Fault::List(listed.clone())));
            at = back + random.below(4_000);
        }
        self.faults.retain(|(at, _)| *at < HEALED - 1_000);
        for member in 0..self.members {
            self.faults.push((HEALED - 1_000, Fault::Return(member)));
        }
        self.faults.push((HEALED - 1_000, Fault::List(vec![true; self.members])));
    }

    fn cut(&mut self, random: &mut Random) {
        for _ in 0..random.between(1, 3) {
            let from = random.below(HEALED - 1_000);
            let until = (from + random.between(200, 15_000)).min(HEALED);
            if random.percent(50) {
                let side = random.next();
                // Sometimes only one side does not hear the other.
                let one_way = random.percent(30);
                for (a, b) in (0..self.members).flat_map(|a| (0..self.members).map(move |b| (a, b))) {
                    let (from_side, to_side) = ((side >> a) & 1, (side >> b) & 1);
                    if from_side != to_side && (from_side == 0 || !one_way) {
                        self.faults.push((from, Fault::Cut(a, b, until)));
                    }
                }
            } else {
                let (a, b) = (random.index(self.members), random.index(self.members));
                self.faults.push((from, Fault::Cut(a, b, until)));
                if random.percent(50) {
                    self.faults.push((from, Fault::Cut(b, a, until)));
                }
            }
        }
    }
}
