//! Slots: the places a program reads from, each once, grouped by the message they are filled from.

use std::fmt;

use crate::{
    ir::Type,
    slot::{RawSlot, tag},
    value::OpaqueKind,
    wire::Range,
};

mod kept;
mod signals;

pub(crate) use kept::KeptPlaces;
pub use signals::{LogField, MetricField, PointField, PointKind, Side};

/// A slot of one program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SlotId(pub(crate) u32);

/// The message that fills a slot. Slots of a level are filled together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// The connection a request came over.
    Client,
    /// A Resource.
    Resource,
    /// An InstrumentationScope.
    Scope,
    /// A Span.
    Span,
    /// A span's Event.
    Event,
    /// A Metric.
    Metric,
    /// A data point of a metric.
    DataPoint,
    /// A LogRecord.
    Log,
}

/// Where maps come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MapSource {
    /// `resource.attributes`
    Resource,
    /// `scope.attributes`
    Scope,
    /// `span.attributes`
    Span,
    /// `spanevent.attributes`
    Event,
    /// `metric.metadata`
    Metric,
    /// `datapoint.attributes`
    DataPoint,
    /// `log.attributes`
    Log,
    /// `otelcol.client.metadata`
    ClientMetadata,
    /// `otelcol.client.auth.attributes`
    ClientAuth,
    /// `otelcol.grpc.metadata`
    GrpcMetadata,
}

/// Which member of a map or list.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MemberKey {
    /// The first entry with this key.
    Key(Box<str>),
    /// The item at this place.
    Index(i64),
}

/// What a slot holds. Two conditions that need the same path share its slot.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SlotPath {
    /// The first entry of a map with this key.
    Attribute(MapSource, Box<str>),
    /// A whole map.
    Map(MapSource),
    /// A member of the map or list that another slot holds: `attributes["a"]["b"]`, `body["list"][0]`. Missing where that
    /// slot holds something else.
    Member(Box<SlotPath>, MemberKey),
    /// `otelcol.client.addr`
    ClientAddress,
    /// `schema_url` of the level, resource or scope.
    SchemaUrl(Level),
    /// `dropped_attributes_count` of the level.
    DroppedAttributes(Level),
    /// `scope.name`
    ScopeName,
    /// `scope.version`
    ScopeVersion,
    /// `span.trace_id`
    TraceId,
    /// `span.span_id`
    SpanId,
    /// `span.parent_span_id`
    ParentSpanId,
    /// `span.trace_state`
    TraceState,
    /// `span.trace_state["k"]`
    TraceStateMember(Box<str>),
    /// `span.name`
    SpanName,
    /// `span.kind`
    SpanKind,
    /// `span.start_time_unix_nano`
    StartUnixNano,
    /// `span.end_time_unix_nano`
    EndUnixNano,
    /// `span.dropped_events_count`
    DroppedEvents,
    /// `span.dropped_links_count`
    DroppedLinks,
    /// `span.events`
    Events,
    /// `span.links`
    Links,
    /// `span.flags`
    Flags,
    /// `span.status`
    Status,
    /// `span.status.code`
    StatusCode,
    /// `span.status.message`
    StatusMessage,
    /// `spanevent.time_unix_nano`
    EventUnixNano,
    /// `spanevent.name`
    EventName,
    /// A path of `metric`.
    Metric(MetricField),
    /// A path of `datapoint`.
    Point(PointField),
    /// A path of `log`.
    Log(LogField),
}

impl MapSource {
    /// The level its messages belong to.
    #[must_use]
    pub fn level(self) -> Level {
        match self {
            Self::Resource => Level::Resource,
            Self::Scope => Level::Scope,
            Self::Span => Level::Span,
            Self::Event => Level::Event,
            Self::Metric => Level::Metric,
            Self::DataPoint => Level::DataPoint,
            Self::Log => Level::Log,
            Self::ClientMetadata | Self::ClientAuth | Self::GrpcMetadata => Level::Client,
        }
    }

    /// The path of the whole map.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Resource => "resource.attributes",
            Self::Scope => "scope.attributes",
            Self::Span => "span.attributes",
            Self::Event => "spanevent.attributes",
            Self::Metric => "metric.metadata",
            Self::DataPoint => "datapoint.attributes",
            Self::Log => "log.attributes",
            Self::ClientMetadata => "otelcol.client.metadata",
            Self::ClientAuth => "otelcol.client.auth.attributes",
            Self::GrpcMetadata => "otelcol.grpc.metadata",
        }
    }
}

impl Level {
    /// The context name of its paths.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "otelcol",
            Self::Resource => "resource",
            Self::Scope => "scope",
            Self::Span => "span",
            Self::Event => "spanevent",
            Self::Metric => "metric",
            Self::DataPoint => "datapoint",
            Self::Log => "log",
        }
    }
}

impl SlotPath {
    /// The first entry with `key` of the attributes of `source`.
    #[must_use]
    pub fn attribute(source: MapSource, key: &str) -> Self {
        Self::Attribute(source, key.into())
    }

    /// The level that fills it.
    #[must_use]
    pub fn level(&self) -> Level {
        match self {
            Self::Attribute(source, _) | Self::Map(source) => source.level(),
            Self::Member(parent, _) => parent.level(),
            Self::ClientAddress => Level::Client,
            Self::SchemaUrl(level) | Self::DroppedAttributes(level) => *level,
            Self::ScopeName | Self::ScopeVersion => Level::Scope,
            Self::EventUnixNano | Self::EventName => Level::Event,
            Self::Metric(_) => Level::Metric,
            Self::Point(_) => Level::DataPoint,
            Self::Log(_) => Level::Log,
            _ => Level::Span,
        }
    }

    /// Its static type.
    #[must_use]
    pub fn ty(&self) -> Type {
        match self {
            // An unparsable header gives nil, and so does a request without a peer.
            Self::Attribute(..) | Self::Member(..) | Self::ClientAddress | Self::TraceStateMember(_) => Type::Any,
            Self::Map(_) => Type::Map,
            Self::SchemaUrl(_)
            | Self::ScopeName
            | Self::ScopeVersion
            | Self::TraceState
            | Self::SpanName
            | Self::StatusMessage
            | Self::EventName => Type::String,
            Self::DroppedAttributes(_)
            | Self::SpanKind
            | Self::StartUnixNano
            | Self::EndUnixNano
            | Self::DroppedEvents
            | Self::DroppedLinks
            | Self::Flags
            | Self::StatusCode
            | Self::EventUnixNano => Type::Int,
            Self::TraceId => Type::TraceId,
            Self::SpanId | Self::ParentSpanId => Type::SpanId,
            Self::Events | Self::Links | Self::Status => Type::Opaque,
            Self::Metric(field) => field.ty(),
            Self::Point(field) => field.ty(),
            Self::Log(field) => field.ty(),
        }
    }

    /// How many maps and lists stand between a member and what extraction finds by itself.
    pub(crate) fn depth(&self) -> usize {
        match self {
            Self::Member(parent, _) => 1 + parent.depth(),
            _ => 0,
        }
    }

    /// Whether the slot may hold a struct or a list of numbers although its type is [`Type::Any`]: calls on it are left
    /// to the interpreter.
    pub(crate) fn is_handle(&self) -> bool {
        match self {
            Self::Metric(field) => *field == MetricField::DataPoints,
            Self::Point(field) => field.is_whole(),
            _ => false,
        }
    }
}

impl fmt::Display for SlotPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attribute(source, key) => write!(f, "{}[{key:?}]", source.path()),
            Self::Map(source) => f.write_str(source.path()),
            Self::Member(parent, MemberKey::Key(key)) => write!(f, "{parent}[{key:?}]"),
            Self::Member(parent, MemberKey::Index(index)) => write!(f, "{parent}[{index}]"),
            Self::ClientAddress => f.write_str("otelcol.client.addr"),
            Self::SchemaUrl(level) => write!(f, "{}.schema_url", level.name()),
            Self::DroppedAttributes(level) => write!(f, "{}.dropped_attributes_count", level.name()),
            Self::ScopeName => f.write_str("scope.name"),
            Self::ScopeVersion => f.write_str("scope.version"),
            Self::TraceId => f.write_str("span.trace_id"),
            Self::SpanId => f.write_str("span.span_id"),
            Self::ParentSpanId => f.write_str("span.parent_span_id"),
            Self::TraceState => f.write_str("span.trace_state"),
            Self::TraceStateMember(key) => write!(f, "span.trace_state[{key:?}]"),
            Self::SpanName => f.write_str("span.name"),
            Self::SpanKind => f.write_str("span.kind"),
            Self::StartUnixNano => f.write_str("span.start_time_unix_nano"),
            Self::EndUnixNano => f.write_str("span.end_time_unix_nano"),
            Self::DroppedEvents => f.write_str("span.dropped_events_count"),
            Self::DroppedLinks => f.write_str("span.dropped_links_count"),
            Self::Events => f.write_str("span.events"),
            Self::Links => f.write_str("span.links"),
            Self::Flags => f.write_str("span.flags"),
            Self::Status => f.write_str("span.status"),
            Self::StatusCode => f.write_str("span.status.code"),
            Self::StatusMessage => f.write_str("span.status.message"),
            Self::EventUnixNano => f.write_str("spanevent.time_unix_nano"),
            Self::EventName => f.write_str("spanevent.name"),
            Self::Metric(field) => field.fmt(f),
            Self::Point(field) => field.fmt(f),
            Self::Log(field) => field.fmt(f),
        }
    }
}

/// A buffer that slots point into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub(crate) enum Base {
    ClientAddress,
    ClientMetadata,
    ClientAuth,
    GrpcMetadata,
    Resource,
    ResourceSchema,
    Scope,
    ScopeSchema,
    Span,
    Event,
    Metric,
    DataPoint,
    Log,
}

impl Base {
    pub(crate) const COUNT: usize = 13;
}

impl MapSource {
    /// The buffer that holds its entries, and the number of the repeated field they are.
    pub(crate) fn base(self) -> (Base, u32) {
        match self {
            Self::Resource => (Base::Resource, 1),
            Self::Scope => (Base::Scope, 3),
            Self::Span => (Base::Span, 9),
            Self::Event => (Base::Event, 3),
            Self::Metric => (Base::Metric, 12),
            // Which field it is depends on the kind of point: see `Frame::field`.
            Self::DataPoint => (Base::DataPoint, PointKind::Number.attributes()),
            Self::Log => (Base::Log, 6),
            Self::ClientMetadata => (Base::ClientMetadata, 1),
            Self::ClientAuth => (Base::ClientAuth, 1),
            Self::GrpcMetadata => (Base::GrpcMetadata, 1),
        }
    }
}

impl SlotPath {
    pub(crate) fn base(&self) -> Base {
        match self {
            Self::Attribute(source, _) | Self::Map(source) => source.base().0,
            Self::Member(parent, _) => parent.base(),
            Self::ClientAddress => Base::ClientAddress,
            Self::SchemaUrl(Level::Resource) => Base::ResourceSchema,
            Self::SchemaUrl(_) => Base::ScopeSchema,
            _ => match self.level() {
                Level::Client => Base::ClientMetadata,
                Level::Resource => Base::Resource,
                Level::Scope => Base::Scope,
                Level::Span => Base::Span,
                Level::Event => Base::Event,
                Level::Metric => Base::Metric,
                Level::DataPoint => Base::DataPoint,
                Level::Log => Base::Log,
            },
        }
    }

    pub(crate) fn opaque_kind(&self) -> Option<OpaqueKind> {
        match self {
            Self::Events => Some(OpaqueKind::SpanEvents),
            Self::Links => Some(OpaqueKind::SpanLinks),
            Self::Status => Some(OpaqueKind::Status),
            Self::Metric(MetricField::DataPoints) => Some(OpaqueKind::DataPoints),
            Self::Point(field) => field.opaque_kind(),
            _ => None,
        }
    }

    /// The field behind a map or struct slot: entries of a nested map are field 1 of its KeyValueList.
    fn field(&self) -> u32 {
        match self {
            Self::Map(source) => source.base().1,
            Self::Events => 11,
            Self::Links => 13,
            Self::Status => 15,
            _ => 1,
        }
    }

    /// The slot's content for a message in which the field does not occur.
    fn default_slot(&self) -> RawSlot {
        let empty = Range::default();
        match (self, self.ty()) {
            (_, Type::String) => RawSlot::range(tag::STR, empty),
            (_, Type::Int) => RawSlot::int(0),
            (_, Type::TraceId) => RawSlot::range(tag::TRACE_ID, empty),
            (_, Type::SpanId) => RawSlot::range(tag::SPAN_ID, empty),
            (_, Type::Map) => RawSlot::range(tag::MAP, empty),
            (_, Type::Opaque) => RawSlot::range(tag::OPAQUE, empty),
            // A body that is not set takes no keys, like any other value that is no map or list.
            (Self::Log(LogField::Body), _) => RawSlot { tag: tag::EMPTY, len: 0, bits: 0 },
            // A header without members parses: an absent member is "", not nil.
            (Self::TraceStateMember(_), _) => RawSlot::range(tag::STR, empty),
            _ => RawSlot::MISSING,
        }
    }
}

/// A slot in its place.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) path: SlotPath,
    /// Index into the frame's slots.
    pub(crate) position: u32,
    pub(crate) base: Base,
    pub(crate) field: u32,
}

/// Where every slot of a program lies. Slots of one level are neighbours, in order of path.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layout {
    placed: Vec<Placed>,
    template: Vec<RawSlot>,
    /// Positions of each level.
    levels: [std::ops::Range<usize>; Level::COUNT],
    kept: KeptPlaces,
}

impl Level {
    pub(crate) const COUNT: usize = 8;
    pub(crate) const ALL: [Self; Self::COUNT] =
        [Self::Client, Self::Resource, Self::Scope, Self::Span, Self::Event, Self::Metric, Self::DataPoint, Self::Log];
}

impl Layout {
    /// Places the slots of a program, which are in order of id, and what is kept beside them.
    pub(crate) fn plan(slots: &[SlotPath], kept: KeptPlaces) -> Self {
        let mut order: Vec<usize> = (0..slots.len()).collect();
        order.sort_by(|&a, &b| (slots[a].level(), &slots[a]).cmp(&(slots[b].level(), &slots[b])));
        let mut positions = vec![0_u32; slots.len()];
        for (position, &slot) in order.iter().enumerate() {
            positions[slot] = u32::try_from(position).unwrap_or(u32::MAX);
        }
        let placed = slots.iter().zip(positions).map(|(path, position)| Placed {
            position,
            base: path.base(),
            field: path.field(),
            path: path.clone(),
        });
        let template = order.iter().map(|&slot| slots[slot].default_slot()).collect();
        let levels = Level::ALL.map(|level| {
            let start = order.iter().take_while(|&&slot| slots[slot].level() < level).count();
            let len = order.iter().filter(|&&slot| slots[slot].level() == level).count();
            start..start + len
        });
        Self { placed: placed.collect(), template, levels, kept }
    }

    #[inline]
    pub(crate) fn placed(&self, id: SlotId) -> Option<&Placed> {
        self.placed.get(id.0 as usize)
    }

    /// The place of a path's slot.
    pub(crate) fn find(&self, path: &SlotPath) -> Option<&Placed> {
        self.placed.iter().find(|placed| placed.path == *path)
    }

    /// The slots of a frame before anything is loaded.
    pub(crate) fn template(&self) -> &[RawSlot] {
        &self.template
    }

    /// The positions of a level's slots.
    pub(crate) fn level(&self, level: Level) -> std::ops::Range<usize> {
        self.levels[level as usize].clone()
    }

    /// Where what is kept of nodes lies.
    pub(crate) fn kept(&self) -> &KeptPlaces {
        &self.kept
    }

    /// The slots of a level.
    pub(crate) fn of(&self, level: Level) -> impl Iterator<Item = &Placed> {
        self.placed.iter().filter(move |placed| placed.path.level() == level)
    }
}

/// One line a slot, in order of position: offset, level, path, type. Then one a node that is kept.
impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut placed: Vec<&Placed> = self.placed.iter().collect();
        placed.sort_by_key(|placed| placed.position);
        for slot in placed {
            let offset = slot.position as usize * size_of::<RawSlot>();
            writeln!(f, "{offset:>4} {:<8} {} : {}", slot.path.level().name(), slot.path, slot.path.ty().name())?;
        }
        self.kept.fmt(f)
    }
}
