//! The hash ring of contrib's load_balancing exporter: every instance that knows the same members picks the same one for
//! a key.
//!
//! Both layouts are here, so that instances of this program can stand in one fleet with Go collectors of either age.
//! A ring is built once for a list of members and never changed.

use serde::Deserialize;
use serde::de::{self, Deserializer};

/// How many positions in a row a point tries before it is given up.
const PROBES: u32 = 10;

/// Positions are looked up in blocks of this many bits, so that a look-up touches a few neighbours and not a whole
/// binary search.
const BLOCK_BITS: u32 = 6;

/// Which layout: it decides who gets what, so all instances of a tier must agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// Contrib from mid 2025 to at least 0.152: 36,000 positions, 100 points a member, laid out member by member.
    One,
    /// Contrib 0.157 and later: 131,071 positions, 200 points a member, laid out in order of position.
    #[default]
    Two,
}

impl Version {
    fn positions(self) -> u32 {
        match self {
            Self::One => 36_000,
            Self::Two => 131_071,
        }
    }

    fn points(self) -> u32 {
        match self {
            Self::One => 100,
            Self::Two => 200,
        }
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match i64::deserialize(deserializer)? {
            1 => Ok(Self::One),
            2 => Ok(Self::Two),
            other => Err(de::Error::custom(format!(
                "ring version {other} does not exist: 2 is the ring of contrib 0.157 and later, 1 the one before"
            ))),
        }
    }
}

/// Members at their positions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring {
    version: Version,
    members: Vec<String>,
    /// Positions taken, ascending, and the member at each.
    points: Vec<(u32, u16)>,
    /// For each block of positions, the first point at or after its start.
    blocks: Vec<u32>,
}

impl Ring {
    /// The ring of these members, named as their resolver names them: "10.0.0.1" and "10.0.0.1:4317" are different.
    /// Version 1 depends on the order, for which contrib's resolvers sort. Members beyond the 65,536th get no point.
    #[must_use]
    pub fn new(version: Version, members: Vec<String>) -> Self {
        let mut points = match version {
            Version::One => member_by_member(version, &members),
            Version::Two => by_position(version, &members),
        };
        points.sort_unstable();
        let n_blocks = (version.positions() >> BLOCK_BITS) + 1;
        let first_in = |block: u32| points.partition_point(|(at, _)| *at < block << BLOCK_BITS) as u32;
        let blocks = (0..n_blocks).map(first_in).collect();
        Self { version, members, points, blocks }
    }

    /// All members, in the order given.
    #[must_use]
    pub fn members(&self) -> &[String] {
        &self.members
    }

    /// Which part of all keys each member owns, in the order given; together 1, or 0 where there are no members.
    #[must_use]
    pub fn shares(&self) -> Vec<f64> {
        let positions = self.version.positions();
        let mut owned = vec![0_u32; self.members.len()];
        // A point owns the positions from the one after the point before it, which for the first is the last.
        let mut before = self.points.last().map_or(0, |(at, _)| i64::from(*at) - i64::from(positions));
        for (at, member) in &self.points {
            if let Some(owned) = owned.get_mut(usize::from(*member)) {
                *owned += u32::try_from(i64::from(*at) - before).unwrap_or(0);
            }
            before = i64::from(*at);
        }
        owned.iter().map(|owned| f64::from(*owned) / f64::from(positions)).collect()
    }

    /// The index of the member that owns a key; nothing for an empty ring.
    #[must_use]
    #[inline]
    pub fn owner(&self, key: &[u8]) -> Option<usize> {
        let at = crc32fast::hash(key) % self.version.positions();
        let from = *self.blocks.get((at >> BLOCK_BITS) as usize)? as usize;
        let rest = self.points.get(from..)?;
        let found = rest.iter().find(|(position, _)| *position >= at).or_else(|| self.points.first());
        found.map(|(_, member)| usize::from(*member))
    }
}

/// The hash of a member's point.
fn point(member: &str, number: u32) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(member.as_bytes());
    hasher.update(&number.to_le_bytes());
    hasher.finalize()
}

/// Contrib 0.157: all points in order of position, so that the order of members does not matter.
fn by_position(version: Version, members: &[String]) -> Vec<(u32, u16)> {
    let mut wanted: Vec<(u32, u32, &str, u16)> = Vec::with_capacity(members.len() * version.points() as usize);
    for (member, number) in members.iter().zip(0_u16..) {
        wanted.extend((0..version.points()).map(|n| {
            let hash = point(member, n);
            (hash % version.positions(), hash, member.as_str(), number)
        }));
    }
    wanted.sort_unstable();
    let mut slots = Slots::new(version);
    wanted.iter().filter_map(|(at, _, _, member)| Some((slots.take(*at)?, *member))).collect()
}

/// Contrib before 0.157: the first member takes its positions first.
fn member_by_member(version: Version, members: &[String]) -> Vec<(u32, u16)> {
    let mut slots = Slots::new(version);
    let mut points = Vec::with_capacity(members.len() * version.points() as usize);
    for (member, number) in members.iter().zip(0_u16..) {
        for n in 0..version.points() {
            points.extend(slots.take(point(member, n) % version.positions()).map(|at| (at, number)));
        }
    }
    points
}

/// Positions that are taken.
struct Slots {
    taken: Vec<bool>,
}

impl Slots {
    fn new(version: Version) -> Self {
        Self { taken: vec![false; version.positions() as usize] }
    }

    /// Takes the first free one of the [`PROBES`] positions from `wanted` on.
    fn take(&mut self, wanted: u32) -> Option<u32> {
        let positions = self.taken.len() as u32;
        let free = (0..PROBES).map(|n| (wanted + n) % positions).find(|at| !self.taken[*at as usize])?;
        self.taken[free as usize] = true;
        Some(free)
    }
}

#[cfg(test)]
mod tests;
