//! What an extractor does at each field, from the slots that are wanted.

use super::{
    ATTRIBUTE_TAG, Action, Extractor, MAX_FIELD, Step, TRACE_STATE,
    keys::KeyTable,
    member::Member,
    point::MetricSlots,
    scalar::{Shape, scalar},
};
use crate::{
    layout::{Base, Layout, Level, LogField, MapSource, PointKind, SlotPath},
    slot::tag,
};

impl Extractor {
    /// The extractor of the slots that are filled from one buffer; data points of other kinds have other ones.
    pub(crate) fn plan(layout: &Layout, level: Level, base: Base, kind: PointKind) -> Self {
        let own = if level == Level::Client { 0..0 } else { layout.level(level) };
        let mut extractor = Self {
            steps: Box::new([Step::General; 256]),
            actions: [None; MAX_FIELD + 1],
            keys: KeyTable::new(Vec::new()),
            to_the_end: false,
            attribute_tag: ATTRIBUTE_TAG,
            head_tag: 0,
            tail_tag: 0,
            status_code: None,
            status_message: None,
            whole: Vec::new(),
            trace_state: Vec::new(),
            members: Vec::new(),
            has_derived: false,
            metric: MetricSlots::default(),
            template: layout.template().get(own.clone()).unwrap_or_default().into(),
            level: own,
        };
        let mut keys: Vec<(Box<[u8]>, u32)> = Vec::new();
        let mut members: Vec<(usize, Member)> = Vec::new();
        for placed in layout.of(level).filter(|placed| placed.base == base) {
            let position = placed.position;
            match &placed.path {
                SlotPath::Attribute(source, key) => {
                    let field = match source {
                        MapSource::DataPoint => kind.attributes(),
                        source => source.base().1,
                    };
                    keys.push((key.as_bytes().into(), position));
                    extractor.set(field, Action::Attribute);
                    extractor.attribute_tag = tag_byte(field);
                }
                SlotPath::Metric(field) => extractor.plan_metric(*field, position),
                SlotPath::Point(field) => extractor.plan_point(*field, kind, position),
                SlotPath::Log(LogField::Body) => extractor.set(5, Action::Any(position)),
                SlotPath::Member(parent, key) => {
                    let Some(above) = layout.find(parent) else { continue };
                    members.push((placed.path.depth(), Member { parent: above.position, key: key.clone(), position }));
                }
                SlotPath::Map(_) => extractor.whole.push((position, tag::MAP)),
                SlotPath::Events | SlotPath::Links | SlotPath::Status => {
                    extractor.whole.push((position, tag::OPAQUE));
                }
                SlotPath::StatusCode => {
                    extractor.status_code = Some(position);
                    extractor.set(15, Action::Status);
                }
                SlotPath::StatusMessage => {
                    extractor.status_message = Some(position);
                    extractor.set(15, Action::Status);
                }
                SlotPath::TraceStateMember(key) => extractor.trace_state.push((key.clone(), position)),
                path => {
                    if let Some((field, shape)) = scalar(path) {
                        extractor.set(field, Action::Scalar(shape, position));
                    }
                }
            }
        }
        if !extractor.trace_state.is_empty() {
            let raw = match extractor.actions[TRACE_STATE as usize] {
                Some(Action::Scalar(_, position)) => Some(position),
                _ => None,
            };
            extractor.set(TRACE_STATE, Action::Header(raw));
        }
        extractor.to_the_end = extractor.actions.iter().flatten().any(|action| *action != Action::Attribute);
        members.sort_by_key(|(depth, _)| *depth);
        extractor.members = members.into_iter().map(|(_, member)| member).collect();
        extractor.has_derived =
            !extractor.whole.is_empty() || !extractor.trace_state.is_empty() || !extractor.members.is_empty();
        extractor.keys = KeyTable::new(keys);
        for (field, action) in (0..).zip(&extractor.actions) {
            match (action, tag_byte(field)) {
                (None | Some(Action::Attribute), _) => {}
                (Some(_), tag) if tag < ATTRIBUTE_TAG => extractor.head_tag = extractor.head_tag.max(tag | 7),
                (Some(_), tag) => extractor.tail_tag = extractor.tail_tag.max(tag | 7),
            }
        }
        for (byte, step) in extractor.steps.iter_mut().enumerate().take(0x80) {
            let action = extractor.actions.get(byte >> 3).copied().flatten();
            *step = match (action, byte & 7) {
                (None, 0) if byte > 7 => Step::SkipVarint,
                (None, 1) if byte > 7 => Step::SkipFixed64,
                (None, 2) if byte > 7 => Step::SkipBytes,
                (None, 5) if byte > 7 => Step::SkipFixed32,
                (Some(Action::Attribute), 2) => Step::Attribute,
                (Some(Action::Status), 2) => Step::Status,
                (Some(Action::Scalar(Shape::Str, position)), 2) => Step::Str(position),
                (Some(Action::Scalar(Shape::TraceId, position)), 2) => Step::TraceId(position),
                (Some(Action::Scalar(Shape::SpanId, position)), 2) => Step::SpanId(position),
                (Some(Action::Scalar(Shape::Nanos, position)), 1) => Step::Nanos(position),
                (Some(Action::Scalar(shape @ (Shape::Int32 | Shape::Uint32), position)), 0) => {
                    Step::Varint(shape, position)
                }
                _ => Step::General,
            };
        }
        extractor
    }

    pub(super) fn set(&mut self, field: u32, action: Action) {
        if let Some(slot) = self.actions.get_mut(field as usize) {
            *slot = Some(action);
        }
    }
}

/// The first byte of a length-delimited field's tag.
fn tag_byte(field: u32) -> u8 {
    match u8::try_from(field << 3 | 2) {
        Ok(tag) if tag < 0x80 => tag,
        _ => u8::MAX,
    }
}
