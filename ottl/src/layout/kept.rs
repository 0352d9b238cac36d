//! Places for what is kept of nodes: see [`Kept`](crate::kept::Kept).

use std::{fmt, ops::Range};

use super::Level;
use crate::ir::{Ir, NodeId, Type};

/// Where what is kept of nodes lies, in the order of the levels that it depends on.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeptPlaces {
    /// By position.
    nodes: Vec<(Level, NodeId, Type)>,
    /// By node; [`NOWHERE`] for those that nothing is kept of. Nodes that came to be later have no place either.
    positions: Vec<u32>,
    levels: [Range<usize>; Level::COUNT],
}

const NOWHERE: u32 = u32::MAX;

impl KeptPlaces {
    /// Places for nodes; what reads no slot belongs to the outermost level.
    pub(crate) fn plan(ir: &Ir, nodes: impl Iterator<Item = NodeId>) -> Self {
        let level = |id| ir.level(id).unwrap_or(Level::ALL[0]);
        let mut nodes: Vec<_> = nodes.map(|id| (level(id), id, ir.ty(id))).collect();
        nodes.sort_by_key(|&(level, id, _)| (level, id));
        nodes.dedup();
        let mut positions = vec![NOWHERE; nodes.iter().map(|(_, id, _)| id.0 as usize + 1).max().unwrap_or(0)];
        for (position, (_, id, _)) in nodes.iter().enumerate() {
            positions[id.0 as usize] = u32::try_from(position).unwrap_or(NOWHERE);
        }
        let levels = Level::ALL.map(|level| {
            let start = nodes.partition_point(|(of, ..)| *of < level);
            start..nodes.partition_point(|(of, ..)| *of <= level)
        });
        Self { nodes, positions, levels }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The place of a node, if it has one.
    #[inline]
    pub(crate) fn position(&self, id: NodeId) -> Option<usize> {
        let position = *self.positions.get(id.0 as usize)?;
        (position != NOWHERE).then_some(position as usize)
    }

    /// The places of what depends on a level, and on outer ones perhaps, but on no inner one.
    #[inline]
    pub(crate) fn level(&self, level: Level) -> Range<usize> {
        self.levels[level as usize].clone()
    }

    /// The places of what depends on a level or an inner one.
    #[inline]
    pub(crate) fn from(&self, level: Level) -> Range<usize> {
        self.level(level).start..self.nodes.len()
    }
}

/// One line a node: level, node, type.
impl fmt::Display for KeptPlaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (level, node, ty) in &self.nodes {
            writeln!(f, "kept {:<8} {node} : {}", level.name(), ty.name())?;
        }
        Ok(())
    }
}
