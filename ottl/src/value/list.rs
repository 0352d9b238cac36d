//! Lists: a view over a wire ArrayValue, or items made by a literal or a converter.

use std::sync::Arc;

use super::Value;
use crate::wire::{Fields, Payload, Range};

/// The Go type behind a list. It shows in comparisons: `Split` results never equal list literals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ListRepr {
    /// `pcommon.Slice`: slice attributes, `Keys`, `ParseJSON`.
    Slice,
    /// `[]any`: list literals, `Sort` on slices.
    Raw,
    /// `[]string`: `Split`.
    Strings,
    /// `[]int64`.
    Ints,
    /// `[]uint64`: bucket counts.
    UInts,
    /// `[]float64`: explicit bounds.
    Doubles,
    /// `[]float64` that a converter made. It differs from [`Self::Doubles`] where it is empty: see [`List::is_go_nil`].
    MadeDoubles,
    /// `[]bool`.
    Bools,
}

impl ListRepr {
    /// The Go type's name.
    pub(crate) fn type_name(self) -> &'static str {
        match self {
            Self::Slice => "pcommon.Slice",
            Self::Raw => "[]any",
            Self::Strings => "[]string",
            Self::Ints => "[]int64",
            Self::UInts => "[]uint64",
            Self::Doubles | Self::MadeDoubles => "[]float64",
            Self::Bools => "[]bool",
        }
    }
}

/// A list.
#[derive(Clone, Debug)]
pub enum List<'w> {
    /// The values of an ArrayValue message.
    Wire(&'w [u8]),
    /// Items of our own.
    Owned {
        /// In order.
        items: Arc<Vec<Value<'w>>>,
        /// Go type.
        repr: ListRepr,
    },
}

fn wire_items(message: &[u8]) -> impl Iterator<Item = Range> {
    Fields::new(message).filter_map(|(field, payload)| match (field, payload) {
        (1, Payload::Bytes(range)) => Some(range),
        _ => None,
    })
}

impl<'w> List<'w> {
    /// A list of our own.
    #[must_use]
    pub fn owned(items: Vec<Value<'w>>, repr: ListRepr) -> Self {
        Self::Owned { items: Arc::new(items), repr }
    }

    /// The Go type.
    #[must_use]
    pub fn repr(&self) -> ListRepr {
        match self {
            Self::Wire(_) => ListRepr::Slice,
            Self::Owned { repr, .. } => *repr,
        }
    }

    /// Number of items.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Wire(message) => wire_items(message).count(),
            Self::Owned { items, .. } => items.len(),
        }
    }

    /// Whether there is no item.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Wire(message) => wire_items(message).next().is_none(),
            Self::Owned { items, .. } => items.is_empty(),
        }
    }

    /// Whether Go holds a nil slice here, which prints as `null`: a field's numbers if there are none.
    #[must_use]
    pub(crate) fn is_go_nil(&self) -> bool {
        matches!(self.repr(), ListRepr::UInts | ListRepr::Doubles) && self.is_empty()
    }

    /// The item at `index`.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Value<'w>> {
        match self {
            Self::Wire(message) => {
                wire_items(message).nth(index).map(|item| Value::decode_any(message, item).unwrap_or(Value::Nil))
            }
            Self::Owned { items, .. } => items.get(index).cloned(),
        }
    }

    /// The items in order.
    #[must_use]
    pub fn iter(&self) -> ListIter<'_, 'w> {
        match self {
            Self::Wire(message) => ListIter(Iter::Wire(Fields::new(message), message)),
            Self::Owned { items, .. } => ListIter(Iter::Owned(items.iter())),
        }
    }
}

/// Iterator over a list's items.
#[derive(Debug)]
pub struct ListIter<'l, 'w>(Iter<'l, 'w>);

#[derive(Debug)]
enum Iter<'l, 'w> {
    Wire(Fields<'w>, &'w [u8]),
    Owned(std::slice::Iter<'l, Value<'w>>),
}

impl<'w> Iterator for ListIter<'_, 'w> {
    type Item = Value<'w>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Iter::Wire(fields, message) => loop {
                if let (1, Payload::Bytes(range)) = fields.next()? {
                    return Some(Value::decode_any(message, range).unwrap_or(Value::Nil));
                }
            },
            Iter::Owned(items) => items.next().cloned(),
        }
    }
}
