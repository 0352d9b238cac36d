//! Paths of `otelcol`: the connection that a request came over. What the host does not load is nil or empty.

use super::{PathEntry, Target, entry};
use crate::layout::{MapSource, SlotPath};

pub(super) static PATHS: &[PathEntry] = &[
    entry(&["client", "addr"], Target::Slot(SlotPath::ClientAddress)),
    entry(&["client", "metadata"], Target::Map(MapSource::ClientMetadata)),
    entry(&["client", "auth", "attributes"], Target::Map(MapSource::ClientAuth)),
    entry(&["grpc", "metadata"], Target::Map(MapSource::GrpcMetadata)),
];
