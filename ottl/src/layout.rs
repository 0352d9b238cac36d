//! Slots: the places a program reads from, each once, grouped by the message they are filled from.

use std::fmt;

use crate::ir::Type;

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
    /// `otelcol.client.metadata`
    ClientMetadata,
    /// `otelcol.client.auth.attributes`
    ClientAuth,
    /// `otelcol.grpc.metadata`
    GrpcMetadata,
}

/// What a slot holds. Two conditions that need the same path share its slot.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SlotPath {
    /// The first entry of a map with this key.
    Attribute(MapSource, Box<str>),
    /// A whole map.
    Map(MapSource),
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
            Self::ClientAddress => Level::Client,
            Self::SchemaUrl(level) | Self::DroppedAttributes(level) => *level,
            Self::ScopeName | Self::ScopeVersion => Level::Scope,
            Self::EventUnixNano | Self::EventName => Level::Event,
            _ => Level::Span,
        }
    }

    /// Its static type.
    #[must_use]
    pub fn ty(&self) -> Type {
        match self {
            // An unparsable header gives nil, and so do a request without a peer and one without authentication.
            Self::Attribute(..)
            | Self::ClientAddress
            | Self::Map(MapSource::ClientAuth)
            | Self::TraceStateMember(_) => Type::Any,
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
        }
    }
}

impl fmt::Display for SlotPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attribute(source, key) => write!(f, "{}[{key:?}]", source.path()),
            Self::Map(source) => f.write_str(source.path()),
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
        }
    }
}
