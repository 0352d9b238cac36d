//! The OTLP messages as tables: which JSON key is which field, in the order in which Go writes them. Reading and
//! writing JSON are each one function over these tables.

/// A message type.
pub(super) struct Message {
    pub(super) fields: &'static [Field],
}

pub(super) struct Field {
    /// lowerCamelCase, as written; snake_case is read, too.
    pub(super) name: &'static str,
    pub(super) number: u32,
    pub(super) kind: Kind,
    pub(super) label: Label,
}

#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    /// base64 in JSON.
    Bytes,
    /// Bytes of one length, hex in JSON.
    Id(usize),
    Bool,
    Int32,
    Sint32,
    Uint32,
    Fixed32,
    Int64,
    Uint64,
    Fixed64,
    Sfixed64,
    Double,
    /// Read as number or name, written as number. Names by number.
    Enum(&'static [&'static str]),
    Message(&'static Message),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    /// Left out when zero or empty.
    Plain,
    /// A message that Go always writes.
    Always,
    /// A scalar or message that is written when it is set, whatever it is.
    Optional,
    /// Of the message's fields with this label the last on the wire counts.
    Oneof,
    Repeated,
}

const fn field(name: &'static str, number: u32, kind: Kind) -> Field {
    Field { name, number, kind, label: Label::Plain }
}

const fn always(name: &'static str, number: u32, message: &'static Message) -> Field {
    Field { name, number, kind: Kind::Message(message), label: Label::Always }
}

const fn optional(name: &'static str, number: u32, kind: Kind) -> Field {
    Field { name, number, kind, label: Label::Optional }
}

const fn oneof(name: &'static str, number: u32, kind: Kind) -> Field {
    Field { name, number, kind, label: Label::Oneof }
}

const fn repeated(name: &'static str, number: u32, kind: Kind) -> Field {
    Field { name, number, kind, label: Label::Repeated }
}

const fn list(name: &'static str, number: u32, message: &'static Message) -> Field {
    repeated(name, number, Kind::Message(message))
}

use Kind::{Bool, Bytes, Double, Enum, Fixed32, Fixed64, Id, Int32, Int64, Sfixed64, Sint32, Text, Uint32, Uint64};

pub(super) static TRACES: Message = Message { fields: &[list("resourceSpans", 1, &RESOURCE_SPANS)] };

static RESOURCE_SPANS: Message = Message {
    fields: &[
        always("resource", 1, &RESOURCE),
        list("scopeSpans", 2, &SCOPE_SPANS),
        field("schemaUrl", 3, Text),
        list("deprecatedScopeSpans", 1000, &SCOPE_SPANS),
    ],
};

static SCOPE_SPANS: Message =
    Message { fields: &[always("scope", 1, &SCOPE), list("spans", 2, &SPAN), field("schemaUrl", 3, Text)] };

static SPAN: Message = Message {
    fields: &[
        field("traceId", 1, Id(16)),
        field("spanId", 2, Id(8)),
        field("traceState", 3, Text),
        field("parentSpanId", 4, Id(8)),
        field("flags", 16, Fixed32),
        field("name", 5, Text),
        field("kind", 6, Enum(SPAN_KIND)),
        field("startTimeUnixNano", 7, Fixed64),
        field("endTimeUnixNano", 8, Fixed64),
        list("attributes", 9, &KEY_VALUE),
        field("droppedAttributesCount", 10, Uint32),
        list("events", 11, &EVENT),
        field("droppedEventsCount", 12, Uint32),
        list("links", 13, &LINK),
        field("droppedLinksCount", 14, Uint32),
        always("status", 15, &STATUS),
    ],
};

const SPAN_KIND: &[&str] = &[
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];

static EVENT: Message = Message {
    fields: &[
        field("timeUnixNano", 1, Fixed64),
        field("name", 2, Text),
        list("attributes", 3, &KEY_VALUE),
        field("droppedAttributesCount", 4, Uint32),
    ],
};

static LINK: Message = Message {
    fields: &[
        field("traceId", 1, Id(16)),
        field("spanId", 2, Id(8)),
        field("traceState", 3, Text),
        list("attributes", 4, &KEY_VALUE),
        field("droppedAttributesCount", 5, Uint32),
        field("flags", 6, Fixed32),
    ],
};

static STATUS: Message = Message {
    fields: &[
        field("message", 2, Text),
        field("code", 3, Enum(&["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"])),
    ],
};

static RESOURCE: Message = Message {
    fields: &[
        list("attributes", 1, &KEY_VALUE),
        field("droppedAttributesCount", 2, Uint32),
        list("entityRefs", 3, &ENTITY_REF),
    ],
};

static ENTITY_REF: Message = Message {
    fields: &[
        field("schemaUrl", 1, Text),
        field("type", 2, Text),
        repeated("idKeys", 3, Text),
        repeated("descriptionKeys", 4, Text),
    ],
};

static SCOPE: Message = Message {
    fields: &[
        field("name", 1, Text),
        field("version", 2, Text),
        list("attributes", 3, &KEY_VALUE),
        field("droppedAttributesCount", 4, Uint32),
    ],
};

static KEY_VALUE: Message =
    Message { fields: &[field("key", 1, Text), always("value", 2, &ANY_VALUE), field("keyStrindex", 3, Int32)] };

static ANY_VALUE: Message = Message {
    fields: &[
        oneof("stringValue", 1, Text),
        oneof("boolValue", 2, Bool),
        oneof("intValue", 3, Int64),
        oneof("doubleValue", 4, Double),
        oneof("arrayValue", 5, Kind::Message(&ARRAY_VALUE)),
        oneof("kvlistValue", 6, Kind::Message(&KEY_VALUE_LIST)),
        oneof("bytesValue", 7, Bytes),
        oneof("stringValueStrindex", 8, Int32),
    ],
};

static ARRAY_VALUE: Message = Message { fields: &[list("values", 1, &ANY_VALUE)] };

static KEY_VALUE_LIST: Message = Message { fields: &[list("values", 1, &KEY_VALUE)] };

pub(super) static METRICS: Message = Message { fields: &[list("resourceMetrics", 1, &RESOURCE_METRICS)] };

static RESOURCE_METRICS: Message = Message {
    fields: &[
        always("resource", 1, &RESOURCE),
        list("scopeMetrics", 2, &SCOPE_METRICS),
        field("schemaUrl", 3, Text),
        list("deprecatedScopeMetrics", 1000, &SCOPE_METRICS),
    ],
};

static SCOPE_METRICS: Message =
    Message { fields: &[always("scope", 1, &SCOPE), list("metrics", 2, &METRIC), field("schemaUrl", 3, Text)] };

static METRIC: Message = Message {
    fields: &[
        field("name", 1, Text),
        field("description", 2, Text),
        field("unit", 3, Text),
        oneof("gauge", 5, Kind::Message(&POINTS)),
        oneof("sum", 7, Kind::Message(&SUM)),
        oneof("histogram", 9, Kind::Message(&HISTOGRAM)),
        oneof("exponentialHistogram", 10, Kind::Message(&EXPONENTIAL_HISTOGRAM)),
        oneof("summary", 11, Kind::Message(&SUMMARY)),
        list("metadata", 12, &KEY_VALUE),
    ],
};

static POINTS: Message = Message { fields: &[list("dataPoints", 1, &NUMBER_POINT)] };

const TEMPORALITY: &[&str] =
    &["AGGREGATION_TEMPORALITY_UNSPECIFIED", "AGGREGATION_TEMPORALITY_DELTA", "AGGREGATION_TEMPORALITY_CUMULATIVE"];

static SUM: Message = Message {
    fields: &[
        list("dataPoints", 1, &NUMBER_POINT),
        field("aggregationTemporality", 2, Enum(TEMPORALITY)),
        field("isMonotonic", 3, Bool),
    ],
};

static HISTOGRAM: Message = Message {
    fields: &[list("dataPoints", 1, &HISTOGRAM_POINT), field("aggregationTemporality", 2, Enum(TEMPORALITY))],
};

static EXPONENTIAL_HISTOGRAM: Message = Message {
    fields: &[list("dataPoints", 1, &EXPONENTIAL_POINT), field("aggregationTemporality", 2, Enum(TEMPORALITY))],
};

static SUMMARY: Message = Message { fields: &[list("dataPoints", 1, &SUMMARY_POINT)] };

static NUMBER_POINT: Message = Message {
    fields: &[
        list("attributes", 7, &KEY_VALUE),
        field("startTimeUnixNano", 2, Fixed64),
        field("timeUnixNano", 3, Fixed64),
        oneof("asDouble", 4, Double),
        oneof("asInt", 6, Sfixed64),
        list("exemplars", 5, &EXEMPLAR),
        field("flags", 8, Uint32),
    ],
};

static HISTOGRAM_POINT: Message = Message {
    fields: &[
        list("attributes", 9, &KEY_VALUE),
        field("startTimeUnixNano", 2, Fixed64),
        field("timeUnixNano", 3, Fixed64),
        field("count", 4, Fixed64),
        optional("sum", 5, Double),
        repeated("bucketCounts", 6, Fixed64),
        repeated("explicitBounds", 7, Double),
        list("exemplars", 8, &EXEMPLAR),
        field("flags", 10, Uint32),
        optional("min", 11, Double),
        optional("max", 12, Double),
    ],
};

static EXPONENTIAL_POINT: Message = Message {
    fields: &[
        list("attributes", 1, &KEY_VALUE),
        field("startTimeUnixNano", 2, Fixed64),
        field("timeUnixNano", 3, Fixed64),
        field("count", 4, Fixed64),
        optional("sum", 5, Double),
        field("scale", 6, Sint32),
        field("zeroCount", 7, Fixed64),
        always("positive", 8, &BUCKETS),
        always("negative", 9, &BUCKETS),
        field("flags", 10, Uint32),
        list("exemplars", 11, &EXEMPLAR),
        optional("min", 12, Double),
        optional("max", 13, Double),
        field("zeroThreshold", 14, Double),
    ],
};

static BUCKETS: Message = Message { fields: &[field("offset", 1, Sint32), repeated("bucketCounts", 2, Uint64)] };

static SUMMARY_POINT: Message = Message {
    fields: &[
        list("attributes", 7, &KEY_VALUE),
        field("startTimeUnixNano", 2, Fixed64),
        field("timeUnixNano", 3, Fixed64),
        field("count", 4, Fixed64),
        field("sum", 5, Double),
        list("quantileValues", 6, &QUANTILE),
        field("flags", 8, Uint32),
    ],
};

static QUANTILE: Message = Message { fields: &[field("quantile", 1, Double), field("value", 2, Double)] };

static EXEMPLAR: Message = Message {
    fields: &[
        list("filteredAttributes", 7, &KEY_VALUE),
        field("timeUnixNano", 2, Fixed64),
        oneof("asDouble", 3, Double),
        oneof("asInt", 6, Sfixed64),
        field("traceId", 5, Id(16)),
        field("spanId", 4, Id(8)),
    ],
};

pub(super) static LOGS: Message = Message { fields: &[list("resourceLogs", 1, &RESOURCE_LOGS)] };

static RESOURCE_LOGS: Message = Message {
    fields: &[
        always("resource", 1, &RESOURCE),
        list("scopeLogs", 2, &SCOPE_LOGS),
        field("schemaUrl", 3, Text),
        list("deprecatedScopeLogs", 1000, &SCOPE_LOGS),
    ],
};

static SCOPE_LOGS: Message =
    Message { fields: &[always("scope", 1, &SCOPE), list("logRecords", 2, &LOG_RECORD), field("schemaUrl", 3, Text)] };

static LOG_RECORD: Message = Message {
    fields: &[
        field("timeUnixNano", 1, Fixed64),
        field("observedTimeUnixNano", 11, Fixed64),
        field("severityNumber", 2, Enum(SEVERITY)),
        field("severityText", 3, Text),
        always("body", 5, &ANY_VALUE),
        list("attributes", 6, &KEY_VALUE),
        field("droppedAttributesCount", 7, Uint32),
        field("flags", 8, Fixed32),
        field("traceId", 9, Id(16)),
        field("spanId", 10, Id(8)),
        field("eventName", 12, Text),
    ],
};

const SEVERITY: &[&str] = &[
    "SEVERITY_NUMBER_UNSPECIFIED",
    "SEVERITY_NUMBER_TRACE",
    "SEVERITY_NUMBER_TRACE2",
    "SEVERITY_NUMBER_TRACE3",
    "SEVERITY_NUMBER_TRACE4",
    "SEVERITY_NUMBER_DEBUG",
    "SEVERITY_NUMBER_DEBUG2",
    "SEVERITY_NUMBER_DEBUG3",
    "SEVERITY_NUMBER_DEBUG4",
    "SEVERITY_NUMBER_INFO",
    "SEVERITY_NUMBER_INFO2",
    "SEVERITY_NUMBER_INFO3",
    "SEVERITY_NUMBER_INFO4",
    "SEVERITY_NUMBER_WARN",
    "SEVERITY_NUMBER_WARN2",
    "SEVERITY_NUMBER_WARN3",
    "SEVERITY_NUMBER_WARN4",
    "SEVERITY_NUMBER_ERROR",
    "SEVERITY_NUMBER_ERROR2",
    "SEVERITY_NUMBER_ERROR3",
    "SEVERITY_NUMBER_ERROR4",
    "SEVERITY_NUMBER_FATAL",
    "SEVERITY_NUMBER_FATAL2",
    "SEVERITY_NUMBER_FATAL3",
    "SEVERITY_NUMBER_FATAL4",
];
